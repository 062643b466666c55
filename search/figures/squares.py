"""Squares of classes: each against each, as a colour and a number."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from matplotlib.image import AxesImage


def finish_square(image: "AxesImage", classes: Sequence[str], ticks: Sequence[float], label: str) -> None:
    """Name the classes on two sides of a square, and put beside it what its colours mean.

    Parameters
    ----------
    image : AxesImage
        The square, with a figure to itself.
    classes : sequence of str
        Of the rows and of the columns.
    ticks : sequence of float
        Values to mark on the scale of colours.
    label : str
        What they are.
    """
    axis, places = image.axes, range(len(classes))
    axis.set_xticks(places, classes, rotation=45, ha="right", rotation_mode="anchor")
    axis.set_yticks(places, classes)
    axis.tick_params(length=0)
    axis.spines[:].set_visible(False)
    bar = axis.figure.colorbar(image, ax=axis, shrink=0.6, ticks=ticks)
    bar.set_label(label)
    bar.outline.set_visible(False)


def font_size(classes: Sequence[str]) -> int:
    """Return how large the numbers in a square of these classes may be."""
    return 6 if len(classes) > 9 else 8
