"""Losses against their equations, clip by clip and class by class."""

import math
from collections.abc import Callable

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from heads.losses import CRITERIA, Loss, class_weights, dynamic_batch_balance

Rows = list[list[float]]


def squared(p: float, t: float) -> float:
    return (p - t) ** 2


def cross_entropy(p: float, t: float) -> float:
    """Plain cross-entropy; a logarithm is never taken for less than -100, which is PyTorch's rule."""
    logarithms = [max(math.log(x), -100) if x > 0 else -100 for x in (p, 1 - p)]
    return -(t * logarithms[0] + (1 - t) * logarithms[1])


def asymmetric(p: float, t: float) -> float:
    """Equations 4 to 6 of arXiv:2009.14119 in its Equation 1, with gamma+ 0, gamma- 4 and m 0.05."""
    p_m = max(p - 0.05, 0)
    over_positive = (1 - p) ** 0 * math.log(max(p, 1e-8))
    over_negative = p_m**4 * math.log(1 - p_m)
    return -t * over_positive - (1 - t) * over_negative


BY_HAND = {"mse": squared, "bce": cross_entropy, "asl": asymmetric}


def by_equations(
    prediction: Rows,
    target: Rows,
    positive: list[list[bool]],
    weight: list[float] | None,
    criterion: Callable[[float, float], float] = squared,
) -> float:
    """Transcribe Equations 1 to 4 in plain Python; an empty set of negatives contributes 0."""
    batch_loss = 0.0
    for c in range(len(prediction[0])):
        in_p = [b for b in range(len(prediction)) if positive[b][c]]
        in_n = [b for b in range(len(prediction)) if not positive[b][c]]
        if len(in_p) == 0:
            factor = 0.0
        elif len(in_p) >= len(in_n):
            factor = 1.0
        else:
            factor = len(prediction) / len(in_p)
        loss = 0.0
        if factor >= 1:
            loss = sum(criterion(prediction[b][c], target[b][c]) for b in in_p) / len(in_p)
            if weight is not None:
                loss *= weight[c]
            if in_n:
                loss += sum(criterion(prediction[b][c], target[b][c]) for b in in_n) / len(in_n)
        batch_loss += factor * loss
    return batch_loss


@st.composite
def batches(draw: st.DrawFn) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray | None]:
    shape = draw(st.tuples(st.integers(1, 12), st.integers(1, 5)))
    random = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    rates = draw(st.lists(st.sampled_from([0.0, 0.1, 0.5, 0.9, 1.0]), min_size=shape[1], max_size=shape[1]))
    positive = random.random(shape) < rates
    target = positive.astype(float) if draw(st.booleans()) else random.random(shape)
    weight = random.uniform(0, 30, shape[1]) if draw(st.booleans()) else None
    prediction = random.random(shape)
    extreme = random.random(shape) < draw(st.sampled_from([0.0, 0.3]))
    prediction[extreme] = random.integers(0, 2, extreme.sum())  # exactly 0 or 1
    return prediction, target, positive, weight


def plain(
    prediction: Rows,
    target: Rows,
    positive: list[list[bool]],
    weight: list[float] | None,
    criterion: Callable[[float, float], float],
) -> float:
    """The mean of all errors, each positive's times its class's weight."""
    errors = [
        criterion(p, t) * (weight[c] if weight is not None and is_positive else 1)
        for predicted, wanted, known in zip(prediction, target, positive, strict=True)
        for c, (p, t, is_positive) in enumerate(zip(predicted, wanted, known, strict=True))
    ]
    return sum(errors) / len(errors)


@given(batches(), st.sampled_from([torch.float32, torch.float64]))
def test_equals_the_equations(case: tuple, dtype: torch.dtype) -> None:
    prediction, target, positive, weight = case
    expected = by_equations(
        prediction.tolist(), target.tolist(), positive.tolist(), None if weight is None else weight.tolist()
    )
    x = torch.tensor(prediction, dtype=dtype, requires_grad=True)
    loss = dynamic_batch_balance(
        x,
        torch.tensor(target, dtype=dtype),
        torch.tensor(positive),
        None if weight is None else torch.tensor(weight, dtype=dtype),
    )
    assert loss.shape == ()
    assert loss.dtype == dtype
    assert float(loss.detach()) == pytest.approx(expected, rel=1e-4 if dtype == torch.float32 else 1e-12, abs=1e-6)
    loss.backward()
    assert torch.isfinite(x.grad).all()
    assert (x.grad[:, ~torch.tensor(positive).any(dim=0)] == 0).all()


@given(batches(), st.randoms())
def test_the_order_of_the_batch_does_not_matter(case: tuple, random) -> None:
    prediction, target, positive, _ = case
    order = list(range(len(prediction)))
    random.shuffle(order)
    losses = [
        float(dynamic_batch_balance(*(torch.tensor(values[rows]) for values in (prediction, target, positive))))
        for rows in (slice(None), order)
    ]
    assert losses[0] == pytest.approx(losses[1])


def test_by_hand() -> None:
    # Four clips, one positive: F = 4. P: (.5 - 1)^2 = .25. N: (0 + .04 + .16) / 3 = .2 / 3.
    prediction = torch.tensor([[0.5], [0.0], [0.2], [0.4]])
    positive = torch.tensor([[True], [False], [False], [False]])
    loss = dynamic_batch_balance(prediction, positive.float(), positive)
    assert float(loss) == pytest.approx(4 * (0.25 + 0.2 / 3))
    # Equation 4: the positives' term times 3.
    weighted = dynamic_batch_balance(prediction, positive.float(), positive, torch.tensor([3.0]))
    assert float(weighted) == pytest.approx(4 * (0.75 + 0.2 / 3))


def test_as_many_positives_as_negatives() -> None:
    positive = torch.tensor([[True], [False]])
    loss = dynamic_batch_balance(torch.tensor([[0.5], [0.5]]), positive.double(), positive)
    assert float(loss) == pytest.approx(0.5)  # F = 1


def test_soft_targets_leave_the_sets_to_the_hard_labels() -> None:
    # Both clips have the same soft target; only the hard labels tell P from N. F = 1, .16 + .01.
    positive = torch.tensor([[True], [False]])
    loss = dynamic_batch_balance(torch.tensor([[0.9], [0.4]]), torch.tensor([[0.5], [0.5]]), positive)
    assert float(loss) == pytest.approx(0.16 + 0.01)


@pytest.mark.parametrize(("present", "expected"), [(True, 0.25), (False, 0.0)])
@pytest.mark.parametrize("clips", [1, 8])
def test_a_class_in_all_clips_or_in_none(present: bool, expected: float, clips: int) -> None:
    positive = torch.full((clips, 1), present)
    prediction = torch.full((clips, 1), 0.5, requires_grad=True)
    loss = dynamic_batch_balance(prediction, positive.float(), positive)
    loss.backward()
    assert float(loss.detach()) == pytest.approx(expected)
    assert torch.isfinite(prediction.grad).all()


@given(batches(), st.sampled_from([*CRITERIA]), st.booleans(), st.sampled_from([torch.float32, torch.float64]))
def test_every_loss_equals_its_equations(case: tuple, criterion: str, balance: bool, dtype: torch.dtype) -> None:
    prediction, target, positive, weight = (None if each is None else torch.tensor(each) for each in case)
    prediction, target = prediction.to(dtype), target.to(dtype)
    x = prediction.clone().requires_grad_()
    loss = Loss(criterion, balance, weight)(x, target, positive)  # the weights in float64, as `class_weights` has them
    assert loss.shape == ()
    assert loss.dtype == dtype
    literal = by_equations if balance else plain
    weights = None if weight is None else weight.tolist()
    expected = literal(prediction.tolist(), target.tolist(), positive.tolist(), weights, BY_HAND[criterion])
    tolerance = 1e-4 if dtype == torch.float32 else 1e-9
    assert float(loss.detach()) == pytest.approx(expected, rel=tolerance, abs=1e-6)
    loss.backward()
    assert torch.isfinite(x.grad).all()
    if balance:
        assert (x.grad[:, ~positive.any(dim=0)] == 0).all()


@given(batches(), st.sampled_from([*CRITERIA]), st.booleans(), st.sampled_from([20.0, 200.0, 1e30]))
def test_no_logit_is_too_large(case: tuple, criterion: str, balance: bool, scale: float) -> None:
    """As training has it: float32, through a sigmoid; probabilities so small that their inverse overflows."""
    prediction, target, positive, _ = case
    logits = torch.tensor((2 * prediction - 1) * scale, dtype=torch.float32, requires_grad=True)
    loss = Loss(criterion, balance)(torch.sigmoid(logits), torch.tensor(target), torch.tensor(positive))
    loss.backward()
    assert torch.isfinite(loss)
    assert torch.isfinite(logits.grad).all()


@given(batches(), st.randoms(), st.sampled_from([*CRITERIA]), st.booleans())
def test_no_loss_depends_on_the_order_of_the_batch(case: tuple, random, criterion: str, balance: bool) -> None:
    prediction, target, positive, weight = case
    order = list(range(len(prediction)))
    random.shuffle(order)
    found = Loss(criterion, balance, None if weight is None else torch.tensor(weight))
    losses = [
        float(found(*(torch.tensor(values[rows]) for values in (prediction, target, positive))))
        for rows in (slice(None), order)
    ]
    assert losses[0] == pytest.approx(losses[1])


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_the_result_has_the_predictions_type(dtype: torch.dtype) -> None:
    positive = torch.tensor([[True, False], [False, True]])
    for target in (positive, positive.float(), positive.double()):
        loss = dynamic_batch_balance(torch.full((2, 2), 0.5, dtype=dtype), target, positive, torch.ones(2).double())
        assert loss.dtype == dtype


def test_the_asymmetric_loss_by_hand() -> None:
    one = CRITERIA["asl"]
    p = torch.tensor([0.04, 0.05, 0.55, 0.04, 0.55], dtype=torch.float64)
    t = torch.tensor([0.0, 0.0, 0.0, 1.0, 1.0], dtype=torch.float64)
    # Easy negatives cost nothing; at .55 what is left is .5: .5^4 * log 2. Positives cost their logarithm.
    expected = [0, 0, 0.0625 * math.log(2), -math.log(0.04), -math.log(0.55)]
    np.testing.assert_allclose(one(p, t).numpy(), expected, atol=1e-12)


@given(batches())
def test_class_weights_are_equation_5(case: tuple) -> None:
    positive = case[2]
    weights = class_weights(positive)
    assert weights.shape == (positive.shape[1],)
    counts = [sum(bool(row[c]) for row in positive) for c in range(positive.shape[1])]
    for c, count in enumerate(counts):
        assert weights[c] == pytest.approx(sum(counts) / count if count else 0, rel=1e-12)


def test_class_weights_by_hand() -> None:
    positive = np.array([[1, 0, 1], [1, 0, 0], [1, 0, 0]], bool)
    assert class_weights(positive).tolist() == [4 / 3, 0, 4]


def test_the_plain_mean_with_class_weights() -> None:
    prediction = torch.tensor([[0.0, 0.5], [1.0, 0.2]])
    positive = torch.tensor([[True, False], [True, False]])
    loss = Loss("mse", balance=False, class_weight=torch.tensor([3.0, 7.0]))
    assert float(loss(prediction, positive.float(), positive)) == pytest.approx((3 * 1 + 0.25 + 3 * 0 + 0.04) / 4)


def test_an_absent_class_may_learn_from_its_negatives() -> None:
    prediction = torch.tensor([[0.2, 0.5], [0.6, 0.9]])
    positive = torch.tensor([[False, True], [False, False]])
    left_out, learned = (
        Loss("mse", balance=True, absent=absent)(prediction, positive.float(), positive) for absent in (False, True)
    )
    assert float(learned - left_out) == pytest.approx((0.2**2 + 0.6**2) / 2)
