"""A model on disk: saved, loaded, replaced, damaged."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from planted_store import write_recording
from safetensors.numpy import load_file, save_file
from scipy.special import expit
from synthetic import SPEC, VOCABULARY, planted, pooled, tail

from heads.conv5 import Conv5
from heads.model import FORMAT_VERSION, GestureModel, Head, load_model
from heads.model_folder import check_destination
from heads.network import Architecture, make_network
from heads.postprocessing import PostProcessing
from heads.probe import LinearProbe
from heads.scale import Scale
from heads.settings import SYSTEMS, Settings
from store.errors import InputError

THRESHOLDS = np.array([0.5, 1 / 3, np.nextafter(0.25, 1)])
PLAIN = PostProcessing.plain(THRESHOLDS)
MODELS = PostProcessing(THRESHOLDS, *np.array([[1.0, 0.75, 0.5], [0.0, 0.4, 0.3], [0.0, 1.0, 2.0], [0.0, 0.5, 0.7]]))
INPUTS = ("audio", "conv5")


def make_model(system: str = "sm", shortcut: str = "A", seed: int = 0, tune: str = "conv5") -> GestureModel:
    random = np.random.default_rng(seed)
    probe = Head(LinearProbe(random.normal(0, 0.01, (3, 4608)).astype(np.float32), np.zeros(3, np.float32)), PLAIN)
    head, scales = probe, {}
    if system != "probe":
        parts = SYSTEMS[system]
        chosen = Architecture(
            3,
            widths=(20, 30),
            dropout=0.4,
            tune=tune,
            fusion=parts.fusion,
            audio_widths=(10,),
            per_gesture=parts.per_gesture,
            linear=("grid", "energy") if system == "bimodal-gated" else (),
        )
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            head = Head(make_network(tail(shortcut), chosen).eval(), MODELS)
        scales = {
            name: Scale(random.normal(0, 1, (1, 5)).astype("f"), np.ones((1, 5), "f")) for name in ("conv4", "grid")
        }
    return GestureModel(
        system,
        VOCABULARY,
        SPEC,
        head,
        probe,
        Settings(seed=seed, tune=tune, widths=(20, 30), learning_rate=0.1 + 0.2),
        scales,
        {"recordings": {}, "frequency": [0.5, 0.3, 0.1]},
        {"test": {"clips": 3}},
    )


@pytest.fixture(scope="module")
def saved(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("models") / "saved"
    make_model(tune="fc").save(folder)
    return folder


@pytest.fixture
def copy(saved: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(saved, tmp_path / "model"))


@pytest.mark.parametrize(
    ("system", "shortcut", "tune"),
    [
        ("probe", "A", "conv5"),
        ("sm", "A", "conv5"),
        ("sm", "B", "conv5"),
        ("sm", "A", "fc"),
        ("mm", "A", "fc"),
        ("bimodal", "A", "fc"),
        ("bimodal-gated", "A", "conv5"),
    ],
)
def test_a_round_trip_changes_nothing(system: str, shortcut: str, tune: str, tmp_path: Path) -> None:
    model = make_model(system, shortcut, tune=tune)
    model.save(tmp_path / "model")
    loaded = load_model(tmp_path / "model")
    assert (loaded.system, loaded.vocabulary, loaded.spec) == (system, VOCABULARY, SPEC)
    assert (loaded.training, loaded.scores, loaded.settings) == (model.training, model.scores, model.settings)
    assert loaded.describe() == model.describe()
    assert loaded.scales.keys() == model.scales.keys()
    for name, scale in model.scales.items():
        assert np.array_equal(loaded.scales[name].mean, scale.mean)
        assert np.array_equal(loaded.scales[name].divisor, scale.divisor)
    clips, _ = planted(clips=20, more=INPUTS)
    for before, after in ((model.head, loaded.head), (model.probe, loaded.probe)):
        probability = before.predict(clips)
        assert before.inputs == after.inputs
        assert np.array_equal(after.thresholds, THRESHOLDS)
        assert np.array_equal(after.predict(clips), probability)
        assert after.predict(clips, np.array([3, 11])).shape == (2, 3)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["model"]
    assert sorted(path.name for path in (tmp_path / "model").iterdir()) == ["model.json", "model.safetensors"]


def test_the_description_is_in_plain_words(saved: Path) -> None:
    described = json.loads((saved / "model.json").read_text())
    assert described["format_version"] == FORMAT_VERSION == 4
    assert described["thresholds"] == {"nod": 0.5, "freeze": 1 / 3, "play": np.nextafter(0.25, 1)}
    assert described["postprocessing"]["freeze"] == {
        "continues_at_share_of_threshold": 0.75,
        "smoothing_seconds": 0.4,
        "gaps_filled_below_seconds": 1.0,
        "dropped_below_seconds": 0.5,
    }
    assert described["architecture"] == {
        "classes": 3,
        "widths": [20, 30],
        "dropout": 0.4,
        "backbone": "r3d34",
        "tune": "fc",
        "fusion": None,
        "sound": [28, 108],
        "audio_widths": [10],
        "per_gesture": False,
        "linear": [],
    }
    assert described["settings"]["learning_rate"] == 0.1 + 0.2
    assert described["spec"]["weights"] == "random:0"
    assert described["vocabulary"]["gestures"] == ["nod", "freeze", "play"]


def write_as_before(folder: Path, version: int) -> tuple[np.ndarray, np.ndarray]:
    """Write a model as formats 1 and 2 were, and return what network and probe then said of some clips."""
    random = np.random.default_rng(4)
    weights = tail()
    for number, (features, units) in enumerate([(400, 20), (20, 30), (30, 3)]):
        weights[f"classifier.{3 * number}.weight"] = random.normal(0, features**-0.5, (units, features)).astype("f")
        weights[f"classifier.{3 * number}.bias"] = random.normal(0, 0.1, units).astype("f")
    probe = random.normal(0, 0.01, (3, 4608)).astype("f"), random.normal(0, 1, 3).astype("f")
    architecture = {"classes": 3, "widths": [20, 30], "dropout": 0.4, "backbone": "r3d34"}
    spec = SPEC.to_dict()
    if version == 1:
        del architecture["backbone"]
    described = {
        "format_version": version,
        "system": "sm+bb+ts",
        "vocabulary": VOCABULARY.to_dict(),
        "spec": spec,
        "architecture": architecture,
        "thresholds": dict.fromkeys(VOCABULARY.classes, 0.25),
        "probe_thresholds": dict.fromkeys(VOCABULARY.classes, 0.75),
        "training": {
            "system": "sm+bb+ts",
            "epochs": 30,
            "patience": 8,
            "batch": 32,
            "learning_rate": 1e-4,
            "weight_decay": 0.01,
            "tune": "fc",
            "seed": 7,
            "best_epoch": 3,
            "history": [],
            "split": "blocked",
            "recordings": {},
            "frequency": [0.5, 0.3, 0.1],
        },
        "scores": {"test": {"clips": 3}},
    }
    folder.mkdir()
    (folder / "model.json").write_text(json.dumps(described))
    save_file(weights | {"probe.weight": probe[0], "probe.bias": probe[1]}, folder / "model.safetensors")

    clips, _ = planted(clips=20)
    stored = clips.rows["conv4", "plain"].astype(np.float32)
    pooled_before = pooled(stored)
    x = np.empty_like(stored)
    for number in range(2):
        mine = clips.recording == number
        x[mine] = (stored[mine] - stored[mine].mean(axis=0)) / stored[mine].std(axis=0)
        pooled_before[mine] -= pooled_before[mine].mean(axis=0)
        pooled_before[mine] /= pooled_before[mine].std(axis=0)
    with torch.inference_mode():
        y = Conv5(tail()).eval()(torch.from_numpy(x)).numpy() @ weights["fc.weight"].T + weights["fc.bias"]
    for number in range(3):
        y = y @ weights[f"classifier.{3 * number}.weight"].T + weights[f"classifier.{3 * number}.bias"]
        y = np.maximum(y, 0) if number < 2 else y
    return expit(y), expit(pooled_before @ probe[0].T + probe[1])


@pytest.mark.parametrize("version", [1, 2])
def test_a_model_of_an_earlier_format_predicts_as_before(version: int, tmp_path: Path) -> None:
    expected, by_probe = write_as_before(tmp_path / "old", version)
    model = load_model(tmp_path / "old")
    assert model.head.inputs == ("conv4",)  # with conv5 even where only fc had learned
    assert (model.settings.standardise, model.settings.clip_rule) == ("recording", "majority")
    assert (model.settings.seed, model.settings.epochs) == (7, 30)
    assert model.head.thresholds.tolist() == [0.25] * 3
    assert model.probe.thresholds.tolist() == [0.75] * 3
    clips, _ = planted(clips=20)
    np.testing.assert_allclose(model.head.predict(clips), expected, rtol=1e-3, atol=1e-4)
    np.testing.assert_allclose(model.probe.predict(clips), by_probe, rtol=1e-3, atol=1e-4)
    model.save(tmp_path / "new")
    again = load_model(tmp_path / "new")
    assert np.array_equal(again.head.predict(clips), model.head.predict(clips))
    assert again.describe()["format_version"] == FORMAT_VERSION


def test_an_edited_threshold_counts(copy: Path) -> None:
    described = json.loads((copy / "model.json").read_text())
    described["thresholds"]["freeze"] = 0.9
    (copy / "model.json").write_text(json.dumps(described))
    assert load_model(copy).head.thresholds.tolist() == [0.5, 0.9, THRESHOLDS[2]]


def test_a_model_is_replaced(copy: Path) -> None:
    make_model("probe", seed=1).save(copy)
    loaded = load_model(copy)
    assert (loaded.system, loaded.settings.seed) == ("probe", 1)
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
    with pytest.raises(InputError, match="name a folder of its own"):
        check_destination(Path())


@pytest.mark.usefixtures("tiny")
def test_no_model_inside_a_store(tmp_path: Path, monkeypatch) -> None:
    write_recording(tmp_path / "S", "a")
    monkeypatch.chdir(tmp_path / "S")
    for inside in (tmp_path / "S" / "model", tmp_path / "S" / "a" / "model", Path("model")):
        with pytest.raises(InputError, match=rf"^{inside}: lies inside the feature store {tmp_path / 'S'}; name"):
            check_destination(inside)


def test_a_failed_replacement_leaves_the_earlier_model(copy: Path, monkeypatch) -> None:
    rename = Path.rename

    def fail_for_fresh(self: Path, target: Path) -> Path:
        if self.name == "fresh":
            raise OSError(28, "No space left on device")
        return rename(self, target)

    monkeypatch.setattr(Path, "rename", fail_for_fresh)
    with pytest.raises(InputError, match="No space left on device"):
        make_model("probe", seed=1).save(copy)
    assert load_model(copy).settings.seed == 0


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


def drop_a_divisor(folder: Path) -> None:
    weights = load_file(folder / "model.safetensors")
    del weights["scale.grid.divisor"]
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
    "no postprocessing": lambda folder: rewrite(folder, lambda described: described.pop("postprocessing")),
    "a share above 1": lambda folder: rewrite(
        folder,
        lambda described: described["postprocessing"]["nod"].update(continues_at_share_of_threshold=1.5),
    ),
    "a time below 0": lambda folder: rewrite(
        folder, lambda described: described["postprocessing"]["nod"].update(smoothing_seconds=-1)
    ),
    "no thresholds": lambda folder: rewrite(folder, lambda described: described.pop("thresholds")),
    "a threshold of another class": lambda folder: rewrite(
        folder, lambda described: described.update(thresholds={"nod": 0.5})
    ),
    "a threshold in words": lambda folder: rewrite(
        folder, lambda described: described["thresholds"].update(nod="high")
    ),
    "no threshold": lambda folder: rewrite(folder, lambda described: described["thresholds"].update(nod=None)),
    "other widths": lambda folder: rewrite(folder, lambda described: described["architecture"].update(widths=[1])),
    "a setting of nothing": lambda folder: rewrite(folder, lambda described: described.update(settings=3)),
    "an unknown loss": lambda folder: rewrite(folder, lambda described: described["settings"].update(loss="l1")),
    "tuned from nowhere": lambda folder: rewrite(folder, lambda described: described["settings"].update(tune=None)),
    "an unknown part": lambda folder: rewrite(folder, lambda described: described["architecture"].update(depth=3)),
    "a scale without its divisor": drop_a_divisor,
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
