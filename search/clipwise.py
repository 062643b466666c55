"""Splits drawn clip by clip, as the paper draws them; clips that overlap are drawn together."""

import numpy as np
from numpy.typing import NDArray

from search.blocks import Timeline
from search.parts import NONE, SHARES, TEST, TRAINING, VALIDATION, Split, purged
from store.errors import InputError


def at_random(timeline: Timeline, seed: int) -> Split:
    """Return a split of clips drawn at random, 80/10/10."""
    unit = _units(timeline)
    drawn = np.random.default_rng(seed).permutation(np.unique(unit[timeline.known]))
    validation, test = (max(1, round(share * len(drawn))) for share in SHARES[1:])
    return _by_units(timeline, unit, drawn[:validation], drawn[validation : validation + test])


def first_tested(timeline: Timeline, seed: int) -> Split:
    """Return a split that tests on clips of the first recording by name: a tenth of all, at most half of its own."""
    unit = _units(timeline)
    units = np.unique(unit[timeline.known])
    first = min(timeline.annotated, key=lambda video: min(timeline.annotated[video]), default=NONE)
    of_first = np.unique(unit[timeline.known & (timeline.video == first)])
    count = min(max(1, round(SHARES[TEST] * len(units))), len(of_first) // 2)
    draw = np.random.default_rng(seed)
    test = draw.permutation(of_first)[:count]
    return _by_units(timeline, unit, _random_tenth(np.setdiff1d(units, test), draw), test)


def leave_out(timeline: Timeline, name: str, seed: int) -> Split:
    """Return a split that tests on one recording and all others of its video; validation is a tenth of the rest.

    Raises
    ------
    InputError
        If there is no such recording annotated, or no other video.
    """
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
    return draw.permutation(units)[: max(1, round(SHARES[VALIDATION] * len(units)))]


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
    part = np.full(len(unit), TRAINING)
    part[np.isin(unit, validation)] = VALIDATION
    part[np.isin(unit, test)] = TEST
    part[~timeline.known] = NONE
    return purged(part, timeline, gap=0.0)
