"""A search for settings: how it went, and which settings mattered."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from search.figures.style import BLUE, FAINT, INK, ORANGE, look

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_LEAST = 0.005  # share of a setting that is drawn


def study_course(title: str, values: Sequence[float | None], named: Mapping[int, str], score: str) -> "Figure":
    """Draw the score of each trial, and the best so far.

    Parameters
    ----------
    title : str
        Heading.
    values : sequence of float or None
        Of each trial in its order; None for one that was given up or failed.
    named : mapping
        By the trial's place: the name of known settings.
    score : str
        Name of the score.
    """
    from matplotlib.figure import Figure
    from matplotlib.ticker import MaxNLocator

    found = np.array([np.nan if value is None else value for value in values], np.float64)
    best = np.fmax.accumulate(found) if len(found) else found
    with look():
        figure = Figure(figsize=(7, 2.8))
        axis = figure.subplots()
        places = np.arange(len(found))
        axis.step(places, best, where="post", color=ORANGE, label="best so far")
        axis.plot(places, found, "o", color=BLUE, markersize=4, label="trial")
        lowest = np.nanmin(found) if np.isfinite(found).any() else 0.0
        missing = places[np.isnan(found)]
        axis.plot(missing, np.full(len(missing), lowest), "x", color=FAINT, markersize=4, label="given up")
        for place, name in named.items():
            if np.isfinite(found[place]):
                axis.annotate(name, (place, found[place]), xytext=(5, -9), textcoords="offset points", fontsize=8)
        axis.xaxis.set_major_locator(MaxNLocator(integer=True))
        axis.margins(y=0.14)
        axis.set(xlabel="trial", ylabel=score, title=title)
        figure.legend(loc="outside lower left", ncols=3)
    return figure


def importances(title: str, shares: Mapping[str, float]) -> "Figure":
    """Draw how much each setting mattered; what mattered next to nothing is left out.

    Parameters
    ----------
    title : str
        Heading.
    shares : mapping
        By the setting: its share of what the trials' scores vary.
    """
    from matplotlib.figure import Figure

    ordered = sorted(((name, share) for name, share in shares.items() if share >= _LEAST), key=lambda each: each[1])
    with look():
        figure = Figure(figsize=(6, 1.0 + 0.24 * len(ordered)))
        axis = figure.subplots()
        axis.barh([name for name, _ in ordered], [share for _, share in ordered], 0.65, color=BLUE)
        for place, (_, share) in enumerate(ordered):
            axis.text(share, place, f" {share:.2f}", va="center", fontsize=8, color=INK)
        axis.tick_params(axis="y", length=0)
        axis.spines["left"].set_visible(False)
        axis.set(xlabel="share", title=title, ylim=(-0.6, max(1, len(ordered)) - 0.4))
    return figure
