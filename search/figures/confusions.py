"""Which class a model takes for which, where several may be there at once."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from search.figures.squares import finish_square, font_size
from search.figures.style import FAINT, look

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def confusion(true: NDArray[np.bool_], present: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Return how often a class is found wrongly where another is there.

    Parameters
    ----------
    true, present : ndarray of bool, shape (clips, classes)
        As annotated, and as found.

    Returns
    -------
    ndarray of float64, shape (classes, classes)
        Row i, column j: of the clips with i and without j, the share in which j was found; on the diagonal the
        recall of i. NaN where there is no such clip.
    """
    there, absent, found = true.astype(float), (~true).astype(float), present.astype(float)
    wrong, cases = there.T @ (found * absent), there.T @ absent
    np.fill_diagonal(wrong, (there * found).sum(axis=0))
    np.fill_diagonal(cases, there.sum(axis=0))
    return np.divide(wrong, cases, out=np.full(cases.shape, np.nan), where=cases > 0)


def confusion_matrix(
    title: str, classes: Sequence[str], true: NDArray[np.bool_], present: NDArray[np.bool_]
) -> "Figure":
    """Draw `confusion`; its parameters, and title and names of the classes."""
    from matplotlib.figure import Figure

    found = confusion(true, present)
    with look():
        side = 2.6 + 0.29 * len(classes)
        figure = Figure(figsize=(side + 0.9, side))
        axis = figure.subplots()
        image = axis.imshow(found, cmap="Blues", vmin=0, vmax=1)
        for (row, column), value in np.ndenumerate(found):
            shown, colour = ("–", FAINT) if np.isnan(value) else (f"{value:.2f}", "black" if value < 0.55 else "white")
            axis.text(
                column,
                row,
                shown.removeprefix("0"),
                ha="center",
                va="center",
                fontsize=font_size(classes),
                color=colour,
                fontweight="bold" if row == column else "normal",
            )
        axis.set(title=title, ylabel="there", xlabel="found although it is not there (diagonal: found)")
        finish_square(image, classes, (0, 0.5, 1), "share of the clips")
    return figure
