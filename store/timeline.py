"""From frames with times to clips, and from annotations to labels of frames (Section 3.1).

Frames are known by their real presentation times, never by index / rate: a frame lasts until the next
one begins, and the last one until the end of the picture.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

CLIP_LENGTH = 16  # frames; 0.64 s at 25 frames a second (Section 5.1)


def clip_count(frames: int, length: int = CLIP_LENGTH) -> int:
    """Return how many whole clips `frames` consecutive frames give; the incomplete tail is dropped."""
    return frames // length


def clip_times(frame_times: NDArray[np.float64], end: float, length: int = CLIP_LENGTH) -> NDArray[np.float64]:
    """Return when each clip starts and ends.

    Parameters
    ----------
    frame_times : ndarray of float64, shape (frames,)
        Start of each frame in seconds, increasing.
    end : float
        End of the last frame in seconds.
    length : int
        Frames in a clip.

    Returns
    -------
    ndarray of float64, shape (clips, 2)
        Start of the clip's first frame and end of its last one, in seconds.
    """
    bounds = np.append(frame_times, end)
    starts = np.arange(clip_count(len(frame_times), length)) * length
    return np.column_stack([bounds[starts], bounds[starts + length]])


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


def to_clips(frames: NDArray, length: int = CLIP_LENGTH) -> NDArray:
    """Cut an array (frames, ...) into clips (clips, length, ...); the incomplete tail is dropped."""
    clips = clip_count(len(frames), length)
    return frames[: clips * length].reshape(clips, length, *frames.shape[1:])
