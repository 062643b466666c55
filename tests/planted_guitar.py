"""Planted recordings annotated with two of the paper's gestures: what its experiments are tried on in seconds.

As a program, ``python tests/planted_guitar.py FAMILY STORE OUT``, it does the experiments, with the backbone
``tiny`` from an empty folder.
"""

import os
import subprocess
import sys
from pathlib import Path

from planted_store import CLASSES, write_recording
from tiny_backbone import added

from heads.settings import Settings

ROOT = Path(__file__).resolve().parents[1]
GESTURES = dict(zip(CLASSES, ("Nodding", "Frowning"), strict=True))
QUICK = Settings(epochs=1, tune="fc", batch=64, learning_rate=1e-3, widths=(16,), audio_widths=(16,))


def write_guitar(store: Path, name: str, *, sound: bool = True, clips: int = 40) -> Path:
    """Write a recording, and beside the store its annotations; return their file."""
    annotated = write_recording(store, name, clips, sound=sound)
    text = annotated.read_text()
    for planted, gesture in GESTURES.items():
        text = text.replace(planted, gesture)
    annotated.write_text(text)
    return annotated


def start(family: Path, store: Path, out: Path, **given: object) -> subprocess.Popen:
    """Do the experiments in a process that can be killed."""
    command = [sys.executable, "tests/planted_guitar.py", *map(str, (family, store, out)), *map(str, given.values())]
    paths = {"PYTHONPATH": os.pathsep.join([str(ROOT), str(ROOT / "tests")])}
    return subprocess.Popen(command, cwd=ROOT, env=os.environ | paths)


if __name__ == "__main__":
    from search.reproduction import reproduce

    family, store, out = map(Path, sys.argv[1:4])
    with added(family):
        annotated = sorted(store.parent.glob("*.csv"))
        reproduce(store, annotated, out, settings=QUICK, jobs=1)
