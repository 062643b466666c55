"""Scored clips in the order of time: which of them are neighbours, which frames each answers for, and events."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from heads.neighbours import in_order, runs_within


@dataclass(frozen=True)
class Frames:
    """Frames that scored clips answer for, each once, by recording and time.

    The frames of a clip are taken as equally long. Where clips overlap, each answers for its middle: of the
    frames that two neighbours share, the first half goes to the earlier clip. A clip that repeats frames to be
    full is taken as if it had that many.

    Parameters
    ----------
    clip, frame : ndarray of int, shape (frames,)
        Index of each frame's clip, and its place in it.
    begin, end : ndarray of float64, shape (frames,)
        In seconds, on one time line: the recordings stand one after the other, apart.
    stretch : ndarray of int, shape (frames,)
        Number of its stretch of neighbouring clips: the end of one is the start of the next, or later.
    clips : int
        How many there are.
    """

    clip: NDArray[np.intp]
    frame: NDArray[np.intp]
    begin: NDArray[np.float64]
    end: NDArray[np.float64]
    stretch: NDArray[np.intp]
    clips: int

    @property
    def size(self) -> NDArray[np.intp]:
        """For how many frames each clip answers, (clips,)."""
        return np.bincount(self.clip, minlength=self.clips)

    def labels(self, frames: NDArray[np.bool_]) -> NDArray[np.bool_]:
        """Return the labels of the frames, (frames, classes), from those of the clips, (clips, length, classes)."""
        return frames[self.clip, self.frame]

    def count(self, frames: NDArray[np.bool_]) -> NDArray[np.intp]:
        """Return in how many of each clip's frames each class is, (clips, classes); `frames` as for `labels`."""
        total = np.zeros((self.clips, frames.shape[2]), np.intp)
        np.add.at(total, self.clip, self.labels(frames))
        return total

    def events(self, present: NDArray[np.bool_]) -> NDArray[np.float64]:
        """Return the runs of frames in which a class is present, within a stretch, (events, 2), sorted.

        Parameters
        ----------
        present : ndarray of bool, shape (frames,)
            Of one class.
        """
        first, last = runs_within(present, self.stretch)
        return np.column_stack([self.begin[first], self.end[last]])


def in_time(times: NDArray[np.float64], recording: NDArray[np.intp], length: int) -> Frames:
    """Put clips, in any order, into that of time.

    Parameters
    ----------
    times : ndarray of float64, shape (clips, 2)
        Start and end in seconds.
    recording : ndarray of int, shape (clips,)
        Index of each clip's recording.
    length : int
        Frames in a clip.

    Raises
    ------
    ValueError
        If a clip is there twice.
    """
    clips = in_order(times, recording)
    order = clips.order
    (start, end), recording = times[order].T, recording[order]
    joined = clips.stretch[1:] == clips.stretch[:-1]
    lasting = (end - start) / length
    shared = np.where(joined, np.rint((end[:-1] - start[1:]) / lasting[:-1]), 0).clip(0, length).astype(np.intp)
    first = np.append(0, shared - shared // 2)
    stop = length - np.append(shared // 2, 0)
    place = np.arange(length)
    row, frame = np.nonzero((place >= first[:, None]) & (place < stop[:, None]))
    # One recording after the other, a second apart.
    longest = (end.max() - start.min() + 1) if len(end) else 0
    shift = np.append(0, np.cumsum(recording[1:] != recording[:-1])) * longest
    begin = (start + shift)[row] + frame * lasting[row]
    return Frames(
        clip=order[row],
        frame=frame,
        begin=begin,
        end=begin + lasting[row],
        stretch=clips.stretch[row],
        clips=len(times),
    )
