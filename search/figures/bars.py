"""F1 class by class, a bar for each system (Figures 5, 6, 13 and 14 of the paper)."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from search.figures.style import FAINT, HATCHES, INK, SERIES, look

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Score = tuple[float, tuple[float, float] | None]  # and its interval


def class_bars(
    title: str, classes: Sequence[str], series: Mapping[str, Sequence[Score]], baseline: Mapping[str, Sequence[float]]
) -> "Figure":
    """Draw F1 of each class.

    Parameters
    ----------
    title : str
        Heading.
    classes : sequence of str
        Their names.
    series : mapping
        By the name of a system: each class's F1 and interval.
    baseline : mapping
        One, by its name: each class's F1, drawn as a line across its bars.

    Returns
    -------
    Figure
        With the intervals as whiskers.
    """
    from matplotlib.figure import Figure

    with look():
        figure = Figure(figsize=(max(5.5, 1.6 + 0.62 * len(classes)), 3.4))
        axis = figure.subplots()
        places, width = np.arange(len(classes)), 0.8 / max(1, len(series))
        for number, (name, scores) in enumerate(series.items()):
            value = np.array([score for score, _ in scores])
            low, high = np.transpose([(score, score) if ends is None else ends for score, ends in scores])
            axis.bar(
                places + (number - (len(series) - 1) / 2) * width,
                value,
                width * 0.92,
                yerr=[np.maximum(0, value - low), np.maximum(0, high - value)],
                error_kw={"elinewidth": 0.6, "ecolor": INK, "capsize": 0},
                color=SERIES[number],
                hatch=HATCHES[number],
                edgecolor="white",
                linewidth=0,
                label=name,
            )
        for name, values in baseline.items():
            axis.hlines(values, places - 0.42, places + 0.42, color=FAINT, linestyle="--", linewidth=0.9, label=name)
        axis.set(ylim=(0, 1.02), ylabel="F1", xlim=(-0.6, len(classes) - 0.4))
        axis.set_xticks(places, classes, rotation=30, ha="right", rotation_mode="anchor")
        axis.tick_params(axis="x", length=0)
        axis.set_title(title)
        figure.legend(loc="outside lower left", ncols=min(5, len(series) + len(baseline)))
    return figure
