"""Extraction with the backbone ``tiny``, in processes that can be stopped in the middle of their work.

``tiny_program.py COMMAND ...`` is ``chironomy COMMAND ...``; workers find the backbone since they import this file
too, those of `extract_all` if they are given a `TinyRecipe`. A process that holds computes no more than so many clips,
leaves a file named by its id, and waits to be stopped or for a file ``go``: so it is in the middle, however fast the
machine is.
"""

import os
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

import numpy as np
from tiny_backbone import added

from extract import backbones, pipeline
from extract.many import Recipe
from extract.runtimes import Runtime, prepare

ROOT = Path(__file__).resolve().parents[1]
ENVIRONMENT = {"PYTHONPATH": os.pathsep.join([str(ROOT), str(ROOT / "tests")])}


HOLDS_AT = 40  # clips: one whole chunk, and some of the next


def start_holding(notes: Path, *arguments: object) -> subprocess.Popen:
    """Begin a command, in a session of its own, whose processes hold; each leaves a file in a folder when it does."""
    notes.mkdir(exist_ok=True)
    command = [sys.executable, str(Path(__file__)), *map(str, arguments)]
    environment = os.environ | ENVIRONMENT | {"TINY_NOTES": str(notes)}
    pipe = subprocess.PIPE
    return subprocess.Popen(
        command, cwd=ROOT, env=environment, stdout=pipe, stderr=pipe, text=True, start_new_session=True
    )


def wait_for(holding: int, notes: Path, process: subprocess.Popen) -> None:
    """Wait until so many processes hold."""
    while len(list(notes.iterdir())) < holding:
        assert process.poll() is None, process.communicate()
        time.sleep(0.02)


def make_known() -> None:
    """Make ``tiny`` known to this process, for good."""
    if "tiny" not in backbones.names():
        added(Path(tempfile.mkdtemp())).__enter__()


@dataclass(frozen=True)
class TinyRecipe(Recipe):
    """A recipe for workers that have never heard of ``tiny``; they hold if there is a folder for their notes."""

    weights: str = "random:0"
    backbone: str = "tiny"
    notes: str = ""

    def __reduce__(self) -> tuple:
        return _in_worker, (self.notes, *(getattr(self, each.name) for each in fields(Recipe)))


def _in_worker(notes: str, *given: Any) -> Recipe:
    make_known()
    if notes:
        hold(Path(notes))
    return Recipe(*given)


def hold(notes: Path) -> None:
    """Let this process hold."""

    def prepared(*arguments: Any) -> Runtime:
        whole, computed = prepare(*arguments), 0

        def run(clips: np.ndarray) -> np.ndarray:
            nonlocal computed
            while computed >= HOLDS_AT and not (notes / "go").exists():
                (notes / str(os.getpid())).touch()
                time.sleep(0.1)
            computed += len(clips)
            return whole.run(clips)

        return replace(whole, run=run)

    pipeline.prepare = prepared


if __name__ in ("__main__", "__mp_main__"):
    make_known()
    if "TINY_NOTES" in os.environ:
        hold(Path(os.environ["TINY_NOTES"]))

if __name__ == "__main__":
    import chironomy

    sys.exit(chironomy.main())
