"""An earlier model gone on with: what is learned, what is held out, what is told, and what a kill leaves."""

import json
import multiprocessing
import os
import signal
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from planted_store import write_recording, write_vocabulary

from heads.model import load_model
from heads.settings import Settings
from search import runs
from search.data import load_data
from search.splits import extended
from search.updating import update
from store.annotations import Interval, read, write
from store.errors import InputError
from store.features import FeatureStore
from store.vocabulary import load_vocabulary

pytestmark = pytest.mark.usefixtures("one_thread", "tiny")

QUICK = Settings(epochs=2, tune="fc", batch=16, learning_rate=1e-3, widths=(32, 32))
CLIP = 0.64


@pytest.fixture(scope="module")
def made(tmp_path_factory) -> SimpleNamespace:
    """Two recordings of 128 s, a model that learned from the first 80 s of one of them."""
    folder = tmp_path_factory.mktemp("loop")
    whole = {name: write_recording(folder / "S", name, 200) for name in "ab"}
    (folder / "first").mkdir()
    made = SimpleNamespace(folder=folder, store=folder / "S", whole=whole)
    made.vocabulary = write_vocabulary(folder / "two.toml")
    made.first = part(whole["a"], folder / "first" / "a.csv", 80)
    runs.train(made.store, [made.first], made.vocabulary, folder / "model", settings=QUICK)
    made.model = folder / "model"
    return made


def part(whole: Path, out: Path, until: float, more: tuple[Interval, ...] = ()) -> Path:
    """Write the annotations up to a time, marked as all that is annotated."""
    inside = [replace(each, end=min(each.end, until)) for each in read(whole).intervals if each.begin < until]
    write(out, [*inside, *more, Interval(0, until, "annotated")])
    return out


def clips(entry: dict, key: str) -> set[int]:
    return {clip for first, stop in entry.get(key, []) for clip in range(first, stop)}


def test_what_was_held_out_stays_so_and_new_clips_are_learned(made, tmp_path) -> None:
    longer = part(made.whole["a"], tmp_path / "a.csv", 110)
    result = update(made.model, made.store, [longer], tmp_path / "model")
    before = load_model(made.model).training["recordings"]["a"]
    after = result["training"]["recordings"]["a"]
    assert after["test"] == before["test"]
    assert clips(before, "validation") <= clips(after, "validation")
    assert clips(after, "training") > clips(before, "training")
    learned = clips(after, "training") | clips(after, "validation")
    assert max(learned) >= 165
    for clip in clips(after, "test"):  # 2 s apart
        assert not learned & set(range(clip - 3, clip + 4))
    changes = result["changes"]
    assert changes["clips"] == {"before": 125, "now": 171, "known": 46, "dropped": 0}
    assert changes["scores"]["clips"] == len(clips(before, "test"))
    scored = runs.evaluate(made.model, made.store, [longer])["scores"]
    assert changes["scores"]["before"]["macro_f1"] == scored["macro_f1"]
    again = runs.evaluate(tmp_path / "model", made.store, [longer])["scores"]
    assert changes["scores"]["after"]["macro_f1"] == again["macro_f1"] == result["scores"]["test"]["macro_f1"]
    assert changes["started"]
    json.dumps(result, allow_nan=False)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.csv", "model"]


def test_what_changed_is_counted(made, tmp_path) -> None:
    known = list(read(made.first).intervals)
    nods = [each for each in known if each.tier == "nod"]
    lifts = [each for each in known if each.tier == "lift"]
    moved = replace(nods[0], end=nods[0].end - 0.1)
    kept = [each for each in known if each not in (nods[0], nods[1], lifts[0])]
    free = [Interval(100.0, 101.0, "nod"), Interval(104.0, 105.0, "nod"), Interval(80.0, 110.0, "annotated")]
    outside = Interval(120.0, 121.0, "nod")  # counts for nothing
    write(tmp_path / "a.csv", [*kept, moved, *free, outside])
    found = update(made.model, made.store, [tmp_path / "a.csv"], tmp_path / "model")["changes"]["annotations"]
    assert found == {
        "nod": {"before": len(nods), "now": len(nods) + 1, "added": 2, "removed": 1, "moved": 1},
        "lift": {"before": len(lifts), "now": len(lifts) - 1, "added": 0, "removed": 1, "moved": 0},
    }


def test_a_model_remembers_what_those_before_it_learned(made, tmp_path) -> None:
    """Annotations that are given no more, or of another recording, stay what they were: learned from."""
    other = part(made.whole["b"], tmp_path / "b.csv", 60)
    second = update(made.model, made.store, [other], tmp_path / "second")
    assert second["training"]["recordings"]["a"] == load_model(made.model).training["recordings"]["a"]
    first = load_model(made.model).training["recordings"]["a"]
    tested = runs.evaluate(tmp_path / "second", made.store, [made.whole["a"]])["scores"]["clips"]
    assert tested == len(clips(first, "test"))
    short = part(made.whole["a"], tmp_path / "a.csv", 40)
    third = update(made.model, made.store, [short], tmp_path / "third")["training"]["recordings"]["a"]
    assert clips(first, "training") | clips(first, "validation") <= clips(third, "learned")
    assert max(clips(third, "training")) < 63
    fourth = update(tmp_path / "third", made.store, [made.whole["a"]], tmp_path / "fourth")
    entry = fourth["training"]["recordings"]["a"]
    assert not clips(entry, "test") & (clips(first, "training") | clips(first, "validation"))


def test_without_a_test_part_one_is_made_of_what_is_new(made, tmp_path) -> None:
    little = part(made.whole["a"], tmp_path / "a.csv", 40)
    first = runs.train(made.store, [little], made.vocabulary, tmp_path / "first", settings=QUICK)
    assert "test" not in first["scores"]
    assert any("nothing is left to score it on" in note for note in first["notes"])
    little = part(made.whole["a"], tmp_path / "a.csv", 128)
    entry = update(tmp_path / "first", made.store, [little], tmp_path / "model")["training"]["recordings"]["a"]
    assert clips(entry, "test")
    assert clips(entry, "validation")
    assert min(clips(entry, "test")) >= 63 + 3  # nothing that was learned from, nor next to it


def test_an_update_goes_on_where_it_was_stopped(made, tmp_path, monkeypatch) -> None:
    longer = part(made.whole["a"], tmp_path / "a.csv", 110)
    expected = update(made.model, made.store, [longer], tmp_path / "whole")
    from heads.learner import Learner

    epoch, run = Learner.epoch, []

    def stopped(self, number: int) -> float:
        run.append(number)
        if len(run) == 2:
            raise KeyboardInterrupt
        return epoch(self, number)

    monkeypatch.setattr(Learner, "epoch", stopped)
    with pytest.raises(KeyboardInterrupt):
        update(made.model, made.store, [longer], tmp_path / "stopped")
    assert not (tmp_path / "stopped").exists()
    found = update(made.model, made.store, [longer], tmp_path / "stopped")
    assert run == [1, 2, 2]
    assert (tmp_path / "stopped/model.safetensors").read_bytes() == (tmp_path / "whole/model.safetensors").read_bytes()
    assert found["changes"] == expected["changes"]


def test_the_earlier_model_may_be_replaced_and_is_whole_whenever_it_is_killed(made, tmp_path) -> None:
    """Killed between the two renames that replace it, it comes back."""
    model = tmp_path / "model"
    load_model(made.model).save(model)
    before = {path.name: path.read_bytes() for path in model.iterdir()}
    rename = Path.rename

    def killed(self: Path, target: Path) -> Path:
        if self.name == "fresh":
            os.kill(os.getpid(), signal.SIGKILL)
        return rename(self, target)

    def work() -> None:
        Path.rename = killed
        load_model(model).save(model)

    process = multiprocessing.get_context("fork").Process(target=work)
    process.start()
    process.join()
    assert process.exitcode == -signal.SIGKILL
    assert not model.exists()
    assert load_model(model).describe() == load_model(made.model).describe()
    assert {path.name: path.read_bytes() for path in model.iterdir()} == before
    assert [path.name for path in tmp_path.iterdir()] == ["model"]
    longer = part(made.whole["a"], tmp_path / "a.csv", 110)
    update(model, made.store, [longer], model)
    assert load_model(model).training["split"] == "update"


def test_other_classes_are_refused(made, tmp_path) -> None:
    other = tmp_path / "other.toml"
    other.write_text('name = "other"\ngestures = ["nod", "sway"]\n')
    with pytest.raises(InputError, match="a model of other classes is made by chironomy train"):
        update(made.model, made.store, [made.first], tmp_path / "model", vocabulary=str(other))
    assert [path.name for path in tmp_path.iterdir()] == ["other.toml"]


def test_a_model_without_memory_of_its_annotations_can_be_gone_on_with(made, tmp_path) -> None:
    model = tmp_path / "old"
    load_model(made.model).save(model)
    described = json.loads((model / "model.json").read_text())
    for entry in described["training"]["recordings"].values():
        del entry["truth"], entry["known"]
    (model / "model.json").write_text(json.dumps(described))
    changes = update(model, made.store, [made.first], tmp_path / "model")["changes"]
    assert changes["annotations"] is None


@pytest.mark.parametrize("seed", range(20))
def test_parts_are_kept_and_apart_whatever_they_were(made, seed) -> None:
    data = load_data(FeatureStore(made.store), [*made.whole.values()], load_vocabulary(made.vocabulary))
    random = np.random.default_rng(seed)
    parts = np.array(["", "known", "training", "validation", "test"])
    earlier = np.repeat(random.choice(parts, 40, p=[0.5, 0.1, 0.2, 0.1, 0.1]), 10)  # blocks of 6.4 s
    split = extended(data.timeline, earlier, seed)
    kept = np.flatnonzero(earlier == "test")
    if len(kept):
        assert split.test.tolist() == kept.tolist()
    assert not np.isin(earlier[split.test], ["training", "validation"]).any()
    times, video = data.timeline.times, data.timeline.video
    for one, other in (("test", "training"), ("test", "validation"), ("validation", "training")):
        for clip in getattr(split, one):
            theirs = getattr(split, other)[video[getattr(split, other)] == video[clip]]
            apart = np.maximum(times[theirs, 0] - times[clip, 1], times[clip, 0] - times[theirs, 1])
            assert (apart > 2 - 1e-6).all()
