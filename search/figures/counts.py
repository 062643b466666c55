"""How often each class is there, recording by recording."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from search.figures.style import HATCHES, SERIES, look

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def class_counts(title: str, classes: Sequence[str], counts: Mapping[str, Sequence[int]], unit: str) -> "Figure":
    """Draw a bar for each class, stacked by recording.

    Parameters
    ----------
    title : str
        Heading.
    classes : sequence of str
        Their names.
    counts : mapping
        By the name of a recording: how often each class is there.
    unit : str
        What is counted, as ``clips``.
    """
    from matplotlib.figure import Figure

    with look():
        figure = Figure(figsize=(7, 1.3 + 0.26 * len(classes)))
        axis = figure.subplots()
        left, places = np.zeros(len(classes)), np.arange(len(classes))
        for number, (name, values) in enumerate(counts.items()):
            hatch = HATCHES[number // len(SERIES) % len(HATCHES)]
            colour = SERIES[number % len(SERIES)]
            axis.barh(
                places, values, 0.7, left, color=colour, hatch=hatch, edgecolor="white", linewidth=0.5, label=name
            )
            left += values
        for place, total in enumerate(left.tolist()):
            axis.text(total, place, f" {total:.0f}", va="center", fontsize=8)
        axis.set_yticks(places, classes)
        axis.invert_yaxis()
        axis.tick_params(axis="y", length=0)
        axis.spines["left"].set_visible(False)
        axis.set_xlim(0, max(1.0, float(left.max(initial=0))) * 1.08)
        axis.set(xlabel=unit, title=title)
        if 1 < len(counts) <= len(SERIES) * 2:
            figure.legend(loc="outside lower left", ncols=4)
    return figure
