"""Planted recordings annotated with two of the paper's gestures: what its experiments are tried on in seconds.

As a program, ``python tests/planted_guitar.py STORE OUT JOBS``, it does some of the experiments and draws nothing,
with the backbone ``tiny`` made known in the folder that ``TINY_FAMILY`` names, in its workers too. With ``HOLDS_AT``
set an experiment that begins when there are so many results waits to be killed: it is in the middle however fast the
machine is.
"""

import os
import subprocess
import sys
import time
from pathlib import Path

from planted_store import CLASSES, write_recording
from tiny_backbone import added

from heads.settings import Settings
from search.reproduction.experiments import Inputs, list_experiments
from search.tracking import Record

ROOT = Path(__file__).resolve().parents[1]
SOME = 8  # experiments
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
    """Do some experiments in a process that can be killed, in a session of its own."""
    command = [sys.executable, "tests/planted_guitar.py", *map(str, (store, out, jobs))]
    needed = {"PYTHONPATH": os.pathsep.join([str(ROOT), str(ROOT / "tests")]), "TINY_FAMILY": str(family)}
    return subprocess.Popen(command, cwd=ROOT, env=os.environ | needed | environment, start_new_session=True)


def _hold(at: int) -> None:
    from search.reproduction import running

    train_and_score = running._train_and_score

    def held(inputs: Inputs, job: running.Job, path: Path, record: Record) -> None:
        while len(list(path.parent.glob("*.json"))) >= at:
            path.with_name(f"{job.experiment.name}.holds").touch()
            time.sleep(0.1)
        train_and_score(inputs, job, path, record)

    running._train_and_score = held


if "TINY_FAMILY" in os.environ:
    added(Path(os.environ["TINY_FAMILY"])).__enter__()
    if "HOLDS_AT" in os.environ:
        _hold(int(os.environ["HOLDS_AT"]))

if __name__ == "__main__":
    from search import reproduction

    store, out = map(Path, sys.argv[1:3])
    reproduction.draw_all = lambda *_: []
    reproduction.list_experiments = lambda names: list_experiments(names)[:SOME]
    reproduction.reproduce(store, sorted(store.parent.glob("*.csv")), out, settings=QUICK, jobs=int(sys.argv[3]))
