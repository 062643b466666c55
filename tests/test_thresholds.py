"""The threshold of highest F1, against brute force."""

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from sklearn.metrics import f1_score

from search.thresholds import best_f1


def f1_at(threshold: float, probability: np.ndarray, true: np.ndarray) -> float:
    return f1_score(true, probability >= threshold, zero_division=0)


def brute_force(probability: np.ndarray, true: np.ndarray) -> float:
    """Return the highest F1 over every threshold that makes a difference, one above all included."""
    return max(f1_at(threshold, probability, true) for threshold in [*np.unique(probability), 2.0])


NEIGHBOURS = [0.0, 5e-324, 0.5, np.nextafter(0.5, 1), np.nextafter(0.5, 0), np.nextafter(1.0, 0), 1.0]
TIES = st.sampled_from([0.0, 0.25, 0.5, 1.0])
VALUES = st.one_of(TIES, st.sampled_from(NEIGHBOURS), st.floats(0, 1))


@given(st.lists(st.tuples(VALUES, st.booleans()), min_size=1, max_size=30))
@example([(0.0, True)])
@example([(0.0, True), (1.0, True)])
@example([(0.7, True), (0.7, False), (0.7, True)])
@example([(np.nextafter(0.5, 1), True), (0.5, False)])
@example([(5e-324, True), (0.0, False)])
@settings(max_examples=300, deadline=None)
def test_equals_brute_force(case: list[tuple[float, bool]]) -> None:
    probability = np.array([value for value, _ in case])
    true = np.array([present for _, present in case])
    (threshold,) = best_f1(probability[:, None], true[:, None])
    if true.any():
        assert 0 <= threshold <= 1
        assert f1_at(threshold, probability, true) == pytest.approx(brute_force(probability, true), abs=1e-12)
    else:
        assert threshold == 0.5


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("seed", range(3))
def test_equals_brute_force_by_class(seed: int, dtype: type) -> None:
    random = np.random.default_rng(seed)
    true = random.random((60, 4)) < [0.5, 0.1, 0.02, 0.0]
    probability = np.round(random.random((60, 4)) * 0.6 + true * 0.4, 2).astype(dtype)
    thresholds = best_f1(probability, true)
    assert thresholds.shape == (4,)
    assert thresholds.dtype == np.float64
    assert thresholds[~true.any(axis=0)].tolist() == [0.5] * int((~true.any(axis=0)).sum())
    for column in np.flatnonzero(true.any(axis=0)):
        values = probability[:, column], true[:, column]
        assert f1_at(thresholds[column], *values) == pytest.approx(brute_force(*values), abs=1e-12)


def test_by_hand() -> None:
    probability = np.array([[0.9], [0.8], [0.4], [0.2]])
    true = np.array([[True], [False], [True], [False]])
    # At .9: 2/3. At .8: 2/4. At .4: 4/5. At .2: 4/6. So halfway between .4 and .2.
    assert best_f1(probability, true) == pytest.approx([0.3])


def test_of_several_optima_the_highest() -> None:
    probability = np.array([[0.8], [0.6], [0.4]])
    true = np.array([[True], [False], [False]])
    assert best_f1(probability, true) == pytest.approx([0.7])
    # At .9, F1 = 2/4; at .1, 2 * 3 / 12 = 2/4 as well: the higher is taken, halfway to the next lower, .5.
    probability = np.array([[0.9], [0.5], [0.4], [0.3], [0.25], [0.22], [0.21], [0.2], [0.1]])
    true = np.array([[True], *[[False]] * 6, [True], [True]])
    assert best_f1(probability, true) == pytest.approx([0.7])


def test_a_constant_gives_itself_or_less() -> None:
    true = np.array([[True], [False], [False]])
    assert 0 < best_f1(np.full((3, 1), 0.3), true)[0] <= 0.3
    assert best_f1(np.zeros((3, 1)), true)[0] == 0
