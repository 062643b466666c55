"""Scores against scikit-learn and slow transcriptions, and the trivial baselines by hand."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import average_precision_score, f1_score, precision_recall_fscore_support

from heads.metrics import (
    average_precision,
    batch_averaged_f1,
    event_f1,
    expected_calibration_error,
    macro_f1,
    precision_recall_f1,
    scores_of_counts,
    trivial_predictions,
)


@st.composite
def labels(draw: st.DrawFn) -> tuple[np.ndarray, np.ndarray]:
    shape = draw(st.tuples(st.integers(1, 40), st.integers(2, 6)))
    random = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    rates = draw(st.lists(st.sampled_from([0.0, 0.05, 0.5, 1.0]), min_size=2 * shape[1], max_size=2 * shape[1]))
    return random.random(shape) < rates[: shape[1]], random.random(shape) < rates[shape[1] :]


@given(labels())
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


def trivial_f1(name: str, true: np.ndarray, frequency: np.ndarray) -> float:
    """Macro-F1 to expect of what knows nothing of the clips."""
    present, said = true.mean(axis=0), trivial_predictions(frequency)[name]
    return float(scores_of_counts(present * said, said, present)[2].mean())


def test_every_class_always() -> None:
    true = np.zeros((10, 3), bool)
    true[:5, 0] = True
    true[:, 1] = True
    # F1 = 2p / (1 + p): 2/3, 1, and 0 for the class that is nowhere.
    assert trivial_f1("always", true, np.zeros(3)) == pytest.approx((2 / 3 + 1 + 0) / 3)


def test_by_chance() -> None:
    true = np.zeros((10, 3), bool)
    true[:4, 0] = True
    true[:2, 1] = True
    # 2 * .4 * .6 / 1, 2 * .2 * .2 / .4, and 0.
    assert trivial_f1("chance", true, np.array([0.6, 0.2, 0.0])) == pytest.approx((0.48 + 0.2 + 0) / 3)


def test_by_chance_is_what_drawing_gives() -> None:
    random = np.random.default_rng(0)
    true = random.random((20000, 2)) < [0.3, 0.05]
    frequency = np.array([0.5, 0.1])
    drawn = random.random(true.shape) < frequency
    assert trivial_f1("chance", true, frequency) == pytest.approx(macro_f1(true, drawn), abs=0.01)


@pytest.mark.parametrize("shapes", [((3, 2), (3, 3)), ((3, 2), (2, 2)), ((3,), (3,)), ((2, 3, 1), (2, 3, 1))])
def test_shapes_must_agree(shapes: tuple) -> None:
    with pytest.raises(ValueError, match="one shape"):
        precision_recall_f1(*(np.zeros(shape, bool) for shape in shapes))


@given(labels(), st.integers(0, 2**32 - 1), st.sampled_from([np.float32, np.float64]))
def test_average_precision_equals_scikit_learn(case, seed: int, kind: type) -> None:
    true, _ = case
    probability = np.random.default_rng(seed).random(true.shape).round(1).astype(kind)  # with ties
    expected = [
        average_precision_score(*column) if column[0].any() else 0 for column in zip(true.T, probability.T, strict=True)
    ]
    assert average_precision(true, probability) == pytest.approx(expected)


def literal_calibration_error(true: np.ndarray, probability: np.ndarray, bins: int) -> float:
    error = 0.0
    for number in range(bins):
        low, high = number / bins, (number + 1) / bins
        inside = [i for i, p in enumerate(probability) if low <= p < high or (number == bins - 1 and p == 1)]
        if inside:
            confidence = sum(probability[i] for i in inside) / len(inside)
            share = sum(bool(true[i]) for i in inside) / len(inside)
            error += len(inside) / len(true) * abs(confidence - share)
    return error


@given(labels(), st.integers(0, 2**32 - 1), st.sampled_from([4, 8]))
def test_calibration_error_equals_its_definition(case, seed: int, bins: int) -> None:
    true, _ = case
    probability = np.random.default_rng(seed).integers(0, 65, true.shape) / 64  # on the bins' borders, too
    expected = [literal_calibration_error(true[:, c], probability[:, c], bins) for c in range(true.shape[1])]
    assert expected_calibration_error(true, probability, bins) == pytest.approx(expected, abs=1e-12)


def test_calibration_by_hand() -> None:
    true = np.array([[1], [0], [1], [1]], bool)
    assert expected_calibration_error(true, np.array([[0.25], [0.25], [1.0], [1.0]])).tolist() == [0.125]
    assert expected_calibration_error(true, true.astype(float)).tolist() == [0]
    for wrong in (-0.1, 1.1, np.nan):
        with pytest.raises(ValueError, match="within 0 and 1"):
            expected_calibration_error(true, np.full((4, 1), wrong))


def test_averaged_over_batches_a_rare_class_counts_less() -> None:
    true = np.zeros((70, 2), bool)
    true[:, 0] = True
    true[3, 1] = True
    assert macro_f1(true, true) == 1
    # Three batches, the last of six clips; the second class is in the first one alone.
    assert batch_averaged_f1(true, true) == pytest.approx((1 + 0.5 + 0.5) / 3)
    assert batch_averaged_f1(true, true, batch=70) == 1
    for clips, batch in ((0, 32), (5, 0)):
        with pytest.raises(ValueError, match="at least one clip"):
            batch_averaged_f1(true[:clips], true[:clips], batch)


@given(labels(), st.integers(1, 12))
def test_averaged_over_batches_equals_scikit_learn(case, batch: int) -> None:
    true, predicted = case
    scores = [
        f1_score(true[at : at + batch], predicted[at : at + batch], average="macro", zero_division=0)
        for at in range(0, len(true), batch)
    ]
    assert batch_averaged_f1(true, predicted, batch) == pytest.approx(np.mean(scores))


def test_majority() -> None:
    true = np.zeros((10, 4), bool)
    true[:5, 0] = true[:, 1] = true[:8, 2] = True
    # In half of the training clips, in all, in fewer than half, in none of them.
    assert trivial_f1("majority", true, np.array([0.5, 1.0, 0.49, 0.0])) == pytest.approx((2 / 3 + 1 + 0 + 0) / 4)


def test_trivial_predictions_keep_their_shape() -> None:
    frequency = np.array([[0.2, 0.5], [0.7, 0.0]])
    found = {name: values.tolist() for name, values in trivial_predictions(frequency).items()}
    assert found == {
        "always": [[1, 1], [1, 1]],
        "chance": [[0.2, 0.5], [0.7, 0.0]],
        "majority": [[0, 1], [1, 0]],
    }


def literal_event_f1(true: list, predicted: list, overlap: float) -> float:
    """Lea et al.'s f_score, for one class, its loops kept."""
    true, predicted = sorted(true), sorted(predicted)
    taken, hits = [False] * len(true), 0
    for begin, end in predicted:
        best, most = None, 0
        for number, (true_begin, true_end) in enumerate(true):
            shared = min(end, true_end) - max(begin, true_begin)
            union = max(end, true_end) - min(begin, true_begin)
            if shared > 0 and shared / union > most:
                best, most = number, shared / union
        if best is not None and most >= overlap and not taken[best]:
            taken[best] = True
            hits += 1
    missed, wrong = taken.count(False), len(predicted) - hits
    return 2 * hits / (2 * hits + missed + wrong) if true or predicted else 0


events = st.lists(
    st.tuples(st.integers(0, 40), st.integers(1, 20)).map(lambda pair: (pair[0], pair[0] + pair[1])), max_size=12
)


@given(events, events, st.sampled_from([0.1, 0.25, 0.5, 0.75, 1.0]))
def test_events_match_as_in_the_paper(true: list, predicted: list, overlap: float) -> None:
    expected = literal_event_f1(true, predicted, overlap)
    assert event_f1(true, predicted, overlap) == pytest.approx(expected)
    assert event_f1(true[::-1], predicted[::-1], overlap) == pytest.approx(expected)  # in any order
    # On a grid of frames rounding decides nothing.
    seconds = [[(begin * 0.04 + 7, end * 0.04 + 7) for begin, end in side] for side in (true, predicted)]
    assert event_f1(*seconds, overlap) == pytest.approx(expected)
    if true:
        assert event_f1(list(set(true)), list(set(true)), overlap) == 1


def test_events_by_hand() -> None:
    true = [(0, 10), (20, 30)]
    assert event_f1(true, [(0, 5), (6, 10)], 0.5) == 0.5  # .5 is enough; the second finds its event taken
    assert event_f1(true, [(0, 4), (5, 10)], 0.5) == 0.5
    assert event_f1(true, [(0, 4.9), (20, 31)], 0.5) == 0.5
    assert event_f1(true, [(10, 20), (30, 40)], 0.1) == 0  # touching is no overlap
    assert event_f1(true, np.array(true), 1) == 1
    assert event_f1([], [], 0.5) == event_f1(true, [], 0.5) == event_f1([], true, 0.5) == 0


@pytest.mark.parametrize("wrong", [[(2, 1)], [(1, 1)], [(0, np.nan)], [(0, np.inf)], [(0, 1, 2)], [0, 1], ["a"]])
def test_events_must_be_intervals(wrong: list) -> None:
    for pair in ((wrong, [(0, 1)]), ([(0, 1)], wrong)):
        with pytest.raises(ValueError):  # noqa: PT011 (numpy says what no number is)
            event_f1(*pair, 0.5)


@pytest.mark.parametrize("overlap", [0, -0.1, 1.1, float("nan")])
def test_overlap_must_be_one(overlap: float) -> None:
    with pytest.raises(ValueError, match="at most 1"):
        event_f1([(0, 1)], [(0, 1)], overlap)


@pytest.mark.parametrize("score", [average_precision, expected_calibration_error, batch_averaged_f1])
def test_shapes_must_agree_everywhere(score) -> None:
    with pytest.raises(ValueError, match="one shape"):
        score(np.zeros((3, 2), bool), np.zeros((3, 3)))
