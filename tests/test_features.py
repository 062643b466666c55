"""The feature store: what it holds, and that damage is an error and never a number."""

import hashlib
import json
import os
import shutil
import zipfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import small_store
import zarr

from store.errors import InputError
from store.features import FeatureStore
from store.seal import seal
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
    assert root.attrs["chironomy"]["format_version"] == 2


def test_the_digests_can_be_checked_without_us(written):
    """As the documentation says: the SHA-256 of lines `key SHA-256`, the chunks in the order of the grid."""
    attributes = zarr.open_group(written / "a", mode="r").attrs
    assert attributes["digests"].keys() == attributes["arrays"].keys() == ARRAYS.keys()
    for name, (shape, _) in ARRAYS.items():
        keys = [
            f"c/{index}{'/0' * (len(shape) - 1)}" for index in range(3 if shape[0] == 70 and name != "times" else 1)
        ]
        hashes = [hashlib.sha256((written / "a" / name / key).read_bytes()).hexdigest() for key in keys]
        lines = "".join(f"{key} {found}\n" for key, found in zip(keys, hashes, strict=True))
        assert attributes["digests"][name] == hashlib.sha256(lines.encode()).hexdigest()


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


@pytest.mark.parametrize("array", ["conv4/plain", "audio"])
def test_two_chunks_that_changed_places(store, array):
    """Each is whole and its checksum is right."""
    first, second = chunks(store / "a" / array)[:2]
    contents = first.read_bytes(), second.read_bytes()
    first.write_bytes(contents[1])
    second.write_bytes(contents[0])
    assert zarr.open_array(store / "a" / array)[...].shape, "nobody else can tell"
    for action in (lambda: FeatureStore(store)["a"].read(array), FeatureStore(store)["a"].verify):
        message = refused(action)
        assert message.startswith(f"{store}: a/{array} is damaged (its chunks are not those that were sealed)")
    assert inspect_store(store, verify=True)["recordings"]["a"]["damage"] == message


def test_a_chunk_of_another_recording(store):
    small_store.write(store, "b", seed=1)
    for mine, other in zip(chunks(store / "a"), chunks(store / "b"), strict=True):
        if mine.read_bytes() != other.read_bytes():
            whole = mine.read_bytes()
            shutil.copy(other, mine)
            assert "not those that were sealed" in refused(FeatureStore(store)["a"].verify)
            mine.write_bytes(whole)
    FeatureStore(store)["a"].verify()


def test_a_statistic_exchanged_for_another(store):
    """The same shape and type, so the same metadata."""
    for name in ("zarr.json", "c/0/0/0/0"):
        shutil.copy(
            store / "a" / "statistics/conv4/plain/std" / name, store / "a" / "statistics/conv4/plain/mean" / name
        )
    assert "statistics/conv4/plain/mean is damaged" in refused(
        lambda: FeatureStore(store)["a"].read("statistics/conv4/plain/mean")
    )


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


def test_differences_are_named_one_by_one(written):
    spec = replace(small_store.SPEC, preprocessing=small_store.SPEC.preprocessing | {"resize": "crop"})
    squash = spec.preprocessing | {"resize": "squash"}
    cases = {
        "preprocessing resize: crop, not squash": replace(spec, preprocessing=squash),
        "audio features: none, not lab": replace(spec, audio=spec.audio | {"features": "lab"}),
        "stride: 16, not 4": replace(spec, stride=4),
        "fps: none, not 25.0": replace(spec, fps=25.0),
        "tail: drop, not loop": replace(spec, tail="loop"),
    }
    for difference, other in cases.items():
        assert spec.differences(other) == [difference]
    assert spec.differences(spec) == []
    two = replace(small_store.SPEC, stride=4, tail="loop")
    assert "stride: 16, not 4; tail: drop, not loop; name another" in refused(
        lambda: FeatureStore(written).require(two, "name another")
    )


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
    assert (summary["damage"], summary["foreign"], summary["unfinished"]) == ([], [], {})
    (store / "a" / "zarr.json").write_text("{")
    summary = inspect_store(store)
    assert "a is damaged" in summary["recordings"]["a"]["damage"]
    assert summary["recordings"]["b"]["clips"] == 70


def test_what_else_is_wrong_with_a_store(store):
    """Weights of the tail, a recording without its marker, folders of others: all named, nothing raised."""
    tail = store / "chironomy-tail" / "fc.bias" / "c" / "0"
    whole = tail.read_bytes()
    tail.write_bytes(whole[:-1])
    assert "chironomy-tail/fc.bias is damaged" in refused(FeatureStore(store).tail)
    (damage,) = inspect_store(store, verify=True)["damage"]
    assert "chironomy-tail/fc.bias is damaged" in damage
    assert inspect_store(store)["damage"] == [], "only looked at when asked to"
    shutil.rmtree(store / "chironomy-tail")
    (damage,) = inspect_store(store, verify=True)["damage"]
    assert damage.startswith(f"{store}: chironomy-tail is damaged")

    small_store.write(store, "b", seed=1)
    (store / "b" / "zarr.json").unlink()
    (store / "notes").mkdir()
    (store / "notes" / "today.txt").write_text("x")
    summary = inspect_store(store)
    assert list(summary["recordings"]) == ["a"]
    assert summary["foreign"] == ["notes"]
    assert summary["damage"] == [
        f"{store}: b is damaged (its zarr.json is missing); delete the folder {store / 'b'} and extract again"
    ]
    json.dumps(summary)


def test_metadata_between_the_arrays(store):
    """We never read them, others do."""
    for file in (store / "a" / "conv4" / "zarr.json", store / "a" / "statistics" / "audio" / "zarr.json"):
        whole = file.read_bytes()
        file.write_bytes(whole.replace(b"group", b"gruop"))
        assert f"a/{file.parent.relative_to(store / 'a')} is damaged" in refused(FeatureStore(store)["a"].verify)
        file.write_bytes(whole)


@pytest.fixture
def old(tmp_path) -> Path:
    """A store as it was written in format 1: no digests, no `fps` and `tail`."""
    with zipfile.ZipFile(Path(__file__).parent / "golden" / "format-1.zip") as archive:
        archive.extractall(tmp_path)
    return tmp_path / "format-1"


def test_the_first_format_is_read(old):
    opened = FeatureStore(old)
    assert (opened.spec.format_version, opened.spec.fps, opened.spec.tail) == (1, None, "drop")
    assert opened.spec.audio == {"rate": 22050, "time": False}
    assert opened.ids == ["guitar", "silent"]
    assert (opened["guitar"].has_sound, opened["silent"].has_sound) == (True, False)
    for name, clips in (("guitar", 35), ("silent", 3)):
        recording = opened[name]
        conv4 = (np.arange(clips * 36) % 251 / 8).reshape(clips, 2, 2, 3, 3)
        assert recording.clips == clips
        np.testing.assert_array_equal(recording.read("conv4/plain"), conv4)
        np.testing.assert_allclose(recording.read("statistics/conv4/plain/mean"), conv4.mean(axis=0), rtol=1e-6)
        np.testing.assert_allclose(recording.read("statistics/conv4/plain/std"), conv4.std(axis=0), rtol=1e-6)
        times = np.column_stack([np.arange(clips), np.arange(clips) + 1]) * 0.64
        np.testing.assert_array_equal(recording.read("times"), times)
        np.testing.assert_array_equal(recording.read("frame_times"), np.arange(clips * 16 + 3) / 25)
        recording.verify()
    audio = (np.arange(35 * 12) % 97 - 40.5).reshape(35, 4, 3)
    np.testing.assert_array_equal(opened["guitar"].read("audio"), audio)
    assert {name: values.tolist() for name, values in opened.tail().items()} == {
        "fc.bias": [0, 1, 2, 3, 4],
        "layer4.0.conv1.weight": np.ones((2, 3, 1, 1, 1)).tolist(),
    }
    summary = inspect_store(old, verify=True)
    assert summary["damage"] == []
    assert [each["damage"] for each in summary["recordings"].values()] == [None, None]


def test_the_first_format_is_not_added_to(old):
    """Its pictures had slightly darker colours: one store has one kind of features."""
    opened = FeatureStore(old)
    opened.require(opened.spec, "whoever")
    now = replace(opened.spec, format_version=2)
    expected = f"{old}: the store has format_version: 1, not 2; extract into another store"
    assert refused(lambda: opened.require(now, "extract into another store")) == expected
    assert refused(lambda: small_store.write(old, "new", spec=now)) == expected
    assert FeatureStore(old).ids == ["guitar", "silent"]
    assert list(old.parent.iterdir()) == [old]


def test_damage_in_the_first_format(old):
    chunk = old / "guitar" / "conv4" / "plain" / "c" / "0" / "0" / "0" / "0" / "0"
    chunk.write_bytes(chunk.read_bytes()[:-1] + b"\0")
    assert "guitar/conv4/plain is damaged" in refused(FeatureStore(old)["guitar"].verify)


@pytest.mark.parametrize("version", [3, 12])
def test_a_later_format_is_refused_by_name(store, version):
    root = json.loads((store / "zarr.json").read_text())
    root["attributes"]["chironomy"] |= {"format_version": version, "something": "new"}
    (store / "zarr.json").write_text(json.dumps(root))
    message = refused(lambda: FeatureStore(store))
    assert message == (
        f"{store}: has format version {version}, and this chironomy knows them up to 2; upgrade chironomy"
    )


def with_content(store: Path, recording: str, **content) -> None:
    """Give a copy of the recording `a` another content."""
    shutil.copytree(store / "a", store / recording)
    seal(store / recording, "zarr.json", list(ARRAYS), small_store.ATTRIBUTES | content)


def test_the_same_content_is_found_under_any_id(store):
    contents = {
        "roi": {"roi": [1, 2, 3, 4]},
        "sound": {"audio_sha256": "ab" * 32},
        "later": {"audio_sha256": "ab" * 32, "audio_offset": 0.5},
        "other": {"source_sha256": "00" * 32},
    }
    for name, content in contents.items():
        with_content(store, name, **content)
    opened = FeatureStore(store)
    source = {"source_sha256": small_store.ATTRIBUTES["source_sha256"], "source_name": "does not count"}
    for name, content in {"a": {}, **contents}.items():
        found = opened.find(source | content)
        assert found is not None
        assert found.id == name
    assert opened.find(source | {"roi": (1, 2, 3, 4)}).id == "roi"  # type: ignore[union-attr]
    assert opened.find(source | {"roi": [1, 2, 3, 5]}) is None
    assert opened.find(source | {"audio_offset": 0.5}) is None
    assert [each.id for each in opened.made_from("00" * 32)] == ["other"]
    assert next(opened.made_from(small_store.ATTRIBUTES["source_sha256"])).id == "a"
    assert list(opened.made_from("11" * 32)) == []
    attributes = opened.attributes()
    assert list(attributes) == ["a", "later", "other", "roi", "sound"]
    assert attributes["roi"]["frame_rate"] == 24.0


def test_a_damaged_recording_is_passed_over(store):
    with_content(store, "b")
    file = store / "a" / "zarr.json"
    file.write_text(file.read_text().replace("46.7", "46.8"))
    opened = FeatureStore(store)
    assert opened.find(small_store.ATTRIBUTES).id == "b"  # type: ignore[union-attr]
    assert next(opened.made_from(small_store.ATTRIBUTES["source_sha256"])).id == "b"
    assert list(opened.attributes()) == ["b"]
    assert opened.ids == ["a", "b"]
    file.unlink()
    file.mkdir()  # what cannot even be read
    assert opened.find(small_store.ATTRIBUTES).id == "b"  # type: ignore[union-attr]
    assert "a is damaged" in refused(lambda: opened["a"])


def test_opening_looks_at_nothing_else(store, monkeypatch):
    """So that a store of a thousand recordings opens as one of ten."""
    monkeypatch.setattr(os, "scandir", lambda *_: pytest.fail("the store was listed"))
    monkeypatch.setattr(os, "listdir", lambda *_: pytest.fail("the store was listed"))
    opened = FeatureStore(store)
    assert "a" in opened
    assert opened["a"].clips == 70
    opened["a"].read("conv4/plain")
