"""The paper's experiments on one's own recordings: every table and figure of it, its figures beside one's own."""

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from heads.settings import Settings, settings_for
from heads.training import choose_device
from search.data import Data
from search.rendering.tables import Cell, Table
from search.reproduction.drawing import draw_all
from search.reproduction.experiments import (
    ALL,
    FIRST,
    VOCABULARIES,
    Experiment,
    Inputs,
    find_inputs,
    list_experiments,
    obstacle,
)
from search.reproduction.output import Reproduction, write_all
from search.reproduction.own_data import GESTURES, SUPERCLASSES, count_all, counts_tables, parts_table, recordings_table
from search.reproduction.results import Result, identities, result_file
from search.reproduction.running import Job, run_all
from search.reproduction.scores import TITLES, average_tables, class_tables
from search.tracking import going_on
from store.errors import InputError
from store.places import Place
from store.spec import UNTRAINED

QUICK = 3  # epochs: enough to see that everything runs
# A regression beside a network hides how the systems differ, and the paper has none; the probe stands beside anyway.
_SETTINGS = {"regression": False}
_KEPT = "experiments"  # the folder of results


def reproduce(
    store: Place,
    annotation_paths: Sequence[Path],
    out: Path,
    *,
    settings: Settings | None = None,
    jobs: int | None = None,
    device: str = "auto",
    offset: float | None = None,
) -> dict[str, Any]:
    """Do the paper's experiments (Table 6) on a store, and write its tables and figures.

    Each experiment that is finished is a small file; started again, none is repeated whose inputs are the same:
    settings, features, annotations, version. One that was stopped goes on from where it was.

    Parameters
    ----------
    store : Path or UPath
        A feature store.
    annotation_paths : sequence of Path
        Annotation files, or folders of them, with the paper's gestures.
    out : Path
        Folder for everything.
    settings : Settings, optional
        How to train; `reproduction_settings` if not given.
    jobs : int, optional
        Experiments at a time; as many as there are cores and memory for, if not given.
    device : {"auto", "cpu", "cuda"}
        Where to train.
    offset : float, optional
        Seconds to be added to the annotations' times, as `search.data.load_data` takes them.

    Returns
    -------
    dict
        JSON-ready: the files, how many experiments were done now and before, Tables 7 and 8, and notes.

    Raises
    ------
    InputError
        If something given cannot be used. What was done before is kept.
    """
    choose_device(device)
    inputs = find_inputs(store, annotation_paths, settings or reproduction_settings(), device, offset)
    data = _load(inputs)
    names = [recordings[0] for recordings in data[ALL, GESTURES].timeline.annotated.values()]
    kept = _prepare(out)
    try:
        with (
            FileLock(out / ".lock", timeout=0),
            going_on("reproduce", out.name, asdict(inputs.settings), out, kept / ".run") as record,
        ):
            record.data(inputs.opened, data[ALL, SUPERCLASSES])
            results, done = _experiments(inputs, data, names, kept, jobs, record.id)
            found = _all_of_it(inputs, data, names, results)
            files = write_all(found, out)
            for what in ("page", "tables", "figures"):
                record.file(Path(files[what]))
    except Timeout:
        raise InputError(
            f"{out}: another chironomy reproduce is at work in it; wait for it or name another folder"
        ) from None
    finished = sum(isinstance(result, Result) for result in results.values())
    counted = {"finished": finished, "now": finished - done, "before": done, "not_possible": len(results) - finished}
    return {
        "out": str(out),
        "experiments": counted,
        "tables": {table.name: _json(table) for table in found.averages},
        "untrained_backbone": inputs.opened.spec.untrained,
        "notes": list(found.notes),
        "files": files,
        "run": record.describe(),
    }


def reproduction_settings(preset: str = "default", **chosen: Any) -> Settings:
    """Return how the experiments are trained: what is chosen, else the preset, with nothing beside the network.

    Parameters
    ----------
    preset : {"default", "paper"}
        Settings to begin with.
    **chosen
        Of `Settings`.
    """
    return settings_for(preset, **{**_SETTINGS, **chosen})


def _load(inputs: Inputs) -> dict[tuple[str, str], Data]:
    """Return the clips of each data setting and vocabulary."""
    return {
        (setting, vocabulary): inputs.load(Experiment(setting, vocabulary, "sm", ""))[1]
        for setting in (FIRST, ALL)
        for vocabulary in VOCABULARIES
    }


def _prepare(out: Path) -> Path:
    """Make the folder, and in it that of the results; return the latter."""
    kept = out / _KEPT
    if out.exists() and not (out.is_dir() and (kept.is_dir() or not any(out.iterdir()))):
        raise InputError(f"{out}: is there and is not a folder of chironomy reproduce; name another")
    try:
        kept.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"{out}: cannot be made ({error.strerror}); name another folder") from error
    return kept


def _experiments(
    inputs: Inputs,
    data: dict[tuple[str, str], Data],
    names: Sequence[str],
    kept: Path,
    workers: int | None,
    parent: str | None,
) -> tuple[dict[Experiment, Result | str], int]:
    """Do what is not done; return of each experiment its result, or why there is none, and how many were done."""
    results: dict[Experiment, Result | str] = {}
    pending = []
    every = list_experiments(names)
    identity = identities(inputs, every)
    for each in every:
        seen = data[FIRST if each.data == FIRST else ALL, each.vocabulary]
        found = obstacle(inputs, each, seen) or Result.load(result_file(kept, each), identity[each])
        if found is None:
            pending.append(Job(each, identity[each], parent))
        else:
            results[each] = found
    done = sum(isinstance(result, Result) for result in results.values())
    run_all(inputs, kept, pending, workers, done)
    for job in pending:
        result = Result.load(result_file(kept, job.experiment), job.identity)
        if result is None:
            raise InputError(f"{kept}: what {job.experiment.name} has given is gone; leave the folder alone meanwhile")
        results[job.experiment] = result
    return {each: results[each] for each in every}, done


def _all_of_it(
    inputs: Inputs, data: dict[tuple[str, str], Data], names: Sequence[str], results: dict[Experiment, Result | str]
) -> Reproduction:
    counted = count_all(inputs.opened, inputs.files, inputs.settings.clip_rule, inputs.offset)
    own = [recordings_table(counted[GESTURES], inputs.opened), *counts_tables(counted), parts_table(results)]
    return Reproduction(
        recordings=own,
        averages=average_tables(results, names),
        classes=class_tables(results, names),
        figures=draw_all(counted, results),
        warnings=[UNTRAINED] if inputs.opened.spec.untrained else [],
        notes=[_described(inputs), *_notes(data)],
    )


def _notes(data: dict[tuple[str, str], Data]) -> list[str]:
    """Return what is to be known of the annotations, each once."""
    everywhere = dict.fromkeys(note for vocabulary in VOCABULARIES for note in data[ALL, vocabulary].notes)
    first = dict.fromkeys(note for vocabulary in VOCABULARIES for note in data[FIRST, vocabulary].notes)
    return [*everywhere, *(f"{TITLES[FIRST]} alone: {note}" for note in first if note not in everywhere)]


def _described(inputs: Inputs) -> str:
    usual, chosen = asdict(Settings()), asdict(inputs.settings)
    different = [f"{name} {value}" for name, value in chosen.items() if value != usual[name]]
    how = f"the defaults but for: {', '.join(different)}" if different else "the defaults"
    spec = inputs.opened.spec
    return f"Features: {spec.backbone}, weights {spec.weights}. Training: {how}. Seed {inputs.settings.seed}."


def _json(table: Table) -> list[dict[str, Any]]:
    return [
        {
            column: asdict(entry) if isinstance(entry, Cell) else entry
            for column, entry in zip(table.columns, row, strict=True)
        }
        for row in table.rows
    ]
