"""An evaluation as a file: one number a row, for whatever reads CSV."""

import csv
import io
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from store.errors import InputError
from store.files import write_atomically

_COLUMNS = ("level", "class", "metric", "value", "low", "high")


def check_csv(path: Path) -> None:
    """Check, before the work of scoring, that a table may be written to a file.

    Raises
    ------
    InputError
        If it has another ending, or is there and no such table, as annotations would be.
    """
    if path.suffix.lower() != ".csv":
        raise InputError(f"{path}: a table of scores is a .csv file; name it so")
    if path.exists() and not (path.is_file() and path.read_bytes().startswith(",".join(_COLUMNS).encode())):
        raise InputError(f"{path}: is there and is no table of scores; name another file")


def write_csv(path: Path, scores: Mapping[str, Any]) -> None:
    """Write what `search.evaluation.evaluation` returned as a table of one number a row.

    The columns are ``level`` (clip, frame, event 0.1 ...), ``class`` (empty for all classes), ``metric``,
    ``value``, and ``low`` and ``high``, empty where there is no interval.

    Raises
    ------
    InputError
        If the file cannot be written.
    """
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(_COLUMNS)
    events = {f"event {overlap}": level for overlap, level in scores["event"].items()}
    for name, level in {"clip": scores, "frame": scores["frame"], **events}.items():
        writer.writerows([name, "", *row] for row in _csv_rows(level))
        for class_, row in level["classes"].items():
            writer.writerows([name, class_, *cells] for cells in _csv_rows(row))
    for against, found in scores["differences"].items():
        writer.writerow(["clip", "", f"macro_f1 above {against}", found["mean"], *(found["interval"] or ("", ""))])
    write_atomically(path, text.getvalue().encode())


def _csv_rows(scores: Mapping[str, Any]) -> list[list[Any]]:
    return [
        [metric, value, *(scores.get(f"{metric}_interval") or ("", ""))]
        for metric, value in scores.items()
        if isinstance(value, int | float)
    ]
