"""F1 of one class after another, at the level of clips, frames or events: what post-processing is tuned for."""

from dataclasses import replace
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from heads.metrics import event_hits, scores_of_counts
from search.bootstrap import Counts, count
from search.evaluation import OVERLAPS, Scored
from search.frames import Frames

LEVELS = ("clip", "frame", "event")


class Judge:
    """Scores what is decided about some clips.

    Parameters
    ----------
    scored : Scored
        The clips, what is known of them, and their blocks; what was decided before does not matter.
    level : {"clip", "frame", "event"}
        Which F1; that of events is the mean over the overlaps of `search.evaluation`. Events are cut at the
        borders of blocks, so that each block has its own.
    """

    def __init__(self, scored: Scored, level: str):
        self._scored, self._level = scored, level

    def f1(self, column: int, present: NDArray[np.bool_]) -> float:
        """Return F1 of one class, whose presence is given, (clips,); 0 where there is none of it."""
        if self._level == "event":
            true, found = self._true_events[column], self._events(present)
            hits = event_hits(true, found, OVERLAPS)
            return float(
                scores_of_counts(hits, np.full(len(hits), len(found)), np.full(len(hits), len(true)))[2].mean()
            )
        true, size = self._there[:, column], self._size
        hits, predicted = (np.array((values * present).sum()) for values in (true, size))
        return float(scores_of_counts(hits, predicted, np.array(true.sum()))[2])

    def counts(self, present: NDArray[np.bool_]) -> Counts:
        """Return what F1 needs of each block, for intervals; `present` (clips, classes).

        Of events, each overlap is a class more.
        """
        if self._level != "event":
            return count(self._there, present, self._scored.block, self._size)
        blocks = np.unique(self._scored.block)
        found = [self._events(column) for column in present.T]
        shape = (len(blocks), len(found), len(OVERLAPS))
        hits, predicted, there = np.zeros(shape), np.zeros(shape), np.zeros(shape)
        for column, events in enumerate(found):
            true = self._true_events[column]
            for row, block in enumerate(blocks):
                mine, real = events[self._block_of(events) == block], true[self._block_of(true) == block]
                hits[row, column] = event_hits(real, mine, OVERLAPS)
                predicted[row, column], there[row, column] = len(mine), len(real)
        flat = (len(blocks), -1)
        return Counts(blocks, hits.reshape(flat), predicted.reshape(flat), there.reshape(flat))

    @cached_property
    def _there(self) -> NDArray:
        """In how many of its frames each clip shows each class, or whether at all; (clips, classes)."""
        return self._scored.true if self._level == "clip" else self._scored.answered.count(self._scored.frames)

    @cached_property
    def _size(self) -> NDArray[np.intp]:
        return np.ones(len(self._scored.true), np.intp) if self._level == "clip" else self._scored.answered.size

    @cached_property
    def _frames(self) -> Frames:
        answered = self._scored.answered
        pieces = np.column_stack([answered.stretch, self._scored.block[answered.clip]])
        return replace(answered, stretch=np.unique(pieces, axis=0, return_inverse=True)[1].ravel())

    @cached_property
    def _true_events(self) -> list[NDArray[np.float64]]:
        return [self._frames.events(column) for column in self._frames.labels(self._scored.frames).T]

    def _events(self, present: NDArray[np.bool_]) -> NDArray[np.float64]:
        return self._frames.events(present[self._frames.clip])

    def _block_of(self, events: NDArray[np.float64]) -> NDArray[np.intp]:
        first = np.searchsorted(self._frames.begin, events[:, 0])
        return self._scored.block[self._frames.clip[first]]
