"""Weights and a clip by formula, for which tests/golden holds what the authors' published code computes.

The numbers there were made once by the model definitions of github.com/kenshohara/3D-ResNets-PyTorch (2018: branch
CVPR2018, commit d9847ea, shortcut A, 400 outputs; 2020: commit 540a0ea, shortcut B, 700 outputs), in float64, from
these weights and this clip, normalised as `NORMALISED` says: every `STEP`th activation of layer3, and all outputs.
Nothing here uses torch's random numbers; numpy promises the raw bits of PCG64 for good.
"""

import zlib
from pathlib import Path

import numpy as np

GOLDEN = Path(__file__).parent / "golden"
STEP = 9  # has no factor in common with the 2 * 7 * 7 places of a channel, so all are looked at
OUTPUTS = {"2018": 400, "2020": 700}
NORMALISED = {  # scale, mean, standard deviation of red, green, blue
    "2018": (1, (114.7748, 107.7354, 99.4750), (1, 1, 1)),
    "2020": (255, (0.4345, 0.4051, 0.3775), (0.2768, 0.2713, 0.2737)),
}


def uniform(name: str, shape: tuple[int, ...], low: float, high: float) -> np.ndarray:
    """Numbers between two bounds that depend on the parameter's name alone."""
    bits = np.random.PCG64(zlib.crc32(name.encode())).random_raw(int(np.prod(shape))) >> np.uint64(40)
    return (low + (high - low) * bits.reshape(shape) / 2**24).astype(np.float32)


def weight(name: str, shape: tuple[int, ...]) -> np.ndarray:
    """A parameter by its name in the network: batch norm far from the identity, signals of even size."""
    part = name.rsplit(".", 1)[1]
    if part == "running_mean":
        return uniform(name, shape, -0.5, 0.5)
    if part == "running_var":
        return uniform(name, shape, 1, 4)
    if len(shape) == 1:
        return uniform(name, shape, 0.5, 1.5) if part == "weight" else uniform(name, shape, -0.3, 0.3)
    bound = (6 / np.prod(shape[1:])) ** 0.5
    return uniform(name, shape, -bound, bound)


def clip() -> np.ndarray:
    """Sixteen frames, (16, 112, 112, 3) uint8: waves that move, with fine grain."""
    t, y, x, channel = np.ogrid[:16, :112, :112, :3]
    return (
        (3 * x + 5 * y + 17 * t + x * y // 16 + 40 * channel + (7 * x * t + 13 * y * y * channel) % 31) % 256
    ).astype(np.uint8)
