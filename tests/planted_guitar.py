"""Planted recordings annotated with two of the paper's gestures: what its experiments are tried on in seconds.

As a program, ``python tests/planted_guitar.py STORE OUT JOBS``, it does the experiments, with the backbone
``tiny`` made known in the folder that ``TINY_FAMILY`` names, in its workers too.
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


def start(family: Path, store: Path, out: Path, jobs: int = 1, **environment: str) -> subprocess.Popen:
    """Do the experiments in a process that can be killed."""
    command = [sys.executable, "tests/planted_guitar.py", *map(str, (store, out, jobs))]
    needed = {"PYTHONPATH": os.pathsep.join([str(ROOT), str(ROOT / "tests")]), "TINY_FAMILY": str(family)}
    return subprocess.Popen(command, cwd=ROOT, env=os.environ | needed | environment)


if "TINY_FAMILY" in os.environ:
    added(Path(os.environ["TINY_FAMILY"])).__enter__()

if __name__ == "__main__":
    from search.reproduction import reproduce

    store, out = map(Path, sys.argv[1:3])
    reproduce(store, sorted(store.parent.glob("*.csv")), out, settings=QUICK, jobs=int(sys.argv[3]))
