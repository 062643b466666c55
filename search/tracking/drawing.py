"""The figure that goes with scores."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from search.figures.bars import class_bars
from search.figures.style import look


def draw_classes(path: Path, title: str, scores: Mapping[str, Any]) -> None:
    """Draw F1 class by class: the model's with its intervals, beside the probe's and that of every class always.

    Parameters
    ----------
    path : Path
        Picture to write; its ending says in which format.
    title : str
        Heading.
    scores : mapping
        As `search.evaluation.evaluation` returns them.
    """
    found = scores["classes"]
    series = {
        "this model": [(each["f1"], each["f1_interval"]) for each in found.values()],
        "linear probe": [(each["probe_f1"], None) for each in found.values()],
    }
    figure = class_bars(title, [*found], series, {"every class always": [each["always_f1"] for each in found.values()]})
    with look():
        figure.savefig(path, dpi=130)
