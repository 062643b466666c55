"""What post-processing is tuned for, class by class: F1 of clips, frames or events, or an expert's effort saved."""

from dataclasses import replace
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from heads.intervals import fine_events
from heads.metrics import event_hits, scores_of_counts
from heads.neighbours import Neighbours, in_order
from search.bootstrap import Counts, count
from search.effort import load_costs, operations
from search.evaluation import OVERLAPS, Scored, select
from search.frames import Frames

EFFORT = "effort"
LEVELS = ("clip", "frame", "event", EFFORT)


class Judge:
    """Scores what is decided about some clips.

    Parameters
    ----------
    scored : Scored
        The clips, what is known of them, and their blocks; what was decided before does not matter.
    level : {"clip", "frame", "event", "effort"}
        Which F1; that of events is the mean over the overlaps of `search.evaluation`. Or the share of the work of
        adding all events that is saved by correcting predictions instead (`search.effort`), the watching aside.
        Events are cut at the borders of blocks, so that each block has its own.
    """

    def __init__(self, scored: Scored, level: str):
        self._scored, self._level = scored, level

    def value(self, column: int, present: NDArray[np.bool_]) -> float:
        """Return the score of one class, whose presence is given, (clips,); 0 where there is none of it.

        Of effort, the mean over all classes that are there is what is saved of all.
        """
        if self._level == EFFORT:
            there = [events for events in self._effort.true if sum(map(len, events))]
            every = sum(len(part) for events in there for part in events)
            mine = sum(map(len, self._effort.true[column]))
            return (mine - self._effort.costs(column, present).sum()) * len(there) / every if mine else 0.0
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

        Of events, each overlap is a class more; of effort there are none.
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

    def efforts(self, present: NDArray[np.bool_]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Return what correcting costs, and what adding everything would, in additions by block, (blocks,) each.

        Parameters
        ----------
        present : ndarray of bool, shape (clips, columns)
            Of the first classes.
        """
        columns = range(present.shape[1])
        costs = np.sum([self._effort.costs(column, present[:, column]) for column in columns], axis=0)
        true = np.sum([[len(part) for part in self._effort.true[column]] for column in columns], axis=0)
        return costs, true.astype(np.float64)

    @cached_property
    def _effort(self) -> "_Effort":
        return _Effort(self._scored)

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


class _Effort:
    """Events block by block, and what it costs to make the true ones of predicted ones."""

    def __init__(self, scored: Scored):
        self._costs = load_costs()
        self._scored = scored
        self._blocks: list[tuple[NDArray[np.intp], Neighbours]] = []
        self.true: list[list[NDArray[np.float64]]] = [[] for _ in range(scored.true.shape[1])]
        for number in np.unique(scored.block):
            for recording in np.unique(scored.recording[scored.block == number]):
                chosen = (scored.block == number) & (scored.recording == recording)
                part = select(scored, chosen)
                self._blocks.append((np.flatnonzero(chosen), in_order(part.times)))
                for column, labels in enumerate(part.answered.labels(part.frames).T):
                    self.true[column].append(part.answered.events(labels))

    def costs(self, column: int, present: NDArray[np.bool_]) -> NDArray[np.float64]:
        """Return what correcting a class costs in each block, (blocks,), in additions."""
        found = np.empty(len(self._blocks))
        for number, (index, clips) in enumerate(self._blocks):
            said = self._scored.probability[index, column][clips.order]
            events = {"it": fine_events(said, clips, present[index][clips.order])[0].tolist()}
            wanted = {"it": self.true[column][number].tolist()}
            found[number] = operations(wanted, events, self._costs).cost(self._costs) / self._costs.add
        return found
