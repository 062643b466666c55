"""The clips of all recordings in time, and the blocks that they are cut into."""

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from search.dealing import Content

BLOCK = 30.0  # seconds of a contiguous block
SHORTEST_BLOCK = 5.0
BLOCKS_AT_LEAST = 12  # blocks get shorter before there are fewer of them
GAP = 2.0  # seconds between clips of different parts
_NONE = -1


@dataclass(frozen=True)
class Timeline:
    """The clips of all recordings: when they are, of what, and what is annotated.

    Parameters
    ----------
    times : ndarray of float64, shape (clips, 2)
        Start and end in seconds.
    recording : ndarray of int, shape (clips,)
        Index of each clip's recording.
    known : ndarray of bool, shape (clips,)
        Which clips are annotated; the others are in no part.
    positive : ndarray of bool, shape (clips, classes)
        Hard labels.
    names : tuple of str
        The recordings' ids.
    videos : tuple of str
        For each recording, what tells the video it was made from: its SHA-256, say.
    """

    times: NDArray[np.float64]
    recording: NDArray[np.intp]
    known: NDArray[np.bool_]
    positive: NDArray[np.bool_]
    names: tuple[str, ...]
    videos: tuple[str, ...]

    @cached_property
    def video(self) -> NDArray[np.intp]:
        """Number of each clip's video, in the order of the recordings; shape (clips,)."""
        numbers = {video: number for number, video in enumerate(dict.fromkeys(self.videos))}
        return np.array([numbers[video] for video in self.videos], np.intp)[self.recording]

    def only(self, index: NDArray[np.intp]) -> "Timeline":
        """Return the same clips, of which these alone count as annotated."""
        known = np.zeros(len(self.known), bool)
        known[index] = True
        return replace(self, known=known)

    def in_time(self, chosen: NDArray[np.bool_]) -> NDArray[np.intp]:
        """Return the chosen clips video by video, each in the order of time."""
        return self._order[chosen[self._order]]

    @cached_property
    def _order(self) -> NDArray[np.intp]:
        return np.lexsort((self.times[:, 1], self.times[:, 0], self.video))

    @cached_property
    def annotated(self) -> dict[int, tuple[str, ...]]:
        """The videos of which something is annotated: number -> names of the recordings of which it is."""
        found: dict[int, tuple[str, ...]] = {}
        for number in np.unique(self.recording[self.known]).tolist():
            video = int(self.video[np.argmax(self.recording == number)])
            found[video] = (*found.get(video, ()), self.names[number])
        return dict(sorted(found.items()))

    @cached_property
    def block(self) -> NDArray[np.intp]:
        """Number of each annotated clip's block, (clips,); -1 for a clip not annotated.

        Blocks last 30 s, or a twelfth of the annotated time where that is less, but never under 5 s, unless less of
        a video is annotated. They are cut from each video's annotated time, in equal lengths, what is not annotated
        left out: no block is a stump. Recordings of one video share their blocks. Numbers begin at 0, in the order
        of the videos and of time, none left out.
        """
        clips = {video: self.in_time(self.known & (self.video == video)) for video in self.annotated}
        passed = {video: _annotated_time(self.times[mine]) for video, mine in clips.items()}
        length = max(SHORTEST_BLOCK, min(BLOCK, sum(float(each[-1]) for each in passed.values()) / BLOCKS_AT_LEAST))
        block = np.full(len(self.times), _NONE)
        blocks = 0
        for video, mine in clips.items():
            annotated = passed[video][-1]
            most = int(annotated / SHORTEST_BLOCK + 1e-9)  # times are not exact
            count = max(1, min(round(annotated / length), most))
            block[mine] = blocks + np.minimum(passed[video][:-1] * count // annotated, count - 1)
            blocks += count
        # Where a clip is longer than a block, some blocks have no clip.
        block[self.known] = np.unique(block[self.known], return_inverse=True)[1]
        return block

    @property
    def blocks(self) -> int:
        """How many blocks there are."""
        return int(self.block.max(initial=_NONE)) + 1


def _annotated_time(times: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the annotated seconds before each clip of a video, and all; what clips share counts once."""
    starts, ends = times[:, 0], np.maximum.accumulate(times[:, 1])
    holes = np.cumsum(np.append(0.0, np.maximum(starts[1:] - ends[:-1], 0.0)))
    return np.append(starts - starts[0] - holes, ends[-1] - starts[0] - holes[-1])


def block_contents(timeline: Timeline) -> Content:
    """Return what each block holds, and what it loses if a neighbour claims its gap."""
    block = timeline.block
    counted = np.column_stack([timeline.known, timeline.positive & timeline.known[:, None]]).astype(np.intp)
    whole = np.zeros((timeline.blocks, counted.shape[1]), np.intp)
    head, tail = np.zeros_like(whole), np.zeros_like(whole)
    np.add.at(whole, block[timeline.known], counted[timeline.known])
    for number in range(len(whole) - 1):
        before, behind = block == number, block == number + 1
        tail[number] = counted[before & near(timeline, behind, GAP)].sum(axis=0)
        head[number + 1] = counted[behind & near(timeline, before, GAP)].sum(axis=0)
    return Content(whole, head, tail)


def near(timeline: Timeline, chosen: NDArray[np.bool_], gap: float) -> NDArray[np.bool_]:
    """Return which clips start or end less than the gap from a chosen clip of their video, or overlap it.

    Parameters
    ----------
    timeline : Timeline
        The clips.
    chosen : ndarray of bool, shape (clips,)
        Those from which the distance counts; they are near themselves.
    gap : float
        In seconds.

    Returns
    -------
    ndarray of bool, shape (clips,)
        Annotated or not.
    """
    found = np.zeros(len(chosen), bool)
    for number in np.unique(timeline.video[chosen]):
        mine = np.flatnonzero(timeline.video == number)
        starts, ends = timeline.times[timeline.in_time(chosen & (timeline.video == number))].T
        # The last of the chosen clips that start before this one's end plus the gap, and all before it, must have
        # ended the gap before this one's start, or they are near.
        last = np.searchsorted(starts, timeline.times[mine, 1] + gap, side="left") - 1
        reached = np.maximum.accumulate(ends)[np.maximum(last, 0)]
        found[mine] = (last >= 0) & (reached > timeline.times[mine, 0] - gap)
    return found
