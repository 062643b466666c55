"""The threshold of highest F1, against brute force."""

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from sklearn.metrics import f1_score

from heads.metrics import precision_recall_f1
from heads.neighbours import Neighbours, in_order
from search.thresholds import HALFWAY, UNTUNED, best_f1, count_events, steady


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
@settings(max_examples=300)
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


def test_equals_brute_force_in_a_thousand_random_cases() -> None:
    random = np.random.default_rng(0)
    for _ in range(1000):
        clips = int(random.integers(1, 40))
        true = random.random(clips) < random.random()
        probability = np.round(random.random(clips), int(random.integers(1, 4)))  # with ties
        (threshold,) = best_f1(probability[:, None], true[:, None])
        candidates = np.append(np.unique(probability), 2.0)
        said = probability[:, None] >= candidates
        best = np.max(2 * (said & true[:, None]).sum(axis=0) / np.maximum(said.sum(axis=0) + true.sum(), 1))
        found = 2 * ((probability >= threshold) & true).sum() / max((probability >= threshold).sum() + true.sum(), 1)
        assert (found == pytest.approx(best)) if true.any() else (threshold == UNTUNED)


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


# Each class told without error, by thresholds of 0.6 and 0.4.
TWO_CLASSES = (
    np.array([[1, 1], [1, 0], [0, 1], [0, 0]], bool),
    np.array([[0.8, 0.5], [0.7, 0.2], [0.5, 0.6], [0.4, 0.3]]),
)


def in_a_row(clips: int) -> Neighbours:
    """One clip a second, one after the other."""
    begin = np.arange(clips)
    return in_order(np.column_stack([begin, begin + 1.0]))


def test_steady_thresholds_are_between_their_own_and_the_common_one() -> None:
    true, probability = TWO_CLASSES  # the first in one event, the second in two
    best = best_f1(probability, true)
    own = np.array([1 / (1 + HALFWAY), 2 / (2 + HALFWAY)])
    np.testing.assert_allclose(steady(probability, true, in_a_row(4)), own * best + (1 - own) * best.mean())


def test_the_more_events_a_class_has_the_more_counts_its_own_threshold() -> None:
    true, probability = TWO_CLASSES
    best = best_f1(probability, true)
    away = []
    for times in (1, 10, 100, 1000):
        said, there = np.tile(probability, (times, 1)), np.tile(true, (times, 1))
        away.append(np.abs(steady(said, there, in_a_row(4 * times)) - best).max())
    assert away == sorted(away, reverse=True)
    assert away[-1] < 0.02 * away[0]


def test_events_are_counted_in_the_order_of_time_and_by_recording() -> None:
    times = np.array([[2.0, 3], [0, 1], [1, 2], [0, 1], [5, 6]])
    clips = in_order(times, np.array([0, 0, 0, 1, 1]))
    assert count_events(np.array([True, True, True, True, True]), clips) == 3
    assert count_events(np.array([True, True, False, False, False]), clips) == 2
    assert count_events(np.zeros(5, bool), clips) == 0


def test_a_class_on_another_scale_keeps_its_own_threshold() -> None:
    true, probability = TWO_CLASSES
    squeezed = probability * [0.1, 1.0]
    found, best = steady(squeezed, true, in_a_row(4)), best_f1(squeezed, true)
    assert found[0] == best[0]
    assert (precision_recall_f1(true, squeezed >= found)[2] > 0.5).all()


def test_classes_without_positives_do_not_count_for_the_common_threshold() -> None:
    true, probability = TWO_CLASSES
    third = np.column_stack([true, np.zeros(len(true), bool)])
    found = steady(np.column_stack([probability, probability[:, 0]]), third, in_a_row(4))
    np.testing.assert_array_equal(found[:2], steady(probability, true, in_a_row(4)))
    assert found[2] == UNTUNED
    assert (steady(probability, np.zeros_like(true), in_a_row(4)) == UNTUNED).all()
