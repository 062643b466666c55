"""Dynamic Batch Balance against its equations, clip by clip and class by class."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from heads.losses import dynamic_batch_balance, mean_squared_error

Rows = list[list[float]]


def by_equations(prediction: Rows, target: Rows, positive: list[list[bool]], weight: list[float] | None) -> float:
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
            loss = sum((prediction[b][c] - target[b][c]) ** 2 for b in in_p) / len(in_p)
            if weight is not None:
                loss *= weight[c]
            if in_n:
                loss += sum((prediction[b][c] - target[b][c]) ** 2 for b in in_n) / len(in_n)
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
    return random.random(shape), target, positive, weight


@given(batches(), st.sampled_from([torch.float32, torch.float64]))
@settings(deadline=None)
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
@settings(deadline=None)
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


@pytest.mark.parametrize("loss", [dynamic_batch_balance, mean_squared_error])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_the_result_has_the_predictions_type(loss, dtype: torch.dtype) -> None:
    positive = torch.tensor([[True, False], [False, True]])
    for target in (positive, positive.float(), positive.double()):
        assert loss(torch.full((2, 2), 0.5, dtype=dtype), target, positive).dtype == dtype


def test_mean_squared_error() -> None:
    prediction = torch.tensor([[0.0, 0.5], [1.0, 0.2]])
    target = torch.tensor([[1.0, 0.5], [1.0, 0.0]])
    positive = target > 0.5
    assert float(mean_squared_error(prediction, target, positive)) == pytest.approx((1 + 0 + 0 + 0.04) / 4)
    assert not math.isnan(float(mean_squared_error(prediction, target, ~positive)))
