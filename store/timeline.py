"""From frames with times to clips, and from annotations to labels of frames (Section 3.1).

Frames are known by their real presentation times, never by index / rate: a frame lasts until the next
one begins, and the last one until the end of the picture.

A clip is `length` consecutive frames, and the next one begins `stride` frames later. Frames at the end that
no whole clip covers are dropped (``tail="drop"``), or make one more clip, at the next stride, that repeats
them until it is full (``tail="loop"``, as Hara et al. pad), so that a video shorter than a clip gives one too.
"""

from collections.abc import Iterable, Iterator, Sequence
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

CLIP_LENGTH = 16  # frames; 0.64 s at 25 frames a second (Section 5.1)
TAILS = ("drop", "loop")
T = TypeVar("T")


def clip_count(frames: int, length: int = CLIP_LENGTH, stride: int = CLIP_LENGTH, tail: str = "drop") -> int:
    """Return how many clips `frames` consecutive frames give.

    Parameters
    ----------
    frames : int
        How many there are.
    length : int
        Frames in a clip.
    stride : int
        Frames from one clip's start to the next, from 1 to `length`.
    tail : {"drop", "loop"}
        What becomes of frames at the end that no whole clip covers.

    Raises
    ------
    ValueError
        If there is no such stride or tail.
    """
    if not 1 <= stride <= length:
        raise ValueError(f"the stride must be from 1 to {length} frames, not {stride}")
    if tail not in TAILS:
        raise ValueError(f"tail must be one of {', '.join(TAILS)}, not {tail!r}")
    whole = max(0, (frames - length) // stride + 1)
    covered = (whole - 1) * stride + length if whole else 0
    return whole + (tail == "loop" and covered < frames)


def clip_frames(
    frames: int, length: int = CLIP_LENGTH, stride: int = CLIP_LENGTH, tail: str = "drop"
) -> NDArray[np.intp]:
    """Return which frames each clip is made of.

    Parameters
    ----------
    frames, length, stride, tail
        As in `clip_count`.

    Returns
    -------
    ndarray of int, shape (clips, length)
        Indices of frames.
    """
    starts = stride * np.arange(clip_count(frames, length, stride, tail))[:, None]
    return starts + np.arange(length) % np.minimum(frames - starts, length)


def clip_times(
    frame_times: NDArray[np.float64],
    end: float,
    length: int = CLIP_LENGTH,
    stride: int = CLIP_LENGTH,
    tail: str = "drop",
) -> NDArray[np.float64]:
    """Return when each clip starts and ends.

    Parameters
    ----------
    frame_times : ndarray of float64, shape (frames,)
        Start of each frame in seconds, increasing.
    end : float
        End of the last frame in seconds.
    length, stride, tail
        As in `clip_count`.

    Returns
    -------
    ndarray of float64, shape (clips, 2)
        Start of the clip's first frame and end of its last one, in seconds; what a looped clip repeats
        adds nothing to its time.
    """
    bounds = np.append(frame_times, end)
    starts = stride * np.arange(clip_count(len(frame_times), length, stride, tail))
    return np.column_stack([bounds[starts], bounds[np.minimum(starts + length, len(frame_times))]])


def to_clips(values: NDArray, length: int = CLIP_LENGTH, stride: int = CLIP_LENGTH, tail: str = "drop") -> NDArray:
    """Cut an array with one entry per frame, (frames, ...), into clips, (clips, length, ...).

    `length`, `stride` and `tail` are those of `clip_count`.
    """
    return values[clip_frames(len(values), length, stride, tail)]


def cut(
    items: Iterable[T], length: int = CLIP_LENGTH, stride: int = CLIP_LENGTH, tail: str = "drop"
) -> Iterator[list[T]]:
    """Yield the clips of a stream of frames, or of anything with one item per frame.

    The same clips as `clip_frames` gives, while never more than one of them is held.

    Parameters
    ----------
    items : iterable
        One item per frame.
    length, stride, tail
        As in `clip_count`.

    Yields
    ------
    list
        The `length` items of a clip.
    """
    clip_count(0, length, stride, tail)  # refuses what makes no sense before the first frame is asked for
    held: list[T] = []
    new = 0  # items that are in no clip yet
    for item in items:
        held.append(item)
        new += 1
        if len(held) == length:
            yield held
            held, new = held[stride:], 0
    if tail == "loop" and new:
        yield [held[index % len(held)] for index in range(length)]


def frame_labels(
    frame_times: NDArray[np.float64], end: float, intervals: Sequence[tuple[float, float]]
) -> NDArray[np.bool_]:
    """Return which frames an annotation overlaps at all (Section 3.1).

    Parameters
    ----------
    frame_times : ndarray of float64, shape (frames,)
        Start of each frame in seconds, increasing.
    end : float
        End of the last frame in seconds.
    intervals : sequence of (begin, end)
        Annotations of one gesture, in seconds; they may overlap each other. One that only touches a
        frame's border does not overlap it, and one without duration overlaps nothing.

    Returns
    -------
    ndarray of bool, shape (frames,)
    """
    labels = np.zeros(len(frame_times), dtype=bool)
    frame_ends = np.append(frame_times[1:], end)
    for begin, stop in intervals:
        if begin >= stop:
            continue
        first = np.searchsorted(frame_ends, begin, side="right")  # its end is the first one after `begin`
        last = np.searchsorted(frame_times, stop, side="left")  # the first that starts at `stop` or later
        labels[first:last] = True
    return labels


def frames_within(
    frame_times: NDArray[np.float64], end: float, stretches: Sequence[tuple[float, float]] | None
) -> NDArray[np.bool_]:
    """Return which frames lie wholly inside the annotated stretches.

    Parameters
    ----------
    frame_times, end
        As in `frame_labels`.
    stretches : sequence of (begin, end) or None
        Stretches that do not overlap or touch each other; None is the whole recording.

    Returns
    -------
    ndarray of bool, shape (frames,)
    """
    if stretches is None:
        return np.ones(len(frame_times), dtype=bool)
    frame_ends = np.append(frame_times[1:], end)
    inside = np.zeros(len(frame_times), dtype=bool)
    for begin, stop in stretches:
        inside |= (frame_times >= begin) & (frame_ends <= stop)
    return inside
