"""Predictions and learning of a review, on a store of small planted activations."""

from collections.abc import Iterator
from pathlib import Path

import pytest
import tiny_backbone
from planted_store import CLASSES, write_recording, write_vocabulary

from heads.labelling import label, predict_video
from heads.model import load_model
from heads.settings import Settings
from review.tasks import Learning, learn
from search.runs import train
from store.annotations import ANNOTATED_TIER, Interval, convert, read, write
from store.errors import InputError

CLIPS = 60


@pytest.fixture(scope="module")
def folder(tmp_path_factory, one_thread) -> Iterator[Path]:
    """A store of two recordings, their annotations, a model of one of them; and what passes for the video of both."""
    folder = tmp_path_factory.mktemp("learning")
    with tiny_backbone.added(tmp_path_factory.mktemp("family")):
        for name in ("a", "b"):
            write_recording(folder / "store", name, CLIPS)
            (folder / f"{name}.mov").write_text(f"{name} 0")  # of the hash that the store has
        vocabulary = write_vocabulary(folder / "two.toml")
        settings = Settings(epochs=2, tune="fc")
        train(folder / "store", [folder / "a.csv"], vocabulary, folder / "model", system="sm+bb", settings=settings)
        yield folder


def test_what_is_predicted_is_what_label_writes(folder: Path) -> None:
    prediction = predict_video(folder / "b.mov", folder / "model", store=folder / "store")
    assert prediction.classes == CLASSES
    assert prediction.probability.shape == (CLIPS, 2)
    assert prediction.times.shape == (CLIPS, 2)
    assert prediction.untrained_backbone
    label(folder / "b.mov", folder / "model", folder / "out.csv", store=folder / "store")
    written = read(folder / "out.csv").intervals
    found = prediction.intervals()
    assert sorted((each.tier, round(each.begin, 3), round(each.end, 3)) for each in found) == sorted(
        (each.tier, each.begin, each.end) for each in written
    )
    assert [each for each in prediction.intervals({0: 1.01}) if each.value == CLASSES[0]] == []
    every = [each for each in prediction.intervals({1: 0.0}) if each.value == CLASSES[1]]
    assert [(each.begin, round(each.end, 3)) for each in every] == [(0.0, round(CLIPS * 16 / 25, 3))]


def test_learning_takes_the_corrections_and_leaves_the_model_at_hand(folder: Path, tmp_path: Path) -> None:
    convert(folder / "b.csv", tmp_path / "b.eaf")
    content = (tmp_path / "b.eaf").read_bytes()
    before = {path.name: path.read_bytes() for path in (folder / "model").iterdir()}
    learning = Learning(folder / "model", folder / "model-2", folder / "store", (folder / "a.csv",), "cpu")
    told: list[tuple[str, float | None]] = []
    result = learn(folder / "b.mov", content, learning, lambda text, share: told.append((text, share)))
    assert result["model"] == folder / "model-2"
    assert result["scores"]["clips"] > 0
    assert result["prediction"].probability.shape == (CLIPS, 2)
    assert any(share is not None and 0 < share <= 1 for _, share in told)
    assert {path.name: path.read_bytes() for path in (folder / "model").iterdir()} == before
    assert {path.name for path in folder.iterdir()} >= {"model", "model-2"}


def test_only_what_is_reviewed_is_learned_from(folder: Path, tmp_path: Path) -> None:
    half = CLIPS * 16 / 25 / 2
    marks = [*read(folder / "b.csv").intervals, Interval(0, half, ANNOTATED_TIER)]
    write(tmp_path / "b.eaf", marks)
    learning = Learning(folder / "model", folder / "model-3", folder / "store", (), "cpu")
    result = learn(folder / "b.mov", (tmp_path / "b.eaf").read_bytes(), learning, lambda *_: None)
    known = load_model(result["model"]).training["recordings"]["b"]["known"]
    assert known == [[0, CLIPS // 2]]
    assert result["scores"] is None  # of so little nothing is held out


def test_a_video_that_is_not_in_the_store(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "c.mov").write_text("another")
    learning = Learning(folder / "model", tmp_path / "model", folder / "store", ())
    with pytest.raises(InputError, match="chironomy extract"):
        learn(tmp_path / "c.mov", b"", learning, lambda *_: None)
