"""From clips to intervals: what a person edits in ELAN.

A clip lasts 0.64 s, and a gesture begins somewhere in one. A clip that it fills in part gets a lower probability, about
in proportion, so that the border is where the probability rises through half of what it reaches inside. (Temporal
Smoothing, Section 4.3, weighs a clip's later frames more: borders would come a sixth of a clip, 0.1 s, too early. What
networks then say does not show that, measured against annotations, so nothing is corrected for it.)
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from heads.neighbours import Neighbours, in_order
from store.annotations import Interval, predicted_tier

_PEAK = 3  # clips of highest probability that tell what an event reaches


def clips_to_intervals(
    probability: NDArray[np.float64],
    present: NDArray[np.bool_],
    times: NDArray[np.float64],
    classes: Sequence[str],
) -> list[Interval]:
    """Join neighbouring clips in which a class is present, with borders finer than the clips.

    Where clips overlap, each answers for its middle (`heads.neighbours`).

    Parameters
    ----------
    probability : ndarray of float, shape (clips, classes)
        Tells the borders; its mean over the joined clips is the interval's confidence.
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
    found = []
    for column, name in enumerate(classes):
        values = probability[clips.order, column]
        events, first, last = fine_events(values, clips, present[clips.order, column])
        found += [
            Interval(
                begin=float(begin),
                end=float(end),
                tier=predicted_tier(name),
                value=name,
                confidence=float(values[start : stop + 1].mean()),
            )
            for (begin, end), start, stop in zip(events, first, last, strict=True)
        ]
    return found


def fine_events(
    probability: NDArray[np.floating], clips: Neighbours, present: NDArray[np.bool_]
) -> tuple[NDArray[np.float64], NDArray[np.intp], NDArray[np.intp]]:
    """Return the events of one class, with borders finer than the clips.

    Two between which a single clip is no gap, since it is high enough for both to reach to its middle, are one.

    Parameters
    ----------
    probability, clips
        As for `borders`.
    present : ndarray of bool, shape (clips,)
        Where it is predicted, in the order of `clips`.

    Returns
    -------
    ndarray of float64, shape (events, 2)
        Begin and end, in seconds.
    ndarray of int, ndarray of int, shape (events,)
        Their first and last clips.
    """
    first, last = clips.runs(present)
    found = borders(probability, clips, first, last)
    apart = (found[1:, 0] > found[:-1, 1]) | (clips.stretch[first[1:]] != clips.stretch[last[:-1]])
    begins = np.append(True, apart)[: len(found)]
    ends = np.append(apart, True)[: len(found)]
    return np.column_stack([found[begins, 0], found[ends, 1]]), first[begins], last[ends]


def borders(
    probability: NDArray[np.floating], clips: Neighbours, first: NDArray[np.intp], last: NDArray[np.intp]
) -> NDArray[np.float64]:
    """Return where events of one class begin and end, in seconds, (events, 2).

    A border is where the line between the probabilities of two neighbours, each at its middle, goes through half of
    the event's height: the first such place from the outside, at most half a clip before the event's first clip. An
    end of a stretch stays one.

    Parameters
    ----------
    probability : ndarray of float, shape (clips,)
        In the order of `clips`.
    clips : Neighbours
        The clips.
    first, last : ndarray of int, shape (events,)
        First and last clip of each event, as `Neighbours.runs` returns them.
    """
    found = np.empty((len(first), 2))
    for number, (start, stop) in enumerate(zip(first.tolist(), last.tolist(), strict=True)):
        inside = probability[start : stop + 1]
        half = float(np.sort(inside)[-_PEAK:].mean()) / 2
        high = start + np.flatnonzero(inside >= half)  # never empty
        begin, end = int(high[0]), int(high[-1])
        found[number] = (
            _crossing(probability, clips, begin - 1, begin, half),
            _crossing(probability, clips, end + 1, end, half),
        )
    return found


def _crossing(probability: NDArray[np.floating], clips: Neighbours, outer: int, inner: int, height: float) -> float:
    """Return where the line from an outer clip to its neighbour goes through a height."""
    edge = float(clips.begin[inner] if outer < inner else clips.end[inner])
    if not 0 <= outer < len(probability) or clips.stretch[outer] != clips.stretch[inner]:
        return edge
    low, high = float(probability[outer]), float(probability[inner])
    if low >= high:
        return edge
    share = min(max((height - low) / (high - low), 0.0), 1.0)
    outside, within = ((clips.begin[at] + clips.end[at]) / 2 for at in (outer, inner))
    if share < 0.5:
        return float(outside + 2 * share * (edge - outside))
    return float(edge + (2 * share - 1) * (within - edge))
