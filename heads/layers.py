"""Fully connected layers as the paper has them, of the classifier and of the sound alike."""

from torch import nn


def hidden_layers(
    features: int, widths: tuple[int, ...], dropout: float, outputs: int, at_zero: bool = False
) -> nn.Sequential:
    """Return hidden ReLU layers, dropout behind each, and a linear one, maybe at zero (Section 5.2, Figure 4)."""
    layers: list[nn.Module] = []
    for width in widths:
        hidden = nn.Linear(features, width)
        nn.init.kaiming_normal_(hidden.weight, nonlinearity="relu")  # torch's own shrinks the signal by layer
        nn.init.zeros_(hidden.bias)
        layers += [hidden, nn.ReLU(), nn.Dropout(dropout)]
        features = width
    last = nn.Linear(features, outputs)
    if at_zero:
        nn.init.zeros_(last.weight)
        nn.init.zeros_(last.bias)
    return nn.Sequential(*layers, last)
