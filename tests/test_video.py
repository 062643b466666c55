"""Frames and their times, compared with what was put into the file."""

import struct
from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from extract import timing, video
from extract.video import frames, probe
from store.errors import InputError


def write(
    path: Path,
    pictures: Sequence[np.ndarray],
    stamps: Sequence[int] | None = None,
    time_base: Fraction = Fraction(1, 25),
    codec: str = "mpeg4",
    b_frames: int = 0,
    pixels: Fraction = Fraction(1),
    rate: int = 25,
) -> Path:
    """Encode RGB pictures with the given timestamps."""
    with av.open(str(path), "w") as output:
        stream = output.add_stream(codec, rate=rate)
        stream.height, stream.width = pictures[0].shape[:2]
        stream.pix_fmt = "yuv420p"
        stream.time_base = stream.codec_context.time_base = time_base
        stream.codec_context.max_b_frames = b_frames
        stream.codec_context.sample_aspect_ratio = pixels
        stream.codec_context.bit_rate = 4_000_000
        for index, picture in enumerate(pictures):
            frame = av.VideoFrame.from_ndarray(picture)
            frame.pts, frame.time_base = (stamps[index] if stamps else index), time_base
            output.mux(stream.encode(frame))
        output.mux(stream.encode(None))
    return path


def greys(count: int) -> list[np.ndarray]:
    """Pictures that tell their number by their brightness."""
    return [np.full((64, 64, 3), 20 + 5 * (index % 40), np.uint8) for index in range(count)]


def numbers(found: Sequence[video.Frame]) -> list[int]:
    return [round((float(frame.picture.mean()) - 20) / 5) for frame in found]


def quarters(height: int, width: int) -> np.ndarray:
    """A picture whose quarters are red, green, blue and white."""
    picture = np.zeros((height, width, 3), np.uint8)
    picture[: height // 2, : width // 2, 0] = 255
    picture[: height // 2, width // 2 :, 1] = 255
    picture[height // 2 :, : width // 2, 2] = 255
    picture[height // 2 :, width // 2 :] = 255
    return picture


def test_constant_rate(tmp_path):
    path = write(tmp_path / "a.mp4", greys(30))
    found = list(frames(path))
    assert [frame.time for frame in found] == [index / 25 for index in range(30)]
    assert [frame.end for frame in found] == [(index + 1) / 25 for index in range(30)]
    assert numbers(found) == list(range(30))
    assert found[0].picture.shape == (112, 112, 3)
    assert found[0].picture.dtype == np.uint8
    assert found[0].picture.flags["C_CONTIGUOUS"]


@pytest.mark.parametrize("ending", ["mp4", "mkv", "mov"])
@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(steps=st.lists(st.integers(1, 2000), min_size=1, max_size=30), b_frames=st.integers(0, 2))
def test_variable_rate(tmp_path, ending, steps, b_frames):
    """Known milliseconds go in, the same come out, whatever the order in which the frames are stored."""
    stamps = np.cumsum([0, *steps]).tolist()
    path = write(
        tmp_path / f"a.{ending}",
        greys(len(stamps)),
        stamps,
        Fraction(1, 1000),
        codec="libx264",
        b_frames=b_frames,
    )
    found = list(frames(path, size=16))
    assert [frame.time for frame in found] == [stamp / 1000 for stamp in stamps]
    assert [frame.end for frame in found[:-1]] == [frame.time for frame in found[1:]]
    assert found[-1].end > found[-1].time
    assert numbers(found) == [index % 40 for index in range(len(stamps))]


def test_late_start_counts_from_the_start_of_the_file(tmp_path):
    path = write(tmp_path / "a.mkv", greys(5), [5000 + 40 * index for index in range(5)], Fraction(1, 1000))
    assert [frame.time for frame in frames(path)] == [0.0, 0.04, 0.08, 0.12, 0.16]


@pytest.mark.parametrize("codec", ["mpeg4", "libx264"])
@pytest.mark.parametrize("b_frames", [0, 2])
def test_avi_is_timed_by_order(tmp_path, codec, b_frames):
    path = write(tmp_path / "a.avi", greys(40), codec=codec, b_frames=b_frames)
    found = list(frames(path))
    assert [frame.time for frame in found] == [index / 25 for index in range(40)]
    assert found[-1].end == 40 / 25
    assert numbers(found) == list(range(40))


def test_last_frame_of_no_duration_lasts_the_median_interval(tmp_path, monkeypatch):
    path = write(tmp_path / "a.mp4", greys(4), [0, 40, 80, 200], Fraction(1, 1000))
    monkeypatch.setattr(timing, "_own_duration", lambda frame: None)
    assert list(frames(path))[-1].end == 0.24


def restamped(monkeypatch, stamps: Sequence[int]) -> None:
    """Give the frames that are decoded other timestamps, as numbers of 1/25 s."""
    decode = timing.decode

    def changed(path, container, stream):
        for frame, stamp in zip(decode(path, container, stream), stamps, strict=False):
            frame.pts, frame.duration, frame.time_base = stamp, 1, Fraction(1, 25)
            yield frame

    monkeypatch.setattr(timing, "decode", changed)


def test_a_stray_time_is_left_out(tmp_path, monkeypatch, caplog):
    path = write(tmp_path / "a.mp4", greys(20))
    restamped(monkeypatch, [*range(10), 9, *range(11, 20)])
    assert [frame.time for frame in frames(path)] == [index / 25 for index in range(20) if index != 10]
    assert "1 of 20 frames" in caplog.text


@pytest.mark.parametrize("stamps", [[*range(50, 60), *range(10)], [index ^ 1 for index in range(20)]])
def test_times_that_run_backwards_are_refused(tmp_path, monkeypatch, stamps):
    path = write(tmp_path / "a.mp4", greys(20))
    restamped(monkeypatch, stamps)
    with pytest.raises(InputError, match="run backwards"):
        list(frames(path))


def test_frames_without_time_follow_on(tmp_path, monkeypatch):
    path = write(tmp_path / "a.mp4", greys(4))
    restamped(monkeypatch, [0, None, 2, None])
    assert [frame.time for frame in frames(path)] == [0.0, 0.04, 0.08, 0.12]


def test_crop_keeps_proportions_and_squash_does_not(tmp_path):
    picture = np.zeros((64, 256, 3), np.uint8)
    picture[:, 96:160] = 255  # a square in the middle
    path = write(tmp_path / "a.mp4", [picture])
    crop = next(frames(path)).picture
    squash = next(frames(path, resize="squash")).picture
    assert crop[:, 4:-4].min() > 230
    assert squash[:, :38].max() < 25
    assert squash[:, 46:66].min() > 230
    assert squash[:, 74:].max() < 25


def test_shrinking_looks_at_the_whole_area(tmp_path):
    """A fine chequerboard becomes grey, not a coarser chequerboard."""
    board = np.indices((448, 448)).sum(axis=0) // 2 % 2 * 255
    path = write(tmp_path / "a.mp4", [np.repeat(board[..., None], 3, axis=2).astype(np.uint8)], codec="libx264")
    picture = next(frames(path)).picture.astype(float)
    assert abs(picture.mean() - 127) < 12
    assert picture.std() < 12


def test_oblong_pixels_are_made_square(tmp_path):
    path = write(tmp_path / "a.mp4", [quarters(64, 64)], pixels=Fraction(2))
    info = probe(path)
    assert (info.width, info.height) == (128, 64)
    picture = np.zeros((64, 64, 3), np.uint8)
    picture[:, 16:48] = 255  # as wide as high once the pixels are square
    assert next(frames(write(tmp_path / "b.mp4", [picture], pixels=Fraction(2)))).picture[:, 5:-5].min() > 220


TURNS = {  # (a, b, c, d) of the display matrix: what it does to a picture, as numpy would
    (1, 0, 0, 1): lambda p: p,
    (0, 1, -1, 0): lambda p: np.rot90(p, -1),
    (-1, 0, 0, -1): lambda p: np.rot90(p, 2),
    (0, -1, 1, 0): lambda p: np.rot90(p, 1),
    (-1, 0, 0, 1): np.fliplr,
    (1, 0, 0, -1): np.flipud,
    (0, 1, 1, 0): lambda p: p.transpose(1, 0, 2),
    (0, -1, -1, 0): lambda p: np.rot90(p, 2).transpose(1, 0, 2),
}


def display_matrix(a: int, b: int, c: int, d: int) -> bytes:
    one = 1 << 16
    return struct.pack(">9i", a * one, b * one, 0, c * one, d * one, 0, 0, 0, 1 << 30)


@pytest.mark.parametrize("turn", TURNS)
def test_turned_and_mirrored_pictures_come_upright(tmp_path, turn):
    stored = quarters(64, 128)
    content = write(tmp_path / "a.mp4", [stored]).read_bytes()
    track = content.index(b"tkhd")
    place = content.index(display_matrix(1, 0, 0, 1), track)
    path = tmp_path / "turned.mp4"
    path.write_bytes(content[:place] + display_matrix(*turn) + content[place + 36 :])
    upright = TURNS[turn](stored)
    info = probe(path)
    assert (info.height, info.width) == upright.shape[:2]
    for picture in (next(frames(path)).picture, next(frames(path, resize="squash")).picture):
        for row in (28, 84):
            for column in (28, 84):
                expected = upright[row * upright.shape[0] // 112, column * upright.shape[1] // 112]
                assert np.abs(picture[row, column].astype(int) - expected).max() < 60


def test_the_default_track_is_shown(shared_data):
    """As players do: the second video stream of this file is marked as the default."""
    path = shared_data / "video/edge/nasa_13013.mp4"
    assert (probe(path).width, probe(path).height) == (480, 270)
    assert sum(1 for _ in frames(path)) == 390


def test_cover_art_is_no_video(tmp_path):
    sound = tmp_path / "album.mp3"
    with av.open(str(sound), "w") as output:
        stream = output.add_stream("libmp3lame", rate=44100)
        cover = output.add_stream("mjpeg", rate=25)
        cover.width = cover.height = 64
        cover.pix_fmt = "yuvj420p"
        cover.disposition = av.stream.Disposition.attached_pic
        picture = av.VideoFrame.from_ndarray(greys(1)[0])
        output.mux(cover.encode(picture))
        output.mux(cover.encode(None))
        silence = av.AudioFrame.from_ndarray(np.zeros((2, 44100), np.float32), format="fltp", layout="stereo")
        silence.sample_rate = 44100
        output.mux(stream.encode(silence))
        output.mux(stream.encode(None))
    with pytest.raises(InputError, match="no video stream"):
        probe(sound)


def test_unknown_resize_is_a_mistake_of_the_caller(tmp_path):
    with pytest.raises(ValueError, match="crop, squash"):
        next(frames(tmp_path / "a.mp4", resize="stretch"))


def test_frames_are_decoded_as_they_are_asked_for(tmp_path, monkeypatch):
    path = write(tmp_path / "a.mp4", greys(300))
    decoded = []
    decode = timing.decode
    monkeypatch.setattr(timing, "decode", lambda *given: (decoded.append(1) or frame for frame in decode(*given)))
    found = frames(path)
    next(found)
    assert len(decoded) == 2
    found.close()


@pytest.mark.parametrize("ending", ["mkv", "ts", "mp4", "avi"])
def test_probe(tmp_path, ending):
    info = probe(write(tmp_path / f"a.{ending}", greys(50), codec="libx264", b_frames=2))
    assert info == video.VideoInfo(
        width=64,
        height=64,
        frame_rate=25.0,
        duration=2.0,
        rotation=0,
        has_sound=False,
        frame_count=50,
        codec="h264",
    )


def test_probe_finds_the_average_of_a_variable_rate(tmp_path):
    stamps = [*range(0, 1000, 100), *range(1000, 2000, 20)]
    for ending in ("mkv", "mp4"):
        info = probe(write(tmp_path / f"a.{ending}", greys(60), stamps, Fraction(1, 1000)))
        assert info.frame_count == 60
        assert info.frame_rate == pytest.approx(30, rel=0.03)


THIRTIETHS = Fraction(1, 30)
SHARED = {  # name: frames, time of the first, interval (as the file's packets say, read without our code)
    "annotated/beat_rep.mp4": (2936, 0, THIRTIETHS),
    "video/pianist.avi": (2925, 0, THIRTIETHS),
    "video/edge/RATRACE_wave_f_nm_np1_fr_goo_37.avi": (72, 0, THIRTIETHS),
    "video/edge/hmdb51_Turnk_r_Pippi_Michel_cartwheel_f_cm_np2_le_med_6.avi": (83, 0, THIRTIETHS),
    "video/edge/discard_first_keyframe.mp4": (25, 0, Fraction(1, 25)),
    "video/edge/nasa_13013.mp4": (390, 0, Fraction(1001, 30000)),
    "video/edge/nasa_13013_rotated.mp4": (17, 0, Fraction(1001, 30000)),
    # The sound begins first, at 47618/90000 s on the file's own clock, the picture at 48600/90000.
    "video/edge/sine_stereo_mp2.mpg": (100, Fraction(48600 - 47618, 90000), Fraction(1, 25)),
    "video/edge/test.mp4": (300, 0, THIRTIETHS),
    "video/edge/test_non_zero_start.mp4": (12, 0, THIRTIETHS),
    "video/edge/unordered.mov": (4, 0, Fraction(1, 32)),
    "video/edge/video_90.mov": (3, 0, THIRTIETHS),
}


@pytest.mark.parametrize("name", SHARED)
def test_real_files(shared_data, name):
    count, first, interval = SHARED[name]
    found = [(frame.time, frame.end) for frame in frames(shared_data / name)]
    assert len(found) == count
    assert found == [(float(first + i * interval), float(first + (i + 1) * interval)) for i in range(count)]


def test_real_file_with_an_empty_chunk(shared_data):
    """The second chunk of this AVI is empty: its first frame is shown twice as long."""
    found = [(frame.time, frame.end) for frame in frames(shared_data / "video/dancer.avi")]
    assert found == [(0.0, 0.08), *((index / 25, (index + 1) / 25) for index in range(2, 1572))]


def test_real_damaged_file(shared_data, caplog):
    """One of 50 packets cannot be decoded; the frames around it keep their times."""
    times = [frame.time for frame in frames(shared_data / "video/edge/corrupted.mp4")]
    assert times == [index / 10 for index in range(50) if index != 30]
    assert "1 of 51 parts of its video are damaged" in caplog.text


@pytest.mark.parametrize("name", ["nasa_13013_rotated.mp4", "video_90.mov"])
def test_real_rotation(shared_data, name):
    path = shared_data / "video/edge" / name
    info = probe(path)
    with av.open(str(path)) as container:
        raw = next(container.decode(video=0))
    turned = np.rot90(raw.to_ndarray(format="rgb24"), info.rotation // 90)
    assert (info.height, info.width) == turned.shape[:2]
    squash = next(frames(path, resize="squash")).picture
    # Means over an eighth of each side, of the whole picture and of the small one.
    height, width = (side // 8 * 8 for side in turned.shape[:2])
    coarse = turned[:height, :width].reshape(8, height // 8, 8, width // 8, 3).mean(axis=(1, 3))
    assert np.abs(coarse - squash.reshape(8, 14, 8, 14, 3).mean(axis=(1, 3))).mean() < 3
