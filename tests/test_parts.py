"""Views that are added to a recording later: whole or not there, and nothing else touched."""

import json
import multiprocessing
import os
import shutil
from pathlib import Path

import numpy as np
import pytest
import small_store

from store.errors import InputError
from store.features import FeatureStore
from store.places import PlaceError
from store.summary import inspect_store
from store.workspace import unfinished, workspaces
from store.writing import RecordingWriter

PARTS = {"parts/zarr.json", "parts/flip/zarr.json", "parts/crop/zarr.json"}


@pytest.fixture(scope="module")
def plain(tmp_path_factory) -> Path:
    store = tmp_path_factory.mktemp("plain") / "S"
    small_store.write(store)
    small_store.write(store, "b", seed=1)
    return store


@pytest.fixture(scope="module")
def added(plain, tmp_path_factory) -> Path:
    store = shutil.copytree(plain, tmp_path_factory.mktemp("added") / "S")
    small_store.add_views(store, views=["flip"])
    small_store.add_views(store, views=["crop"])
    return store


@pytest.fixture
def store(plain, tmp_path) -> Path:
    return shutil.copytree(plain, tmp_path / "S")


def test_what_was_there_is_not_touched(plain, added):
    before, after = small_store.files(plain), small_store.files(added)
    assert {name: after[name] for name in before} == before
    new = {name.removeprefix("a/") for name in after.keys() - before.keys()}
    views = ("conv4/flip/", "conv4/crop/", "statistics/conv4/flip/", "statistics/conv4/crop/")
    assert {name for name in new if not name.startswith(views)} == PARTS


def test_reading(added):
    recording = FeatureStore(added)["a"]
    assert sorted(recording.views) == ["crop", "flip", "plain"]
    for view in ("flip", "crop"):
        values = small_store.view_values(view)
        np.testing.assert_array_equal(recording.read(f"conv4/{view}"), values)
        for name, expected in (("mean", values.mean(axis=0, dtype=float)), ("std", values.std(axis=0, dtype=float))):
            np.testing.assert_allclose(recording.read(f"statistics/conv4/{view}/{name}"), expected, rtol=1e-6)
        assert recording.parts[view]["runtime"] == "part"
    np.testing.assert_array_equal(recording.read("conv4/plain"), small_store.arrays()["conv4/plain"])
    assert recording.clips == 70
    assert {"conv4/flip", "statistics/conv4/crop/std", "audio"} <= {*recording.arrays}
    assert "runtime" not in recording.attributes
    recording.verify()
    assert FeatureStore(added)["b"].views == ["plain"]
    assert inspect_store(added, verify=True)["damage"] == []


def test_several_views_at_once_are_the_same(store, added):
    small_store.add_views(store, views=["crop", "flip"])
    small_store.assert_same(store, added)


@pytest.mark.parametrize("seed", range(6))
def test_killed_again_and_again(store, added, tmp_path, seed):
    def work() -> None:
        small_store.add_views(store, views=["flip", "crop"], batch=1)

    def there() -> bool:
        recording = FeatureStore(store)["a"]
        recording.verify()
        for view in {*recording.views} - {"plain"}:
            np.testing.assert_array_equal(recording.read(f"conv4/{view}"), small_store.view_values(view))
        return len(recording.views) == 3

    copy = shutil.copytree(store, tmp_path / "timed")
    taken = small_store.duration(lambda: small_store.add_views(copy, views=["flip", "crop"], batch=1))
    small_store.kill_until_done(work, there, 1.2 * taken, seed)
    small_store.assert_same(store, added)
    small_store.write(store, "c")
    assert not workspaces(store).exists()


@pytest.mark.parametrize("moment", ["linking", "marking", "between the marks"])
def test_stopped_while_it_arrives(store, added, monkeypatch, moment):
    """No clip is computed again, whether none or one of two views has arrived."""
    from store import publish

    calls = iter(range(100))

    def stopped(*arguments, **options):
        if next(calls) == (1 if moment == "between the marks" else 0):
            raise KeyboardInterrupt
        return original(*arguments, **options)

    name = "_link" if moment == "linking" else "_rename_new"
    original = getattr(publish, name)
    monkeypatch.setattr(publish, name, stopped)
    with pytest.raises(KeyboardInterrupt):
        small_store.add_views(store, views=["flip", "crop"])
    monkeypatch.undo()
    recording = FeatureStore(store)["a"]
    recording.verify()
    assert recording.views == (["plain", "flip"] if moment == "between the marks" else ["plain"])
    assert unfinished(store) == {"a": 70}
    assert small_store.add_views(store, views=["flip", "crop"]) == 64
    small_store.assert_same(store, added)
    assert not workspaces(store).exists()


def test_other_views_on_a_full_disk(store, monkeypatch):
    """What is noted of a workspace changes then; half of the note would cost the workspace."""

    def interrupted(descriptor):
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "fsync", interrupted)
    with pytest.raises(KeyboardInterrupt):
        small_store.add_views(store, views=["flip", "crop"])
    monkeypatch.undo()

    def full(path, text):
        path.touch()
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "write_text", full)
    with pytest.raises(PlaceError, match="No space left"):
        small_store.add_views(store, views=["crop"])
    monkeypatch.undo()
    assert small_store.add_views(store, views=["crop"]) == 64
    assert FeatureStore(store)["a"].views == ["plain", "crop"]


def test_what_has_no_mark_is_not_there(store, added):
    shutil.copytree(added / "a" / "conv4" / "flip", store / "a" / "conv4" / "flip")
    (store / "a" / "conv4" / "flip" / "c" / "0" / "0" / "0" / "0" / "0").write_bytes(b"half")
    recording = FeatureStore(store)["a"]
    assert recording.views == ["plain"]
    recording.verify()
    with pytest.raises(InputError, match="has no conv4/flip"):
        recording.read("conv4/flip")
    small_store.add_views(store, views=["flip", "crop"])
    small_store.assert_same(store, added)


def test_two_processes_add_the_same(store, added):
    fork = multiprocessing.get_context("fork")
    orders = [["flip", "crop"], ["crop", "flip"], ["flip", "crop"]]
    processes = [fork.Process(target=small_store.add_views, args=(store, "a", 0, order)) for order in orders]
    for process in processes:
        process.start()
    for process in processes:
        process.join(timeout=60)
    assert [process.exitcode for process in processes] == [0, 0, 0]
    small_store.assert_same(store, added)
    assert not workspaces(store).exists()


def test_from_the_command_line_of_the_helper(tmp_path):
    done = small_store.start(tmp_path / "S", "a", "0", "flip", "crop")
    assert done.communicate(timeout=60) == ("ready\ndone\n", "")
    assert sorted(FeatureStore(tmp_path / "S")["a"].views) == ["crop", "flip", "plain"]


def test_a_view_that_came_from_elsewhere_meanwhile(store, added, tmp_path):
    """As another machine could add it, which sees no lock of this one's: it stays, and the other view comes in."""
    only_flip = shutil.copytree(store, tmp_path / "only flip")
    small_store.add_views(only_flip, views=["flip"])
    arguments = (small_store.SPEC, small_store.TAIL, 70, small_store.identity())
    with RecordingWriter(store, "a", *arguments, parts=["flip", "crop"]) as writer:
        writer.append("conv4/flip", small_store.arrays(5)["conv4/plain"])
        writer.append("conv4/crop", small_store.view_values("crop"))
        shutil.rmtree(store)
        only_flip.rename(store)
        writer.commit({"runtime": "part"})
    small_store.assert_same(store, added)
    assert not workspaces(store).exists()


def test_another_number_of_clips_is_refused(store, plain):
    def shorter() -> None:
        arguments = (small_store.SPEC, small_store.TAIL, 70, small_store.identity())
        with RecordingWriter(store, "a", *arguments, parts=["flip"]) as writer:
            writer.append("conv4/flip", small_store.arrays()["conv4/plain"][:69])
            writer.commit({})

    with pytest.raises(InputError, match="has 70 clips, and the video now gives conv4/flip 69; extract") as caught:
        shorter()
    assert "\n" not in str(caught.value)
    small_store.assert_same(store, plain)
    assert not workspaces(store).exists()


def test_views_of_what_is_not_there(store):
    with pytest.raises(InputError, match="no recording c"):
        small_store.add_views(store, "c", views=["flip"])


def test_only_the_views_are_written(store):
    arguments = (small_store.SPEC, small_store.TAIL, 70, small_store.identity())
    with RecordingWriter(store, "a", *arguments, parts=["flip"]) as writer:
        for array in ("conv4/plain", "conv4/crop", "audio"):
            with pytest.raises(ValueError, match=array):
                writer.append(array, small_store.arrays()["audio"])


def damaged(store: Path, file: Path, content: bytes) -> list[str]:
    """Return what is said of a view when a file of it is damaged; the rest of the recording still reads."""
    whole = file.read_bytes()
    file.write_bytes(content)
    recording = FeatureStore(store)["a"]
    np.testing.assert_array_equal(recording.read("conv4/plain"), small_store.arrays()["conv4/plain"])
    assert recording.clips == 70
    messages = []
    for action in (lambda: recording.read("conv4/flip"), recording.verify):
        with pytest.raises(InputError) as caught:
            action()
        messages.append(str(caught.value))
    assert inspect_store(store, verify=True)["recordings"]["a"]["damage"] == messages[1]
    file.write_bytes(whole)
    return messages


def test_a_damaged_view_is_mended_by_itself(added, tmp_path):
    store = shutil.copytree(added, tmp_path / "S")
    chunk = store / "a" / "conv4" / "flip" / "c" / "1" / "0" / "0" / "0" / "0"
    other = store / "a" / "conv4" / "crop" / "c" / "1" / "0" / "0" / "0" / "0"
    mark = store / "a" / "parts" / "flip" / "zarr.json"
    mend = f"delete the folder {store / 'a' / 'parts' / 'flip'} and extract the video again"
    for file, content in ((chunk, chunk.read_bytes()[:-1]), (chunk, other.read_bytes())):
        for message in damaged(store, file, content):
            assert message.startswith(f"{store}: a/conv4/flip is damaged (")
            assert message.endswith(mend)
    for message in damaged(store, mark, mark.read_bytes().replace(b"part", b"dart")):
        assert message == f"{store}: a/parts/flip is damaged (its metadata cannot be read); {mend}"
    chunk.write_bytes(b"")
    shutil.rmtree(store / "a" / "parts" / "flip")
    assert FeatureStore(store)["a"].views == ["plain", "crop"]
    small_store.add_views(store, views=["flip"])
    small_store.assert_same(store, added)


def test_added_to_a_recording_that_had_several_from_the_first(tmp_path):
    store = tmp_path / "S"
    with RecordingWriter(store, "a", small_store.SPEC, small_store.TAIL, 70, {}) as writer:
        for view in ("plain", "color"):
            writer.append(f"conv4/{view}", small_store.arrays()["conv4/plain"])
        writer.put("times", small_store.arrays()["times"])
        writer.commit({})
    assert FeatureStore(store)["a"].parts == {}
    small_store.add_views(store, views=["flip"])
    recording = FeatureStore(store)["a"]
    assert sorted(recording.views) == ["color", "flip", "plain"]
    assert list(recording.parts) == ["flip"]
    recording.verify()
    assert json.loads((store / "a" / "parts" / "flip" / "zarr.json").read_text())["node_type"] == "group"


def test_a_lost_marker_is_told(added, tmp_path):
    """Without it a view is as never added, and its arrays are left over: somebody should know."""
    store = shutil.copytree(added, tmp_path / "S")
    (store / "a" / "parts" / "flip" / "zarr.json").unlink()
    found = inspect_store(store, verify=True)["recordings"]["a"]
    assert set(found["views"]) == {"crop", "plain"}
    assert found["damage"] == (
        f"{store}: a/conv4/flip is damaged (its marker is missing); extract the video again with --views plain,flip"
    )
    small_store.add_views(store, views=["flip"])
    assert inspect_store(store, verify=True)["recordings"]["a"]["damage"] is None
