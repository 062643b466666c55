"""Whether annotating what ``label --suggest`` points out teaches more than annotating on in order.

python benchmarks/suggesting.py STORE [STORE ...] --annotations FOLDER [FOLDER ...] --vocabulary NAME

Of each recording the first 15 % is annotated; the last 40 % is what is scored. From the part between, in each of three
rounds, four stretches of about three seconds are annotated: those that are suggested, as many seconds in order, or as
many stretches at random. After each round a model learns anew from everything annotated.
"""

import argparse
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from heads.metrics import precision_recall_f1
from heads.neighbours import in_order
from heads.scale import GRID
from heads.settings import settings_for
from heads.suggesting import LASTING, Outlook, suggest
from search.data import Data, load_data
from search.evaluation import pool
from search.fitting import Workbench
from search.folds import left_out
from search.shelf import Shelf
from search.thresholds import UNTUNED, steady
from store.features import FeatureStore
from store.places import place
from store.vocabulary import class_members, load_vocabulary

FIRST, LAST = 0.15, 0.4  # shares of a recording: annotated at first, scored
ROUNDS, STRETCHES = 3, 4
DRAWS = 3  # of the random stretches
IN_ORDER, SUGGESTED, AT_RANDOM = "in order", "suggested", "at random"


@dataclass
class Lesson:
    """A recording that is being annotated; clips by their number among its own."""

    data: Data
    bench: Workbench
    features: np.ndarray
    gestures: list[str]
    clips: np.ndarray
    random: np.random.Generator

    def __post_init__(self) -> None:
        self.times = self.data.timeline.times[self.clips]
        self.true = self.data.labels.positive[self.clips]
        end = float(self.times[-1, 1])
        self.known = self.times[:, 1] <= FIRST * end
        self.last = self.times[:, 0] >= (1 - LAST) * end
        self.between = ~self.known & (self.times[:, 1] <= (1 - LAST) * end)
        self.window = max(1, round(LASTING / float(np.median(np.diff(self.times[:, 0])))))

    def learn(self) -> float:
        """Learn from what is annotated; return macro-F1 on the last part."""
        annotated = self.clips[self.known]
        fitted = self.bench.fit(annotated, np.empty(0, np.intp))
        tested = left_out(self.bench, self.data, annotated)
        self.thresholds = np.full(self.true.shape[1], UNTUNED)
        if tested:
            scored = pool([result.scored["test"] for result in tested])
            neighbours = in_order(scored.times, scored.recording)
            self.thresholds = steady(scored.probability, scored.true, neighbours)
        self.said = self.bench.predict(fitted, self.clips)[0]
        present = self.said[self.last] >= self.thresholds
        return float(precision_recall_f1(self.true[self.last], present)[2].mean())

    def annotate(self, how: str) -> None:
        """Annotate four stretches more."""
        free = np.flatnonzero(self.between & ~self.known)
        if how == IN_ORDER:
            self.known[free[: STRETCHES * self.window]] = True
        elif how == SUGGESTED:
            self._annotate_suggested()
        else:
            for _ in range(STRETCHES):
                free = self.between & ~self.known
                starts = [at for at in range(len(free) - self.window) if free[at : at + self.window].all()]
                at = int(self.random.choice(starts or np.flatnonzero(free)))  # pieces may be all that is left
                self.known[at : at + self.window] = True

    def _annotate_suggested(self) -> None:
        shown, of = np.flatnonzero(self.between | self.known), slice(len(self.gestures))
        frequency = self.true[self.known].mean(axis=0)[of]
        outlook = Outlook(
            self.gestures,
            self.said[shown, of],
            self.thresholds[of],
            frequency,
            self.times[shown],
            self.features[shown],
            self.known[shown],
        )
        for each in suggest(outlook, STRETCHES):
            self.known |= (self.times[:, 0] >= each.begin - 1e-6) & (self.times[:, 1] <= each.end + 1e-6)


def main() -> None:
    """Run all three ways on all recordings, and print macro-F1 at first and after each round."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("store", nargs="+")
    parser.add_argument("--annotations", type=Path, nargs="+", required=True, help="a folder for each store")
    parser.add_argument("--vocabulary", required=True)
    given = parser.parse_args()
    torch.set_num_threads(1)
    vocabulary = load_vocabulary(given.vocabulary)
    scores: dict[str, list[np.ndarray]] = {how: [] for how in (IN_ORDER, SUGGESTED, AT_RANDOM)}
    for address, folder in zip(given.store, given.annotations, strict=True):
        store = FeatureStore(place(address))
        data = load_data(store, [folder], vocabulary)
        shelf = Shelf(store, data)
        bench = Workbench(shelf, vocabulary, "sm+bb+ts", settings_for(tune="fc", seed=0))
        clips = shelf.clips([GRID], "recording", ("plain",))
        for number, recording in enumerate(data.recordings):
            mine = np.flatnonzero(data.timeline.recording == number)
            for how, rows in scores.items():
                runs = []
                for draw in range(DRAWS if how == AT_RANDOM else 1):
                    random = np.random.default_rng([number, draw])
                    gestures = list(class_members(vocabulary))
                    lesson = Lesson(data, bench, clips.take(GRID, mine), gestures, mine, random)
                    runs.append([lesson.learn()])
                    for _ in range(ROUNDS):
                        lesson.annotate(how)
                        runs[-1].append(lesson.learn())
                rows.append(np.mean(runs, axis=0))
                told = " ".join(f"{value:.2f}" for value in rows[-1])
                print(f"{recording.id}, {how}: {told} ({lesson.known.sum()} clips at last)", flush=True)
    for how, each in scores.items():
        print(f"{how}:", " ".join(f"{value:.3f}" for value in np.mean(each, axis=0)))
    for how in (SUGGESTED, AT_RANDOM):
        better = (np.array(scores[how]) - np.array(scores[IN_ORDER]))[:, 1:].mean(axis=1)
        drawn = better[np.random.default_rng(0).integers(len(better), size=(2000, len(better)))].mean(axis=1)
        low, high = np.quantile(drawn, [0.025, 0.975])
        print(f"{how} above in order, mean of the rounds: {better.mean():+.3f} [{low:+.3f}, {high:+.3f}]")


if __name__ == "__main__":
    main()
