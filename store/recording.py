"""One recording of a store: its arrays, read in such a way that damage is an error and never a number."""

import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
from numpy.typing import NDArray

from store.arrays import METADATA, DamageError, StoredArray
from store.errors import InputError
from store.places import Place, folders, read_all
from store.seal import ARRAYS, DIGESTS, is_plain_group, sealed_attributes

TAIL_GROUP = "chironomy-tail"
PARTS = "parts"


@dataclass(frozen=True)
class Recording:
    """One recording of a store, read-only; `open` makes it.

    Parameters
    ----------
    store : Place
        The store it is in.
    id : str
        Its name there.
    attributes : dict
        What is known of the source and of how its features were computed; under ``arrays`` the SHA-256 of
        the metadata of each array, by its path inside the recording, and under ``digests`` of its chunks.
    """

    store: Place
    id: str
    attributes: dict[str, Any]

    @classmethod
    def open(cls, store: Place, recording: str) -> "Recording":
        """Open the recording of that id.

        Raises
        ------
        InputError
            If its metadata are missing or damaged.
        """
        (metadata,) = group_metadata(store, [recording])
        return cls(store, recording, _unsealed(store, recording, metadata))

    @cached_property
    def parts(self) -> dict[str, dict[str, Any]]:
        """Attributes of the views that were added later, by view, as `attributes`.

        Raises
        ------
        InputError
            If those of one are damaged.
        """
        names = [f"{self.id}/{PARTS}/{view}" for view in folders(self.store / self.id / PARTS)]
        found = dict(zip(names, group_metadata(self.store, names), strict=True))
        there = {name: metadata for name, metadata in found.items() if metadata is not None}
        return {name.rpartition("/")[2]: _unsealed(self.store, name, metadata) for name, metadata in there.items()}

    @property
    def arrays(self) -> list[str]:
        """Paths of all arrays inside the recording."""
        return [name for part in (self.attributes, *self.parts.values()) for name in part[ARRAYS]]

    @property
    def clips(self) -> int:
        """Number of clips."""
        return self._find("times").shape[0]

    @property
    def views(self) -> list[str]:
        """Names of the views whose activations are stored, ``plain`` among them."""
        return [name.removeprefix("conv4/") for name in self.arrays if name.startswith("conv4/")]

    @property
    def has_sound(self) -> bool:
        """Whether audio features are stored."""
        return "audio" in self.attributes[ARRAYS]

    def read(self, array: str) -> NDArray:
        """Return a whole array, verified by its checksums and its seal.

        Parameters
        ----------
        array : str
            Path inside the recording, as ``conv4/plain`` or ``times``.

        Raises
        ------
        InputError
            If the array is not there, or a chunk of it is missing or damaged.
        """
        found = self._find(array)
        with self.naming(array):
            return found.read()

    def blocks(self, array: str) -> Iterator[NDArray]:
        """Yield an array block by block of rows, in order, verified as by `read` but in little memory."""
        found = self._find(array)
        with self.naming(array):
            for chunk in found.chunks():
                yield chunk.values

    def rows(self, array: str) -> "Rows":
        """Return an array to be read block by block in any order."""
        return Rows(self, array, self._find(array))

    def fingerprint(self, array: str) -> str:
        """Return what tells an array's content from any other's: its digest, or all that is known of it."""
        group, sealed = self._sealing(array)
        digest = sealed.get(DIGESTS, {}).get(array)  # not in a store of format 1
        return json.dumps([group, sealed[ARRAYS][array], digest or self.attributes], sort_keys=True)

    def verify(self) -> None:
        """Read everything once, in little memory.

        Raises
        ------
        InputError
            If something is damaged or incomplete.
        """
        for name in self.arrays:
            for _ in self.blocks(name):
                pass
        between = [f"{self.id}/{name}" for name in self._groups()]
        for name, metadata in zip(between, group_metadata(self.store, between), strict=True):
            if not is_plain_group(metadata):
                raise _damaged(self.store, name, "its metadata have changed", self.id)

    def _groups(self) -> set[str]:
        """Return the groups between the recording and its arrays."""
        arrays = {str(parent) for name in self.arrays for parent in PurePosixPath(name).parents} - {"."}
        return arrays | ({PARTS} if self.parts else set())

    def _find(self, array: str) -> StoredArray:
        _, sealed = self._sealing(array)
        with self.naming(array):
            found = StoredArray.open(self.store / self.id, array, sealed.get(DIGESTS, {}).get(array))
            if found.metadata_sha256 != sealed[ARRAYS][array]:
                raise DamageError("its metadata have changed")
        return found

    def _sealing(self, array: str) -> tuple[str, dict[str, Any]]:
        """Return the group that an array came with, and its attributes."""
        if array in self.attributes[ARRAYS]:
            return self.id, self.attributes
        # Views added later are looked for only now: whoever needs none of them pays nothing for them.
        for view, attributes in self.parts.items():
            if array in attributes[ARRAYS]:
                return f"{self.id}/{PARTS}/{view}", attributes
        raise InputError(f"{self.store}: recording {self.id} has no {array}; extract the video again")

    @contextmanager
    def naming(self, array: str) -> Iterator[None]:
        """Turn damage of an array into an error that names it."""
        try:
            yield
        except DamageError as error:
            group, _ = self._sealing(array)
            raise _damaged(self.store, f"{self.id}/{array}", str(error), group) from error


@dataclass(frozen=True)
class Rows:
    """An array of a recording with a row per clip, read in blocks; `Recording.rows` makes it.

    Parameters
    ----------
    recording : Recording
        Whose it is.
    array : str
        Path inside the recording.
    stored : StoredArray
        Where it is read from.
    """

    recording: Recording
    array: str
    stored: StoredArray

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of the whole array."""
        return self.stored.shape

    @property
    def dtype(self) -> np.dtype:
        """Type of its values."""
        return self.stored.dtype

    @property
    def block(self) -> int:
        """Rows in a block; the last may have fewer."""
        return self.stored.rows_per_chunk

    def hashes(self, advance: Callable[[], object]) -> NDArray[np.uint8]:
        """Return the SHA-256 of every block, (blocks, 32); none, (0, 32), in a store of format 1.

        Parameters
        ----------
        advance : callable
            Called after each block.

        Raises
        ------
        InputError
            If one is missing, or together they are not those that were sealed.
        """
        with self.recording.naming(self.array):
            return self.stored.hashes(advance)

    def read(self, number: int, sha256: bytes | None = None) -> NDArray:
        """Return a block of rows, verified by its checksum, and by its hash if that is given.

        Raises
        ------
        InputError
            If it is missing or damaged.
        """
        with self.recording.naming(self.array):
            return self.stored.rows(number, sha256)


def group_metadata(store: Place, groups: Sequence[str]) -> list[bytes | None]:
    """Return the metadata files of groups; None where there is none, nothing where it cannot be read.

    Raises
    ------
    PlaceError
        If the object storage fails.
    """
    files = [f"{group}/{METADATA}" for group in groups]
    if isinstance(store, Path):
        return [_try_read(store, file) for file in files]
    return read_all(store, files)


def _try_read(store: Path, file: str) -> bytes | None:
    try:
        return read_all(store, [file])[0]
    except OSError:
        return b""


def _unsealed(store: Place, group: str, metadata: bytes | None) -> dict[str, Any]:
    try:
        return sealed_attributes(metadata)
    except ValueError as error:
        raise _damaged(store, group, "its metadata cannot be read", group) from error


def _damaged(store: Place, what: str, reason: str, group: str) -> InputError:
    """Return the error for what is damaged, mended by doing without the group that it came with."""
    if group == TAIL_GROUP:
        mend = "extract all videos again into a new store"
    else:
        mend = f"delete the folder {store / group} and extract the video again"
    return InputError(f"{store}: {what} is damaged ({reason}); {mend}")
