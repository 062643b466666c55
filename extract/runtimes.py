"""What runs the frozen trunk, fast, and equal to the plain float32 network to rounding."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.fx.experimental.optimization import fuse

from extract.backbones import Preprocessing
from extract.weights import Backbone
from store.errors import InputError

# Largest difference from the reference that rounding can explain, as a share of the largest activation.
_TOLERANCE = 1e-3


@dataclass(frozen=True)
class Runtime:
    """A trunk ready to run.

    Parameters
    ----------
    name, version, device, precision : str
        What computes, as recorded with each recording.
    run : callable
        Maps frames (clips, 16, 112, 112, 3) uint8 to activations (clips, 256, 2, 7, 7) float32.
    reference : callable
        The same by the unchanged float32 network on the CPU.
    """

    name: str
    version: str
    device: str
    precision: str
    run: Callable[[NDArray[np.uint8]], NDArray[np.float32]]
    reference: Callable[[NDArray[np.uint8]], NDArray[np.float32]]

    def check(self, clips: NDArray[np.uint8]) -> float:
        """Return the largest absolute difference from the reference on real clips.

        Raises
        ------
        InputError
            If rounding cannot explain it.
        """
        expected = self.reference(clips)
        difference = float(np.abs(self.run(clips) - expected).max())
        if not difference <= _TOLERANCE * float(np.abs(expected).max()):
            raise InputError(
                f"{self.name} {self.version} on {self.device}: computes activations that are off by "
                f"{difference:.3g} from the reference; choose another --device"
            )
        return difference


def prepare(backbone: Backbone, device: str = "auto") -> Runtime:
    """Return the trunk of a backbone on a device: torch, batch norm folded, channels last.

    Parameters
    ----------
    backbone : Backbone
        The network; it is left as it is.
    device : {"auto", "cpu", "cuda"}
        ``auto`` takes the GPU if torch can use one.

    Raises
    ------
    InputError
        If the GPU is asked for and torch cannot use one.
    """
    if device == "auto":
        device = "cuda" if torch.cuda.is_available() else "cpu"
    if device == "cuda" and not torch.cuda.is_available():
        raise InputError("--device cuda: torch finds no GPU here; use --device cpu")
    folded = fuse(backbone.trunk).to(device, memory_format=torch.channels_last_3d)  # type: ignore[call-overload]
    return Runtime(
        name="torch",
        version=torch.__version__,
        device=device if device == "cpu" else torch.cuda.get_device_name(),
        precision="float32",
        run=_runner(folded, backbone.preprocessing, device),
        reference=_runner(backbone.trunk, backbone.preprocessing, "cpu"),
    )


def normalise(clips: NDArray[np.uint8], preprocessing: Preprocessing) -> Tensor:
    """Return the network's input: (clips, 16, H, W, 3) of 0-255 to (clips, 3, 16, H, W) float32."""
    mean, std = torch.tensor(preprocessing.mean), torch.tensor(preprocessing.std)
    x = (torch.from_numpy(clips).float() / preprocessing.scale - mean) / std
    return x.permute(0, 4, 1, 2, 3)  # a view: in memory the channels stay last


def _runner(
    trunk: Callable[[Tensor], Tensor], preprocessing: Preprocessing, device: str
) -> Callable[[NDArray[np.uint8]], NDArray[np.float32]]:
    def run(clips: NDArray[np.uint8]) -> NDArray[np.float32]:
        with torch.inference_mode():
            activations = trunk(normalise(clips, preprocessing).to(device))
            return activations.contiguous().cpu().numpy()

    return run
