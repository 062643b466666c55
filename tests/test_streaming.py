"""Rows read from stored blocks as they are asked for."""

import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import small_store
from hypothesis import given, settings
from hypothesis import strategies as st

from store.errors import InputError
from store.features import FeatureStore
from store.recording import Recording, Rows
from store.seal import DIGESTS
from store.streaming import StreamedRows

ARRAY = "conv4/plain"
CLIPS = 2 * small_store.CLIPS  # in six blocks: 32, 32, 6 of each recording


@pytest.fixture(scope="module")
def recordings(tmp_path_factory) -> list[Recording]:
    store = tmp_path_factory.mktemp("streaming") / "store"
    for seed, name in enumerate("ab"):
        small_store.write(store, name, seed)
    return [FeatureStore(store)[name] for name in "ab"]


@pytest.fixture(scope="module")
def whole(recordings: list[Recording]) -> np.ndarray:
    return np.concatenate([recording.read(ARRAY) for recording in recordings])


@pytest.fixture
def reads(monkeypatch) -> list[tuple[str, int]]:
    """Which blocks of which recording are read, in order."""
    found, read = [], Rows.read

    def noting(self: Rows, number: int, *hashed: object) -> np.ndarray:
        found.append((self.recording.id, number))
        return read(self, number, *hashed)

    monkeypatch.setattr(Rows, "read", noting)
    return found


def test_looks_like_one_array(recordings: list[Recording], whole: np.ndarray, reads: list) -> None:
    rows = StreamedRows(recordings, ARRAY, keep=2)
    assert rows.shape == whole.shape
    assert len(rows) == CLIPS
    assert rows.block.tolist() == [0] * 32 + [1] * 32 + [2] * 6 + [3] * 32 + [4] * 32 + [5] * 6
    assert reads == []


@given(
    st.lists(st.lists(st.integers(0, CLIPS - 1), max_size=12), max_size=8),
    st.sampled_from([1, 2, 6]),
    st.sampled_from([ARRAY, "audio"]),
)
@settings(max_examples=40)
def test_any_rows_in_any_order(recordings: list[Recording], asked: list[list[int]], keep: int, array: str) -> None:
    expected = np.concatenate([recording.read(array) for recording in recordings])
    rows = StreamedRows(recordings, array, keep)
    for index in asked:
        found = rows[np.array(index, np.intp)]
        assert found.dtype == expected.dtype
        assert np.array_equal(found, expected[index])


def test_what_is_returned_is_the_callers(recordings: list[Recording], whole: np.ndarray) -> None:
    rows = StreamedRows(recordings, ARRAY, keep=2)
    rows[np.arange(32)][...] = 0
    assert np.array_equal(rows[np.arange(32)], whole[:32])


def test_in_order_each_block_is_read_once(recordings: list[Recording], reads: list) -> None:
    rows = StreamedRows(recordings, ARRAY, keep=2)
    for at in range(0, CLIPS, 10):
        rows[np.arange(at, min(at + 10, CLIPS))]
    assert reads == [(name, number) for name in "ab" for number in range(3)]


def test_no_more_blocks_are_kept_than_asked_for(recordings: list[Recording], reads: list) -> None:
    rows = StreamedRows(recordings, ARRAY, keep=2)
    for _ in range(2):
        rows[np.arange(CLIPS)]
        assert len(rows._kept) == 2
    assert len(reads) == 12
    rows[np.array([CLIPS - 1, CLIPS - 10])]  # of the two that are kept
    assert len(reads) == 12


def test_a_store_is_only_read(recordings: list[Recording]) -> None:
    folder = recordings[0].store
    before = {path: path.stat().st_mtime_ns for path in folder.rglob("*")}
    StreamedRows(recordings, ARRAY, keep=2)[np.arange(CLIPS)]
    assert {path: path.stat().st_mtime_ns for path in folder.rglob("*")} == before


@pytest.fixture
def own(recordings: list[Recording], tmp_path: Path) -> FeatureStore:
    """A store to damage."""
    return FeatureStore(Path(shutil.copytree(recordings[0].store, tmp_path / "store")))


def flip(chunk: Path) -> None:
    content = bytearray(chunk.read_bytes())
    content[len(content) // 2] ^= 1
    chunk.write_bytes(content)


def be_a_folder(chunk: Path) -> None:
    chunk.unlink()
    chunk.mkdir()


def change_places(chunk: Path) -> None:
    other = chunk_of(chunk.parents[7], 0)
    content = chunk.read_bytes()
    chunk.write_bytes(other.read_bytes())
    other.write_bytes(content)


DAMAGES: dict[str, Callable[[Path], object]] = {
    "flipped": flip,
    "cut": lambda chunk: chunk.write_bytes(chunk.read_bytes()[:-100]),
    "empty": lambda chunk: chunk.write_bytes(b""),
    "missing": lambda chunk: chunk.unlink(),
    "a folder": be_a_folder,
    "another's place": change_places,
    "of another recording": lambda chunk: chunk.write_bytes(chunk_of(chunk.parents[8] / "a", 1).read_bytes()),
}


def chunk_of(recording: Path, number: int) -> Path:
    return recording / ARRAY / "c" / str(number) / "0" / "0" / "0" / "0"


@pytest.mark.parametrize("damage", DAMAGES.values(), ids=DAMAGES)
@pytest.mark.parametrize("streamed_before", [False, True])
def test_damage_is_an_error_that_names_it(own: FeatureStore, damage, streamed_before: bool) -> None:
    """The first time that it is streamed it is seen at once, later when the block is read."""
    both = [own["a"], own["b"]]
    if streamed_before:
        StreamedRows(both, ARRAY, keep=6)
    damage(chunk_of(own.path / "b", 1))
    with pytest.raises(InputError) as refused:
        StreamedRows(both, ARRAY, keep=6)[np.array([0, 70 + 40])]
    message = str(refused.value)
    assert message.startswith(f"{own.path}: b/{ARRAY} is damaged")
    assert "extract the video again" in message
    assert "\n" not in message


def test_what_is_whole_can_still_be_read_and_what_is_not_stays_an_error(own: FeatureStore, whole: np.ndarray) -> None:
    rows = StreamedRows([own["a"], own["b"]], ARRAY, keep=6)
    flip(chunk_of(own.path / "b", 1))
    sound = np.array([*range(70 + 32), *range(70 + 64, CLIPS)])
    for _ in range(2):
        assert np.array_equal(rows[sound], whole[sound])
        with pytest.raises(InputError, match="the checksum does not match"):
            rows[np.array([70 + 40])]


def test_a_store_without_digests_is_read_by_its_checksums(recordings: list[Recording], whole: np.ndarray) -> None:
    known = {name: value for name, value in recordings[0].attributes.items() if name != DIGESTS}
    rows = StreamedRows([replace(recordings[0], attributes=known)], ARRAY, keep=2)
    assert np.array_equal(rows[np.arange(70)], whole[:70])
