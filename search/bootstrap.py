"""How sure a score is: intervals by drawing blocks of clips again, with replacement.

Clips next to each other are alike, so that whole blocks are drawn, never clips. All that F1 needs of a block
are three counts for each class; a draw is then a weighted sum, and two systems are compared on the same draws.

An interval tells what another choice of stretches of these recordings might have given. It does not tell of
other recordings, nor of other seeds.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from heads.metrics import Scores, scores_of_counts

DRAWS = 2000
LEVEL = 0.95
SEED = 0
Interval = tuple[float, float]


@dataclass(frozen=True)
class Counts:
    """What F1 needs of each block.

    Parameters
    ----------
    block : ndarray of int, shape (blocks,)
        Numbers of the blocks, sorted.
    hits, predicted, true : ndarray of float64, shape (blocks, classes)
        How often each class is predicted where it is, predicted, and there; expected counts of what is
        predicted at random.
    """

    block: NDArray[np.intp]
    hits: NDArray[np.float64]
    predicted: NDArray[np.float64]
    true: NDArray[np.float64]

    def scores(self) -> Scores:
        """Return precision, recall and F1 of each class over all blocks, each (classes,)."""
        return scores_of_counts(self.hits.sum(axis=0), self.predicted.sum(axis=0), self.true.sum(axis=0))

    def micro_f1(self) -> float:
        """Return F1 over all classes at once."""
        return float(scores_of_counts(*(np.array(each.sum()) for each in (self.hits, self.predicted, self.true)))[2])

    def drawn(self, weights: NDArray) -> Scores:
        """Return the scores in each draw, (draws, classes); weights (draws, blocks) say how often a block is in it."""
        return scores_of_counts(weights @ self.hits, weights @ self.predicted, weights @ self.true)

    def drawn_f1(self, weights: NDArray) -> NDArray[np.float64]:
        """Return F1 in each draw, (draws, classes)."""
        return self.drawn(weights)[2]


@dataclass(frozen=True)
class Difference:
    """By how much one system's macro-F1 is above another's.

    Parameters
    ----------
    mean : float
        Over the runs.
    interval : tuple of float, or None
        Low and high end, 95 %; None where there are fewer than two blocks.
    runs : tuple of float
        Each run's own difference.
    """

    mean: float
    interval: Interval | None
    runs: tuple[float, ...]


def count(true: NDArray, predicted: NDArray, block: NDArray[np.intp], size: NDArray[np.intp] | None = None) -> Counts:
    """Count by block.

    Parameters
    ----------
    true : ndarray of bool or int, shape (clips, classes)
        Presence as annotated, or in how many of a clip's frames.
    predicted : ndarray of bool or float, shape (clips, classes)
        Presence as predicted, or its probability where that is left to chance.
    block : ndarray of int, shape (clips,)
        Each clip's block.
    size : ndarray of int, shape (clips,), optional
        Frames of each clip, where frames are counted.
    """
    numbers, inverse = np.unique(block, return_inverse=True)
    said = predicted.astype(np.float64)

    def by_block(values: NDArray) -> NDArray[np.float64]:
        total = np.zeros((len(numbers), values.shape[1]))
        np.add.at(total, inverse, values)
        return total

    return Counts(
        block=numbers,
        hits=by_block(said * true),
        predicted=by_block(said if size is None else said * size[:, None]),
        true=by_block(true),
    )


def draw_blocks(blocks: int, draws: int = DRAWS, seed: int = SEED) -> NDArray[np.int64]:
    """Return how often each block is in each draw of as many blocks, with replacement, (draws, blocks)."""
    return np.random.default_rng(seed).multinomial(blocks, np.full(blocks, 1 / blocks), size=draws)


def percentile_interval(drawn: NDArray[np.float64], blocks: int) -> Interval | None:
    """Return the middle 95 % of drawn scores, or None: fewer than two blocks tell nothing of their variation.

    A class that a draw happens to lack counts 0 in it, as everywhere: the fewer the blocks that a class is
    in, the further down its interval reaches.
    """
    if blocks < 2:
        return None
    low, high = np.quantile(drawn, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return float(low), float(high)


def paired_difference(
    runs: Sequence[Counts], against: Sequence[Counts], draws: int = DRAWS, seed: int = SEED
) -> Difference:
    """Compare two systems over the same runs: seeds, folds, or both.

    The blocks of all runs are drawn together, so that a block in the test part of several runs is in or out
    of all of them. In each draw, macro-F1 is averaged over the runs of which a block was drawn.

    Parameters
    ----------
    runs, against : sequence of Counts
        Of the two systems, run by run on the same clips. A block has the same number in every run.
    draws : int
        How many.
    seed : int
        Of the draws.

    Raises
    ------
    ValueError
        If there is no run, or the two systems were not scored on the same clips.
    """
    if not runs or len(runs) != len(against):
        raise ValueError(f"as many runs of both systems expected, at least one, got {len(runs)} and {len(against)}")
    for one, other in zip(runs, against, strict=True):
        if not (np.array_equal(one.block, other.block) and np.array_equal(one.true, other.true)):
            raise ValueError("the two systems were not scored on the same clips")
    blocks = np.unique(np.concatenate([run.block for run in runs]))
    weights = draw_blocks(len(blocks), draws, seed)
    drawn = _mean_macro_f1(runs, blocks, weights) - _mean_macro_f1(against, blocks, weights)
    each = [one.scores()[2].mean() - other.scores()[2].mean() for one, other in zip(runs, against, strict=True)]
    return Difference(float(np.mean(each)), percentile_interval(drawn, len(blocks)), tuple(map(float, each)))


def _mean_macro_f1(runs: Sequence[Counts], blocks: NDArray[np.intp], weights: NDArray) -> NDArray[np.float64]:
    """Return in each draw the mean macro-F1 of the runs that are in it, (draws,)."""
    total, present = np.zeros(len(weights)), np.zeros(len(weights))
    for run in runs:
        mine = weights[:, np.searchsorted(blocks, run.block)]
        total += run.drawn_f1(mine).mean(axis=1)  # 0 where none of its blocks was drawn
        present += mine.any(axis=1)
    return total / present
