"""How fast the frozen trunk runs: against plain torch, and against this machine's own limit.

Run with ``make bench``.

The limit is the machine's float32 matrix-multiply peak, measured in the same run, over the work that a clip
needs: 24.14 GFLOP nominally, 20.60 without the temporal taps that meet only zero padding. Where torch
multiplies matrices through another library than it convolves with (MKL and oneDNN, on AMD processors), the
product is no peak, and the trunk passes 100 % of it. The variants take turns, so that a machine that slows
down slows all of them.
"""

import statistics
import time

import numpy as np
import torch

from extract.runtimes import prepare
from extract.weights import load_backbone

CLIPS = 8
ROUNDS = 5
NEEDED = 20.60e9  # floating-point operations per clip
SIDE = 2048  # of the multiplied matrices


def seconds(function) -> float:
    began = time.perf_counter()
    function()
    return time.perf_counter() - began


def main() -> None:
    backbone = load_backbone("random:0")
    runtime = prepare(backbone, "cpu")
    clips = np.random.default_rng(0).integers(0, 256, (CLIPS, 16, 112, 112, 3), dtype=np.uint8)
    matrix = torch.rand(SIDE, SIDE)
    variants = {
        "runtime": lambda: runtime.run(clips),
        "plain torch": lambda: runtime.reference(clips),
        "matrix product": lambda: matrix @ matrix,
    }
    taken: dict[str, list[float]] = {name: [] for name in variants}
    for turn in range(ROUNDS + 1):
        for name, function in variants.items():
            elapsed = seconds(function)
            if turn:  # the first turn warms up
                taken[name].append(elapsed)
    median = {name: statistics.median(values) for name, values in taken.items()}
    peak = 2 * SIDE**3 / median["matrix product"]
    speed = CLIPS / median["runtime"]
    print(f"trunk: {speed:.1f} clips/s, {median['plain torch'] / median['runtime']:.2f} x plain torch")
    print(f"limit: {peak / NEEDED:.1f} clips/s at {peak / 1e9:.0f} GFLOP/s; reached {speed * NEEDED / peak:.0%} of it")
    print(f"largest difference from plain torch: {runtime.check(clips[:1]):.2g}")


if __name__ == "__main__":
    main()
