"""Small activations with a planted signal, labelled, for the tests of heads and models."""

import numpy as np

from heads.clips import Clips
from heads.labels import Labels
from store.spec import Spec
from store.vocabulary import Vocabulary

SPEC = Spec("r3d34", "2018", "random:0", "0" * 64, 16, 16, {"size": 112}, "float16", {"hop": 512})
VOCABULARY = Vocabulary("three", ("nod", "freeze", "play"))


def tail(shortcut: str = "A", outputs: int = 400, seed: int = 0) -> dict[str, np.ndarray]:
    """Return random weights of conv5 and fc by the backbone's names, batch norm not the identity."""
    random = np.random.default_rng(seed)
    weights = {
        "fc.weight": random.normal(0, 0.04, (outputs, 512)),
        "fc.bias": random.normal(0, 0.04, outputs),
    }
    for block in range(3):
        for layer in (1, 2):
            channels_in = 256 if (block, layer) == (0, 1) else 512
            shape = (512, channels_in, 3, 3, 3)
            weights[f"layer4.{block}.conv{layer}.weight"] = random.normal(0, (2 / (512 * 9)) ** 0.5, shape)
            weights |= norm(random, f"layer4.{block}.bn{layer}")
    if shortcut == "B":
        weights["layer4.0.downsample.0.weight"] = random.normal(0, 256**-0.5, (512, 256, 1, 1, 1))
        weights |= norm(random, "layer4.0.downsample.1")
    return {name: values.astype(np.float32) for name, values in weights.items()}


def norm(random: np.random.Generator, name: str) -> dict[str, np.ndarray]:
    return {
        f"{name}.weight": random.uniform(0.5, 1.5, 512),
        f"{name}.bias": random.normal(0, 0.1, 512),
        f"{name}.running_mean": random.normal(0, 0.1, 512),
        f"{name}.running_var": random.uniform(0.5, 1.5, 512),
    }


def planted(clips: int = 160, recordings: int = 2, seed: int = 0) -> tuple[Clips, Labels]:
    """Return clips in which each of three classes shifts some channels, at one place each.

    Recordings differ by an offset and a scale, so that only standardising makes them alike.
    """
    random = np.random.default_rng(seed)
    recording = np.repeat(np.arange(recordings), clips // recordings)
    positive = random.random((len(recording), 3)) < [0.5, 0.3, 0.15]
    x = random.normal(0, 1, (len(recording), 256, 2, 7, 7)).astype(np.float32)
    for column, (row, place) in enumerate([(0, 0), (3, 3), (5, 4)]):
        x[positive[:, column], 40 * column : 40 * (column + 1), :, row : row + 2, place : place + 3] += 3
    x = x * (1 + recording[:, None, None, None, None]) + 5 * recording[:, None, None, None, None]
    stored = x.astype(np.float16)
    by_recording = [stored[recording == number].astype(np.float32) for number in range(recordings)]
    frames = np.repeat(positive[:, None, :], 16, axis=1)
    return (
        Clips(
            stored,
            recording,
            np.stack([each.mean(axis=0) for each in by_recording]),
            np.stack([each.std(axis=0) for each in by_recording]),
        ),
        Labels(frames, np.ones(len(recording), bool)),
    )
