"""Checkpoints as they are published: names and shapes from the papers, not from our network."""

import torch


def published_shapes(shortcut: str, outputs: int) -> dict[str, tuple[int, ...]]:
    """Names and shapes of a checkpoint, from the papers: basic blocks 3, 4, 6, 3 of 64 to 512 channels."""
    shapes: dict[str, tuple[int, ...]] = {"conv1.weight": (64, 3, 7, 7, 7)}
    norms = {"bn1": 64}
    channels_in = 64
    for layer, (blocks, channels) in enumerate(zip((3, 4, 6, 3), (64, 128, 256, 512), strict=True), start=1):
        for block in range(blocks):
            name = f"layer{layer}.{block}"
            shapes[f"{name}.conv1.weight"] = (channels, channels_in, 3, 3, 3)
            shapes[f"{name}.conv2.weight"] = (channels, channels, 3, 3, 3)
            norms |= {f"{name}.bn1": channels, f"{name}.bn2": channels}
            if shortcut == "B" and layer > 1 and block == 0:
                shapes[f"{name}.downsample.0.weight"] = (channels, channels_in, 1, 1, 1)
                norms[f"{name}.downsample.1"] = channels
            channels_in = channels
    for name, channels in norms.items():
        shapes |= {f"{name}.{part}": (channels,) for part in ("weight", "bias", "running_mean", "running_var")}
    return shapes | {"fc.weight": (outputs, 512), "fc.bias": (outputs,)}


def published(shortcut: str, outputs: int) -> dict[str, torch.Tensor]:
    """A checkpoint's tensors, each of one value of its own, which takes no room in memory or file."""
    shapes = published_shapes(shortcut, outputs)
    return {name: torch.tensor(1 + number / 64).expand(shape) for number, (name, shape) in enumerate(shapes.items())}
