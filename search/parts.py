"""The three parts that clips are divided into: to learn from, to tune on, to report on; and the gap between them."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from search.blocks import SHORTEST_BLOCK, Timeline, near
from store.errors import InputError

PARTS = ("training", "validation", "test")
SHARES = (0.8, 0.1, 0.1)  # of the clips (Table 6)
TRAINING, VALIDATION, TEST = range(3)
NONE = -1  # of a clip in no part


@dataclass(frozen=True)
class Split:
    """Indices of clips, sorted.

    Parameters
    ----------
    training, validation, test : ndarray of int
        Three exclusive sets; `search.splits.make_folds` leaves none of them empty.
    """

    training: NDArray[np.intp]
    validation: NDArray[np.intp]
    test: NDArray[np.intp]

    def __post_init__(self) -> None:
        if not len(self.training):
            raise TooLittleError("too little is annotated to learn from: annotate a minute, better two")


class TooLittleError(InputError):
    """Less is annotated than a split needs."""


def apart(part: NDArray[np.intp], timeline: Timeline, gap: float) -> Split:
    """Return the parts without clips nearer than the gap to another part: training yields before validation.

    Parameters
    ----------
    part : ndarray of int, shape (clips,)
        Number of each clip's part, or `NONE`; it is changed.
    timeline : Timeline
        The clips.
    gap : float
        In seconds.

    Raises
    ------
    TooLittleError
        If nothing is left to learn from.
    """
    for keep, drop in ((TEST, VALIDATION), (TEST, TRAINING), (VALIDATION, TRAINING)):
        part[near(timeline, part == keep, gap) & (part == drop)] = NONE
    return Split(*(np.flatnonzero(part == number) for number in range(3)))


def purged(part: NDArray[np.intp], timeline: Timeline, gap: float) -> Split:
    """Return the parts as `apart` does.

    Raises
    ------
    TooLittleError
        If one of them is empty.
    """
    if all((part == number).any() for number in range(3)):
        split = apart(part, timeline, gap)
        if len(split.validation) and len(split.test):
            return split
    raise TooLittleError(
        "too little is annotated to learn, tune and test on: annotate at least "
        f"{3 * SHORTEST_BLOCK:.0f} s, better two minutes"
    )
