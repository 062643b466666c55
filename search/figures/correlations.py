"""Which classes are present together (Figures 1, 2 and 7 to 12 of the paper)."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from search.figures.squares import finish_square, font_size
from search.figures.style import DIVERGING, FAINT, look

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def correlation(present: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Return Pearson's correlation of each two classes over frames (Section 3.2).

    Parameters
    ----------
    present : ndarray of bool, shape (frames, classes)
        Which classes are present.

    Returns
    -------
    ndarray of float64, shape (classes, classes)
        From -1 to 1; NaN for a class that is never there, or always.
    """
    values = present.astype(np.float64)
    centred = values - values.mean(axis=0)
    length = np.sqrt((centred**2).sum(axis=0))
    scale = np.outer(length, length)
    return np.divide(centred.T @ centred, scale, out=np.full(scale.shape, np.nan), where=scale > 1e-12)


def correlation_matrix(title: str, classes: Sequence[str], present: NDArray[np.bool_]) -> "Figure":
    """Draw the correlation of each two classes.

    Parameters
    ----------
    title : str
        Heading.
    classes : sequence of str
        Their names.
    present : ndarray of bool, shape (frames, classes)
        Which of them are present.

    Returns
    -------
    Figure
        Classes that are never there, or always, have a grey dash.
    """
    from matplotlib.figure import Figure

    found = correlation(present)
    with look():
        side = 2.6 + 0.29 * len(classes)
        figure = Figure(figsize=(side + 0.7, side))
        axis = figure.subplots()
        image = axis.imshow(found, cmap=DIVERGING, vmin=-1, vmax=1)
        for (row, column), value in np.ndenumerate(found):
            shown, colour = (
                ("–", FAINT) if np.isnan(value) else (f"{value:.2f}", "black" if abs(value) < 0.6 else "white")
            )
            if row != column or np.isnan(value):
                short = shown.replace("0.", ".", 1)
                axis.text(column, row, short, ha="center", va="center", fontsize=font_size(classes), color=colour)
        axis.set_title(title)
        finish_square(image, classes, (-1, -0.5, 0, 0.5, 1), "correlation over frames")
    return figure
