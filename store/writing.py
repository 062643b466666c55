"""How a recording enters a store: written beside it, verified, made durable, and renamed into it.

A recording is either not there or whole: a kill at any instant leaves at most a folder in
``STORE.partial``, which the next writer clears away.
"""

import os
import shutil
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import numpy as np
import zarr
from filelock import FileLock, Timeout
from numpy.typing import NDArray
from zarr.codecs import Crc32cCodec, ZstdCodec

from store.errors import InputError
from store.features import SPEC_ATTRIBUTE, TAIL_GROUP, FeatureStore, Recording, occupied
from store.files import sync_folder
from store.seal import METADATA, seal
from store.spec import Spec

CLIPS_PER_CHUNK = 32  # 1.6 MB of float16 activations: a file worth opening, yet little lost with it


class RecordingWriter:
    """Writes one recording; as a context, it is in the store only if `commit` was called.

    Parameters
    ----------
    store : Path
        The store's folder; made on the first commit if there is none.
    recording : str
        Its id, not yet taken.
    spec : Spec
        The store's spec.
    tail : dict of ndarray
        Weights of conv5 and fc, kept in a store that is made now.
    clips : int
        Number of clips expected; it may turn out smaller or larger.
    """

    def __init__(self, store: Path, recording: str, spec: Spec, tail: dict[str, NDArray], clips: int):
        self._store, self._recording, self._spec, self._tail = store, check_id(recording), spec, tail
        self._expected = max(clips, 1)
        self._streams: dict[str, _Stream] = {}

    def __enter__(self) -> Self:
        self._workspace = _workspace(self._store)
        self._folder = self._workspace.__enter__()
        self._group = zarr.open_group(self._folder / "recording", mode="w-", zarr_format=3)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._workspace.__exit__(kind, error, traceback)
        if isinstance(error, OSError):
            raise InputError(
                f"{self._store}: cannot be written ({error.strerror}); free or choose another place"
            ) from error

    def append(self, array: str, rows: NDArray) -> None:
        """Add the next clips to a streamed array; its statistics are kept on the way.

        Parameters
        ----------
        array : str
            Path inside the recording, as ``conv4/plain``.
        rows : ndarray, shape (clips, ...)
            All calls for one array have the same type and the same shape of a clip.
        """
        if array not in self._streams:
            self._streams[array] = _Stream(self._group, array, rows, self._expected)
        self._streams[array].append(rows)

    def put(self, array: str, values: NDArray) -> None:
        """Write a whole small array."""
        create_array(self._group, array, values.shape, values.shape, values.dtype)[...] = values

    def commit(self, attributes: dict[str, Any]) -> None:
        """Finish: verify everything written, make it durable, and let it appear in the store.

        Parameters
        ----------
        attributes : dict
            JSON-ready facts on the source and the computation.

        Raises
        ------
        InputError
            If the id was taken meanwhile, the store was made with another spec meanwhile, or what was
            written does not read back.
        """
        for name, stream in self._streams.items():
            mean, std = stream.finish()
            self.put(f"statistics/{name}/mean", mean)
            self.put(f"statistics/{name}/std", std)
        self._group.attrs.update(attributes)
        seal(self._group, self._folder / "recording")
        Recording.open(self._folder, "recording").verify()
        _sync_tree(self._folder / "recording")
        if not occupied(self._store):
            self._create_store()
        FeatureStore(self._store).require(self._spec, "extract into another store")
        _rename_new(self._folder / "recording", self._store / self._recording)

    def _create_store(self) -> None:
        root = zarr.open_group(self._folder / "root", mode="w-", zarr_format=3)
        root.attrs[SPEC_ATTRIBUTE] = self._spec.to_dict()
        seal(root, self._folder / "root")  # before the tail, which has a seal of its own
        tail = root.create_group(TAIL_GROUP)
        for name, values in self._tail.items():
            create_array(tail, name, values.shape, values.shape, values.dtype)[...] = values
        seal(tail, self._folder / "root" / TAIL_GROUP)
        _sync_tree(self._folder / "root")
        with suppress(OSError):
            self._store.rmdir()  # an empty folder is no store
        try:
            _rename_new(self._folder / "root", self._store)
        except InputError:
            if not self._store.is_dir():  # else another process has made it meanwhile
                raise


class _Stream:
    """One array that grows by clips while it is written, with its mean and standard deviation."""

    def __init__(self, group: zarr.Group, name: str, rows: NDArray, expected: int):
        shape = rows.shape[1:]
        self._array = create_array(group, name, (expected, *shape), (CLIPS_PER_CHUNK, *shape), rows.dtype)
        self._pending = np.empty((0, *shape), rows.dtype)
        self._written = 0
        # Sums of differences from the first clip: exact enough in float64 whatever the offset.
        self._origin = rows[0].astype(np.float64)
        self._sum = np.zeros(shape)
        self._squares = np.zeros(shape)

    def append(self, rows: NDArray) -> None:
        for row in rows:  # clip by clip, so that the sums do not depend on how clips were batched
            difference = row - self._origin
            self._sum += difference
            self._squares += difference * difference
        self._pending = np.concatenate([self._pending, rows])
        while len(self._pending) >= CLIPS_PER_CHUNK:
            self._write(CLIPS_PER_CHUNK)

    def finish(self) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Write the rest, fix the shape, and return mean and standard deviation over the clips."""
        if len(self._pending):
            self._write(len(self._pending))
        self._array.resize((self._written, *self._array.shape[1:]))
        mean = self._sum / self._written
        variance = np.maximum(self._squares / self._written - mean**2, 0)
        return (self._origin + mean).astype(np.float32), np.sqrt(variance).astype(np.float32)

    def _write(self, count: int) -> None:
        end = self._written + count
        if end > self._array.shape[0]:
            self._array.resize((end, *self._array.shape[1:]))
        self._array[self._written : end] = self._pending[:count]
        self._pending = self._pending[count:]
        self._written = end


def create_array(
    group: zarr.Group, name: str, shape: tuple[int, ...], chunks: tuple[int, ...], dtype: np.dtype
) -> zarr.Array:
    """Create an array whose every chunk is written, compressed, and ends in a CRC32C."""
    return group.create_array(
        name,
        shape=shape,
        chunks=tuple(max(size, 1) for size in chunks),
        dtype=dtype,
        compressors=(ZstdCodec(level=1), Crc32cCodec()),
        config={"write_empty_chunks": True},  # so that a missing chunk is always damage
        fill_value=np.nan,  # what other programs read in its place
    )


def check_id(recording: str) -> str:
    """Return a recording's id if it can be one.

    Raises
    ------
    InputError
        If it cannot.
    """
    reserved = recording in (TAIL_GROUP, METADATA) or recording.startswith((".", "__"))
    if reserved or not recording or not recording.isprintable() or set(recording) & set("/\\"):
        raise InputError(f"{recording!r}: cannot be the id of a recording; give another with --name")
    return recording


@contextmanager
def _workspace(store: Path) -> Iterator[Path]:
    """Yield an empty folder beside the store, on its file system; gone when the block ends."""
    parent = store.with_name(store.name + ".partial")
    try:
        parent.mkdir(exist_ok=True)
    except OSError as error:
        raise InputError(f"{store}: cannot be written ({error.strerror}); choose another place") from error
    for left_over in parent.glob("*.lock"):
        _clear(left_over)
    folder = parent / uuid.uuid4().hex
    lock = FileLock(folder.with_suffix(".lock"))
    with lock:
        folder.mkdir()
        try:
            yield folder
        finally:
            shutil.rmtree(folder, ignore_errors=True)
            Path(lock.lock_file).unlink(missing_ok=True)
            with suppress(OSError):  # another process may be writing there
                parent.rmdir()


def _clear(lock_file: Path) -> None:
    """Remove what a killed process has left; a living one holds its lock."""
    with suppress(Timeout), FileLock(lock_file, timeout=0):
        shutil.rmtree(lock_file.with_suffix(""), ignore_errors=True)
        lock_file.unlink(missing_ok=True)


def _rename_new(source: Path, target: Path) -> None:
    try:
        if target.exists():  # a rename onto an empty folder would succeed
            raise FileExistsError(target)
        source.rename(target)
    except FileExistsError:
        raise InputError(f"{target}: another process has just written it; run the command again") from None
    except OSError as error:
        if target.is_dir():
            raise InputError(f"{target}: another process has just written it; run again") from error
        raise
    sync_folder(target.parent)


def _sync_tree(folder: Path) -> None:
    for parent, _, names in os.walk(folder):
        for name in names:
            with (Path(parent) / name).open("rb+") as file:
                os.fsync(file.fileno())
        sync_folder(Path(parent))
