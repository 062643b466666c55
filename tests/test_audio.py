"""The sound of each clip, and its features, compared with librosa called on that clip alone."""

import struct
import subprocess
import sys
import wave
from collections.abc import Callable
from dataclasses import asdict
from fractions import Fraction
from pathlib import Path

import av
import librosa
import numpy as np
import pytest
import scipy.signal
from hypothesis import given, settings
from hypothesis import strategies as st

from extract.audio import AUDIO, ClipSound, has_sound, timbre
from store.errors import InputError

ROOT = Path(__file__).resolve().parents[1]
RATE = 22050
LENGTH = 14112
WINDOW = {"n_fft": 2048, "hop_length": 512}


def reference(clip: np.ndarray, lab: bool = False) -> np.ndarray:
    """One clip's features by plain calls of librosa: (28, 108), or as the lab's code has them, (28, 109)."""
    feature = librosa.feature
    of_clip = {"y": clip, "sr": RATE, **WINDOW}
    contrast = feature.spectral_contrast(**of_clip)
    base = np.concatenate(
        [
            feature.mfcc(**of_clip, n_mfcc=20),
            feature.spectral_centroid(**of_clip),
            feature.spectral_bandwidth(**of_clip),
            feature.spectral_rolloff(**of_clip, roll_percent=0.99 if lab else 0.85),
            feature.spectral_flatness(y=clip, **WINDOW),
            contrast[:1] if lab else contrast.mean(axis=0, keepdims=True),
            feature.zero_crossing_rate(clip, frame_length=2048, hop_length=512),
            feature.rms(y=clip, frame_length=2048, hop_length=512),
        ]
    )
    features = [base, *(feature.delta(base, order=order) for order in (1, 2, 3))]
    times = librosa.frames_to_time(np.arange(28), sr=RATE, hop_length=512)
    return np.concatenate([*features, times[None]] if lab else features).T


def kinds_of_sound() -> dict[str, np.ndarray]:
    noise = np.random.default_rng(0)
    seconds = np.arange(LENGTH) / RATE
    tone = np.sin(2 * np.pi * 440 * seconds)
    pluck = tone * np.exp(-8 * seconds)
    half = np.where(np.arange(LENGTH) < LENGTH // 2, 0, tone)
    click = np.zeros(LENGTH)
    click[5000] = 1
    return {
        "loud noise": noise.normal(0, 1, LENGTH),
        "faint noise": noise.normal(0, 1e-5, LENGTH),
        "tone": 0.5 * tone,
        "faint tone": 1e-4 * tone,
        "pluck": pluck,
        "half silent": half,
        "click": click,
        "constant": np.full(LENGTH, 0.3),
        "silence": np.zeros(LENGTH),
        "clipped": np.clip(20 * tone, -1, 1),
    }


SOUNDS = {name: clip.astype(np.float32) for name, clip in kinds_of_sound().items()}
# Per feature, what rounding in single precision may change: librosa computes in it too.
SCALE = np.tile(np.array([*[100.0] * 20, 5000, 5000, 5000, 1, 30, 1, 1]), 4)


def assert_same(found: np.ndarray, expected: np.ndarray) -> None:
    assert found.shape == expected.shape
    scale = np.append(SCALE, 1)[: expected.shape[1]]
    assert np.abs((found - expected) / scale).max() < 1e-5


@pytest.fixture(scope="module")
def together() -> np.ndarray:
    return timbre(np.stack(list(SOUNDS.values())))


@pytest.mark.parametrize("name", SOUNDS)
def test_each_clip_equals_librosa_on_it_alone(together, name):
    """All in one batch, loud beside faint: librosa's 80 dB floor must not be shared between them."""
    assert_same(together[list(SOUNDS).index(name)], reference(SOUNDS[name]))


def test_the_labs_features_equal_librosa_too():
    found = timbre(np.stack(list(SOUNDS.values())), AUDIO["lab"])
    assert (found.shape, found.dtype) == ((len(SOUNDS), 28, 109), np.float32)
    for features, clip in zip(found, SOUNDS.values(), strict=True):
        assert_same(features, reference(clip, lab=True))


def test_shape_and_finiteness(together):
    assert together.shape == (len(SOUNDS), 28, 108)
    assert together.dtype == np.float32
    assert np.isfinite(together).all()


def test_no_clips_and_one_clip():
    assert timbre(np.empty((0, LENGTH), np.float32)).shape == (0, 28, 108)
    assert_same(timbre(SOUNDS["pluck"][None])[0], reference(SOUNDS["pluck"]))


def test_samples_are_left_as_they_are():
    clips = np.stack(list(SOUNDS.values()))
    before = clips.copy()
    timbre(clips)
    np.testing.assert_array_equal(clips, before)


def test_many_clips_equal_the_same_clips_in_any_company():
    """Across the batches in which they are computed."""
    clips = np.random.default_rng(1).normal(0, 0.1, (70, LENGTH)).astype(np.float32)
    found = timbre(clips)
    for index in (0, 31, 32, 69):
        assert_same(found[index], timbre(clips[index : index + 1])[0])


@settings(max_examples=10)
@given(st.lists(st.floats(-7, 0), min_size=2, max_size=4), st.integers(0, 2**31))
def test_any_levels_in_one_batch(levels, seed):
    noise = np.random.default_rng(seed)
    clips = np.stack([10**level * noise.normal(size=LENGTH) for level in levels]).astype(np.float32)
    for found, clip in zip(timbre(clips), clips, strict=True):
        assert_same(found, reference(clip))


def test_known_values():
    """By the definitions, without librosa: a tone of 1000 Hz and amplitude 0.5."""
    clip = 0.5 * np.sin(2 * np.pi * 1000 * np.arange(LENGTH) / RATE)
    middle = timbre(clip[None].astype(np.float32))[0, 10]
    assert middle[20] == pytest.approx(1000, rel=0.02)  # centroid
    assert middle[25] == pytest.approx(2000 / RATE, rel=0.02)  # zero crossings a sample
    assert middle[26] == pytest.approx(0.5 / np.sqrt(2), rel=0.01)  # RMS
    assert middle[27 + 26] == pytest.approx(0, abs=1e-3)  # its first derivative


def test_parameters_stand_in_the_spec():
    paper = {"rate": 22050, "samples": 14112, "n_fft": 2048, "hop": 512, "n_mfcc": 20}
    assert asdict(AUDIO["paper"]) == paper | {"rolloff": 0.85, "contrast": "mean", "time": False}
    assert asdict(AUDIO["lab"]) == paper | {"rolloff": 0.99, "contrast": "lowest", "time": True}
    assert [AUDIO[name].features for name in ("paper", "lab")] == [108, 109]


def test_import_is_light():
    script = "import sys, extract.audio; print(sorted({'librosa', 'scipy', 'torch'} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


# --- the sound of clips ---


def write_wav(path: Path, channels: np.ndarray, rate: int = RATE) -> Path:
    """Write (channels, samples) in [-1, 1] as 16-bit WAV."""
    with wave.open(str(path), "wb") as file:
        file.setnchannels(len(channels))
        file.setsampwidth(2)
        file.setframerate(rate)
        file.writeframes(np.rint(channels.T * 32767).astype("<i2").tobytes())
    return path


def mark(seconds: np.ndarray, at: float) -> np.ndarray:
    """A short burst of 1 kHz whose middle is at a known time."""
    return 0.8 * np.exp(-(((seconds - at) / 0.002) ** 2)) * np.cos(2 * np.pi * 1000 * (seconds - at))


def offset_of(clip: np.ndarray) -> int:
    """By how many samples a clip's burst lies behind the middle."""
    expected = mark((np.arange(LENGTH) - LENGTH // 2) / RATE, 0.0)
    return int(np.argmax(scipy.signal.correlate(clip, expected, method="fft"))) - (LENGTH - 1)


def samples(path: Path, times: np.ndarray, batch: int = 8, offset: float = 0.0) -> np.ndarray:
    """Return the sound of clips, asked for batch by batch."""
    with ClipSound(path, offset) as sound:
        batches = [sound.samples(times[first : first + batch]) for first in range(0, len(times), batch)]
    return np.concatenate(batches)


def clip_around(path: Path, at: float, offset: float = 0.0) -> np.ndarray:
    return samples(path, np.array([[at - 0.2, at + 0.2]]), offset=offset)[0]


def encode(
    path: Path,
    sound: np.ndarray,
    rate: int,
    codec: str,
    *,
    place: Callable[[int], int] = int,
    picture: int = 0,
) -> Path:
    """Encode mono sound, its n-th sample stamped place(n), beside `picture` frames at 25 a second."""
    with av.open(str(path), "w") as output:
        if picture:
            video = output.add_stream("mpeg4", rate=25)
            video.width = video.height = 32
            video.pix_fmt = "yuv420p"
        stream = output.add_stream(codec, rate=rate)
        stream.layout = "mono"
        stream.time_base = Fraction(1, rate)
        for index in range(picture):
            frame = av.VideoFrame.from_ndarray(np.zeros((32, 32, 3), np.uint8))
            frame.pts, frame.time_base = index, Fraction(1, 25)
            output.mux(video.encode(frame))
        if picture:
            output.mux(video.encode(None))
        kind = stream.codec_context.format.name
        step = stream.codec_context.frame_size or 1024
        for first in range(0, len(sound), step):
            block = sound[None, first : first + step]
            block = block.astype(np.float32) if kind.startswith("flt") else np.rint(block * 32767).astype(np.int16)
            frame = av.AudioFrame.from_ndarray(block, format=kind, layout="mono")
            frame.sample_rate, frame.pts, frame.time_base = rate, place(first), Fraction(1, rate)
            output.mux(stream.encode(frame))
        output.mux(stream.encode(None))
    return path


def test_samples_at_the_right_rate_come_unchanged(tmp_path):
    sound = np.random.default_rng(0).uniform(-0.9, 0.9, 3 * RATE)
    path = write_wav(tmp_path / "a.wav", sound[None])
    times = np.array([[0.64 * index, 0.64 * (index + 1)] for index in range(4)])
    clips = samples(path, times, 3)
    assert clips.dtype == np.float32
    np.testing.assert_allclose(clips.ravel(), sound[: 4 * LENGTH], atol=1e-4)


@pytest.mark.parametrize("rate", [8000, 22050, 44100, 48000, 96000])
def test_burst_lands_on_its_sample_at_any_rate(tmp_path, rate):
    path = write_wav(tmp_path / "a.wav", mark(np.arange(2 * rate) / rate, 1.0)[None], rate)
    clip = clip_around(path, 1.0)
    assert offset_of(clip) == 0
    assert clip.max() == pytest.approx(0.8, rel=0.02)


@pytest.mark.parametrize(
    ("name", "codec"),
    [("a.mp4", "aac"), ("a.mkv", "aac"), ("a.mkv", "libopus"), ("a.mov", "pcm_s16le"), ("a.flac", "flac")],
)
@pytest.mark.parametrize("picture", [0, 50])
def test_burst_lands_on_its_sample_in_any_format(tmp_path, name, codec, picture):
    """Whatever the encoder puts before the sound (AAC 1024 samples, Opus 312) is taken off."""
    if picture and name == "a.flac":
        pytest.skip("FLAC holds no picture")
    path = encode(tmp_path / name, mark(np.arange(96000) / 48000, 1.0), 48000, codec, picture=picture)
    assert abs(offset_of(clip_around(path, 1.0))) <= 1


@pytest.mark.parametrize("name", ["a.mp4", "a.mkv"])
def test_sound_that_starts_after_the_picture(tmp_path, name):
    """Half a second later: what is at 0.5 s of the sound is heard at 1.0 s."""
    sound = mark(np.arange(RATE) / RATE, 0.5)
    path = encode(
        tmp_path / name,
        sound,
        RATE,
        "pcm_s16le" if "mkv" in name else "aac",
        picture=50,
        place=lambda n: n + RATE // 2,
    )
    # Both formats keep such a start in milliseconds: 22 samples.
    assert abs(offset_of(clip_around(path, 1.0))) <= 22
    assert np.abs(clip_around(path, 0.1)[: LENGTH // 2]).max() < 1e-3


def test_gap_in_the_timestamps_is_silent(tmp_path):
    """One second of sound, one of nothing, then the rest: it keeps its place."""
    sound = np.concatenate([np.full(RATE, 0.5), mark(np.arange(RATE) / RATE, 0.5)])
    path = encode(
        tmp_path / "a.mkv",
        sound,
        RATE,
        "pcm_s16le",
        picture=75,
        place=lambda n: n + (RATE if n >= RATE else 0),
    )
    # The step from sound to gap falls on a block of 1024 samples.
    assert np.abs(clip_around(path, 1.5)[2048:-2048]).max() == 0
    clip = clip_around(path, 2.5)
    assert abs(offset_of(clip)) <= 11


def test_small_jitter_of_the_timestamps_is_no_gap(tmp_path):
    sound = 0.5 * np.sin(2 * np.pi * 100 * np.arange(2 * RATE) / RATE)
    jitter = np.random.default_rng(0).integers(-200, 200, 1000)
    path = encode(
        tmp_path / "a.mkv",
        sound,
        RATE,
        "pcm_s16le",
        place=lambda n: n + int(jitter[n // 1024]) + 200 * (n > 0),
    )
    clip = clip_around(path, 1.0)
    assert np.abs(np.diff(clip)).max() < 0.5 * 2 * np.pi * 100 / RATE * 1.1


def test_before_and_after_the_sound_is_silence(tmp_path):
    path = write_wav(tmp_path / "a.wav", np.full((1, RATE), 0.5))
    first, last, beyond = samples(path, np.array([[0.0, 0.02], [0.9, 1.1], [5.0, 5.64]]))
    centre = round(0.01 * RATE)
    assert np.count_nonzero(first) == LENGTH // 2 + centre
    assert np.abs(first[: LENGTH // 2 - centre]).max() == 0
    assert np.count_nonzero(last) == LENGTH // 2
    assert np.abs(last[LENGTH // 2 :]).max() == 0
    assert np.count_nonzero(beyond) == 0


def test_channels_are_averaged_and_keep_their_level(tmp_path):
    left, right = np.full(RATE, 0.6), np.full(RATE, 0.2)
    path = write_wav(tmp_path / "a.wav", np.stack([left, right]))
    assert clip_around(path, 0.5)[1000:-1000] == pytest.approx(0.4, abs=1e-4)


@pytest.mark.parametrize("channels", [1, 2, 3, 6, 8, 10, 24])
def test_any_number_of_channels(tmp_path, channels):
    path = write_wav(tmp_path / "a.wav", np.full((channels, 2 * 48000), 0.5), 48000)
    assert clip_around(path, 1.0) == pytest.approx(0.5, abs=1e-3)


def test_samples_that_are_no_numbers_are_silence(tmp_path):
    sound = np.full(RATE, 0.25, "<f4")
    sound[[10000, 11000]] = np.nan, np.inf
    header = struct.pack(
        "<4sI4s4sIHHIIHH", b"RIFF", 36 + sound.nbytes, b"WAVE", b"fmt ", 16, 3, 1, RATE, 4 * RATE, 4, 32
    )
    path = tmp_path / "a.wav"
    path.write_bytes(header + struct.pack("<4sI", b"data", sound.nbytes) + sound.tobytes())
    clip = clip_around(path, 0.5)
    assert np.count_nonzero(clip == 0) == 2
    assert np.isfinite(timbre(clip[None])).all()


@settings(max_examples=20)
@given(
    starts=st.lists(st.floats(-0.5, 3.0), min_size=1, max_size=12).map(sorted),
    length=st.floats(0.05, 2.0),
    batch=st.integers(1, 5),
)
def test_any_clips_in_any_batches(tmp_path_factory, starts, length, batch):
    """Overlapping, far apart, shorter and longer than the sound window, before and after the sound."""
    path = tmp_path_factory.getbasetemp() / "ramp.wav"
    ramp = np.arange(2 * RATE) % 30000 / 32767
    if not path.exists():
        write_wav(path, ramp[None])
    times = np.array([[start, start + length] for start in starts])
    padded = np.concatenate([np.zeros(5 * LENGTH), ramp, np.zeros(15 * LENGTH)])
    for clip, (start, end) in zip(samples(path, times, batch), times, strict=True):
        first = int(np.rint((start + end) / 2 * RATE)) - LENGTH // 2 + 5 * LENGTH
        np.testing.assert_allclose(clip, padded[first : first + LENGTH], atol=1e-4)


def test_no_clips_of_a_file(tmp_path):
    path = write_wav(tmp_path / "a.wav", np.zeros((1, RATE)))
    with ClipSound(path) as sound:
        assert sound.samples(np.empty((0, 2))).shape == (0, LENGTH)


def test_a_start_in_the_middle_gives_the_same_and_holds_nothing_of_what_is_before(tmp_path):
    sound = np.random.default_rng(0).uniform(-0.9, 0.9, 60 * 8000)
    path = write_wav(tmp_path / "a.wav", sound[None], 8000)
    times = np.array([[0.64 * index, 0.64 * (index + 1)] for index in range(93)])
    whole = samples(path, times)
    with ClipSound(path) as late:
        np.testing.assert_array_equal(late.samples(times[70:80]), whole[70:80])
        held = [position / RATE for position, _ in late._held]
        assert min(held) > 79 * 0.64 - 0.2
        np.testing.assert_array_equal(late.samples(times[90:]), whole[90:])


def test_clips_out_of_order_are_a_mistake_of_the_caller(tmp_path):
    path = write_wav(tmp_path / "a.wav", np.zeros((1, RATE)))
    with ClipSound(path) as sound:
        sound.samples(np.array([[0.5, 1.0]]))
        with pytest.raises(ValueError, match="after that of a later one"):
            sound.samples(np.array([[0.0, 0.5]]))


def descriptors() -> list[str]:
    """Return the files that this process holds open."""
    return [str(entry.resolve()) for entry in Path("/proc/self/fd").iterdir()]


@pytest.mark.skipif(not Path("/proc/self/fd").is_dir(), reason="needs Linux's list of open files")
def test_closing_closes_the_file(tmp_path):
    path = write_wav(tmp_path / "a.wav", np.zeros((1, 60 * RATE)))
    with ClipSound(path) as sound:
        sound.samples(np.array([[0.0, 0.64]]))
        assert str(path) in descriptors()
    assert str(path) not in descriptors()


@pytest.mark.parametrize("offset", [0.0, 1.25, -0.75, 1 / 3])
def test_a_sound_file_that_was_started_at_another_time(tmp_path, offset):
    """What is at 2 s of the file is heard at 2 s plus the offset of the video."""
    path = write_wav(tmp_path / "a.wav", mark(np.arange(4 * RATE) / RATE, 2.0)[None])
    assert abs(offset_of(clip_around(path, 2.0 + offset, offset))) <= 1
    if offset > 0:
        assert np.count_nonzero(clip_around(path, offset / 2 - 0.5, offset)) == 0


@pytest.mark.parametrize("offset", [float("nan"), float("inf")])
def test_an_offset_that_is_no_number_is_refused(tmp_path, offset):
    with pytest.raises(InputError, match="give the offset in seconds"):
        ClipSound(tmp_path / "a.wav", offset)


def test_sound_whose_clock_was_set_back_is_refused(tmp_path, monkeypatch):
    from extract import sound

    path = write_wav(tmp_path / "a.wav", np.zeros((1, 5 * RATE)))
    decode = sound.decode

    def twice(path, container, stream):
        for frame in decode(path, container, stream):
            frame.pts %= 2 * RATE
            yield frame

    monkeypatch.setattr(sound, "decode", twice)
    with pytest.raises(InputError, match="run backwards"):
        samples(path, np.array([[4.0, 4.64]]))


def test_real_recording(shared_data):
    path = shared_data / "video/pianist.avi"
    assert has_sound(path)
    times = np.array([[16 * index / 30, 16 * (index + 1) / 30] for index in range(182)])
    clips = samples(path, times, 64)
    assert clips.shape == (182, LENGTH)
    # Independently: the whole sound at once, decoded plainly and resampled by librosa.
    with av.open(str(path)) as container:
        blocks = [frame.to_ndarray() for frame in container.decode(audio=0)]
    whole = librosa.resample(np.concatenate(blocks, axis=1).mean(axis=0), orig_sr=44100, target_sr=RATE)
    for index in (1, 90, 170):
        centre = round((16 * index + 8) / 30 * RATE)
        expected = whole[centre - LENGTH // 2 : centre + LENGTH // 2]
        assert np.abs(clips[index] - expected).max() < 0.01
        assert np.corrcoef(clips[index], expected)[0, 1] > 0.999


def test_real_files_without_sound(shared_data):
    assert not has_sound(shared_data / "annotated/beat_rep.mp4")
    assert not has_sound(shared_data / "video/edge/test.mp4")
