"""The values of each input: read into memory, or to be read as they are asked for; and their statistics."""

import math
from collections.abc import Iterable, Sequence

import numpy as np
from numpy.typing import NDArray

from extract.views import PLAIN
from heads.pooled import CELLS, PooledRows, pooled_activations, pooled_conv5, pooled_scale
from heads.scale import AUDIO, CONV4, CONV5, ENERGY, GRID, Scale, stored_scale
from store.recording import Recording
from store.streaming import StreamedRows

_KEPT_BLOCKS = 64  # of 32 clips, of each view, when clips are streamed: 100 MB


class HeardRows:
    """The sound of clips, read as it is asked for; zeros for recordings without any.

    Parameters
    ----------
    recordings : sequence of Recording
        In the order of the clips; at least one has sound.
    """

    def __init__(self, recordings: Sequence[Recording]):
        sounding = [recording for recording in recordings if recording.has_sound]
        self._stored = StreamedRows(sounding, AUDIO, _KEPT_BLOCKS)
        heard = np.concatenate([np.full(recording.clips, recording.has_sound) for recording in recordings])
        self._row = np.where(heard, np.cumsum(heard) - 1, -1)
        self.shape = (len(heard), *self._stored.shape[1:])
        silent = int(self._stored.block.max()) + 1  # nothing is read for these
        self.block = np.where(heard, self._stored.block[self._row], silent)

    def __getitem__(self, index: NDArray[np.intp]) -> NDArray[np.float32]:
        """Return the sound of some clips, (len(index), ...)."""
        row = self._row[index]
        found = np.zeros((len(index), *self.shape[1:]), np.float32)
        found[row >= 0] = self._stored[row[row >= 0]]
        return found


Rows = NDArray | StreamedRows | PooledRows | HeardRows


def size_in_memory(recordings: Sequence[Recording], inputs: Sequence[str], views: Sequence[str]) -> int:
    """Return the bytes that the inputs take in memory."""
    total = 0
    for recording in recordings:
        stored = recording.rows(f"conv4/{PLAIN}")
        clips, channels = stored.shape[:2]
        each = {CONV4: math.prod(stored.shape) * stored.dtype.itemsize}
        each[GRID] = each[ENERGY] = clips * channels * math.prod(CELLS) * 4
        total += len(views) * sum(each.get(name, 0) for name in inputs)
        if AUDIO in inputs and recording.has_sound:
            total += math.prod(recording.rows(AUDIO).shape) * 4
    return total


def read(recordings: Sequence[Recording], names: Sequence[str], view: str) -> dict[str, Rows]:
    """Return inputs in one view, in memory."""
    found: dict[str, Rows] = {}
    for name in names:
        arrays: Iterable[NDArray]
        if name == CONV4:
            arrays = (recording.read(f"conv4/{view}") for recording in recordings)
        elif name == CONV5:
            arrays = pooled_conv5(recordings, view)
        elif name == AUDIO:
            shape = next(recording.rows(AUDIO).shape[1:] for recording in recordings if recording.has_sound)
            arrays = (
                recording.read(AUDIO) if recording.has_sound else np.zeros((recording.clips, *shape), np.float32)
                for recording in recordings
            )
        else:
            arrays = (pooled_activations(name, recording, view) for recording in recordings)
        found[name] = _joined(arrays, sum(recording.clips for recording in recordings))
    return found


def stream(recordings: Sequence[Recording], names: Sequence[str], view: str) -> dict[str, Rows]:
    """Return inputs in one view, to be read as they are asked for; all from one set of blocks."""
    activations = StreamedRows(recordings, f"conv4/{view}", _KEPT_BLOCKS)
    found: dict[str, Rows] = {}
    for name in names:
        if name == CONV4:
            found[name] = activations
        elif name == CONV5:
            found |= read(recordings, [name], view)
        elif name == AUDIO:
            found[name] = HeardRows(recordings)
        else:
            found[name] = PooledRows(name, activations, recordings, view)
    return found


def _joined(arrays: Iterable[NDArray], clips: int) -> NDArray:
    """Return arrays one after the other, never two copies of all of them in memory."""
    joined, done = np.empty(0), 0
    for array in arrays:
        if len(array) == clips:
            return array
        if not done:
            joined = np.empty((clips, *array.shape[1:]), array.dtype)
        joined[done : done + len(array)] = array
        done += len(array)
    return joined


def own_scale(name: str, recordings: Sequence[Recording], view: str, rows: Rows) -> Scale:
    """Return the scale of an input by each recording's own statistics."""
    if name == CONV4:
        return stored_scale(CONV4, recordings, f"conv4/{view}")
    if name == AUDIO:
        return _scale_of_sound(recordings, rows.shape[1:])
    if isinstance(rows, PooledRows):
        return pooled_scale(name, recordings, view)
    assert isinstance(rows, np.ndarray)
    ends = np.cumsum([recording.clips for recording in recordings])
    return Scale.over(name, np.split(rows, ends[:-1]))


def _scale_of_sound(recordings: Sequence[Recording], shape: tuple[int, ...]) -> Scale:
    means, stds = [], []
    for recording in recordings:
        means.append(recording.read("statistics/audio/mean") if recording.has_sound else np.zeros(shape, np.float32))
        stds.append(recording.read("statistics/audio/std") if recording.has_sound else np.ones(shape, np.float32))
    return Scale.of(AUDIO, means, stds)
