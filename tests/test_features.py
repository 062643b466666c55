"""The feature store: what it holds, and that damage is an error and never a number."""

import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import small_store
import zarr

from store.errors import InputError
from store.features import FeatureStore
from store.summary import inspect_store

ARRAYS = {
    "conv4/plain": ((70, 4, 2, 7, 7), np.float16),
    "audio": ((70, 28, 6), np.float32),
    "times": ((70, 2), np.float64),
    "frame_times": ((1125,), np.float64),
    "statistics/conv4/plain/mean": ((4, 2, 7, 7), np.float32),
    "statistics/conv4/plain/std": ((4, 2, 7, 7), np.float32),
    "statistics/audio/mean": ((28, 6), np.float32),
    "statistics/audio/std": ((28, 6), np.float32),
}


@pytest.fixture(scope="module")
def written(tmp_path_factory) -> Path:
    store = tmp_path_factory.mktemp("features") / "S"
    small_store.write(store)
    return store


@pytest.fixture
def store(written, tmp_path) -> Path:
    """A copy to damage."""
    return shutil.copytree(written, tmp_path / "S")


def refused(action) -> str:
    with pytest.raises(InputError) as caught:
        action()
    message = str(caught.value)
    assert "\n" not in message
    assert "; " in message, "says what to do"
    return message


def test_layout_as_zarr_sees_it(written):
    root = zarr.open_group(written, mode="r")
    assert root.metadata.zarr_format == 3
    found = {name: member for name, member in root["a"].members(max_depth=None) if isinstance(member, zarr.Array)}
    assert {name: (array.shape, array.dtype) for name, array in found.items()} == ARRAYS
    for name, values in small_store.arrays().items():
        np.testing.assert_array_equal(found[name][...], values)
        assert type(found[name].metadata.codecs[-1]).__name__ == "Crc32cCodec"
    assert root.attrs["chironomy"] == small_store.SPEC.to_dict()


def test_reading(written):
    opened = FeatureStore(written)
    assert opened.spec == small_store.SPEC
    assert opened.ids == ["a"]
    assert "a" in opened
    assert "b" not in opened
    recording = opened["a"]
    assert (recording.clips, recording.views, recording.has_sound) == (70, ["plain"], True)
    assert small_store.ATTRIBUTES.items() <= recording.attributes.items()
    assert sorted(recording.arrays) == sorted(ARRAYS)
    for name, values in small_store.arrays().items():
        np.testing.assert_array_equal(recording.read(name), values)
    for name, values in opened.tail().items():
        np.testing.assert_array_equal(values, small_store.TAIL[name])
    assert opened.tail().keys() == small_store.TAIL.keys()


def test_statistics_are_those_of_the_stored_values(written):
    recording = FeatureStore(written)["a"]
    for name in ("conv4/plain", "audio"):
        stored = zarr.open_array(written / "a" / name)[...].astype(np.float64)
        # A mean of 2000 beside a deviation of 3, too: float32's own rounding is all that may differ.
        np.testing.assert_allclose(recording.read(f"statistics/{name}/mean"), stored.mean(axis=0), rtol=2e-7)
        np.testing.assert_allclose(recording.read(f"statistics/{name}/std"), stored.std(axis=0), rtol=1e-6)


def test_what_is_not_there_is_named(written, tmp_path):
    opened = FeatureStore(written)
    assert "no recording b; it has a" in refused(lambda: opened["b"])
    assert "recording a has no conv4/flip" in refused(lambda: opened["a"].read("conv4/flip"))
    assert "no feature store there" in refused(lambda: FeatureStore(tmp_path / "none"))
    (tmp_path / "empty").mkdir()
    assert "no feature store there" in refused(lambda: FeatureStore(tmp_path / "empty"))
    (tmp_path / "file").write_text("not a store")
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "notes.txt").write_text("not a store")
    zarr.open_group(tmp_path / "other", mode="w-", zarr_format=3)
    for name in ("file", "folder", "other"):
        message = refused(lambda name=name: FeatureStore(tmp_path / name))
        assert message.startswith(f"{tmp_path / name}: not a feature store of chironomy")


def test_other_files_in_the_store_do_no_harm(store):
    """As a file manager's notes, or the weights, which may be kept there; any warning fails the test."""
    (store / ".DS_Store").write_bytes(b"\0")
    (store / "resnet-34-kinetics.pth").write_bytes(b"\0")
    (store / "a" / ".DS_Store").write_bytes(b"\0")
    opened = FeatureStore(store)
    assert opened.ids == ["a"]
    opened["a"].verify()
    assert opened["a"].views == ["plain"]


def chunks(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*") if path.is_file() and path.name != "zarr.json")


def test_a_flipped_bit_in_any_chunk(store):
    recording = FeatureStore(store)["a"]
    files = chunks(store / "a")
    assert len(files) == 3 + 3 + 6  # two arrays of three chunks of clips, six of one
    noise = np.random.default_rng(0)
    for file in files:
        array = file.relative_to(store / "a").as_posix().partition("/c/")[0]
        whole = file.read_bytes()
        for position in (0, len(whole) // 2, len(whole) - 1, *noise.integers(0, len(whole), 5).tolist()):
            damaged = bytearray(whole)
            damaged[position] ^= 1 << int(noise.integers(8))
            file.write_bytes(damaged)
            message = refused(lambda array=array: recording.read(array))
            assert message.startswith(f"{store}: a/{array} is damaged")
        refused(recording.verify)
        file.write_bytes(whole)
    recording.verify()


@pytest.mark.parametrize("keep", [0, 3, 4, 20, -1])
def test_a_truncated_chunk(store, keep):
    for file in chunks(store / "a"):
        array = file.relative_to(store / "a").as_posix().partition("/c/")[0]
        file.write_bytes(file.read_bytes()[:keep])
        assert f"a/{array} is damaged" in refused(lambda array=array: FeatureStore(store)["a"].read(array))


def test_a_missing_chunk(store):
    for file in chunks(store / "a"):
        array = file.relative_to(store / "a").as_posix().partition("/c/")[0]
        file.unlink()
        message = refused(lambda array=array: FeatureStore(store)["a"].read(array))
        assert f"a/{array} is damaged" in message
        assert "missing" in message
    # Even who reads past us gets no number.
    assert np.isnan(zarr.open_array(store / "a" / "conv4" / "plain")[...]).all()


def test_a_missing_array(store):
    shutil.rmtree(store / "a" / "audio")
    assert "a/audio is damaged" in refused(FeatureStore(store)["a"].verify)


def test_a_flipped_bit_in_any_metadata(store):
    """Whatever it hits, the recording reads as it was, or not at all."""
    noise = np.random.default_rng(1)
    refusals = 0
    for file in sorted(store.rglob("zarr.json")):
        whole = file.read_bytes()
        for position in noise.integers(0, len(whole), 12).tolist():
            damaged = bytearray(whole)
            damaged[position] ^= 1 << int(noise.integers(8))
            file.write_bytes(damaged)
            message = refusal_or_whole(store)
            assert "\n" not in message
            assert message.startswith(f"{store}: ") or not message
            refusals += bool(message)
        file.write_bytes(whole)
    assert refusals > 100


def refusal_or_whole(store: Path) -> str:
    """Return why a store is refused; nothing if everything in it reads as it was written."""
    try:
        opened = FeatureStore(store)
        recording = opened["a"]
        recording.verify()
        found = {name: recording.read(name) for name in small_store.arrays()}
        tail = opened.tail()
    except InputError as error:
        return str(error)
    assert (opened.spec, opened.ids) == (small_store.SPEC, ["a"])
    assert small_store.ATTRIBUTES.items() <= recording.attributes.items()
    assert (recording.clips, recording.has_sound) == (small_store.CLIPS, True)
    assert all((found[name] == values).all() for name, values in small_store.arrays().items())
    assert all((tail[name] == values).all() for name, values in small_store.TAIL.items())
    return ""


@pytest.mark.parametrize(("key", "value"), [("shape", [60, 4, 2, 7, 7]), ("shape", [70, 4, 2, 7, 6])])
def test_a_changed_shape(store, key, value):
    file = store / "a" / "conv4" / "plain" / "zarr.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | {key: value}))
    assert "a/conv4/plain is damaged" in refused(lambda: FeatureStore(store)["a"].read("conv4/plain"))


def test_a_changed_attribute(store):
    file = store / "a" / "zarr.json"
    file.write_text(file.read_text().replace("46.7", "46.8"))
    assert f"{store}: a is damaged" in refused(lambda: FeatureStore(store)["a"])


def test_another_spec_is_refused_naming_both(written):
    opened = FeatureStore(written)
    opened.require(small_store.SPEC, "whoever")
    other = replace(small_store.SPEC, weights="r3d34_K_200ep.pth", weights_sha256="ef" * 32, precision="float32")
    message = refused(lambda: opened.require(other, "name another"))
    assert message.startswith(f"{written}: ")
    assert "random:0 (abababababab), not r3d34_K_200ep.pth (efefefefefef)" in message
    assert "precision: float16, not float32" in message
    assert "clip_length" not in message


def test_a_renamed_weights_file_is_the_same(written):
    renamed = replace(small_store.SPEC, weights="copy.pth")
    assert small_store.SPEC.differences(renamed) == []
    assert len(small_store.SPEC.differences(replace(renamed, weights_sha256="00" * 32))) == 1


def test_summary(store):
    small_store.write(store, "b", seed=1)
    summary = inspect_store(store, verify=True)
    json.dumps(summary)
    assert summary["spec"] == small_store.SPEC.to_dict()
    assert summary["recordings"]["a"] == {
        "clips": 70,
        "views": ["plain"],
        "sound": True,
        "source_name": "é.mp4",
        "duration": 46.7,
        "frame_rate": 24.0,
        "runtime": None,
        "largest_difference": None,
        "damage": None,
    }
    chunks(store / "a" / "audio")[0].unlink()
    summary = inspect_store(store, verify=True)
    assert "a/audio is damaged" in summary["recordings"]["a"]["damage"]
    assert summary["recordings"]["b"]["damage"] is None
    (store / "a" / "zarr.json").write_text("{")
    summary = inspect_store(store)
    assert "a is damaged" in summary["recordings"]["a"]["damage"]
    assert summary["recordings"]["b"]["clips"] == 70
