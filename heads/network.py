"""The single model (Section 4.1): conv5, the backbone's fc, a classifier, one sigmoid per class."""

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from heads.conv5 import make_conv5


@dataclass(frozen=True)
class Architecture:
    """Shape of a head.

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
    """

    classes: int
    widths: tuple[int, ...] = (256, 256, 256)
    dropout: float = 0.1
    backbone: str = "r3d34"


class GestureNetwork(nn.Module):
    """Maps a clip's activations to the logit of each class.

    Parameters
    ----------
    tail : dict of ndarray
        Weights of conv5 and fc to start from, in the backbone's form.
    architecture : Architecture
        Shape of the classifier, and which backbone's tail it is.
    """

    def __init__(self, tail: dict[str, NDArray[np.float32]], architecture: Architecture):
        super().__init__()
        self.architecture = architecture
        self._tail = tail
        self.conv5 = make_conv5(architecture.backbone, tail)
        outputs, features = tail["fc.weight"].shape
        self.fc = nn.Linear(features, outputs)  # 512 -> 400 in the paper
        self.fc.load_state_dict({name: torch.from_numpy(tail[f"fc.{name}"]) for name in ("weight", "bias")})
        layers: list[nn.Module] = []
        width_in = outputs
        for width in architecture.widths:
            hidden = nn.Linear(width_in, width)
            nn.init.kaiming_normal_(hidden.weight, nonlinearity="relu")  # torch's own shrinks the signal by layer
            nn.init.zeros_(hidden.bias)
            layers += [hidden, nn.ReLU(), nn.Dropout(architecture.dropout)]
            width_in = width
        self.classifier = nn.Sequential(*layers, nn.Linear(width_in, architecture.classes))

    def head(self, pooled: Tensor) -> Tensor:
        """Map conv5's pooled features (N, features) to logits (N, classes)."""
        return self.classifier(self.fc(pooled))

    def forward(self, activations: Tensor) -> Tensor:
        """Map stored activations (N, channels, time, height, width) to logits (N, classes)."""
        return self.head(self.conv5(activations))

    def weights(self) -> dict[str, NDArray[np.float32]]:
        """Return all weights for saving; conv5 and fc in the backbone's form and by its names."""
        own = {name: value.detach().cpu().numpy() for name, value in self.state_dict().items()}
        kept = {name: value for name, value in own.items() if name.startswith(("fc.", "classifier."))}
        return kept | self.conv5.to_3d(self._tail)

    @classmethod
    def from_weights(cls, weights: dict[str, NDArray[np.float32]], architecture: Architecture) -> "GestureNetwork":
        """Return the network whose `weights` were saved, in evaluation mode."""
        network = cls(
            {name: value for name, value in weights.items() if not name.startswith("classifier.")},
            architecture,
        )
        classifier = {
            name.removeprefix("classifier."): torch.from_numpy(value)
            for name, value in weights.items()
            if name.startswith("classifier.")
        }
        network.classifier.load_state_dict(classifier)
        return network.eval()
