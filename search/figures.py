"""Figures, for screen and print."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

# Okabe and Ito's palette: told apart by colour-blind readers too.
TRUE, PREDICTED, PROBABILITY = "#0072B2", "#D55E00", "#E69F00"


def timeline(
    out: Path,
    title: str,
    times: NDArray[np.float64],
    classes: Sequence[str],
    true: NDArray[np.bool_],
    probability: NDArray[np.float64],
    thresholds: NDArray[np.float64],
    learned_until: float | None = None,
) -> None:
    """Draw a recording's labels: what people annotated above what the model found.

    Parameters
    ----------
    out : Path
        Picture to write; its ending says in which format.
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
    """
    from matplotlib.figure import Figure

    figure = Figure(figsize=(11, 0.62 * len(classes) + 1.5), layout="constrained")
    axes = figure.subplots(len(classes), 1, sharex=True, squeeze=False)[:, 0]
    edges = np.append(times[:, 0], times[-1, 1])
    for lane, axis in enumerate(axes):
        axis.stairs(probability[:, lane], edges, fill=True, color=PROBABILITY, alpha=0.45, linewidth=0)
        axis.axhline(thresholds[lane], color="0.45", linewidth=0.6, linestyle=":")
        present = probability[:, lane] >= thresholds[lane]
        for level, shown, colour in ((1.32, true[:, lane], TRUE), (1.12, present, PREDICTED)):
            bars = [(start, end - start) for (start, end), here in zip(times, shown, strict=True) if here]
            axis.broken_barh(bars, (level, 0.16), color=colour, linewidth=0)
        if learned_until is not None:
            axis.axvline(learned_until, color="0.2", linewidth=1)
        axis.set(ylim=(0, 1.55), yticks=[], xlim=(edges[0], edges[-1]))
        axis.set_ylabel(classes[lane], rotation=0, ha="right", va="center", fontsize=9)
        axis.spines[["top", "right", "left"]].set_visible(False)
    axes[-1].set_xlabel("seconds")
    figure.suptitle(title, fontsize=11, ha="left", x=0.01)
    handles = [
        axes[0].plot([], [], color=colour, linewidth=5, alpha=alpha, label=label)[0]
        for colour, alpha, label in (
            (TRUE, 1, "annotated"),
            (PREDICTED, 1, "found by chironomy"),
            (PROBABILITY, 0.45, "probability, dotted: threshold"),
        )
    ]
    figure.legend(handles=handles, loc="outside lower left", ncols=3, frameon=False, fontsize=9)
    figure.savefig(out, dpi=130)
