"""The 3D-ResNet34 and its weights, against the published architecture and checkpoints' form."""

import pickle
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from published import published, published_shapes
from upath import UPath
from web import Server, serving

from extract import weights
from extract.backbones import design, designs, names
from extract.backbones.r3d34 import R3D34
from extract.weights import cache_folder, find_backbone, load_backbone
from store.errors import InputError


def skeleton(shortcut: str, outputs: int) -> R3D34:
    """The network without memory for its weights."""
    with torch.device("meta"):
        return R3D34(shortcut, outputs)


@pytest.mark.parametrize(("shortcut", "outputs"), [("A", 400), ("B", 700), ("B", 1039)])
def test_names_and_shapes_are_the_published_ones(shortcut, outputs):
    state = skeleton(shortcut, outputs).state_dict()
    found = {name: tuple(value.shape) for name, value in state.items() if "num_batches_tracked" not in name}
    assert found == published_shapes(shortcut, outputs)


@pytest.mark.parametrize(("shortcut", "outputs"), [("A", 400), ("B", 700), ("B", 1039)])
def test_shapes_along_the_way(shortcut, outputs):
    """The table of the notes: 64x16x56x56 after conv1, then 8x28x28, 4x14x14, 2x7x7, 1x4x4."""
    network = skeleton(shortcut, outputs)
    shapes = {}
    for name in ("conv1", "maxpool", "layer1", "layer2", "layer3", "layer4"):
        network.get_submodule(name).register_forward_hook(
            lambda _, __, output, name=name: shapes.update({name: tuple(output.shape[1:])})
        )
    clips = torch.zeros(2, 3, 16, 112, 112, device="meta")
    assert network(clips).shape == (2, outputs)
    assert shapes == {
        "conv1": (64, 16, 56, 56),
        "maxpool": (64, 8, 28, 28),
        "layer1": (64, 8, 28, 28),
        "layer2": (128, 4, 14, 14),
        "layer3": (256, 2, 7, 7),
        "layer4": (512, 1, 4, 4),
    }
    for each in designs("r3d34"):
        assert each.trunk_of(network)(clips).shape == (2, *each.feature_shape) == (2, 256, 2, 7, 7)
        assert each.conv5_of(network)(torch.zeros(2, *each.feature_shape, device="meta")).shape == (2, 512)


def test_number_of_parameters():
    network = skeleton("A", 400)
    # Each block: two convolutions of 27 taps and two batch norms of 2 numbers a channel.
    conv5 = 27 * (256 * 512 + 5 * 512 * 512) + 6 * 2 * 512
    trunk = (
        (343 * 3 * 64 + 2 * 64)
        + (27 * 6 * 64 * 64 + 6 * 2 * 64)
        + (27 * (64 * 128 + 7 * 128 * 128) + 8 * 2 * 128)
        + (27 * (128 * 256 + 11 * 256 * 256) + 12 * 2 * 256)
    )
    fc = 512 * 400 + 400
    assert sum(value.numel() for value in network.layer4.parameters()) == conv5
    assert sum(value.numel() for value in network.parameters()) == trunk + conv5 + fc
    assert round(conv5 / 1e6, 1) == 38.9
    assert round((trunk + conv5 + fc) / 1e6, 1) == 63.5


@pytest.fixture(scope="module")
def untrained():
    return load_backbone("random:7")


def test_random_weights(untrained):
    before = torch.get_rng_state()
    again, other = load_backbone("random:7"), load_backbone("random:8")
    assert torch.equal(torch.get_rng_state(), before)
    assert again.sha256 == untrained.sha256 != other.sha256
    assert (untrained.kind, untrained.source) == ("2018", "random:7")
    assert not untrained.network.training
    assert all(
        torch.equal(one, two)
        for one, two in zip(again.network.state_dict().values(), untrained.network.state_dict().values(), strict=True)
    )
    # He et al.: the deviation of a weight is sqrt(2 / (27 taps x 256 outputs)).
    weight = untrained.network.layer3[1].conv1.weight
    assert weight.std().item() == pytest.approx((2 / (27 * 256)) ** 0.5, rel=0.01)


def test_the_global_random_state_does_not_matter(untrained):
    torch.manual_seed(1234)
    assert load_backbone("random:7").sha256 == untrained.sha256


@pytest.mark.parametrize("weights", ["random:", "random:x", "random:1.5", "random:99999999999999999999"])
def test_a_bad_seed(weights):
    assert refused(lambda: load_backbone(weights)).startswith(f"{weights}: the seed")


def test_tail(untrained):
    tail = untrained.tail()
    expected = {name for name in published_shapes("A", 400) if name.startswith(("layer4.", "fc."))}
    assert tail.keys() == expected
    np.testing.assert_array_equal(tail["fc.bias"], untrained.network.fc.bias.detach().numpy())


def save(path: Path, content, legacy: bool = False) -> Path:
    torch.save(content, path, _use_new_zipfile_serialization=not legacy)
    return path


@pytest.mark.parametrize("legacy", [False, True])
def test_a_checkpoint_of_2018(tmp_path, legacy):
    """Wrapped, from DataParallel, without counts of batches, in the file format of its time."""
    state = published("A", 400)
    content = {
        "epoch": 200,
        "arch": "resnet-34",
        "state_dict": {f"module.{name}": value for name, value in state.items()},
        "optimizer": {"state": {0: {"momentum_buffer": torch.zeros(3)}}, "param_groups": [{"lr": 0.1, "params": [0]}]},
    }
    backbone = load_backbone(str(save(tmp_path / "resnet-34-kinetics.pth", content, legacy)))
    assert (backbone.kind, backbone.source) == ("2018", "resnet-34-kinetics.pth")
    assert_loaded(backbone, state)
    preprocessing = backbone.preprocessing
    assert preprocessing.mean == (114.7748, 107.7354, 99.4750)
    assert preprocessing.std == (1, 1, 1)
    assert (preprocessing.scale, preprocessing.size, preprocessing.resize) == (1, 112, "crop")


@pytest.mark.parametrize("wrapped", [False, True])
@pytest.mark.parametrize(("name", "outputs"), [("r3d34_K_200ep.pth", 700), ("r3d34_KM_200ep.pth", 1039)])
def test_a_checkpoint_of_2020(tmp_path, name, outputs, wrapped):
    state = published("B", outputs)
    content = {"epoch": 200, "arch": "resnet34", "state_dict": state} if wrapped else state
    backbone = load_backbone(str(save(tmp_path / name, content)))
    assert backbone.kind == "2020"
    assert_loaded(backbone, state)
    preprocessing = backbone.preprocessing
    assert preprocessing.mean == (0.4345, 0.4051, 0.3775)
    assert preprocessing.std == (0.2768, 0.2713, 0.2737)
    assert (preprocessing.scale, preprocessing.size, preprocessing.resize) == (255, 112, "crop")


def assert_loaded(backbone, state):
    loaded = backbone.network.state_dict()
    for name, value in state.items():
        assert torch.equal(loaded[name], value), name
    assert not backbone.network.training
    assert {value.device.type for value in loaded.values()} == {"cpu"}
    assert all(value.is_contiguous() and value.dtype != torch.float16 for value in loaded.values())


class Trap:
    def __reduce__(self):
        return (Path.touch, (Path("trap-was-here"),))


def missing_key(path):
    state = published("A", 400)
    del state["layer3.2.conv1.weight"]
    save(path, state)


def wrong_shape(path):
    save(path, published("A", 400) | {"layer1.0.conv1.weight": torch.zeros(64, 64, 1, 3, 3)})


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda path: path.write_bytes(pickle.dumps(Trap())), "not a PyTorch checkpoint"),
        (lambda path: save(path, {"state_dict": Trap()}), "not a PyTorch checkpoint"),
        (lambda path: path.write_text("weights, honestly\n"), "not a PyTorch checkpoint"),
        (lambda path: path.write_bytes(b"PK\x03\x04" + bytes(100)), "not a PyTorch checkpoint"),
        (lambda path: path.write_bytes(b""), "empty"),
        (lambda path: path.mkdir(), "folder"),
        (lambda path: None, "no such file"),
        (lambda path: save(path, [1, 2]), "no state dict"),
        (lambda path: save(path, {"fc.weight": 3}), "no state dict"),
        (lambda path: save(path, {1: torch.zeros(2)}), "no state dict"),
        (lambda path: save(path, {}), "not weights of r3d34"),
        (lambda path: save(path, published("A", 400) | {"fc.bias": torch.tensor(1.0)}), "not weights"),
        (lambda path: save(path, published("A", 700)), "fc.weight is 700x512, not 400x512"),
        (lambda path: save(path, published("B", 12)), "fc.weight is 12x512, not "),
        (lambda path: save(path, published("B", 700) | {"layer5.weight": torch.zeros(2)}), "unknown layer5.weight"),
        (lambda path: save(path, published("A", 400) | {"fc.bias": torch.zeros(400).to_sparse()}), "plain numbers"),
        (missing_key, "layer3.2.conv1.weight"),
        (wrong_shape, "layer1.0.conv1.weight"),
    ],
)
def test_what_is_not_a_checkpoint(tmp_path, monkeypatch, make, says):
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "weights.pth"
    make(path)
    message = refused(lambda: load_backbone(str(path)))
    assert message.startswith(f"{path}: ")
    assert says in message
    assert not Path("trap-was-here").exists()


@pytest.mark.parametrize("legacy", [False, True])
def test_damaged_checkpoints(tmp_path, legacy):
    """Whatever a flipped byte or a cut does to torch's unpickler, what is said is one line."""
    content = save(tmp_path / "whole.pth", published("A", 400), legacy).read_bytes()
    noise = np.random.default_rng(0)
    problems = []
    for _ in range(150):
        damaged = bytearray(content[: noise.integers(1, 2 * len(content))])
        for place in noise.integers(0, min(len(damaged), 20_000), 4):
            damaged[place] = noise.integers(256)
        (tmp_path / "damaged.pth").write_bytes(damaged)
        try:
            load_backbone(str(tmp_path / "damaged.pth"))
        except InputError as error:
            problems.append(str(error))
    assert len(problems) > 50
    assert all(problem.startswith(f"{tmp_path / 'damaged.pth'}: ") and "\n" not in problem for problem in problems)


def refused(action) -> str:
    with pytest.raises(InputError) as caught:
        action()
    message = str(caught.value)
    assert "\n" not in message
    assert "; " in message or "as in random:0" in message, "says what to do"
    return message


@pytest.fixture
def server(tmp_path, monkeypatch) -> Iterator[Server]:
    """A server in the place of those where r3d34's weights are published, and an empty cache."""
    monkeypatch.setenv("CHIRONOMY_CACHE", str(tmp_path / "cache"))
    with serving() as server:
        checkpoint = save(tmp_path / "checkpoint.pth", published("A", 400)).read_bytes()
        places = (
            server.publish("first-12345678.pth", checkpoint, "sha256", 8),
            server.publish("second.pth", checkpoint, "sha1"),
        )
        of_2018, of_2020 = designs("r3d34")
        served = (replace(of_2018, published=places), of_2020)
        monkeypatch.setattr(weights, "designs", lambda name: served if name == "r3d34" else designs(name))
        yield server


def test_auto_downloads_once(server):
    first = load_backbone("auto")
    assert (first.kind, first.source) == ("2018", "first-12345678.pth")
    assert load_backbone("auto").sha256 == first.sha256
    assert server.asked == [("first-12345678.pth", None)]


def test_auto_tries_the_published_places_in_turn(server):
    server.files["first-12345678.pth"] = b"<html>Please log in"
    assert load_backbone("auto").source == "second.pth"
    assert not (cache_folder() / "first-12345678.pth").exists()
    (cache_folder() / "second.pth").unlink()
    del server.files["first-12345678.pth"]
    assert load_backbone("auto").source == "second.pth"


def test_auto_goes_on_where_it_broke_off(server):
    server.stop_after = 1000
    assert "broke off after 1000 of" in refused(lambda: load_backbone("auto"))
    server.stop_after = None
    assert load_backbone("auto").source == "first-12345678.pth"
    assert ("first-12345678.pth", "bytes=1000-") in server.asked


def test_auto_without_a_network(server):
    server.files.clear()
    message = refused(lambda: load_backbone("auto"))
    for expected in (
        "127.0.0.1",
        "first-12345678.pth",
        "second.pth",
        "resnet-34-kinetics.pth or resnet-34-kinetics-cpu.pth from https://drive.google.com/drive/folders/1zvl89AgFAApbH0At-gMuZSeQB_LpNP-M",
        "r3d34_K_200ep.pth or r3d34_KM_200ep.pth from https://drive.google.com/drive/folders/1xbYbZ7rpyjftI_KCk6YuL-XrfQDz7Yd4",
        str(cache_folder()),
        "--weights random:0",
    ):
        assert expected in message
    assert {name for name, _ in server.asked} == {"first-12345678.pth", "second.pth"}


@pytest.mark.parametrize(
    ("name", "shortcut", "outputs", "kind"),
    [
        ("resnet-34-kinetics.pth", "A", 400, "2018"),
        ("r3d34_K_200ep.pth", "B", 700, "2020"),
        ("r3d34_KM_200ep.pth", "B", 1039, "2020"),
    ],
)
def test_auto_takes_what_was_put_into_the_cache(server, name, shortcut, outputs, kind):
    cache_folder().mkdir(parents=True)
    save(cache_folder() / name, published(shortcut, outputs))
    backbone = load_backbone("auto")
    assert (backbone.source, backbone.kind) == (name, kind)
    assert server.asked == []


def test_auto_does_not_trust_a_name_in_the_cache(server):
    """A published name with another content, as after a copy that broke off."""
    cache_folder().mkdir(parents=True)
    file = save(cache_folder() / "second.pth", published("A", 400) | {"fc.bias": torch.zeros(400)})
    message = refused(lambda: load_backbone("auto"))
    assert message.startswith(f"{file}: not the published file, sha1")
    assert "delete it" in message
    file.unlink()
    assert load_backbone("auto").source == "first-12345678.pth"


def test_no_such_backbone():
    message = refused(lambda: load_backbone("random:0", "resnet50"))
    assert message.startswith("resnet50: no such backbone")
    assert all(name in message for name in names())
    with pytest.raises(InputError, match="2018, 2020"):
        design("r3d34", "2019")


def test_found_by_hash(tmp_path, monkeypatch, untrained):
    monkeypatch.setenv("CHIRONOMY_CACHE", str(tmp_path / "cache"))
    made = load_backbone(str(save(tmp_path / "made.pth", published("A", 400))))
    spec = made.spec("float16", 16, 16, {})
    (tmp_path / "made.pth").rename(tmp_path / "elsewhere.pt")
    store = tmp_path / "stores" / "S"
    for folder in (cache_folder(), store):
        folder.mkdir(parents=True)
        (folder / "another.pth").write_bytes(b"something else")
        message = refused(lambda: find_backbone(spec, store, None))
        assert "made.pth" in message
        assert spec.weights_sha256[:12] in message
    for folder in (cache_folder(), store, store.parent):
        file = folder / "renamed.pth"
        file.write_bytes((tmp_path / "elsewhere.pt").read_bytes())
        for given in (None, "auto"):
            assert find_backbone(spec, store, given).sha256 == spec.weights_sha256
        file.unlink()
    assert find_backbone(spec, store, str(tmp_path / "elsewhere.pt")).sha256 == spec.weights_sha256
    assert find_backbone(spec, UPath("memory://bucket/S"), str(tmp_path / "elsewhere.pt")).sha256 == spec.weights_sha256
    assert "weights not found" in refused(lambda: find_backbone(spec, UPath("memory://bucket/S"), None))
    assert "not the weights" in refused(lambda: find_backbone(spec, None, "random:7"))

    random = untrained.spec("float16", 16, 16, {})
    assert find_backbone(random, None, None).sha256 == untrained.sha256
    assert find_backbone(random, None, "auto").sha256 == untrained.sha256
    altered = replace(random, weights_sha256="00" * 32)
    assert "not the weights" in refused(lambda: find_backbone(altered, None, None))
