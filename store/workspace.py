"""Where a recording is assembled: a folder that outlives a stopped run, so that the next one goes on there.

Workspaces of a store are in ``STORE.partial`` beside it, on the same file system; those of a store on
object storage in the cache folder. There is one folder per recording, with a lock beside it that whoever
works there holds, and in it one workspace per set of facts that decide the bytes.
"""

import hashlib
import json
import logging
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from store.arrays import METADATA
from store.errors import InputError
from store.features import FeatureStore, occupied
from store.places import Place, PlaceError, cache_folder, is_remote, read_all
from store.recording import PARTS
from store.spec import Spec
from store.streams import CLIPS_PER_CHUNK

_FACTS = "workspace.json"
RECORDING = "recording"  # the folder in a workspace in which the arrays are
_PATIENCE = 1  # seconds to wait for a lock before saying so
_log = logging.getLogger(__name__)


@contextmanager
def workspace(
    store: Place, recording: str, spec: Spec, identity: dict[str, Any], parts: Sequence[str]
) -> Iterator[Path]:
    """Yield the workspace in which a recording is assembled, as a stopped run has left it or new.

    While another process works on the same recording, wait. The workspace is gone when the block ends,
    with an InputError too; what stops the block otherwise, a `PlaceError` among them, leaves it.

    Parameters
    ----------
    store : Place
        The store that the recording shall enter.
    recording : str
        Its id.
    spec : Spec
        The store's spec.
    identity : dict
        JSON-ready: what else decides the bytes.
    parts : sequence of str
        The views that are added to a recording; none for the recording itself.
    """
    facts = {"recording": recording, "parts": list(parts), "spec": spec.to_dict(), "identity": identity}
    # A weights file may be renamed between two runs: its hash counts. Of several views some may have arrived.
    deciding = facts | {"spec": {**spec.to_dict(), "weights": None}, "parts": bool(parts)}
    desk = workspaces(store) / _hash(recording)
    if is_remote(store):
        desk.parent.parent.mkdir(parents=True, exist_ok=True)
    sweep(store)
    with _locked(desk, f"{store}: waiting for another process that is writing {recording}"):
        folder = desk / _hash(json.dumps(deciding, sort_keys=True))
        try:
            folder.mkdir(parents=True, exist_ok=True)
            _note(folder / _FACTS, json.dumps(facts))
            yield folder
        except PlaceError:
            raise
        except InputError:
            shutil.rmtree(folder, ignore_errors=True)
            raise
        else:
            shutil.rmtree(folder, ignore_errors=True)
        finally:
            with suppress(InputError):  # the store may be out of reach by now
                _clear(store, desk)


def workspaces(store: Place) -> Path:
    """Return the folder of a store's workspaces; it need not exist."""
    if isinstance(store, Path):
        store = store.resolve()  # where a link leads to: only there can a rename reach
        return store.with_name(store.name + ".partial")
    return cache_folder() / "unfinished" / _hash(str(store))


def unfinished(store: Place) -> dict[str, int]:
    """Return which recordings have been begun and are not in the store yet, with the number of clips done.

    Those that are being written now are among them. Nothing is changed.

    Parameters
    ----------
    store : Place
        The store.

    Returns
    -------
    dict of int
        By the recording's id; of one to which views are being added, the clips of those views.
    """
    found: dict[str, int] = {}
    for folder in sorted(workspaces(store).glob("*/*/")):
        facts = _facts(folder)
        if _resumable(store, facts):
            found[facts["recording"]] = max(found.get(facts["recording"], 0), _clips_in(folder / RECORDING))
    return dict(sorted(found.items()))


def sweep(store: Place) -> None:
    """Remove what stopped runs have left and no run can go on with; whoever lives holds the lock."""
    parent = workspaces(store)
    for desk in {path.with_suffix("") for path in parent.glob("*")}:
        with suppress(Timeout, OSError), _locked(desk):
            _clear(store, desk)


def _clear(store: Place, desk: Path) -> None:
    for folder in desk.glob("*/"):
        if not _resumable(store, _facts(folder)):
            shutil.rmtree(folder, ignore_errors=True)
    with suppress(OSError):
        desk.rmdir()  # if it is empty


def _note(file: Path, text: str) -> None:
    """Write what a workspace is for; never half of it, or a full disk would cost what is in there."""
    if not file.is_file() or file.read_text() != text:
        new = file.with_suffix(".new")
        new.write_text(text)
        new.replace(file)


def _facts(folder: Path) -> dict[str, Any]:
    """Return what a workspace is for; nothing if that cannot be told."""
    try:
        facts = json.loads((folder / _FACTS).read_text())
        return {"recording": facts["recording"], "parts": facts["parts"], "spec": Spec.from_dict(facts["spec"])}
    except (KeyError, TypeError, AttributeError, ValueError, OSError):
        return {}


def _resumable(store: Place, facts: dict[str, Any]) -> bool:
    if not facts:
        return False
    if not occupied(store):
        return True
    opened = FeatureStore(store)
    if opened.spec.differences(facts["spec"]):
        return False
    if not facts["parts"]:
        return facts["recording"] not in opened
    markers = [f"{facts['recording']}/{PARTS}/{view}/{METADATA}" for view in facts["parts"]]
    return facts["recording"] in opened and None in read_all(store, markers)


def _clips_in(recording: Path) -> int:
    """Return how many clips an unfinished recording has; what is in the files is not looked at."""
    arrays = [*recording.glob("conv4/*/"), *recording.glob("audio/")]
    return min((_clips_of(array) for array in arrays), default=0)


def _clips_of(array: Path) -> int:
    try:
        expected = json.loads((array / METADATA).read_text())["shape"][0]
    except (KeyError, TypeError, ValueError, OSError):
        return 0
    return min(len([*array.glob("c/*")]) * CLIPS_PER_CHUNK, expected)


@contextmanager
def _locked(desk: Path, waiting: str | None = None) -> Iterator[None]:
    """Hold the lock of a folder of workspaces; its file is gone when nobody needs it.

    Parameters
    ----------
    desk : Path
        The folder; it need not exist, but the one that it is in is made here.
    waiting : str, optional
        What to tell the user while another process holds it; None is not to wait.

    Raises
    ------
    Timeout
        If another process holds it and `waiting` is None.
    """
    # Whoever gets the lock of a file that was removed meanwhile is told so by filelock, and tries again.
    lock = FileLock(f"{desk}.lock", thread_local=False)
    while not lock.is_locked:
        desk.parent.mkdir(exist_ok=True)
        with suppress(FileNotFoundError):  # another process has just removed the empty folder
            _acquire(lock, waiting)
    try:
        yield
    finally:
        with suppress(OSError):  # an open file cannot be removed on every system
            Path(lock.lock_file).unlink()
        lock.release()
        with suppress(OSError):
            desk.parent.rmdir()  # if it is empty


def _acquire(lock: FileLock, waiting: str | None) -> None:
    if waiting is None:
        lock.acquire(timeout=0)
        return
    try:
        lock.acquire(timeout=_PATIENCE)
    except Timeout:
        _log.warning(waiting)
        lock.acquire()


def _hash(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:32]
