"""How much of an expert's work is saved: a part annotated, the rest labelled and corrected; as a table and a figure.

python benchmarks/effort.py STORE ANNOTATIONS --vocabulary NAME --out FOLDER [--seeds N]

For each recording and share: learn from its first part alone, or with all of the other recordings too; label the rest;
reckon what correcting it takes (``search/effort.toml``). Beside it what would be saved if it were known how much of
each clip a gesture fills, which is about all that clips of that length can give. Results are kept line by line in
FOLDER/effort.jsonl, and what is there is not computed again.
"""

import argparse
import json
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch

from heads.intervals import clips_to_intervals
from heads.neighbours import in_order
from heads.postprocessing import PostProcessing
from heads.settings import settings_for
from search.data import Data, load_data
from search.effort import Costs, Events, load_costs, saved
from search.evaluation import pool
from search.figures.effort import effort_by_share
from search.figures.style import save
from search.fitting import Workbench
from search.folds import left_out
from search.shelf import Shelf
from search.thresholds import steady
from search.tuning import Aim, tune
from store.features import FeatureStore
from store.places import place
from store.vocabulary import class_members, load_vocabulary

SHARES = (0.0, 0.05, 0.1, 0.2, 0.3, 0.5)
TRIALS = 40
COINS = 20
DRAWS = 2000
ALONE, WITH_OTHERS = "alone", "with the others"
PLAIN, TUNED = "thresholds alone", "tuned for effort, per class"
CONTROLS = ("every gesture always", "by prevalence")
PERFECT = "the truth of each clip"


def learned(data: Data, number: int, until: float, others: bool) -> np.ndarray:
    """Return the clips that are annotated: the first part of a recording, and perhaps all of the others."""
    mine = data.timeline.recording == number
    return np.flatnonzero((mine & (data.timeline.times[:, 1] <= until + 1e-6)) | (others & ~mine))


def predict(data: Data, bench: Workbench, number: int, until: float, others: bool, gestures: list[str]) -> dict:
    """Return the events labelled in the rest, by how presence is told, and how long the machine took."""
    began = time.perf_counter()
    index = learned(data, number, until, others)
    rest = np.flatnonzero((data.timeline.recording == number) & (data.timeline.times[:, 0] >= until - 1e-6))
    times = data.timeline.times[rest]
    fitted = bench.fit(index, np.empty(0, np.intp))
    probability, _ = bench.predict(fitted, rest)
    tested = left_out(bench, data, index)
    processings = {PLAIN: fitted.head.postprocessing, TUNED: fitted.head.postprocessing}
    if tested:
        scored = pool([result.scored["test"] for result in tested])
        processings[PLAIN] = PostProcessing.plain(
            steady(scored.probability, scored.true, in_order(scored.times, scored.recording))
        )
        processings[TUNED] = tune(
            scored, Aim("effort", per_class=True, trials=TRIALS, seed=bench.settings.seed), len(gestures)
        )
    found: dict[str, Any] = {}
    for name, processing in processings.items():
        present = processing.present(probability, times)
        found[name] = by_gesture(clips_to_intervals(probability, present, times, gestures), gestures)
    filled = data.labels.frames[rest].mean(axis=1)
    found[PERFECT] = by_gesture(clips_to_intervals(filled, filled >= 0.5, times, gestures), gestures)
    end = float(times[-1, 1])
    found[CONTROLS[0]] = {gesture: [[until, end]] for gesture in gestures}
    frequency = data.labels.positive[index][:, : len(gestures)].mean(axis=0)
    random = np.random.default_rng([number, round(1000 * until)])
    found[CONTROLS[1]] = []
    for _ in range(COINS):
        present = random.random((len(rest), len(gestures))) < frequency
        found[CONTROLS[1]].append(
            by_gesture(clips_to_intervals(present.astype(float), present, times, gestures), gestures)
        )
    return {"found": found, "seconds": time.perf_counter() - began}


def by_gesture(intervals: list, gestures: list[str]) -> dict[str, list[list[float]]]:
    """Return intervals as events."""
    return {name: [[each.begin, each.end] for each in intervals if each.value == name] for name in gestures}


def share_saved(row: dict, truth: dict, lasting: float, costs: Costs) -> dict[str, float]:
    """Return what is saved, by how presence is told; an event that goes on beyond the part belongs to it."""
    until = row["share"] * lasting
    part = {name: [each for each in events if each[0] < until] for name, events in truth.items()}
    rest = {name: [each for each in events if each[0] >= until] for name, events in truth.items()}

    def one(found: Events) -> float:
        return saved(part, rest, found, (until, lasting - until), costs)["saved"]

    return {
        name: float(np.mean([one(each) for each in found])) if isinstance(found, list) else one(found)
        for name, found in row["found"].items()
    }


def interval(values: np.ndarray) -> tuple[float, float]:
    """Return 95 % of the means of recordings drawn again; with few recordings that is too narrow."""
    draws = np.random.default_rng(0).integers(len(values), size=(DRAWS, len(values)))
    low, high = np.quantile(values[draws].mean(axis=1), [0.025, 0.975])
    return float(low), float(high)


def summarise(rows: list[dict], truths: dict, lasting: dict, costs: Costs) -> dict[tuple[str, str, float], np.ndarray]:
    """Return what is saved, by who learned, how presence is told and the share: one number a recording."""
    each: dict[tuple[str, str, float], dict[str, list[float]]] = {}
    for row in rows:
        for name, value in share_saved(row, truths[row["recording"]], lasting[row["recording"]], costs).items():
            place_ = each.setdefault((row["learned"], name, row["share"]), {})
            place_.setdefault(row["recording"], []).append(value)
    return {key: np.array([np.mean(values) for values in found.values()]) for key, found in each.items()}


def report(rows: list[dict], truths: dict, lasting: dict, folder: Path) -> str:
    """Return the tables, and draw the figure."""
    costs = load_costs()
    found = summarise(rows, truths, lasting, costs)
    lines = ["| learned from | presence told by | " + " | ".join(f"{share:.0%}" for share in SHARES) + " |"]
    lines.append("|---" * (2 + len(SHARES)) + "|")
    for who in (ALONE, WITH_OTHERS):
        for how in (PLAIN, TUNED, *CONTROLS, PERFECT):
            cells = []
            for share in SHARES:
                values = found.get((who, how, share))
                low, high = (0.0, 0.0) if values is None else interval(values)
                cells.append("" if values is None else f"{values.mean():+.0%} [{low:+.0%}, {high:+.0%}]")
            lines.append(f"| {who} | {how} | " + " | ".join(cells) + " |")
    lines += ["", f"Of the work, with each cost halved and doubled ({WITH_OTHERS}, {TUNED}):", ""]
    lines.append("| cost | factor | " + " | ".join(f"{share:.0%}" for share in SHARES) + " |")
    lines.append("|---" * (2 + len(SHARES)) + "|")
    for name in ("add", "delete", "relabel", "move", "watch", "tolerance"):
        for factor in (0.5, 2.0):
            swept = summarise(rows, truths, lasting, costs.times(name, factor))
            cells = [f"{swept[WITH_OTHERS, TUNED, share].mean():+.0%}" for share in SHARES]
            lines.append(f"| {name} | {factor:g} | " + " | ".join(cells) + " |")
    curves = {
        f"{who}, {how}": {
            share: (float(values.mean()), *interval(values))
            for (w, h, share), values in found.items()
            if (w, h) == (who, how)
        }
        for who, how in ((WITH_OTHERS, TUNED), (WITH_OTHERS, PLAIN), (ALONE, TUNED), (WITH_OTHERS, CONTROLS[1]))
    }
    save(effort_by_share("Work saved", curves), folder / "effort")
    return "\n".join(lines)


def main() -> None:
    """Do what is not done yet, and report."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("store")
    parser.add_argument("annotations", type=Path, nargs="+")
    parser.add_argument("--vocabulary", required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--seeds", type=int, default=1)
    given = parser.parse_args()
    torch.set_num_threads(1)
    given.out.mkdir(exist_ok=True)
    vocabulary = load_vocabulary(given.vocabulary)
    gestures = list(class_members(vocabulary))
    store = FeatureStore(place(given.store))
    data = load_data(store, given.annotations, vocabulary)
    truths = {each.id: matched.classes(vocabulary) for each, matched in zip(data.recordings, data.matched, strict=True)}
    lasting = {each.id: float(each.attributes["frames_end"]) for each in data.recordings}
    shelf = Shelf(store, data)
    kept = given.out / "effort.jsonl"
    rows = [json.loads(line) for line in kept.read_text().splitlines()] if kept.exists() else []
    done = {(row["recording"], row["learned"], row["share"], row["seed"]) for row in rows}
    for seed in range(given.seeds):
        bench = Workbench(shelf, vocabulary, "sm+bb+ts", settings_for(tune="fc", seed=seed))
        for who in (WITH_OTHERS, ALONE):
            for number, recording in enumerate(data.recordings):
                for share in SHARES:
                    key = (recording.id, who, share, seed)
                    if key in done or (who == WITH_OTHERS and len(data.recordings) == 1):
                        continue
                    until = share * lasting[recording.id]
                    index = learned(data, number, until, who == WITH_OTHERS)
                    if not data.labels.positive[index][:, : len(gestures)].any():
                        continue  # nothing to learn
                    row = dict(zip(("recording", "learned", "share", "seed"), key, strict=True))
                    row |= predict(data, bench, number, until, who == WITH_OTHERS, gestures)
                    rows.append(row)
                    with kept.open("a") as file:
                        file.write(json.dumps(row) + "\n")
    table = report(rows, truths, lasting, given.out)
    (given.out / "effort.md").write_text(table + "\n")
    print(table)


if __name__ == "__main__":
    main()
