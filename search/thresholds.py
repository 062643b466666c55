"""Thresholds that turn probabilities into presence."""

import numpy as np
from numpy.typing import NDArray

from heads.metrics import precision_recall_f1
from heads.neighbours import Neighbours

UNTUNED = 0.5
HALFWAY = 10  # events of a class at which its own optimum counts as much as what the classes share


def best_f1(probability: NDArray[np.floating], true: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Return for each class the threshold of highest F1, exactly.

    Only the clips' own probabilities matter as thresholds; after one sort, F1 at each of them is a
    cumulative sum. Equal probabilities fall on one side together. Of several optima the highest threshold
    is taken, and it is placed halfway to the next lower probability.

    Parameters
    ----------
    probability : ndarray of float, shape (clips, classes)
        0 to 1.
    true : ndarray of bool, shape (clips, classes)
        Presence as annotated.

    Returns
    -------
    ndarray of float64, shape (classes,)
        Presence is probability >= threshold; 0.5 for a class without positives.
    """
    columns = zip(probability.T, true.T, strict=True)
    return np.array([_best_of_class(values, present) for values, present in columns])


def steady(probability: NDArray[np.floating], true: NDArray[np.bool_], clips: Neighbours) -> NDArray[np.float64]:
    """Return for each class a threshold between its own optimum and the mean of all classes' optima.

    The optimum over a few events is as accidental as they are; what the classes share is steadier. So a class's own
    counts the more, the more events it has. A class whose probabilities lie elsewhere, so that its F1 here would not
    be half as high, keeps its own.

    Parameters
    ----------
    probability, true : ndarray, shape (clips, classes)
        As for `best_f1`.
    clips : Neighbours
        Which of them follow each other: an event is a run of positive ones.

    Returns
    -------
    ndarray of float64, shape (classes,)
        As of `best_f1`.
    """
    best = best_f1(probability, true)
    tuned = true.any(axis=0)
    if not tuned.any():
        return best
    events = np.array([count_events(present, clips) for present in true.T])
    own = events / (events + HALFWAY)
    drawn = np.where(tuned, own * best + (1 - own) * best[tuned].mean(), best)
    alone, shared = (precision_recall_f1(true, probability >= thresholds)[2] for thresholds in (best, drawn))
    return np.where(shared >= alone / 2, drawn, best)


def count_events(present: NDArray[np.bool_], clips: Neighbours) -> int:
    """Return the number of runs of clips in which a class is present, (clips,); not in the order of `clips`."""
    return len(clips.runs(present[clips.order])[0])


def _best_of_class(probability: NDArray, present: NDArray[np.bool_]) -> float:
    if not present.any():
        return UNTUNED
    order = np.argsort(-probability, kind="stable")
    values, hits = probability[order], np.cumsum(present[order])
    last_of_ties = np.flatnonzero(np.append(values[1:] < values[:-1], True))
    f1 = 2 * hits[last_of_ties] / (last_of_ties + 1 + present.sum())
    at = last_of_ties[np.argmax(f1)]
    above, below = float(values[at]), float(values[at + 1]) if at + 1 < len(values) else 0.0
    halfway = (above + below) / 2
    return halfway if below < halfway <= above else above  # halfway may round down onto its neighbour
