"""What a head learns: one label per clip and class, hard or temporally smoothed."""

import numpy as np
from numpy.typing import NDArray


def clip_labels(frame_labels: NDArray[np.bool_], rule: str = "majority") -> NDArray[np.bool_]:
    """Return the hard label of each clip.

    The paper does not state its rule; the counts of Table 5 are those of ``majority``.

    Parameters
    ----------
    frame_labels : ndarray of bool, shape (clips, frames, classes)
        Whether each class is active in each frame.
    rule : {"majority", "any"}
        ``majority``: at least half of the frames are positive; ``any``: at least one is.

    Returns
    -------
    ndarray of bool, shape (clips, classes)

    Raises
    ------
    ValueError
        If there is no such rule.
    """
    positive = frame_labels.sum(axis=1)
    if rule == "majority":
        return 2 * positive >= frame_labels.shape[1]
    if rule == "any":
        return positive > 0
    raise ValueError(f"unknown clip rule {rule!r}: majority or any")


def temporal_smoothing(frame_labels: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Return the temporally smoothed label of each clip (Equation 6).

    A weighted moving average in which frame i of n, the oldest first, has weight i / (1 + ... + n): the
    most recent frames count most.

    Parameters
    ----------
    frame_labels : ndarray of bool, shape (clips, frames, classes)
        Frames oldest first.

    Returns
    -------
    ndarray of float64, shape (clips, classes)
        From 0, in no frame, to 1, in all of them.
    """
    total = np.zeros((len(frame_labels), frame_labels.shape[2]), np.int64)
    weights = range(1, frame_labels.shape[1] + 1)
    for weight, frame in zip(weights, frame_labels.swapaxes(0, 1), strict=True):  # little memory, many clips
        total += weight * frame.astype(np.int64)
    return total / sum(weights)
