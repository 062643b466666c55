"""What is computed again from a store and kept beside it: computed once, never wrong, never in the way."""

import shutil
import threading
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import small_store

from store import derived as module
from store.derived import beside, derived
from store.errors import InputError
from store.features import FeatureStore
from store.places import place
from store.recording import Recording
from store.seal import DIGESTS

ARRAY = "conv4/plain"
VALUES = np.arange(12.0).reshape(3, 4)


class Computing:
    """Returns values, and counts how often it was asked to."""

    def __init__(self, values: np.ndarray = VALUES):
        self.values, self.calls = values, 0

    def __call__(self) -> np.ndarray:
        self.calls += 1
        return self.values


@pytest.fixture(scope="module")
def template(tmp_path_factory) -> Path:
    store = tmp_path_factory.mktemp("template") / "store"
    small_store.write(store)
    return store


@pytest.fixture
def recording(template: Path, tmp_path: Path) -> Recording:
    return FeatureStore(Path(shutil.copytree(template, tmp_path / "store")))["a"]


def kept(recording: Recording) -> list[Path]:
    return sorted(beside(recording.store).rglob("*.npy"))


def test_computed_once(recording: Recording) -> None:
    before = small_store.files(recording.store)
    computing = Computing()
    for _ in range(3):
        again = FeatureStore(recording.store)["a"]
        found = derived(again, ARRAY, "grid", "1", computing)
        assert np.array_equal(found, VALUES)
        assert found.dtype == VALUES.dtype
    assert computing.calls == 1
    assert small_store.files(recording.store) == before
    (file,) = kept(recording)
    assert file.parent == recording.store.with_name("store.derived") / "a"


@pytest.mark.parametrize(
    "values",
    [np.float32(3), np.zeros((0, 5), np.float32), np.asfortranarray(VALUES), np.zeros((300, 1000), np.float64)],
    ids=["scalar", "empty", "by columns", "larger than a piece"],
)
def test_any_array(recording: Recording, values: np.ndarray) -> None:
    computing = Computing(np.asarray(values))
    for _ in range(2):
        found = derived(recording, ARRAY, "grid", "1", computing)
        np.testing.assert_array_equal(found, values)
        assert found.dtype == values.dtype
    assert computing.calls == 1


@pytest.mark.parametrize(
    "damage",
    [
        *(
            lambda content, at=at: content[:at] + bytes([content[at] ^ 4]) + content[at + 1 :]
            for at in (0, 20, 150, -2)
        ),
        *(lambda content, size=size: content[:size] for size in (0, 3, 4, 100, -1, -4)),
        lambda content: content + b"\0\0\0\0",
        lambda content: bytes(len(content)),
    ],
)
def test_a_damaged_file_is_computed_again(recording: Recording, damage) -> None:
    computing = Computing()
    derived(recording, ARRAY, "grid", "1", computing)
    (file,) = kept(recording)
    whole = file.read_bytes()
    file.write_bytes(damage(whole))
    assert np.array_equal(derived(recording, ARRAY, "grid", "1", computing), VALUES)
    assert computing.calls == 2
    assert file.read_bytes() == whole


def test_other_content_or_weights_never_meet_an_old_file(recording: Recording, tmp_path: Path) -> None:
    derived(recording, ARRAY, "grid", "1", Computing())
    old = kept(recording)
    other = Computing(VALUES + 1)
    assert np.array_equal(derived(recording, ARRAY, "grid", "2", other), VALUES + 1)
    recording.store.rename(tmp_path / "earlier")
    small_store.write(recording.store, seed=5)
    again = FeatureStore(recording.store)["a"]
    third = Computing(VALUES + 2)
    assert np.array_equal(derived(again, ARRAY, "grid", "2", third), VALUES + 2)
    assert (other.calls, third.calls) == (1, 1)
    assert len(kept(again)) == 1  # of the recording as it was, nothing is left
    assert kept(again) != old


def test_other_things_are_left_alone(recording: Recording) -> None:
    names = ("grid-crop", "grid-crop-2", "grid", "grid-crop-scale")
    for number, name in enumerate(names):
        derived(recording, ARRAY, name, "1", Computing(VALUES + number))
    for number, name in enumerate(names):
        found = derived(recording, ARRAY, name, "1", Computing(VALUES - 99))
        assert np.array_equal(found, VALUES + number)


def test_a_fingerprint_of_a_store_without_digests(recording: Recording) -> None:
    known = {name: value for name, value in recording.attributes.items() if name != DIGESTS}
    first = replace(recording, attributes=known)
    assert first.fingerprint(ARRAY) == replace(recording, attributes=dict(known)).fingerprint(ARRAY)
    elsewhere = replace(recording, attributes=known | {"roi": [0, 0, 9, 9]})
    assert first.fingerprint(ARRAY) != elsewhere.fingerprint(ARRAY)
    assert len({recording.fingerprint(name) for name in recording.arrays}) == len(recording.arrays)


def test_where_nothing_can_be_written(recording: Recording) -> None:
    beside(recording.store).write_text("not a folder")
    computing = Computing()
    for _ in range(2):
        assert np.array_equal(derived(recording, ARRAY, "grid", "1", computing), VALUES)
    assert computing.calls == 2


@pytest.mark.parametrize("error", [OSError(28, "No space left on device"), InputError("cannot be written")])
def test_a_full_disk(recording: Recording, monkeypatch, error: Exception) -> None:
    def fail(*_: object) -> None:
        raise error

    monkeypatch.setattr(module, "write_checked", fail)
    assert np.array_equal(derived(recording, ARRAY, "grid", "1", Computing()), VALUES)
    assert kept(recording) == []


def test_an_error_of_the_computation_is_the_callers(recording: Recording) -> None:
    def fail() -> np.ndarray:
        raise InputError("a chunk is missing")

    with pytest.raises(InputError, match="a chunk is missing"):
        derived(recording, ARRAY, "grid", "1", fail)


def test_several_at_once(recording: Recording) -> None:
    """Some for the same file, some for another in its place: each gets its own values."""
    start, wrong = threading.Barrier(8), []

    def work(number: int) -> None:
        start.wait()
        for turn in range(10):
            made_from = (number + turn) % 3
            found = derived(recording, ARRAY, "grid", str(made_from), Computing(VALUES * made_from))
            if not np.array_equal(found, VALUES * made_from):
                wrong.append((number, turn))

    threads = [threading.Thread(target=work, args=[number]) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []
    names = [file.name for file in (beside(recording.store) / "a").iterdir()]
    assert all(name.endswith(".npy") and not name.startswith(".") for name in names)


def test_beside_a_store_on_object_storage_it_is_in_the_cache(monkeypatch, tmp_path: Path) -> None:
    monkeypatch.setenv("CHIRONOMY_CACHE", str(tmp_path))
    folders = [beside(place(f"memory://{name}/store")) for name in ("a", "b", "a")]
    assert folders[0] == folders[2] != folders[1]
    assert all(folder.parent == tmp_path / "derived" for folder in folders)
