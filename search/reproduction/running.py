"""Doing the experiments: several at once, none of them twice, one that was stopped from where it was."""

import glob
import os
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path

import numpy as np

from extract.engines import ATTEMPTS, map_videos
from extract.views import PLAIN
from heads.checkpoint import forget
from heads.inputs import size_in_memory
from heads.memory import free_memory
from heads.scale import CONV4, ENERGY, GRID
from heads.settings import PROBE
from heads.training import choose_device
from search.evaluation import MODEL, evaluation
from search.fitting import Workbench
from search.folds import fit_fold, to_score
from search.reproduction.experiments import Experiment, Inputs
from search.reproduction.results import Result, result_file
from search.shelf import Shelf
from search.tracking import Record, going_on
from store.errors import InputError
from store.progress import progress

SYSTEMS_KEPT = (MODEL, PROBE, "always", "chance")
_A_WORKER = 2 << 30  # bytes, beside the clips: libraries, the network four times over, activations


@dataclass(frozen=True)
class Job:
    """An experiment to be done.

    Parameters
    ----------
    experiment : Experiment
        Which.
    identity : str
        What tells its result from any other.
    parent : str, optional
        Id of the recorded run that it belongs to.
    """

    experiment: Experiment
    identity: str
    parent: str | None = None


def run_all(inputs: Inputs, folder: Path, jobs: Sequence[Job], workers: int | None, done: int) -> None:
    """Do experiments, and keep the result of each in a folder.

    Parameters
    ----------
    inputs : Inputs
        What they are done with.
    folder : Path
        Where the results go.
    jobs : sequence of Job
        What is to be done.
    workers : int, optional
        Processes; as many as there are cores and memory for, if not given.
    done : int
        Experiments done before, for the progress shown.

    Raises
    ------
    InputError
        If one of them cannot be done; what was done before is kept.
    """
    at_once = min(workers or _workers(inputs), max(1, len(jobs)))
    waiting = [job.experiment.name for job in jobs]
    with progress("experiments", done + len(jobs)) as advance:
        advance(done, _running(waiting, at_once))
        for job, problem in map_videos(partial(_do, inputs, folder), jobs, workers=at_once):
            if problem is None:
                raise InputError(
                    f"{folder}: the process of {job.experiment.name} died {ATTEMPTS} times; take fewer --jobs"
                )
            if problem:
                raise InputError(problem)
            waiting.remove(job.experiment.name)
            advance(1, _running(waiting, at_once))


def _do(inputs: Inputs, folder: Path, job: Job) -> str:
    """Do one experiment; return what is wrong with its inputs, or nothing."""
    try:
        run(inputs, job, folder)
    except InputError as error:
        return str(error)
    return ""


def run(inputs: Inputs, job: Job, folder: Path) -> None:
    """Do one experiment, keep its result, and record it.

    Parameters
    ----------
    inputs : Inputs
        With what.
    job : Job
        Which.
    folder : Path
        Where its result goes, and while it trains its state.
    """
    path = result_file(folder, job.experiment)
    chosen = asdict(job.experiment) | asdict(inputs.settings)
    kept = path.with_name(f".{path.name}.run")
    with going_on("experiment", job.experiment.name, chosen, folder.parent, kept, job.parent) as record:
        _train_and_score(inputs, job, path, record)
    kept.unlink(missing_ok=True)


def _train_and_score(inputs: Inputs, job: Job, path: Path, record: Record) -> None:
    began = time.monotonic()
    experiment, settings = job.experiment, inputs.settings
    state = path.with_name(f".{path.name}.training")
    vocabulary, data = inputs.load(experiment)
    bench = Workbench(Shelf(inputs.opened, data), vocabulary, experiment.system, settings, inputs.device)
    fold = inputs.fold(experiment, data)
    fitted, found = fit_fold(bench, data, fold, state)
    training = fold.split.training
    probability, by_probe = bench.predict(fitted, training)
    frequency = data.labels.positive[training].mean(axis=0)
    learned = to_score(data, training, (fitted.head, probability), (fitted.probe, by_probe), frequency)
    record.epochs(fitted.history)
    record.scores(evaluation(vocabulary.classes, found.scored["test"]), "test")
    assert found.best is not None
    result = Result(
        clips={part: len(index) for part, index in asdict(fold.split).items()},
        counts={
            part: {name: each.counts[name] for name in SYSTEMS_KEPT}
            for part, each in {"train": learned, **found.scored}.items()
        },
        history=[asdict(epoch) for epoch in fitted.history],
        best=found.best,
        seconds=time.monotonic() - began,
    )
    result.save(path, job.identity, experiment)
    forget(state.parent, glob.escape(state.name))


def _workers(inputs: Inputs) -> int:
    """Return how many experiments fit on this machine side by side."""
    if choose_device(inputs.device).type != "cpu":
        return 1
    recordings = [inputs.opened[path.stem] for path in inputs.files]
    views = set.intersection(*({*recording.views} for recording in recordings)) if inputs.settings.views else {PLAIN}
    each = _A_WORKER + size_in_memory(recordings, (CONV4, GRID, ENERGY), sorted(views))
    return int(np.clip(free_memory() // each, 1, os.cpu_count() or 1))


def _running(waiting: Sequence[str], workers: int) -> str:
    """Return what is at work: experiments are given out in their order."""
    return f"running: {', '.join(waiting[:workers])}" if waiting else ""
