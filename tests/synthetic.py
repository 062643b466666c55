"""Small activations with a planted signal, labelled, for the tests of heads and models."""

from collections.abc import Sequence

import numpy as np

from heads.clips import Clips
from heads.labels import Labels
from heads.scale import Scale
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


def planted(
    clips: int = 160,
    recordings: int = 2,
    seed: int = 0,
    more: Sequence[str] = (),
    views: Sequence[str] = ("plain",),
) -> tuple[Clips, Labels]:
    """Return clips in which each of three classes shifts some features, standardised by recording.

    Recordings differ by an offset and a scale, so that only standardising makes them alike. Inputs are conv4,
    grid and energy, and more, ``audio`` or ``conv5``; of the views, ``flip`` is the picture turned over.
    """
    random = np.random.default_rng(seed)
    recording = np.repeat(np.arange(recordings), clips // recordings)
    positive = random.random((len(recording), 3)) < [0.5, 0.3, 0.15]
    x = random.normal(0, 1, (len(recording), 256, 2, 7, 7)).astype(np.float32)
    for column, (row, place) in enumerate([(0, 0), (3, 3), (5, 4)]):
        x[positive[:, column], 40 * column : 40 * (column + 1), :, row : row + 2, place : place + 3] += 3
    x = x * (1 + recording[:, None, None, None, None]) + 5 * recording[:, None, None, None, None]
    rows: dict[tuple[str, str], np.ndarray] = {}
    for view in views:
        rows["conv4", view] = (x if view == "plain" else x[..., ::-1]).astype(np.float16)
        activations = rows["conv4", view].astype(np.float32)
        distance = np.abs(_by_recording(activations, recording).apply(activations, recording))
        rows["grid", view], rows["energy", view] = pooled(activations), pooled(distance)
        if "conv5" in more:
            rows["conv5", view] = _shifted(random, positive, (512,), 1 + 3 * recording)
    if "audio" in more:
        rows["audio", "plain"] = _shifted(random, positive, (28, 108), 1 + 3 * recording)
    frames = np.repeat(positive[:, None, :], 16, axis=1)
    return (
        Clips(
            recording=recording,
            heard=np.full(recordings, "audio" in more),
            rows=rows,
            scales={key: _by_recording(values, recording) for key, values in rows.items()},
        ),
        Labels(frames, np.ones(len(recording), bool)),
    )


def pooled(activations: np.ndarray) -> np.ndarray:
    """Return activations (clips, channels, 2, 7, 7) pooled to 2 x 3 x 3, (clips, channels * 18)."""
    bins = [slice(0, 3), slice(2, 5), slice(4, 7)]
    cells = [[activations[..., rows, columns].mean(axis=(-2, -1)) for columns in bins] for rows in bins]
    return np.moveaxis(np.array(cells), (0, 1), (-2, -1)).reshape(len(activations), -1)


def _by_recording(values: np.ndarray, recording: np.ndarray) -> Scale:
    each = [values[recording == number].astype(np.float64) for number in np.unique(recording)]
    mean, std = (np.stack([getattr(own, what)(axis=0) for own in each]).astype(np.float32) for what in ("mean", "std"))
    return Scale(mean, std)


def _shifted(
    random: np.random.Generator, positive: np.ndarray, shape: tuple[int, ...], factor: np.ndarray
) -> np.ndarray:
    """Return noise (clips, *shape) in which each class shifts ten features, times a factor for each clip."""
    values = random.normal(0, 1, (len(positive), *shape)).astype(np.float32)
    for column in range(positive.shape[1]):
        values[positive[:, column], ..., 10 * column : 10 * (column + 1)] += 2
    return values * factor.reshape(-1, *(1 for _ in shape)).astype(np.float32)
