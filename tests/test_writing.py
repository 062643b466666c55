"""How a recording enters a store: whole or not at all, whatever happens on the way."""

import errno
import os
import resource
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import small_store

from store.errors import InputError
from store.features import FeatureStore
from store.writing import RecordingWriter, check_id

ROOT = Path(__file__).resolve().parents[1]


def is_whole(store: Path, recording: str, seed: int = 0) -> bool:
    """Whether a recording is there; if it is, it must be whole."""
    if not store.exists() or recording not in FeatureStore(store):
        return False
    found = FeatureStore(store)[recording]
    found.verify()
    for name, values in small_store.arrays(seed).items():
        np.testing.assert_array_equal(found.read(name), values)
    assert small_store.ATTRIBUTES.items() <= found.attributes.items()
    return True


def partial(store: Path) -> Path:
    return store.with_name(store.name + ".partial")


def test_a_kill_at_any_instant(tmp_path):
    """Twelve writers are killed, spread over all that they do; the next writer clears up."""
    store = tmp_path / "S"
    began = time.monotonic()
    small_store.write(tmp_path / "timed")
    duration = time.monotonic() - began
    killed, attempts = 0, 0
    while attempts < 12 or killed < 5:
        writer = small_store.start(store, f"r{attempts}", str(attempts))
        assert writer.stdout is not None
        assert writer.stdout.readline() == "ready\n"
        time.sleep(duration * 1.3 * (attempts % 12) / 11)
        writer.kill()
        writer.communicate()
        killed += writer.returncode == -signal.SIGKILL
        is_whole(store, f"r{attempts}", seed=attempts)
        attempts += 1
        if attempts % 12 == 0:
            duration /= 2  # they are quicker than the first
    there = {f"r{attempt}": is_whole(store, f"r{attempt}", seed=attempt) for attempt in range(attempts)}
    for attempt, recording in enumerate(there):
        if not there[recording]:
            small_store.write(store, recording, seed=attempt)
    small_store.write(store, "last")
    assert FeatureStore(store).ids == sorted([*there, "last"])
    assert all(is_whole(store, recording, attempt) for attempt, recording in enumerate(there))
    assert not partial(store).exists()


def stopped_by(error: BaseException, store: Path, clips: int = 70) -> None:
    """Run a writer that is stopped by an error after some clips."""
    with RecordingWriter(store, "a", small_store.SPEC, small_store.TAIL, 70, small_store.identity()) as writer:
        for name in ("conv4/plain", "audio"):
            writer.append(name, small_store.arrays()[name][:clips])
        raise error


@pytest.mark.parametrize("store_exists", [False, True])
def test_an_unusable_video_leaves_nothing(tmp_path, store_exists):
    store = tmp_path / "S"
    if store_exists:
        small_store.write(store, "before")
    error = InputError("x: bad; mend it")
    with pytest.raises(InputError) as caught:
        stopped_by(error, store)
    assert caught.value is error
    assert sorted(path.name for path in tmp_path.iterdir()) == (["S"] if store_exists else [])
    if store_exists:
        assert FeatureStore(store).ids == ["before"]


def test_without_commit_nothing_is_there(tmp_path):
    with RecordingWriter(tmp_path / "S", "a", small_store.SPEC, small_store.TAIL, 70, {}) as writer:
        small_store.fill(writer, small_store.arrays())
    assert list(tmp_path.iterdir()) == []


def test_the_id_taken_meanwhile(tmp_path):
    """As another machine could, which sees no lock of this one's."""
    store = tmp_path / "S"
    small_store.write(tmp_path / "other", "a")

    def overtaken():
        with RecordingWriter(store, "a", small_store.SPEC, small_store.TAIL, 70, {}) as writer:
            small_store.fill(writer, small_store.arrays(1))
            (tmp_path / "other").rename(store)
            writer.commit(small_store.ATTRIBUTES)

    with pytest.raises(InputError, match="run the command again") as caught:
        overtaken()
    assert str(caught.value).startswith(f"{store / 'a'}: ")
    assert is_whole(store, "a", seed=0)
    assert not partial(store).exists()


def test_another_spec_meanwhile(tmp_path):
    store = tmp_path / "S"
    small_store.write(store, "a")
    other = replace(small_store.SPEC, precision="float32")
    with pytest.raises(InputError, match="float16, not float32"):
        small_store.write(store, "b", spec=other)
    assert FeatureStore(store).ids == ["a"]
    assert not partial(store).exists()


def test_two_at_once_into_a_new_store(tmp_path):
    store = tmp_path / "S"
    writers = [small_store.start(store, f"r{seed}", str(seed)) for seed in range(3)]
    for writer in writers:
        out, error = writer.communicate(timeout=60)
        assert (writer.returncode, out, error) == (0, "ready\ndone\n", "")
    assert FeatureStore(store).ids == ["r0", "r1", "r2"]
    assert all(is_whole(store, f"r{seed}", seed) for seed in range(3))
    assert FeatureStore(store).tail().keys() == small_store.TAIL.keys()
    assert not partial(store).exists()


def test_a_living_writer_is_not_cleared_away(tmp_path):
    store = tmp_path / "S"
    with RecordingWriter(store, "slow", small_store.SPEC, small_store.TAIL, 70, small_store.identity()) as writer:
        small_store.fill(writer, small_store.arrays(1))
        other = small_store.start(store, "quick")
        assert other.wait(timeout=60) == 0
        writer.commit(small_store.ATTRIBUTES)
    assert is_whole(store, "slow", 1)
    assert is_whole(store, "quick")
    assert not partial(store).exists()


@pytest.mark.parametrize("batch", [1, 7, 32, 70])
def test_batches_do_not_matter(tmp_path, batch):
    """Every array is the same, byte for byte, however the clips were handed over."""
    small_store.write(tmp_path / "S", "a", batch=8)
    small_store.write(tmp_path / "S", "b", batch=batch)
    found = FeatureStore(tmp_path / "S")
    for name in found["a"].arrays:
        assert found["a"].read(name).tobytes() == found["b"].read(name).tobytes(), name


@pytest.mark.parametrize("expected", [0, 1, 33, 70, 500])
def test_the_expected_number_may_be_wrong(tmp_path, expected):
    with RecordingWriter(
        tmp_path / "S", "a", small_store.SPEC, small_store.TAIL, expected, small_store.identity()
    ) as writer:
        small_store.fill(writer, small_store.arrays())
        writer.commit(small_store.ATTRIBUTES)
    assert is_whole(tmp_path / "S", "a")


def test_an_empty_folder_becomes_the_store(tmp_path):
    (tmp_path / "S").mkdir()
    small_store.write(tmp_path / "S")
    assert is_whole(tmp_path / "S", "a")


@pytest.mark.parametrize("recording", ["video-1", "Étude no. 3", "a.b", "演奏", "x" * 100])
def test_ids(tmp_path, recording):
    assert check_id(recording) == recording
    small_store.write(tmp_path / "S", recording)
    assert FeatureStore(tmp_path / "S").ids == [recording]


@pytest.mark.parametrize(
    "recording", ["", ".", "..", ".hidden", "__a", "a/b", "/a", "a\\b", "a\nb", "a\0b", "chironomy-tail", "zarr.json"]
)
def test_what_cannot_be_an_id(tmp_path, recording):
    with pytest.raises(InputError, match="--name") as caught:
        RecordingWriter(tmp_path / "S", recording, small_store.SPEC, small_store.TAIL, 1, {})
    assert "\n" not in str(caught.value)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("limit", [2_000, 20_000])
def test_a_write_that_fails(tmp_path, limit):
    """The system refuses files beyond a size, as a full disk refuses them: a real error, midway."""
    script = f"""
import resource, sys
sys.path[:0] = [{str(ROOT)!r}, {str(ROOT / "tests")!r}]
import small_store
from pathlib import Path
from store.errors import InputError
resource.setrlimit(resource.RLIMIT_FSIZE, ({limit}, {limit}))
try:
    small_store.write(Path({str(tmp_path / "S")!r}))
except InputError as error:
    print(error)
"""
    done = subprocess.run([sys.executable, "-c", script], text=True, capture_output=True, check=True)
    assert done.stdout == (
        f"{tmp_path / 'S'}: cannot be written (File too large); free or choose another place, and run again\n"
    )
    assert done.stderr == ""
    assert not (tmp_path / "S").exists()
    small_store.write(tmp_path / "S")
    assert is_whole(tmp_path / "S", "a")
    assert not partial(tmp_path / "S").exists()


@pytest.mark.parametrize("fails_at", [0, 1, 10, 40])
def test_a_full_disk_found_when_made_durable(tmp_path, monkeypatch, fails_at):
    store = tmp_path / "S"
    small_store.write(store, "before")
    calls = iter(range(10_000))

    def full(descriptor):
        if next(calls) == fails_at:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(InputError) as caught:
        small_store.write(store, "a")
    assert str(caught.value) == (
        f"{store}: cannot be written (No space left on device); free or choose another place, and run again"
    )
    assert FeatureStore(store).ids == ["before"]
    monkeypatch.undo()
    assert small_store.write(store, "a") == 64  # what was written before
    assert is_whole(store, "a")
    assert not partial(store).exists()


def test_a_missing_folder(tmp_path):
    with pytest.raises(InputError) as caught:
        small_store.write(tmp_path / "none" / "S")
    assert str(caught.value).startswith(f"{tmp_path / 'none' / 'S'}: ")
    assert "\n" not in str(caught.value)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_folder_that_may_not_be_written_to(tmp_path):
    tmp_path.chmod(0o500)
    with pytest.raises(InputError, match="cannot be written"):
        small_store.write(tmp_path / "S")
    tmp_path.chmod(0o700)


def test_memory_does_not_grow_with_the_recording(tmp_path):
    """Ten times the clips, written in the same small batches."""
    rows = np.random.default_rng(0).normal(size=(32, 64, 2, 7, 7)).astype(np.float16)
    with RecordingWriter(tmp_path / "S", "a", small_store.SPEC, small_store.TAIL, 32, small_store.identity()) as writer:
        for _ in range(10):
            writer.append("conv4/plain", rows)
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        for _ in range(150):
            writer.append("conv4/plain", rows)
        writer.put("times", np.zeros((160 * 32, 2)))
        writer.commit({})
        FeatureStore(tmp_path / "S")["a"].verify()
        grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    assert grown * 1024 < 20 * rows.nbytes  # of the 150 batches' size
