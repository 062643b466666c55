"""Stored clips as a head sees them: several inputs, each standardised.

====== ================================ ========================================================
input  shape of a clip                  what it is
====== ================================ ========================================================
conv4  (256, 2, 7, 7) from r3d34        activations as stored; one array per view
conv5  (512,) from r3d34                conv5's pooled output with the backbone's own weights
grid   (4608,) from r3d34               conv4 pooled to 2 x 3 x 3: keeps where something moves
energy (4608,) from r3d34               the same of how far conv4 is from its recording's mean
audio  (28, 108)                        features of the sound; zeros where there is none
====== ================================ ========================================================

`heads.pooled` computes the three in between, once. Standardised are all of them, or none (`Scale`).
"""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from extract.views import PLAIN
from heads.pooled import PooledRows, pooled_activations, pooled_conv5
from heads.scale import AUDIO, CONV4, CONV5, Scale, stored_scale
from store.errors import InputError
from store.recording import Recording
from store.streaming import StreamedRows

HEARD = "heard"  # in a batch: 1 where the recording has sound, else 0
_SHARE_OF_MEMORY = 0.4  # of what is free, for activations
_KEPT_BLOCKS = 64  # of 32 clips, of each view, when activations are streamed: 100 MB
_AT_ONCE = 256  # clips, when statistics are computed

Rows = NDArray | StreamedRows | PooledRows
Batch = dict[str, Tensor]


@dataclass(frozen=True)
class Clips:
    """The clips of one or more recordings, in order.

    Parameters
    ----------
    names : tuple of str
        Ids of the recordings.
    recording : ndarray of int, shape (clips,)
        Index of each clip's recording.
    heard : ndarray of bool, shape (recordings,)
        Which recordings have sound.
    rows : mapping
        Values as stored, by input and view; the sound has only the plain one.
    scales : mapping
        By input and view; nothing where values are used as they are.
    """

    names: tuple[str, ...]
    recording: NDArray[np.intp]
    heard: NDArray[np.bool_]
    rows: Mapping[tuple[str, str], Rows]
    scales: Mapping[tuple[str, str], Scale]

    def __len__(self) -> int:
        return len(self.recording)

    @property
    def inputs(self) -> tuple[str, ...]:
        """Names of the inputs that are there."""
        return tuple(dict.fromkeys(name for name, _ in self.rows))

    @property
    def views(self) -> tuple[str, ...]:
        """Versions of the picture that are there, the plain one first."""
        return tuple(dict.fromkeys(view for name, view in self.rows if name != AUDIO))

    @property
    def blocks(self) -> NDArray[np.intp] | None:
        """The stored block of each clip where clips are streamed; None where all are in memory."""
        return next((rows.block for rows in self.rows.values() if isinstance(rows, StreamedRows)), None)

    def take(self, name: str, index: NDArray[np.intp], view: str = PLAIN) -> NDArray[np.float32]:
        """Return an input of some clips, standardised, (len(index), ...)."""
        values = self.rows[name, view][index]
        scale = self.scales.get((name, view))
        return values.astype(np.float32) if scale is None else scale.apply(values, self.recording[index])

    def batch(self, index: NDArray[np.intp], view: NDArray[np.intp] | None = None) -> Batch:
        """Return all inputs of some clips.

        Parameters
        ----------
        index : ndarray of int, shape (batch,)
            Which clips.
        view : ndarray of int, shape (batch,), optional
            Index into `views` for each of them; the plain one if not given.

        Returns
        -------
        dict of Tensor
            By name, (batch, ...) float32 each; with the sound also `HEARD` (batch, 1), 1 where there is any.
        """
        batch = {}
        for name in self.inputs:
            if name == AUDIO or view is None or not view.any():
                values = self.take(name, index)
            else:
                values = np.empty((len(index), *self.rows[name, PLAIN].shape[1:]), np.float32)
                for number in np.unique(view):
                    values[view == number] = self.take(name, index[view == number], self.views[number])
            batch[name] = torch.from_numpy(values)
        if AUDIO in batch:
            heard = self.heard[self.recording[index]]
            batch[HEARD] = torch.from_numpy(heard.astype(np.float32))[:, None]
            batch[AUDIO] *= batch[HEARD][:, :, None]  # silence standardised is not zero
        return batch

    def only(self, *inputs: str) -> "Clips":
        """Return the same clips with these inputs alone."""
        return replace(
            self,
            rows={key: rows for key, rows in self.rows.items() if key[0] in inputs},
            scales={key: scale for key, scale in self.scales.items() if key[0] in inputs},
        )

    def scaled_over(self, training: NDArray[np.intp]) -> "Clips":
        """Return the same clips, each input standardised by its statistics over some of the clips, as one."""
        return self.scaled({key: _scale_over(key[0], rows, training) for key, rows in self.rows.items()})

    def scaled(self, scales: Mapping[tuple[str, str], Scale]) -> "Clips":
        """Return the same clips with other scales."""
        return replace(self, scales=dict(scales))


def load_clips(
    recordings: Sequence[Recording],
    inputs: Sequence[str],
    standardise: str = "recording",
    views: Sequence[str] = (PLAIN,),
    memory: int | None = None,
) -> Clips:
    """Open the clips of whole recordings, in memory where they fit, else to be streamed.

    Parameters
    ----------
    recordings : sequence of Recording
        In order.
    inputs : sequence of str
        Which inputs.
    standardise : {"recording", "training", "none"}
        ``recording``: each by its own statistics, which need no labels, so that the recording to be labelled has
        its own too. The others leave values as they are; for ``training``, `Clips.scaled_over` follows.
    views : sequence of str
        Versions of the picture, the plain one first.
    memory : int, optional
        Bytes that the activations may take; two fifths of what is free if not given.

    Raises
    ------
    InputError
        If an array is missing or damaged, or none of the recordings has the sound asked for.
    """
    rows: dict[tuple[str, str], Rows] = {}
    scales: dict[tuple[str, str], Scale] = {}
    heard = np.array([recording.has_sound for recording in recordings])
    if AUDIO in inputs and not heard.any():
        names = ", ".join(recording.id for recording in recordings)
        raise InputError(f"{recordings[0].store}: {names}: no sound is stored, which this system needs; choose another")
    for name in sorted(inputs):  # conv4 before what may be pooled from it
        for view in views if name != AUDIO else (PLAIN,):
            if name == CONV4:
                rows[name, view], scale = _activations(recordings, f"conv4/{view}", memory, len(views))
            elif name == AUDIO:
                rows[name, view], scale = _audio(recordings, heard)
            elif name == CONV5:
                rows[name, view], scale = _whole(name, pooled_conv5(recordings, view))
            else:
                rows[name, view], scale = _pooled(name, recordings, view, rows.get((CONV4, view)))
            if standardise == "recording":
                scales[name, view] = scale
    lengths = [recording.clips for recording in recordings]
    ids = tuple(recording.id for recording in recordings)
    return Clips(ids, np.repeat(np.arange(len(recordings)), lengths), heard, rows, scales)


def _activations(recordings: Sequence[Recording], array: str, memory: int | None, views: int) -> tuple[Rows, Scale]:
    streamed = StreamedRows(recordings, array, _KEPT_BLOCKS)
    size = streamed.nbytes * views
    fits = size <= (_SHARE_OF_MEMORY * _free_memory() if memory is None else memory)
    rows = np.concatenate([recording.read(array) for recording in recordings]) if fits else streamed
    return rows, stored_scale(CONV4, recordings, array)


def _pooled(name: str, recordings: Sequence[Recording], view: str, activations: Rows | None) -> tuple[Rows, Scale]:
    if not isinstance(activations, StreamedRows):
        return _whole(name, [pooled_activations(name, recording, view) for recording in recordings])
    scales = [Scale.over(name, [pooled_activations(name, recording, view)]) for recording in recordings]
    scale = Scale(*(np.concatenate([getattr(each, part) for each in scales]) for part in ("mean", "divisor")))
    return PooledRows(name, activations, recordings, view), scale


def _audio(recordings: Sequence[Recording], heard: NDArray[np.bool_]) -> tuple[Rows, Scale]:
    shape = recordings[int(np.argmax(heard))].read("audio").shape[1:]
    silence = np.zeros(shape, np.float32), np.ones(shape, np.float32)
    rows, means, stds = [], [], []
    for recording, sound in zip(recordings, heard, strict=True):
        rows.append(recording.read("audio") if sound else np.zeros((recording.clips, *shape), np.float32))
        means.append(recording.read("statistics/audio/mean") if sound else silence[0])
        stds.append(recording.read("statistics/audio/std") if sound else silence[1])
    return np.concatenate(rows), Scale.of(AUDIO, means, stds)


def _whole(name: str, arrays: Sequence[NDArray[np.float32]]) -> tuple[Rows, Scale]:
    return np.concatenate(arrays), Scale.over(name, arrays)


def _scale_over(name: str, rows: Rows, training: NDArray[np.intp]) -> Scale:
    total, squares = np.zeros(rows.shape[1:]), np.zeros(rows.shape[1:])
    for index in np.array_split(training, -(-len(training) // _AT_ONCE)):
        values = rows[index].astype(np.float64)
        total += values.sum(axis=0)
        squares += (values**2).sum(axis=0)
    mean = total / len(training)
    return Scale.of(name, [mean], [np.sqrt(np.maximum(squares / len(training) - mean**2, 0))])


def _free_memory() -> int:
    """Return the bytes of memory that are free, as far as the system tells."""
    try:
        return os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (ValueError, OSError, AttributeError):
        return 8 << 30
