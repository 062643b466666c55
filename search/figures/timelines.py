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
    present: NDArray[np.bool_] | None = None,
    known: NDArray[np.bool_] | None = None,
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
    present : ndarray of bool, shape (clips, classes), optional
        What the model takes for present; what reaches the thresholds if not given.
    known : ndarray of bool, shape (clips,), optional
        Which clips are annotated; all if not given. The others are shaded.

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
        found = probability >= thresholds if present is None else present
        annotated = np.ones(len(times), bool) if known is None else known
        for lane, axis in enumerate(axes):
            shown = true[:, lane] & annotated, found[:, lane]
            for begin, length in _bars(times, ~annotated):
                axis.axvspan(begin, begin + length, color=FAINT, alpha=0.14, linewidth=0)
            axis.stairs(probability[:, lane], edges, fill=True, color=PROBABILITY, alpha=0.5, linewidth=0)
            axis.axhline(thresholds[lane], color=FAINT, linewidth=0.7, linestyle=":")
            for (level, colour), here in zip(_LANES, shown, strict=True):
                axis.broken_barh(_bars(times, here), (level, 0.16), color=colour, linewidth=0)
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
                *([] if annotated.all() else [(FAINT, 0.14, "not annotated")]),
            )
        ]
        figure.legend(handles=handles, loc="outside lower left", ncols=4)
    return figure


def _bars(times: NDArray[np.float64], present: NDArray[np.bool_]) -> list[tuple[float, float]]:
    """Return start and length of each run of clips in which something is present."""
    ends = np.flatnonzero(np.diff(present.astype(int), prepend=0, append=0))
    return [
        (float(times[first, 0]), float(times[last - 1, 1] - times[first, 0])) for first, last in ends.reshape(-1, 2)
    ]


def _dress(axis: "Axes", name: str, edges: NDArray[np.float64]) -> None:
    axis.set(ylim=(0, _TOP), yticks=[], xlim=(edges[0], edges[-1]))
    axis.set_ylabel(name, rotation=0, ha="right", va="center")
    axis.spines[["left", "bottom"]].set_visible(False)
    axis.tick_params(bottom=False)
