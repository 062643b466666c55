"""What it costs to record a run, and to be a trial: a training of 30 epochs of conv5 with and without, in turns.

The store is made of random numbers, as large as the demo's: four recordings of 70 clips. Importing MLflow and making
the first database are not counted: an empty run before does both. Ratios are of the clock and of processor time; the
latter is steadier where the machine has other work, as is what a training waits at its end for its recording. What a
trial of a study costs beside its training is that of one without any, in which as many epochs are told and judged, by
Optuna on SQLite with 50 trials before it.

``--epochs N`` and ``--rounds N`` change how much is run.
"""

import argparse
import os
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

from extract.weights import load_backbone
from heads.settings import settings_for
from search.runs import train
from search.studies.database import local_storage, open_study
from search.studies.space import load_space
from search.tracking import tracked
from search.tracking.background import Background
from store.annotations import Interval, write
from store.spec import Spec
from store.vocabulary import load_vocabulary
from store.writing import RecordingWriter

RECORDINGS, CLIPS, RATE = 4, 70, 25
EARLIER, TRIALS = 50, 5
VOCABULARY = "guitar-7"


def random_store(folder: Path) -> list[Path]:
    """Write a store of random activations into a folder, and annotations of random clips; return their files."""
    backbone, random = load_backbone("random:0"), np.random.default_rng(0)
    spec = Spec("r3d34", "2018", "random:0", "0" * 64, 16, 16, {"size": 112}, "float16", {"rate": 22050})
    times = np.arange(CLIPS * 16 + 1) / RATE
    files = []
    for number in range(RECORDINGS):
        name, source = f"r-{number}", {"source_sha256": f"{number:064x}"}
        with RecordingWriter(folder / "store", name, spec, backbone.tail(), CLIPS, source) as writer:
            writer.append("conv4/plain", random.exponential(1, (CLIPS, 256, 2, 7, 7)).astype(np.float16))
            writer.put("times", np.column_stack([times[:-16:16], times[16::16]]))
            writer.put("frame_times", times[:-1])
            writer.commit({**source, "duration": times[-1], "frames_end": times[-1], "frame_rate": RATE, "roi": None})
        gestures = load_vocabulary(VOCABULARY).gestures
        files.append(folder / f"{name}.csv")
        write(
            files[-1],
            [
                Interval(
                    float(times[16 * clip]), float(times[16 * clip + 16]), gestures[random.integers(len(gestures))]
                )
                for clip in range(CLIPS)
                if random.random() < 0.6
            ],
        )
    return files


def empty_run(folder: Path) -> float:
    """Return the seconds that a run takes in which nothing happens."""
    began = time.perf_counter()
    with tracked("train", "empty", {}, beside=folder / "model"):
        pass
    return time.perf_counter() - began


def cost(folder: Path, annotations: list[Path], tracking: str, epochs: int) -> tuple[float, float, float]:
    """Return the seconds that a training takes, by the clock and of the processor, and waits for its recording."""
    os.environ["CHIRONOMY_TRACKING"] = tracking
    waited, close = [0.0], Background.close

    def timed(background: Background) -> None:
        began = time.perf_counter()
        close(background)
        waited.append(time.perf_counter() - began)

    Background.close = timed  # type: ignore[method-assign]
    settings = settings_for(tune="conv5", epochs=epochs, patience=epochs)
    began, used = time.perf_counter(), time.process_time()
    result = train(folder / "store", annotations, VOCABULARY, folder / f"model-{tracking}", settings=settings)
    Background.close = close  # type: ignore[method-assign]
    assert (result["run"] is not None) == (tracking == "on")
    return time.perf_counter() - began, time.process_time() - used, sum(waited)


def cost_of_a_trial(folder: Path, epochs: int) -> tuple[float, float]:
    """Return the seconds that a trial takes in which nothing is trained, by the clock and of the processor."""
    space, study = load_space(), open_study(local_storage(folder / "study.db"), "study", 0)

    def objective(trial: Any) -> float:
        space.ask(trial, "sm+bb+ts", settings_for(tune="conv5"))
        for epoch in range(epochs):
            trial.report(1 - 1 / (1 + epoch + trial.number), epoch)
            trial.should_prune()
        return float(trial.number)

    study.optimize(objective, n_trials=EARLIER)
    began, used = time.perf_counter(), time.process_time()
    study.optimize(objective, n_trials=TRIALS)
    return (time.perf_counter() - began) / TRIALS, (time.process_time() - used) / TRIALS


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--epochs", type=int, default=30)
    parser.add_argument("--rounds", type=int, default=3)
    arguments = parser.parse_args()
    os.environ.pop("MLFLOW_TRACKING_URI", None)
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        annotations = random_store(folder)
        print(f"an empty run, imports and database with it: {empty_run(folder):.1f} s; another: ", end="")
        print(f"{empty_run(folder):.2f} s")
        for tracking in ("off", "on"):
            cost(folder, annotations, tracking, 1)
        found: dict[str, list[tuple[float, float, float]]] = {"off": [], "on": []}
        for _ in range(arguments.rounds):
            for tracking, costs in found.items():
                costs.append(cost(folder, annotations, tracking, arguments.epochs))
                print(f"{tracking:3}: {costs[-1][0]:.1f} s, of the processor {costs[-1][1]:.1f} s", flush=True)
        clock, processor = (
            statistics.median(each[which] for each in found["on"])
            / statistics.median(each[which] for each in found["off"])
            for which in (0, 1)
        )
        print(f"{arguments.epochs} epochs of conv5, recorded: {clock:.3f} x the time without (wanted: below 1.05)")
        print(f"  of processor time: {processor:.3f} x")
        print(f"  waited for the recording: {statistics.median(each[2] for each in found['on']):.2f} s")
        trial = cost_of_a_trial(folder, arguments.epochs)
        shares = (
            beside / statistics.median(each[which] for each in found["off"]) for which, beside in enumerate(trial)
        )
        print("as a trial of a study: {:.3f} x the time more, of processor time {:.3f} x".format(*shares))


if __name__ == "__main__":
    main()
