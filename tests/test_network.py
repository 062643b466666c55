"""The networks of all systems: what they are put together from, what they share, how they begin."""

import json
from dataclasses import asdict, replace
from typing import Any

import numpy as np
import pytest
import torch
from synthetic import planted, tail
from tiny_backbone import added
from torch.nn import functional

from extract.weights import load_backbone
from heads.clips import Batch
from heads.fusion import MODALITY_DROPOUT, modality_dropout
from heads.network import SHARE, Architecture, GestureNetwork, PerGesture, load_network, make_network
from heads.probe import LinearProbe
from heads.settings import SYSTEMS

pytestmark = pytest.mark.usefixtures("one_thread")

TAIL = tail()
CLIPS, _ = planted(clips=12, recordings=1, more=("audio", "conv5"))
SMALL: dict[str, Any] = {"widths": (24, 16, 8), "audio_widths": (20, 12, 10)}


def architecture(system: str = "sm", tune: str = "fc", linear: tuple[str, ...] = ()) -> Architecture:
    parts = SYSTEMS[system]
    return Architecture(3, tune=tune, fusion=parts.fusion, per_gesture=parts.per_gesture, linear=linear, **SMALL)


def make(chosen: Architecture, seed: int = 3) -> GestureNetwork | PerGesture:
    torch.manual_seed(seed)
    return make_network(TAIL, chosen)


def batch(silent: tuple[int, ...] = ()) -> Batch:
    found = CLIPS.batch(np.arange(12))
    found["heard"][list(silent)] = 0
    return found


def regression(inputs: tuple[str, ...]) -> LinearProbe:
    random = np.random.default_rng(1)
    weight = random.normal(0, 0.01, (3, 4608 * len(inputs))).astype(np.float32)
    return LinearProbe(weight, random.normal(0, 1, 3).astype(np.float32), inputs)


def hidden(x: np.ndarray, weights: dict[str, np.ndarray], name: str) -> np.ndarray:
    """Three hidden ReLU layers and a linear one, written out."""
    for layer in (0, 3, 6):
        x = np.maximum(x @ weights[f"{name}.{layer}.weight"].T + weights[f"{name}.{layer}.bias"], 0)
    return x @ weights[f"{name}.9.weight"].T + weights[f"{name}.9.bias"]


@pytest.mark.parametrize("system", ["sm", "bimodal", "bimodal-gated", "mm"])
@pytest.mark.parametrize("linear", [(), ("grid",), ("grid", "energy")])
def test_logits_are_those_written_out(system: str, linear: tuple[str, ...]) -> None:
    network = make(architecture(system, linear=linear)).eval()
    fitted = regression(linear) if linear else None
    if fitted is not None:
        network.add_regression(fitted)
    with torch.no_grad():
        for name, parameter in network.named_parameters():
            if name.endswith("gate") or name.endswith("9.weight"):
                parameter.normal_(0, 0.1)
    inputs = batch(silent=(0, 5))
    found = network(inputs).detach().numpy()
    x = {name: values.numpy().astype(np.float64) for name, values in inputs.items()}
    expected = []
    for number in range(3 if system == "mm" else 1):
        weights = network.weights()
        if system == "mm":
            weights = {name[2:]: values for name, values in weights.items() if name.startswith(f"{number}.")}
        embedding = x["conv5"] @ weights["fc.weight"].T + weights["fc.bias"]
        if system.startswith("bimodal"):
            sound = hidden(x["audio"].reshape(12, -1), weights, "sound.layers") * x["heard"]
            assert sound.shape == embedding.shape == (12, 400)
            gated = system == "bimodal-gated"
            embedding = embedding + weights["sound.gate"] * sound if gated else np.hstack([embedding, sound])
        outputs = hidden(embedding, weights, "classifier")
        if system == "mm":
            assert outputs.shape == (12, 2)
            outputs = outputs[:, :1] - outputs[:, 1:]
        expected.append(outputs)
    logits = np.hstack(expected)
    if fitted is not None:
        logits = SHARE * logits + np.hstack([x[name] for name in linear]) @ fitted.weight.T + fitted.bias
    assert found.shape == (12, 3)
    np.testing.assert_allclose(found, logits, rtol=1e-4, atol=1e-4)


def test_the_predecessors_probability_is_the_softmax_over_presence_and_absence() -> None:
    network = make(architecture("mm")).eval()
    logits, outputs = network(batch()), []
    for own in network.networks:
        outputs.append(own.classifier(own.fc(batch()["conv5"])))
    expected = torch.stack([each.softmax(dim=1)[:, 0] for each in outputs], dim=1)
    torch.testing.assert_close(torch.sigmoid(logits), expected)


@pytest.mark.parametrize("linear", [(), ("grid", "energy")])
def test_the_predecessors_networks_share_nothing(linear: tuple[str, ...]) -> None:
    network = make(architecture("mm", "conv5", linear)).train()
    places = [{parameter.data_ptr() for parameter in own.parameters()} for own in network.networks]
    assert sum(map(len, places)) == len(set.union(*places))
    with torch.no_grad():
        for own in network.networks:
            own.classifier[-1].weight.normal_()
    first = [own.classifier[0].weight for own in network.networks]
    assert not torch.equal(first[0], first[1])  # nor do they begin alike
    logits = network(CLIPS.batch(np.arange(4)))
    for number in range(3):
        network.zero_grad()
        logits[:, number].sum().backward(retain_graph=True)
        for other, own in enumerate(network.networks):
            moved = [parameter.grad is not None and bool(parameter.grad.any()) for parameter in own.parameters()]
            assert any(moved) == (other == number)


@pytest.mark.parametrize("tune", ["conv5", "fc"])
@pytest.mark.parametrize("linear", [(), ("grid", "energy")])
def test_the_gated_fusion_begins_as_the_picture_alone(tune: str, linear: tuple[str, ...]) -> None:
    alone, gated = (make(architecture(system, tune, linear)) for system in ("sm+bb+ts", "bimodal-gated"))
    if linear:
        for network in (alone, gated):
            network.add_regression(regression(linear))
    for name, values in alone.state_dict().items():
        assert torch.equal(values, gated.state_dict()[name]), name
    assert torch.equal(alone.eval()(batch()), gated.eval()(batch()))
    assert not gated.sound.gate.any()
    with torch.no_grad():  # whatever the sound has learned, a closed gate lets nothing through
        for parameter in gated.sound.layers.parameters():
            parameter.normal_(0, 5)
    assert torch.equal(alone(batch()), gated(batch()))
    assert torch.equal(
        alone(batch()), gated({name: x for name, x in batch().items() if name not in ("audio", "heard")})
    )


def test_the_gate_learns() -> None:
    network = make(architecture("bimodal-gated")).train()
    logits, picture, sound = network.outputs(batch())
    assert logits.shape == picture.shape == sound.shape == (12, 3)
    logits.sum().backward()
    assert network.sound.gate.grad.any()
    assert network.sound.alone[1].weight.grad is None
    assert len(network.eval().outputs(batch())) == 1


@pytest.mark.parametrize("system", ["bimodal", "bimodal-gated"])
def test_what_was_not_recorded_is_not_heard(system: str) -> None:
    network = make(architecture(system)).eval()
    with torch.no_grad():
        for name, parameter in network.named_parameters():
            if name.endswith("gate"):
                parameter.fill_(1)
    usual, silent = batch(), batch(silent=tuple(range(12)))
    without = {name: values for name, values in usual.items() if name not in ("audio", "heard")}
    assert not torch.equal(network(usual), network(silent))
    assert torch.equal(network(silent), network(without))
    other = dict(silent, audio=silent["audio"] + 100)
    assert torch.equal(network(silent), network(other))
    mixed = network(batch(silent=(3,)))
    torch.testing.assert_close(mixed[3], network(silent)[3])
    torch.testing.assert_close(mixed[4], network(usual)[4])


def test_modality_dropout() -> None:
    torch.manual_seed(0)
    heard = (torch.arange(40_000) % 4 > 0).float()[:, None]
    picture, sound = modality_dropout(heard)
    assert {*picture.unique().tolist(), *sound.unique().tolist()} == {0, 1}
    assert bool((picture + sound > 0).all())
    recorded = heard.bool()
    assert float(1 - picture[recorded].mean()) == pytest.approx(MODALITY_DROPOUT, abs=0.01)
    assert float(1 - sound[recorded].mean()) == pytest.approx(MODALITY_DROPOUT, abs=0.01)
    assert bool((picture[~recorded] == 1).all())


def test_training_leaves_clips_without_their_sound_or_their_picture() -> None:
    network = make(replace(architecture("bimodal-gated"), dropout=0.0)).train()
    with torch.no_grad():
        network.sound.gate.fill_(1)
    inputs = {name: values[:1].expand(4000, *values.shape[1:]) for name, values in batch().items()}
    logits, picture, _ = network.outputs(inputs)
    kinds, counts = torch.unique((logits * 1e3).round(), dim=0, return_counts=True)
    assert len(kinds) == 3
    assert (counts / 4000).sort().values.tolist() == pytest.approx([0.15, 0.15, 0.7], abs=0.04)
    near = (logits - picture).abs().amax(dim=1) < 1e-5
    assert float(near.float().mean()) == pytest.approx(0.15, abs=0.04)


def test_a_regression_is_where_the_network_begins_and_stays() -> None:
    network = make(architecture("sm", linear=("grid", "energy")))
    fitted = regression(("grid", "energy"))
    network.add_regression(fitted)
    probability = torch.sigmoid(network.eval()(batch())).detach().numpy()
    np.testing.assert_allclose(probability, fitted.predict(CLIPS, np.arange(12)), rtol=1e-4, atol=1e-5)
    assert not network.train()(batch()).any()  # the network learns without it
    learning = {name for name, parameter in network.named_parameters() if parameter.requires_grad}
    assert {name for name, _ in network.named_parameters()} - learning == {"linear.weight", "linear.bias"}


@pytest.mark.parametrize(
    ("system", "tune"), [("sm", "conv5"), *((system, "fc") for system in ("mm", "sm", "bimodal", "bimodal-gated"))]
)
def test_what_is_saved_loads_to_the_same(system: str, tune: str) -> None:
    chosen = architecture(system, tune, ("grid", "energy") if tune == "fc" else ())
    network = make(chosen).eval()
    with torch.no_grad():
        for parameter in network.parameters():
            parameter += 0.01 * torch.randn_like(parameter)
    described = Architecture.from_dict(json.loads(json.dumps(asdict(chosen))))
    assert described == chosen
    saved = {name: values.copy() for name, values in network.weights().items()}
    loaded = load_network(saved, described)
    assert not loaded.training
    assert torch.equal(loaded(batch()), network(batch()))
    assert loaded.weights().keys() == saved.keys()
    assert all(np.array_equal(values, saved[name]) for name, values in loaded.weights().items())
    conv5 = {name for name in saved if "layer4." in name}
    assert bool(conv5) == (tune == "conv5")


def test_weights_are_saved_by_the_backbones_names() -> None:
    weights = make(architecture("bimodal-gated", "conv5")).weights()
    assert all(np.array_equal(weights[name], values) for name, values in TAIL.items())
    assert {name.split(".")[0] for name in weights} == {"layer4", "fc", "classifier", "sound"}


@pytest.mark.parametrize("system", ["mm", "sm", "bimodal-gated"])
def test_another_backbones_conv5_is_saved_and_loaded(system: str, tmp_path) -> None:
    with added(tmp_path):
        chosen = replace(architecture(system, "conv5", ("grid",)), backbone="tiny")
        torch.manual_seed(0)
        network = make_network(load_backbone("random:0", "tiny").tail(), chosen).eval()
        loaded = load_network(network.weights(), chosen)
        inputs = {
            "conv4": torch.randn(5, 12, 4, 12, 12),
            "grid": torch.randn(5, 12 * 18),
            "audio": torch.randn(5, 28, 108),
            "heard": torch.ones(5, 1),
        }
        assert torch.equal(loaded(inputs), network(inputs))


def test_the_network_begins_with_the_backbones_own_conv5_and_fc() -> None:
    network = make(architecture("sm", "conv5")).eval()
    x = batch()["conv4"]
    value = {name: torch.from_numpy(values) for name, values in TAIL.items()}

    def norm(x: torch.Tensor, name: str) -> torch.Tensor:
        parts = (value[f"layer4.{name}.{part}"] for part in ("running_mean", "running_var", "weight", "bias"))
        return functional.batch_norm(x, *parts)

    for block in range(3):  # as Figure 3 has it, in three dimensions
        shortcut = functional.pad(x[:, :, ::2, ::2, ::2], (0, 0, 0, 0, 0, 0, 0, 256)) if block == 0 else x
        stride = 2 if block == 0 else 1
        x = functional.conv3d(x, value[f"layer4.{block}.conv1.weight"], stride=stride, padding=1)
        x = functional.relu(norm(x, f"{block}.bn1"))
        x = functional.conv3d(x, value[f"layer4.{block}.conv2.weight"], padding=1)
        x = functional.relu(norm(x, f"{block}.bn2") + shortcut)
    expected = x.mean(dim=(2, 3, 4)) @ value["fc.weight"].T + value["fc.bias"]
    torch.testing.assert_close(network.fc(network.conv5(batch()["conv4"])), expected, rtol=1e-3, atol=1e-3)


def test_the_first_layers_keep_the_size_of_the_signal() -> None:
    """Hidden layers as ReLUs need them: torch's own start shrinks a signal by each of them."""
    network = make(Architecture(3, tune="fc"))
    with torch.inference_mode():
        signal = network.classifier[:-1].eval()(torch.randn(500, 400))
    assert float(signal.pow(2).mean()) > 0.5
