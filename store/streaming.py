"""Reading the clips of many recordings in any order, in bounded memory."""

from collections import OrderedDict
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from store.recording import Recording


class StreamedRows:
    """One array of several recordings, a row per clip, read block by block as rows are asked for.

    The blocks read last are kept. Who asks for rows in the order of their blocks, or for all rows of a few
    blocks before others, reads each block once.

    Parameters
    ----------
    recordings : sequence of Recording
        In the order of the clips.
    array : str
        Path inside each.
    keep : int
        Blocks kept.
    """

    def __init__(self, recordings: Sequence[Recording], array: str, keep: int):
        self._rows = [recording.rows(array) for recording in recordings]
        lengths = [rows.shape[0] for rows in self._rows]
        self.shape = (sum(lengths), *self._rows[0].shape[1:])
        self._where = np.concatenate(
            [
                np.column_stack([np.full(length, number), *np.divmod(np.arange(length), rows.block)])
                for number, (length, rows) in enumerate(zip(lengths, self._rows, strict=True))
            ]
        )
        self._kept: OrderedDict[tuple[int, int], NDArray] = OrderedDict()
        self._keep = keep

    def __len__(self) -> int:
        return self.shape[0]

    @property
    def nbytes(self) -> int:
        """What all of it would take in memory."""
        return sum(rows.nbytes for rows in self._rows)

    @property
    def block(self) -> NDArray[np.intp]:
        """For each row, the number of its block over all recordings."""
        return np.unique(self._where[:, :2], axis=0, return_inverse=True)[1].reshape(-1)

    def __getitem__(self, index: NDArray[np.intp]) -> NDArray:
        """Return rows, (len(index), ...).

        Raises
        ------
        InputError
            If one is missing or damaged.
        """
        where = self._where[index]
        blocks, which = np.unique(where[:, :2], axis=0, return_inverse=True)
        found: NDArray | None = None
        for number, (recording, block) in enumerate(blocks):
            mine = which.reshape(-1) == number
            values = self._block(int(recording), int(block))
            if found is None:
                found = np.empty((len(index), *self.shape[1:]), values.dtype)
            found[mine] = values[where[mine, 2]]
        assert found is not None, "no rows asked for"
        return found

    def _block(self, recording: int, block: int) -> NDArray:
        key = (recording, block)
        if key in self._kept:
            self._kept.move_to_end(key)
        else:
            self._kept[key] = self._rows[recording].read(block)
            while len(self._kept) > self._keep:
                self._kept.popitem(last=False)
        return self._kept[key]
