"""Arrays while they are written: one that grows by clips, with its statistics, and goes on where it broke off."""

from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path, PurePosixPath
from typing import Self

import numpy as np
import zarr
from numpy.typing import NDArray
from zarr.codecs import Crc32cCodec, ZstdCodec
from zarr.storage import MemoryStore

from store.arrays import UNREADABLE, DamageError, StoredArray

CLIPS_PER_CHUNK = 32  # 1.6 MB of float16 activations: a file worth opening, yet little lost with it


class Stream:
    """One array that grows by clips, with the mean and standard deviation over them.

    Parameters
    ----------
    array : zarr.Array
        Where it is written, from its first clip on.
    """

    def __init__(self, array: zarr.Array):
        self._array = array
        shape = array.shape[1:]
        self._pending = np.empty((0, *shape), array.dtype)
        self._written = 0
        # Sums of differences from the first clip: exact enough in float64 whatever the offset.
        self._origin = np.zeros(shape)
        self._sum = np.zeros(shape)
        self._squares = np.zeros(shape)

    @classmethod
    def new(cls, group: zarr.Group, name: str, rows: NDArray, expected: int) -> Self:
        """Begin an array whose first clips are like `rows`; what was there is removed."""
        shape = rows.shape[1:]
        return cls(create_array(group, name, (expected, *shape), (CLIPS_PER_CHUNK, *shape), rows.dtype))

    @classmethod
    def left(cls, group: zarr.Group, name: str) -> Self | None:
        """Return the array that a stopped run has left, to be gone on with; None if it is of no use."""
        try:
            array = zarr.open_array(group.store, path=name, mode="r+", zarr_format=3)
        except UNREADABLE:
            return None
        shape, other = array.shape, zarr.open_group(MemoryStore(), mode="w", zarr_format=3)
        like = create_array(other, name, shape, (CLIPS_PER_CHUNK, *shape[1:]), array.dtype)
        return cls(array) if like.metadata.to_dict() == array.metadata.to_dict() else None

    @property
    def clips(self) -> int:
        """Number of clips so far."""
        return self._written + len(self._pending)

    def append(self, rows: NDArray) -> None:
        """Add the next clips."""
        self._count(rows)
        self._pending = np.concatenate([self._pending, rows])
        while len(self._pending) >= CLIPS_PER_CHUNK:
            self._write(CLIPS_PER_CHUNK)

    def accept(self, rows: NDArray) -> None:
        """Take a whole chunk of clips that is already there as the next one."""
        self._count(rows)
        self._written += len(rows)

    def finish(self) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Write the rest, fix the shape, and return mean and standard deviation over the clips."""
        if len(self._pending):
            self._write(len(self._pending))
        self._array.resize((self._written, *self._array.shape[1:]))
        mean = self._sum / self._written
        variance = np.maximum(self._squares / self._written - mean**2, 0)
        return (self._origin + mean).astype(np.float32), np.sqrt(variance).astype(np.float32)

    def _count(self, rows: NDArray) -> None:
        if not self.clips:
            self._origin = rows[0].astype(np.float64)
        for row in rows:  # clip by clip, so that the sums do not depend on how clips were batched
            difference = row - self._origin
            self._sum += difference
            self._squares += difference * difference

    def _write(self, count: int) -> None:
        end = self._written + count
        if end > self._array.shape[0]:
            self._array.resize((end, *self._array.shape[1:]))
        self._array[self._written : end] = self._pending[:count]
        self._pending = self._pending[count:]
        self._written = end


def resume(group: zarr.Group, folder: Path, names: Sequence[str]) -> tuple[int, dict[str, Stream]]:
    """Go on with arrays that a stopped run has left.

    Parameters
    ----------
    group : zarr.Group
        Where they were written.
    folder : Path
        The same as a folder.
    names : sequence of str
        Their paths; they go on together.

    Returns
    -------
    clips : int
        How many clips all of them have, in whole chunks that have been read and verified.
    streams : dict of Stream
        By name; none if there are no such clips.
    """
    for name in names:
        for parent in [*PurePosixPath(name).parents][:-1]:
            group.require_group(str(parent))
    streams = {name: stream for name in names if (stream := Stream.left(group, name)) is not None}
    clips = 0
    if len(streams) == len(names):
        for chunks in zip(*(_whole_chunks(folder, name) for name in names), strict=False):
            for stream, rows in zip(streams.values(), chunks, strict=True):
                stream.accept(rows)
            clips += CLIPS_PER_CHUNK
    return clips, streams if clips else {}


def _whole_chunks(folder: Path, name: str) -> Iterator[NDArray]:
    with suppress(DamageError):
        for chunk in StoredArray.open(folder, name).chunks():
            # A last chunk of fewer clips is filled up with NaN.
            if len(chunk.values) < CLIPS_PER_CHUNK or np.isnan(chunk.values[-1]).all():
                return
            yield chunk.values


def create_array(
    group: zarr.Group, name: str, shape: tuple[int, ...], chunks: tuple[int, ...], dtype: np.dtype
) -> zarr.Array:
    """Create an array whose every chunk is written, compressed, and ends in a CRC32C; replace what is there."""
    return group.create_array(
        name,
        shape=shape,
        chunks=tuple(max(size, 1) for size in chunks),
        dtype=dtype,
        compressors=(ZstdCodec(level=1), Crc32cCodec()),
        config={"write_empty_chunks": True},  # so that a missing chunk is always damage
        fill_value=np.nan,  # what other programs read in its place
        overwrite=True,
    )
