"""Training and evaluation runs on real recordings, with an untrained backbone."""

import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from sklearn.metrics import precision_recall_fscore_support

from heads.clips import load_clips
from heads.labelling import label
from heads.model import load_model
from heads.training import Settings
from search import runs
from store.annotations import Interval, read, write
from store.errors import InputError
from store.features import FeatureStore

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("one_thread")]

CLASSES = ("BEAT", "REP")
QUICK = Settings(epochs=2)
COMBINATIONS = [
    ("probe", "blocked", "fc"),
    ("probe", "random", "fc"),
    ("sm", "blocked", "fc"),
    ("sm+bb", "random", "fc"),
    ("sm+bb+ts", "blocked", "fc"),
    ("sm+bb+ts", "random", "conv5"),
]


@pytest.fixture(scope="module")
def vocabulary(tmp_path_factory) -> str:
    path = tmp_path_factory.mktemp("vocabulary") / "two.toml"
    path.write_text('name = "two"\ngestures = ["BEAT", "REP"]\n')
    return str(path)


@pytest.fixture(scope="module")
def annotated(shared_data) -> Path:
    return shared_data / "annotated" / "beat_rep.txt"


@pytest.fixture(scope="module")
def trained(beat_rep_store, annotated, vocabulary, tmp_path_factory):
    """Return model folders and results by system, split and what was tuned, each trained when asked for."""
    folder, done = tmp_path_factory.mktemp("models"), {}

    def train(system: str, split: str, tune: str) -> tuple[Path, dict]:
        key = (system, split, tune)
        if key not in done:
            out = folder / "-".join(key)
            settings = replace(QUICK, tune=tune)
            result = runs.train(
                beat_rep_store, [annotated], vocabulary, out, system=system, split=split, settings=settings
            )
            done[key] = out, result
        return done[key]

    return train


@pytest.fixture
def probe_model(trained) -> Path:
    return trained("probe", "blocked", "fc")[0]


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
            if overlaps and row[-1] in CLASSES:
                labels[number // 16, number % 16, CLASSES.index(row[-1])] = True
    return labels.sum(axis=1) >= 8


@pytest.mark.parametrize(("system", "split", "tune"), COMBINATIONS)
def test_scores_are_those_of_the_saved_model(system, split, tune, trained, beat_rep_store, annotated) -> None:
    folder, result = trained(system, split, tune)
    described = json.loads((folder / "model.json").read_text())
    parts = described["training"]["recordings"]["beat_rep"]
    test = np.concatenate([np.arange(first, stop) for first, stop in parts["test"]])
    training = np.concatenate([np.arange(first, stop) for first, stop in parts["training"]])
    assert not set(test) & set(training)
    true = labels_by_hand(annotated, beat_rep_store)
    loaded = load_model(folder)
    clips = load_clips([FeatureStore(beat_rep_store)["beat_rep"]])
    thresholds = [described["thresholds"][name] for name in CLASSES]
    present = loaded.head.predict(clips) >= thresholds
    expected = precision_recall_fscore_support(true[test], present[test], average=None, zero_division=0)
    for column, name in enumerate(CLASSES):
        row = result["scores"]["test"]["classes"][name]
        found = [row[key] for key in ("precision", "recall", "f1", "support")]
        assert found == pytest.approx([values[column] for values in expected], abs=1e-9)
    scores = result["scores"]["test"]
    assert scores["clips"] == len(test)
    assert scores["macro_f1"] == pytest.approx(np.mean(expected[2]))
    by_probe = loaded.probe.predict(clips) >= [described["probe_thresholds"][name] for name in CLASSES]
    macro = precision_recall_fscore_support(true[test], by_probe[test], average="macro", zero_division=0)[2]
    assert scores["probe_macro_f1"] == pytest.approx(macro)
    always = precision_recall_fscore_support(true[test], true[test] | True, average="macro", zero_division=0)[2]
    assert scores["always_macro_f1"] == pytest.approx(always)
    p, q = true[test].mean(axis=0), true[training].mean(axis=0)
    assert scores["chance_macro_f1"] == pytest.approx(np.mean(2 * p * q / np.maximum(p + q, 1e-12)))

    evaluated = runs.evaluate(folder, beat_rep_store, [annotated])  # only the test part
    assert evaluated["scores"] == scores
    assert evaluated["scored"] == {"beat_rep": f"{len(test)} clips, test part"}
    assert evaluated["untrained_backbone"]
    json.dumps([result, evaluated], allow_nan=False)


def test_another_recording_is_scored_whole(probe_model, beat_rep_store, annotated, tmp_path) -> None:
    write(tmp_path / "pianist.csv", [Interval(1, 5, "BEAT"), Interval(8, 9, "REP")])
    result = runs.evaluate(probe_model, beat_rep_store, [annotated, tmp_path])
    assert result["scored"]["pianist"] == "182 clips, all annotated"
    write(tmp_path / "pianist.csv", [Interval(1, 5, "BEAT"), Interval(0, 30, "annotated")])
    result = runs.evaluate(probe_model, beat_rep_store, [tmp_path])
    clips = int((FeatureStore(beat_rep_store)["pianist"].read("times")[:, 1] <= 30).sum())
    assert result["scored"] == {"pianist": f"{clips} clips, all annotated"}
    assert result["scores"]["clips"] == clips


def test_a_probe_is_its_own_baseline(trained) -> None:
    scores = trained("probe", "blocked", "fc")[1]["scores"]["test"]
    assert scores["macro_f1"] == scores["probe_macro_f1"]


def test_same_seed_same_model(trained, beat_rep_store, annotated, vocabulary, tmp_path) -> None:
    folder, result = trained("sm+bb+ts", "blocked", "fc")
    settings = replace(QUICK, tune="fc")
    again = runs.train(beat_rep_store, [annotated], vocabulary, tmp_path / "again", settings=settings)
    assert again | {"model": result["model"]} == result
    for name in ("model.json", "model.safetensors"):
        assert (tmp_path / "again" / name).read_bytes() == (folder / name).read_bytes()


def test_notes(beat_rep_store, annotated, vocabulary, tmp_path) -> None:
    stray = tmp_path / "elsewhere.csv"
    write(stray, [Interval(1, 2, "BEAT")])
    own = tmp_path / "beat_rep.csv"
    write(own, [*read(annotated).intervals, Interval(1, 2, "Pause"), Interval(1, 2, "BEATS")])
    result = runs.train(beat_rep_store, [own, stray], vocabulary, tmp_path / "model", system="probe")
    assert f"{stray}: the store has no recording elsewhere; not used" in result["notes"]
    assert f"{own}: left alone: Pause, BEATS" in result["notes"]
    assert f"{own}: 'BEATS' is not in the vocabulary; did you mean 'BEAT'?" in result["notes"]


def test_what_is_not_learned_is_noted(beat_rep_store, annotated, vocabulary, tmp_path) -> None:
    half = tmp_path / "beat_rep.csv"
    beats = [each for each in read(annotated).intervals if each.value == "BEAT"]
    write(half, [*beats, Interval(0, 60, "annotated")])
    late = sum(each.begin >= 60 for each in beats)
    result = runs.train(beat_rep_store, [half], vocabulary, tmp_path / "model", system="probe")
    assert f"{half}: {late} annotations lie outside its 'annotated' stretches and are not used" in result["notes"]
    assert "annotated nowhere, so it cannot be learned: REP" in result["notes"]


@pytest.mark.parametrize(
    ("name", "intervals", "problem"),
    [
        ("beat_rep", [Interval(1, 2, "WAVE")], "nothing in it matches"),
        ("beat_rep", [Interval(1, 2, "BEAT"), Interval(900, 901, "REP")], "lies beyond the end of the video beat_rep"),
        ("beat_rep", [Interval(1, 2, "BEAT"), Interval(0, 4, "annotated")], "too little is annotated"),
        ("beat_rep", [Interval(0, 90, "annotated")], "no gesture in the training part"),
        ("beat_rep", [Interval(1, 2, "BEAT"), Interval(0, 600, "annotated")], "annotated from 0.000 to 600.000 s lies"),
        ("nobody", [Interval(1, 2, "BEAT")], "none of its recordings"),
    ],
)
def test_annotations_that_cannot_be_used(name, intervals, problem, beat_rep_store, vocabulary, tmp_path) -> None:
    path = tmp_path / f"{name}.csv"
    write(path, intervals)
    with pytest.raises(InputError, match=problem) as refused:
        runs.train(beat_rep_store, [path], vocabulary, tmp_path / "model", system="probe")
    assert str(path) in str(refused.value)
    assert "\n" not in str(refused.value)
    assert list(tmp_path.iterdir()) == [path]


def test_background_alone_is_no_gesture(beat_rep_store, tmp_path) -> None:
    vocabulary = tmp_path / "two.toml"
    vocabulary.write_text('name = "two"\ngestures = ["BEAT"]\nbackground = "still"\n')
    write(tmp_path / "beat_rep.csv", [Interval(0, 90, "annotated")])
    with pytest.raises(InputError, match="no gesture in the training part"):
        runs.train(beat_rep_store, [tmp_path / "beat_rep.csv"], str(vocabulary), tmp_path / "model", system="probe")


def test_unknown_split(beat_rep_store, annotated, vocabulary, tmp_path) -> None:
    with pytest.raises(ValueError, match="unknown split 'blocks'"):
        runs.train(beat_rep_store, [annotated], vocabulary, tmp_path / "model", split="blocks")


@pytest.fixture
def foreign(probe_model, tmp_path) -> Path:
    """A model that needs features of other weights."""
    folder = Path(shutil.copytree(probe_model, tmp_path / "foreign"))
    described = json.loads((folder / "model.json").read_text())
    described["spec"] |= {"weights": "random:7", "weights_sha256": "7" * 64}
    (folder / "model.json").write_text(json.dumps(described))
    return folder


def test_a_model_of_other_features_is_refused(foreign, beat_rep_store, annotated, shared_data, tmp_path) -> None:
    with pytest.raises(InputError, match=r"random:0 .*not random:7.*foreign needs the latter"):
        runs.evaluate(foreign, beat_rep_store, [annotated])
    out = tmp_path / "out.eaf"
    with pytest.raises(InputError, match=r"random:0 .*not random:7.*foreign needs the latter"):
        label(shared_data / "video" / "pianist.avi", foreign, out, store=beat_rep_store)
    assert not out.exists()


@pytest.mark.parametrize("ending", [".eaf", ".txt", ".csv"])
def test_label(ending, probe_model, beat_rep_store, shared_data, tmp_path) -> None:
    out = tmp_path / f"pianist{ending}"
    result = label(shared_data / "video" / "pianist.avi", probe_model, out, store=beat_rep_store)
    assert (result["clips"], result["recording"]) == (182, "pianist")
    found = read(out)
    loaded, recording = load_model(probe_model), FeatureStore(beat_rep_store)["pianist"]
    present = loaded.head.present(loaded.head.predict(load_clips([recording])))
    middles = recording.read("times").mean(axis=1)
    for column, name in enumerate(CLASSES):
        mine = [each for each in found.intervals if each.tier == f"{name} [chironomy]"]
        covered = [any(each.begin < middle < each.end for each in mine) for middle in middles]
        assert covered == present[:, column].tolist()
        assert result["gestures"][name]["intervals"] == len(mine)


def test_labelling_knows_a_video_by_its_content(probe_model, beat_rep_store, shared_data, tmp_path) -> None:
    video = tmp_path / "take 2.avi"
    video.symlink_to(shared_data / "video" / "pianist.avi")
    result = label(video, probe_model, tmp_path / "out.csv", store=beat_rep_store)
    assert result["recording"] == "pianist"
    assert FeatureStore(beat_rep_store).ids == ["beat_rep", "pianist"]


def test_a_video_trained_on_under_two_names_is_scored_on_neither_ones_training_clips(
    beat_rep_store, annotated, vocabulary, tmp_path
) -> None:
    store = tmp_path / "S"
    shutil.copytree(beat_rep_store, store)
    shutil.copytree(store / "beat_rep", store / "twin")
    twin = shutil.copy(annotated, tmp_path / "twin.txt")
    paths = [annotated, Path(twin)]
    trained = runs.train(store, paths, vocabulary, tmp_path / "model", system="probe", split="random")
    entries = trained["training"]["recordings"].values()
    held_out = [{clip for first, stop in entry["test"] for clip in range(first, stop)} for entry in entries]
    scored = runs.evaluate(tmp_path / "model", store, paths)
    assert scored["scores"]["clips"] == 2 * len(held_out[0] & held_out[1])
    assert scored["scores"]["clips"] < len(held_out[0]) + len(held_out[1])
