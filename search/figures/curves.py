"""Curves: of learning, of precision over recall, and of the work that a model saves."""

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from heads.metrics import precision_recall_f1
from search.figures.style import BLUE, FAINT, ORANGE, SERIES, look

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_COLUMNS = 6  # of small curves side by side, at most


def learning_curves(title: str, loss: Sequence[float], score: Sequence[float], best: int, scored: str) -> "Figure":
    """Draw loss and validation score, epoch by epoch.

    Parameters
    ----------
    title : str
        Heading.
    loss, score : sequence of float
        Of each epoch; the first is the start, which has no loss.
    best : int
        Number of the epoch that was kept.
    scored : str
        Name of the score.
    """
    from matplotlib.figure import Figure
    from matplotlib.ticker import MaxNLocator

    with look():
        figure = Figure(figsize=(7, 2.6))
        left, right = figure.subplots(1, 2)
        epochs = np.arange(len(score))
        left.plot(epochs[1:], loss[1:], color=BLUE, marker="o", markersize=3)
        left.set(xlabel="epoch", title="training loss")
        right.plot(epochs, score, color=ORANGE, marker="o", markersize=3)
        right.axvline(best, color=FAINT, linestyle=":", linewidth=1)
        right.annotate(f"kept: {best}", (best, 0.02), xycoords=("data", "axes fraction"), xytext=(3, 0),
                       textcoords="offset points", fontsize=8, color=FAINT)  # fmt: skip
        right.set(xlabel="epoch", title=scored, ylim=(0, 1.02))
        for axis in (left, right):
            axis.xaxis.set_major_locator(MaxNLocator(integer=True))
        figure.suptitle(title, fontsize=10, fontweight="bold", ha="left", x=0.01)
    return figure


def precision_recall(
    title: str,
    classes: Sequence[str],
    true: NDArray[np.bool_],
    probability: NDArray[np.floating],
    present: NDArray[np.bool_],
) -> "Figure":
    """Draw precision over recall for each class, and where the model stands on it as it decides.

    Parameters
    ----------
    title : str
        Heading.
    classes : sequence of str
        Their names.
    true : ndarray of bool, shape (clips, classes)
        As annotated.
    probability : ndarray of float, shape (clips, classes)
        As predicted.
    present : ndarray of bool, shape (clips, classes)
        What the model takes for present: with post-processing, it may stand beside its curve.
    """
    from matplotlib.figure import Figure
    from sklearn.metrics import precision_recall_curve

    precision, recall, _ = precision_recall_f1(true, present)
    rows = math.ceil(len(classes) / _COLUMNS)
    columns = math.ceil(len(classes) / rows)
    with look():
        figure = Figure(figsize=(1.65 * columns, 1.85 * rows + 0.5))
        axes = figure.subplots(rows, columns, sharex=True, sharey=True, squeeze=False).ravel()
        for number, axis in enumerate(axes):
            if number >= len(classes):
                axis.set_visible(False)
                continue
            axis.set_title(classes[number], fontsize=8, fontweight="normal")
            axis.set(xlim=(0, 1.03), ylim=(0, 1.05), xticks=(0, 0.5, 1), yticks=(0, 0.5, 1))
            if not true[:, number].any():
                axis.text(0.5, 0.5, "none annotated", ha="center", va="center", fontsize=7, color=FAINT)
                continue
            curve = precision_recall_curve(true[:, number], probability[:, number])
            axis.step(curve[1], curve[0], where="post", color=BLUE, linewidth=1.2)
            axis.axhline(true[:, number].mean(), color=FAINT, linestyle=":", linewidth=0.8)
            axis.plot(recall[number], precision[number], "o", color=ORANGE, markersize=5, clip_on=False)
        figure.supxlabel("recall", fontsize=9)
        figure.supylabel("precision", fontsize=9)
        figure.suptitle(title, fontsize=10, fontweight="bold", ha="left", x=0.01)
    return figure


def effort_saved(
    true: NDArray[np.bool_], probability: NDArray[np.floating]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return which share of what is there one has found after going through which share of the clips.

    For each class, clips are gone through from the most probable on; ties in the middle of their places.

    Parameters
    ----------
    true : ndarray of bool, shape (clips, classes)
        As annotated.
    probability : ndarray of float, shape (clips, classes)
        As predicted.

    Returns
    -------
    share, found : ndarray of float64, shape (clips + 1,)
        Of the clips, and of all that is there, over all classes; from 0 to 1.
    """
    clips = len(true)
    found = np.zeros(clips + 1)
    for there, values in zip(true.T, probability.T, strict=True):
        order = np.argsort(-values, kind="stable")
        _, tie, size = np.unique(-values[order], return_inverse=True, return_counts=True)
        evenly = (np.bincount(tie, weights=there[order]) / size)[tie]  # clips alike come in any order
        found[1:] += np.cumsum(evenly)
    return np.linspace(0, 1, clips + 1), found / max(1.0, found[-1])


def effort_curve(title: str, systems: Mapping[str, NDArray[np.floating]], true: NDArray[np.bool_]) -> "Figure":
    """Draw how much is found after looking at how many clips, most probable first.

    Parameters
    ----------
    title : str
        Heading.
    systems : mapping
        By name: probabilities, (clips, classes).
    true : ndarray of bool, shape (clips, classes)
        As annotated.
    """
    from matplotlib.figure import Figure
    from matplotlib.ticker import PercentFormatter

    with look():
        figure = Figure(figsize=(4.6, 3.6))
        axis = figure.subplots()
        for number, (name, probability) in enumerate(systems.items()):
            share, found = effort_saved(true, probability)
            enough = float(share[np.searchsorted(found, 0.9 - 1e-9)])
            label = f"{name}: 90 % found in {enough:.0%} of the clips"
            axis.plot(share, found, color=SERIES[number], linestyle=("-", "--", "-.")[number % 3], label=label)
        best = effort_saved(true, true.astype(float))
        axis.plot(*best, color=FAINT, linewidth=0.9, linestyle=":", label="if all were known")
        axis.plot((0, 1), (0, 1), color=FAINT, linewidth=0.9, label="one clip after the other")
        axis.axhline(0.9, color=FAINT, linewidth=0.5)
        for one in (axis.xaxis, axis.yaxis):
            one.set_major_formatter(PercentFormatter(1.0))
        axis.set(xlim=(0, 1), ylim=(0, 1.02), xlabel="clips looked at, most probable first", ylabel="gestures found")
        axis.set_title(title)
        figure.legend(loc="outside lower left")
    return figure
