"""A power cut, after the log of `shim.c`: what had not been made durable by then is lost, or comes back.

Data are durable once their file was synced after the last write to it; a name (made, changed or removed) once its
folder was. Of the names that are not, a file system with a journal keeps those up to some moment; others keep any.
"""

import os
import shutil
from dataclasses import dataclass
from pathlib import Path

import numpy as np

_NAMES = ("create", "mkdir", "link", "rename", "unlink", "rmdir")


@dataclass(frozen=True)
class _Event:
    operation: str
    inode: int
    folder: int
    path: str
    second: str
    kept: Path | None


def cut(folder: Path, log: Path, noise: np.random.Generator | None) -> None:
    """Turn a folder, whose changes by a stopped process a log tells, into what is found after a power cut.

    All that is not durable is lost, unless `noise` is there to choose.
    """
    events = _read(log)
    lost = _lost(events, noise)
    for place in reversed(lost):
        kept = [event for later, event in enumerate(events) if later > place and later not in lost]
        _undo(events[place], kept)
    unsafe = _unsynced(events)
    for parent, _, files in os.walk(folder):
        for name in files:
            path = Path(parent) / name
            if path.stat().st_ino in unsafe:
                whole = noise is None or noise.integers(2)
                path.write_bytes(b"\0" * (path.stat().st_size if whole else 0))


def _lost(events: list[_Event], noise: np.random.Generator | None) -> list[int]:
    """Return which changes of names are lost."""
    unsafe = [place for place, event in enumerate(events) if event.operation in _NAMES and not _synced(events, place)]
    if noise is None or not unsafe:
        return unsafe
    if noise.integers(2):
        return unsafe[noise.integers(len(unsafe)) :]
    return [place for place in unsafe if noise.integers(2)]


def _read(log: Path) -> list[_Event]:
    events = []
    for line in log.read_text().splitlines():
        operation, inode, folder, path, second, kept = line.split("\t")
        grave = Path(f"{log}.{kept}") if kept != "0" else None
        events.append(_Event(operation, int(inode), int(folder), path, second, grave))
    return events


def _synced(events: list[_Event], place: int) -> bool:
    return any(event.operation == "fsync" and event.inode == events[place].folder for event in events[place:])


def _unsynced(events: list[_Event]) -> set[int]:
    """Return the inodes of files written to and not synced since."""
    found: set[int] = set()
    for event in events:
        if event.operation == "write":
            found.add(event.inode)
        elif event.operation in ("fsync", "create"):  # a number used again is another file
            found.discard(event.inode)
    return found


def _undo(event: _Event, kept_later: list[_Event]) -> None:
    path, second = (_now(each, kept_later) for each in (event.path, event.second))
    if event.operation == "rename" and second.exists() and path.parent.is_dir() and not path.exists():
        second.rename(path)
    elif event.operation == "link":
        second.unlink(missing_ok=True)
    elif event.operation == "create":
        path.unlink(missing_ok=True)
    elif event.operation == "mkdir":
        shutil.rmtree(path, ignore_errors=True)
    elif event.operation == "rmdir" and path.parent.is_dir():
        path.mkdir(exist_ok=True)
    back = second if event.operation == "rename" else path
    if event.kept is not None and back.parent.is_dir() and not back.exists():
        event.kept.rename(back)


def _now(path: str, later: list[_Event]) -> Path:
    """Return where a path leads after folders above it were renamed."""
    for event in later:
        if event.operation == "rename" and path.startswith(event.path + "/"):
            path = event.second + path.removeprefix(event.path)
    return Path(path)
