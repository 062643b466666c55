"""Frames into batches of clips, on the way: their times are kept, their pictures passed on."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from itertools import islice
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from extract.runtimes.inputs import BATCH
from extract.video import Frame
from store.timeline import CLIP_LENGTH, cut


@dataclass(frozen=True)
class Batch:
    """Clips that follow each other.

    Parameters
    ----------
    first : int
        Number of the first of them in the recording.
    times : ndarray of float64, shape (clips, 2)
        Start and end in seconds.
    pictures : ndarray of uint8, shape (clips, 16, size, size, 3), or None
        None for clips that the store has already.
    """

    first: int
    times: NDArray[np.float64]
    pictures: NDArray[np.uint8] | None


class _Seen(NamedTuple):
    time: float
    end: float
    picture: NDArray[np.uint8] | None


@dataclass
class Cutter:
    """Cuts the frames of one video into clips.

    Parameters
    ----------
    stride, tail
        As in `store.timeline.clip_frames`.
    done : int
        Clips that need no pictures, a multiple of BATCH; the first batch has them all the same, for a check
        of the runtime.
    """

    stride: int
    tail: str
    done: int = 0
    starts: list[float] = field(default_factory=list)
    end: float = 0.0

    def batches(self, frames: Iterable[Frame]) -> Iterator[Batch]:
        """Yield all clips, BATCH at a time."""
        clips = cut(self._look(frames), CLIP_LENGTH, self.stride, self.tail)
        first = 0
        while some := list(islice(clips, BATCH)):
            times = np.array([(clip[0].time, max(frame.end for frame in clip)) for clip in some])
            wanted = first == 0 or first >= self.done
            pictures = np.array([[frame.picture for frame in clip] for clip in some]) if wanted else None
            yield Batch(first, times, pictures)
            first += len(some)

    def _look(self, frames: Iterable[Frame]) -> Iterator[_Seen]:
        """Keep each frame's times, and shape its picture if a batch will want it.

        At once: until it is shaped a frame holds the whole decoded picture.
        """
        last_checked = (BATCH - 1) * self.stride + CLIP_LENGTH
        for index, frame in enumerate(frames):
            self.starts.append(frame.time)
            self.end = frame.end
            wanted = index < last_checked or index >= self.done * self.stride
            yield _Seen(frame.time, frame.end, frame.picture if wanted else None)
