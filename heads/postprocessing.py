"""From probabilities to presence: thresholds, and what neighbouring clips say about each other.

A gesture lasts, and an annotator's interval has a least length. For each class, in this order:

1. *smoothing*: probabilities are averaged over neighbouring clips, with a Gaussian in time;
2. *two thresholds* (hysteresis): a gesture is found where its probability reaches the threshold, and goes on to
   both sides as long as it stays above a share of it;
3. *gaps*: shorter ones between two findings are filled;
4. *shortest*: what is shorter then is dropped.

Plain thresholds are the special case in which 1 to 4 do nothing.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter1d

from heads.neighbours import Neighbours, in_order

_SLACK = 1e-6  # seconds: a clip's length is not exact in binary


@dataclass(frozen=True)
class PostProcessing:
    """How presence is told from probabilities, for each class.

    Parameters
    ----------
    thresholds : ndarray of float64, shape (classes,)
        A gesture begins to be found where its probability is at least this.
    continues : ndarray of float64, shape (classes,)
        Share of the threshold, 0 to 1, down to which it goes on to both sides; 1: one threshold alone.
    smoothing : ndarray of float64, shape (classes,)
        Standard deviation of the Gaussian, in seconds; 0: none.
    gap : ndarray of float64, shape (classes,)
        Gaps shorter than this are filled, in seconds.
    shortest : ndarray of float64, shape (classes,)
        What is shorter than this is dropped, in seconds.
    """

    thresholds: NDArray[np.float64]
    continues: NDArray[np.float64]
    smoothing: NDArray[np.float64]
    gap: NDArray[np.float64]
    shortest: NDArray[np.float64]

    @classmethod
    def plain(cls, thresholds: NDArray[np.float64]) -> Self:
        """Return thresholds alone."""
        nothing = np.zeros(len(thresholds))
        return cls(thresholds, np.ones(len(thresholds)), nothing, nothing, nothing)

    @property
    def is_plain(self) -> bool:
        """Whether there are thresholds alone, so that each clip is told by itself."""
        return bool((self.continues == 1).all() and not (self.smoothing + self.gap + self.shortest).any())

    def present(
        self,
        probability: NDArray[np.floating],
        times: NDArray[np.float64],
        recording: NDArray[np.intp] | None = None,
    ) -> NDArray[np.bool_]:
        """Return where each class is present.

        Parameters
        ----------
        probability : ndarray of float, shape (clips, classes)
            0 to 1.
        times : ndarray of float64, shape (clips, 2)
            Start and end of each clip in seconds; in any order, no clip twice.
        recording : ndarray of int, shape (clips,), optional
            Index of each clip's recording; one for all if not given.

        Returns
        -------
        ndarray of bool, shape (clips, classes)
        """
        if self.is_plain:
            return np.asarray(probability >= self.thresholds)
        clips = in_order(times, recording)
        found = np.zeros(probability.shape, bool)
        for column in range(probability.shape[1]):
            smoothed = smooth(probability[clips.order, column], clips, float(self.smoothing[column]))
            found[clips.order, column] = self._of_class(column, smoothed, clips)
        return found

    def _of_class(self, column: int, smoothed: NDArray, clips: Neighbours) -> NDArray[np.bool_]:
        threshold = float(self.thresholds[column])
        lower = threshold * float(self.continues[column])
        return decide(
            smoothed, clips, (threshold, lower), gap=float(self.gap[column]), shortest=float(self.shortest[column])
        )

    def with_thresholds(self, thresholds: Mapping[int, float]) -> Self:
        """Return the same with other thresholds for some classes, by the class's number."""
        changed = self.thresholds.copy()
        for column, value in thresholds.items():
            changed[column] = value
        return replace(self, thresholds=changed)

    def only(self, columns: NDArray[np.intp]) -> Self:
        """Return the same for some classes alone, by their numbers."""
        return replace(self, **{field.name: getattr(self, field.name)[columns] for field in fields(self)})

    def to_dict(self, classes: Sequence[str]) -> dict[str, dict[str, float]]:
        """Return, by class, what is done beside thresholds, JSON-ready."""
        return {
            name: {key: float(getattr(self, field)[column]) for field, key in _IN_WORDS.items()}
            for column, name in enumerate(classes)
        }

    @classmethod
    def from_dict(cls, thresholds: NDArray[np.float64], data: Mapping[str, Any], classes: Sequence[str]) -> Self:
        """Return it from its `to_dict`.

        Raises
        ------
        ValueError
            If a number is out of its range.
        """
        found = cls(
            thresholds,
            **{field: np.array([float(data[name][key]) for name in classes]) for field, key in _IN_WORDS.items()},
        )
        for field in fields(found):
            values = getattr(found, field.name)
            if not (np.isfinite(values).all() and (values >= 0).all()):
                raise ValueError(f"{field.name} below 0")
        if (found.continues > 1).any():
            raise ValueError("a share of the threshold above 1")
        return found


_IN_WORDS = {
    "continues": "continues_at_share_of_threshold",
    "smoothing": "smoothing_seconds",
    "gap": "gaps_filled_below_seconds",
    "shortest": "dropped_below_seconds",
}


def smooth(probability: NDArray[np.floating], clips: Neighbours, seconds: float) -> NDArray[np.floating]:
    """Average one class's probabilities over neighbouring clips, (clips,), both in the order of `clips`."""
    if not seconds:
        return probability
    smoothed = np.empty(len(probability))
    for piece in np.split(np.arange(len(probability)), np.flatnonzero(np.diff(clips.stretch)) + 1):
        smoothed[piece] = gaussian_filter1d(
            probability[piece].astype(np.float64), seconds / clips.spacing, mode="nearest"
        )
    return smoothed


def decide(
    probability: NDArray[np.floating],
    clips: Neighbours,
    thresholds: tuple[float, float],
    *,
    gap: float = 0.0,
    shortest: float = 0.0,
) -> NDArray[np.bool_]:
    """Tell where one class is present, (clips,), all in the order of `clips`.

    Parameters
    ----------
    probability : ndarray of float, shape (clips,)
        Smoothed.
    clips : Neighbours
        The same clips.
    thresholds : (float, float)
        Where a finding begins, and down to where it goes on.
    gap, shortest : float
        In seconds.
    """
    upper, lower = thresholds
    present = probability >= upper
    if lower < upper:
        going_on = probability >= lower
        first, last = clips.runs(going_on)
        so_far = np.cumsum(np.append(0, present))
        present = _filled(len(present), first, last, so_far[last + 1] > so_far[first])
    if gap:
        first, last = clips.runs(~present)
        brief = clips.end[last] - clips.begin[first] < gap - _SLACK
        present = present | _filled(len(present), first, last, brief & _inner(clips, first, last))
    if shortest:
        first, last = clips.runs(present)
        brief = clips.end[last] - clips.begin[first] < shortest - _SLACK
        present = present & ~_filled(len(present), first, last, brief)
    return present


def _inner(clips: Neighbours, first: NDArray[np.intp], last: NDArray[np.intp]) -> NDArray[np.bool_]:
    """Return which runs are not at an end of their stretch, where what comes before or behind is not known."""
    around = np.concatenate([[-1], clips.stretch, [-1]])
    return (around[first] == around[first + 1]) & (around[last + 2] == around[last + 1])


def _filled(size: int, first: NDArray[np.intp], last: NDArray[np.intp], chosen: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Return which places lie in the chosen runs, (size,)."""
    edges = np.zeros(size + 1, np.intp)
    np.add.at(edges, first[chosen], 1)
    np.add.at(edges, last[chosen] + 1, -1)
    return np.cumsum(edges[:-1]) > 0
