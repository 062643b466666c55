"""Networks and clips for the tests of what runs them."""

import numpy as np
import torch
from torch import nn

from extract.backbones import design
from extract.weights import Backbone

FAMILIES = [
    ("r3d34", "2018"),
    ("r3d34", "2020"),
    ("r3d_18", "kinetics400"),
    ("mc3_18", "kinetics400"),
    ("r2plus1d_18", "kinetics400"),
]


def trained_looking(name: str, kind: str) -> Backbone:
    """A backbone whose batch norms do something, as trained ones do."""
    made = design(name, kind)
    with torch.random.fork_rng(devices=[]):
        network = made.build(made.outputs[0])
    made.initialise(network, 0)
    generator = torch.Generator().manual_seed(1)
    for module in network.modules():
        if isinstance(module, nn.BatchNorm3d):
            for values, low, high in (
                (module.weight, 0.5, 1.5),
                (module.bias, -0.5, 0.5),
                (module.running_mean, -1, 1),
                (module.running_var, 0.3, 3),
            ):
                nn.init.uniform_(values, low, high, generator=generator)
    return Backbone(network.eval(), made, "made.pth", str(FAMILIES.index((name, kind))) * 64)


def moving_pictures(clips: int, seed: int = 0) -> np.ndarray:
    """Clips (clips, 16, 112, 112, 3) of smooth colours that drift, and the noise of a camera."""
    random = np.random.default_rng(seed)
    row, column = np.meshgrid(np.linspace(0, 1, 112), np.linspace(0, 1, 112), indexing="ij")
    time = np.linspace(0, 1, 16)[:, None, None, None]
    pictures = []
    for _ in range(clips):
        wave, drift, phase = random.uniform(-6, 6, (3, 2)), random.uniform(-3, 3, 3), random.uniform(0, 6, 3)
        angle = row[..., None] * wave[:, 0] + column[..., None] * wave[:, 1] + time * drift + phase
        pictures.append(128 + 110 * np.sin(angle) + random.normal(0, 6, (16, 112, 112, 3)))
    return np.clip(pictures, 0, 255).astype(np.uint8)


def by_hand(backbone: Backbone, clips: np.ndarray) -> np.ndarray:
    """The plain network on an input prepared here: (value / scale - mean) / std, channels first."""
    preprocessing = backbone.preprocessing
    x = (clips / preprocessing.scale - np.array(preprocessing.mean)) / np.array(preprocessing.std)
    with torch.no_grad():
        return backbone.trunk(torch.from_numpy(np.ascontiguousarray(np.moveaxis(x, -1, 1))).float()).numpy()
