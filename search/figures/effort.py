"""The work that is saved, over the share of a recording that is annotated by hand."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from search.figures.style import FAINT, SERIES, look

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def effort_by_share(title: str, curves: Mapping[str, Mapping[float, tuple[float, float, float]]]) -> "Figure":
    """Draw how much of the work is saved.

    Parameters
    ----------
    title : str
        Heading.
    curves : mapping
        By name: share annotated -> share of the work saved, and both ends of its interval.
    """
    from matplotlib.figure import Figure
    from matplotlib.ticker import PercentFormatter

    with look():
        figure = Figure(figsize=(5.6, 3.6))
        axis = figure.subplots()
        for number, (name, points) in enumerate(curves.items()):
            shares = sorted(points)
            middle, low, high = zip(*(points[share] for share in shares), strict=True)
            style: Any = {"color": SERIES[number % len(SERIES)], "linestyle": ("-", "--", "-.", ":")[number % 4]}
            axis.plot(shares, middle, marker="o", markersize=3, label=name, **style)
            axis.fill_between(shares, low, high, color=style["color"], alpha=0.12, linewidth=0)
        axis.axhline(0, color=FAINT, linewidth=0.9, label="no predictions")
        for one in (axis.xaxis, axis.yaxis):
            one.set_major_formatter(PercentFormatter(1.0))
        axis.set(xlabel="annotated by hand", ylabel="work saved")
        axis.set_title(title)
        axis.legend()
    return figure
