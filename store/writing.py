"""How a recording enters a store: assembled beside it, read back, made durable, and made to appear.

A recording is either not there or whole. A run that is stopped leaves a workspace (`store.workspace`), from
which the same command goes on; what it has taken from there equals what an uninterrupted run writes.
"""

import json
import shutil
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import zarr
from numpy.typing import NDArray

from store.arrays import METADATA, DamageError
from store.errors import InputError
from store.features import SPEC_ATTRIBUTE, FeatureStore, occupied
from store.files import sync_tree
from store.places import Place, PlaceError, is_remote, reaching
from store.publish import publish_parts, publish_recording, publish_store, require_writable
from store.recording import PARTS, TAIL_GROUP
from store.seal import group_document, seal
from store.spec import Spec
from store.streams import CLIPS_PER_CHUNK, Stream, create_array, resume
from store.workspace import RECORDING, workspace, workspaces

__all__ = ["CLIPS_PER_CHUNK", "RecordingWriter", "check_id"]


class RecordingWriter:
    """Writes one recording, or more views of one; as a context, they are in the store only if `commit` was called.

    Entering waits for another process that is at the same recording: look then whether the store has it by now.
    A block that ends with an `InputError`, or without `commit`, leaves nothing behind; one that is stopped
    otherwise, or by a `PlaceError`, leaves what it has written, for the next one to go on with.

    Parameters
    ----------
    store : Place
        The store; made on the first commit if there is none.
    recording : str
        Its id; not yet taken, unless views are added.
    spec : Spec
        The store's spec.
    tail : dict of ndarray
        Weights of conv5 and fc, kept in a store that is made now.
    clips : int
        Number of clips expected; it may turn out smaller or larger.
    identity : dict
        JSON-ready: what decides the values of the arrays besides spec and id, as hashes of the sources. Only
        a run with the same goes on where another was stopped.
    parts : sequence of str
        Names of views that are added to a recording that is there, as ``("flip",)``: the arrays are then
        ``conv4/flip`` alone. None for the recording itself.
    """

    def __init__(
        self,
        store: Place,
        recording: str,
        spec: Spec,
        tail: dict[str, NDArray],
        clips: int,
        identity: dict[str, Any],
        parts: Sequence[str] = (),
    ):
        self._store, self._recording, self._spec, self._tail = store, check_id(recording), spec, tail
        self._expected = max(clips, 1)
        self._identity, self._parts = identity, parts
        self._streams: dict[str, Stream] = {}
        self._whole: list[str] = []

    def __enter__(self) -> Self:
        # What goes wrong in the workspace of a remote store goes wrong on this machine's disk.
        self._disk = workspaces(self._store) if is_remote(self._store) else self._store
        with reaching(self._disk), ExitStack() as stack:
            _require_reachable(self._store)
            entered = workspace(self._store, self._recording, self._spec, self._identity, self._parts)
            self._workspace = stack.enter_context(entered)
            self._folder = self._workspace / RECORDING
            self._group = _reopen(self._folder)
            self._stack = stack.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._stack.__exit__(kind, error, traceback)

    def resume(self, arrays: Sequence[str]) -> int:
        """Go on with arrays that a stopped run has left; to be called before the first `append`.

        Parameters
        ----------
        arrays : sequence of str
            Paths of streamed arrays that grow together, as ``["conv4/plain", "audio"]``.

        Returns
        -------
        int
            How many clips all of them have, a multiple of `CLIPS_PER_CHUNK`, each read and verified. The
            next clips to append are those after them.
        """
        with reaching(self._disk):
            clips, streams = resume(self._group, self._folder, arrays)
        self._streams |= streams
        return clips

    def append(self, array: str, rows: NDArray) -> None:
        """Add the next clips to a streamed array; its statistics are kept on the way.

        Parameters
        ----------
        array : str
            Path inside the recording, as ``conv4/plain``.
        rows : ndarray, shape (clips, ...)
            All calls for one array have the same type and the same shape of a clip. No clip is all NaN.
        """
        if self._parts and array.removeprefix("conv4/") not in self._parts:
            raise ValueError(f"{array} is not a view among {self._parts}")
        with reaching(self._disk):
            if array not in self._streams:
                self._streams[array] = Stream.new(self._group, array, rows, self._expected)
            self._streams[array].append(rows)

    def put(self, array: str, values: NDArray) -> None:
        """Write a whole small array."""
        with reaching(self._disk):
            create_array(self._group, array, values.shape, values.shape, values.dtype)[...] = values
        self._whole.append(array)

    def commit(self, attributes: dict[str, Any]) -> None:
        """Finish: verify everything written, make it durable, and let it appear in the store.

        Parameters
        ----------
        attributes : dict
            JSON-ready facts on the source and the computation.

        Raises
        ------
        InputError
            If the id was taken meanwhile, the store was made with another spec meanwhile, views do not fit the
            recording, or what was written does not read back.
        """
        for name, stream in self._streams.items():
            with reaching(self._disk):
                mean, std = stream.finish()
            self.put(f"statistics/{name}/mean", mean)
            self.put(f"statistics/{name}/std", std)
        try:
            with reaching(self._disk):
                self._seal(attributes)
                sync_tree(self._folder)
        except DamageError as error:
            raise PlaceError(f"{self._disk}: what was written does not read back ({error}); check the disk") from error
        with reaching(self._store):
            self._publish()

    def _seal(self, attributes: dict[str, Any]) -> None:
        arrays = [*self._streams, *self._whole]
        if not self._parts:
            for name, member in self._group.members(max_depth=None):
                if isinstance(member, zarr.Array) and name not in arrays:  # of a run that had more of them
                    del self._group[name]
            seal(self._folder, METADATA, arrays, attributes)
        for view in self._parts:
            mine = [name for name in arrays if f"{name}/".startswith((f"conv4/{view}/", f"statistics/conv4/{view}/"))]
            seal(self._folder, f"{PARTS}/{view}/{METADATA}", mine, attributes)
            (self._folder / PARTS / METADATA).write_bytes(group_document({}))

    def _publish(self) -> None:
        if not occupied(self._store):
            root = self._workspace / "root"
            shutil.rmtree(root, ignore_errors=True)
            _assemble_store(root, self._spec, self._tail)
            publish_store(root, self._store)
        store = FeatureStore(self._store)
        store.require(self._spec, "extract into another store")
        if not self._parts:
            publish_recording(self._folder, self._store, self._recording)
            return
        clips = store[self._recording].clips
        if any(stream.clips != clips for stream in self._streams.values()):
            counts = ", ".join(f"{name} {stream.clips}" for name, stream in self._streams.items())
            raise InputError(
                f"{self._store}: {self._recording} has {clips} clips, and the video now gives {counts}; "
                "extract it into a new store"
            )
        publish_parts(self._folder, self._store, self._recording, self._parts)


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


def _require_reachable(store: Place) -> None:
    """Check before the work that its result can be moved into the store."""
    if not isinstance(store, Path):
        require_writable(store)
    elif store.exists() and store.stat().st_dev != store.resolve().parent.stat().st_dev:
        raise InputError(f"{store}: is the root of a file system, which cannot be a store; name a folder in it")


def _assemble_store(root: Path, spec: Spec, tail: dict[str, NDArray]) -> None:
    group = zarr.open_group(root / TAIL_GROUP, mode="w-", zarr_format=3)
    for name, values in tail.items():
        create_array(group, name, values.shape, values.shape, values.dtype)[...] = values
    seal(root / TAIL_GROUP, METADATA, list(tail), {})
    seal(root, METADATA, [], {SPEC_ATTRIBUTE: spec.to_dict()})
    sync_tree(root)


def _reopen(folder: Path) -> zarr.Group:
    """Return the group in a workspace; of what a stopped run has left, only the arrays stay."""
    for file in [*folder.rglob("*.partial")]:  # half a file of Zarr's
        file.unlink()
    for file in [*folder.rglob(METADATA)]:
        if not _is_array(file):
            file.unlink()
    return zarr.open_group(folder, mode="a", zarr_format=3)


def _is_array(metadata: Path) -> bool:
    try:
        return json.loads(metadata.read_bytes())["node_type"] == "array"
    except (ValueError, KeyError, TypeError):
        return False
