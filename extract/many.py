"""Many videos into one store, on one machine or several."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache, partial
from pathlib import Path

import torch

from extract.engines import ATTEMPTS, map_videos
from extract.jobs import Job, Machine, Outcome, Settings
from extract.pipeline import Extractor
from extract.views import PLAIN
from extract.weights import load_backbone
from store.errors import InputError
from store.places import place
from store.progress import progress


@dataclass(frozen=True)
class Recipe:
    """With what to extract: all that a worker needs to make its own `Extractor`.

    Parameters
    ----------
    store : str
        The store's folder or URL.
    weights, backbone : str
        As `load_backbone` takes them.
    settings : Settings
        What decides the features.
    machine : Machine
        What computes.
    views : tuple of str
        Versions of the picture.
    """

    store: str
    weights: str = "auto"
    backbone: str = "r3d34"
    settings: Settings = field(default_factory=Settings)
    machine: Machine = field(default_factory=Machine)
    views: tuple[str, ...] = (PLAIN,)


def extract_all(recipe: Recipe, jobs: Sequence[Job], engine: str = "local", workers: int = 1) -> Iterator[Outcome]:
    """Extract videos; one that cannot be used does not stop the others.

    Parameters
    ----------
    recipe : Recipe
        With what.
    jobs : sequence of Job
        The videos.
    engine, workers
        As in `extract.engines.map_videos`.

    Yields
    ------
    Outcome
        As they come; in order with one local worker.

    Raises
    ------
    InputError
        If the weights cannot be used or the store was made with another spec.
    """
    missing = [outcome for outcome in map(_missing, jobs) if outcome is not None]
    if len(missing) == len(jobs):  # then no weights are needed, which may be a long download
        yield from missing
        return
    extractor = _extractor(recipe)  # so that what is wrong for all is said once, and weights are downloaded once
    workers = max(1, min(workers, len(jobs)))
    if engine == "ray":
        recipe, jobs = _from_anywhere(recipe), [_at_its_full_path(job) for job in jobs]
    outcomes = map_videos(partial(_extract, recipe), jobs, engine, workers, extractor.on_gpu)
    if engine == "local" and workers == 1:  # each video then shows a bar of its own
        yield from map(_said, outcomes)
        return
    with progress("videos", len(jobs)) as advance:
        for outcome in map(_said, outcomes):
            advance()
            yield outcome


@lru_cache(maxsize=1)  # a process prepares network and runtime once, not for each video
def _extractor(recipe: Recipe) -> Extractor:
    backbone = load_backbone(recipe.weights, recipe.backbone)
    return Extractor(place(recipe.store), backbone, recipe.settings, recipe.machine, recipe.views)


def _missing(job: Job) -> Outcome | None:
    """Return what becomes of a job whose files are not there."""
    try:
        job.require_files()
    except InputError as error:
        return Outcome(str(job.video), job.recording, "failed", error=str(error))
    return None


def _extract(recipe: Recipe, job: Job) -> Outcome:
    try:
        return _extractor(recipe).extract(job)
    except InputError as error:
        problem = str(error)
    except OSError as error:
        problem = f"{error.filename or job.video}: {error.strerror or error}; check the place and run again"
    except torch.OutOfMemoryError:
        problem = f"{job.video}: the GPU's memory is full; use fewer --workers or --device cpu"
    return Outcome(str(job.video), job.recording, "failed", error=problem)


def _from_anywhere(recipe: Recipe) -> Recipe:
    """Return a recipe whose paths mean the same to a worker that was started in another folder."""
    store = place(recipe.store)
    weights = Path(recipe.weights)
    return replace(
        recipe,
        store=str(store.absolute()) if isinstance(store, Path) else recipe.store,
        weights=str(weights.absolute()) if weights.is_file() else recipe.weights,
    )


def _at_its_full_path(job: Job) -> Job:
    return replace(job, video=job.video.absolute(), audio=job.audio and job.audio.absolute())


def _said(done: tuple[Job, Outcome | None]) -> Outcome:
    job, outcome = done
    if outcome is not None:
        return outcome
    error = f"{job.video}: the process at work on it died {ATTEMPTS} times; extract it by itself to see why"
    return Outcome(str(job.video), job.recording, "failed", error=error)
