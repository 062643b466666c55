"""What a search costs beside its trainings: its whole time over the time spent in them, in one run.

    python benchmarks/searching.py FOLDER

FOLDER is that of `chironomy demo`. Opening, sampling, pruning, recording with MLflow, tables and figures are what a
search adds; importing is left out.
"""

import argparse
import importlib
import shutil
import tempfile
import time
from pathlib import Path
from typing import Any

from search.fitting import Workbench
from search.studies.searching import search

TRIALS = 20


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    folder = parser.parse_args().folder
    for name in ("matplotlib.pyplot", "mlflow", "optuna.visualization.matplotlib"):  # before the clock starts
        importlib.import_module(name)
    (store,) = folder.glob("features-*.zarr")
    spent = 0.0
    fit = Workbench.fit

    def timed(self: Workbench, *given: Any, **named: Any) -> Any:
        nonlocal spent
        began = time.perf_counter()
        try:
            return fit(self, *given, **named)
        finally:
            spent += time.perf_counter() - began

    Workbench.fit = timed  # type: ignore[method-assign]
    out = Path(tempfile.mkdtemp()) / "best"
    began = time.perf_counter()
    found = search(store, [folder / "performances"], "guitar-7", out, trials=TRIALS)["search"]
    whole = time.perf_counter() - began
    shutil.rmtree(out.parent)
    held_out = found["held_out"]
    print(f"{TRIALS} trials: {whole:.0f} s, {spent:.0f} s of them in trainings: {whole / spent:.2f} x (wanted 1.3)")
    print(f"trials: {found['trials']}; cross-validation: best {found['best']:.3f}, known {found['known_settings']}")
    print(
        f"held-out part ({held_out['clips']} clips, untrained backbone): best {held_out['best']:.3f}, default "
        f"{held_out['default']:.3f}, difference {held_out['difference']:+.3f} {held_out['interval']}"
    )


if __name__ == "__main__":
    main()
