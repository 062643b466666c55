"""Stored activations as a head sees them: whole recordings, each standardised by its own statistics."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from store.features import Recording

VIEW = "conv4/plain"
_SMALLEST_STD = 1e-3  # an activation that hardly varies carries nothing; dividing by less would blow up rounding


@dataclass(frozen=True)
class Clips:
    """The clips of one or more recordings, in order.

    Parameters
    ----------
    activations : ndarray of float16 or float32, shape (clips, channels, time, height, width)
        As stored; (clips, 256, 2, 7, 7) from r3d34.
    recording : ndarray of int, shape (clips,)
        Index of each clip's recording.
    mean, std : ndarray of float32, shape (recordings, channels, time, height, width)
        Over each recording's clips, per channel and position. They need no labels, so the recording to be
        labelled has its own too.
    """

    activations: NDArray
    recording: NDArray[np.intp]
    mean: NDArray[np.float32]
    std: NDArray[np.float32]

    def __len__(self) -> int:
        return len(self.activations)

    def standardised(self, index: NDArray[np.intp]) -> Tensor:
        """Return the activations of some clips, (len(index), channels, time, height, width) float32."""
        recording = self.recording[index]
        x = self.activations[index].astype(np.float32)
        x -= self.mean[recording]
        x /= self.std[recording]
        return torch.from_numpy(x)


def divisor(std: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return what to divide by when standardising: the standard deviation, or 1 where hardly anything varies."""
    return np.where(std < _SMALLEST_STD, 1, std).astype(np.float32)


def load_clips(recordings: Sequence[Recording]) -> Clips:
    """Read the activations of whole recordings into memory, as they are stored.

    Raises
    ------
    InputError
        If an array is missing or damaged.
    """
    arrays = [recording.read(VIEW) for recording in recordings]
    std = np.stack([recording.read(f"statistics/{VIEW}/std") for recording in recordings])
    return Clips(
        activations=np.concatenate(arrays),
        recording=np.repeat(np.arange(len(arrays)), [len(array) for array in arrays]),
        mean=np.stack([recording.read(f"statistics/{VIEW}/mean") for recording in recordings]),
        std=divisor(std),
    )
