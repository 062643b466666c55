"""Blocks of clips dealt out, to parts of a split or to groups: drawn at random, then improved by swaps."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

_SLACK = 0.03  # shares need not be nearer than this: seeds would all end in the same split
_SWAPS = 3000  # tries to improve what was drawn


@dataclass(frozen=True)
class Content:
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
        """Return what remains of each block under an assignment to parts: next to a later part, a block gives way."""
        yields = part[:-1] < part[1:]
        lost = np.zeros_like(self.whole)
        lost[:-1] += self.tail[:-1] * yields[:, None]
        lost[1:] += self.head[1:] * (part[1:] < part[:-1])[:, None]
        return np.maximum(self.whole - lost, 0)


def share_out(content: Content, shares: Sequence[float], seed: int) -> NDArray[np.intp]:
    """Return a part for each block, such that every class is in every part where its blocks allow.

    A class in one block only belongs to the first part, the training, one in two blocks also to the last.

    Parameters
    ----------
    content : Content
        Of the blocks.
    shares : sequence of float
        Of the clips, by part; the training part first.
    seed : int
        Of the draw.

    Returns
    -------
    ndarray of int, shape (blocks,)
        0 for all where there are fewer blocks than parts.
    """
    blocks, parts = len(content.whole), len(shares)
    if blocks < parts:
        return np.zeros(blocks, np.intp)
    draw = np.random.default_rng(seed)
    held_out = [max(1, round(share * blocks)) for share in shares[:0:-1]]
    part = draw.permutation(np.repeat(np.arange(parts)[::-1], [*held_out, blocks - sum(held_out)]))
    cost = _cost(part, content, shares)
    for _ in range(_SWAPS):
        one, other = draw.integers(blocks, size=2)
        if part[one] == part[other]:
            continue
        part[one], part[other] = part[other], part[one]
        changed = _cost(part, content, shares)
        if changed <= cost:
            cost = changed
        else:
            part[one], part[other] = part[other], part[one]
    return part


def _cost(part: NDArray[np.intp], content: Content, shares: Sequence[float]) -> float:
    """Return how far an assignment is from the shares, and how many classes miss a part they could be in.

    Worst is a part without clips.
    """
    left = content.left(part)
    in_blocks = (content.whole[:, 1:] > 0).sum(axis=0)
    total = max(int(left[:, 0].sum()), 1)
    blocks_needed = (1, *range(len(shares), 1, -1))
    cost = 0.0
    for number, (share, needed) in enumerate(zip(shares, blocks_needed, strict=True)):
        clips, *events = left[part == number].sum(axis=0)
        missing = (np.array(events) == 0) & (in_blocks >= needed)
        cost += missing.sum() + max(abs(clips / total - share) - _SLACK, 0.0)
        cost += (1 + len(in_blocks)) * (clips == 0)
    return float(cost)


def deal(whole: NDArray[np.intp], groups: int, seed: int) -> NDArray[np.intp]:
    """Return a group for each block, such that clips and positives of each class are spread evenly.

    Least squares of the groups' shares; the clips count as much as all classes together.

    Parameters
    ----------
    whole : ndarray of int, shape (blocks, 1 + classes)
        Clips of each block, then positives of each class.
    groups : int
        How many; at most as many as blocks. None is left empty.
    seed : int
        Of the draw.
    """
    share = whole / np.maximum(whole.sum(axis=0), 1)
    share[:, 0] *= np.sqrt(max(share.shape[1] - 1, 1))
    draw = np.random.default_rng(seed)
    group = draw.permutation(np.arange(len(whole)) % groups)
    held = np.stack([share[group == number].sum(axis=0) for number in range(groups)])
    blocks = np.bincount(group, minlength=groups)
    for _ in range(_SWAPS):
        one, other = draw.integers(len(whole), size=2)
        here, there = group[one], group[other]
        swap = draw.random() < 0.5 or blocks[here] == 1  # else one block moves
        moved = share[one] - share[other] if swap else share[one]
        if here == there or moved @ (held[there] - held[here] + moved) > 0:  # half the change of the squares
            continue
        held[here] -= moved
        held[there] += moved
        group[one] = there
        if swap:
            group[other] = here
        else:
            blocks[here] -= 1
            blocks[there] += 1
    return group
