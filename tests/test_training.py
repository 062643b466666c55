"""Training on synthetic activations with a planted signal."""

import time
from dataclasses import replace

import numpy as np
import pytest
import torch
from synthetic import planted, tail

from heads.conv5 import Conv5
from heads.metrics import always_f1, macro_f1
from heads.network import Architecture
from heads.training import SYSTEMS, Settings, predict_network, train_network
from search.thresholds import best_f1

pytestmark = pytest.mark.usefixtures("one_thread")

ARCHITECTURE = Architecture(classes=3, widths=(32, 32, 32))
TRAINING, VALIDATION, TEST = np.arange(0, 96), np.arange(96, 128), np.arange(128, 160)
QUICK = Settings(epochs=2, batch=16, seed=1)
CASE = planted(seed=0, recordings=1)
TAIL = tail()


def tuned_score(true: np.ndarray, probability: np.ndarray) -> float:
    return macro_f1(true, probability >= best_f1(probability, true))


def train(settings: Settings, system: str = "sm+bb+ts", score=tuned_score):
    steps = []
    trained = train_network(
        TAIL,
        ARCHITECTURE,
        SYSTEMS[system],
        settings,
        *CASE,
        TRAINING,
        VALIDATION,
        score,
        lambda steps_done=1, note="": steps.append(note),
    )
    assert len(steps) == len(trained.history)
    return trained


@pytest.mark.slow
@pytest.mark.parametrize("system", ["sm", "sm+bb+ts"])
def test_learns_a_planted_signal(system: str) -> None:
    began = time.process_time()
    trained = train(Settings(epochs=10, batch=16), system)
    assert time.process_time() - began < 120
    clips, labels = CASE
    probability = predict_network(trained.network, clips)
    assert probability.shape == (160, 3)
    thresholds = best_f1(probability[VALIDATION], labels.positive[VALIDATION])
    true = labels.positive[TEST]
    assert macro_f1(true, probability[TEST] >= thresholds) > always_f1(true) + 0.2


@pytest.fixture(scope="module")
def quick():
    torch.manual_seed(5)
    before = torch.get_rng_state()
    numpy_before = np.random.get_state()[1].copy()  # noqa: NPY002
    trained = train(QUICK)
    assert torch.equal(torch.get_rng_state(), before)
    assert np.array_equal(np.random.get_state()[1], numpy_before)  # noqa: NPY002
    return trained


def test_same_seed_same_network(quick) -> None:
    torch.manual_seed(77)  # whatever state the process is in
    again = train(QUICK)
    assert again.history == quick.history
    for name, value in quick.network.state_dict().items():
        assert torch.equal(value, again.network.state_dict()[name]), name


def test_another_seed_another_network(quick) -> None:
    assert train(replace(QUICK, seed=2)).history != quick.history


def test_the_network_returned_is_the_best_epochs(quick) -> None:
    scores = iter([0.2, 0.9, 0.5])
    seen = []

    def score(true: np.ndarray, probability: np.ndarray) -> float:
        assert np.array_equal(true, CASE[1].positive[VALIDATION])
        seen.append(probability)
        return next(scores)

    trained = train(replace(QUICK, epochs=3), score=score)
    assert trained.best == 2
    assert [epoch.score for epoch in trained.history] == [0.2, 0.9, 0.5]
    assert not trained.network.training
    np.testing.assert_allclose(predict_network(trained.network, CASE[0])[VALIDATION], seen[1], atol=1e-5)
    assert np.abs(seen[1] - seen[2]).max() > 1e-3
    clips, labels = CASE
    probability = predict_network(quick.network, clips)[VALIDATION]
    assert tuned_score(labels.positive[VALIDATION], probability) == pytest.approx(
        quick.history[quick.best - 1].score, abs=1e-6
    )


def test_stops_when_it_no_longer_improves() -> None:
    scores = iter([0.3, 0.5, 0.5, 0.4, 0.6, 0.9])
    trained = train(replace(QUICK, tune="fc", epochs=6, patience=2), score=lambda *_: next(scores))
    assert len(trained.history) == 4
    assert trained.best == 2


def test_tuning_fc_leaves_conv5_alone() -> None:
    trained = train(replace(QUICK, tune="fc"))
    back = trained.network.weights()
    for name, values in TAIL.items():
        assert np.array_equal(back[name], values) == name.startswith("layer4."), name
    fresh = Conv5(TAIL).eval()
    x = CASE[0].standardised(np.arange(4))
    with torch.inference_mode():
        assert torch.equal(fresh(x), trained.network.conv5(x))


def test_tuning_conv5_changes_it(quick) -> None:
    back = quick.network.weights()
    for name, values in TAIL.items():
        assert not np.array_equal(back[name], values), name
    # The temporal taps that meet no frame stay as they were.
    assert np.array_equal(back["layer4.1.conv1.weight"][:, :, [0, 2]], TAIL["layer4.1.conv1.weight"][:, :, [0, 2]])


def test_probabilities_do_not_depend_on_the_batch(quick) -> None:
    clips, _ = CASE
    np.testing.assert_allclose(
        predict_network(quick.network, clips, batch=7), predict_network(quick.network, clips), atol=1e-5
    )


def test_clips_are_standardised_by_their_own_recording() -> None:
    clips, _ = planted(recordings=2)
    index = np.array([3, 150, 80, 79])
    expected = (clips.activations[index].astype(np.float64) - clips.mean[clips.recording[index]]) / clips.std[
        clips.recording[index]
    ]
    np.testing.assert_allclose(clips.standardised(index).numpy(), expected, atol=1e-4)
