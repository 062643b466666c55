"""What is computed from stored activations alone, once, and kept beside the store."""

import math
from collections.abc import Callable, Sequence
from functools import cache, partial

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from extract.views import PLAIN
from heads.conv5 import make_conv5
from heads.scale import CONV4, ENERGY, Scale, stored_scale
from store.derived import derived
from store.features import FeatureStore
from store.recording import Recording
from store.streaming import StreamedRows

CELLS = (2, 3, 3)  # time, height, width
_VERSION = "1"  # changes when these computations do


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
    scale = stored_scale(CONV4, [recording], array) if name == ENERGY else None
    return derived(
        recording, array, f"{name}-{view}", _VERSION, partial(_by_block, recording, array, partial(_pool, scale))
    )


def pooled_conv5(recordings: Sequence[Recording], view: str = PLAIN) -> list[NDArray[np.float32]]:
    """Return conv5's pooled output with the weights that their store keeps, (clips, features) for each recording."""
    opened = FeatureStore(recordings[0].store)
    made_from = f"{_VERSION} {opened.spec.backbone} {opened.spec.weights_sha256}"
    conv5 = cache(lambda: make_conv5(opened.spec.backbone, opened.tail()).eval())  # only if something is missing
    array = f"conv4/{view}"
    return [
        derived(
            recording,
            array,
            f"conv5-{view}",
            made_from,
            partial(_by_block, recording, array, lambda block: conv5()(torch.from_numpy(block.astype(np.float32)))),
        )
        for recording in recordings
    ]


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
    """

    def __init__(self, name: str, activations: StreamedRows, recordings: Sequence[Recording], view: str):
        self._activations = activations
        self._scale = stored_scale(CONV4, recordings, f"conv4/{view}") if name == ENERGY else None
        self._recording = np.repeat(np.arange(len(recordings)), [recording.clips for recording in recordings])
        self.shape = (len(activations), activations.shape[1] * math.prod(CELLS))

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, index: NDArray[np.intp]) -> NDArray[np.float32]:
        """Return some clips', (len(index), channels * 18)."""
        return _pool(self._scale, self._activations[index], self._recording[index]).numpy()


def _pool(scale: Scale | None, activations: NDArray, recording: NDArray[np.intp] | None = None) -> Tensor:
    """Pool activations (N, channels, time, height, width) to (N, channels * 18)."""
    if scale is None:
        values = activations.astype(np.float32)
    else:
        values = np.abs(
            scale.apply(activations, np.zeros(len(activations), np.intp) if recording is None else recording)
        )
    return functional.adaptive_avg_pool3d(torch.from_numpy(values), CELLS).flatten(1)


def _by_block(recording: Recording, array: str, compute: Callable[[NDArray], Tensor]) -> NDArray[np.float32]:
    with torch.inference_mode():
        return torch.cat([compute(block) for block in recording.blocks(array)]).numpy()
