"""What can be computed again from a store, kept beside it: ``STORE.derived/<recording>/<name>.npy``.

The store itself is never touched. Each file's name holds a hash of what it was computed from, so that a
recording extracted again, or other weights, never meet an old file; and the file ends in a CRC-32 of itself. A
file that is damaged or cannot be written costs time, never a result.
"""

import hashlib
import io
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from store.errors import InputError
from store.files import is_whole, write_checked
from store.places import Place, cache_folder
from store.recording import Recording

_KEY = 16  # digits


def beside(store: Place) -> Path:
    """Return the folder of what is derived from a store; of one on object storage, on this machine."""
    if isinstance(store, Path):
        return store.resolve().with_name(f"{store.resolve().name}.derived")
    return cache_folder() / "derived" / hashlib.sha256(str(store).encode()).hexdigest()[:_KEY]


def derived(recording: Recording, array: str, name: str, made_from: str, compute: Callable[[], NDArray]) -> NDArray:
    """Return what is computed from an array of a recording, computed once.

    Parameters
    ----------
    recording : Recording
        What it is computed from.
    array : str
        Which of its arrays.
    name : str
        What it is, as a file may be named.
    made_from : str
        Whatever else decides the values, as weights or a version of the computation.
    compute : callable
        Computes it.
    """
    key = hashlib.sha256(f"{recording.fingerprint(array)}\n{made_from}".encode()).hexdigest()[:_KEY]
    file = beside(recording.store) / recording.id / f"{name}-{key}.npy"
    kept = _read(file)
    if kept is not None:
        return kept
    values = compute()
    with suppress(OSError, InputError):  # as where a store may only be read
        _write(file, values)
        for old in file.parent.glob(f"{name}-{'?' * _KEY}.npy"):
            if old != file:
                old.unlink(missing_ok=True)  # of the recording as it was
    return values


def _read(file: Path) -> NDArray | None:
    """Return the values in a file if it is whole."""
    try:
        with file.open("rb") as opened:
            return np.load(opened, allow_pickle=False) if is_whole(opened) else None
    except (OSError, ValueError, EOFError):
        return None


def _write(file: Path, values: NDArray) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    buffer = io.BytesIO()
    np.save(buffer, values, allow_pickle=False)
    write_checked(file, buffer)
