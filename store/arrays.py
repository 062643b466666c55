"""One array as it lies in its place: read chunk by chunk, none of them missing, every checksum verified."""

import hashlib
import itertools
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Self

import numpy as np
import zarr
import zarr.abc.buffer
from numpy.typing import NDArray
from zarr.buffer.cpu import Buffer
from zarr.storage import MemoryStore

from store.places import Place, is_remote, read_all

METADATA = "zarr.json"  # the name that Zarr gives it
_AT_ONCE = 16  # chunks fetched together from afar, 26 MB of float16 activations
# What zarr may raise where a bit has flipped, in JSON or in a chunk.
UNREADABLE = (ValueError, KeyError, TypeError, AttributeError, RuntimeError, OSError)


class DamageError(Exception):
    """What is wrong with an array, in a few words."""


@dataclass(frozen=True)
class Chunk:
    """One chunk that has been read.

    Parameters
    ----------
    selection : tuple of slice
        Where its values belong in the array.
    values : ndarray
        What it holds.
    key : str
        Name of its file.
    content : bytes
        What the file holds.
    """

    selection: tuple[slice, ...]
    values: NDArray
    key: str
    content: bytes

    @cached_property
    def line(self) -> bytes:
        """``<key> <SHA-256 of the file>``, of which the array's digest is made."""
        return _line(self.key, hashlib.sha256(self.content).digest())


class StoredArray:
    """An array of a recording; `open` makes it.

    zarr decodes but never reads itself: it would take a missing chunk for one of fill values.

    Parameters
    ----------
    folder : Place
        Where it is.
    metadata : bytes
        Content of its metadata file.
    sealed : str, optional
        The digest that its chunks shall have.
    """

    def __init__(self, folder: Place, metadata: bytes, sealed: str | None = None):
        self._folder, self._sealed = folder, sealed
        self._fetched: dict[str, zarr.abc.buffer.Buffer] = {METADATA: Buffer.from_bytes(metadata)}
        self._array = zarr.open_array(MemoryStore(self._fetched), mode="r", zarr_format=3)
        self.metadata_sha256 = hashlib.sha256(metadata).hexdigest()

    @classmethod
    def open(cls, recording: Place, name: str, sealed: str | None = None) -> Self:
        """Open the array of that path inside a recording.

        Raises
        ------
        DamageError
            If its metadata are missing or cannot be read.
        """
        folder = recording / name
        try:
            (metadata,) = read_all(folder, [METADATA])
        except OSError as error:
            raise DamageError("its metadata cannot be read") from error
        if metadata is None:
            raise DamageError("its metadata are missing")
        try:
            return cls(folder, metadata, sealed)
        except UNREADABLE as error:
            raise DamageError("its metadata cannot be read") from error

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of the array."""
        return self._array.shape

    @property
    def dtype(self) -> np.dtype:
        """Type of its values."""
        return self._array.dtype

    @property
    def rows_per_chunk(self) -> int:
        """Length of a chunk along the first axis."""
        return self._array.chunks[0]

    def hashes(self, advance: Callable[[], object]) -> NDArray[np.uint8]:
        """Return the SHA-256 of every chunk's file, (chunks, 32); of an array without a seal none, (0, 32).

        Parameters
        ----------
        advance : callable
            Called after each chunk.

        Raises
        ------
        DamageError
            If one is missing, or together they are not those that were sealed.
        """
        if self._sealed is None:
            return np.empty((0, 32), np.uint8)
        hashes, found = [], hashlib.sha256()
        for _, key, content in self._files():
            hashes.append(hashlib.sha256(content).digest())
            found.update(_line(key, hashes[-1]))
            advance()
        if self._sealed != found.hexdigest():
            raise DamageError("its chunks are not those that were sealed")
        return np.frombuffer(b"".join(hashes), np.uint8).reshape(-1, 32)

    def rows(self, number: int, sha256: bytes | None = None) -> NDArray:
        """Return the rows of one chunk along the first axis, verified by its checksum.

        For arrays whose chunks are whole in all other axes, as those that hold a row per clip.

        Parameters
        ----------
        number : int
            Of the chunk.
        sha256 : bytes, optional
            Of its file, as `hashes` has it: a chunk may be whole, but of another place or another run.

        Raises
        ------
        DamageError
            If it is missing or damaged.
        """
        index = (number, *(0 for _ in self.shape[1:]))
        key = "/".join(map(str, ("c", *index)))
        (content,) = self._fetch([key])
        chunk = self._decode(index, key, content)
        if sha256 not in (None, hashlib.sha256(chunk.content).digest()):
            raise DamageError(f"the chunk {key} is not the one that was sealed")
        return chunk.values

    def chunks(self) -> Iterator[Chunk]:
        """Yield all chunks in the order of the grid, each verified by its checksum.

        Raises
        ------
        DamageError
            At the first that is missing or damaged; at the end if together they are not those that were sealed.
        """
        found = hashlib.sha256()
        for file in self._files():
            chunk = self._decode(*file)
            found.update(chunk.line)
            yield chunk
        if self._sealed not in (None, found.hexdigest()):
            raise DamageError("its chunks are not those that were sealed")

    def _files(self) -> Iterator[tuple[tuple[int, ...], str, bytes]]:
        """Yield place in the grid, name and content of all chunks."""
        grid = [range(-(-size // chunk)) for size, chunk in zip(self.shape, self._array.chunks, strict=True)]
        indices = itertools.product(*grid)
        at_once = _AT_ONCE if is_remote(self._folder) else 1
        while batch := list(itertools.islice(indices, at_once)):
            keys = ["/".join(map(str, ("c", *index))) for index in batch]
            yield from zip(batch, keys, self._fetch(keys), strict=True)

    def _fetch(self, keys: Sequence[str]) -> list[bytes]:
        """Return the contents of chunks."""
        try:
            contents = read_all(self._folder, keys)
        except OSError as error:
            raise DamageError("a chunk cannot be read") from error
        for key, content in zip(keys, contents, strict=True):
            if content is None:
                raise DamageError(f"the chunk {key} is missing")
        return [content for content in contents if content is not None]

    def _decode(self, index: tuple[int, ...], key: str, content: bytes) -> Chunk:
        sizes = zip(index, self._array.chunks, strict=True)
        selection = tuple(slice(position * size, (position + 1) * size) for position, size in sizes)
        self._fetched[key] = Buffer.from_bytes(content)
        try:
            values = np.asarray(self._array[selection])
        except UNREADABLE as error:
            reason = "the checksum does not match" if "checksum" in str(error) else "it cannot be decoded"
            raise DamageError(f"the chunk {key}: {reason}") from error
        finally:
            del self._fetched[key]
        return Chunk(selection, values, key, content)

    def read(self) -> NDArray:
        """Return all values.

        Raises
        ------
        DamageError
            As `chunks`.
        """
        values = np.empty(self.shape, self._array.dtype)
        for chunk in self.chunks():
            values[chunk.selection] = chunk.values
        return values

    def digest(self) -> str:
        """Return the hash of lines ``<key> <SHA-256 of the file>`` of all chunks, in the order of the grid.

        Raises
        ------
        DamageError
            As `chunks`.
        """
        found = hashlib.sha256()
        for chunk in self.chunks():
            found.update(chunk.line)
        return found.hexdigest()


def _line(key: str, sha256: bytes) -> bytes:
    return f"{key} {sha256.hex()}\n".encode()
