"""Training on synthetic activations with a planted signal."""

from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from synthetic import planted, tail
from tiny_backbone import added
from trivial import always_f1

from extract.weights import load_backbone
from heads.averaging import Average
from heads.checkpoint import Checkpoint
from heads.clips import Clips
from heads.labels import Labels
from heads.learner import Learner, Task, predict_network
from heads.metrics import macro_f1
from heads.network import Architecture, make_network
from heads.probe import fit_probe
from heads.sampling import examples
from heads.settings import SYSTEMS, Settings
from heads.training import Trained, choose_device, train
from search.thresholds import best_f1
from store.errors import InputError

pytestmark = pytest.mark.usefixtures("one_thread")

TRAINING, VALIDATION, TEST = np.arange(96), np.arange(96, 128), np.arange(128, 160)
QUICK = Settings(epochs=2, batch=16, seed=1, tune="fc", regression=False)
CLIPS, LABELS = planted(seed=0, recordings=1, more=("conv5", "audio"))
TAIL = tail()
MIRRORED = np.arange(3)


def tuned_score(true: np.ndarray, probability: np.ndarray) -> float:
    return macro_f1(true, probability >= best_f1(probability, true))


def make_learner(
    settings: Settings = QUICK,
    system: str = "sm+bb+ts",
    clips: Clips = CLIPS,
    labels: Labels = LABELS,
    training: np.ndarray = TRAINING,
    validation: np.ndarray = VALIDATION,
) -> Learner:
    parts = SYSTEMS[system]
    linear = ("grid", "energy") if settings.regression else ()
    architecture = Architecture(
        3,
        widths=(32, 32, 32),
        audio_widths=(16,),
        dropout=settings.dropout,
        tune=settings.tune,
        fusion=parts.fusion,
        per_gesture=parts.per_gesture,
        linear=linear,
    )
    torch.manual_seed(settings.seed)
    network = make_network(TAIL, architecture)
    if linear:
        network.add_regression(fit_probe(clips, training, labels.positive, 0, linear))
    task = Task(clips.only(*architecture.inputs), labels, training, validation, MIRRORED)
    return Learner(network, parts, settings, task, torch.device("cpu"))


def run(settings: Settings = QUICK, score: Callable = tuned_score, epochs: int | None = None, **given) -> Trained:
    notes: list[str] = []
    trained = train(make_learner(settings, **given), score, lambda steps=1, note="": notes.append(note), epochs)
    assert len(notes) == len(trained.history) - 1
    return trained


@pytest.mark.slow
@pytest.mark.parametrize("system", ["sm", "sm+bb+ts"])
def test_learns_a_planted_signal(system: str) -> None:
    settings = Settings(epochs=6, batch=16, learning_rate=3e-4, tune="conv5", regression=False)
    trained = run(settings, system=system)
    probability = predict_network(trained.network, CLIPS, np.arange(160))
    thresholds = best_f1(probability[VALIDATION], LABELS.positive[VALIDATION])
    true = LABELS.positive[TEST]
    assert macro_f1(true, probability[TEST] >= thresholds) > always_f1(true) + 0.2
    saved = trained.network.weights()
    changed = {name for name, values in TAIL.items() if not np.array_equal(saved[name], values)}
    assert changed == {*TAIL}
    # The temporal taps that meet no frame stay as they were.
    idle = [saved["layer4.1.conv1.weight"], TAIL["layer4.1.conv1.weight"]]
    assert np.array_equal(*(values[:, :, [0, 2]] for values in idle))


@pytest.mark.parametrize("system", ["mm", "sm", "bimodal", "bimodal-gated"])
def test_learns_from_what_conv5_gives(system: str) -> None:
    trained = run(replace(QUICK, epochs=12, learning_rate=1e-3), system=system)
    probability = predict_network(trained.network, CLIPS, TEST)
    assert tuned_score(LABELS.positive[TEST], probability) > always_f1(LABELS.positive[TEST]) + 0.2
    assert trained.history[-1].loss < 0.7 * trained.history[1].loss


@pytest.fixture(scope="module")
def quick() -> Trained:
    torch.manual_seed(5)
    learner = make_learner()
    state, numpy_state = torch.get_rng_state(), np.random.get_state()[1].copy()  # noqa: NPY002
    deterministic = torch.backends.cudnn.deterministic
    trained = train(learner, tuned_score, lambda *_, **__: None)
    assert torch.equal(torch.get_rng_state(), state)
    assert np.array_equal(np.random.get_state()[1], numpy_state)  # noqa: NPY002
    assert torch.backends.cudnn.deterministic == deterministic
    return trained


def test_same_seed_same_network(quick: Trained) -> None:
    learner = make_learner()
    torch.manual_seed(77)  # whatever state the process is in
    again = train(learner, tuned_score, lambda *_, **__: None)
    assert again.history == quick.history
    for name, value in quick.network.state_dict().items():
        assert torch.equal(value, again.network.state_dict()[name]), name


def test_small_matrices_are_for_one_thread_and_the_others_are_given_back() -> None:
    torch.set_num_threads(2)  # the fixture of the module puts it back
    seen: list[int] = []

    def score(true: np.ndarray, probability: np.ndarray) -> float:
        seen.append(torch.get_num_threads())
        return 0.0

    run(replace(QUICK, tune="fc", epochs=1), score)
    assert set(seen) == {1}
    assert torch.get_num_threads() == 2
    torch.set_num_threads(1)


def test_another_seed_another_network(quick: Trained) -> None:
    assert run(replace(QUICK, seed=2)).history != quick.history


def test_the_network_returned_is_the_best_epochs() -> None:
    scores, seen = iter([0.1, 0.2, 0.9, 0.5]), []

    def score(true: np.ndarray, probability: np.ndarray) -> float:
        assert np.array_equal(true, LABELS.positive[VALIDATION])
        seen.append(probability)
        return next(scores)

    trained = run(replace(QUICK, epochs=3, learning_rate=1e-3), score)
    assert trained.best == 2
    assert [epoch.score for epoch in trained.history] == [0.1, 0.2, 0.9, 0.5]
    assert not trained.network.training
    assert np.array_equal(predict_network(trained.network, CLIPS, VALIDATION), seen[2])
    assert np.abs(seen[2] - seen[3]).max() > 1e-3


def test_the_start_is_kept_where_nothing_gets_better() -> None:
    scores = iter([0.5, 0.4, 0.5])
    learner = make_learner(replace(QUICK, regression=True))
    before = predict_network(learner._network, CLIPS, VALIDATION)
    trained = train(learner, lambda *_: next(scores), lambda *_, **__: None)
    assert trained.best == 0
    assert np.array_equal(predict_network(trained.network, CLIPS, VALIDATION), before)


def test_a_start_at_random_is_not_kept() -> None:
    scores = iter([0.9, 0.1, 0.2, 0.15, 0.1])
    trained = run(replace(QUICK, epochs=9, patience=2), lambda *_: next(scores))
    assert (trained.best, len(trained.history)) == (2, 5)


def test_stops_when_it_no_longer_improves() -> None:
    scores = iter([0.1, 0.3, 0.5, 0.5, 0.4, 0.6, 0.9])
    trained = run(replace(QUICK, epochs=6, patience=2), lambda *_: next(scores))
    assert len(trained.history) == 5
    assert trained.best == 2


def counting(moved: list[int]) -> Callable:
    return lambda steps=1, note="": moved.append(steps)


@pytest.mark.parametrize("system", ["sm+bb+ts", "bimodal-gated", "mm"])
def test_what_was_stopped_goes_on_where_it_was(system: str, tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr("heads.checkpoint._SHARE_OF_TIME", 1e9)
    settings = replace(QUICK, epochs=5, patience=9, learning_rate=1e-3, mixup=0.2, sampler=0.4, regression=True)
    whole = run(settings, system=system)
    checkpoint = Checkpoint(tmp_path / "state", [])

    def stop(steps: int = 1, note: str = "") -> None:
        moved.append(steps)
        if sum(moved) == 3:
            raise KeyboardInterrupt

    moved: list[int] = []
    with pytest.raises(KeyboardInterrupt):
        train(make_learner(settings, system), tuned_score, stop, checkpoint=checkpoint)
    moved.clear()
    resumed = train(make_learner(settings, system), tuned_score, counting(moved), None, checkpoint)
    assert moved == [3, 1, 1]
    assert (resumed.history, resumed.best) == (whole.history, whole.best)
    for name, values in whole.network.state_dict().items():
        assert torch.equal(values, resumed.network.state_dict()[name]), name
    moved.clear()
    again = train(make_learner(settings, system), tuned_score, counting(moved), None, checkpoint)
    assert moved == [5]  # all was done; only the model had not been saved
    assert again.history == whole.history


def test_without_validation_the_last_epoch_counts() -> None:
    trained = run(replace(QUICK, epochs=9, patience=1), score=None, epochs=3, validation=np.empty(0, np.intp))
    assert (trained.best, len(trained.history)) == (3, 4)
    assert run(score=None, epochs=0, validation=np.empty(0, np.intp)).best == 0


def steps_of(learner: Learner, monkeypatch: pytest.MonkeyPatch) -> list[tuple[float, dict[str, np.ndarray]]]:
    """Return, filled while it learns, the rate at each step and the parameters after it."""
    steps, step = [], learner._optimiser.step

    def watched(*given: object, **named: object) -> None:
        step(*given, **named)
        rate = learner._optimiser.param_groups[0]["lr"]
        named_parameters = learner._network.named_parameters()
        steps.append((rate, {name: values.detach().numpy().copy() for name, values in named_parameters}))

    monkeypatch.setattr(learner._optimiser, "step", watched)
    return steps


def test_the_rate_rises_over_an_epoch_and_falls_as_a_cosine(monkeypatch) -> None:
    learner = make_learner(replace(QUICK, epochs=3, batch=48, learning_rate=0.01))
    steps = steps_of(learner, monkeypatch)
    for number in (1, 2, 3):
        learner.epoch(number)
    half = np.sqrt(0.5) / 2  # of cos(45 degrees)
    expected = [0.5, 1, 0.01 + 0.99 * (0.5 + half), 0.505, 0.01 + 0.99 * (0.5 - half), 0.01]
    np.testing.assert_allclose([rate for rate, _ in steps], 0.01 * np.array(expected))


@pytest.mark.parametrize(("schedule", "epochs"), [("constant", 3), ("cosine", 1)])
def test_other_rates(schedule: str, epochs: int, monkeypatch) -> None:
    learner = make_learner(replace(QUICK, epochs=epochs, batch=48, schedule=schedule, learning_rate=0.01))
    steps = steps_of(learner, monkeypatch)
    learner.epoch(1)
    expected = [0.01, 0.01] if schedule == "constant" else [0.005, 0.01]
    np.testing.assert_allclose([rate for rate, _ in steps], expected)


@pytest.mark.parametrize("decay", [0.96, 0.3])
def test_what_is_kept_is_the_moving_average(decay: float, monkeypatch) -> None:
    learner = make_learner(replace(QUICK, average=decay, learning_rate=1e-2))
    average = {name: values.detach().numpy().copy() for name, values in learner._network.named_parameters()}
    steps = steps_of(learner, monkeypatch)
    learner.epoch(1)
    assert len(steps) == 6
    for number, (_, parameters) in enumerate(steps, start=1):
        kept = min(decay, number / (9 + number))
        average = {name: kept * average[name] + (1 - kept) * parameters[name] for name in average}
    with learner.evaluated():
        judged = learner.weights()
    for name, values in average.items():
        np.testing.assert_allclose(judged[name], values, rtol=1e-5, atol=1e-7, err_msg=name)
    after = learner.weights()
    assert all(np.array_equal(after[name], values) for name, values in steps[-1][1].items())
    assert not np.allclose(judged["fc.weight"], after["fc.weight"], rtol=1e-4)


def test_an_error_while_judging_gives_the_weights_back() -> None:
    layer = torch.nn.Linear(3, 2)
    average, before = Average(layer, 0.9), layer.weight.detach().clone()
    with torch.no_grad():
        layer.weight += 1
    with suppress(KeyboardInterrupt), average.applied():
        assert torch.equal(layer.weight, before)
        raise KeyboardInterrupt
    assert torch.equal(layer.weight, before + 1)


def test_no_average_and_nothing_settled_are_the_weights_themselves() -> None:
    learner = make_learner(replace(QUICK, average=0.0, settle=False))
    learner.epoch(1)
    before = learner.weights()
    with learner.evaluated():
        assert all(torch.equal(values, before[name]) for name, values in learner.weights().items())


SHORT, SHORT_LABELS = planted(clips=44, recordings=1, seed=3)


def with_others_damaged(used: np.ndarray, clips: Clips = SHORT, labels: Labels = SHORT_LABELS) -> tuple[Clips, Labels]:
    """Return the same clips, nothing but NaN in those that are not used, and all their labels wrong."""
    others = np.setdiff1d(np.arange(len(clips)), used)
    rows = {}
    for key, values in clips.rows.items():
        rows[key] = values.copy()
        rows[key][others] = np.nan
    frames = labels.frames.copy()
    frames[others] = ~frames[others]
    return replace(clips, rows=rows), replace(labels, frames=frames)


def test_batch_norm_settles_on_training_clips_alone() -> None:
    training = np.arange(2, 37)
    settings = Settings(batch=16, tune="conv5", regression=False, dropout=0.0)
    clips, labels = with_others_damaged(training)
    learner = make_learner(settings, clips=clips, labels=labels, training=training, validation=np.empty(0, np.intp))
    with learner.evaluated():
        weights = learner.weights()
    # The first convolution written out: its two live taps on the two frames, stride 2, padding 1.
    x = np.pad(clips.take("conv4", training), [(0, 0)] * 3 + [(1, 1)] * 2).astype(np.float64)
    kernel = TAIL["layer4.0.conv1.weight"][:, :, 1:]
    windows = np.lib.stride_tricks.sliding_window_view(x, (3, 3), axis=(3, 4))[:, :, :, ::2, ::2]
    out = np.einsum("nctyxij,octij->noyx", windows, kernel, optimize=True)
    batches = [out[number::3] for number in range(3)]
    means = [each.mean(axis=(0, 2, 3)) for each in batches]
    variances = [each.var(axis=(0, 2, 3), ddof=1) for each in batches]
    name = "conv5.blocks.0.bn1"
    np.testing.assert_allclose(weights[f"{name}.running_mean"], np.mean(means, axis=0), rtol=1e-3, atol=1e-4)
    np.testing.assert_allclose(weights[f"{name}.running_var"], np.mean(variances, axis=0), rtol=1e-3)
    assert all(bool(values.isfinite().all()) for values in weights.values())
    momenta = {module.momentum for module in learner._network.modules() if isinstance(module, torch.nn.BatchNorm2d)}
    assert momenta == {0.1}


@pytest.mark.parametrize(("system", "regression"), [("sm+bb+ts", True), ("sm", False)])
def test_nothing_is_learned_from_other_clips(system: str, regression: bool) -> None:
    training, validation = np.arange(0, 24), np.arange(30, 36)
    settings = Settings(
        epochs=1, batch=12, tune="conv5", regression=regression, sampler=0.5, class_weights=True, mixup=0.2
    )
    given = {"system": system, "training": training, "validation": validation}
    usual = run(settings, clips=SHORT, labels=SHORT_LABELS, **given)
    clips, labels = with_others_damaged(np.concatenate([training, validation]))
    again = run(settings, clips=clips, labels=labels, **given)
    assert again.history == usual.history
    for name, values in usual.network.state_dict().items():
        assert torch.equal(values, again.network.state_dict()[name]), name


@pytest.mark.parametrize("system", ["mm", "sm+bb+ts", "bimodal-gated"])
def test_the_regression_stays_as_it_was_fitted(system: str) -> None:
    learner = make_learner(replace(QUICK, regression=True, weight_decay=0.5, learning_rate=1e-2), system)
    before = learner.weights()
    trained = train(learner, tuned_score, lambda *_, **__: None)
    kept = {name for name in before if "linear." in name}
    assert kept
    for name, values in trained.network.state_dict().items():
        assert torch.equal(values, before[name]) == (name in kept or trained.best == 0), name


def test_classes_swap_in_a_flipped_picture() -> None:
    clips, labels = planted(clips=32, recordings=1, views=("plain", "flip"), more=("conv5",))
    learner = make_learner(clips=clips, labels=labels, training=np.arange(32), validation=np.empty(0, np.intp))
    seen = []
    learner.task = replace(learner.task, mirrored=np.array([1, 0, 2]))
    learner._targets = replace(learner._targets, mirrored=np.array([1, 0, 2]))
    learner._step = lambda example: seen.append(example) or torch.zeros(())
    learner.epoch(1)
    positive = torch.cat([each.positive for each in seen]).numpy()
    shown = torch.cat([each.inputs["conv5"] for each in seen]).numpy()
    plain, flipped = (clips.take("conv5", np.arange(32), view) for view in ("plain", "flip"))
    times = 0
    for values, found in zip(shown, positive, strict=True):
        mirrored = not np.isclose(plain, values).all(axis=1).any()
        (clip,) = np.flatnonzero(np.isclose(flipped if mirrored else plain, values).all(axis=1))
        assert np.array_equal(found, labels.positive[clip][[1, 0, 2] if mirrored else [0, 1, 2]])
        times += mirrored
    assert 6 < times < 26


def test_probabilities_do_not_depend_on_the_batch(quick: Trained) -> None:
    alone = [predict_network(quick.network, CLIPS, np.array([clip])) for clip in (5, 70, 131)]
    together = predict_network(quick.network, CLIPS, np.arange(160))
    np.testing.assert_allclose(np.concatenate(alone), together[[5, 70, 131]], atol=1e-6)
    assert predict_network(quick.network, CLIPS, np.empty(0, np.intp)).shape == (0, 3)


@pytest.mark.parametrize("system", ["sm+bb+ts", "bimodal-gated", "mm"])
@pytest.mark.parametrize("loss", ["mse", "bce", "asl"])
def test_in_sixteen_bits_it_learns_nearly_the_same(system: str, loss: str) -> None:
    """What a GPU does, as far as a CPU can: 16 bits where that is safe, the loss in 32."""
    settings = replace(QUICK, loss=loss, learning_rate=1e-3)
    usual = run(settings, system=system)
    learner = make_learner(settings, system)
    learner._in_16_bits = True
    rough = train(learner, tuned_score, lambda *_, **__: None)
    losses = [[epoch.loss for epoch in each.history] for each in (usual, rough)]
    np.testing.assert_allclose(*losses, rtol=0.05)
    assert losses[0] != losses[1]
    assert all(values.dtype == torch.float32 for values in rough.network.parameters())


def test_gradients_of_conv5_in_sixteen_bits() -> None:
    conv5 = make_learner(replace(QUICK, tune="conv5"))._network.conv5.train()
    x = torch.from_numpy(CLIPS.take("conv4", np.arange(8)))

    def gradients(enabled: bool) -> dict[str, torch.Tensor]:
        conv5.zero_grad()
        with torch.autocast("cpu", enabled=enabled):
            value = (conv5(x).float() * torch.linspace(-1, 1, 512)).sum()
        left = [torch.full((3_000_000,), torch.nan) for _ in range(4)]  # what memory may hold that is not written to
        del left
        value.backward()
        return {name: values.grad.clone() for name, values in conv5.named_parameters() if values.ndim == 4}

    exact, rough, again = gradients(False), gradients(True), gradients(True)
    for name, values in exact.items():
        assert torch.equal(rough[name], again[name]), name
        assert float((rough[name] - values).norm() / values.norm()) < 0.3, name


@pytest.mark.parametrize("native", [True, False])
@pytest.mark.parametrize("tune", ["conv5", "fc"])
@pytest.mark.parametrize("backbone", ["r3d34", "tiny"])
def test_only_convolutions_in_two_dimensions_learn_in_sixteen_bits(
    backbone: str, tune: str, native: bool, tmp_path: Path, monkeypatch
) -> None:
    """On a processor: there those in three dimensions get wrong gradients."""
    monkeypatch.setattr("torch.cpu.get_capabilities", lambda: {"avx512_bf16": native})
    with added(tmp_path):
        own = TAIL if backbone == "r3d34" else load_backbone("random:0", "tiny").tail()
        network = make_network(own, Architecture(3, backbone=backbone, tune=tune))
        task = Task(CLIPS, LABELS, TRAINING, VALIDATION, MIRRORED)
        learner = Learner(network, SYSTEMS["sm"], replace(QUICK, tune=tune), task, torch.device("cpu"))
    assert learner._in_16_bits == (native and (backbone, tune) == ("r3d34", "conv5"))
    seen = []
    network.fc.register_forward_hook(lambda *_: seen.append(torch.is_autocast_enabled("cpu")))
    if backbone == "r3d34":
        learner._step(next(examples(learner._learned, learner._targets, TRAINING[:4], 4, 0.0, np.random.default_rng())))
        learner._settle()
        learner.probabilities(VALIDATION[:4])
        assert seen[0] == learner._in_16_bits
        assert not any(seen[1:])


def test_a_training_that_goes_astray_is_one_line(monkeypatch) -> None:
    learner = make_learner()
    with torch.no_grad():
        learner._network.fc.bias.fill_(torch.nan)
    with pytest.raises(InputError, match="went astray in epoch 1"):
        train(learner, tuned_score, lambda *_, **__: None)
    learner = make_learner(validation=np.empty(0, np.intp))
    monkeypatch.setattr(Learner, "epoch", lambda self, number: float("inf"))
    with pytest.raises(InputError, match="went astray in epoch 1"):
        train(learner, tuned_score, lambda *_, **__: None)


def test_a_gpus_scaler_is_used_as_it_must_be() -> None:
    """Scale, step, update, in that order; steps whose gradients overflow are left out."""
    learner = make_learner()
    calls = []

    class Scaler:
        def scale(self, loss: torch.Tensor) -> torch.Tensor:
            calls.append("scale")
            return 4 * loss

        def step(self, optimiser: torch.optim.Optimizer) -> None:
            calls.append("step")

        def update(self) -> None:
            calls.append("update")

        def state_dict(self) -> dict[str, float]:
            return {"scale": 4.0}

    learner._scaler = Scaler()
    before = learner.weights()
    learner.epoch(1)
    assert calls == ["scale", "step", "update"] * 6
    assert all(torch.equal(values, before[name]) for name, values in learner.weights().items())
    assert learner.state()["scaler"] == {"scale": 4.0}


def test_the_device() -> None:
    assert choose_device("cpu") == torch.device("cpu")
    assert choose_device("auto").type == ("cuda" if torch.cuda.is_available() else "cpu")
    assert make_learner().device.type == "cpu"


def test_modality_losses_weigh_as_told() -> None:
    """The gated fusion's loss is its own and that of each modality alone, times a weight."""
    settings = replace(QUICK, auxiliary=0.25, dropout=0.0, batch=96, sampler=0.0)
    learner = make_learner(settings, "bimodal-gated")
    given: list[torch.Tensor] = []

    def loss(prediction: torch.Tensor, target: torch.Tensor, positive: torch.Tensor) -> torch.Tensor:
        value = ((prediction - target) ** 2).mean()
        given.append(value.detach())
        return value

    learner._loss = loss
    found = learner.epoch(1)
    assert len(given) == 3
    assert found == pytest.approx(float(given[0] + 0.25 * (given[1] + given[2])), rel=1e-6)
