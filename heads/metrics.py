"""Scores of predicted labels.

Conventions: clips x classes, True is presence; a score that is undefined (nothing predicted, nothing
there) is 0, so that a class without positives counts 0 in a mean, as in the paper's Table 7.
"""

import numpy as np
from numpy.typing import NDArray

Scores = tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]


def precision_recall_f1(true: NDArray[np.bool_], predicted: NDArray[np.bool_]) -> Scores:
    """Return precision, recall and F1 of each class (Equations 11 to 13).

    Parameters
    ----------
    true, predicted : ndarray of bool, shape (clips, classes)
        Presence as annotated and as predicted.

    Returns
    -------
    precision, recall, f1 : ndarray of float64, shape (classes,)
        0 where undefined.

    Raises
    ------
    ValueError
        If the shapes differ.
    """
    if true.shape != predicted.shape or true.ndim != 2:
        raise ValueError(f"labels of one shape (clips, classes) expected, got {true.shape} and {predicted.shape}")
    hits = (true & predicted).sum(axis=0)
    precision = _ratio(hits, predicted.sum(axis=0))
    recall = _ratio(hits, true.sum(axis=0))
    f1 = _ratio(2 * hits, true.sum(axis=0) + predicted.sum(axis=0))
    return precision, recall, f1


def macro_f1(true: NDArray[np.bool_], predicted: NDArray[np.bool_]) -> float:
    """Return the mean of F1 over all classes (Section 5.4); labels as in `precision_recall_f1`."""
    return float(precision_recall_f1(true, predicted)[2].mean())


def always_f1(true: NDArray[np.bool_]) -> float:
    """Return the macro-F1 of predicting every class in every clip, a trivial baseline."""
    return macro_f1(true, np.ones_like(true))


def chance_f1(true: NDArray[np.bool_], frequency: NDArray[np.float64]) -> float:
    """Return the macro-F1 to expect from predicting each class at random, as often as in training.

    With a class present in a share p of the clips and predicted in a share q of them, independently, the
    expected hits are pq, so that F1 is about 2pq / (p + q).

    Parameters
    ----------
    true : ndarray of bool, shape (clips, classes)
        Presence as annotated.
    frequency : ndarray of float64, shape (classes,)
        Share of the training clips in which each class is present.
    """
    present = true.mean(axis=0)
    return float(_ratio(2 * present * frequency, present + frequency).mean())


def _ratio(numerator: NDArray, denominator: NDArray) -> NDArray[np.float64]:
    return np.divide(numerator, denominator, out=np.zeros(len(numerator)), where=denominator > 0)
