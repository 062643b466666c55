"""Which clips to learn from, which to tune on, and which to report on.

`blocked` is the default: clips next to each other look alike, so that a random split, the paper's, tells
more about memory than about gestures. It is there to show both.

Recordings of one video, its regions of interest, are one thing: what one performer does while the other is
tested is no secret. And where clips overlap, a store's stride being less than a clip, no clip of one part
shares a moment with a clip of another.
"""

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from search.blocks import GAP, Timeline, block_contents, near
from search.clipwise import at_random, first_tested, leave_out
from search.dealing import deal, share_out
from search.parts import NONE, PARTS, SHARES, TEST, TRAINING, VALIDATION, Split, TooLittleError, apart, purged
from search.split_names import FEWEST_FOLDS, parse_split
from store.errors import InputError

HELD_OUT_FROM = 45.0  # seconds annotated: of less, what is left to learn from is worth more than a score of a few clips


@dataclass(frozen=True)
class Fold:
    """A split, and what to call it: a split with one fold by its own name, else by what is tested.

    Parameters
    ----------
    name : str
        As `blocked`, `leave-out:video-1`, `cv:5/2`.
    split : Split
        Its clips.
    """

    name: str
    split: Split


def make_folds(name: str, timeline: Timeline, seed: int) -> tuple[Fold, ...]:
    """Divide the annotated clips into training, validation and test, once or several times.

    Training clips too near to a clip of another part are dropped, as are validation clips too near to a test
    clip. Too near is less than 2 s away where blocks are drawn, overlapping where
    clips are drawn at random; overlapping clips are drawn together, a clip with all that start before it ends.
    `blocked` has its shares of what is left then, the others before.

    Parameters
    ----------
    name : str
        `blocked`: blocks (see `Timeline.block`), 80/10/10 by clips, every class in every part where its blocks
        allow. `random`: clips drawn at random, 80/10/10 (the paper). `paper-v1test`: random, the test tenth from
        the first recording by name alone, at most half of it (what the paper's scores look like); validation a
        random tenth of the rest. `leave-out:RECORDING`: test on one recording, validation a random tenth of the
        others (the paper, Table 8). `leave-one-out`: each recording tested in turn, validation on another, the
        next; with two recordings on a blocked tenth of the other. `cv:K`: blocks dealt into K groups, clips and
        positives spread evenly; each group tested in turn, validation on the next.
    timeline : Timeline
        The clips. Wherever a recording is drawn or left out, all recordings of its video are.
    seed : int
        Of the draw. `leave-one-out` draws only with two recordings.

    Returns
    -------
    tuple of Fold
        One, or as many as there are videos or groups.

    Raises
    ------
    InputError
        If there is no such split, or too little is annotated for it.
    """
    kind, argument = parse_split(name)
    if kind == "leave-one-out":
        return tuple(_leave_one_out(timeline, seed))
    if kind == "cv":
        return tuple(_cross_validation(timeline, int(argument), seed))
    if kind == "blocked":
        split = purged(_blocked(timeline, SHARES, seed), timeline, GAP)
    elif kind == "random":
        split = at_random(timeline, seed)
    elif kind == "paper-v1test":
        split = first_tested(timeline, seed)
    else:
        split = leave_out(timeline, argument, seed)
    return (Fold(name, split),)


def _blocked(timeline: Timeline, shares: tuple[float, ...], seed: int) -> NDArray[np.intp]:
    """Return each clip's part, drawn by blocks."""
    part = np.full(len(timeline.known), NONE)
    part[timeline.known] = share_out(block_contents(timeline), shares, seed)[timeline.block[timeline.known]]
    return part


def _leave_one_out(timeline: Timeline, seed: int) -> Iterator[Fold]:
    videos = list(timeline.annotated)
    if len(videos) < 2:
        raise InputError("leave-one-out: only one video is annotated: annotate another, or take the split blocked")
    for held_out, following in zip(videos, videos[1:] + videos[:1], strict=True):
        part = np.full(len(timeline.times), TRAINING)
        if len(videos) == 2:
            remaining = replace(timeline, known=timeline.known & (timeline.video == following))
            part = _blocked(remaining, (1 - SHARES[VALIDATION], SHARES[VALIDATION]), seed)
        else:
            part[timeline.video == following] = VALIDATION
        part[timeline.video == held_out] = TEST
        part[~timeline.known] = NONE
        yield Fold(f"leave-out:{'+'.join(timeline.annotated[held_out])}", purged(part, timeline, GAP))


def _cross_validation(timeline: Timeline, folds: int, seed: int) -> Iterator[Fold]:
    blocks = timeline.blocks
    if folds > blocks:
        remedy = "take fewer folds or annotate more" if blocks >= FEWEST_FOLDS else "annotate more"
        raise InputError(f"cv:{folds}: there are only {blocks} blocks of annotated time: {remedy}")
    group = deal(block_contents(timeline).whole, folds, seed)[timeline.block]
    for fold in range(folds):
        part = np.full(len(group), TRAINING)
        part[group == (fold + 1) % folds] = VALIDATION
        part[group == fold] = TEST
        part[~timeline.known] = NONE
        try:
            split = purged(part, timeline, GAP)
        except InputError as error:
            raise InputError(f"cv:{folds}: {error}, or take fewer folds") from None
        yield Fold(f"cv:{folds}/{fold + 1}", split)


def enough_to_hold_out(timeline: Timeline) -> bool:
    """Return whether so much is annotated that a part of it may be kept from learning."""
    return float(np.diff(timeline.times[timeline.known], axis=1).sum()) >= HELD_OUT_FROM


def everything(timeline: Timeline) -> Split:
    """Return the split that learns from all that is annotated."""
    nothing = np.empty(0, np.intp)
    return Split(np.flatnonzero(timeline.known), nothing, nothing)


def left_out_in_turn(timeline: Timeline, groups: int) -> Iterator[Split]:
    """Yield for each of some groups of neighbouring blocks the split that tests on it and learns from the others.

    Nothing is for validation: this is for so little that every clip counts. A group without which too little is
    left to learn from is passed over.

    Parameters
    ----------
    timeline : Timeline
        The clips.
    groups : int
        At most; there are no more than blocks.
    """
    blocks = timeline.blocks
    groups = min(groups, blocks)
    for number in range(groups if groups > 1 else 0):
        part = np.where(timeline.block * groups // blocks == number, TEST, TRAINING)
        part[~timeline.known] = NONE
        with suppress(TooLittleError):
            yield apart(part, timeline, GAP)


def extended(timeline: Timeline, earlier: NDArray[np.str_], seed: int) -> Split:
    """Return a split of clips some of which have been in a part before.

    These stay in it. The others are dealt by blocks to training and validation, and to test where there is none yet:
    then to no clip nearer than the gap to one that has been learned from. All is for training where there is neither
    validation nor test, and too little to hold something out.

    Parameters
    ----------
    timeline : Timeline
        The clips.
    earlier : ndarray of str, shape (clips,)
        Part of each clip: training, validation, test; anything else for none.
    seed : int
        Of the draw.

    Raises
    ------
    TooLittleError
        If there is nothing to learn from.
    """
    part = np.full(len(earlier), NONE)
    for number, name in enumerate(PARTS):
        part[earlier == name] = number
    before = part != NONE
    part[~timeline.known] = NONE
    fresh = timeline.known & ~before
    tested = bool((part == TEST).any())
    free = fresh & ~near(timeline, before, GAP)
    part[fresh] = TRAINING
    held_out = (part == VALIDATION).any() or (part == TEST).any()
    if free.any() and (held_out or enough_to_hold_out(timeline)):
        shares = (1 - SHARES[VALIDATION], SHARES[VALIDATION]) if tested else SHARES
        part[free] = _blocked(replace(timeline, known=free), shares, seed)[free]
    return apart(part, timeline, GAP)
