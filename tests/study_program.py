"""A search in a process of its own, that can be killed: ``study_program.py FOLDER NAME STORAGE TRIALS JOBS``.

As a program it ends like the command line, with one line. The folder holds a store of the backbone ``tiny``, as
`planted_store` makes it; workers find it since they import this file too. Signs of life follow each other quickly here.
"""

import os
import sys
import tempfile
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
if os.environ.get("STUDY_PROGRAM_BREAKS"):
    _carry_out = Trials.__call__

    def _breaking(self: Trials, trial: optuna.Trial) -> float:
        if trial.number == int(os.environ["STUDY_PROGRAM_BREAKS"]):
            trial.set_user_attr("raised", "here")
            raise ValueError("made to fail")
        return _carry_out(self, trial)

    Trials.__call__ = _breaking  # type: ignore[method-assign]
QUICK = Settings(epochs=60, patience=60, tune="fc", batch=16, learning_rate=1e-3, widths=(32, 32))

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
            folds=3,
            settings=QUICK,
        )
    except InputError as error:
        sys.exit(str(error))
    except KeyboardInterrupt:
        sys.exit("stopped")
