"""Stores on object storage, against a real server of the S3 protocol on this machine."""

import os
import pickle
import shutil
import signal
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import small_store

from store import publish
from store.errors import InputError
from store.features import FeatureStore, occupied
from store.places import PlaceError, cache_folder, is_remote, key, place
from store.recording import Recording
from store.summary import inspect_store
from store.workspace import unfinished, workspaces
from store.writing import RecordingWriter


@pytest.fixture(scope="module")
def bucket():
    moto_server = pytest.importorskip("moto.server")
    s3fs = pytest.importorskip("s3fs")
    server = moto_server.ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AWS_ENDPOINT_URL", f"http://{host}:{port}")
        patch.setenv("AWS_ACCESS_KEY_ID", "testing")
        patch.setenv("AWS_SECRET_ACCESS_KEY", "testing")
        patch.setenv("AWS_DEFAULT_REGION", "us-east-1")
        place("s3://bucket").fs.mkdir("bucket")
        yield "s3://bucket"
        server.stop()
        s3fs.S3FileSystem.clear_instance_cache()


@pytest.fixture
def store(bucket, request, tmp_path, monkeypatch):
    """A place with nothing in it, and a cache of this test's own."""
    monkeypatch.setenv("CHIRONOMY_CACHE", str(tmp_path / "cache"))
    return place(f"{bucket}/{request.node.name}/S")


@pytest.fixture(scope="module")
def local(tmp_path_factory) -> Path:
    """What a store should be, made on a disk."""
    store = tmp_path_factory.mktemp("local") / "S"
    small_store.write(store)
    return store


def download(store, folder: Path) -> Path:
    folder.mkdir()
    for found in store.fs.find(key(store)):
        target = folder / found.removeprefix(key(store) + "/")
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(store.fs.cat_file(found))
    return folder


def refused(action) -> str:
    with pytest.raises(InputError) as caught:
        action()
    assert "\n" not in str(caught.value)
    assert "; " in str(caught.value), "says what to do"
    return str(caught.value)


def whole_or_not_there(store, recording: str, seed: int = 0) -> bool:
    if not small_store.there(store, recording):
        return False
    found = FeatureStore(store)[recording]
    found.verify()
    for name, values in small_store.arrays(seed).items():
        np.testing.assert_array_equal(found.read(name), values)
    return True


@pytest.mark.parametrize("text", ["S", "/data/S", "a/b.c", "C:\\data", "file:///data/S", "with space"])
def test_a_folder_is_a_path(text):
    assert place(text) == Path(text.removeprefix("file://"))
    assert not is_remote(place(text))


def test_an_address(bucket):
    found = place(f"{bucket}/some/S/")
    assert str(found) == "s3://bucket/some/S"
    assert is_remote(found)
    assert str(pickle.loads(pickle.dumps(found))) == str(found)
    assert "cannot be opened" in refused(lambda: place("nothing://bucket"))


def test_the_cache_folder(monkeypatch, tmp_path):
    monkeypatch.setenv("CHIRONOMY_CACHE", str(tmp_path))
    assert cache_folder() == tmp_path
    monkeypatch.delenv("CHIRONOMY_CACHE")
    assert cache_folder() == Path.home() / ".cache" / "chironomy"


def test_the_same_files_as_on_a_disk(store, local, tmp_path):
    assert not occupied(store)
    assert "no feature store there" in refused(lambda: FeatureStore(store))
    assert small_store.write(store) == 0
    assert occupied(store)
    small_store.assert_same(download(store, tmp_path / "S"), local)
    assert whole_or_not_there(store, "a")
    assert not workspaces(store).exists()


def test_views_added_later(store, local, tmp_path):
    small_store.write(store)
    small_store.add_views(store, views=["flip", "crop"])
    recording = FeatureStore(store)["a"]
    assert recording.views == ["plain", "crop", "flip"]
    np.testing.assert_array_equal(recording.read("conv4/flip"), small_store.view_values("flip"))
    recording.verify()
    like = shutil.copytree(local, tmp_path / "like")
    small_store.add_views(like, views=["crop", "flip"])
    small_store.assert_same(download(store, tmp_path / "S"), like)


@pytest.mark.parametrize("recording", ["Étude no. 3", "a [1] #2 100%", "演奏", "*?", "x" * 100])
def test_ids(store, recording):
    small_store.write(store, "a")
    small_store.write(store, recording, seed=1)
    assert FeatureStore(store).ids == sorted(["a", recording])
    assert whole_or_not_there(store, recording, seed=1)


def test_several_recordings(store):
    for seed, name in enumerate(("a", "b", "c")):
        small_store.write(store, name, seed)
    opened = FeatureStore(store)
    assert opened.spec == small_store.SPEC
    assert opened.ids == ["a", "b", "c"]
    assert "b" in opened
    assert "d" not in opened
    assert list(opened.attributes()) == ["a", "b", "c"]
    assert opened.tail().keys() == small_store.TAIL.keys()
    found = opened.find({"source_sha256": small_store.ATTRIBUTES["source_sha256"]})
    assert found is not None
    assert found.id == "a"
    assert opened.find({"source_sha256": "00" * 32}) is None
    assert "no recording d; it has a, b, c" in refused(lambda: opened["d"])
    assert "float16, not float32" in refused(
        lambda: small_store.write(store, "d", spec=replace(small_store.SPEC, precision="float32"))
    )


def test_damage_is_found(store):
    small_store.write(store, "a")
    small_store.write(store, "b", seed=1)
    fs = store.fs
    chunk = key(store, "a/conv4/plain/c/1/0/0/0/0")
    whole = fs.cat_file(chunk)
    for content, reason in (
        (whole[:-1] + bytes([whole[-1] ^ 1]), "checksum"),
        (fs.cat_file(key(store, "b/conv4/plain/c/1/0/0/0/0")), "not those that were sealed"),
        (b"", "the chunk c/1/0/0/0/0"),
        (None, "is missing"),
    ):
        fs.pipe_file(chunk, content) if content is not None else fs.rm_file(chunk)
        message = refused(lambda: FeatureStore(store)["a"].read("conv4/plain"))
        assert message.startswith(f"{store}: a/conv4/plain is damaged (")
        assert reason in message
        summary = inspect_store(store, verify=True)
        assert summary["recordings"]["a"]["damage"] == message
        assert summary["recordings"]["b"]["damage"] is None
    tail = key(store, "chironomy-tail/fc.bias/c/0")
    fs.pipe_file(tail, fs.cat_file(tail)[:-1])
    (damage,) = inspect_store(store, verify=True)["damage"]
    assert damage.startswith(f"{store}: chironomy-tail/fc.bias is damaged")


class Failing:
    """Lets a number of uploads through, one file each, and stops at the next."""

    def __init__(self, fs, monkeypatch):
        self.left = 0
        monkeypatch.setattr(publish, "_AT_ONCE", 1)
        for name in ("pipe", "pipe_file"):
            monkeypatch.setattr(fs, name, self._counted(getattr(fs, name)))

    def _counted(self, upload):
        def call(what, *arguments, **options):
            if what and not str(what).endswith(".writable"):
                self.left -= 1
                if self.left < 0:
                    raise KeyboardInterrupt
            return upload(what, *arguments, **options)

        return call


@pytest.mark.parametrize("new", [True, False])
def test_stopped_after_any_file(store, monkeypatch, new):
    """Whatever has been uploaded, nothing appears before the mark; and nobody computes anything again."""
    if not new:
        small_store.write(store, "before", seed=1)
    failing = Failing(store.fs, monkeypatch)
    stops = 0
    while not small_store.there(store, "a"):
        failing.left = 4  # of about 40
        try:
            assert small_store.write(store) == (64 if stops else 0)
        except KeyboardInterrupt:
            stops += 1
            assert unfinished(store) == {"a": 70}
            assert not small_store.there(store, "a")
        if not new:
            FeatureStore(store)["before"].verify()
    assert stops >= 5
    assert whole_or_not_there(store, "a")
    assert inspect_store(store, verify=True)["damage"] == []
    assert not workspaces(store).exists()


@pytest.mark.slow
def test_killed_in_the_middle_of_an_upload(store, local, tmp_path):
    noise = np.random.default_rng(0)
    seconds, kills, uploading = 1.0, 0, 0
    while not whole_or_not_there(store, "a"):
        process = small_store.start(store, "a")
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        if kills:
            time.sleep(float(noise.uniform(0, seconds)))
        else:  # once for certain while files are arriving, however fast the machine
            while not store.fs.exists(key(store, "a/audio/c/0/0/0")):
                time.sleep(0.001)
        process.kill()
        process.communicate()
        seconds *= 1.1  # the machine may be slow
        if process.returncode == -signal.SIGKILL:
            kills += 1
            uploading += key(store, "a/audio/c/0/0/0") in store.fs.find(key(store))
    assert kills
    assert uploading
    small_store.write(store, "b")
    store.fs.rm(key(store, "b"), recursive=True)
    small_store.assert_same(download(store, tmp_path / "S"), local)
    assert not workspaces(store).exists()


def other_machine(store, monkeypatch, tmp_path, seed: int, recording: str = "a") -> None:
    """Write as a machine that shares no disk with this one."""
    with monkeypatch.context() as patch:
        patch.setenv("CHIRONOMY_CACHE", str(tmp_path / "other cache"))
        small_store.write(store, recording, seed)


@pytest.mark.parametrize("seed", [0, 1])
def test_another_machine_was_faster(store, monkeypatch, tmp_path, seed):
    def overtaken() -> None:
        arguments = (small_store.SPEC, small_store.TAIL, 70, small_store.identity())
        with RecordingWriter(store, "a", *arguments) as writer:
            small_store.fill(writer, small_store.arrays())
            other_machine(store, monkeypatch, tmp_path, seed)
            writer.commit(small_store.ATTRIBUTES)

    assert "another process has just written it; run the command again" in refused(overtaken)
    assert whole_or_not_there(store, "a", seed)
    assert not workspaces(store).exists()


@pytest.mark.parametrize("seed", [0, 1])
def test_another_machine_was_faster_at_the_last_moment(store, monkeypatch, tmp_path, seed):
    """Its files replace ours before we set the mark: only one mark is accepted, and what it seals is whole."""
    original = publish._mark

    def late(source, target, marker):
        monkeypatch.setattr(publish, "_mark", original)
        if marker == "zarr.json" and target == store / "a":
            other_machine(store, monkeypatch, tmp_path, seed)
        else:
            monkeypatch.setattr(publish, "_mark", late)
        original(source, target, marker)

    small_store.write(store, "before")
    monkeypatch.setattr(publish, "_mark", late)
    if seed == 0:
        small_store.write(store)  # the same content: nothing to complain of
    else:
        assert "another process has just written it" in refused(lambda: small_store.write(store))
    assert whole_or_not_there(store, "a", seed)


def test_a_mixture_of_two_machines_is_found(store, monkeypatch, tmp_path):
    """Files of a slower machine arrive after the mark of a faster one: whole chunks, yet not those sealed."""
    small_store.write(store)
    made = tmp_path / "other"
    small_store.write(made, seed=1)
    name = "a/conv4/plain/c/0/0/0/0/0"
    publish._copy(made, store, [name])
    assert "not those that were sealed" in refused(lambda: FeatureStore(store)["a"].read("conv4/plain"))
    assert inspect_store(store, verify=True)["recordings"]["a"]["damage"] is not None


def test_what_comes_back_otherwise_is_not_marked(store, monkeypatch):
    """A place that loses or changes a file: nothing appears, and nothing is lost."""
    monkeypatch.setattr(store.fs, "pipe", lambda contents: None)
    message = refused(lambda: small_store.write(store))
    assert message == f"{store}: what was uploaded does not read back; run the command again"
    assert not occupied(store)


def test_an_upload_under_way_is_named(store):
    small_store.write(store)
    store.fs.pipe_file(key(store, "half/times/zarr.json"), b"{}")
    store.fs.pipe_file(key(store, "notes.txt"), b"not a recording")
    summary = inspect_store(store, verify=True)
    assert (list(summary["recordings"]), summary["foreign"], summary["damage"]) == (["a"], ["half"], [])


def test_what_else_is_in_a_bucket_is_not_a_store(store):
    store.fs.pipe_file(key(store, "photos/1.jpg"), b"x")
    assert "not a feature store" in refused(lambda: FeatureStore(store))
    assert occupied(store)


def test_no_bucket(bucket, tmp_path, monkeypatch):
    monkeypatch.setenv("CHIRONOMY_CACHE", str(tmp_path))
    nowhere = place("s3://nowhere/S")
    assert "no feature store there" in refused(lambda: FeatureStore(nowhere))
    message = refused(lambda: small_store.write(nowhere))
    assert message.startswith("s3://nowhere/S: cannot be reached (The specified bucket does not exist)")


def test_a_server_that_is_gone(store, monkeypatch):
    small_store.write(store)
    opened = FeatureStore(store)

    def gone(*arguments, **options):
        raise ConnectionResetError("Connection reset by peer")

    for name in ("cat_ranges", "ls", "pipe", "pipe_file"):
        monkeypatch.setattr(store.fs, name, gone)
    actions = (
        lambda: FeatureStore(store),
        lambda: opened.ids,
        lambda: opened["a"],
        lambda: opened.find({"source_sha256": "00"}),
        lambda: Recording(store, "a", {"arrays": {}}).parts,
        lambda: small_store.write(store, "b"),
        lambda: inspect_store(store),
    )
    for action in actions:
        with pytest.raises(PlaceError) as caught:
            action()
        assert str(caught.value).startswith(f"{store}")
        assert "cannot be reached (Connection reset by peer); " in str(caught.value)


def test_the_disk_of_this_machine_is_full(store, monkeypatch):
    """Nothing is wrong with the object storage then, and the message does not say so."""
    small_store.write(store, "before")

    def full(descriptor):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    message = refused(lambda: small_store.write(store))
    assert message.startswith(f"{workspaces(store)}: cannot be written (No space left on device)")
