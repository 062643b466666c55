"""Training and evaluation runs: every system and split on planted gestures, some on real recordings."""

import csv
import json
import pickle
import shutil
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from planted_store import CLASSES, write_recording, write_vocabulary
from recordings import write_video
from safetensors.numpy import load_file
from sklearn.metrics import precision_recall_fscore_support

from heads.intervals import clips_to_intervals
from heads.labelling import label
from heads.learner import Learner
from heads.model import load_model
from heads.settings import NAMES, PRESETS, Settings
from search import runs
from search.data import load_data
from search.fitting import Workbench
from search.folds import out_of_fold
from search.shelf import Shelf
from search.splits import make_folds
from search.tuning import Aim, tune
from store.annotations import Interval, read, write
from store.errors import InputError
from store.features import FeatureStore
from store.vocabulary import load_vocabulary

pytestmark = pytest.mark.usefixtures("one_thread", "tiny")

QUICK = Settings(epochs=2, tune="fc", batch=16, learning_rate=1e-3, widths=(32, 32), audio_widths=(32,))
GESTURES = slice(0, 2)  # of the classes; the background follows


@pytest.fixture(scope="module")
def made(tmp_path_factory) -> SimpleNamespace:
    """Three planted recordings, the last without sound."""
    folder = tmp_path_factory.mktemp("planted")
    annotated = [write_recording(folder / "S", name, sound=name != "c") for name in "abc"]
    vocabulary = write_vocabulary(folder / "two.toml")
    return SimpleNamespace(folder=folder, store=folder / "S", annotated=annotated, vocabulary=vocabulary)


@pytest.fixture
def train(made, tmp_path):
    def run(name: str = "model", settings: Settings = QUICK, **given) -> dict:
        chosen = {"store": made.store, "annotation_paths": made.annotated, "vocabulary": made.vocabulary} | given
        return runs.train(out=tmp_path / name, settings=settings, **chosen)

    return run


def content(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def clips_of(part: list[list[int]]) -> list[int]:
    return [clip for first, stop in part for clip in range(first, stop)]


@pytest.mark.parametrize("tune", ["conv5", "fc"])
@pytest.mark.parametrize("system", NAMES)
def test_every_system_trains_and_is_saved_as_it_was_scored(system, tune, train, made, tmp_path) -> None:
    result = train(system=system, settings=replace(QUICK, tune=tune))
    assert [path.name for path in tmp_path.iterdir()] == ["model"]
    assert sorted(content(tmp_path / "model")) == ["model.json", "model.safetensors"]
    evaluated = runs.evaluate(tmp_path / "model", made.store, made.annotated)
    assert evaluated["scores"] == result["scores"]["test"]
    json.dumps([result, evaluated], allow_nan=False)
    model = load_model(tmp_path / "model")
    assert model.describe() | {"model": result["model"]} == {
        key: value for key, value in result.items() if key not in ("notes", "untrained_backbone", "run")
    }
    probability = model.head.predict(model.clips([FeatureStore(made.store)[name] for name in "abc"]))
    assert probability.shape == (180, 3)
    assert ((probability >= 0) & (probability <= 1)).all()
    assert len(result["training"].get("history", ())) == (0 if system == "probe" else 3)
    assert ("conv4" if tune == "conv5" else "conv5") in model.head.inputs or system == "probe"
    assert ("audio" in model.head.inputs) == ("bimodal" in system)


@pytest.mark.parametrize("standardise", ["recording", "none"])
def test_context_is_saved_as_it_was_scored(standardise, train, made, tmp_path) -> None:
    settings = replace(QUICK, context=True, standardise=standardise, regression=False)
    result = train(settings=settings)
    assert runs.evaluate(tmp_path / "model", made.store, made.annotated)["scores"] == result["scores"]["test"]
    model, recordings = load_model(tmp_path / "model"), [FeatureStore(made.store)[name] for name in "abc"]
    together, alone = model.head.predict(model.clips(recordings)), model.head.predict(model.clips(recordings[1:2]))
    np.testing.assert_allclose(together[60:120], alone, atol=1e-6)  # no recording is another's context
    assert not np.allclose(replace(model.head, context=None).predict(model.clips(recordings)), together, atol=1e-3)


def test_nothing_is_left_of_trainings_that_were_given_up(train, tmp_path) -> None:
    for name in (".model.3.training", ".other.0.training"):
        (tmp_path / name).write_bytes(b"state")
    train(csv=tmp_path / "scores.csv")
    assert sorted(path.name for path in tmp_path.iterdir()) == [".other.0.training", "model", "scores.csv"]


@pytest.mark.parametrize(
    "damage",
    [
        lambda described: described.update(training={}),
        lambda described: described["training"].update(frequency=[0.5]),
        lambda described: described["training"].update(recordings={"a": {}}),
        lambda described: described["settings"].update(standardise="training"),
        lambda described: described["settings"].update(standardise="sometimes"),
    ],
)
def test_a_description_of_another_shape_is_damage(damage, train, made, tmp_path) -> None:
    train(system="probe")
    file = tmp_path / "model" / "model.json"
    described = json.loads(file.read_text())
    damage(described)
    file.write_text(json.dumps(described))
    with pytest.raises(InputError, match="model is damaged"):
        runs.evaluate(tmp_path / "model", made.store, made.annotated)


def test_learns_a_planted_signal(train) -> None:
    result = train(settings=Settings(epochs=8, batch=16, learning_rate=1e-3), split="random")
    scores = result["scores"]["test"]
    assert scores["macro_f1"] > scores["always_macro_f1"] + 0.15
    assert result["training"]["history"][-1]["loss"] < result["training"]["history"][1]["loss"]


@pytest.mark.parametrize("split", ["random", "paper-v1test", "leave-out:b", "leave-one-out", "cv:3"])
@pytest.mark.parametrize("system", ["probe", "sm+bb+ts"])
def test_every_split(split, system, train, made, tmp_path) -> None:
    result = train(split=split, system=system)
    described, scores = result["training"], result["scores"]
    known = {name: set(range(60)) for name in "abc"}
    if split in ("leave-one-out", "cv:3"):
        assert list(scores) == ["test", "folds"]
        assert scores["test"]["clips"] > 150
        assert sum(fold["clips"] for fold in scores["folds"].values()) == scores["test"]["clips"]
        assert len(scores["folds"]) == 3
        trained = {name: set(clips_of(each["training"])) for name, each in described["recordings"].items()}
        assert trained == known
        assert not any(each["test"] or each["validation"] for each in described["recordings"].values())
        with pytest.raises(InputError, match=r"no annotated clip that the model .* was not trained on") as refused:
            runs.evaluate(tmp_path / "model", made.store, made.annotated)
        assert "\n" not in str(refused.value)
    else:
        assert list(scores) == ["validation", "test"]
        parts = [
            {(name, clip) for name, each in described["recordings"].items() for clip in clips_of(each[part])}
            for part in ("training", "validation", "test")
        ]
        assert sum(map(len, parts)) == len(set.union(*parts))
        tested = {name for name, _ in parts[2]}
        assert {"random": tested, "paper-v1test": {"a"}, "leave-out:b": {"b"}}[split] == tested
        assert scores["test"]["clips"] == len(parts[2])
        assert runs.evaluate(tmp_path / "model", made.store, made.annotated)["scores"] == scores["test"]


def test_folds_end_where_their_median_was_best(train, tmp_path) -> None:
    result = train(split="cv:5", settings=replace(QUICK, epochs=4))
    assert len(result["training"]["history"]) == result["training"]["best_epoch"] + 1
    assert all(epoch["score"] == 0 for epoch in result["training"]["history"])  # nothing is watched


@pytest.mark.parametrize(
    ("split", "names", "problem"),
    [
        ("blocks", "abc", "no split is called 'blocks': there are blocked, random"),
        ("cv:two", "abc", "number of folds is 3 or more"),
        ("cv:99", "abc", "take fewer folds or annotate more"),
        ("leave-out:d", "abc", "no recording 'd' is annotated"),
        ("leave-out:a", "a", "only the video of a is annotated"),
        ("leave-one-out", "a", "only one video is annotated"),
    ],
)
def test_splits_that_cannot_be_made(split, names, problem, train, made, tmp_path) -> None:
    with pytest.raises(InputError, match=problem) as refused:
        train(split=split, annotation_paths=[path for path in made.annotated if path.stem in names])
    assert "\n" not in str(refused.value)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("system", ["sm+bb+ts", "bimodal-gated", "mm"])
def test_same_seed_same_model_bit_for_bit(system, train, tmp_path) -> None:
    settings = replace(QUICK, tune="conv5")
    first = train("first", settings, system=system)
    torch.manual_seed(77)  # whatever state the process is in
    again = train("again", settings, system=system)
    assert again | {"model": first["model"]} == first
    assert content(tmp_path / "first") == content(tmp_path / "again")
    train("other", replace(settings, seed=1), system=system)
    assert content(tmp_path / "other")["model.safetensors"] != content(tmp_path / "first")["model.safetensors"]


@pytest.fixture
def epochs(monkeypatch) -> list[int]:
    """Numbers of the epochs that are run."""
    seen, epoch = [], Learner.epoch

    def run(self: Learner, number: int) -> float:
        seen.append(number)
        return epoch(self, number)

    monkeypatch.setattr(Learner, "epoch", run)
    return seen


@pytest.fixture
def stop(monkeypatch):
    """Let training be interrupted while it is in some epoch, once."""

    def in_epoch(number: int) -> None:
        epoch, armed = Learner.epoch, [True]

        def run(self: Learner, at: int) -> float:
            loss = epoch(self, at)
            if at == number and armed.pop() if armed else False:
                raise KeyboardInterrupt
            return loss

        monkeypatch.setattr(Learner, "epoch", run)

    return in_epoch


@pytest.fixture
def always_kept(monkeypatch) -> None:
    monkeypatch.setattr("heads.checkpoint._SHARE_OF_TIME", 1e9)


@pytest.mark.usefixtures("always_kept")
@pytest.mark.parametrize(
    ("system", "split"), [("sm+bb+ts", "cv:3"), ("bimodal-gated", "blocked"), ("mm", "leave-one-out")]
)
def test_an_interrupted_training_goes_on_to_the_same_model(system, split, train, tmp_path, epochs, stop) -> None:
    settings = replace(QUICK, tune="conv5", epochs=4, patience=9, sampler=0.5, mixup=0.3)
    whole = train("model", settings, system=system, split=split)
    expected = content(tmp_path / "model")
    shutil.rmtree(tmp_path / "model")
    epochs.clear()
    stop(3)
    with pytest.raises(KeyboardInterrupt):
        train("model", settings, system=system, split=split)
    assert [path.name for path in tmp_path.iterdir()] == [".model.0.training"]
    epochs.clear()
    resumed = train("model", settings, system=system, split=split)
    assert epochs[:2] == [3, 4]
    assert resumed == whole
    assert content(tmp_path / "model") == expected
    assert [path.name for path in tmp_path.iterdir()] == ["model"]


@pytest.mark.usefixtures("always_kept")
@pytest.mark.parametrize(
    "change",
    ["nothing", "settings", "system", "split", "labels", "features", "sound", "flipped bit", "half", "foreign", "old"],
)
def test_only_the_state_of_the_same_training_is_gone_on_with(change, train, made, tmp_path, epochs, stop) -> None:
    stop(2)
    given = {"system": "bimodal", "settings": replace(QUICK, epochs=3, patience=9)}
    with pytest.raises(KeyboardInterrupt):
        train(**given)
    state = tmp_path / ".model.0.training"
    kept = state.read_bytes()
    if change == "settings":
        given["settings"] = replace(given["settings"], weight_decay=0.5)
    elif change == "system":
        given["system"] = "bimodal-gated"
    elif change == "split":
        given["split"] = "random"
    elif change in ("labels", "features", "sound"):
        shutil.copytree(made.folder, tmp_path / "copy", ignore=shutil.ignore_patterns("*.derived"))
        paths = [tmp_path / "copy" / path.name for path in made.annotated]
        given |= {"store": tmp_path / "copy" / "S", "annotation_paths": paths}
        if change == "labels":
            write(paths[0], [*read(paths[0]).intervals, Interval(0, 19.2, "nod")])
        else:
            shutil.rmtree(tmp_path / "copy" / "S" / "b")
            seed, sound = (1, True) if change == "features" else (0, False)
            write_recording(tmp_path / "copy" / "S", "b", seed=seed, sound=sound)
    elif change == "flipped bit":
        state.write_bytes(kept[:-5000] + bytes([kept[-5000] ^ 16]) + kept[-4999:])
    elif change == "half":
        state.write_bytes(kept[: len(kept) // 2])
    elif change == "foreign":
        state.write_bytes(pickle.dumps({"run": 1}))
    elif change == "old":
        state.write_bytes(kept[:-4])
    epochs.clear()
    train(**given)
    assert epochs[0] == (2 if change == "nothing" else 1)
    assert not state.exists()


@pytest.mark.parametrize(("system", "standardise"), [("sm+bb+ts", "none"), ("bimodal-gated", "training")])
def test_values_of_the_test_part_change_nothing(system, standardise, train, made, tmp_path) -> None:
    settings = replace(QUICK, standardise=standardise, tune="conv5")
    parts = train("first", settings, system=system)["training"]["recordings"]
    folder = tmp_path / "changed"
    folder.mkdir()
    for name, each in parts.items():
        unused = set(range(60)) - {*clips_of(each["training"]), *clips_of(each["validation"])}
        write_recording(folder / "S", name, sound=name != "c", changed=unused)
    train("second", settings, system=system, store=folder / "S")
    weights, changed = (load_file(tmp_path / name / "model.safetensors") for name in ("first", "second"))
    assert all(np.array_equal(weights[name], changed[name]) for name in weights | changed)
    first, second = (json.loads((tmp_path / name / "model.json").read_text()) for name in ("first", "second"))
    for key in ("thresholds", "probe_thresholds"):
        assert first[key] == second[key]
    assert first["training"]["history"] == second["training"]["history"]


@pytest.mark.parametrize("system", ["probe", "sm+bb+ts", "bimodal-gated"])
def test_labels_of_the_test_part_change_nothing(system, made) -> None:
    """Given the parts: which clips are tested may depend on the labels, so that no class is missing."""
    store, classes = FeatureStore(made.store), load_vocabulary(made.vocabulary)
    data = load_data(store, made.annotated, classes)
    (fold,) = make_folds("blocked", data.timeline, 0)
    learned = np.concatenate([fold.split.training, fold.split.validation])
    frames = ~data.labels.frames
    frames[learned] = data.labels.frames[learned]
    settings = replace(QUICK, class_weights=True, sampler=0.3)
    heads = []
    for labels in (data.labels, replace(data.labels, frames=frames)):
        bench = Workbench(Shelf(store, replace(data, labels=labels)), classes, system, settings)
        fitted = bench.fit(fold.split.training, fold.split.validation)
        heads.append((bench.predict(fitted, np.arange(180)), fitted.head.thresholds, fitted.probe.thresholds))
    for first, second in zip(*heads, strict=True):
        assert np.array_equal(first, second)


@pytest.mark.parametrize("split", ["blocked", "cv:3"])
def test_postprocessing_is_tuned_saved_and_scored(split, train, made, tmp_path) -> None:
    result = train(split=split, aim=Aim("event", per_class=True, trials=10))
    tuned = result["training"]["postprocessing"]
    assert tuned["difference"] == pytest.approx(tuned["tuned"] - tuned["plain"])
    model = load_model(tmp_path / "model")
    assert model.describe()["postprocessing"] == result["postprocessing"]
    if split == "blocked":
        assert runs.evaluate(tmp_path / "model", made.store, made.annotated)["scores"] == result["scores"]["test"]


def test_postprocessing_knows_nothing_of_the_test_part(made) -> None:
    store, classes = FeatureStore(made.store), load_vocabulary(made.vocabulary)
    data = load_data(store, made.annotated, classes)
    (fold,) = make_folds("blocked", data.timeline, 0)
    learned = np.concatenate([fold.split.training, fold.split.validation])
    frames = ~data.labels.frames
    frames[learned] = data.labels.frames[learned]
    found = []
    for labels in (data.labels, replace(data.labels, frames=frames)):
        changed = replace(data, labels=labels)
        scored = out_of_fold(Workbench(Shelf(store, changed), classes, "sm", QUICK), changed, learned, seed=0)
        found.append(tune(scored, Aim("frame", trials=10)))
    assert found[0].to_dict(classes.classes) == found[1].to_dict(classes.classes)
    assert np.array_equal(found[0].thresholds, found[1].thresholds)


def test_other_thresholds_need_no_training(train, made, tmp_path) -> None:
    result = train()
    scores = runs.evaluate(tmp_path / "model", made.store, made.annotated, thresholds={"NOD": 0.0, "lift": 1.0})
    rows, before = scores["scores"]["classes"], result["scores"]["test"]["classes"]
    assert (rows["nod"]["recall"], rows["lift"]["recall"]) == (1, 0)
    assert rows["nod"]["precision"] == pytest.approx(rows["nod"]["support"] / scores["scores"]["clips"])
    assert rows["still"] == before["still"]
    with pytest.raises(InputError, match="--threshold nods: the model knows no such class; there are nod, lift, still"):
        runs.evaluate(tmp_path / "model", made.store, made.annotated, thresholds={"nods": 0.5})


def test_what_is_not_annotated_is_masked(train, made, tmp_path) -> None:
    """Annotations outside the stretches marked as annotated count for nothing; a clip across the border neither."""
    paths = []
    for path in made.annotated:
        stretches = [Interval(0, 20.2, "annotated"), Interval(30, 38.4, "annotated")]
        paths.append(tmp_path / path.name)
        write(paths[-1], [*read(path).intervals, *stretches])
    result = train("first", annotation_paths=paths)
    used = {clip for name in "abc" for part in result["training"]["recordings"][name].values() for clip in _all(part)}
    assert used <= {*range(31), *range(47, 60)}
    for path, original in zip(paths, made.annotated, strict=True):
        outside = [Interval(20.5, 22, "nod"), Interval(25, 29.9, "lift")]
        inside = [each for each in read(original).intervals if each.begin < 20.2 or each.end > 30]
        write(path, [*inside, *outside, *stretches])
    again = train("second", annotation_paths=paths)
    assert again["scores"] == result["scores"]
    weights = [content(tmp_path / name)["model.safetensors"] for name in ("first", "second")]
    assert weights[0] == weights[1]


def _all(part: object) -> list[int]:
    return clips_of(part) if isinstance(part, list) and part and isinstance(part[0], list) else []


def test_the_clip_rule(train, made, tmp_path) -> None:
    paths = []
    for path in made.annotated:  # each gesture reaches one frame into the clips beside it
        paths.append(tmp_path / path.name)
        intervals = read(path).intervals
        write(paths[-1], [replace(each, begin=max(each.begin - 0.04, 0), end=each.end + 0.04) for each in intervals])
    usual, eager = (train(rule, replace(QUICK, clip_rule=rule), annotation_paths=paths) for rule in ("majority", "any"))
    assert (np.array(eager["training"]["frequency"]) > np.array(usual["training"]["frequency"]))[GESTURES].all()
    with pytest.raises(InputError, match="another clip rule"):
        runs.evaluate(tmp_path / "any", made.store, paths, against=tmp_path / "majority")
    evaluated = runs.evaluate(tmp_path / "any", made.store, paths)
    assert evaluated["scores"] == eager["scores"]["test"]


@pytest.mark.parametrize("standardise", ["recording", "training", "none"])
@pytest.mark.parametrize("system", ["probe", "bimodal"])
def test_standardising(standardise, system, train, made, tmp_path) -> None:
    result = train(settings=replace(QUICK, standardise=standardise), system=system)
    assert runs.evaluate(tmp_path / "model", made.store, made.annotated)["scores"] == result["scores"]["test"]
    names = load_file(tmp_path / "model" / "model.safetensors")
    assert any(name.startswith("scale.") for name in names) == (standardise == "training")
    model, recording = load_model(tmp_path / "model"), FeatureStore(made.store)["a"]
    x = model.clips([recording]).take("grid", np.arange(60)) if system == "probe" else None
    if x is not None:
        by_itself = np.allclose(x.mean(axis=0), 0, atol=1e-4) and np.allclose(x.std(axis=0), 1, atol=1e-3)
        assert by_itself == (standardise == "recording")


def test_the_papers_preset(train) -> None:
    settings = Settings(**{**PRESETS["paper"], "epochs": 2})
    result = train(settings=settings, system="sm+bb+ts")
    assert result["settings"]["optimiser"] == "adam"
    assert result["settings"]["standardise"] == "none"
    assert result["architecture"]["linear"] == ()
    assert len(result["training"]["history"]) == 3


def test_views_are_learned_from_where_all_recordings_have_them(made, tmp_path, train) -> None:
    store = tmp_path / "V"
    for name in "ab":
        write_recording(store, name, views=("plain", "flip"))
    paths = [tmp_path / "a.csv", tmp_path / "b.csv"]
    one, other = (
        train(name, replace(QUICK, views=views), store=store, annotation_paths=paths)
        for name, views in (("with", True), ("without", False))
    )
    assert one["training"]["history"] != other["training"]["history"]
    write_recording(store, "c", sound=False)
    train("mixed", QUICK, store=store)
    train("all", QUICK)
    assert content(tmp_path / "mixed")["model.safetensors"] == content(tmp_path / "all")["model.safetensors"]


def test_another_model_beside_it(train, made, tmp_path) -> None:
    train("one", split="leave-out:a")
    train("probe", split="leave-out:b", system="probe")
    table = tmp_path / "scores.csv"
    folder = tmp_path / "probe"
    with pytest.raises(InputError, match=r"no annotated clip that .*one and .*probe were not trained on"):
        runs.evaluate(tmp_path / "one", made.store, made.annotated, against=folder)
    write_recording(tmp_path / "T", "d")
    write_recording(tmp_path / "T", "a")
    paths = [tmp_path / "d.csv", tmp_path / "a.csv"]
    found = runs.evaluate(tmp_path / "one", tmp_path / "T", paths, against=folder, csv=table)
    assert found["scored"] == {"a": "0 clips, test part", "d": "60 clips, all annotated"}
    differences = found["scores"]["differences"]
    alone = runs.evaluate(tmp_path / "one", tmp_path / "T", paths[:1]), runs.evaluate(folder, tmp_path / "T", paths[:1])
    expected = alone[0]["scores"]["macro_f1"] - alone[1]["scores"]["macro_f1"]
    assert differences[f"model {folder}"]["mean"] == pytest.approx(expected)
    assert next(iter(differences)) == "probe"
    assert differences["probe"]["mean"] == pytest.approx(alone[0]["scores"]["differences"]["probe"]["mean"])
    rows = list(csv.DictReader(table.open()))
    (row,) = [row for row in rows if row["metric"] == f"macro_f1 above model {folder}"]
    assert float(row["value"]) == differences[f"model {folder}"]["mean"]
    json.dumps(found, allow_nan=False)


def test_a_model_of_other_classes_is_not_compared(train, made, tmp_path) -> None:
    train("one", system="probe")
    (tmp_path / "nods.toml").write_text('name = "nods"\ngestures = ["nod"]\n')
    train("other", system="probe", vocabulary=str(tmp_path / "nods.toml"))
    with pytest.raises(InputError, match="other: has other classes"):
        runs.evaluate(tmp_path / "one", made.store, made.annotated, against=tmp_path / "other")


def test_a_model_elsewhere_labels_a_new_video_and_refuses_a_store_of_another_spec(train, tmp_path, monkeypatch) -> None:
    train(system="bimodal-gated", settings=replace(QUICK, tune="conv5"))
    folder = tmp_path / "elsewhere" / "m"
    folder.parent.mkdir()
    shutil.move(tmp_path / "model", folder)

    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("pickle")

    with monkeypatch.context() as patch:
        for module, name in ((pickle, "load"), (pickle, "loads"), (pickle, "Unpickler"), (torch, "load")):
            patch.setattr(module, name, refuse)
        model = load_model(folder)
    json.loads(content(folder)["model.json"])
    size = int.from_bytes(content(folder)["model.safetensors"][:8], "little")
    json.loads(content(folder)["model.safetensors"][8 : 8 + size])

    video = write_video(tmp_path / "new.mov", 64)
    found = label(video, folder, tmp_path / "new.csv", store=tmp_path / "own", device="cpu")
    assert found["clips"] == 4
    recording = FeatureStore(tmp_path / "own")["new"]
    probability = model.head.predict(model.clips([recording]))
    present = model.head.postprocessing.present(probability, recording.read("times"))
    assert {each.tier for each in read(tmp_path / "new.csv").intervals} == {
        f"{name} [chironomy]" for name, present in zip(CLASSES, present.T, strict=False) if present.any()
    }
    other = tmp_path / "other"
    described = json.loads((folder / "model.json").read_text())
    described["spec"] |= {"weights": "random:7", "weights_sha256": "7" * 64}
    shutil.copytree(folder, other)
    (other / "model.json").write_text(json.dumps(described))
    out = tmp_path / "refused.csv"
    with pytest.raises(
        InputError, match=r"own: the store has weights: random:0 .*not random:7.*other needs"
    ) as refused:
        label(video, other, out, store=tmp_path / "own")
    assert "\n" not in str(refused.value)
    with pytest.raises(InputError, match=r"random:0 .*not random:7.*other needs the latter"):
        runs.evaluate(other, tmp_path / "own", [tmp_path / "new.csv"])
    assert not out.exists()


@pytest.mark.parametrize("system", ["bimodal", "bimodal-gated"])
@pytest.mark.parametrize("standardise", ["recording", "training"])
def test_without_sound_the_picture_decides(system, standardise, train, made, tmp_path) -> None:
    train(system=system, settings=replace(QUICK, standardise=standardise))
    video = write_video(tmp_path / "silent.mov", 64, sound=False)
    found = label(video, tmp_path / "model", tmp_path / "silent.csv", device="cpu")
    assert found["clips"] == 4
    model, store = load_model(tmp_path / "model"), FeatureStore(made.store)
    alone, beside = model.clips([store["c"]]), model.clips([store["a"], store["c"]])
    assert "audio" not in alone.inputs
    np.testing.assert_allclose(
        model.head.predict(alone), model.head.predict(beside, np.arange(60, 120)), rtol=0, atol=1e-6
    )


def test_nothing_to_hear_at_all(train, made, tmp_path) -> None:
    with pytest.raises(InputError, match="no sound is stored, which this system needs") as refused:
        train(system="bimodal", annotation_paths=made.annotated[2:])
    assert "\n" not in str(refused.value)
    assert list(tmp_path.iterdir()) == []


def test_no_such_device(train, tmp_path) -> None:
    if torch.cuda.is_available():
        pytest.skip("there is one")
    with pytest.raises(InputError, match="--device cuda: PyTorch finds no such GPU"):
        train(device="cuda")
    assert list(tmp_path.iterdir()) == []


def test_notes(made, train, tmp_path) -> None:
    stray, own = tmp_path / "elsewhere.csv", tmp_path / "a.csv"
    write(stray, [Interval(1, 2, "nod")])
    nods = [each for each in read(made.annotated[0]).intervals if each.tier == "nod"]
    within = Interval(0, 25.6, "annotated")
    foreign = Interval(1, 2, "Wave [chironomy]", "Wave")
    write(own, [*nods, Interval(1, 2, "Pause"), Interval(1, 2, "nods"), foreign, within])
    result = train(annotation_paths=[own, stray], system="probe")
    late = sum(each.begin >= 25.6 for each in nods)
    assert set(result["notes"]) == {
        f"{stray}: the store has no recording elsewhere; not used",
        f"{own}: left alone: Pause, nods",
        f"{own}: of another vocabulary, and not used: Wave [chironomy]; where nothing else is annotated, its "
        "'annotated' stretches count as without gestures",
        f"{own}: 'nods' is not in the vocabulary; did you mean 'nod'?",
        f"{own}: {late} annotations lie outside its 'annotated' stretches and are not used",
        "annotated nowhere, so neither learned nor scored: lift",
        "too little is annotated to hold anything out: the model learned from everything, and nothing is left to score "
        "it on; annotate more and train or update it to have scores",
    }


def test_what_is_held_out_of_little_is_told(train) -> None:
    def told(split: str) -> list[str]:
        result = train(split.replace(":", "-"), system="probe", split=split)
        return [note.partition(" from, the others are held out")[0] for note in result["notes"] if "held out" in note]

    (note,) = told("blocked")
    learned, known = (int(word) for word in note.split() if word.isdigit())
    assert 0 < learned < known
    assert f"{learned} of {known} annotated clips were learned" == note
    assert told("cv:3") == []


@pytest.mark.parametrize(
    ("name", "intervals", "problem"),
    [
        ("a", [Interval(1, 2, "WAVE")], "nothing in it matches"),
        ("a", [Interval(1, 2, "nod"), Interval(900, 901, "lift")], "1 of 2 annotations lie beyond its end"),
        ("a", [Interval(1, 1.1, "nod"), Interval(1, 1.2, "annotated")], "too little is annotated"),
        ("a", [Interval(0, 38, "annotated")], "no gesture in the training part"),  # the background is none
        ("a", [Interval(1, 2, "nod"), Interval(0, 600, "annotated")], "beyond its end, annotated up to 600.000 s"),
        ("nobody", [Interval(1, 2, "nod")], "none of its recordings"),
    ],
)
def test_annotations_that_cannot_be_used(name, intervals, problem, train, tmp_path) -> None:
    path = tmp_path / f"{name}.csv"
    write(path, intervals)
    with pytest.raises(InputError, match=problem) as refused:
        train(annotation_paths=[path])
    assert str(path) in str(refused.value)
    assert "\n" not in str(refused.value)
    assert list(tmp_path.iterdir()) == [path]


def test_a_video_trained_on_under_two_names_is_scored_on_neither_ones_training_clips(made, train, tmp_path) -> None:
    store = tmp_path / "S"
    shutil.copytree(made.store, store)
    shutil.copytree(store / "a", store / "twin")
    paths = [made.annotated[0], Path(shutil.copy(made.annotated[0], tmp_path / "twin.csv"))]
    trained = train(store=store, annotation_paths=paths, system="probe", split="random")
    held_out = [{*clips_of(each["test"])} for each in trained["training"]["recordings"].values()]
    scored = runs.evaluate(tmp_path / "model", store, paths)
    assert scored["scores"]["clips"] == 2 * len(held_out[0] & held_out[1])


@pytest.fixture(scope="module")
def vocabulary(tmp_path_factory) -> str:
    path = tmp_path_factory.mktemp("vocabulary") / "two.toml"
    path.write_text('name = "two"\ngestures = ["BEAT", "REP"]\n')
    return str(path)


@pytest.fixture(scope="module")
def beats(shared_data) -> Path:
    return shared_data / "annotated" / "beat_rep.txt"


def labels_by_hand(annotated: Path, store: Path) -> np.ndarray:
    """Return the clips' labels, frame by frame: any overlap, then at least eight of sixteen."""
    recording = FeatureStore(store)["beat_rep"]
    starts = recording.read("frame_times")
    ends = [*starts[1:], recording.attributes["frames_end"]]
    rows = [line.split("\t") for line in annotated.read_text().splitlines()]
    labels = np.zeros((183, 16, 2), bool)
    for number in range(183 * 16):
        for row in rows:
            overlaps = float(row[3]) < ends[number] and float(row[5]) > starts[number]
            if overlaps and row[-1] in ("BEAT", "REP"):
                labels[number // 16, number % 16, ("BEAT", "REP").index(row[-1])] = True
    return labels.sum(axis=1) >= 8


@pytest.mark.slow
@pytest.mark.parametrize(
    ("system", "split", "tune"),
    [("probe", "blocked", "fc"), ("sm+bb+ts", "random", "conv5"), ("sm", "blocked", "fc")],
)
def test_scores_of_a_real_recording_are_those_of_the_saved_model(
    system, split, tune, beat_rep_store, beats, vocabulary, tmp_path
) -> None:
    settings = Settings(epochs=1 if tune == "conv5" else 3, tune=tune)
    folder, recording = tmp_path / "model", FeatureStore(beat_rep_store)["beat_rep"]
    result = runs.train(beat_rep_store, [beats], vocabulary, folder, system=system, split=split, settings=settings)
    described = json.loads((folder / "model.json").read_text())
    parts = described["training"]["recordings"]["beat_rep"]
    test, training = clips_of(parts["test"]), clips_of(parts["training"])
    assert not set(test) & set(training)
    true = labels_by_hand(beats, beat_rep_store)
    loaded, scores = load_model(folder), result["scores"]["test"]
    clips = loaded.clips([recording], probe=True)
    present = loaded.head.predict(clips) >= [described["thresholds"][name] for name in ("BEAT", "REP")]
    expected = precision_recall_fscore_support(true[test], present[test], average=None, zero_division=0)
    for column, name in enumerate(("BEAT", "REP")):
        found = [scores["classes"][name][key] for key in ("precision", "recall", "f1", "support")]
        assert found == pytest.approx([values[column] for values in expected], abs=1e-9)
    assert scores["clips"] == len(test)
    assert scores["macro_f1"] == pytest.approx(np.mean(expected[2]))
    by_probe = loaded.probe.predict(clips) >= [described["probe_thresholds"][name] for name in ("BEAT", "REP")]
    macro = precision_recall_fscore_support(true[test], by_probe[test], average="macro", zero_division=0)[2]
    assert scores["probe_macro_f1"] == pytest.approx(macro)
    always = precision_recall_fscore_support(true[test], true[test] | True, average="macro", zero_division=0)[2]
    assert scores["always_macro_f1"] == pytest.approx(always)
    p, q = true[test].mean(axis=0), true[training].mean(axis=0)
    assert scores["chance_macro_f1"] == pytest.approx(np.mean(2 * p * q / np.maximum(p + q, 1e-12)))
    evaluated = runs.evaluate(folder, beat_rep_store, [beats])  # only the test part
    assert evaluated["scores"] == scores
    assert evaluated["scored"] == {"beat_rep": f"{len(test)} clips, test part"}
    assert evaluated["untrained_backbone"]


@pytest.mark.slow
def test_another_real_recording_is_scored_and_labelled_whole(
    beat_rep_store, beats, vocabulary, shared_data, tmp_path
) -> None:
    model = tmp_path / "model"
    runs.train(beat_rep_store, [beats], vocabulary, model, settings=Settings(epochs=2, tune="fc"))
    write(tmp_path / "pianist.csv", [Interval(1, 5, "BEAT"), Interval(8, 9, "REP")])
    result = runs.evaluate(model, beat_rep_store, [beats, tmp_path / "pianist.csv"])
    assert result["scored"]["pianist"] == "182 clips, all annotated"
    write(tmp_path / "pianist.csv", [Interval(1, 5, "BEAT"), Interval(0, 30, "annotated")])
    result = runs.evaluate(model, beat_rep_store, [tmp_path / "pianist.csv"])
    recording = FeatureStore(beat_rep_store)["pianist"]
    within = int((recording.read("times")[:, 1] <= 30).sum())
    assert result["scored"] == {"pianist": f"{within} clips, all annotated"}
    loaded = load_model(model)
    probability = loaded.head.predict(loaded.clips([recording]))
    present = loaded.head.postprocessing.present(probability, recording.read("times"))
    expected = clips_to_intervals(probability, present, recording.read("times"), ["BEAT", "REP"])
    video = tmp_path / "take 2.avi"  # known by its content
    video.symlink_to(shared_data / "video" / "pianist.avi")
    for ending in (".eaf", ".txt", ".csv"):
        out = tmp_path / f"out{ending}"
        labelled = label(video, model, out, store=beat_rep_store)
        assert (labelled["clips"], labelled["recording"]) == (182, "pianist")
        found = read(out)
        for name in ("BEAT", "REP"):
            mine = [each for each in found.intervals if each.tier == f"{name} [chironomy]"]
            wanted = [(each.begin, each.end) for each in expected if each.value == name]
            np.testing.assert_allclose([(each.begin, each.end) for each in mine], wanted, atol=6e-4)
            assert labelled["gestures"][name]["intervals"] == len(mine)
    assert FeatureStore(beat_rep_store).ids == ["beat_rep", "pianist"]
