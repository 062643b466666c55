"""The linear probe: the baseline that a trained head has to beat.

One logistic regression per class on conv4 pooled to 2 x 3 x 3, which keeps where in the picture something
moves. Pooled first and then standardised, every feature varies alike, as a penalty on all weights supposes.

The regression beside a network (`heads.network`) is the same, with the energy too (`heads.pooled`).
"""

import warnings
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit

from extract.threads import blas_on_one_thread
from extract.views import PLAIN
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
        logits = np.empty((len(index), len(self.bias)))
        for at in range(0, len(index), _AT_ONCE):
            features = _features(clips, index[at : at + _AT_ONCE], self.inputs)
            logits[at : at + _AT_ONCE] = features @ self.weight.T + self.bias
        return expit(logits)


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

    training = _some_of(training, positive[training], seed)
    features = _features(clips, training, inputs)
    weight = np.zeros((positive.shape[1], features.shape[1]), np.float32)
    bias = np.zeros(positive.shape[1], np.float32)
    for column, present in enumerate(positive[training].T):
        if present.all() or not present.any():
            bias[column] = 20.0 if present.any() else -20.0  # certain: probability 1 or 0 to rounding
            continue
        regression = LogisticRegression(C=INVERSE_REGULARISATION, max_iter=1000, class_weight="balanced")
        with warnings.catch_warnings(), blas_on_one_thread():
            warnings.simplefilter("ignore", ConvergenceWarning)  # close enough is good enough for a baseline
            regression.fit(features, present)
        weight[column], bias[column] = regression.coef_[0], regression.intercept_[0]
    return LinearProbe(weight, bias, inputs)


def _some_of(training: NDArray[np.intp], positive: NDArray[np.bool_], seed: int) -> NDArray[np.intp]:
    """Return the training clips, or of too many some at random, after some of each class: rare ones stay."""
    if len(training) <= CLIPS_AT_MOST:
        return training
    shuffled = np.random.default_rng(seed).permutation(len(training))
    share = CLIPS_AT_MOST // (2 * positive.shape[1])
    first = [shuffled[present[shuffled]][:share] for present in positive.T]
    drawn = [*dict.fromkeys(np.concatenate([*first, shuffled]).tolist())][:CLIPS_AT_MOST]
    return np.sort(training[drawn])


def _features(clips: Clips, index: NDArray[np.intp], inputs: tuple[str, ...]) -> NDArray[np.float32]:
    """Return the inputs of some clips side by side, (len(index), features), in little more memory than they take."""
    features = np.empty((len(index), sum(clips.rows[name, PLAIN].shape[1] for name in inputs)), np.float32)
    for at in range(0, len(index), _AT_ONCE):
        some = index[at : at + _AT_ONCE]
        np.concatenate([clips.take(name, some) for name in inputs], axis=1, out=features[at : at + _AT_ONCE])
    return features
