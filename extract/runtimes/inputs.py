"""What every runtime is given: clips of pixels, and the network's input made of them."""

from collections.abc import Callable

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from extract.backbones import Preprocessing

BATCH = 8  # clips computed at once; more is not faster on a CPU

# Maps clips (n, 16, size, size, 3) uint8 to activations (n, *feature_shape) float32, for any n of at least one.
Run = Callable[[NDArray[np.uint8]], NDArray[np.float32]]


def normalise(clips: Tensor, preprocessing: Preprocessing) -> Tensor:
    """Return the network's input: (n, 16, H, W, 3) of 0-255 to (n, 3, 16, H, W) float32, on the same device."""
    mean, std = (torch.tensor(values, device=clips.device) for values in (preprocessing.mean, preprocessing.std))
    x = clips.float().div_(preprocessing.scale).sub_(mean).div_(std)
    return x.permute(0, 4, 1, 2, 3)  # a view: in memory the channels stay last
