"""Reading the clips of many recordings in any order, in bounded memory."""

from collections import OrderedDict
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from store.derived import derived
from store.progress import progress
from store.recording import Recording, Rows


class StreamedRows:
    """One array of several recordings, a row per clip, read block by block as rows are asked for.

    The blocks read last are kept. Who asks for rows in the order of their blocks, or for all rows of a few
    blocks before others, reads each block once. One thread at a time.

    Every block that is read is one that was sealed. To know that, their hashes are found the first time that an
    array is streamed, which reads all of it once, and kept beside the store.

    Parameters
    ----------
    recordings : sequence of Recording
        In the order of the clips.
    array : str
        Path inside each.
    keep : int
        Blocks kept.

    Attributes
    ----------
    shape : tuple of int
        As if all were one array.
    block : ndarray of int, shape (clips,)
        For each row, the number of its block over all recordings.
    """

    def __init__(self, recordings: Sequence[Recording], array: str, keep: int):
        self._rows = [recording.rows(array) for recording in recordings]
        lengths = [rows.shape[0] for rows in self._rows]
        self._hashes = [_hashes(recording, array, rows) for recording, rows in zip(recordings, self._rows, strict=True)]
        self.shape = (sum(lengths), *self._rows[0].shape[1:])
        # Of each block, its recording and its number there; of each row, its block and its place in it.
        self._blocks = [
            (recording, number)
            for recording, (rows, length) in enumerate(zip(self._rows, lengths, strict=True))
            for number in range(-(-length // rows.block))
        ]
        sizes = [
            min(self._rows[recording].block, lengths[recording] - number * self._rows[recording].block)
            for recording, number in self._blocks
        ]
        self.block = np.repeat(np.arange(len(sizes)), sizes)
        self._place = np.concatenate([np.arange(size) for size in sizes])
        self._kept: OrderedDict[int, NDArray] = OrderedDict()
        self._keep = keep

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, index: NDArray[np.intp]) -> NDArray:
        """Return rows, (len(index), ...).

        Raises
        ------
        InputError
            If one is missing or damaged.
        """
        found = np.empty((len(index), *self.shape[1:]), self._rows[0].dtype)
        block, place = self.block[index], self._place[index]
        for number in np.unique(block):
            mine = block == number
            found[mine] = self._read(int(number))[place[mine]]
        return found

    def _read(self, number: int) -> NDArray:
        if number in self._kept:
            self._kept.move_to_end(number)
        else:
            recording, block = self._blocks[number]
            hashes = self._hashes[recording]
            self._kept[number] = self._rows[recording].read(block, hashes[block].tobytes() if len(hashes) else None)
            while len(self._kept) > self._keep:
                self._kept.popitem(last=False)
        return self._kept[number]


def _hashes(recording: Recording, array: str, rows: Rows) -> NDArray[np.uint8]:
    def compute() -> NDArray[np.uint8]:
        with progress(f"checking {recording.id}", -(-rows.shape[0] // rows.block), "blocks") as advance:
            return rows.hashes(advance)

    return derived(recording, array, f"hashes-{array.replace('/', '-')}", "1", compute)
