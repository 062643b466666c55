"""Standardising: by which mean and deviation an input of a clip is brought to a common measure."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from store.recording import Recording
from store.streams import CLIPS_PER_CHUNK

CONV4, CONV5, GRID, ENERGY, AUDIO = "conv4", "conv5", "grid", "energy", "audio"
# What varies less carries nothing; dividing by it would blow up rounding.
_SMALLEST_STD = {CONV4: 1e-3, CONV5: 1e-6, GRID: 1e-3, ENERGY: 1e-3, AUDIO: 1e-9}
_AT_ONCE = CLIPS_PER_CHUNK  # so that what is added up as it is read gives the same sums, to the last digit


@dataclass(frozen=True)
class Scale:
    """Mean and divisor of an input, per feature and position.

    Parameters
    ----------
    mean, divisor : ndarray of float32, shape (recordings, ...) or (1, ...)
        One for each recording, or one for all.
    """

    mean: NDArray[np.float32]
    divisor: NDArray[np.float32]

    def apply(self, values: NDArray, recording: NDArray[np.intp]) -> NDArray[np.float32]:
        """Standardise clips, given the recording of each."""
        which = recording if len(self.mean) > 1 else np.zeros(len(recording), np.intp)
        if len(which) and (which == which[0]).all():  # all of one scale, so nothing to gather
            which = which[:1]
        scaled = values.astype(np.float32)
        scaled -= self.mean[which]
        scaled /= self.divisor[which]
        return scaled

    @classmethod
    def of(cls, name: str, mean: Sequence[NDArray], std: Sequence[NDArray]) -> "Scale":
        """Return the scale of an input from means and standard deviations, one each or one for all."""
        deviation = np.stack(std)
        divisor = np.where(deviation < _SMALLEST_STD[name], 1, deviation)
        return cls(np.stack(mean).astype(np.float32), divisor.astype(np.float32))

    @classmethod
    def over(cls, name: str, arrays: Sequence[NDArray]) -> "Scale":
        """Return the scale of an input from its values, one array (clips, ...) for each recording."""
        pieces = ([array[at : at + _AT_ONCE] for at in range(0, len(array), _AT_ONCE)] for array in arrays)
        return cls.of(name, *zip(*map(moments, pieces), strict=True))


def moments(pieces: Iterable[NDArray]) -> NDArray[np.float64]:
    """Return the mean over clips that come in pieces (clips, ...), and the standard deviation, as one array."""
    clips, origin, total, squares = 0, np.empty(0), np.empty(0), np.empty(0)
    for piece in pieces:
        values = piece.astype(np.float64)
        if not clips:
            origin = values[0].copy()
            total, squares = np.zeros_like(origin), np.zeros_like(origin)
        values -= origin  # so that a large offset costs no digits
        clips += len(values)
        total += values.sum(axis=0)
        squares += np.square(values, out=values).sum(axis=0)
    mean = total / clips
    return np.stack([origin + mean, np.sqrt(np.maximum(squares / clips - mean**2, 0))])


def stored_scale(name: str, recordings: Sequence[Recording], array: str) -> Scale:
    """Return the scale of an input from the statistics that the store keeps of an array."""
    means, stds = ([each.read(f"statistics/{array}/{what}") for each in recordings] for what in ("mean", "std"))
    return Scale.of(name, means, stds)
