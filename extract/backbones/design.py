"""What a backbone declares of itself."""

from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any

import torch
from torch import nn

from extract.download import Published


@dataclass(frozen=True)
class Preprocessing:
    """How frames become the network's input.

    Parameters
    ----------
    mean, std : tuple of float
        Per channel R, G, B, taken off and divided by after scaling.
    scale : float
        What 0-255 values are divided by first.
    size : int
        Side of the square picture, in pixels.
    resize : {"crop", "squash"}
        ``crop``: the short side to `size`, then the centre; ``squash``: both sides to `size`.
    before_crop : tuple of int, optional
        Height and width to which ``crop`` stretches the picture instead, whatever its shape.
    """

    mean: tuple[float, float, float]
    std: tuple[float, float, float]
    scale: float
    size: int = 112
    resize: str = "crop"
    before_crop: tuple[int, int] | None = None

    def resized(self, resize: str | None) -> "Preprocessing":
        """Return the same with another way of resizing; None: as it is."""
        if resize in (None, self.resize):
            return self
        return replace(self, resize=resize, before_crop=None)

    def to_dict(self) -> dict[str, Any]:
        """Return it as JSON-ready data; `before_crop` only where it is given."""
        plain = {name: list(value) if isinstance(value, tuple) else value for name, value in asdict(self).items()}
        return {name: value for name, value in plain.items() if value is not None}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> "Preprocessing":
        """Return it from `to_dict`'s data."""
        values: dict[str, Any] = {name: tuple(each) if isinstance(each, list) else each for name, each in data.items()}
        return cls(**values)


@dataclass(frozen=True)
class ByHand:
    """Files of weights that only a person can fetch.

    Parameters
    ----------
    url : str
        The page where they are.
    names : tuple of str
        The files' names there, the best first.
    """

    url: str
    names: tuple[str, ...]


def initialise(network: nn.Module, seed: int) -> None:
    """Fill a network's convolutions and linear layers with random weights, the same for the same seed.

    As Hara et al. initialise theirs: convolutions get He's normal initialisation over their outputs, linear
    layers a uniform one in 1/sqrt(inputs). The global random state is left alone.
    """
    generator = torch.Generator().manual_seed(seed)
    for module in network.modules():
        if isinstance(module, nn.Conv3d):
            nn.init.kaiming_normal_(module.weight, mode="fan_out", generator=generator)
        elif isinstance(module, nn.Linear):
            bound = module.in_features**-0.5
            nn.init.uniform_(module.weight, -bound, bound, generator=generator)
            nn.init.uniform_(module.bias, -bound, bound, generator=generator)


@dataclass(frozen=True)
class Design:
    """A network, and one kind of weights for it.

    Parameters
    ----------
    name : str
        Of the network, as in ``--backbone``.
    kind : str
        Family of weights.
    build : callable
        Returns the whole network for a number of outputs. A clip is (N, 3, 16, size, size).
    outputs : tuple of int
        Numbers of outputs that weights of this kind are published with; random weights have the first.
    trunk, conv5 : tuple of str
        Names of the network's children that, one after the other, map a clip to the stored activations, and
        those to pooled features (N, features).
    feature_shape : tuple of int
        Of a clip's stored activations: channels, time, height, width.
    preprocessing : Preprocessing
        What the weights were trained with.
    published : tuple of Published
        Where weights can be downloaded from, the best place first.
    by_hand : tuple of ByHand
        Where else they are.
    fc : str
        Name of the linear child behind `conv5`.
    initialise : callable
        Fills a network from a seed.
    """

    name: str
    kind: str
    build: Callable[[int], nn.Module]
    outputs: tuple[int, ...]
    trunk: tuple[str, ...]
    conv5: tuple[str, ...]
    feature_shape: tuple[int, int, int, int]
    preprocessing: Preprocessing
    published: tuple[Published, ...] = ()
    by_hand: tuple[ByHand, ...] = ()
    fc: str = "fc"
    initialise: Callable[[nn.Module, int], None] = initialise

    def trunk_of(self, network: nn.Module) -> nn.Sequential:
        """Return the frozen part, which shares the network's modules."""
        return _in_turn(network, self.trunk)

    def conv5_of(self, network: nn.Module) -> nn.Sequential:
        """Return the part from stored activations to pooled features, which shares the network's modules."""
        return _in_turn(network, self.conv5).append(nn.Flatten())


def _in_turn(network: nn.Module, children: tuple[str, ...]) -> nn.Sequential:
    return nn.Sequential(OrderedDict((name, network.get_submodule(name)) for name in children))
