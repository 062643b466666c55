"""Sampling at a regular rate: recordings of any rate give clips of one length."""

import math
from collections import deque
from collections.abc import Iterable, Iterator
from fractions import Fraction
from typing import TypeVar

from store.errors import InputError

HIGHEST_RATE = 1000  # frames a second; more is a slip of the pen, and would repeat frames without end
T = TypeVar("T")
Timed = tuple[Fraction, Fraction, T]  # begin and end in seconds, and what is shown between them


def check_rate(fps: float) -> Fraction:
    """Return a number of frames a second as it is written: 29.97 is 2997/100.

    Raises
    ------
    InputError
        If it is not above 0 and at most 1000.
    """
    if not (math.isfinite(fps) and 0 < fps <= HIGHEST_RATE):
        raise InputError(f"{fps:g} frames a second cannot be sampled; give a rate above 0 and up to {HIGHEST_RATE}")
    return Fraction(str(float(fps)))


def resample(frames: Iterable[Timed[T]], rate: Fraction) -> Iterator[Timed[T]]:
    """Yield the frames nearest in time to a regular grid.

    The grid starts with the first frame; its k-th moment is k / rate later. Each moment takes the frame whose
    beginning is nearest, the earlier of two that are equally near, but none that begins half a step later or
    more: so where the picture stands still for long, what comes after is not shown early. A moment counts if at
    least half of its step lies within the picture, so that recordings of one length give as many, whatever
    their own rates. A frame may be taken several times, or never.

    Parameters
    ----------
    frames : iterable of (begin, end, T)
        In order, each beginning where its predecessor ends.
    rate : Fraction
        Frames a second.

    Yields
    ------
    (begin, end, T)
        The moment of the grid, and where it ends: 1 / rate later, the last one with the last frame if that is
        earlier.
    """
    step = 1 / rate
    moments: deque[tuple[Fraction, T]] = deque()  # one or two, whose step is not known to lie within the picture
    held: Timed[T] | None = None
    first = moment = end = Fraction(0)
    for following in frames:
        begin, end, _ = following
        if held is None:
            first = moment = begin
        else:
            while moment <= max((held[0] + begin) / 2, begin - step / 2):
                moments.append((moment, held[2]))
                moment += step
        while moments and moments[0][0] + step <= end:
            whole, shown = moments.popleft()
            yield whole, whole + step, shown
        held = following
    if held is not None:
        while moment + step / 2 <= end or moment == first:
            moments.append((moment, held[2]))
            moment += step
    for last, shown in moments:
        if last + step / 2 <= end or last == first:
            yield last, min(last + step, end), shown
