"""What each part of the training is worth, measured on the demo's performances; writes docs/ablation.md.

``python benchmarks/ablation.py FOLDER`` draws four performances of 120 s into the folder, extracts them with an
untrained backbone, and trains each line of the table on each of its runs. A run that is finished is a line of
``ablation.jsonl`` beside this file, and is not done again unless what it measures has changed: it may be stopped
at any time, and several may run at once, each with lines of its own (``--share 1/2``). The whole takes hours.

Every difference is to the default on the very same clips, over the same splits and seeds, with its 95 % interval by
drawing blocks of 30 s again.
"""

import argparse
import hashlib
import json
import os
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from demo.performances import draw_performances
from extract.jobs import Job
from extract.many import Recipe, extract_all
from heads.settings import PROBE, Settings, settings_for
from search.bootstrap import Counts, paired_difference
from search.data import load_data
from search.evaluation import MODEL
from search.fitting import Workbench
from search.folds import fit_fold
from search.shelf import Shelf
from search.splits import make_folds
from store.features import FeatureStore
from store.vocabulary import load_vocabulary

RESULTS = Path(__file__).with_suffix(".jsonl")
TABLE = Path(__file__).parents[1] / "docs" / "ablation.md"
SECONDS, WEIGHTS, VOCABULARY = 120, "random:0", "guitar-7"
BLOCKED, LEFT_OUT = "blocked", "leave-one-out"
# Seeds: of the lines that the claims rest on, and of all others. 3, 5, 7 and 8 would divide as one of these does.
FULL = {BLOCKED: (0, 1, 2, 4, 6), LEFT_OUT: (0, 1, 2)}
SHORT = {BLOCKED: (0, 1, 2), LEFT_OUT: (0,)}
SYSTEM = "sm+bb+ts"
REVISION = 1  # to be changed with the defaults or the programs measured, so that everything is measured again


@dataclass(frozen=True)
class Line:
    """A line of the table.

    Parameters
    ----------
    name : str
        What is different from the default.
    system : str
        Which system.
    settings : Settings
        How it is trained.
    full : bool
        Whether all seeds are run.
    """

    name: str
    system: str
    settings: Settings
    full: bool = False

    def key(self, split: str, seed: int) -> str:
        """Return what tells a run of this line from any other."""
        usual = asdict(Settings())
        different = {name: value for name, value in asdict(self.settings).items() if value != usual[name]}
        told = [REVISION, self.system, different, split, seed]
        return hashlib.sha256(json.dumps(told, sort_keys=True).encode()).hexdigest()[:16]


DEFAULT = Line("the default", SYSTEM, Settings(), full=True)
LINES = (
    DEFAULT,
    Line("the regression beside conv5 alone", SYSTEM, Settings(epochs=0), full=True),
    Line("without recordings standardised", SYSTEM, Settings(standardise="none"), full=True),
    Line("`sm`: no balancing, no smoothing", "sm", Settings(), full=True),
    Line("`sm+bb`: no smoothing", "sm+bb", Settings(), full=True),
    Line("`bimodal-gated`", "bimodal-gated", Settings(), full=True),
    Line("`--tune fc`", SYSTEM, settings_for(tune="fc"), full=True),
    Line("without the regression", SYSTEM, Settings(regression=False)),
    Line("`bimodal`", "bimodal", Settings()),
    Line("`mm --tune fc`", "mm", settings_for(tune="fc")),
    Line("`--context`", SYSTEM, Settings(context=True)),
    Line("without the flipped view", SYSTEM, Settings(views=False)),
    Line("mixup, alpha 0.3", SYSTEM, Settings(mixup=0.3)),
    Line("rare classes more often, below 0.3", SYSTEM, Settings(sampler=0.3)),
    Line("`--loss bce`", SYSTEM, Settings(loss="bce")),
    Line("`--loss asl`", SYSTEM, Settings(loss="asl")),
    Line("`--class-weights`", SYSTEM, Settings(class_weights=True)),
    Line("classes absent from a batch too", SYSTEM, Settings(absent=True)),
    Line("without the moving average", SYSTEM, Settings(average=0.0)),
    Line("running batch-norm statistics", SYSTEM, Settings(settle=False)),
    Line("constant learning rate", SYSTEM, Settings(schedule="constant")),
    Line("learning rate 3e-5", SYSTEM, Settings(learning_rate=3e-5)),
    Line("learning rate 3e-4", SYSTEM, Settings(learning_rate=3e-4)),
    Line("`--standardise training`", SYSTEM, Settings(standardise="training")),
    Line("`--preset paper`, 10 of 3000 epochs", SYSTEM, settings_for("paper", epochs=10)),
    Line("the same, standardised", SYSTEM, settings_for("paper", epochs=10, standardise="recording")),
    Line(
        "`sm --preset paper`, 10 epochs, standardised",
        "sm",
        settings_for("paper", epochs=10, standardise="recording"),
    ),
)


def prepare(folder: Path) -> tuple[Path, Path]:
    """Return the store and the annotations, made if they are not there."""
    videos = [folder / "performances" / f"performance-{number}.mp4" for number in range(1, 5)]
    if not all(video.exists() for video in videos):
        videos = draw_performances(folder / "performances", SECONDS)
    store = folder / "features"
    for outcome in extract_all(Recipe(str(store), WEIGHTS, views=("plain", "flip")), [Job(video) for video in videos]):
        if outcome.error is not None:
            raise SystemExit(str(outcome.error))
    return store, folder / "performances"


def measure(line: Line, split: str, seed: int, store: Path, annotations: Path) -> dict[str, Any]:
    """Train one run, all its folds, and return what was counted on their test parts."""
    vocabulary = load_vocabulary(VOCABULARY)
    opened = FeatureStore(store)
    settings = replace(line.settings, seed=seed)
    data = load_data(opened, [annotations], vocabulary, settings.clip_rule)
    bench = Workbench(Shelf(opened, data), vocabulary, line.system, settings)
    folds = []
    for fold in make_folds(split, data.timeline, seed):
        _, result = fit_fold(bench, data, fold)
        counts = result.scored["test"].counts
        kept = {name: _plain(counts[name]) for name in (MODEL, PROBE, "always", "chance", "majority")}
        folds.append({"fold": fold.name, "best": result.best, "counts": kept})
    return {"key": line.key(split, seed), "line": line.name, "split": split, "seed": seed, "folds": folds}


def runs_of(
    line: Line, split: str, done: dict[str, Any], system: str = MODEL, seeds: Sequence[int] = ()
) -> list[Counts]:
    """Return what was counted for a system in all finished runs of a line, fold by fold."""
    found = (done.get(line.key(split, seed)) for seed in seeds or (FULL if line.full else SHORT)[split])
    return [_counts(fold["counts"][system]) for run in found if run is not None for fold in run["folds"]]


def finished() -> dict[str, Any]:
    """Return all finished runs by key; a line that a kill has cut off is none."""
    found = {}
    for line in RESULTS.read_text().splitlines() if RESULTS.exists() else []:
        with suppress(json.JSONDecodeError):
            run = json.loads(line)
            found[run["key"]] = run
    return found


def keep(run: dict[str, Any]) -> None:
    """Add a finished run, on a line of its own whatever was cut off before."""
    descriptor = os.open(RESULTS, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
    try:
        os.write(descriptor, f"\n{json.dumps(run)}\n".encode())
    finally:
        os.close(descriptor)


def pending(share: tuple[int, int]) -> Iterator[tuple[Line, str, int]]:
    """Yield the runs to be done, of every N-th line: first those of which all seeds are run, seed by seed."""
    number, among = share
    for full in (True, False):
        lines = [line for line in LINES if line.full == full][number - 1 :: among]
        seeds = FULL if full else SHORT
        for turn in range(max(map(len, seeds.values()))):
            for line in lines:
                for split in seeds:
                    if turn < len(seeds[split]) and line.key(split, seeds[split][turn]) not in finished():
                        yield line, split, seeds[split][turn]


def table() -> str:
    """Return the table as Markdown."""
    done = finished()
    rows = [_row("linear probe", DEFAULT, done, PROBE), _row("every class always", DEFAULT, done, "always")]
    rows += [_row(line.name, line, done, MODEL) for line in LINES]
    head = "| | blocked: macro-F1 | against the default | one recording left out | against the default | runs |"
    return "\n".join([head, "|---|---|---|---|---|---|", *[row for row in rows if row]])


def _row(name: str, line: Line, done: dict[str, Any], system: str) -> str | None:
    cells, runs = [], []
    for split in (BLOCKED, LEFT_OUT):
        seeds = [seed for seed in (FULL if line.full else SHORT)[split] if _both(line, split, seed, done)]
        counted = runs_of(line, split, done, system, seeds) if seeds else []
        runs.append(str(len(counted)))
        if not counted:
            cells += ["", ""]
            continue
        score = np.mean([counts.scores()[2].mean() for counts in counted])
        cells += [f"{score:.3f}", _difference(counted, runs_of(DEFAULT, split, done, MODEL, seeds))]
    if not any(cells):
        return None
    if line is DEFAULT and system == MODEL:
        cells[1] = cells[3] = ""
    return f"| {name} | {' | '.join(cells)} | {' + '.join(runs)} |"


def _both(line: Line, split: str, seed: int, done: dict[str, Any]) -> bool:
    return line.key(split, seed) in done and DEFAULT.key(split, seed) in done


def _difference(runs: Sequence[Counts], against: Sequence[Counts]) -> str:
    found = paired_difference(runs, against)
    assert found.interval is not None
    return f"{found.mean:+.3f} [{found.interval[0]:+.3f}, {found.interval[1]:+.3f}]"


def _plain(counts: Counts) -> dict[str, Any]:
    return {name: np.round(values, 4).tolist() for name, values in vars(counts).items()}


def _counts(plain: dict[str, Any]) -> Counts:
    return Counts(**{name: np.array(values) for name, values in plain.items()})


def write_table() -> None:
    """Put the table into the document, between its two marks."""
    before, _, rest = TABLE.read_text().partition("<!-- table -->")
    after = rest.partition("<!-- end of table -->")[2]
    TABLE.write_text(f"{before}<!-- table -->\n{table()}\n<!-- end of table -->{after}")


def main() -> None:
    """Measure what is not finished, then write the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "folder", type=Path, nargs="?", help="for videos and features; without it only the table is written"
    )
    parser.add_argument("--share", default="1/1", metavar="I/N", help="every N-th line, from the I-th on")
    arguments = parser.parse_args()
    if arguments.folder is not None:
        number, among = map(int, arguments.share.split("/"))
        store, annotations = prepare(arguments.folder)
        for line, split, seed in pending((number, among)):
            print(f"{line.name}: {split}, seed {seed}", flush=True)
            keep(measure(line, split, seed, store, annotations))
    write_table()


if __name__ == "__main__":
    main()
