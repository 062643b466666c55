"""Which clips to learn from, which to tune on, and which to report on.

`blocked` is the default: clips next to each other look alike, so that a random split, the paper's, tells
more about memory than about gestures. It is there to show both.
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
_SWAPS = 3000  # tries to improve an assignment of blocks
_TRAINING, _VALIDATION, _TEST = range(3)


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


def random(known: NDArray[np.bool_], seed: int) -> Split:
    """Return the paper's split: clips drawn at random, 80/10/10.

    Parameters
    ----------
    known : ndarray of bool, shape (clips,)
        Which clips are annotated; the others are in no part.
    seed : int
        Of the draw.
    """
    drawn = np.random.default_rng(seed).permutation(np.flatnonzero(known))
    validation, test = (max(1, round(share * len(drawn))) for share in SHARES[1:])
    return Split(
        training=np.sort(drawn[validation + test :]),
        validation=np.sort(drawn[:validation]),
        test=np.sort(drawn[validation : validation + test]),
    )


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
    clip of another part are dropped, as are validation clips that close to a test clip.

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
    part = _assign(block[known], positive[known], seed)[block]
    part[~known] = -1
    for keep, drop in ((_TEST, _VALIDATION), (_TEST, _TRAINING), (_VALIDATION, _TRAINING)):
        near = _near(times, recording, part == keep)
        part[near & (part == drop)] = -1
    return Split(*(np.flatnonzero(part == number) for number in range(3)))


def _blocks(times: NDArray, recording: NDArray, known: NDArray[np.bool_]) -> NDArray[np.intp]:
    """Return each clip's block, numbered over all recordings."""
    annotated = float((times[known, 1] - times[known, 0]).sum())
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


def _assign(block: NDArray, positive: NDArray[np.bool_], seed: int) -> NDArray[np.intp]:
    """Return each block's part: drawn at random, then improved by swaps."""
    blocks = int(block.max()) + 1 if len(block) else 0
    if len(np.unique(block)) < 3:
        return np.full(max(blocks, 1), _TRAINING)  # leaves the other parts empty, which Split refuses
    clips = np.bincount(block, minlength=blocks)
    events = np.zeros((blocks, positive.shape[1]), np.intp)
    np.add.at(events, block, positive)
    draw = np.random.default_rng(seed)
    part = np.full(blocks, _TRAINING)
    held_out = max(1, round(SHARES[_TEST] * blocks))
    part[:held_out], part[held_out : 2 * held_out] = _TEST, _VALIDATION
    part = draw.permutation(part)
    cost = _cost(part, clips, events)
    for _ in range(_SWAPS):
        one, other = draw.integers(blocks, size=2)
        if part[one] == part[other]:
            continue
        part[one], part[other] = part[other], part[one]
        changed = _cost(part, clips, events)
        if changed <= cost:
            cost = changed
        else:
            part[one], part[other] = part[other], part[one]
    return part


def _cost(part: NDArray, clips: NDArray, events: NDArray) -> float:
    """Return how far an assignment is from the shares, and how many classes miss a part they could be in.

    A class in one block only belongs to the training part, one in two blocks to training and test.
    """
    in_blocks = (events > 0).sum(axis=0)
    cost = 0.0
    for number, share, blocks_needed in zip((_TRAINING, _VALIDATION, _TEST), SHARES, (1, 3, 2), strict=True):
        missing = (events[part == number].sum(axis=0) == 0) & (in_blocks >= blocks_needed)
        cost += missing.sum() + abs(clips[part == number].sum() / clips.sum() - share)
    return cost


def _near(times: NDArray, recording: NDArray, chosen: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Return which clips start or end less than the gap from a chosen clip of their recording."""
    near = np.zeros(len(times), bool)
    for number in np.unique(recording[chosen]):
        mine = np.flatnonzero(recording == number)
        starts, ends = times[chosen & (recording == number)].T
        # Chosen clips are sorted by time: the last that starts before this one's end plus the gap must
        # have ended the gap before this one's start, or they are near.
        last = np.searchsorted(starts, times[mine, 1] + GAP, side="left") - 1
        near[mine] = (last >= 0) & (ends[np.maximum(last, 0)] > times[mine, 0] - GAP)
    return near
