"""Which clips follow each other without a gap, and what each of them answers for."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

_TOUCHING = 1e-6  # seconds between neighbours at most: rounding


@dataclass(frozen=True)
class Neighbours:
    """Clips in the order of time, recording by recording.

    Where clips overlap, each answers for its middle: the border between two is halfway between the end of the
    one and the start of the other. The first of a stretch answers from its start, the last to its end.

    Parameters
    ----------
    order : ndarray of int, shape (clips,)
        Index of each clip; all that follows is in this order.
    stretch : ndarray of int, shape (clips,)
        Number of its stretch: within one, each clip begins where its predecessor ends, or before.
    begin, end : ndarray of float64, shape (clips,)
        What each clip answers for, in seconds.
    spacing : float
        From the start of one clip to that of the next, in seconds: the median within stretches, 1 without any.
    """

    order: NDArray[np.intp]
    stretch: NDArray[np.intp]
    begin: NDArray[np.float64]
    end: NDArray[np.float64]
    spacing: float

    def runs(self, present: NDArray[np.bool_]) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
        """Return the first and the last place of each run of True within a stretch; `present` in this order."""
        return runs_within(present, self.stretch)


def runs_within(present: NDArray[np.bool_], stretch: NDArray[np.intp]) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Return the first and the last place of each run of True within a stretch.

    Parameters
    ----------
    present : ndarray of bool, shape (places,)
        In order.
    stretch : ndarray of int, shape (places,)
        Number of the stretch that each is in.
    """
    inner = np.pad(stretch[1:] == stretch[:-1], 1)[: len(present) + 1]  # between two of one stretch
    before, after = np.pad(present, (1, 0))[:-1], np.pad(present, (0, 1))[1:]
    first, last = present & ~(inner[:-1] & before), present & ~(inner[1:] & after)
    return np.flatnonzero(first), np.flatnonzero(last)


def in_order(times: NDArray[np.float64], recording: NDArray[np.intp] | None = None) -> Neighbours:
    """Put clips, in any order, into that of time.

    Parameters
    ----------
    times : ndarray of float64, shape (clips, 2)
        Start and end in seconds.
    recording : ndarray of int, shape (clips,), optional
        Index of each clip's recording; one for all if not given.

    Raises
    ------
    ValueError
        If a clip is there twice.
    """
    recording = np.zeros(len(times), np.intp) if recording is None else recording
    order = np.lexsort((times[:, 0], recording))
    (start, end), recording = times[order].T, recording[order]
    same = recording[1:] == recording[:-1]
    if (same & (start[1:] == start[:-1])).any():
        raise ValueError("a clip is there twice")
    joined = same & (start[1:] <= end[:-1] + _TOUCHING)
    borders = (end[:-1] + start[1:]) / 2
    steps = np.diff(start)[joined]
    return Neighbours(
        order=order,
        stretch=np.append(0, np.cumsum(~joined))[: len(times)],
        begin=np.append(start[:1], np.where(joined, borders, start[1:])),
        end=np.append(np.where(joined, borders, end[:-1]), end[-1:]),
        spacing=float(np.median(steps)) if len(steps) else 1.0,
    )
