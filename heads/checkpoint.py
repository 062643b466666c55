"""A training that was stopped, kept so that it goes on to the same result."""

import glob
import hashlib
import io
import json
import time
from pathlib import Path
from typing import Any

import torch

from store.files import is_whole, write_checked

_VERSION = 1  # changes when what is kept does, or what a training makes of it
_SHARE_OF_TIME = 0.1  # that writing may take


class Checkpoint:
    """One file with the state of a training; `forget` it when that is done.

    Parameters
    ----------
    path : Path
        Where.
    identity : object
        JSON-ready: all that decides the result. The state of another training is not gone on with.
    """

    def __init__(self, path: Path, identity: object):
        self._path = path
        self._identity = hashlib.sha256(json.dumps([_VERSION, identity], sort_keys=True).encode()).hexdigest()
        self._due = time.monotonic()

    def load(self) -> dict[str, Any] | None:
        """Return the state kept, or None if there is none, or it is damaged or of another training."""
        try:
            with self._path.open("rb") as file:
                if not is_whole(file):  # torch.load does not notice flipped bits
                    return None
                state = torch.load(file, map_location="cpu", weights_only=True)
        except Exception:  # whatever a file that is not there or foreign raises
            return None
        return state if isinstance(state, dict) and state.pop("identity", None) == self._identity else None

    def save(self, state: dict[str, Any]) -> None:
        """Keep a state, atomically; passed over while writing would take too much of the time."""
        began = time.monotonic()
        if began < self._due:
            return
        buffer = io.BytesIO()
        torch.save(state | {"identity": self._identity}, buffer)
        _remove(self._path.parent, _halves(glob.escape(self._path.name)))
        write_checked(self._path, buffer)
        took = time.monotonic() - began
        self._due = began + took / _SHARE_OF_TIME


def forget(folder: Path, pattern: str) -> None:
    """Remove states, and what was being written of them when a process was killed.

    Parameters
    ----------
    folder : Path
        Where they are.
    pattern : str
        What their names match, as `Path.glob` takes it.
    """
    _remove(folder, pattern)
    _remove(folder, _halves(pattern))


def _halves(pattern: str) -> str:
    """Return what the names of half-written files match, as `write_atomically` begins them."""
    return f".{pattern}.*"


def _remove(folder: Path, pattern: str) -> None:
    for path in folder.glob(pattern):
        path.unlink(missing_ok=True)
