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

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from extract.views import PLAIN
from heads.inputs import HeardRows, Rows, own_scale, read, size_in_memory, stream
from heads.memory import free_memory
from heads.scale import AUDIO, Scale, moments
from store.errors import InputError
from store.recording import Recording

HEARD = "heard"  # in a batch: 1 where the recording has sound, else 0
_SHARE_OF_MEMORY = 0.4  # of what is free, for the inputs
_AT_ONCE = 64  # clips, when statistics are computed

Batch = dict[str, Tensor]


@dataclass(frozen=True)
class Clips:
    """The clips of one or more recordings, in order.

    Parameters
    ----------
    recording : ndarray of int, shape (clips,)
        Index of each clip's recording.
    heard : ndarray of bool, shape (recordings,)
        Which recordings have sound.
    rows : mapping
        Values as stored, by input and view; the sound has only the plain one.
    scales : mapping
        By input and view; nothing where values are used as they are.
    """

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
        streamed = [rows for rows in self.rows.values() if not isinstance(rows, np.ndarray)]
        streamed.sort(key=lambda rows: isinstance(rows, HeardRows))  # the picture is the larger to read
        return streamed[0].block if streamed else None

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

    def only(self, *inputs: str, views: Sequence[str] | None = None) -> "Clips":
        """Return the same clips with these inputs alone, and, if given, these views."""
        kept = [key for key in self.rows if key[0] in inputs and (views is None or key[1] in views)]
        return replace(
            self,
            rows={key: self.rows[key] for key in kept},
            scales={key: self.scales[key] for key in kept if key in self.scales},
        )

    def standardised(self, recordings: Sequence[Recording]) -> "Clips":
        """Return the same clips, each input standardised by its recording's own statistics."""
        return self.scaled(
            {(name, view): own_scale(name, recordings, view, rows) for (name, view), rows in self.rows.items()}
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
        In order, of one store.
    inputs : sequence of str
        Which inputs.
    standardise : {"recording", "training", "none"}
        ``recording``: each by its own statistics, which need no labels, so that the recording to be labelled has
        its own too. The others leave values as they are; for ``training``, `Clips.scaled_over` follows.
    views : sequence of str
        Versions of the picture, the plain one first.
    memory : int, optional
        Bytes that the inputs may take; two fifths of what is free if not given. conv5's output, a twenty-fifth
        of the activations, is always in memory.

    Raises
    ------
    InputError
        If an array is missing or damaged, or none of the recordings has the sound asked for.
    """
    heard = np.array([recording.has_sound for recording in recordings])
    if AUDIO in inputs and not heard.any():
        names = ", ".join(recording.id for recording in recordings)
        raise InputError(f"{recordings[0].store}: {names}: no sound is stored, which this system needs; choose another")
    budget = _SHARE_OF_MEMORY * free_memory() if memory is None else memory
    load = read if size_in_memory(recordings, inputs, views) <= budget else stream
    rows: dict[tuple[str, str], Rows] = {}
    for view in views:
        seen = [name for name in inputs if name != AUDIO or view == PLAIN]
        rows |= {(name, view): found for name, found in load(recordings, seen, view).items()}
    lengths = [recording.clips for recording in recordings]
    clips = Clips(np.repeat(np.arange(len(recordings)), lengths), heard, rows, {})
    return clips.standardised(recordings) if standardise == "recording" else clips


def _scale_over(name: str, rows: Rows, training: NDArray[np.intp]) -> Scale:
    pieces = (rows[training[at : at + _AT_ONCE]] for at in range(0, len(training), _AT_ONCE))
    mean, std = moments(pieces)
    return Scale.of(name, [mean], [std])
