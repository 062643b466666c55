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

from search.blocks import GAP, SHORTEST_BLOCK, Timeline, block_contents, near
from search.dealing import deal, share_out
from store.errors import InputError

SPLITS = ("blocked", "random", "paper-v1test", "leave-out:RECORDING", "leave-one-out", "cv:K")
SHARES = (0.8, 0.1, 0.1)  # training, validation, test (Table 6)
HELD_OUT_FROM = 45.0  # seconds annotated: of less, what is left to learn from is worth more than a score of a few clips
_TRAINING, _VALIDATION, _TEST = range(3)
_NONE = -1


@dataclass(frozen=True)
class Split:
    """Indices of clips, sorted.

    Parameters
    ----------
    training, validation, test : ndarray of int
        Three exclusive sets; `make_folds` leaves none of them empty.
    """

    training: NDArray[np.intp]
    validation: NDArray[np.intp]
    test: NDArray[np.intp]

    def __post_init__(self) -> None:
        if not len(self.training):
            raise TooLittleError("too little is annotated to learn from: annotate a minute, better two")


class TooLittleError(InputError):
    """Less is annotated than a split needs."""


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
    kind, separator, argument = name.partition(":")
    if name == "leave-one-out":
        return tuple(_leave_one_out(timeline, seed))
    if kind == "cv" and separator:
        return tuple(_cross_validation(timeline, argument, seed))
    if name == "blocked":
        split = _purged(_blocked(timeline, SHARES, seed), timeline, GAP)
    elif name == "random":
        split = _random(timeline, seed)
    elif name == "paper-v1test":
        split = _first_tested(timeline, seed)
    elif kind == "leave-out" and separator:
        split = _leave_out(timeline, argument, seed)
    else:
        raise InputError(f"no split is called {name!r}: there are {', '.join(SPLITS)}")
    return (Fold(name, split),)


def _blocked(timeline: Timeline, shares: tuple[float, ...], seed: int) -> NDArray[np.intp]:
    """Return each clip's part, drawn by blocks."""
    part = np.full(len(timeline.known), _NONE)
    part[timeline.known] = share_out(block_contents(timeline), shares, seed)[timeline.block[timeline.known]]
    return part


def _random(timeline: Timeline, seed: int) -> Split:
    unit = _units(timeline)
    drawn = np.random.default_rng(seed).permutation(np.unique(unit[timeline.known]))
    validation, test = (max(1, round(share * len(drawn))) for share in SHARES[1:])
    return _by_units(timeline, unit, drawn[:validation], drawn[validation : validation + test])


def _first_tested(timeline: Timeline, seed: int) -> Split:
    unit = _units(timeline)
    units = np.unique(unit[timeline.known])
    first = min(timeline.annotated, key=lambda video: min(timeline.annotated[video]), default=_NONE)
    of_first = np.unique(unit[timeline.known & (timeline.video == first)])
    count = min(max(1, round(SHARES[_TEST] * len(units))), len(of_first) // 2)
    draw = np.random.default_rng(seed)
    test = draw.permutation(of_first)[:count]
    return _by_units(timeline, unit, _random_tenth(np.setdiff1d(units, test), draw), test)


def _leave_out(timeline: Timeline, name: str, seed: int) -> Split:
    known = [timeline.names[number] for number in np.unique(timeline.recording[timeline.known])]
    if name not in known:
        raise InputError(
            f"no recording {name!r} is annotated that could be left out: there are {', '.join(known) or 'none'}"
        )
    held_out = timeline.video == timeline.video[np.argmax(timeline.recording == timeline.names.index(name))]
    if held_out[timeline.known].all():
        raise InputError(f"only the video of {name} is annotated: annotate another to leave it out")
    unit = _units(timeline)
    others = np.unique(unit[timeline.known & ~held_out])
    return _by_units(
        timeline, unit, _random_tenth(others, np.random.default_rng(seed)), unit[timeline.known & held_out]
    )


def _random_tenth(units: NDArray[np.intp], draw: np.random.Generator) -> NDArray[np.intp]:
    return draw.permutation(units)[: max(1, round(SHARES[_VALIDATION] * len(units)))]


def _units(timeline: Timeline) -> NDArray[np.intp]:
    """Return for each annotated clip the first of the clips that it is drawn together with."""
    times, video = timeline.times, timeline.video
    unit = np.arange(len(times))
    first = None
    for clip in timeline.in_time(timeline.known).tolist():
        if first is None or video[clip] != video[first] or times[clip, 0] >= times[first, 1]:
            first = clip
        unit[clip] = first
    return unit


def _by_units(
    timeline: Timeline, unit: NDArray[np.intp], validation: NDArray[np.intp], test: NDArray[np.intp]
) -> Split:
    part = np.full(len(unit), _TRAINING)
    part[np.isin(unit, validation)] = _VALIDATION
    part[np.isin(unit, test)] = _TEST
    part[~timeline.known] = _NONE
    return _purged(part, timeline, gap=0.0)


def _leave_one_out(timeline: Timeline, seed: int) -> Iterator[Fold]:
    videos = list(timeline.annotated)
    if len(videos) < 2:
        raise InputError("leave-one-out: only one video is annotated: annotate another, or take the split blocked")
    for held_out, following in zip(videos, videos[1:] + videos[:1], strict=True):
        part = np.full(len(timeline.times), _TRAINING)
        if len(videos) == 2:
            remaining = replace(timeline, known=timeline.known & (timeline.video == following))
            part = _blocked(remaining, (1 - SHARES[_VALIDATION], SHARES[_VALIDATION]), seed)
        else:
            part[timeline.video == following] = _VALIDATION
        part[timeline.video == held_out] = _TEST
        part[~timeline.known] = _NONE
        yield Fold(f"leave-out:{'+'.join(timeline.annotated[held_out])}", _purged(part, timeline, GAP))


def _cross_validation(timeline: Timeline, number: str, seed: int) -> Iterator[Fold]:
    if not (number.isascii() and number.isdigit() and int(number) >= 3):
        raise InputError(f"cv:{number}: the number of folds is 3 or more, as in cv:5")
    folds, blocks = int(number), timeline.blocks
    if folds > blocks:
        remedy = "take fewer folds or annotate more" if blocks >= 3 else "annotate more"
        raise InputError(f"cv:{number}: there are only {blocks} blocks of annotated time: {remedy}")
    group = deal(block_contents(timeline).whole, folds, seed)[timeline.block]
    for fold in range(folds):
        part = np.full(len(group), _TRAINING)
        part[group == (fold + 1) % folds] = _VALIDATION
        part[group == fold] = _TEST
        part[~timeline.known] = _NONE
        try:
            split = _purged(part, timeline, GAP)
        except InputError as error:
            raise InputError(f"cv:{number}: {error}, or take fewer folds") from None
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
        part = np.where(timeline.block * groups // blocks == number, _TEST, _TRAINING)
        part[~timeline.known] = _NONE
        with suppress(TooLittleError):
            yield _apart(part, timeline, GAP)


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
    part = np.full(len(earlier), _NONE)
    for number, name in enumerate(("training", "validation", "test")):
        part[earlier == name] = number
    before = part != _NONE
    part[~timeline.known] = _NONE
    fresh = timeline.known & ~before
    tested = bool((part == _TEST).any())
    free = fresh & ~near(timeline, before, GAP)
    part[fresh] = _TRAINING
    held_out = (part == _VALIDATION).any() or (part == _TEST).any()
    if free.any() and (held_out or enough_to_hold_out(timeline)):
        shares = (1 - SHARES[_VALIDATION], SHARES[_VALIDATION]) if tested else SHARES
        part[free] = _blocked(replace(timeline, known=free), shares, seed)[free]
    return _apart(part, timeline, GAP)


def _apart(part: NDArray[np.intp], timeline: Timeline, gap: float) -> Split:
    """Drop the clips nearer than the gap to a clip of another part, training before validation before test."""
    for keep, drop in ((_TEST, _VALIDATION), (_TEST, _TRAINING), (_VALIDATION, _TRAINING)):
        part[near(timeline, part == keep, gap) & (part == drop)] = _NONE
    return Split(*(np.flatnonzero(part == number) for number in range(3)))


def _purged(part: NDArray[np.intp], timeline: Timeline, gap: float) -> Split:
    """Return the three parts, the gap between them, none of them empty."""
    if all((part == number).any() for number in range(3)):
        split = _apart(part, timeline, gap)
        if len(split.validation) and len(split.test):
            return split
    raise TooLittleError(
        "too little is annotated to learn, tune and test on: annotate at least "
        f"{3 * SHORTEST_BLOCK:.0f} s, better two minutes"
    )
