"""The exact optimum of F1 for each class, against a grid of 200 thresholds with scikit-learn, in one run.

python benchmarks/thresholds.py
"""

import time
from collections.abc import Callable

import numpy as np
from sklearn.metrics import f1_score

from search.thresholds import best_f1

CLIPS, CLASSES, GRID = 3446, 18, 200  # all clips of the paper's four videos, its classes


def by_grid(probability: np.ndarray, true: np.ndarray) -> np.ndarray:
    grid = np.linspace(0, 1, GRID)
    columns = zip(probability.T, true.T, strict=True)
    scores = [[f1_score(present, values >= at, zero_division=0) for at in grid] for values, present in columns]
    return grid[np.argmax(scores, axis=1)]


def seconds(call: Callable[[], object], times: int) -> float:
    taken = []
    for _ in range(times):
        began = time.perf_counter()
        call()
        taken.append(time.perf_counter() - began)
    return min(taken)


def main() -> None:
    random = np.random.default_rng(0)
    true = random.random((CLIPS, CLASSES)) < np.geomspace(0.005, 0.5, CLASSES)
    probability = np.clip(0.3 * true + 0.7 * random.random(true.shape), 0, 1)
    exact, grid = seconds(lambda: best_f1(probability, true), 20), seconds(lambda: by_grid(probability, true), 1)
    print(
        f"{CLIPS} clips, {CLASSES} classes: the exact optimum is {grid / exact:.0f} x faster than the grid (wanted 100)"
    )


if __name__ == "__main__":
    main()
