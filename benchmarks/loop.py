"""The researcher's loop, with the truth in the expert's place.

A fifth annotated, learned, the rest labelled; the next fifth corrected, learned, the rest labelled again. Then macro-F1
on the last three fifths, before and after, the machine's time, and the work saved.

python benchmarks/loop.py VIDEO ANNOTATIONS STORE --vocabulary NAME --out FOLDER [--tune conv5]
"""

import argparse
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from heads.labelling import label
from heads.model import load_model
from heads.settings import settings_for
from search.blocks import GAP
from search.data import Data, load_data
from search.effort import load_costs, operations
from search.evaluation import evaluation
from search.runs import predicted, train
from search.updating import update
from store.annotations import ANNOTATED_TIER, EafDocument, Interval, media_for, predicted_tier, read, write
from store.features import FeatureStore
from store.places import place
from store.vocabulary import class_members, load_vocabulary

Truth = dict[str, list[tuple[float, float]]]


def inside(truth: Truth, begin: float, end: float) -> Truth:
    """Return what is true between two times."""
    return {
        name: [(max(first, begin), min(last, end)) for first, last in events if first < end and last > begin]
        for name, events in truth.items()
    }


def annotate(out: Path, video: Path, truth: Truth, end: float) -> None:
    """Write what a researcher annotates first."""
    first = [Interval(*stretch, name, name) for name, events in inside(truth, 0, end).items() for stretch in events]
    write(
        out, [*first, Interval(0, end, ANNOTATED_TIER)], media=[media_for(video, out)], tiers=[*truth, ANNOTATED_TIER]
    )


def correct(file: Path, truth: Truth, begin: float, end: float) -> Truth:
    """Make predictions between two times what is true, mark that as reviewed, and return what was predicted there."""
    there = read(file)
    document = EafDocument.open(file)
    before: Truth = {}
    for name, events in inside(truth, begin, end).items():
        tier = predicted_tier(name)
        mine = [each for each in there.intervals if each.tier == tier]
        before[name] = [(max(e.begin, begin), min(e.end, end)) for e in mine if e.begin < end and e.end > begin]
        kept = [replace(each, end=begin) for each in mine if each.begin < begin < each.end]
        kept += [replace(each, begin=end) for each in mine if each.begin < end < each.end]
        kept += [each for each in mine if each.end <= begin or each.begin >= end]
        document.set_intervals(tier, [*kept, *(Interval(*stretch, tier, name) for stretch in events)])
    document.set_intervals(ANNOTATED_TIER, [Interval(0, end, ANNOTATED_TIER)])
    document.save(file)
    return before


def labelled(file: Path, begin: float, names: list[str]) -> Truth:
    """Return what is predicted from a time on."""
    found = read(file).intervals
    return {
        name: [(e.begin, e.end) for e in found if e.tier == predicted_tier(name) and e.end > begin] for name in names
    }


def score(model: Path, data: Data, begin: float) -> dict[str, Any]:
    """Return the scores of a model on the clips from a time on."""
    loaded = load_model(model)
    index = np.flatnonzero(data.timeline.times[:, 0] >= begin)
    return evaluation(loaded.vocabulary.classes, predicted(loaded, data, index))


def main() -> None:
    """Go through the loop once, and tell."""
    parser = argparse.ArgumentParser(description=__doc__)
    for name in ("video", "annotations"):
        parser.add_argument(name, type=Path)
    parser.add_argument("store")
    parser.add_argument("--vocabulary", required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--tune", default="fc", choices=("fc", "conv5"))
    given = parser.parse_args()
    given.out.mkdir(exist_ok=True)
    vocabulary, store = load_vocabulary(given.vocabulary), place(given.store)
    data = load_data(FeatureStore(store), [given.annotations], vocabulary)
    names = list(class_members(vocabulary))
    truth: Truth = data.matched[0].classes(vocabulary)
    lasting = float(data.recordings[0].attributes["frames_end"])
    fifth, costs = lasting / 5, load_costs()
    work, first, second = given.out / f"{given.video.stem}.eaf", given.out / "first", given.out / "second"
    took: dict[str, float] = {}

    def timed(name: str, do: Callable[[], Any]) -> Any:
        began = time.perf_counter()
        result = do()
        took[name] = time.perf_counter() - began
        return result

    annotate(work, given.video, truth, fifth)
    chosen = settings_for(tune=given.tune)
    timed("train", lambda: train(store, [work], vocabulary, first, settings=chosen))
    timed("label", lambda: label(given.video, first, work, store=store, annotations=work))
    rest_at_once = labelled(work, fifth, names)
    before = correct(work, truth, fifth, 2 * fifth)
    result = timed("update", lambda: update(first, store, [work], second))
    timed("label again", lambda: label(given.video, second, work, store=store, annotations=work, suggestions=5))
    rest = labelled(work, 2 * fifth, names)

    events = sum(map(len, truth.values()))
    manual = costs.add * events + costs.watch * lasting
    by_hand = costs.add * sum(map(len, inside(truth, 0, fifth).values())) + costs.watch * lasting
    once = operations(inside(truth, fifth, lasting), rest_at_once, costs)
    parts = [operations(inside(truth, fifth, 2 * fifth), before, costs)]
    parts.append(operations(inside(truth, 2 * fifth, lasting), rest, costs))
    scores = [score(model, data, 2 * fifth + GAP) for model in (first, second)]
    for name, found in zip(("before", "after"), scores, strict=True):
        low_high = found["macro_f1_interval"]
        beside = ", ".join(f"{key} {found[f'{key}_macro_f1']:.2f}" for key in ("probe", "always", "chance"))
        print(
            f"last three fifths, {name}: macro-F1 {found['macro_f1']:.2f} {low_high}, {beside}; {found['clips']} clips"
        )
    print(f"annotations since: {result['changes']['annotations']}")
    print("machine: " + ", ".join(f"{name} {seconds:.1f} s" for name, seconds in took.items()))
    print(f"{events} events in {lasting:.0f} s; all by hand: {manual:.0f} additions' work, watching included")
    print(f"one round: {once}, saved {1 - (by_hand + once.cost(costs)) / manual:+.0%}")
    print(f"two rounds: {parts}, saved {1 - (by_hand + sum(part.cost(costs) for part in parts)) / manual:+.0%}")


if __name__ == "__main__":
    main()
