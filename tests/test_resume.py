"""A stopped run is gone on with: nothing lost but the chunk in progress, and the result is the same to the byte."""

import json
import multiprocessing
import os
import time
from dataclasses import replace
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


@pytest.fixture(scope="module")
def uninterrupted(tmp_path_factory) -> Path:
    store = tmp_path_factory.mktemp("uninterrupted") / "S"
    small_store.write(store)
    return store


def stop(
    store: Path, clips: int, error: BaseException | None = None, expected: int = small_store.CLIPS, **other
) -> None:
    """Leave a workspace in which that many clips were written."""
    arguments = {"recording": "a", "spec": small_store.SPEC, "identity": small_store.identity(), "parts": ()} | other

    def run() -> None:
        with RecordingWriter(store, tail=small_store.TAIL, clips=expected, **arguments) as writer:
            for name in ("conv4/plain", "audio"):
                writer.append(name, small_store.arrays()[name][:clips])
            raise error or KeyboardInterrupt

    with pytest.raises(type(error) if error else KeyboardInterrupt):
        run()


def left(store: Path) -> list[Path]:
    """Return the workspaces that stopped runs have left."""
    return sorted(workspaces(store).glob("*/*/"))


@pytest.mark.parametrize("seed", range(10))
def test_killed_again_and_again(tmp_path, uninterrupted, seed):
    """Whatever the instants, what is in the end there equals an uninterrupted run."""
    store = tmp_path / "S"
    taken = small_store.duration(lambda: small_store.write(tmp_path / "timed", batch=1))

    def there() -> bool:
        if not small_store.there(store, "a"):
            return False
        FeatureStore(store)["a"].verify()
        return True

    small_store.kill_until_done(lambda: small_store.write(store, batch=1), there, 1.2 * taken, seed)
    small_store.assert_same(store, uninterrupted)
    small_store.write(store, "b", seed=1)
    assert not workspaces(store).exists()


@pytest.mark.parametrize("error", [KeyboardInterrupt(), ValueError("broken"), PlaceError("S: full; make room")])
def test_what_stops_a_run_leaves_it_to_be_gone_on_with(tmp_path, uninterrupted, error):
    store = tmp_path / "S"
    stop(store, 69, error)
    assert unfinished(store) == {"a": 64}
    assert small_store.write(store) == 64
    small_store.assert_same(store, uninterrupted)
    assert unfinished(store) == {}
    assert not workspaces(store).exists()


@pytest.mark.parametrize("batch", [1, 7, 32, 70])
@pytest.mark.parametrize("clips", [1, 31, 32, 33, 64, 70])
def test_wherever_it_stopped(tmp_path, uninterrupted, clips, batch):
    stop(tmp_path / "S", clips)
    assert small_store.write(tmp_path / "S", batch=batch) == clips // 32 * 32
    small_store.assert_same(tmp_path / "S", uninterrupted)


@pytest.mark.parametrize("expected", [1, 40, 70, 500])
def test_the_last_chunk_of_fewer_clips_is_not_taken_for_whole(tmp_path, uninterrupted, monkeypatch, expected):
    """Stopped when all was written: the rest is in a chunk that is filled up."""

    def full(descriptor):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)

    def run():
        arguments = (small_store.SPEC, small_store.TAIL, expected, small_store.identity())
        with RecordingWriter(tmp_path / "S", "a", *arguments) as writer:
            small_store.fill(writer, small_store.arrays())
            writer.commit(small_store.ATTRIBUTES)

    with pytest.raises(PlaceError):
        run()
    monkeypatch.undo()
    assert small_store.write(tmp_path / "S") == 64
    small_store.assert_same(tmp_path / "S", uninterrupted)


def test_all_clips_in_whole_chunks(tmp_path):
    """Nothing is left to append, yet everything to finish."""

    def run(store, interrupt):
        with RecordingWriter(store, "a", small_store.SPEC, small_store.TAIL, 64, {}) as writer:
            done = writer.resume(["conv4/plain"])
            if not done:
                writer.append("conv4/plain", small_store.arrays()["conv4/plain"][:64])
            if interrupt:
                raise KeyboardInterrupt
            writer.put("times", small_store.arrays()["times"][:64])
            writer.commit({})
            return done

    with pytest.raises(KeyboardInterrupt):
        run(tmp_path / "S", interrupt=True)
    assert run(tmp_path / "S", interrupt=False) == 64
    assert run(tmp_path / "T", interrupt=False) == 0
    small_store.assert_same(tmp_path / "S", tmp_path / "T")


def test_arrays_that_are_not_in_step(tmp_path, uninterrupted):
    """Picture first, sound after: each goes on from where it is, and together from what both have."""
    store = tmp_path / "S"

    def begin():
        with RecordingWriter(store, "a", small_store.SPEC, small_store.TAIL, 70, small_store.identity()) as writer:
            writer.append("conv4/plain", small_store.arrays()["conv4/plain"])
            writer.append("audio", small_store.arrays()["audio"][:40])
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        begin()
    with RecordingWriter(store, "a", small_store.SPEC, small_store.TAIL, 70, small_store.identity()) as writer:
        assert writer.resume(["conv4/plain", "audio"]) == 32
        assert writer.resume(["audio"]) == 32
        assert writer.resume(["conv4/plain"]) == 64
        writer.append("conv4/plain", small_store.arrays()["conv4/plain"][64:])
        writer.append("audio", small_store.arrays()["audio"][32:])
        for name in ("times", "frame_times"):
            writer.put(name, small_store.arrays()[name])
        writer.commit(small_store.ATTRIBUTES)
    small_store.assert_same(store, uninterrupted)


def test_an_array_that_a_later_run_does_not_write(tmp_path):
    stop(tmp_path / "S", 64)
    with RecordingWriter(tmp_path / "S", "a", small_store.SPEC, small_store.TAIL, 70, small_store.identity()) as writer:
        assert writer.resume(["conv4/plain"]) == 64
        writer.commit({})
    recording = FeatureStore(tmp_path / "S")["a"]
    assert not recording.has_sound
    assert not (tmp_path / "S" / "a" / "audio").exists()
    recording.verify()


def spoil(file: Path, how: str) -> None:
    content = file.read_bytes()
    if how == "emptied":
        content = b""
    elif how == "halved":
        content = content[: len(content) // 2]
    elif how == "zeros":
        content = bytes(len(content))
    elif how == "flipped":
        content = bytes([content[0] ^ 1]) + content[1:] if file.name == "zarr.json" else content[:-1] + b"\x01"
    file.write_bytes(content)


@pytest.mark.parametrize("how", ["emptied", "halved", "zeros", "flipped"])
@pytest.mark.parametrize(
    ("file", "done"),
    [
        ("conv4/plain/c/0/0/0/0/0", 0),
        ("conv4/plain/c/1/0/0/0/0", 32),
        ("audio/c/1/0/0", 32),
        ("conv4/plain/zarr.json", 0),
        ("audio/zarr.json", 0),
        ("conv4/zarr.json", 64),
        ("zarr.json", 64),
    ],
)
def test_what_a_power_cut_may_leave(tmp_path, uninterrupted, file, done, how):
    store = tmp_path / "S"
    stop(store, 70)
    (workspace,) = left(store)
    spoil(workspace / "recording" / file, how)
    assert small_store.write(store) == done
    small_store.assert_same(store, uninterrupted)


@pytest.mark.parametrize("call", ["mkdir", "unlink", "replace"])
def test_a_disk_that_is_still_full(tmp_path, uninterrupted, monkeypatch, call):
    """The next run cannot even begin; what the first has done is not lost by that."""
    store = tmp_path / "S"
    stop(store, 70)
    original = getattr(Path, call)

    def full(path, *arguments, **options):
        if store.name + ".partial/" in str(path) and not str(path).endswith(".lock"):
            raise OSError(28, "No space left on device")
        return original(path, *arguments, **options)

    monkeypatch.setattr(Path, call, full)
    with pytest.raises(PlaceError, match="No space left"):
        small_store.write(store)
    monkeypatch.undo()
    assert small_store.write(store) == 64
    small_store.assert_same(store, uninterrupted)


def test_half_a_file_of_zarr_is_not_committed(tmp_path, uninterrupted):
    store = tmp_path / "S"
    stop(store, 70)
    (workspace,) = left(store)
    for name in ("conv4/plain/c/1/0/0/0/0.0123.partial", "conv4/plain/zarr.0123.partial"):
        (workspace / "recording" / name).write_bytes(b"half")
    assert small_store.write(store) == 64
    small_store.assert_same(store, uninterrupted)


def test_chunks_of_another_shape_are_not_gone_on_with(tmp_path, uninterrupted):
    store = tmp_path / "S"
    stop(store, 70)
    (workspace,) = left(store)
    metadata = workspace / "recording" / "audio" / "zarr.json"
    changed = json.loads(metadata.read_text())
    changed["chunk_grid"]["configuration"]["chunk_shape"][0] = 16
    metadata.write_text(json.dumps(changed))
    assert small_store.write(store) == 0
    small_store.assert_same(store, uninterrupted)


@pytest.mark.parametrize(
    "other",
    [
        {"identity": {"source_sha256": "00" * 32}},
        {"spec": replace(small_store.SPEC, precision="float32")},
        {"spec": replace(small_store.SPEC, weights_sha256="00" * 32)},
    ],
)
def test_what_decides_the_bytes_decides_what_is_gone_on_with(tmp_path, uninterrupted, other):
    store = tmp_path / "S"
    stop(store, 70, **other)
    assert small_store.write(store) == 0
    small_store.assert_same(store, uninterrupted)
    assert not workspaces(store).exists(), "what is in the store by now, or has another spec, is of no use"


def test_a_renamed_weights_file_does_not_matter(tmp_path):
    stop(tmp_path / "S", 70, spec=replace(small_store.SPEC, weights="copy.pth"))
    assert small_store.write(tmp_path / "S") == 64


def test_left_overs_are_swept_unless_they_are_of_use(tmp_path):
    store = tmp_path / "S"
    small_store.write(store, "there")
    stop(store, 40, recording="kept")
    stop(store, 70, recording="there")  # as a run that was killed just after its commit
    stop(store, 70, recording="other", spec=replace(small_store.SPEC, precision="float32"))
    stop(store, 70, recording="torn")
    for workspace in left(store):
        if json.loads((workspace / "workspace.json").read_text())["recording"] == "torn":
            (workspace / "workspace.json").write_text("{")
    # From a version that could not go on: a folder and its lock.
    (workspaces(store) / ("0" * 32) / "recording").mkdir(parents=True)
    (workspaces(store) / ("0" * 32 + ".lock")).touch()
    assert unfinished(store) == {"kept": 32}
    small_store.write(store, "new")
    (kept,) = left(store)
    assert sorted(workspaces(store).iterdir()) == [kept.parent], "nor a lock without an owner"
    assert inspect_store(store)["unfinished"] == {"kept": 32}
    assert small_store.write(store, "kept") == 32
    assert not workspaces(store).exists()


def test_a_left_over_of_a_store_that_is_not_there_yet_stays(tmp_path):
    stop(tmp_path / "S", 40)
    stop(tmp_path / "S", 70, recording="b", error=InputError("x: bad; mend it"))
    assert unfinished(tmp_path / "S") == {"a": 32}
    assert not (tmp_path / "S").exists()


def test_a_second_process_waits_and_finds_it_done(tmp_path, uninterrupted):
    store = tmp_path / "S"
    with RecordingWriter(store, "a", small_store.SPEC, small_store.TAIL, 70, small_store.identity()) as writer:
        small_store.fill(writer, small_store.arrays())
        second = small_store.start(store, "a")
        assert second.stderr is not None
        assert second.stderr.readline() == f"{store}: waiting for another process that is writing a\n"
        time.sleep(0.5)
        assert second.poll() is None
        writer.commit(small_store.ATTRIBUTES)
    assert second.communicate(timeout=60) == ("ready\ndone\n", "")
    small_store.assert_same(store, uninterrupted)
    assert not workspaces(store).exists()


def test_a_second_process_goes_on_when_the_first_is_killed(tmp_path, uninterrupted):
    store = tmp_path / "S"

    def first() -> None:
        with RecordingWriter(store, "a", small_store.SPEC, small_store.TAIL, 70, small_store.identity()) as writer:
            for name in ("conv4/plain", "audio"):
                writer.append(name, small_store.arrays()[name][:40])
            time.sleep(60)

    process = multiprocessing.get_context("fork").Process(target=first)
    process.start()
    while unfinished(store) != {"a": 32}:
        time.sleep(0.01)
    second = small_store.start(store, "a")
    assert second.stderr is not None
    assert "waiting" in second.stderr.readline()
    assert unfinished(store) == {"a": 32}
    process.kill()
    process.join()
    assert second.communicate(timeout=60) == ("ready\ndone\n", "")
    small_store.assert_same(store, uninterrupted)


def test_many_processes_want_the_same(tmp_path, uninterrupted):
    """Each comes and goes while others wait, sweep and remove the lock's file."""
    fork = multiprocessing.get_context("fork")

    def work(number: int) -> None:
        for turn in range(5):
            small_store.write(tmp_path / f"S{turn}", "a")
            small_store.write(tmp_path / f"S{turn}", f"b{number}", seed=number)

    processes = [fork.Process(target=work, args=(number,)) for number in range(6)]
    for process in processes:
        process.start()
    for process in processes:
        process.join(timeout=120)
    assert [process.exitcode for process in processes] == [0] * 6
    for turn in range(5):
        store = tmp_path / f"S{turn}"
        assert FeatureStore(store).ids == ["a", *(f"b{number}" for number in range(6))]
        small_store.assert_same(store / "a", uninterrupted / "a")
        for number in range(6):
            found = FeatureStore(store)[f"b{number}"].read("conv4/plain")
            np.testing.assert_array_equal(found, small_store.arrays(number)["conv4/plain"])
        assert not workspaces(store).exists()


def test_a_store_behind_a_link(tmp_path, uninterrupted):
    """What is assembled is assembled where the link leads: a rename does not leave a file system."""
    (tmp_path / "disk").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "disk" / "S")
    stop(tmp_path / "link", 40)
    assert (tmp_path / "disk" / "S.partial").is_dir()
    assert small_store.write(tmp_path / "link") == 32
    small_store.assert_same(tmp_path / "disk" / "S", uninterrupted)


@pytest.mark.skipif(not Path("/dev/shm").is_mount(), reason="no file system to try it on")
def test_the_root_of_a_file_system_is_refused_before_the_work():
    with pytest.raises(InputError, match="root of a file system"):
        small_store.write(Path("/dev/shm"))
