"""What a search for settings found, from the folder that it leaves beside its model."""

import csv
import json
from pathlib import Path
from typing import Any

from search.figures.studies import importances, study_course
from search.rendering.tables import Row, Table
from search.report.pieces import Drawing, Piece, Report, Text
from store.errors import InputError

RESULT, _TRIALS = "result.json", "trials.csv"
_SHOWN, _COLUMNS = 10, 7  # of the trials, the best; of the settings, those that mattered most


def of_study(folder: Path) -> Report:
    """Return a report of the study in a folder.

    Raises
    ------
    InputError
        If what is in it cannot be read.
    """
    try:
        found = json.loads((folder / RESULT).read_text("utf-8"))
        with (folder / _TRIALS).open(newline="", encoding="utf-8") as file:
            trials = list(csv.DictReader(file))
        sections = [("What was found", _found(found)), ("How it went", _course(found, trials))]
    except (OSError, ValueError, LookupError, TypeError, AttributeError) as error:
        raise InputError(f"{folder}: is no finished study of chironomy search; run the search again") from error
    done = ", ".join(f"{count} {state}" for state, count in found["trials"].items())
    introduction = Text(f"Searched for: {found['metric']} in cross-validation. Trials: {done}.")
    return Report(f"Search: {found['study']}", [introduction], sections)


def _found(found: dict[str, Any]) -> list[Piece]:
    held = found["held_out"]
    ends = held["interval"]
    interval = "" if ends is None else f" [{ends[0]:+.2f}, {ends[1]:+.2f}]"
    verdict = "better than" if held["difference"] > 0 else "no better than"
    if ends is not None and ends[0] <= 0 <= ends[1]:
        verdict = "not told apart from"
    settings: list[Row] = [(name, str(value)) for name, value in found["best_settings"].items()]
    known: list[Row] = [(name, float(value)) for name, value in found["known_settings"].items()]
    return [
        Text(
            f"On {held['clips']} clips that no trial saw, the best settings have a macro-F1 of {held['best']:.2f}, "
            f"the default ones {held['default']:.2f}: "
            f"difference {held['difference']:+.2f}{interval}, so they are {verdict} the defaults there."
        ),
        Table(
            "known",
            "In cross-validation",
            ("settings", found["metric"]),
            (("the best found", float(found["best"])), *known),
            ("The best of many trials is too high by some luck; believe the clips that no trial has seen.",),
        ),
        Table("best", f"The best settings: trial {found['best_trial']}", ("setting", "value"), tuple(settings)),
    ]


def _course(found: dict[str, Any], trials: list[dict[str, str]]) -> list[Piece]:
    complete = {place: float(row["value"]) for place, row in enumerate(trials) if row["state"] == "COMPLETE"}
    named = {place: row["setting"] for place, row in enumerate(trials) if row["setting"]}
    values = [complete.get(place) for place in range(len(trials))]
    pieces: list[Piece] = [
        Drawing(
            "course", "Each trial's score, and the best so far.", study_course("Trials", values, named, found["metric"])
        )
    ]
    if found["importances"]:
        figure = importances("What mattered", found["importances"])
        pieces.append(Drawing("importances", "How much of the scores' variation each setting explains.", figure))
    weights = found["importances"] or dict.fromkeys(found["best_settings"], 0.0)  # too few trials tell what mattered
    names = sorted((name for name in trials[0] if name in weights), key=lambda name: -weights[name])[:_COLUMNS]
    best = sorted(complete, key=lambda place: -complete[place])[:_SHOWN]
    rows: list[Row] = [
        (
            trials[place]["trial"],
            complete[place],
            trials[place]["setting"],
            *(_short(trials[place][name]) for name in names),
        )
        for place in best
    ]
    columns = ("trial", found["metric"], "known as", *names)
    which = "the settings that mattered most" if found["importances"] else "their settings"
    pieces.append(Table("trials", f"The {len(rows)} best trials, and {which}", columns, tuple(rows)))
    return pieces


def _short(value: str) -> str:
    try:
        return f"{float(value):.3g}"
    except ValueError:
        return value
