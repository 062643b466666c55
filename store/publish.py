"""How what has been assembled appears in a store: whole, and by its marker last of all.

On a disk a folder is renamed into the store. Object storage has no rename: there the files are uploaded and
read back, then the marker, which a store accepts only once.
"""

import os
import shutil
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from store.arrays import METADATA
from store.errors import InputError
from store.files import sync_folder, sync_tree
from store.places import Place, PlaceError, key, reaching, read_all
from store.recording import PARTS

if TYPE_CHECKING:
    from upath import UPath

_AT_ONCE = 16  # files uploaded together, 26 MB of chunks


class TakenError(InputError):
    """What should appear is there by now, from somebody else."""

    def __init__(self, what: object):
        super().__init__(f"{what}: another process has just written it; run the command again")


def publish_store(root: Path, store: Place) -> None:
    """Let a new store appear, unless another process has made it meanwhile.

    Parameters
    ----------
    root : Path
        The store as it shall be, durable.
    store : Place
        Where it shall be.
    """
    with suppress(TakenError):
        if isinstance(store, Path):
            with suppress(OSError):
                store.rmdir()  # an empty folder is no store
            _rename_new(root, store.resolve())
        else:
            _upload(root, store, _files(root), [METADATA])


def publish_recording(folder: Path, store: Place, recording: str) -> None:
    """Let a recording appear.

    Parameters
    ----------
    folder : Path
        What has been assembled, sealed and durable.
    store : Place
        The store, which is there.
    recording : str
        Its id.

    Raises
    ------
    TakenError
        If the store has one of that id.
    """
    if isinstance(store, Path):
        _rename_new(folder, store / recording)
    else:
        _upload(folder, store / recording, _files(folder), [METADATA])


def publish_parts(folder: Path, store: Place, recording: str, views: Sequence[str]) -> None:
    """Let views appear in a recording that is there; what a stopped run has left of them is replaced.

    Those that have arrived meanwhile stay as they are.

    Parameters
    ----------
    folder : Path
        What has been assembled, sealed and durable.
    store : Place
        The store.
    recording : str
        The id of a recording that is there.
    views : sequence of str
        Names of the views.

    Raises
    ------
    TakenError
        If from another machine one arrives this very moment.
    """
    target = store / recording
    there = read_all(target, [f"{PARTS}/{view}/{METADATA}" for view in views])
    views = [view for view, marker in zip(views, there, strict=True) if marker is None]
    markers = [f"{PARTS}/{view}/{METADATA}" for view in views]
    arrays = [name for view in views for name in (f"conv4/{view}", f"statistics/conv4/{view}")]
    if not isinstance(target, Path):
        chunks = [f"{name}/{file}" for name in arrays for file in _files(folder / name)]
        _upload(folder, target, [*chunks, f"{PARTS}/{METADATA}"], markers)
        return
    for name in arrays:
        shutil.rmtree(target / name, ignore_errors=True)
        # Linked, not moved, so that a run stopped here still has them to go on with.
        shutil.copytree(folder / name, target / name, copy_function=_link)
        sync_tree(target / name)
        sync_folder((target / name).parent)
    (target / PARTS).mkdir(exist_ok=True)
    (folder / PARTS / METADATA).replace(target / PARTS / METADATA)
    sync_folder(target)
    sync_folder(target / PARTS)
    for view in views:
        shutil.rmtree(target / PARTS / view, ignore_errors=True)
        _rename_new(folder / PARTS / view, target / PARTS / view)


def require_writable(store: "UPath") -> None:
    """Check that object storage can be written to, before hours of work for it.

    Raises
    ------
    PlaceError
        If it cannot.
    """
    with reaching(store):
        store.fs.pipe_file(key(store, ".writable"), b"")
        store.fs.rm_file(key(store, ".writable"))


def _upload(source: Path, target: "UPath", names: Sequence[str], markers: Sequence[str]) -> None:
    names = [name for name in names if name not in markers]
    with reaching(target):
        for first in range(0, len(names), _AT_ONCE):
            # Looked at again and again: from another machine the same may arrive while we upload.
            _require_free(target, markers)
            _copy(source, target, names[first : first + _AT_ONCE])
        _require_free(target, markers)
        for marker in markers:
            _mark(source, target, marker)


def _copy(source: Path, target: "UPath", names: Sequence[str]) -> None:
    """Upload files that are not there as they are here, as after a stopped upload, and read them back."""
    contents = {name: (source / name).read_bytes() for name in names}
    different = _different(target, contents)
    target.fs.pipe({key(target, name): contents[name] for name in different})
    if _different(target, {name: contents[name] for name in different}):
        raise PlaceError(f"{target}: what was uploaded does not read back; run the command again")


def _different(target: "UPath", contents: dict[str, bytes]) -> list[str]:
    found = read_all(target, list(contents))
    return [name for name, there in zip(contents, found, strict=True) if there != contents[name]]


def _mark(source: Path, target: "UPath", marker: str) -> None:
    content = (source / marker).read_bytes()
    with suppress(FileExistsError):
        target.fs.pipe_file(key(target, marker), content, mode="create")
    if _different(target, {marker: content}):
        raise TakenError(target)


def _require_free(target: "UPath", markers: Sequence[str]) -> None:
    if any(content is not None for content in read_all(target, markers)):
        raise TakenError(target)


def _files(folder: Path) -> list[str]:
    return sorted(file.relative_to(folder).as_posix() for file in folder.rglob("*") if file.is_file())


def _link(source: str, target: str) -> None:
    try:
        os.link(source, target)
    except OSError:  # not every file system has links
        shutil.copy2(source, target)


def _rename_new(source: Path, target: Path) -> None:
    try:
        if target.exists():  # a rename onto an empty folder would succeed
            raise FileExistsError(target)
        source.rename(target)
    except OSError as error:
        if target.is_dir():
            raise TakenError(target) from error
        raise
    sync_folder(target.parent)
