"""The linear probe: the baseline that a trained head has to beat.

One logistic regression per class on conv4 pooled to 2 x 3 x 3, which keeps where in the picture something
moves, each recording standardised by its own statistics.
"""

import warnings
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn import functional

from heads.clips import Clips, divisor

POOLED = (2, 3, 3)  # time, height, width
INVERSE_REGULARISATION = 1e-2  # scikit-learn's C; thousands of features meet a few hundred clips


@dataclass(frozen=True)
class LinearProbe:
    """A fitted probe.

    Parameters
    ----------
    weight : ndarray of float32, shape (classes, features)
        0 for a class without positives or without negatives.
    bias : ndarray of float32, shape (classes,)
    """

    weight: NDArray[np.float32]
    bias: NDArray[np.float32]

    def predict(self, clips: Clips) -> NDArray[np.float64]:
        """Return the probability of each class in each clip, (clips, classes)."""
        logits = pooled_features(clips) @ self.weight.T + self.bias
        return torch.sigmoid(torch.from_numpy(logits)).double().numpy()


def pooled_features(clips: Clips) -> NDArray[np.float32]:
    """Return conv4 pooled, then standardised by recording, (clips, channels * 2 * 3 * 3) float32.

    In this order every feature varies alike, as a penalty on all weights supposes.
    """
    batches = np.array_split(clips.activations, max(1, len(clips) // 256))
    pooled = np.concatenate([_pool(batch) for batch in batches])
    for recording in range(len(clips.mean)):
        mine = pooled[clips.recording == recording]
        pooled[clips.recording == recording] = (mine - mine.mean(axis=0)) / divisor(mine.std(axis=0))
    return pooled


def _pool(activations: NDArray) -> NDArray[np.float32]:
    x = torch.from_numpy(activations.astype(np.float32))
    return functional.adaptive_avg_pool3d(x, POOLED).flatten(1).numpy()


def fit_probe(clips: Clips, index: NDArray[np.intp], positive: NDArray[np.bool_]) -> LinearProbe:
    """Fit the probe.

    Parameters
    ----------
    clips : Clips
        All clips of the recordings.
    index : ndarray of int, shape (training clips,)
        Those to learn from.
    positive : ndarray of bool, shape (clips, classes)
        Hard labels of all clips.
    """
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.linear_model import LogisticRegression

    features = pooled_features(clips)[index]
    weight = np.zeros((positive.shape[1], features.shape[1]), np.float32)
    bias = np.zeros(positive.shape[1], np.float32)
    for column, present in enumerate(positive[index].T):
        if present.all() or not present.any():
            bias[column] = 20.0 if present.any() else -20.0  # certain: probability 1 or 0 to rounding
            continue
        regression = LogisticRegression(C=INVERSE_REGULARISATION, max_iter=1000, class_weight="balanced")
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)  # close enough is good enough for a baseline
            regression.fit(features, present)
        weight[column], bias[column] = regression.coef_[0], regression.intercept_[0]
    return LinearProbe(weight, bias)
