"""A search for settings: a study of trials, then the best of them trained, saved and compared with the defaults."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from heads.model import load_model
from heads.model_folder import check_destination
from heads.settings import SYSTEMS, Settings, settings_for
from search.bootstrap import paired_difference
from search.data import Data, load_data
from search.evaluation import MODEL
from search.fitting import Workbench
from search.making import fit
from search.runs import folds_of, predicted, train
from search.shelf import Shelf
from search.splits import Fold
from search.studies.database import local_storage, open_study, shown, told
from search.studies.results import chosen_settings, describe_study, given_up, write_study
from search.studies.space import load_space
from search.studies.study import carry_out, prepare, run, run_workers
from search.studies.trials import Question, Trials
from search.tracking import going_on
from search.tuning import Aim
from store.errors import InputError
from store.features import FeatureStore
from store.files import write_atomically
from store.places import Place, place
from store.vocabulary import Vocabulary, class_members, load_vocabulary

ENDING = ".search"  # of the folder beside the model
_DATABASE, _SPACE, _RUN = "study.sqlite3", "space.toml", ".run"


@dataclass(frozen=True)
class Plan:
    """What a search is made of; a worker's process gets it whole.

    Parameters
    ----------
    store : str
        The feature store.
    annotations : tuple of Path
        Annotation files, or folders of them.
    vocabulary : str
        Name of a built-in vocabulary, or a TOML file.
    out : Path
        Folder for the model; beside it is the study's.
    storage : str
        URL of the study's database.
    space : Path, optional
        File with the search space; the default one if not given.
    system, settings
        Where the space says nothing of them.
    metric, folds
        As of `search.studies.trials.Question`.
    split : str
        Whose test part is held out.
    device : {"auto", "cpu", "cuda"}
        Where to train.
    offset : float, optional
        As of `search.data.load_data`.
    parent : str, optional
        Recorded run that the trials of workers belong to.
    """

    store: str
    annotations: tuple[Path, ...]
    vocabulary: str
    out: Path
    storage: str
    space: Path | None
    system: str
    settings: Settings
    metric: str
    folds: int
    split: str
    device: str
    offset: float | None
    parent: str | None = None

    def work(self, number: int, wanted: int) -> None:
        """Carry out trials in a process of their own."""
        opened = _Opened(self)
        with told(self.storage):
            study = open_study(self.storage, self.out.name, self.settings.seed + 1 + number)
            carry_out(study, wanted, opened.trials)


class _Opened:
    """A plan with its recordings opened."""

    def __init__(self, plan: Plan):
        self.vocabulary: Vocabulary = load_vocabulary(plan.vocabulary)
        self.store = FeatureStore(place(plan.store))
        self.data: Data = load_data(self.store, plan.annotations, self.vocabulary, plan.settings.clip_rule, plan.offset)
        gestures = len(class_members(self.vocabulary))
        self.fold: Fold
        self.fold, *others = folds_of(self.data, plan.split, plan.settings.seed, gestures)
        if not len(self.fold.split.test):
            raise InputError(f"{plan.store}: too little is annotated to search on: annotate two minutes at least")
        if others:
            raise InputError(
                f"--split {plan.split}: a search holds out one test part; take blocked or leave-out:RECORDING"
            )
        self.shelf = Shelf(self.store, self.data)
        space = load_space(plan.space)
        if not any(recording.has_sound for recording in self.data.recordings):
            space = space.without_sound()
        self.question = Question(space, plan.system, plan.settings, plan.metric, plan.folds, self.fold.split)
        self.trials = Trials(self.shelf, self.vocabulary, self.question, plan.device, plan.out, plan.parent)


def search(
    store: Place,
    annotation_paths: Sequence[Path],
    vocabulary: str,
    out: Path,
    *,
    trials: int = 50,
    jobs: int = 1,
    storage: str | None = None,
    space: Path | None = None,
    metric: str = "macro_f1",
    folds: int = 5,
    system: str = "sm+bb+ts",
    split: str = "blocked",
    settings: Settings | None = None,
    device: str = "auto",
    aim: Aim | None = None,
    offset: float | None = None,
) -> dict[str, Any]:
    """Search for settings, train a model with the best, save it, and compare it with the defaults.

    The settings that are searched for are scored by cross-validation over blocks of the training and validation
    part. The test part is looked at once, at the end, by the best setting and by the default one. Beside the model
    a folder ``OUT.search`` keeps the study, the space, tables and figures; the same command goes on with it.

    Parameters
    ----------
    store, annotation_paths, vocabulary, out, device, offset
        As for `search.runs.train`.
    trials : int
        How many in all; those of an earlier start count.
    jobs : int
        Processes on this machine.
    storage : str, optional
        URL of a database that other machines use too, as ``postgresql://USER@HOST/NAME``; else a file beside the model.
    space : Path, optional
        A TOML file with the search space, as ``search/studies/default.toml``.
    metric : str
        What is to be high in cross-validation.
    folds : int
        Of the cross-validation.
    system, settings
        Where the space says nothing of them; by default as `heads.settings.settings_for` with ``tune="fc"``.
    split : str
        Whose test part is held out.
    aim : Aim, optional
        Tune post-processing of the final model for this.

    Returns
    -------
    dict
        JSON-ready: what `search.runs.train` returns of the best, and under ``search`` how it was found.

    Raises
    ------
    InputError
        If something given cannot be used.
    """
    if system not in SYSTEMS:
        raise InputError(f"no system that can be searched for is called {system!r}; there are {', '.join(SYSTEMS)}")
    check_destination(out)
    folder = out.with_name(out.name + ENDING)
    plan = Plan(
        store=str(store),
        annotations=tuple(annotation_paths),
        vocabulary=vocabulary,
        out=out,
        storage=local_storage(folder / _DATABASE) if storage is None else storage,
        space=space,
        system=system,
        settings=settings or settings_for(tune="fc"),
        metric=metric,
        folds=folds,
        split=split,
        device=device,
        offset=offset,
    )
    opened = _Opened(plan)
    if storage is None:
        _make(folder)
    study = open_study(plan.storage, out.name, plan.settings.seed)
    _make(folder)
    with told(plan.storage):
        name = str(folder) if storage is None else f"--storage {shown(storage)}, {out.name}"
        notes = prepare(study, opened.question, opened.trials.identity, name, trials)
        write_atomically(folder / _SPACE, opened.question.space.text.encode())
        chosen = {"trials": trials, "jobs": jobs, "metric": metric, "folds": folds, "split": split}
        with going_on("search", out.name, chosen | asdict(plan.settings), out, folder / _RUN) as record:
            record.data(opened.store, opened.data)
            if jobs == 1:
                run(study, trials, opened.trials)
            else:
                run_workers(study, trials, jobs, replace(plan, parent=record.id).work)
            for number in given_up(study):
                record.bury(number)
            best, best_settings = chosen_settings(study, opened.question)
            result = train(
                store,
                annotation_paths,
                vocabulary,
                out,
                system=best,
                split=split,
                settings=best_settings,
                device=device,
                aim=aim,
                offset=offset,
            )
            found = describe_study(study, metric) | {"folder": str(folder), "held_out": _compare(plan, opened, aim)}
            write_study(study, found, folder)
            record.metrics({"best": found["best"], "held_out/difference": found["held_out"]["difference"]})
            for path in sorted(folder.iterdir()):
                if path.suffix in (".json", ".csv", ".png", ".toml"):
                    record.file(path, "study")
    return result | {"search": found, "notes": [*result["notes"], *notes]}


def _make(folder: Path) -> None:
    try:
        folder.mkdir(exist_ok=True)
    except OSError as error:
        raise InputError(f"{folder}: cannot be made ({error.strerror}); name another place for the model") from error


def _compare(plan: Plan, opened: _Opened, aim: Aim | None) -> dict[str, Any]:
    """Return how the saved model and one of the default settings do on the test part, which no trial has seen."""
    default = Workbench(opened.shelf, opened.vocabulary, plan.system, plan.settings, plan.device)
    theirs = fit(default, opened.data, [opened.fold], [None], aim).results[0].scored["test"]
    ours = predicted(load_model(plan.out), opened.data, opened.fold.split.test)
    difference = paired_difference([ours.counts[MODEL]], [theirs.counts[MODEL]])
    best, usual = (float(each.counts[MODEL].scores()[2].mean()) for each in (ours, theirs))
    return {
        "clips": len(ours.true),
        "best": best,
        "default": usual,
        "difference": difference.mean,
        "interval": None if difference.interval is None else list(difference.interval),
    }
