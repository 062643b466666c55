"""A map of clips: those alike lie close to each other."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from search.figures.style import FAINT, SERIES, look

if TYPE_CHECKING:
    from matplotlib.figure import Figure

MARKS = "osD^vP"
_PICTURES = 40  # at most: more would hide each other
_SHARE = 0.055  # of the map's width, that a picture takes


def layout(features: NDArray[np.floating], seed: int = 0) -> NDArray[np.float64]:
    """Return a place in the plane for each clip, by t-SNE (van der Maaten and Hinton 2008) on principal components.

    Parameters
    ----------
    features : ndarray of float, shape (clips, features)
        At least three clips.
    seed : int
        Of the layout.

    Returns
    -------
    ndarray of float64, shape (clips, 2)
        Each axis from 0 to 1.
    """
    from sklearn.decomposition import PCA
    from sklearn.manifold import TSNE

    clips = len(features)
    reduced = PCA(min(50, clips, features.shape[1]), random_state=seed).fit_transform(features)
    perplexity = max(1.0, min(30.0, (clips - 1) / 3))
    found = TSNE(2, perplexity=perplexity, init="pca", random_state=seed).fit_transform(reduced.astype(np.float32))
    low, high = found.min(axis=0), found.max(axis=0)
    return np.asarray((found - low) / np.maximum(high - low, 1e-12), np.float64)


def clip_map(
    title: str,
    places: NDArray[np.float64],
    classes: Sequence[str],
    shown: NDArray[np.intp],
    pictures: dict[int, NDArray[np.uint8]] | None = None,
) -> "Figure":
    """Draw the clips as marks of their classes, some with a picture.

    Parameters
    ----------
    title : str
        Heading.
    places : ndarray of float64, shape (clips, 2)
        As `layout` gives them.
    classes : sequence of str
        Their names.
    shown : ndarray of int, shape (clips,)
        The class by which each clip is marked; -1 for none.
    pictures : dict, optional
        By the clip's number: a frame of it, (height, width, 3).
    """
    from matplotlib.figure import Figure

    with look():
        figure = Figure(figsize=(8, 6.4))
        axis = figure.subplots()
        for number in (-1, *range(len(classes))):
            mine = places[shown == number]
            if len(mine):
                colour = FAINT if number < 0 else SERIES[number % len(SERIES)]
                mark = "." if number < 0 else MARKS[number // len(SERIES) % len(MARKS)]
                name = "not annotated" if number < 0 else classes[number]
                axis.scatter(
                    mine[:, 0], mine[:, 1], s=22, c=colour, marker=mark, linewidths=0.4, edgecolors="white", label=name
                )
        for number in _spread(places, sorted(pictures or {})):
            assert pictures is not None
            x, y = places[number]
            frame = axis.inset_axes((x - _SHARE / 2, y + 0.008, _SHARE, _SHARE), transform=axis.transData)
            frame.imshow(pictures[number])
            frame.set(xticks=(), yticks=())
            colour = FAINT if shown[number] < 0 else SERIES[shown[number] % len(SERIES)]
            frame.spines[:].set(visible=True, color=colour, linewidth=1.2)
        axis.set(xticks=(), yticks=(), xlim=(-0.05, 1.05), ylim=(-0.05, 1.1))
        axis.spines[:].set_visible(False)
        axis.set_title(title)
        figure.legend(loc="outside lower left", ncols=4)
    return figure


def _spread(places: NDArray[np.float64], candidates: Sequence[int]) -> list[int]:
    """Return clips whose pictures do not hide each other."""
    chosen: list[int] = []
    for number in candidates:
        apart = np.abs(places[chosen] - places[number]).max(axis=1) if chosen else np.ones(1)
        if apart.min() > _SHARE * 1.15:
            chosen.append(number)
        if len(chosen) == _PICTURES:
            break
    return chosen
