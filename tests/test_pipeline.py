"""Extraction: from video files to a store, on made and on real recordings."""

import hashlib
import signal
from dataclasses import replace
from pathlib import Path

import librosa
import numpy as np
import pytest
import torch
import zarr
from recordings import extractor, pictures, reference, tone_of, write_sound, write_video
from tiny_program import start_holding, wait_for

from extract.jobs import Job, Settings
from extract.many import Recipe, extract_all
from extract.weights import Backbone, load_backbone
from store.errors import InputError
from store.features import FeatureStore
from store.summary import inspect_store


@pytest.fixture(scope="module")
def backbone() -> Backbone:
    return load_backbone("random:0")


def contents(folder: Path) -> dict[str, int]:
    return {str(path.relative_to(folder)): path.stat().st_mtime_ns for path in folder.rglob("*") if path.is_file()}


@pytest.fixture(scope="module")
def made(tmp_path_factory, backbone) -> Path:
    """A folder with video.mov (150 frames, so nine clips in two batches, and sound) extracted into S."""
    folder = tmp_path_factory.mktemp("made")
    outcome = extractor(folder / "S", backbone).extract(Job(write_video(folder / "video.mov", 150)))
    assert (outcome.recording, outcome.status, outcome.clips, outcome.error) == ("video", "extracted", 9, None)
    return folder


def test_layout(made):
    recording = zarr.open_group(made / "S", mode="r")["video"]
    assert (recording["conv4/plain"].shape, recording["conv4/plain"].dtype) == ((9, 256, 2, 7, 7), np.float16)
    assert (recording["audio"].shape, recording["audio"].dtype) == ((9, 28, 108), np.float32)
    np.testing.assert_allclose(recording["times"][...], np.arange(9)[:, None] * 0.64 + [0, 0.64], atol=1e-9)
    np.testing.assert_allclose(recording["frame_times"][...], np.arange(150) / 25, atol=1e-9)
    assert recording["statistics/conv4/plain/mean"].shape == (256, 2, 7, 7)
    assert recording["statistics/audio/std"].shape == (28, 108)


def test_attributes(made, backbone):
    attributes = FeatureStore(made / "S")["video"].attributes
    video = made / "video.mov"
    assert attributes["source_name"] == "video.mov"
    assert attributes["source_size"] == video.stat().st_size
    assert attributes["source_sha256"] == hashlib.sha256(video.read_bytes()).hexdigest()
    assert attributes["frame_rate"] == pytest.approx(25, rel=1e-3)
    assert attributes["duration"] == pytest.approx(6, abs=0.05)
    assert (attributes["width"], attributes["height"], attributes["rotation"]) == (112, 112, 0)
    assert (attributes["runtime"], attributes["runtime_precision"]) == ("torch", "float32")
    assert attributes["runtime_version"] == torch.__version__
    largest = FeatureStore(made / "S")["video"].read("conv4/plain").max()
    assert 0 < attributes["largest_difference"] < 1e-5 * largest
    assert attributes["roi"] is None
    spec = FeatureStore(made / "S").spec
    assert (spec.weights, spec.weights_sha256, spec.kind) == ("random:0", backbone.sha256, "2018")
    assert (spec.clip_length, spec.stride, spec.precision) == (16, 16, "float16")
    state = backbone.network.state_dict()
    tail = FeatureStore(made / "S").tail()
    assert all((values == state[name].numpy()).all() for name, values in tail.items())
    assert {"fc.weight", "fc.bias", "layer4.0.conv1.weight", "layer4.2.bn2.running_var"} <= tail.keys()


def test_activations_are_those_of_the_plain_network(made, backbone):
    frames = np.stack(pictures(144)).reshape(9, 16, 112, 112, 3)
    stored = FeatureStore(made / "S")["video"].read("conv4/plain").astype(np.float32)
    expected = reference(backbone, frames[[0, 4, 8]])
    # float16 keeps 11 bits; what is near zero may differ by rounding in the sums.
    np.testing.assert_allclose(stored[[0, 4, 8]], expected, rtol=2**-10, atol=1e-4 * expected.max())
    assert np.abs(stored[0] - stored[4]).max() > 0.1 * expected.max()


def test_audio_is_librosas(made):
    audio = FeatureStore(made / "S")["video"].read("audio")
    sound = tone_of(6) / np.float32(32768)
    for clip in (0, 3, 8):
        samples = sound[clip * 14112 : (clip + 1) * 14112]
        mfcc = librosa.feature.mfcc(y=samples, sr=22050, n_mfcc=20)
        np.testing.assert_allclose(audio[clip, :, :20], mfcc.T, rtol=1e-3, atol=0.05)


def test_a_clip_does_not_depend_on_the_others(made, backbone, tmp_path):
    """The first 48 frames alone: three clips in a batch of their own, the same to float16's last bit."""
    extractor(tmp_path / "S", backbone).extract(Job(write_video(tmp_path / "video.mov", 48)))
    alone, among = (FeatureStore(folder / "S")["video"] for folder in (tmp_path, made))
    first, second = alone.read("conv4/plain").astype(np.float32), among.read("conv4/plain").astype(np.float32)
    np.testing.assert_allclose(first, second[:3], rtol=2**-10, atol=1e-4 * second.max())
    np.testing.assert_array_equal(alone.read("times"), among.read("times")[:3])


def test_again(made, backbone):
    before = contents(made)
    outcome = extractor(made / "S", backbone).extract(Job(made / "video.mov"))
    assert (outcome.status, outcome.clips) == ("already there", 9)
    assert contents(made) == before


def test_another_content_of_the_same_name(made, backbone, tmp_path):
    other = write_video(tmp_path / "video.mov", 20, sound=False, seed=1)
    given = extractor(made / "S", backbone)
    before = contents(made)
    message = refused(lambda: given.extract(Job(other)))
    assert message.startswith(f"{other}: ")
    assert "--name" in message
    assert contents(made) == before
    assert given.extract(Job(other, "second")).clips == 1
    assert FeatureStore(made / "S").ids == ["second", "video"]
    assert not FeatureStore(made / "S")["second"].has_sound
    refused(lambda: given.extract(Job(made / "video.mov", "second")))
    refused(lambda: given.extract(Job(other, "")))


def test_sound_of_its_own_file(made, backbone, tmp_path):
    """Sound beside a silent video gives what the same sound inside gives."""
    silent = write_video(tmp_path / "silent.mov", 48, sound=False)
    sound = write_sound(tmp_path / "sound.wav", tone_of(6))
    given = extractor(tmp_path / "S", backbone)
    given.extract(Job(silent, audio=sound))
    found = FeatureStore(tmp_path / "S")["silent"]
    np.testing.assert_allclose(
        found.read("audio"), FeatureStore(made / "S")["video"].read("audio")[:3], rtol=1e-3, atol=0.05
    )
    assert found.attributes["audio_name"] == "sound.wav"
    assert given.extract(Job(silent, audio=sound)).status == "already there"
    # With other sound it is another recording.
    assert "--name" in refused(lambda: given.extract(Job(silent)))


def test_sound_that_is_none(backbone, tmp_path):
    silent = write_video(tmp_path / "silent.mov", 20, sound=False)
    (tmp_path / "text.wav").write_text("la la la")
    given = extractor(tmp_path / "S", backbone)
    for sound in (silent, tmp_path / "text.wav", tmp_path / "none.wav"):
        assert refused(lambda sound=sound: given.extract(Job(silent, audio=sound))).startswith(f"{sound}: ")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["silent.mov", "text.wav"]


def test_another_precision(backbone, made, tmp_path):
    message = refused(lambda: extractor(made / "S", backbone, Settings(precision="float32")))
    assert "float16, not float32" in message
    extractor(tmp_path / "S", backbone, Settings(precision="float32")).extract(
        Job(write_video(tmp_path / "video.mov", 16))
    )
    found = FeatureStore(tmp_path / "S")["video"].read("conv4/plain")
    assert found.dtype == np.float32
    among = FeatureStore(made / "S")["video"].read("conv4/plain")[:1]
    np.testing.assert_allclose(found, among, rtol=2**-10, atol=1e-4 * found.max())


def test_other_weights(backbone, made):
    message = refused(lambda: extractor(made / "S", replace(backbone, source="random:1", sha256="f" * 64)))
    assert "random:0" in message
    assert "random:1" in message


def test_a_place_that_is_no_store(backbone, tmp_path):
    (tmp_path / "file").write_text("mine")
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "thesis.txt").write_text("mine")
    for name in ("file", "folder"):
        assert "not a feature store" in refused(lambda name=name: extractor(tmp_path / name, backbone))
    video = write_video(tmp_path / "video.mov", 16)
    assert "cannot be written" in refused(lambda: extractor(tmp_path / "no" / "S", backbone).extract(Job(video)))
    (tmp_path / "empty").mkdir()
    assert extractor(tmp_path / "empty", backbone).extract(Job(video)).clips == 1


def test_what_cannot_be_used(backbone, tmp_path):
    """Refused in one line that names the file, nothing left behind; the others go on."""
    (tmp_path / "text.mp4").write_text("not a video, whatever its name")
    (tmp_path / "empty.mp4").touch()
    (tmp_path / "folder.mp4").mkdir()
    write_video(tmp_path / "short.mov", 15)
    write_sound(tmp_path / "sound.wav", tone_of(1))
    whole = write_video(tmp_path / "whole.avi", 80, sound=False)
    (tmp_path / "half.avi").write_bytes(whole.read_bytes()[: whole.stat().st_size // 2])
    bad = ["text.mp4", "empty.mp4", "folder.mp4", "short.mov", "sound.wav", "half.avi", "none.mp4"]
    before = sorted(path.name for path in tmp_path.iterdir())
    recipe = Recipe(str(tmp_path / "S"), "random:0")
    outcomes = list(extract_all(recipe, [Job(tmp_path / name) for name in bad]))
    for outcome, name in zip(outcomes, bad, strict=True):
        assert outcome.status == "failed"
        assert outcome.error is not None
        assert outcome.error.startswith(f"{tmp_path / name}: ")
        assert "\n" not in outcome.error
        assert "; " in outcome.error
    assert sorted(path.name for path in tmp_path.iterdir()) == before
    some = [tmp_path / "text.mp4", tmp_path / "short.mov", whole, tmp_path / "none.mp4"]
    outcomes = list(extract_all(recipe, [Job(video) for video in some]))
    assert [outcome.status for outcome in outcomes] == ["failed", "failed", "extracted", "failed"]
    assert FeatureStore(tmp_path / "S").ids == ["whole"]
    assert "15 frames" in str(outcomes[1].error)
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted([*before, "S"])


def refused(action) -> str:
    with pytest.raises(InputError) as caught:
        action()
    message = str(caught.value)
    assert "\n" not in message
    assert "; " in message, "says what to do"
    return message


@pytest.mark.slow
def test_real_recordings(beat_rep_store):
    root = zarr.open_group(beat_rep_store, mode="r")
    beat_rep, pianist = root["beat_rep"], root["pianist"]
    assert (beat_rep["conv4/plain"].shape, beat_rep["conv4/plain"].dtype) == ((183, 256, 2, 7, 7), np.float16)
    assert beat_rep["times"][0].tolist() == [0, 16 / 30]
    assert beat_rep["frame_times"].shape == (2936,)
    assert "audio" not in beat_rep
    assert pianist["conv4/plain"].shape == (182, 256, 2, 7, 7)
    assert (pianist["audio"].shape, pianist["audio"].dtype) == ((182, 28, 108), np.float32)
    np.testing.assert_allclose(pianist["times"][...], np.arange(182)[:, None] * 16 / 30 + [0, 16 / 30], atol=1e-6)
    for name in ("beat_rep", "pianist"):
        recording = FeatureStore(beat_rep_store)[name]
        recording.verify()
        stored = recording.read("conv4/plain").astype(np.float64)
        np.testing.assert_allclose(recording.read("statistics/conv4/plain/mean"), stored.mean(axis=0), rtol=1e-5)
        np.testing.assert_allclose(
            recording.read("statistics/conv4/plain/std"), stored.std(axis=0), rtol=1e-4, atol=1e-6
        )


# Whole clips of the frames that the files' documentation and headers declare, where they are sound.
CLIPS = {
    "dancer": 98,  # its header says 1572 frames, 1571 decode
    "corrupted": 3,
    "discard_first_keyframe": 1,
    "RATRACE_wave_f_nm_np1_fr_goo_37": 4,
    "hmdb51_Turnk_r_Pippi_Michel_cartwheel_f_cm_np2_le_med_6": 5,
    "nasa_13013": 24,
    "nasa_13013_rotated": 1,
    "sine_stereo_mp2": 6,
    "test": 18,
}


@pytest.mark.slow
def test_every_real_file(shared_data, tmp_path, tiny):
    """Each is extracted with the number of clips that plain decoding gives, or refused in one line."""
    videos = [path for path in sorted((shared_data / "video").rglob("*.*")) if path.stem != "pianist"]
    assert len(videos) == 12
    for outcome in extract_all(Recipe(str(tmp_path / "S"), "random:0", "tiny"), [Job(video) for video in videos]):
        expected = CLIPS.get(outcome.recording)
        if outcome.error is None:
            recording = FeatureStore(tmp_path / "S")[outcome.recording]
            count = len(recording.read("frame_times"))
            assert outcome.clips == recording.clips == count // 16
            times = recording.read("times")
            assert (times[1:, 0] == times[:-1, 1]).all()
            assert (times[:, 1] > times[:, 0]).all()
            assert outcome.clips == expected
        else:
            assert expected is None
            assert "\n" not in outcome.error
            assert "; " in outcome.error
            assert outcome.recording not in FeatureStore(tmp_path / "S")


@pytest.mark.slow
@pytest.mark.parametrize("asked_by", [signal.SIGINT, signal.SIGTERM])
def test_asked_to_stop(shared_data, tmp_path, asked_by):
    store, notes = tmp_path / "S", tmp_path / "notes"
    video = shared_data / "video" / "dancer.avi"
    running = start_holding(notes, "extract", video, "--store", store, "--backbone", "tiny", "--weights", "random:0")
    wait_for(1, notes, running)
    running.send_signal(asked_by)
    out, error = running.communicate(timeout=60)
    assert running.returncode == 1
    assert out == ""
    assert error.startswith("chironomy: stopped")
    assert error.count("\n") == 1
    left = sorted(path.name for path in tmp_path.iterdir())
    assert left == ["S.partial", "notes"], "nothing in the store, and all to go on with"
    with pytest.raises(InputError, match=r"begun is dancer \(\d+ clips done\); extract the same videos"):
        inspect_store(store)


def test_another_process_was_faster(backbone, tmp_path, made, monkeypatch):
    """Both decode the same video; the second finds it there when it wants to put it down."""
    first, second = (extractor(tmp_path / "S", backbone) for _ in range(2))
    write = second._write

    def overtaken(*arguments, **named):
        assert first.extract(Job(made / "video.mov")).status == "extracted"
        return write(*arguments, **named)

    monkeypatch.setattr(second, "_write", overtaken)
    outcome = second.extract(Job(made / "video.mov"))
    assert (outcome.status, outcome.clips) == ("already there", first.extract(Job(made / "video.mov")).clips)
