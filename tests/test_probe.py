"""The linear probe, the baseline of every score, and the regression beside a network."""

from dataclasses import replace

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression
from synthetic import planted
from threadpoolctl import threadpool_info, threadpool_limits
from trivial import always_f1

from heads import probe as module
from heads.labels import Labels
from heads.metrics import macro_f1
from heads.probe import fit_probe

pytestmark = pytest.mark.usefixtures("one_thread")
INPUTS = [("grid",), ("grid", "energy")]


@pytest.fixture(scope="module")
def case():
    return planted(clips=120)


def standardised(clips, inputs: tuple[str, ...]) -> np.ndarray:
    """Each input by hand: over the clips of each recording, mean 0 and deviation 1."""
    columns = []
    for name in inputs:
        values = clips.rows[name, "plain"].astype(np.float64)
        for recording in np.unique(clips.recording):
            mine = clips.recording == recording
            values[mine] = (values[mine] - values[mine].mean(axis=0)) / values[mine].std(axis=0)
        columns.append(values)
    return np.concatenate(columns, axis=1)


@pytest.mark.parametrize("inputs", INPUTS)
def test_learns_and_gives_what_scikit_learn_gives(case, inputs: tuple[str, ...]) -> None:
    clips, labels = case
    training, held_out = np.arange(0, 120, 2), np.arange(1, 120, 2)
    probe = fit_probe(clips, training, labels.positive, inputs=inputs)
    assert probe.inputs == inputs
    assert probe.weight.shape == (3, 4608 * len(inputs))
    features = standardised(clips, inputs)
    for column in range(3):
        reference = LogisticRegression(C=0.01, max_iter=1000, class_weight="balanced")
        reference.fit(features[training], labels.positive[training, column])
        expected = reference.predict_proba(features[held_out])[:, 1]
        np.testing.assert_allclose(probe.predict(clips, held_out)[:, column], expected, atol=1e-3)
    true = labels.positive[held_out]
    assert macro_f1(true, probe.predict(clips, held_out) >= 0.5) > always_f1(true) + 0.2


def test_it_is_fitted_on_one_thread_and_the_others_are_given_back(case, monkeypatch) -> None:
    """On two it takes many times as long: they wait for each other."""
    clips, labels = case
    seen, fit = [], LogisticRegression.fit

    def threads() -> set[int]:
        return {each["num_threads"] for each in threadpool_info() if each["user_api"] == "blas"}

    def watched(*given):
        seen.append(threads())
        return fit(*given)

    monkeypatch.setattr(LogisticRegression, "fit", watched)
    with threadpool_limits(2):
        fit_probe(clips, np.arange(120), labels.positive)
        assert threads() == {2}
    assert seen == [{1}] * 3


def test_clips_are_predicted_one_by_one(case, monkeypatch) -> None:
    clips, labels = case
    probe = fit_probe(clips, np.arange(120), labels.positive)
    index = np.array([7, 119, 7, 0])
    together = probe.predict(clips, np.arange(120))
    np.testing.assert_allclose(probe.predict(clips, index), together[index], atol=1e-6)
    monkeypatch.setattr(module, "_AT_ONCE", 50)
    np.testing.assert_allclose(probe.predict(clips, np.arange(120)), together, atol=1e-6)
    assert probe.predict(clips, np.arange(0)).shape == (0, 3)


def test_learns_from_the_training_clips_alone(case) -> None:
    clips, labels = case
    training = np.arange(0, 120, 2)
    others = labels.positive.copy()
    others[1::2] = ~others[1::2]
    probes = [fit_probe(clips, training, positive) for positive in (labels.positive, others)]
    assert np.array_equal(probes[0].weight, probes[1].weight)


def test_a_class_in_all_clips_or_in_none_is_certain(case) -> None:
    clips, labels = case
    positive = labels.positive.copy()
    positive[:, 0], positive[:, 1] = True, False
    probability = fit_probe(clips, np.arange(120), positive).predict(clips, np.arange(120))
    assert (probability[:, 0] > 0.999).all()
    assert (probability[:, 1] < 0.001).all()


def test_of_too_many_clips_a_rare_class_keeps_its_own(case, monkeypatch) -> None:
    clips, labels = case
    monkeypatch.setattr(module, "CLIPS_AT_MOST", 60)
    positive = labels.positive.copy()
    positive[:, 2] = False
    positive[[11, 87], 2] = True
    few = [module._some_of(np.arange(10, 120), positive[10:], seed) for seed in (0, 0, 1)]
    for drawn in few:
        assert len(np.unique(drawn)) == len(drawn) == 60
        assert drawn.min() >= 10
        assert {11, 87} <= {*drawn.tolist()}
    assert np.array_equal(few[0], few[1])
    assert not np.array_equal(few[0], few[2])
    probability = fit_probe(clips, np.arange(120), positive).predict(clips, np.arange(120))
    true = Labels(np.repeat(positive[:, None], 16, axis=1), labels.known).positive
    assert (probability[true[:, 2], 2] > 0.5).all()


def test_recordings_are_brought_to_a_common_measure(case) -> None:
    clips, labels = case
    first, second = np.arange(60), np.arange(60, 120)
    true = labels.positive[second]
    apart = fit_probe(clips, first, labels.positive).predict(clips, second)
    as_stored = replace(clips, scales={})
    raw = fit_probe(as_stored, first, labels.positive).predict(as_stored, second)
    assert macro_f1(true, apart >= 0.5) > macro_f1(true, raw >= 0.5) + 0.2
