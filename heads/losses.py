"""Losses over a batch of clips, each class an independent yes or no.

A loss is a criterion, which gives an error for each clip and class, and a way to bring these together: their
plain mean, or Dynamic Batch Balance. Predictions are probabilities, targets 0 to 1, hard or smoothed.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

FOCUS, MARGIN = 4.0, 0.05  # gamma- and m of the asymmetric loss, as its authors choose them; gamma+ is 0
_NEAREST_ZERO = 1e-8  # its smallest probability, theirs too: the slope of the logarithm stays finite


def squared_error(prediction: Tensor, target: Tensor) -> Tensor:
    """Return squared errors, the paper's criterion (Section 5.3), of the arguments' shape."""
    return (prediction - target) ** 2


def cross_entropy(prediction: Tensor, target: Tensor) -> Tensor:
    """Return binary cross-entropies, of the arguments' shape."""
    return functional.binary_cross_entropy(prediction, target, reduction="none")


def asymmetric(prediction: Tensor, target: Tensor, focus: float = FOCUS, margin: float = MARGIN) -> Tensor:
    """Return the asymmetric loss (Ridnik et al., arXiv:2009.14119, Equations 4 to 6), of the arguments' shape.

    Negatives that are easy count little: their probability is lowered by `margin` (m), and what is left of it,
    to the power of `focus` (gamma-), weighs the term. A soft target takes its share of both terms.
    """
    shifted = (prediction - margin).clamp(min=0)
    over_positive = -prediction.clamp(min=_NEAREST_ZERO).log()
    over_negative = -(shifted**focus) * torch.log1p(-shifted)
    return target * over_positive + (1 - target) * over_negative


CRITERIA: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    "mse": squared_error,
    "bce": cross_entropy,
    "asl": asymmetric,
}


@dataclass(frozen=True)
class Loss:
    """How far a batch of predictions is from its targets.

    Parameters
    ----------
    criterion : {"mse", "bce", "asl"}
        Error of one clip and class.
    balance : bool
        Dynamic Batch Balance over these; else their mean.
    class_weight : Tensor, shape (classes,), optional
        W of Equation 5, multiplied with the positives' errors.
    absent : bool
        With balance: a class without positives in the batch counts by its negatives, instead of not at all.
    focus, margin : float
        Of the asymmetric loss.
    """

    criterion: str
    balance: bool
    class_weight: Tensor | None = None
    absent: bool = False
    focus: float = FOCUS
    margin: float = MARGIN

    def __call__(self, prediction: Tensor, target: Tensor, positive: Tensor) -> Tensor:
        """Return the loss, a scalar; arguments (batch, classes), `positive` bool."""
        criterion = CRITERIA[self.criterion]
        if criterion is asymmetric:
            criterion = partial(asymmetric, focus=self.focus, margin=self.margin)
        error = criterion(prediction, target.to(prediction.dtype))
        if self.balance:
            return _balanced(error, positive, self.class_weight, self.absent)
        if self.class_weight is not None:
            error = torch.where(positive, self.class_weight.to(error) * error, error)
        return error.mean()


def dynamic_batch_balance(
    prediction: Tensor, target: Tensor, positive: Tensor, class_weight: Tensor | None = None
) -> Tensor:
    """Return the loss of a batch under Dynamic Batch Balance (Equations 1 to 4), with squared error.

    Per class, with P its positive and N its negative clips of the batch of S clips: the factor F is 0 if
    P is empty, 1 if there are at least as many positives as negatives, else S / count(P); the class's loss
    is F times (mean error over P + mean error over N). The batch's loss is the sum over classes. An empty
    N contributes 0, which the paper leaves open.

    Parameters
    ----------
    prediction : Tensor, shape (batch, classes)
        Probabilities.
    target : Tensor, shape (batch, classes)
        What to regress on, 0 to 1: hard or smoothed labels.
    positive : Tensor of bool, shape (batch, classes)
        The hard labels, which decide on P and N.
    class_weight : Tensor, shape (classes,), optional
        W of Equation 5, multiplied with the positives' term (Equation 4).

    Returns
    -------
    Tensor
        A scalar of `prediction`'s type.
    """
    return _balanced(squared_error(prediction, target.to(prediction.dtype)), positive, class_weight)


def class_weights(positive: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Return the weight of each class (Equation 5): positives of all classes over positives of this one.

    Parameters
    ----------
    positive : ndarray of bool, shape (clips, classes)
        Hard labels of the training clips.

    Returns
    -------
    ndarray of float64, shape (classes,)
        0 for a class without positives.
    """
    counts = positive.sum(axis=0)
    return np.divide(counts.sum(), counts, out=np.zeros(len(counts)), where=counts > 0)


def _balanced(error: Tensor, positive: Tensor, class_weight: Tensor | None, absent: bool = False) -> Tensor:
    is_positive = positive.to(error.dtype)
    is_negative = 1 - is_positive
    positives, negatives = is_positive.sum(dim=0), is_negative.sum(dim=0)  # (classes,)
    # Counts below 1 only divide sums that are 0.
    over_positives = (error * is_positive).sum(dim=0) / positives.clamp(min=1)
    over_negatives = (error * is_negative).sum(dim=0) / negatives.clamp(min=1)
    if class_weight is not None:
        over_positives = class_weight.to(error) * over_positives
    factor = torch.where(positives >= negatives, torch.ones_like(positives), len(error) / positives.clamp(min=1))
    factor = torch.where(positives == 0, torch.full_like(factor, float(absent)), factor)
    return (factor * (over_positives + over_negatives)).sum()
