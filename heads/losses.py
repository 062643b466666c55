"""Losses over a batch of clips, each class an independent yes or no."""

import torch
from torch import Tensor


def mean_squared_error(prediction: Tensor, target: Tensor, positive: Tensor) -> Tensor:
    """Return the plain mean squared error (Section 5.3), as the single model without balancing uses it.

    Parameters
    ----------
    prediction, target : Tensor, shape (batch, classes)
        Probabilities, and labels from 0 to 1.
    positive : Tensor
        Not used: the error does not depend on which clips are positive.

    Returns
    -------
    Tensor
        A scalar of `prediction`'s type.
    """
    return ((prediction - target.to(prediction.dtype)) ** 2).mean()


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
    error = (prediction - target.to(prediction.dtype)) ** 2
    is_positive = positive.to(error.dtype)
    is_negative = 1 - is_positive
    positives, negatives = is_positive.sum(dim=0), is_negative.sum(dim=0)  # (classes,)
    # Counts below 1 only divide sums that are 0.
    over_positives = (error * is_positive).sum(dim=0) / positives.clamp(min=1)
    over_negatives = (error * is_negative).sum(dim=0) / negatives.clamp(min=1)
    if class_weight is not None:
        over_positives = class_weight.to(error.dtype) * over_positives
    factor = torch.where(positives >= negatives, torch.ones_like(positives), len(error) / positives.clamp(min=1))
    factor = torch.where(positives == 0, torch.zeros_like(factor), factor)
    return (factor * (over_positives + over_negatives)).sum()
