"""From clips to intervals: what a person edits in ELAN."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from heads.neighbours import in_order
from store.annotations import Interval, predicted_tier


def clips_to_intervals(
    probability: NDArray[np.float64],
    present: NDArray[np.bool_],
    times: NDArray[np.float64],
    classes: Sequence[str],
) -> list[Interval]:
    """Join neighbouring clips in which a class is present.

    Where clips overlap, each answers for its middle (`heads.neighbours`), so that borders are as fine as the stride.

    Parameters
    ----------
    probability : ndarray of float, shape (clips, classes)
        Its mean over the joined clips is the interval's confidence.
    present : ndarray of bool, shape (clips, classes)
        Where each class is predicted.
    times : ndarray of float64, shape (clips, 2)
        Start and end of each clip in seconds.
    classes : sequence of str
        Names of the first columns; those beyond (the background class) get no interval.

    Returns
    -------
    list of Interval
        On tiers ``GESTURE [chironomy]``, by class, then by time.
    """
    clips = in_order(times)
    return [
        Interval(
            begin=float(clips.begin[first]),
            end=float(clips.end[last]),
            tier=predicted_tier(name),
            value=name,
            confidence=float(probability[clips.order[first : last + 1], column].mean()),
        )
        for column, name in enumerate(classes)
        for first, last in zip(*clips.runs(present[clips.order, column]), strict=True)
    ]
