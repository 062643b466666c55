"""A model on disk: saved, loaded, replaced, damaged."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.numpy import load_file, save_file
from synthetic import SPEC, VOCABULARY, planted, tail

from heads.model import FORMAT_VERSION, GestureModel, Head, check_destination, load_model
from heads.network import Architecture, GestureNetwork
from heads.probe import LinearProbe
from store.errors import InputError

THRESHOLDS = np.array([0.5, 1 / 3, np.nextafter(0.25, 1)])


def make_model(system: str = "sm", shortcut: str = "A", seed: int = 0) -> GestureModel:
    random = np.random.default_rng(seed)
    probe = Head(LinearProbe(random.normal(0, 0.01, (3, 4608)).astype(np.float32), np.zeros(3, np.float32)), THRESHOLDS)
    head = probe
    if system != "probe":
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            head = Head(GestureNetwork(tail(shortcut), Architecture(3, widths=(20, 30), dropout=0.4)), THRESHOLDS)
    return GestureModel(system, VOCABULARY, SPEC, head, probe, {"recordings": {}, "seed": seed}, {"test": {"clips": 3}})


@pytest.fixture(scope="module")
def saved(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("models") / "saved"
    make_model().save(folder)
    return folder


@pytest.fixture
def copy(saved: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(saved, tmp_path / "model"))


@pytest.mark.parametrize(("system", "shortcut"), [("probe", "A"), ("sm", "A"), ("sm", "B")])
def test_a_round_trip_changes_nothing(system: str, shortcut: str, tmp_path: Path) -> None:
    model = make_model(system, shortcut)
    model.save(tmp_path / "model")
    loaded = load_model(tmp_path / "model")
    assert (loaded.system, loaded.vocabulary, loaded.spec) == (system, VOCABULARY, SPEC)
    assert (loaded.training, loaded.scores) == (model.training, model.scores)
    assert loaded.describe() == model.describe()
    clips, _ = planted(clips=20)
    for before, after in ((model.head, loaded.head), (model.probe, loaded.probe)):
        probability = before.predict(clips)
        assert np.array_equal(after.thresholds, THRESHOLDS)
        assert np.array_equal(after.predict(clips), probability)
        assert np.array_equal(after.present(probability), probability >= THRESHOLDS)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["model"]
    assert sorted(path.name for path in (tmp_path / "model").iterdir()) == ["model.json", "model.safetensors"]


def test_the_description_is_in_plain_words(saved: Path) -> None:
    described = json.loads((saved / "model.json").read_text())
    assert described["thresholds"] == {"nod": 0.5, "freeze": 1 / 3, "play": np.nextafter(0.25, 1)}
    assert described["architecture"] == {
        "classes": 3,
        "widths": [20, 30],
        "dropout": 0.4,
        "backbone": "r3d34",
    }
    assert described["spec"]["weights"] == "random:0"
    assert described["vocabulary"]["gestures"] == ["nod", "freeze", "play"]


def test_a_model_from_before_there_were_other_backbones(copy: Path) -> None:
    described = json.loads((copy / "model.json").read_text())
    del described["architecture"]["backbone"]
    described["format_version"] = 1
    (copy / "model.json").write_text(json.dumps(described))
    clips, _ = planted(clips=20)
    assert np.array_equal(load_model(copy).head.predict(clips), make_model().head.predict(clips))


def test_an_edited_threshold_counts(copy: Path) -> None:
    described = json.loads((copy / "model.json").read_text())
    described["thresholds"]["freeze"] = 0.9
    (copy / "model.json").write_text(json.dumps(described))
    assert load_model(copy).head.thresholds.tolist() == [0.5, 0.9, THRESHOLDS[2]]


def test_weights_carry_the_backbones_names(saved: Path) -> None:
    weights = load_file(saved / "model.safetensors")
    original = tail()
    for name, values in original.items():
        assert np.array_equal(weights[name], values), name
    others = {name for name in weights if name not in original}
    assert all(name.startswith(("classifier.", "probe.")) for name in others)


def test_a_model_is_replaced(copy: Path) -> None:
    make_model("probe", seed=1).save(copy)
    loaded = load_model(copy)
    assert (loaded.system, loaded.training["seed"]) == ("probe", 1)
    assert [path.name for path in copy.parent.iterdir()] == ["model"]


def test_an_empty_folder_is_used(tmp_path: Path) -> None:
    (tmp_path / "model").mkdir()
    make_model("probe").save(tmp_path / "model")
    assert load_model(tmp_path / "model").system == "probe"


@pytest.mark.parametrize("what", ["file", "folder with a file", "model and more"])
def test_what_is_not_a_model_is_not_replaced(what: str, copy: Path, tmp_path: Path) -> None:
    target = tmp_path / "target"
    if what == "file":
        target.write_text("thesis")
    elif what == "model and more":
        copy.rename(target)
        (target / "notes.txt").write_text("thesis")
    else:
        target.mkdir()
        (target / "thesis.txt").write_text("thesis")
    before = sorted(str(path) for path in tmp_path.rglob("*"))
    for refuse in (check_destination, make_model("probe").save):
        with pytest.raises(InputError, match=f"^{target}: .*name another"):
            refuse(target)
    assert sorted(str(path) for path in tmp_path.rglob("*")) == before


def test_no_folder_for_the_model(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="there is no folder"):
        make_model("probe").save(tmp_path / "not" / "there")


def test_a_failed_replacement_leaves_the_earlier_model(copy: Path, monkeypatch) -> None:
    rename = Path.rename

    def fail_for_fresh(self: Path, target: Path) -> Path:
        if self.name == "fresh":
            raise OSError(28, "No space left on device")
        return rename(self, target)

    monkeypatch.setattr(Path, "rename", fail_for_fresh)
    with pytest.raises(InputError, match="No space left on device"):
        make_model("probe", seed=1).save(copy)
    assert load_model(copy).training["seed"] == 0


def rewrite(folder: Path, change) -> None:
    described = json.loads((folder / "model.json").read_text())
    change(described)
    (folder / "model.json").write_text(json.dumps(described))


def truncate(folder: Path) -> None:
    weights = folder / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1000])


def drop_a_tensor(folder: Path) -> None:
    weights = load_file(folder / "model.safetensors")
    del weights["fc.weight"]
    save_file(weights, folder / "model.safetensors")


DAMAGES = {
    "no description": lambda folder: (folder / "model.json").unlink(),
    "no weights": lambda folder: (folder / "model.safetensors").unlink(),
    "empty weights": lambda folder: (folder / "model.safetensors").write_bytes(b""),
    "truncated weights": truncate,
    "missing tensor": drop_a_tensor,
    "not JSON": lambda folder: (folder / "model.json").write_text("{"),
    "not text": lambda folder: (folder / "model.json").write_bytes(b"\xff\xfe\x00"),
    "a list": lambda folder: (folder / "model.json").write_text("[1, 2]"),
    "no thresholds": lambda folder: rewrite(folder, lambda described: described.pop("thresholds")),
    "a threshold of another class": lambda folder: rewrite(
        folder, lambda described: described.update(thresholds={"nod": 0.5})
    ),
    "a threshold in words": lambda folder: rewrite(
        folder, lambda described: described["thresholds"].update(nod="high")
    ),
    "no threshold": lambda folder: rewrite(folder, lambda described: described["thresholds"].update(nod=None)),
    "other widths": lambda folder: rewrite(folder, lambda described: described["architecture"].update(widths=[1])),
    "a vocabulary of nothing": lambda folder: rewrite(folder, lambda described: described.update(vocabulary=[])),
    "no spec": lambda folder: rewrite(folder, lambda described: described.update(spec=None)),
    "newer": lambda folder: rewrite(folder, lambda described: described.update(format_version=FORMAT_VERSION + 1)),
    "a version in words": lambda folder: rewrite(folder, lambda described: described.update(format_version="new")),
}


@pytest.mark.parametrize("damage", DAMAGES.values(), ids=DAMAGES)
def test_a_damaged_model_is_refused_in_one_line(damage, copy: Path) -> None:
    damage(copy)
    with pytest.raises(InputError) as refused:
        load_model(copy)
    message = str(refused.value)
    assert message.startswith(str(copy))
    assert "\n" not in message
    assert len(message) < 300


def test_a_newer_model_says_so(copy: Path) -> None:
    DAMAGES["newer"](copy)
    with pytest.raises(InputError, match="made by a newer chironomy; update"):
        load_model(copy)


@pytest.mark.parametrize("name", ["not-there", "file"])
def test_no_model(name: str, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    with pytest.raises(InputError, match=r"no model there.*chironomy train"):
        load_model(tmp_path / name)
