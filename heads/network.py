"""The networks of all systems, put together from a few parts (Sections 4.1, 4.4 and 5.2, Figures 3 and 4).

::

    conv4 ── conv5 ── fc ──> picture (400) ─────────┐
                                                    ├─ fusion ─ classifier ──(+)──> logit of each class
    audio ── three hidden layers ──> sound (400) ───┘                         │
    grid, energy ── logistic regression ──────────────────────────────────────┘

Each system is some of these. The single model has no sound; the predecessor is one such network per gesture.
The regression is ours: fitted first, it stays as it is, and the network learns without it. Its logits and the
network's are added when something is predicted: both find what the other overlooks, and a network that has
learned too much by heart does little harm.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Self

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from extract.backbones import designs
from heads.clips import HEARD, Batch
from heads.conv5 import Conv5, make_conv5
from heads.fusion import Sound, modality_dropout
from heads.layers import hidden_layers
from heads.pooled import CELLS
from heads.probe import LinearProbe
from heads.scale import AUDIO, CONV4, CONV5

Weights = dict[str, NDArray[np.float32]]
SHARE = 0.4  # of the network's logits, added to those of the regression
_OWN = ("classifier.", "linear.", "sound.")  # the rest of the saved weights has the backbone's names


@dataclass(frozen=True)
class Architecture:
    """What a network is put together from.

    Parameters
    ----------
    classes : int
        Number of sigmoids, N.
    widths : tuple of int
        Units of the classifier's hidden layers; three in the paper, their widths are not stated.
    dropout : float
        Share of hidden units dropped in training.
    backbone : str
        Whose activations it takes.
    tune : {"conv5", "fc"}
        The first layer that learns; with ``fc`` conv5 is no part of the network.
    fusion : {"concatenated", "gated"}, optional
        How sound is joined to the picture; without it there is no sound.
    sound : tuple of int
        Shape of a clip's audio features, where there is fusion.
    audio_widths : tuple of int
        Units of the sound's hidden layers.
    per_gesture : bool
        A network for each class, with an output for presence and one for absence (Simistira Liwicki et al. 2020).
    linear : tuple of str
        Inputs of a logistic regression beside all this; the network then begins at zero.
    """

    classes: int
    widths: tuple[int, ...] = (256, 256, 256)
    dropout: float = 0.1
    backbone: str = "r3d34"
    tune: str = "conv5"
    fusion: str | None = None
    sound: tuple[int, ...] = (28, 108)
    audio_widths: tuple[int, ...] = (512, 256, 256)
    per_gesture: bool = False
    linear: tuple[str, ...] = ()

    @property
    def learned_from(self) -> tuple[str, ...]:
        """Names of the inputs that the network learns from, as `heads.clips` has them."""
        return (CONV4 if self.tune == "conv5" else CONV5, *([AUDIO] if self.fusion else []))

    @property
    def inputs(self) -> tuple[str, ...]:
        """Names of all inputs, those of the regression too."""
        return (*self.learned_from, *self.linear)

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Self:
        """Return the architecture in JSON-ready data."""
        values: dict[str, Any] = {
            name: tuple(value) if isinstance(value, list) else value for name, value in data.items()
        }
        return cls(**values)


class GestureNetwork(nn.Module):
    """Maps clips to the logit of each class.

    Parameters
    ----------
    tail : dict of ndarray
        Weights of conv5 and fc to start from, in the backbone's form.
    architecture : Architecture
        What there is; with ``per_gesture``, each class has two outputs.
    """

    def __init__(self, tail: Weights, architecture: Architecture):
        super().__init__()
        self.architecture = architecture
        self._tail = tail
        # The parts that the picture needs come first, so that they start alike with and without sound.
        self.conv5 = make_conv5(architecture.backbone, tail) if architecture.tune == "conv5" else None
        if isinstance(self.conv5, Conv5):
            self.conv5.to(memory_format=torch.channels_last)  # faster on any device
        embedding, features = tail["fc.weight"].shape
        self.fc = nn.Linear(features, embedding)  # 512 -> 400 in the paper
        self.fc.load_state_dict({name: torch.from_numpy(tail[f"fc.{name}"]) for name in ("weight", "bias")})
        joined = 2 * embedding if architecture.fusion == "concatenated" else embedding
        outputs = architecture.classes * (2 if architecture.per_gesture else 1)
        at_zero = bool(architecture.linear)
        self.classifier = hidden_layers(joined, architecture.widths, architecture.dropout, outputs, at_zero)
        self.linear: nn.Linear | None = None
        if architecture.linear:
            features = designs(architecture.backbone)[0].feature_shape[0] * math.prod(CELLS)
            self.linear = nn.Linear(features * len(architecture.linear), architecture.classes).requires_grad_(False)
        self.sound = None
        if architecture.fusion is not None:
            gated = architecture.fusion == "gated"
            widths, dropout = architecture.audio_widths, architecture.dropout
            self.sound = Sound(architecture.sound, widths, dropout, embedding, architecture.classes if gated else None)

    def add_regression(self, fitted: LinearProbe) -> None:
        """Take in a fitted regression; it stays as it is."""
        assert self.linear is not None
        with torch.no_grad():
            self.linear.weight.copy_(torch.from_numpy(fitted.weight))
            self.linear.bias.copy_(torch.from_numpy(fitted.bias))

    def forward(self, batch: Batch) -> Tensor:
        """Map a batch of clips, as `Clips.batch` gives it, to logits (N, classes); sound may be missing."""
        return self.outputs(batch)[0]

    def outputs(self, batch: Batch) -> list[Tensor]:
        """Return the logits (N, classes); in training of a gated fusion also those of each modality alone."""
        picture = self.fc(batch[CONV5] if self.conv5 is None else self.conv5(batch[CONV4]))
        if self.sound is None:
            return [self._logits(picture, batch)]
        sound = self.sound(batch[AUDIO], batch[HEARD]) if AUDIO in batch else torch.zeros_like(picture)
        if self.sound.gate is None:
            return [self._logits(torch.cat([picture, sound], dim=1), batch)]
        gated = self.sound.gate * sound
        if not self.training:
            return [self._logits(picture + gated, batch)]
        seen, heard = modality_dropout(batch[HEARD])
        logits = self._logits(seen * picture + heard * gated, batch)
        return [logits, self._logits(picture, batch), self.sound.alone(sound)]

    def weights(self) -> Weights:
        """Return all weights for saving; conv5 and fc in the backbone's form and by its names."""
        own = {name: value.detach().cpu().numpy() for name, value in self.state_dict().items()}
        kept = {name: value for name, value in own.items() if not name.startswith("conv5.")}
        return kept if self.conv5 is None else kept | self.conv5.to_3d(self._tail)

    @classmethod
    def from_weights(cls, weights: Weights, architecture: Architecture) -> "GestureNetwork":
        """Return the network whose `weights` were saved, in evaluation mode."""
        network = cls({name: values for name, values in weights.items() if not name.startswith(_OWN)}, architecture)
        own = network.state_dict()
        rest = {name: torch.from_numpy(weights[name]) for name in own if not name.startswith("conv5.")}
        network.load_state_dict(own | rest)
        return network.eval()

    def _logits(self, embedding: Tensor, batch: Batch) -> Tensor:
        logits = self.classifier(embedding)
        if self.architecture.per_gesture:
            present, absent = logits.chunk(2, dim=1)
            logits = present - absent  # its sigmoid is the softmax over the two
        if self.linear is None or self.training:
            return logits
        return self.linear(torch.cat([batch[name] for name in self.architecture.linear], dim=1)) + SHARE * logits


class PerGesture(nn.Module):
    """The predecessor: a network of its own for each class; nothing is shared, so they learn apart.

    Parameters
    ----------
    networks : list of GestureNetwork
        In the order of the classes, of one class each.
    architecture : Architecture
        Of all together.
    """

    def __init__(self, networks: list[GestureNetwork], architecture: Architecture):
        super().__init__()
        self.architecture = architecture
        self.networks = nn.ModuleList(networks)
        self._networks = networks

    def add_regression(self, fitted: LinearProbe) -> None:
        """Take in a fitted regression, each network its class."""
        for number, network in enumerate(self._networks):
            one = slice(number, number + 1)
            network.add_regression(LinearProbe(fitted.weight[one], fitted.bias[one], fitted.inputs))

    def forward(self, batch: Batch) -> Tensor:
        """Map a batch of clips to logits (N, classes)."""
        return self.outputs(batch)[0]

    def outputs(self, batch: Batch) -> list[Tensor]:
        """Return the logits (N, classes), as `GestureNetwork.outputs`."""
        each = [network.outputs(batch) for network in self._networks]
        return [torch.cat(logits, dim=1) for logits in zip(*each, strict=True)]

    def weights(self) -> Weights:
        """Return all weights for saving: those of each network behind its number."""
        return {
            f"{number}.{name}": values
            for number, network in enumerate(self._networks)
            for name, values in network.weights().items()
        }


Network = GestureNetwork | PerGesture


def make_network(tail: Weights, architecture: Architecture) -> Network:
    """Return the network of an architecture, to be trained."""
    if not architecture.per_gesture:
        return GestureNetwork(tail, architecture)
    one = replace(architecture, classes=1)
    return PerGesture([GestureNetwork(tail, one) for _ in range(architecture.classes)], architecture)


def load_network(weights: Weights, architecture: Architecture) -> Network:
    """Return the network whose `weights` were saved, in evaluation mode."""
    if not architecture.per_gesture:
        return GestureNetwork.from_weights(weights, architecture)
    one = replace(architecture, classes=1)
    each = [
        {name.removeprefix(f"{number}."): values for name, values in weights.items() if name.startswith(f"{number}.")}
        for number in range(architecture.classes)
    ]
    return PerGesture([GestureNetwork.from_weights(own, one) for own in each], architecture).eval()
