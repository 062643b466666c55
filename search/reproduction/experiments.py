"""Which experiments there are (Table 6 of the paper), and on which clips each of them is done."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from heads.settings import SYSTEMS as PARTS
from heads.settings import Settings
from search.data import Data, load_data
from search.paper import ALL, FIRST, SYSTEMS
from search.splits import Fold, make_folds
from store import annotations
from store.errors import InputError
from store.features import FeatureStore
from store.places import Place, place
from store.vocabulary import Vocabulary, load_vocabulary

VOCABULARIES = ("guitar-18", "guitar-7")
LEFT_OUT = "sm+bb+ts", "guitar-7"  # the system and the classes of "leave one out"
BLOCKED = "blocked"
PAPERS = {FIRST: "random", ALL: "paper-v1test"}  # how the paper divides the clips


@dataclass(frozen=True)
class Experiment:
    """One training, and what it is scored on.

    Parameters
    ----------
    data : str
        ``first``: the first recording by name alone; ``all``; or the recording that is left out.
    vocabulary : str
        A built-in vocabulary.
    system : str
        Name of a system.
    split : str
        As `search.splits.make_folds` takes it.
    """

    data: str
    vocabulary: str
    system: str
    split: str

    @property
    def name(self) -> str:
        """Of its file; whatever the recording is called, it is one."""
        kind, _, recording = self.split.partition(":")
        return "-".join(
            filter(None, [self.data if not recording else "", self.vocabulary, self.system, kind, recording])
        )


@dataclass(frozen=True)
class Inputs:
    """What all experiments are done with: all that a worker needs.

    Parameters
    ----------
    store : str
        The store's folder or URL.
    files : tuple of Path
        The annotation files of its recordings, in the order of their names.
    settings : Settings
        How to train.
    device : str
        Where.
    offset : float, optional
        Seconds to be added to the annotations' times, in place of their files' time origins.
    """

    store: str
    files: tuple[Path, ...]
    settings: Settings
    device: str = "auto"
    offset: float | None = None

    @cached_property
    def opened(self) -> FeatureStore:
        """The store."""
        return FeatureStore(place(self.store))

    def used(self, experiment: Experiment) -> tuple[Path, ...]:
        """Return the annotation files that an experiment sees."""
        return self.files[:1] if experiment.data == FIRST else self.files

    def load(self, experiment: Experiment) -> tuple[Vocabulary, Data]:
        """Return the classes of an experiment, and its clips."""
        vocabulary = load_vocabulary(experiment.vocabulary)
        files, rule = self.used(experiment), self.settings.clip_rule
        return vocabulary, load_data(self.opened, files, vocabulary, rule, self.offset)

    def fold(self, experiment: Experiment, data: Data) -> Fold:
        """Return the parts of an experiment's clips.

        Raises
        ------
        InputError
            If too little is annotated for it.
        """
        return make_folds(experiment.split, data.timeline, self.settings.seed)[0]


def find_inputs(
    store: Place, paths: Sequence[Path], settings: Settings, device: str = "auto", offset: float | None = None
) -> Inputs:
    """Return what the experiments are done with.

    Raises
    ------
    InputError
        If there is no such store, or none of the annotation files belongs to a recording of it.
    """
    opened = FeatureStore(store)
    files = {stem: path for stem, path in sorted(annotations.find(paths).items()) if stem in opened}
    inputs = Inputs(str(store), tuple(files.values()), settings, device, offset)
    if not files:
        load_data(opened, paths, load_vocabulary(VOCABULARIES[0]))  # says what is there and what is missing
    return inputs


def list_experiments(names: Sequence[str]) -> list[Experiment]:
    """Return all experiments, those that take longest first.

    Parameters
    ----------
    names : sequence of str
        A recording of each video.
    """
    found = [Experiment(name, LEFT_OUT[1], LEFT_OUT[0], f"leave-out:{name}") for name in names]
    for data in (ALL, FIRST):
        for vocabulary in VOCABULARIES:
            for system in SYSTEMS:
                found += [Experiment(data, vocabulary, system, split) for split in (PAPERS[data], BLOCKED)]
    return found


def obstacle(inputs: Inputs, experiment: Experiment, data: Data) -> str:
    """Return why an experiment cannot be done with this data, in a few words; nothing if it can."""
    if experiment.data != FIRST and len(data.timeline.annotated) < 2:
        return "there is only one video"
    if PARTS[experiment.system].fusion and not any(recording.has_sound for recording in data.recordings):
        return "the store has no sound"
    try:
        inputs.fold(experiment, data)
    except InputError as error:
        return re.split(r"[:;]", str(error))[0]
    return ""
