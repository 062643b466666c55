"""Timelines: what is annotated above what was found, a lane for each class."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from search.figures.style import FAINT, INK, PREDICTED, PROBABILITY, TRUE, look

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_TOP = 1.55  # of a lane: probability from 0 to 1, above it two bars
_LANES = ((1.32, TRUE), (1.12, PREDICTED))


def timeline(
    title: str,
    times: NDArray[np.float64],
    classes: Sequence[str],
    true: NDArray[np.bool_],
    probability: NDArray[np.float64],
    thresholds: NDArray[np.float64],
    learned_until: float | None = None,
) -> "Figure":
    """Draw a recording's labels: what people annotated above what the model found, and how sure it was.

    Parameters
    ----------
    title : str
        Heading.
    times : ndarray of float64, shape (clips, 2)
        Start and end in seconds.
    classes : sequence of str
        A lane each.
    true : ndarray of bool, shape (clips, classes)
        As annotated.
    probability : ndarray of float, shape (clips, classes)
        As predicted.
    thresholds : ndarray of float64, shape (classes,)
        From which probability on a class is present.
    learned_until : float, optional
        Second up to which the model knew the annotations.

    Returns
    -------
    Figure
        To be saved with `search.figures.style.save`.
    """
    from matplotlib.figure import Figure

    with look():
        figure = Figure(figsize=(10, 0.56 * len(classes) + 1.2))
        axes = figure.subplots(len(classes), 1, sharex=True, squeeze=False)[:, 0]
        edges = np.append(times[:, 0], times[-1, 1])
        for lane, axis in enumerate(axes):
            shown = true[:, lane], probability[:, lane] >= thresholds[lane]
            axis.stairs(probability[:, lane], edges, fill=True, color=PROBABILITY, alpha=0.5, linewidth=0)
            axis.axhline(thresholds[lane], color=FAINT, linewidth=0.7, linestyle=":")
            for (level, colour), here in zip(_LANES, shown, strict=True):
                bars = [(start, end - start) for (start, end), there in zip(times, here, strict=True) if there]
                axis.broken_barh(bars, (level, 0.16), color=colour, linewidth=0)
            if learned_until is not None:
                axis.axvline(learned_until, color=INK, linewidth=1)
            _dress(axis, classes[lane], edges)
        axes[-1].set_xlabel("seconds")
        axes[-1].spines["bottom"].set_visible(True)
        axes[-1].tick_params(bottom=True)
        figure.suptitle(title, fontsize=10, fontweight="bold", ha="left", x=0.01)
        handles = [
            axes[0].plot([], [], color=colour, linewidth=5, alpha=alpha, label=label)[0]
            for colour, alpha, label in (
                (TRUE, 1, "annotated"),
                (PREDICTED, 1, "found by chironomy"),
                (PROBABILITY, 0.5, "probability, dotted: threshold"),
            )
        ]
        figure.legend(handles=handles, loc="outside lower left", ncols=3)
    return figure


def _dress(axis: "Axes", name: str, edges: NDArray[np.float64]) -> None:
    axis.set(ylim=(0, _TOP), yticks=[], xlim=(edges[0], edges[-1]))
    axis.set_ylabel(name, rotation=0, ha="right", va="center")
    axis.spines[["left", "bottom"]].set_visible(False)
    axis.tick_params(bottom=False)
