"""From clips to intervals: what a person edits in ELAN."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from store.annotations import Interval, predicted_tier


def clips_to_intervals(
    probability: NDArray[np.float64],
    present: NDArray[np.bool_],
    times: NDArray[np.float64],
    classes: Sequence[str],
) -> list[Interval]:
    """Join neighbouring clips in which a class is present.

    Where clips overlap, each answers for its middle: the border between two is halfway between the end of
    the one and the start of the other, so that borders are as fine as the stride. The first clip answers
    from its start, and the last to its end.

    Parameters
    ----------
    probability : ndarray of float, shape (clips, classes)
        Its mean over the joined clips is the interval's confidence.
    present : ndarray of bool, shape (clips, classes)
        Where each class is predicted.
    times : ndarray of float64, shape (clips, 2)
        Start and end of each clip in seconds, each starting before its predecessor's end or at it.
    classes : sequence of str
        Names of the first columns; those beyond (the background class) get no interval.

    Returns
    -------
    list of Interval
        On tiers ``GESTURE [chironomy]``, by class, then by time.
    """
    borders = np.concatenate([times[:1, 0], (times[:-1, 1] + times[1:, 0]) / 2, times[-1:, 1]])
    return [
        Interval(
            begin=float(borders[first]),
            end=float(borders[last + 1]),
            tier=predicted_tier(name),
            value=name,
            confidence=float(probability[first : last + 1, column].mean()),
        )
        for column, name in enumerate(classes)
        for first, last in _runs(present[:, column])
    ]


def _runs(present: NDArray[np.bool_]) -> list[tuple[int, int]]:
    """Return the first and last index of each run of True."""
    edges = np.diff(np.concatenate([[0], present.astype(np.int8), [0]]))
    starts, stops = np.flatnonzero(edges == 1), np.flatnonzero(edges == -1)
    return [(int(start), int(stop) - 1) for start, stop in zip(starts, stops, strict=True)]
