"""Scores of predicted labels, of clips and of events.

Conventions: clips x classes, True is presence; a score that is undefined (nothing predicted, nothing
there) is 0, so that a class without positives counts 0 in a mean, as in the paper's Table 7.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.metrics import average_precision_score

Scores = tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]

BATCH = 32  # clips in a batch of the paper's
BINS = 10  # of equal width, for the calibration error
_DECIMALS = 9  # of an overlap: which of two equal ones comes first is not for rounding errors to say


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
    _check_shapes(true, predicted)
    return scores_of_counts((true & predicted).sum(axis=0), predicted.sum(axis=0), true.sum(axis=0))


def scores_of_counts(hits: NDArray, predicted: NDArray, true: NDArray) -> Scores:
    """Return precision, recall and F1 from counts, or expected counts, of any one shape; 0 where undefined."""
    return _ratio(hits, predicted), _ratio(hits, true), _ratio(2 * hits, predicted + true)


def macro_f1(true: NDArray[np.bool_], predicted: NDArray[np.bool_]) -> float:
    """Return the mean of F1 over all classes (Section 5.4); labels as in `precision_recall_f1`."""
    return float(precision_recall_f1(true, predicted)[2].mean())


def batch_averaged_f1(true: NDArray[np.bool_], predicted: NDArray[np.bool_], batch: int = BATCH) -> float:
    """Return the mean over batches of consecutive clips of each batch's macro-F1.

    A class that is absent from a batch scores 0 there, so that rare classes pull it down: it comes out
    lower than macro-F1 over all clips. The paper's training scores for 18 classes look averaged so.

    Parameters
    ----------
    true, predicted : ndarray of bool, shape (clips, classes)
        In the order of the batches; the last batch may be smaller.
    batch : int
        Clips in a batch.

    Raises
    ------
    ValueError
        If the shapes differ, there is no clip, or a batch would be empty.
    """
    _check_shapes(true, predicted)
    if batch < 1 or not len(true):
        raise ValueError(f"at least one clip in a batch expected, got {len(true)} clips in batches of {batch}")
    starts = range(0, len(true), batch)
    return float(np.mean([macro_f1(true[at : at + batch], predicted[at : at + batch]) for at in starts]))


def average_precision(true: NDArray[np.bool_], probability: NDArray[np.floating]) -> NDArray[np.float64]:
    """Return the average precision of each class: precision summed over the steps of recall, not interpolated.

    Parameters
    ----------
    true : ndarray of bool, shape (clips, classes)
        Presence as annotated.
    probability : ndarray of float, shape (clips, classes)
        As predicted; only its order matters.

    Returns
    -------
    ndarray of float64, shape (classes,)
        0 for a class without positives.

    Raises
    ------
    ValueError
        If the shapes differ, or a probability is not finite.
    """
    _check_shapes(true, probability)
    columns = zip(true.T, probability.T, strict=True)
    found = [average_precision_score(*column) if column[0].any() else 0.0 for column in columns]
    return np.minimum(found, 1.0)  # the sum over the steps may round to a little more


def expected_calibration_error(
    true: NDArray[np.bool_], probability: NDArray[np.floating], bins: int = BINS
) -> NDArray[np.float64]:
    """Return the expected calibration error of each class, as a question of yes or no (Naeini et al. 2015).

    The clips are sorted into bins of equal width by the probability of presence, the last one with its upper
    end. The error is the mean over clips of their bin's distance between the mean probability and the share
    of clips in which the class is present.

    Parameters
    ----------
    true : ndarray of bool, shape (clips, classes)
        Presence as annotated.
    probability : ndarray of float, shape (clips, classes)
        Of presence, 0 to 1.
    bins : int
        How many.

    Returns
    -------
    ndarray of float64, shape (classes,)

    Raises
    ------
    ValueError
        If the shapes differ, or a probability is not within 0 and 1.
    """
    _check_shapes(true, probability)
    if not ((probability >= 0) & (probability <= 1)).all():
        raise ValueError("probabilities within 0 and 1 expected")
    surplus = probability.astype(np.float64) - true
    number = np.minimum((probability * bins).astype(np.intp), bins - 1)
    distances = [
        np.abs(np.bincount(bin_, weights=column)).sum() for bin_, column in zip(number.T, surplus.T, strict=True)
    ]
    return np.array(distances) / max(1, len(true))


def trivial_predictions(frequency: NDArray[np.float64]) -> dict[str, NDArray[np.float64]]:
    """Return what needs no picture: with which probability each trivial baseline says that a class is present.

    Parameters
    ----------
    frequency : ndarray of float64
        Share of the training clips in which each class is present, in any shape.

    Returns
    -------
    dict of str to ndarray of float64
        Of the same shape: ``always``, every class in every clip; ``chance``, a coin for each class that falls
        as often as in training; ``majority``, what most training clips have: a class always if it is in at
        least half of them, else never.
    """
    return {
        "always": np.ones_like(frequency),
        "chance": frequency,
        "majority": (frequency >= 0.5).astype(np.float64),
    }


def event_f1(true: ArrayLike, predicted: ArrayLike, overlap: float) -> float:
    """Return the segmental F1 of one class (F1@k of Lea et al. 2017, "Temporal Convolutional Networks ...").

    Each predicted event, in order of time, takes the true event that it overlaps most, by intersection over
    union. It is a hit if they overlap by at least `overlap` and no earlier one has taken it.

    Parameters
    ----------
    true, predicted : sequence of (begin, end)
        Events of one class in one recording, in seconds, in any order.
    overlap : float
        Intersection over union to reach, above 0 and at most 1; to nine decimals.

    Returns
    -------
    float
        Twice the hits over all events, true and predicted; 0 where there is none.

    Raises
    ------
    ValueError
        If an event is not a pair of finite numbers, the begin before the end, or there can be no such overlap.
    """
    true, predicted = _checked_events(true), _checked_events(predicted)
    hits = event_hits(true, predicted, [overlap])
    return float(scores_of_counts(hits, np.array([len(predicted)]), np.array([len(true)]))[2][0])


def event_hits(
    true: NDArray[np.float64], predicted: NDArray[np.float64], overlaps: Sequence[float]
) -> NDArray[np.intp]:
    """Return how many predicted events are hits at each overlap, as in `event_f1`.

    Parameters
    ----------
    true, predicted : ndarray of float64, shape (events, 2)
        Begin and end of each event, sorted.
    overlaps : sequence of float
        Intersections over union to reach.

    Returns
    -------
    ndarray of int, shape (overlaps,)

    Raises
    ------
    ValueError
        If there can be no such overlap.
    """
    if not all(0 < overlap <= 1 for overlap in overlaps):
        raise ValueError(f"overlaps above 0 and at most 1 expected, got {', '.join(map(str, overlaps))}")
    _, taken, overlap = best_matches(true, predicted)
    return np.array([len(np.unique(taken[overlap >= round(reach, _DECIMALS)])) for reach in overlaps])


def best_matches(true: NDArray, predicted: NDArray) -> tuple[NDArray[np.intp], NDArray[np.intp], NDArray[np.float64]]:
    """Return the predicted events that overlap a true one, that which each overlaps most, and how much.

    Only true events that can meet a predicted one are compared with it: few, where the events of each side
    are disjoint.
    """
    first = np.searchsorted(np.maximum.accumulate(true[:, 1]), predicted[:, 0], side="right")
    count = np.maximum(0, np.searchsorted(true[:, 0], predicted[:, 1], side="left") - first)
    row = np.repeat(np.arange(len(predicted)), count)
    candidate = np.arange(len(row)) - np.repeat(np.cumsum(count) - count, count) + first[row]
    (begin, end), (true_begin, true_end) = predicted[row].T, true[candidate].T
    shared = np.maximum(0, np.minimum(end, true_end) - np.maximum(begin, true_begin))
    overlap = np.round(shared / ((end - begin) + (true_end - true_begin) - shared), _DECIMALS)
    order = np.lexsort((candidate, -overlap, row))  # of equal ones the first in time
    best = order[np.unique(row[order], return_index=True)[1]]
    return row[best], candidate[best], overlap[best]


def _checked_events(events: ArrayLike) -> NDArray[np.float64]:
    """Return events as an array (events, 2), sorted by begin and end."""
    pairs = np.asarray(events, np.float64)
    if pairs.size == 0:
        return np.empty((0, 2))
    if pairs.ndim != 2 or pairs.shape[1] != 2 or not np.isfinite(pairs).all() or (pairs[:, 0] >= pairs[:, 1]).any():
        raise ValueError("events as pairs (begin, end) expected, finite, each begin before its end")
    return pairs[np.lexsort((pairs[:, 1], pairs[:, 0]))]


def _check_shapes(true: NDArray, predicted: NDArray) -> None:
    if true.shape != predicted.shape or true.ndim != 2:
        raise ValueError(f"labels of one shape (clips, classes) expected, got {true.shape} and {predicted.shape}")


def _ratio(numerator: NDArray, denominator: NDArray) -> NDArray[np.float64]:
    return np.divide(numerator, denominator, out=np.zeros(np.shape(numerator)), where=denominator > 0)
