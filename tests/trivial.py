"""What the trivial baselines score, reckoned from shares alone, beside what the program makes of their predictions."""

import numpy as np


def always_f1(true: np.ndarray) -> float:
    """Macro-F1 of every class in every clip: a share p of hits, all found."""
    return chance_f1(true, np.ones(true.shape[1]))


def chance_f1(true: np.ndarray, frequency: np.ndarray) -> float:
    """Macro-F1 to expect of a coin that falls with a share q: of a class in a share p of the clips, 2pq / (p + q)."""
    p, q = true.mean(axis=0), np.asarray(frequency)
    return float(np.mean(2 * p * q / np.where(p + q > 0, p + q, 1)))


def majority_f1(true: np.ndarray, frequency: np.ndarray) -> float:
    """Macro-F1 of always saying what at least half of the training clips have."""
    return chance_f1(true, np.asarray(frequency) >= 0.5)
