"""Which clips to learn from, which to tune on, and which to report on.

`blocked` is the default: clips next to each other look alike, so that a random split, the paper's, tells
more about memory than about gestures. It is there to show both.

Clips may overlap, where a store's stride is less than a clip. Then, too, no clip of one part shares a moment
with a clip of another.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from store.errors import InputError

SHARES = (0.8, 0.1, 0.1)  # training, validation, test (Table 6)
BLOCK = 30.0  # seconds of a contiguous block
SHORTEST_BLOCK = 5.0
BLOCKS_AT_LEAST = 12  # blocks get shorter before there are fewer of them
GAP = 2.0  # seconds between clips of different parts
_SLACK = 0.03  # shares need not be nearer than this: seeds would all end in the same split
_SWAPS = 3000  # tries to improve an assignment of blocks
_TRAINING, _VALIDATION, _TEST = range(3)
_NONE = -1


@dataclass(frozen=True)
class Split:
    """Indices of clips, sorted.

    Parameters
    ----------
    training, validation, test : ndarray of int
        Three exclusive sets.
    """

    training: NDArray[np.intp]
    validation: NDArray[np.intp]
    test: NDArray[np.intp]

    def __post_init__(self) -> None:
        if not (len(self.training) and len(self.validation) and len(self.test)):
            raise InputError(
                "too little is annotated to learn, tune and test on: annotate at least "
                f"{3 * SHORTEST_BLOCK:.0f} s, better two minutes"
            )


def random(times: NDArray[np.float64], recording: NDArray[np.intp], known: NDArray[np.bool_], seed: int) -> Split:
    """Return the paper's split: clips drawn at random, 80/10/10.

    Clips that overlap are drawn together: a clip with all that start before it ends. Training clips that
    overlap a clip of another part are dropped, as are validation clips that overlap a test clip; the shares
    are those before.

    Parameters
    ----------
    times : ndarray of float64, shape (clips, 2)
        Start and end in seconds.
    recording : ndarray of int, shape (clips,)
        Index of each clip's recording.
    known : ndarray of bool, shape (clips,)
        Which clips are annotated; the others are in no part.
    seed : int
        Of the draw.
    """
    unit = _units(times, recording, known)
    drawn = np.random.default_rng(seed).permutation(np.unique(unit[known]))
    validation, test = (max(1, round(share * len(drawn))) for share in SHARES[1:])
    part = np.full(len(times), _TRAINING)
    part[np.isin(unit, drawn[:validation])] = _VALIDATION
    part[np.isin(unit, drawn[validation : validation + test])] = _TEST
    part[~known] = _NONE
    return _purged(part, times, recording, gap=0.0)


def _units(times: NDArray, recording: NDArray, known: NDArray[np.bool_]) -> NDArray[np.intp]:
    """Return for each annotated clip the first of the clips that it is drawn together with."""
    unit = np.arange(len(times))
    first = None
    for clip in np.flatnonzero(known).tolist():
        if first is None or recording[clip] != recording[first] or times[clip, 0] >= times[first, 1]:
            first = clip
        unit[clip] = first
    return unit


def blocked(
    times: NDArray[np.float64],
    recording: NDArray[np.intp],
    known: NDArray[np.bool_],
    positive: NDArray[np.bool_],
    seed: int,
) -> Split:
    """Return a split by contiguous blocks, 80/10/10 by clips, with a gap between the parts.

    Blocks last 30 s, or a twelfth of the annotated time where that is less, but never under 5 s. They are
    drawn so that every class is in every part where its blocks allow. Training clips closer than 2 s to a
    clip of another part are dropped, as are validation clips that close to a test clip; the shares are those
    of what is left.

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
    seed : int
        Of the draw.

    Raises
    ------
    InputError
        If there are fewer than three blocks.
    """
    block = _blocks(times, recording, known)
    block[known] = np.unique(block[known], return_inverse=True)[1]  # no numbers for blocks without clips
    content = _content(times, recording, block, known, positive)
    part = _assign(content, seed)[block]
    part[~known] = _NONE
    return _purged(part, times, recording, GAP)


def _purged(part: NDArray[np.intp], times: NDArray, recording: NDArray, gap: float) -> Split:
    """Drop the clips nearer than the gap to a clip of another part, training before validation before test."""
    for keep, drop in ((_TEST, _VALIDATION), (_TEST, _TRAINING), (_VALIDATION, _TRAINING)):
        near = _near(times, recording, part == keep, gap)
        part[near & (part == drop)] = _NONE
    return Split(*(np.flatnonzero(part == number) for number in range(3)))


def _blocks(times: NDArray, recording: NDArray, known: NDArray[np.bool_]) -> NDArray[np.intp]:
    """Return each clip's block, numbered over all recordings."""
    starts, ends = times[known].T
    following = np.append(starts[1:], np.inf)
    following[np.append(np.diff(recording[known]) != 0, True)] = np.inf
    annotated = float((np.minimum(ends, following) - starts).sum())  # what clips share counts once
    length = max(SHORTEST_BLOCK, min(BLOCK, annotated / BLOCKS_AT_LEAST))
    block = np.zeros(len(times), np.intp)
    blocks = 0
    for number in np.unique(recording[known]):
        mine = np.flatnonzero(known & (recording == number))
        start, end = times[mine[0], 0], times[mine[-1], 1]
        count = max(1, round((end - start) / length))  # equal blocks, no stump at the end
        block[mine] = blocks + np.minimum((times[mine, 0] - start) * count // (end - start), count - 1)
        blocks += count
    return block


@dataclass(frozen=True)
class _Content:
    """What blocks hold: per block the number of clips, then of positives of each class.

    Parameters
    ----------
    whole : ndarray of int, shape (blocks, 1 + classes)
        The whole block.
    head, tail : ndarray of int, shape (blocks, 1 + classes)
        What is lost if the block before, or the one behind, claims its gap.
    """

    whole: NDArray[np.intp]
    head: NDArray[np.intp]
    tail: NDArray[np.intp]

    def left(self, part: NDArray[np.intp]) -> NDArray[np.intp]:
        """Return what an assignment of the blocks to parts leaves: test clips stay, training clips give way."""
        yields = part[:-1] < part[1:]
        lost = np.zeros_like(self.whole)
        lost[:-1] += self.tail[:-1] * yields[:, None]
        lost[1:] += self.head[1:] * (part[1:] < part[:-1])[:, None]
        return np.maximum(self.whole - lost, 0)


def _content(
    times: NDArray, recording: NDArray, block: NDArray, known: NDArray[np.bool_], positive: NDArray[np.bool_]
) -> _Content:
    counted = np.column_stack([known, positive & known[:, None]]).astype(np.intp)
    whole = np.zeros((int(block.max(initial=0)) + 1, counted.shape[1]), np.intp)
    head, tail = np.zeros_like(whole), np.zeros_like(whole)
    np.add.at(whole, block, counted)
    for number in range(len(whole) - 1):
        before, behind = known & (block == number), known & (block == number + 1)
        tail[number] = counted[before & _near(times, recording, behind, GAP)].sum(axis=0)
        head[number + 1] = counted[behind & _near(times, recording, before, GAP)].sum(axis=0)
    return _Content(whole, head, tail)


def _assign(content: _Content, seed: int) -> NDArray[np.intp]:
    """Return each block's part: drawn at random, then improved by swaps."""
    blocks = len(content.whole)
    part = np.full(blocks, _TRAINING)
    if blocks < 3:
        return part  # leaves the other parts empty, which Split refuses
    draw = np.random.default_rng(seed)
    held_out = max(1, round(SHARES[_TEST] * blocks))
    part[:held_out], part[held_out : 2 * held_out] = _TEST, _VALIDATION
    part = draw.permutation(part)
    cost = _cost(part, content)
    for _ in range(_SWAPS):
        one, other = draw.integers(blocks, size=2)
        if part[one] == part[other]:
            continue
        part[one], part[other] = part[other], part[one]
        changed = _cost(part, content)
        if changed <= cost:
            cost = changed
        else:
            part[one], part[other] = part[other], part[one]
    return part


def _cost(part: NDArray, content: _Content) -> float:
    """Return how far an assignment is from the shares, and how many classes miss a part they could be in.

    A class in one block only belongs to the training part, one in two blocks to training and test. Worst is
    a part without clips.
    """
    left = content.left(part)
    in_blocks = (content.whole[:, 1:] > 0).sum(axis=0)
    total = max(int(left[:, 0].sum()), 1)
    cost = 0.0
    for number, share, blocks_needed in zip((_TRAINING, _VALIDATION, _TEST), SHARES, (1, 3, 2), strict=True):
        clips, *events = left[part == number].sum(axis=0)
        missing = (np.array(events) == 0) & (in_blocks >= blocks_needed)
        cost += missing.sum() + max(abs(clips / total - share) - _SLACK, 0.0)
        cost += (1 + len(in_blocks)) * (clips == 0)
    return float(cost)


def _near(times: NDArray, recording: NDArray, chosen: NDArray[np.bool_], gap: float) -> NDArray[np.bool_]:
    """Return which clips start or end less than the gap from a chosen clip of their recording, or overlap it."""
    near = np.zeros(len(times), bool)
    for number in np.unique(recording[chosen]):
        mine = np.flatnonzero(recording == number)
        starts, ends = times[chosen & (recording == number)].T
        # Chosen clips are sorted by time, by their starts and by their ends: the last that starts before this
        # one's end plus the gap must have ended the gap before this one's start, or they are near.
        last = np.searchsorted(starts, times[mine, 1] + gap, side="left") - 1
        near[mine] = (last >= 0) & (ends[np.maximum(last, 0)] > times[mine, 0] - gap)
    return near
