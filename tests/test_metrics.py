"""Scores against scikit-learn, and the trivial baselines by hand."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import f1_score, precision_recall_fscore_support

from heads.metrics import always_f1, chance_f1, macro_f1, precision_recall_f1


@st.composite
def labels(draw: st.DrawFn) -> tuple[np.ndarray, np.ndarray]:
    shape = draw(st.tuples(st.integers(1, 40), st.integers(2, 6)))
    random = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    rates = draw(st.lists(st.sampled_from([0.0, 0.05, 0.5, 1.0]), min_size=2 * shape[1], max_size=2 * shape[1]))
    return random.random(shape) < rates[: shape[1]], random.random(shape) < rates[shape[1] :]


@given(labels())
@settings(deadline=None)
def test_equals_scikit_learn(case: tuple[np.ndarray, np.ndarray]) -> None:
    true, predicted = case
    expected = precision_recall_fscore_support(true, predicted, average=None, zero_division=0)
    for ours, theirs in zip(precision_recall_f1(true, predicted), expected, strict=False):
        np.testing.assert_allclose(ours, theirs, atol=1e-12)
    assert macro_f1(true, predicted) == pytest.approx(f1_score(true, predicted, average="macro", zero_division=0))


def test_by_hand() -> None:
    true = np.array([[1, 1, 0, 0], [1, 0, 0, 0], [0, 0, 1, 0]], bool)
    predicted = np.array([[1, 0, 0, 1], [0, 0, 0, 0], [1, 0, 1, 0]], bool)
    precision, recall, f1 = precision_recall_f1(true, predicted)
    assert precision.tolist() == [0.5, 0.0, 1.0, 0.0]  # nothing predicted, nothing there: 0
    assert recall.tolist() == [0.5, 0.0, 1.0, 0.0]
    assert f1.tolist() == [0.5, 0.0, 1.0, 0.0]
    assert macro_f1(true, predicted) == pytest.approx(1.5 / 4)


def test_every_class_always() -> None:
    true = np.zeros((10, 3), bool)
    true[:5, 0] = True
    true[:, 1] = True
    # F1 = 2p / (1 + p): 2/3, 1, and 0 for the class that is nowhere.
    assert always_f1(true) == pytest.approx((2 / 3 + 1 + 0) / 3)


def test_by_chance() -> None:
    true = np.zeros((10, 3), bool)
    true[:4, 0] = True
    true[:2, 1] = True
    # 2 * .4 * .6 / 1, 2 * .2 * .2 / .4, and 0.
    assert chance_f1(true, np.array([0.6, 0.2, 0.0])) == pytest.approx((0.48 + 0.2 + 0) / 3)


def test_by_chance_is_what_drawing_gives() -> None:
    random = np.random.default_rng(0)
    true = random.random((20000, 2)) < [0.3, 0.05]
    frequency = np.array([0.5, 0.1])
    drawn = random.random(true.shape) < frequency
    assert chance_f1(true, frequency) == pytest.approx(macro_f1(true, drawn), abs=0.01)


@pytest.mark.parametrize("shapes", [((3, 2), (3, 3)), ((3, 2), (2, 2)), ((3,), (3,)), ((2, 3, 1), (2, 3, 1))])
def test_shapes_must_agree(shapes: tuple) -> None:
    with pytest.raises(ValueError, match="one shape"):
        precision_recall_f1(*(np.zeros(shape, bool) for shape in shapes))
