"""Doing the experiments: several at once, none of them twice, one that was stopped from where it was."""

import os
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path

import numpy as np

from extract.engines import ATTEMPTS, map_videos
from extract.views import PLAIN
from heads.checkpoint import Checkpoint
from heads.inputs import size_in_memory
from heads.memory import free_memory
from heads.scale import CONV4, ENERGY, GRID
from heads.training import choose_device
from search.evaluation import MODEL, PROBE
from search.fitting import Workbench
from search.folds import fit_fold, to_score
from search.reproduction.experiments import Experiment, Inputs
from search.reproduction.results import Result, result_file
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
    """

    experiment: Experiment
    identity: str


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
        run(inputs, job.experiment, folder, job.identity)
    except InputError as error:
        return str(error)
    return ""


def run(inputs: Inputs, experiment: Experiment, folder: Path, identity: str) -> Result:
    """Do one experiment and keep its result.

    Parameters
    ----------
    inputs : Inputs
        With what.
    experiment : Experiment
        Which.
    folder : Path
        Where its result goes, and while it trains its state.
    identity : str
        What tells its result from any other.
    """
    began = time.monotonic()
    path = result_file(folder, experiment)
    state = path.with_name(f".{path.name}.training")
    vocabulary, data = inputs.load(experiment)
    bench = Workbench(inputs.opened, data, vocabulary, experiment.system, inputs.settings, inputs.device)
    fold = inputs.fold(experiment, data)
    fitted, found = fit_fold(bench, data, fold, state)
    training = fold.split.training
    probability, by_probe = bench.predict(fitted, training)
    present = fitted.head.present(probability), fitted.probe.present(by_probe)
    frequency = data.labels.positive[training].mean(axis=0)
    scored = {"train": to_score(data, training, probability, *present, frequency), **found.scored}
    assert fitted.trained is not None
    result = Result(
        clips={part: len(index) for part, index in asdict(fold.split).items()},
        counts={part: {name: each.counts[name] for name in SYSTEMS_KEPT} for part, each in scored.items()},
        history=[asdict(epoch) for epoch in fitted.trained.history],
        best=fitted.trained.best,
        seconds=time.monotonic() - began,
    )
    result.save(path, identity, experiment)
    Checkpoint(state, None).clear()
    return result


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
