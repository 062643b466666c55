"""A search in a process of its own, that can be killed: ``study_program.py FOLDER NAME STORAGE TRIALS JOBS``.

As a program it ends like the command line, with one line. The folder holds a store of the backbone ``tiny``, as
`planted_store` makes it; workers find it since they import this file too. Signs of life follow each other quickly here.

With ``STUDY_PROGRAM_HOLDS=NUMBER`` trials from that number on wait until there is a file ``go`` in the folder: they
are in the middle however fast the machine is. With ``STUDY_PROGRAM_BREAKS=NUMBER`` that trial fails.
"""

import os
import sys
import tempfile
import time
from pathlib import Path

import optuna
from tiny_backbone import added

from heads.settings import Settings
from search.studies import database
from search.studies.searching import search
from search.studies.trials import Trials
from store.errors import InputError

_family = added(Path(tempfile.mkdtemp()))
_family.__enter__()
database.HEARTBEAT, database.GRACE = 1, 2
QUICK = Settings(epochs=4, patience=4, tune="fc", batch=16, learning_rate=1e-3, widths=(32, 32))
_GO = Path(sys.argv[1]) / "go"
_HOLDS, _BREAKS = (int(os.environ.get(f"STUDY_PROGRAM_{what}", 1000)) for what in ("HOLDS", "BREAKS"))
_carry_out = Trials.__call__


def _called(self: Trials, trial: optuna.Trial) -> float:
    while trial.number >= _HOLDS and not _GO.exists():
        time.sleep(0.05)
    if trial.number == _BREAKS:
        trial.set_user_attr("raised", "here")
        raise ValueError("made to fail")
    return _carry_out(self, trial)


Trials.__call__ = _called  # type: ignore[method-assign]

if __name__ == "__main__":
    folder, (name, storage), (trials, jobs) = Path(sys.argv[1]), sys.argv[2:4], map(int, sys.argv[4:])
    try:
        search(
            folder / "S",
            sorted(folder.glob("?.csv")),
            str(folder / "two.toml"),
            folder / name,
            trials=trials,
            jobs=jobs,
            storage=storage,
            space=folder / "space.toml",
            folds=3,
            settings=QUICK,
        )
    except InputError as error:
        sys.exit(str(error))
    except KeyboardInterrupt:
        sys.exit("stopped")
