"""A search in a process of its own, that can be killed: ``study_program.py FOLDER NAME STORAGE TRIALS JOBS``.

The folder holds a store of the backbone ``tiny``, as `planted_store` makes it; workers find it since they import this
file too. Signs of life follow each other quickly here.
"""

import sys
import tempfile
from pathlib import Path

from tiny_backbone import added

from heads.settings import Settings
from search.studies import study
from search.studies.searching import search

_family = added(Path(tempfile.mkdtemp()))
_family.__enter__()
study.HEARTBEAT, study.GRACE = 1, 2
QUICK = Settings(epochs=12, patience=12, tune="fc", batch=16, learning_rate=1e-3, widths=(32, 32))

if __name__ == "__main__":
    folder, (name, storage), (trials, jobs) = Path(sys.argv[1]), sys.argv[2:4], map(int, sys.argv[4:])
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
