"""What becomes of a training: its states while it goes on, and at the end the model, saved, recorded and told of."""

import glob
from pathlib import Path
from typing import Any

from heads.checkpoint import forget
from heads.model import GestureModel
from search.data import Data
from search.score_csv import write_csv
from search.tracking import Record

_FEW = 500  # clips, about five minutes: what is held out of so few is missed


def states_of(out: Path, trainings: int) -> list[Path]:
    """Return where the states of the trainings of a model are kept."""
    return [out.with_name(f".{out.name}.{number}.training") for number in range(trainings)]


def forget_states(out: Path) -> None:
    """Remove the states of all trainings into a model, those too that were given up."""
    forget(out.parent, f".{glob.escape(out.name)}.[0-9]*.training")


def keep(model: GestureModel, out: Path, csv: Path | None, record: Record) -> None:
    """Save a model that has been trained, and record it.

    Parameters
    ----------
    model : GestureModel
        With its scores.
    out : Path
        Folder for it.
    csv : Path, optional
        Where to write the test part's scores as a table, if there is one.
    record : Record
        Of the run.
    """
    model.save(out)
    if csv is not None and "test" in model.scores:
        write_csv(csv, model.scores["test"])
    record.trained(model, out)


def tell(model: GestureModel, out: Path, data: Data, record: Record) -> dict[str, Any]:
    """Return what `search.runs.train` returns of a model that is kept; JSON-ready."""
    return model.describe() | {
        "model": str(out),
        "untrained_backbone": model.spec.untrained,
        "notes": [*data.notes, *_notes_on(model)],
        "run": record.describe(),
    }


def _clips(model: GestureModel, part: str) -> int:
    """Return of how many clips a model remembers that they were in a part of its training."""
    return sum(stop - first for used in model.training["recordings"].values() for first, stop in used[part])


def _notes_on(model: GestureModel) -> list[str]:
    """Return in words what a user should know of how a model was made."""
    tuned = model.training.get("cross_validation")
    notes = []
    if "test" not in model.scores:
        notes.append(
            "too little is annotated to hold anything out: the model learned from everything, and nothing is left to "
            "score it on; annotate more and train or update it to have scores"
        )
    learned, known = (_clips(model, part) for part in ("training", "known"))
    if model.training["split"] == "blocked" and learned < known < _FEW:
        notes.append(
            f"{learned} of {known} annotated clips were learned from, the others are held out to score it on; with "
            "--split cv:5 the model learns from all of them, and is scored too, in six trainings"
        )
    if tuned is not None and not tuned["stretches"]:
        notes.append("too little is annotated even to tune thresholds: they stay at 0.5; correct what it labels")
    return notes
