"""The linear probe: the baseline that a trained head has to beat.

One logistic regression per class on conv4 pooled to 2 x 3 x 3, which keeps where in the picture something
moves. Pooled first and then standardised, every feature varies alike, as a penalty on all weights supposes.

The networks begin as such a regression that has the energy too (`heads.pooled`).
"""

import warnings
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit

from heads.clips import Clips
from heads.scale import GRID

INVERSE_REGULARISATION = 1e-2  # scikit-learn's C; thousands of features meet a few hundred clips
CLIPS_AT_MOST = 8192  # drawn from more; a line through so many hardly moves with others
_AT_ONCE = 1024  # clips


@dataclass(frozen=True)
class LinearProbe:
    """A fitted probe.

    Parameters
    ----------
    weight : ndarray of float32, shape (classes, features)
        0 for a class without positives or without negatives.
    bias : ndarray of float32, shape (classes,)
    inputs : tuple of str
        What the features are, side by side.
    """

    weight: NDArray[np.float32]
    bias: NDArray[np.float32]
    inputs: tuple[str, ...] = (GRID,)

    def predict(self, clips: Clips, index: NDArray[np.intp]) -> NDArray[np.float64]:
        """Return the probability of each class in some clips, (len(index), classes)."""
        pieces = np.array_split(index, -(-len(index) // _AT_ONCE))
        logits = np.concatenate([_features(clips, piece, self.inputs) @ self.weight.T + self.bias for piece in pieces])
        return expit(logits.astype(np.float64))


def fit_probe(
    clips: Clips,
    training: NDArray[np.intp],
    positive: NDArray[np.bool_],
    seed: int = 0,
    inputs: tuple[str, ...] = (GRID,),
) -> LinearProbe:
    """Fit the probe.

    Parameters
    ----------
    clips : Clips
        All clips of the recordings, the grid among their inputs.
    training : ndarray of int
        Those to learn from.
    positive : ndarray of bool, shape (clips, classes)
        Hard labels of all clips.
    seed : int
        Of the draw, where there are too many.
    inputs : tuple of str
        The features.
    """
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.linear_model import LogisticRegression

    if len(training) > CLIPS_AT_MOST:
        training = np.sort(np.random.default_rng(seed).choice(training, CLIPS_AT_MOST, replace=False))
    features = _features(clips, training, inputs)
    weight = np.zeros((positive.shape[1], features.shape[1]), np.float32)
    bias = np.zeros(positive.shape[1], np.float32)
    for column, present in enumerate(positive[training].T):
        if present.all() or not present.any():
            bias[column] = 20.0 if present.any() else -20.0  # certain: probability 1 or 0 to rounding
            continue
        regression = LogisticRegression(C=INVERSE_REGULARISATION, max_iter=1000, class_weight="balanced")
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)  # close enough is good enough for a baseline
            regression.fit(features, present)
        weight[column], bias[column] = regression.coef_[0], regression.intercept_[0]
    return LinearProbe(weight, bias, inputs)


def _features(clips: Clips, index: NDArray[np.intp], inputs: tuple[str, ...]) -> NDArray[np.float32]:
    return np.concatenate([clips.take(name, index) for name in inputs], axis=1)
