"""What the processes of `faults.forks` do."""

import ctypes
from pathlib import Path
from typing import Any

from faults.contents import arrays, check, same, view
from faults.damage import flip, misplace, spoil
from small_store import ATTRIBUTES, CLIPS, SPEC, TAIL

from store.errors import InputError
from store.features import FeatureStore, occupied
from store.places import place
from store.writing import RecordingWriter

__all__ = ["add_views", "check", "extract", "faulty", "finish", "flip", "misplace", "same", "spoil", "sweep", "watch"]
BATCH = 8


def extract(store: str, recording: str, seed: int, thin: bool = False) -> int:
    """Write a recording as extraction does: nothing if it is there, and on from where another was stopped.

    Returns the number of clips that were there already.
    """
    at, values = place(store), arrays(seed, thin)
    expected = CLIPS + 30 * (-1) ** seed  # as a video's header may be wrong, both ways
    with RecordingWriter(at, recording, SPEC, TAIL, expected, {"seed": seed}) as writer:
        if occupied(at) and recording in FeatureStore(at):
            return CLIPS
        streamed = [name for name in values if not name.endswith("times")]
        done = writer.resume(streamed)
        for first in range(done, CLIPS, BATCH):
            for name in streamed:
                writer.append(name, values[name][first : first + BATCH])
        for name in ("times", "frame_times"):
            writer.put(name, values[name])
        writer.commit(ATTRIBUTES | {"seed": seed, "thin": thin})
    return done


def add_views(store: str, recording: str, views: list[str]) -> int:
    """Add views to a recording that is there, unless they are there too.

    Returns the number of clips of them that were there already.
    """
    at = place(store)
    known = FeatureStore(at)[recording].attributes
    values = {f"conv4/{name}": view(name, known["seed"], known["thin"]) for name in views}
    with RecordingWriter(at, recording, SPEC, TAIL, CLIPS, {"seed": known["seed"]}, views) as writer:
        if {*views} <= {*FeatureStore(at)[recording].views}:
            return CLIPS
        done = writer.resume(list(values))
        for first in range(done, CLIPS, BATCH):
            for name, rows in values.items():
                writer.append(name, rows[first : first + BATCH])
        writer.commit({"runtime": "none"})
    return done


def watch(store: str, enough: str) -> int:
    """Look at a store while others write, until there is a file; return how often there was something."""
    looks = 0
    while True:
        last = Path(enough).exists()
        looks += bool(check(store, verify=True))
        if last:
            return looks


def sweep(store: str) -> None:
    """Begin another recording and think better of it: what stopped runs have left is gone then."""
    with RecordingWriter(place(store), "other", SPEC, TAIL, CLIPS, {}):
        pass


def finish(store: str, uninterrupted: str, steps: list[list[Any]]) -> dict[str, list[str]]:
    """Look at what a fault has left, then do each step without one: the store is as if nothing had happened.

    Returns what `check` found at first.
    """
    found = check(store)
    for step, *arguments in steps:
        globals()[step](store, *arguments)
    sweep(store)
    same(store, uninterrupted)
    return found


def faulty(folder: str, until: int, number: int, mode: int, log: str, step: str, *arguments: Any) -> dict[str, Any]:
    """Do a step while the file system fails (see `shim.c`); say how it was refused, and which call was struck."""
    shim = ctypes.CDLL(None)
    shim.faults_arm.argtypes = (ctypes.c_char_p, ctypes.c_long, ctypes.c_int, ctypes.c_int, ctypes.c_char_p)
    shim.faults_struck.restype = ctypes.c_char_p
    shim.faults_arm(folder.encode(), until, number, mode, log.encode())
    refused = None
    try:
        globals()[step](*arguments)
    except InputError as error:
        refused = str(error)
    return {"refused": refused, "struck": shim.faults_struck().decode()}
