"""What is computed from stored activations alone, once, and kept beside the store."""

import math
from collections.abc import Callable, Iterator, Sequence
from functools import cache, partial

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from extract.views import PLAIN
from heads.conv5 import make_conv5
from heads.scale import CONV4, ENERGY, Scale, moments, stored_scale
from store.derived import derived
from store.features import FeatureStore
from store.progress import progress
from store.recording import Recording
from store.streaming import StreamedRows

CELLS = (2, 3, 3)  # time, height, width
_VERSION = "1"  # changes when these computations do
_AT_ONCE = 64  # clips pooled together: 6 MB of activations as float32

Compute = Callable[[NDArray], Tensor]


def pooled_activations(name: str, recording: Recording, view: str = PLAIN) -> NDArray[np.float32]:
    """Return a recording's activations pooled to 2 x 3 x 3, (clips, channels * 18) float32.

    Parameters
    ----------
    name : {"grid", "energy"}
        ``grid``: the activations as they are; ``energy``: their distance from the recording's mean, over its
        deviation, per channel and position.
    recording : Recording
        Whose.
    view : str
        Version of the picture.
    """
    array = f"conv4/{view}"
    compute = partial(_joined, recording, array, _pooling(name, recording, array))
    return derived(recording, array, f"{name}-{view}", _VERSION, compute)


def pooled_scale(name: str, recordings: Sequence[Recording], view: str = PLAIN) -> Scale:
    """Return the scale of `pooled_activations`, without holding those of a whole recording."""
    array, each = f"conv4/{view}", []
    for recording in recordings:
        compute = partial(_moments, recording, array, _pooling(name, recording, array))
        each.append(derived(recording, array, f"{name}-{view}-scale", _VERSION, compute))
    return Scale.of(name, *zip(*each, strict=True))


def pooled_conv5(recordings: Sequence[Recording], view: str = PLAIN) -> Iterator[NDArray[np.float32]]:
    """Yield conv5's pooled output with the weights that their store keeps, (clips, features) for each recording."""
    opened = FeatureStore(recordings[0].store)
    made_from = f"{_VERSION} {opened.spec.backbone} {opened.spec.weights_sha256}"
    conv5 = cache(lambda: make_conv5(opened.spec.backbone, opened.tail()).eval())  # only if something is missing
    array = f"conv4/{view}"
    for recording in recordings:
        compute = partial(_joined, recording, array, lambda block: conv5()(torch.from_numpy(block.astype(np.float32))))
        yield derived(recording, array, f"conv5-{view}", made_from, compute)


class PooledRows:
    """Pooled activations of clips that are too many for memory: pooled as they are asked for.

    Parameters
    ----------
    name : {"grid", "energy"}
        As in `pooled_activations`.
    activations : StreamedRows
        What is pooled.
    recordings : sequence of Recording
        Whose they are.
    view : str
        Version of the picture.

    Attributes
    ----------
    shape : tuple of int
        (clips, channels * 18).
    block : ndarray of int, shape (clips,)
        For each clip, the number of the stored block that it is in.
    """

    def __init__(self, name: str, activations: StreamedRows, recordings: Sequence[Recording], view: str):
        self._activations = activations
        self._scale = stored_scale(CONV4, recordings, f"conv4/{view}") if name == ENERGY else None
        self._recording = np.repeat(np.arange(len(recordings)), [recording.clips for recording in recordings])
        self.shape = (len(activations), activations.shape[1] * math.prod(CELLS))
        self.block = activations.block

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, index: NDArray[np.intp]) -> NDArray[np.float32]:
        """Return some clips', (len(index), channels * 18)."""
        found = np.empty((len(index), self.shape[1]), np.float32)
        for at in range(0, len(index), _AT_ONCE):
            some = index[at : at + _AT_ONCE]
            found[at : at + _AT_ONCE] = _pool(self._scale, self._activations[some], self._recording[some])
        return found


def _pooling(name: str, recording: Recording, array: str) -> Compute:
    """Return what pools the activations of a recording's clips."""
    scale = cache(lambda: stored_scale(CONV4, [recording], array) if name == ENERGY else None)  # only if needed
    return lambda block: _pool(scale(), block, np.zeros(len(block), np.intp))


def _pool(scale: Scale | None, activations: NDArray, recording: NDArray[np.intp]) -> Tensor:
    """Pool activations (N, channels, time, height, width) to (N, channels * 18)."""
    if scale is None:
        values = activations.astype(np.float32)
    else:
        values = scale.apply(activations, recording)
        np.abs(values, out=values)
    return functional.adaptive_avg_pool3d(torch.from_numpy(values), CELLS).flatten(1)


def _joined(recording: Recording, array: str, compute: Compute) -> NDArray[np.float32]:
    """Return what is computed from each of a recording's clips, (clips, features)."""
    found, done = np.empty((recording.clips, 0), np.float32), 0
    for piece in _by_block(recording, array, compute):
        if not done:
            found = np.empty((recording.clips, piece.shape[1]), np.float32)
        found[done : done + len(piece)] = piece
        done += len(piece)
    return found


def _moments(recording: Recording, array: str, compute: Compute) -> NDArray[np.float64]:
    return moments(_by_block(recording, array, compute))


def _by_block(recording: Recording, array: str, compute: Compute) -> Iterator[NDArray[np.float32]]:
    with progress(f"pooling {recording.id}", recording.clips, "clips") as advance:
        for block in recording.blocks(array):
            with torch.inference_mode():
                pooled = compute(block).numpy()
            yield pooled
            advance(len(pooled))
