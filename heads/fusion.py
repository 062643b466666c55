"""The sound's branch of a network (Section 5.2, Figure 4), and what the gated fusion adds to it.

``concatenated`` is the paper's: both representations side by side into the classifier. ``gated`` is ours: the
sound is added to the picture's representation, times a gate that begins at zero, so that the network begins as
the one without sound. Modality dropout and a loss of their own for each keep either from leaning on the other.
"""

import math

import torch
from torch import Tensor, nn

from heads.layers import hidden_layers

MODALITY_DROPOUT = 0.15  # share of training clips that lose their sound, and of those that lose their picture


class Sound(nn.Module):
    """Maps audio features to a representation as long as the picture's.

    Parameters
    ----------
    shape : tuple of int
        Of a clip's features; (28, 108) in the paper.
    widths : tuple of int
        Units of the hidden layers.
    dropout : float
        Share of hidden units dropped in training.
    outputs : int
        Length of the representation; 400 in the paper.
    classes : int, optional
        For the gated fusion: number of classes, which the sound also tells alone.
    """

    def __init__(
        self, shape: tuple[int, ...], widths: tuple[int, ...], dropout: float, outputs: int, classes: int | None
    ):
        super().__init__()
        self.layers = hidden_layers(math.prod(shape), widths, dropout, outputs)
        self.gate: nn.Parameter | None = None
        if classes is not None:
            self.gate = nn.Parameter(torch.zeros(outputs))
            self.alone = nn.Sequential(nn.ReLU(), nn.Linear(outputs, classes))

    def forward(self, audio: Tensor, heard: Tensor) -> Tensor:
        """Map features (N, 28, 108) to (N, outputs); 0 where nothing was recorded: `heard` (N, 1) is 0."""
        return self.layers(audio.flatten(1)) * heard


def modality_dropout(heard: Tensor) -> tuple[Tensor, Tensor]:
    """Draw for each training clip whether its picture and its sound count, 0 or 1.

    Parameters
    ----------
    heard : Tensor, shape (N, 1)
        0 where nothing was recorded; such a clip keeps its picture.

    Returns
    -------
    picture, sound : Tensor, shape (N, 1)
        Never both 0.
    """
    draw = torch.rand_like(heard)
    deaf = draw < MODALITY_DROPOUT
    blind = ~deaf & (draw < 2 * MODALITY_DROPOUT) & (heard > 0)
    return (~blind).to(heard), (~deaf).to(heard)
