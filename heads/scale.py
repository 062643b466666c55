"""Standardising: by which mean and deviation an input of a clip is brought to a common measure."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from store.recording import Recording

STANDARDISE = ("recording", "training", "none")
CONV4, CONV5, GRID, ENERGY, AUDIO = "conv4", "conv5", "grid", "energy", "audio"
# What varies less carries nothing; dividing by it would blow up rounding.
_SMALLEST_STD = {CONV4: 1e-3, CONV5: 1e-6, GRID: 1e-3, ENERGY: 1e-3, AUDIO: 1e-9}


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
        scaled = values.astype(np.float32)
        for number in np.unique(which):
            mine = which == number
            if mine.all():  # in place: most batches of a prediction, and all of one scale
                scaled -= self.mean[number]
                scaled /= self.divisor[number]
            else:
                scaled[mine] = (scaled[mine] - self.mean[number]) / self.divisor[number]
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
        return cls.of(name, [array.mean(axis=0) for array in arrays], [array.std(axis=0) for array in arrays])


def stored_scale(name: str, recordings: Sequence[Recording], array: str) -> Scale:
    """Return the scale of an input from the statistics that the store keeps of an array."""
    means, stds = ([each.read(f"statistics/{array}/{what}") for each in recordings] for what in ("mean", "std"))
    return Scale.of(name, means, stds)
