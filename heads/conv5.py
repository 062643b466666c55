"""conv5, the last stage of a backbone's network, on stored activations.

That of r3d34 is computed as plain 2-D convolutions: the same outputs at a third of the work. Its stored
activations have two frames and conv5 gives one. Its first convolution (3x3x3, stride 2, padding 1)
therefore meets them with the last two of its three temporal taps, and every later one, on a single frame
between zeros, with the middle tap alone. So the first becomes a 2-D convolution over both frames' channels
stacked, the others 2-D convolutions of the middle tap; 13 of 39 million parameters are alive. Batch norm
over one frame is the same in 2-D. Other backbones' conv5 is computed as it is.
"""

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from extract.backbones import designs

_CHANNELS_IN, _CHANNELS, _BLOCKS = 256, 512, 3
_NORMS = ("weight", "bias", "running_mean", "running_var")


class Block(nn.Module):
    """A basic block of conv5 on one frame."""

    def __init__(self, channels_in: int, stride: int):
        super().__init__()
        self.conv1 = nn.Conv2d(channels_in, _CHANNELS, kernel_size=3, stride=stride, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(_CHANNELS)
        self.conv2 = nn.Conv2d(_CHANNELS, _CHANNELS, kernel_size=3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(_CHANNELS)

    def forward(self, x: Tensor, shortcut: Tensor) -> Tensor:
        """Map x (N, C_in, H, W) and its shortcut to (N, 512, H/stride, W/stride)."""
        x = functional.relu(self.bn1(self.conv1(x)))
        return functional.relu(self.bn2(self.conv2(x)) + shortcut)


class Conv5(nn.Module):
    """conv5 of r3d34 and its average pool, in 2-D.

    Parameters
    ----------
    tail : dict of ndarray
        The backbone's 3-D weights, by their names there (``layer4.0.conv1.weight``, ...).
    """

    def __init__(self, tail: dict[str, NDArray[np.float32]]):
        super().__init__()
        self.blocks = nn.ModuleList(
            Block(2 * _CHANNELS_IN if index == 0 else _CHANNELS, 2 if index == 0 else 1) for index in range(_BLOCKS)
        )
        self.downsample: nn.Sequential | None = None
        if "layer4.0.downsample.0.weight" in tail:  # shortcut B
            projection = nn.Conv2d(_CHANNELS_IN, _CHANNELS, kernel_size=1, stride=2, bias=False)
            self.downsample = nn.Sequential(projection, nn.BatchNorm2d(_CHANNELS))
        self._load(tail)

    def forward(self, x: Tensor) -> Tensor:
        """Map activations (N, 256, 2, 7, 7) to pooled features (N, 512)."""
        first = x[:, :, 0, ::2, ::2]  # what a stride of 2 in time and space leaves for the shortcut
        if self.downsample is None:
            shortcut = functional.pad(first, (0, 0, 0, 0, 0, _CHANNELS - _CHANNELS_IN))
        else:
            shortcut = self.downsample(x[:, :, 0])
        x = x.transpose(1, 2).flatten(1, 2)  # (N, 2 * 256, 7, 7), frame by frame
        for block in self.blocks:
            x = block(x, shortcut)
            shortcut = x
        return x.mean(dim=(2, 3))

    def to_3d(self, tail: dict[str, NDArray[np.float32]]) -> dict[str, NDArray[np.float32]]:
        """Return the weights put back into the backbone's 3-D ones.

        Parameters
        ----------
        tail : dict of ndarray
            The weights that this module was made from; the taps that never act keep their values.

        Returns
        -------
        dict of ndarray
            The entries of ``layer4``.
        """
        result = {name: values.copy() for name, values in tail.items() if name.startswith("layer4.")}
        for name, parameter in self._parameters_by_3d_name().items():
            values = parameter.detach().cpu().numpy()
            if values.ndim == 4:
                taps = _live_taps(result[name])
                result[name][:, :, taps] = _unstack(values, len(range(*taps.indices(result[name].shape[2]))))
            else:
                result[name] = values.copy()
        return result

    def _load(self, tail: dict[str, NDArray[np.float32]]) -> None:
        with torch.no_grad():
            for name, parameter in self._parameters_by_3d_name().items():
                values = tail[name]
                if values.ndim == 5:
                    values = _stack(values[:, :, _live_taps(values)])
                parameter.copy_(torch.from_numpy(np.ascontiguousarray(values)))

    def _parameters_by_3d_name(self) -> dict[str, Tensor]:
        named: dict[str, Tensor] = {}
        for index, block in enumerate(self.blocks):
            for layer in ("conv1", "conv2"):
                named[f"layer4.{index}.{layer}.weight"] = block.get_submodule(layer).weight  # type: ignore[assignment]
            for layer in ("bn1", "bn2"):
                named |= _norm(f"layer4.{index}.{layer}", block.get_submodule(layer))
        if self.downsample is not None:
            named["layer4.0.downsample.0.weight"] = self.downsample[0].weight  # type: ignore[assignment]
            named |= _norm("layer4.0.downsample.1", self.downsample[1])
        return named


class Conv5In3d(nn.Module):
    """conv5 of any backbone and its average pool, as the backbone declares them.

    Parameters
    ----------
    backbone : str
        Its name.
    tail : dict of ndarray
        Its weights, by their names there.
    """

    def __init__(self, backbone: str, tail: dict[str, NDArray[np.float32]]):
        super().__init__()
        design = designs(backbone)[0]
        with torch.device("meta"):  # no memory for the whole network
            self.layers = design.conv5_of(design.build(1))
        state = {name: torch.tensor(values) for name, values in tail.items() if not name.startswith("fc.")}
        self.layers.load_state_dict(state, assign=True)

    def forward(self, x: Tensor) -> Tensor:
        """Map activations (N, *feature_shape) to pooled features (N, features)."""
        return self.layers(x)

    def to_3d(self, tail: dict[str, NDArray[np.float32]]) -> dict[str, NDArray[np.float32]]:
        """Return the weights by their names in `tail`, which this module was made from."""
        state = self.layers.state_dict()
        return {name: state[name].cpu().numpy() for name in tail if name in state}


def make_conv5(backbone: str, tail: dict[str, NDArray[np.float32]]) -> Conv5 | Conv5In3d:
    """Return a backbone's conv5 with the weights of its tail, in the form that trains fastest."""
    return Conv5(tail) if backbone == "r3d34" else Conv5In3d(backbone, tail)


def _norm(name: str, module: nn.Module) -> dict[str, Tensor]:
    return {f"{name}.{part}": getattr(module, part) for part in _NORMS}


def _live_taps(weight: NDArray) -> slice:
    """Return the temporal taps of a 3-D weight (out, in, taps, h, w) that meet stored frames."""
    if weight.shape[2] == 1:
        return slice(0, 1)
    return slice(1, 3) if weight.shape[1] == _CHANNELS_IN else slice(1, 2)


def _stack(weight: NDArray) -> NDArray:
    """(out, in, taps, h, w) -> (out, taps * in, h, w)."""
    return weight.swapaxes(1, 2).reshape(weight.shape[0], -1, *weight.shape[3:])


def _unstack(weight: NDArray, taps: int) -> NDArray:
    """(out, taps * in, h, w) -> (out, in, taps, h, w)."""
    return weight.reshape(weight.shape[0], taps, -1, *weight.shape[2:]).swapaxes(1, 2)
