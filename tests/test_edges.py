"""Recordings that are not as they should be: right times and clips, or a refusal; never labels that are shifted."""

import struct
from fractions import Fraction
from itertools import pairwise
from pathlib import Path

import av
import numpy as np
import pytest
from test_audio import samples
from test_video import greys, numbers, write

from extract.audio import has_sound
from extract.video import frames, probe
from store.errors import InputError
from store.timeline import clip_count, clip_frames, clip_times


def recode_count(path: Path, count: int) -> Path:
    """Let the headers of an AVI file declare another number of frames."""
    content = bytearray(path.read_bytes())
    for name, offset in ((b"avih", 24), (b"strh", 40)):  # dwTotalFrames and dwLength, behind name and size
        place = content.index(name) + offset
        assert struct.unpack_from("<I", content, place) == (50,)
        struct.pack_into("<I", content, place, count)
    path.write_bytes(content)
    return path


@pytest.mark.parametrize("codec", ["mpeg4", "libx264"])
@pytest.mark.parametrize("b_frames", [0, 2])
@pytest.mark.parametrize("declared", [1, 30, 49, 51, 70])
def test_a_header_of_another_number_of_frames(tmp_path, codec, b_frames, declared):
    """50 frames are there: fewer declared, or up to a second more."""
    path = recode_count(write(tmp_path / "a.avi", greys(50), codec=codec, b_frames=b_frames), declared)
    assert probe(path).frame_count == declared
    found = list(frames(path))
    assert [frame.time for frame in found] == [index / 25 for index in range(50)]
    assert found[-1].end == 2.0
    assert numbers(found) == [index % 40 for index in range(50)]


@pytest.mark.parametrize("declared", [76, 200, 100_000])
def test_a_header_of_many_more_frames_is_refused(tmp_path, declared):
    path = recode_count(write(tmp_path / "a.avi", greys(50)), declared)
    with pytest.raises(InputError, match=r"ends at 2\.00 s of .* as if cut off"):
        list(frames(path))


def blocks(count: int) -> list[np.ndarray]:
    """Pictures that are unlike each other, in blocks of 8 pixels."""
    noise = np.random.default_rng(0)
    return [noise.integers(0, 255, (8, 8, 3), np.uint8).repeat(8, axis=0).repeat(8, axis=1) for _ in range(count)]


def write_blocks(path: Path, codec: str, b_frames: int) -> Path:
    """100 frames, the first of every ten a key frame."""
    with av.open(str(path), "w") as output:
        stream = output.add_stream(codec, rate=25)
        stream.width = stream.height = 64
        stream.pix_fmt = "yuv420p"
        stream.codec_context.gop_size = 10
        stream.codec_context.max_b_frames = b_frames
        for index, picture in enumerate(blocks(100)):
            frame = av.VideoFrame.from_ndarray(picture)
            frame.pts, frame.time_base = index, Fraction(1, 25)
            output.mux(stream.encode(frame))
        output.mux(stream.encode(None))
    return path


def spoil(path: Path, packets: list[int]) -> Path:
    """Overwrite packets with zeros, but for what an MPEG-TS packet begins with."""
    with av.open(str(path)) as container:
        places = [(packet.pos, packet.size) for packet in container.demux(video=0) if packet.size]
    content = bytearray(path.read_bytes())
    for position, size in (places[index] for index in packets):
        first, last = (position + 20, position + 150) if path.suffix == ".ts" else (position, position + size)
        content[first:last] = bytes(last - first)
    path.write_bytes(content)
    return path


@pytest.mark.parametrize("packets", [[37], [40], [41, 43], [30, 31, 32, 33, 34]])
@pytest.mark.parametrize("b_frames", [0, 2])
@pytest.mark.parametrize("ending", ["avi", "mp4", "mkv", "ts"])
@pytest.mark.parametrize("codec", ["mpeg4", "libx264", "mpeg2video"])
def test_damage_in_the_middle_shifts_nothing(tmp_path, caplog, codec, ending, b_frames, packets):
    """Key frames repair the picture: from the second one after the damage each is as it was, at its time."""
    path = write_blocks(tmp_path / f"a.{ending}", codec, b_frames)
    whole = {frame.time: frame.picture.astype(int) for frame in frames(path, size=64)}
    assert list(whole) == [index / 25 for index in range(100)]
    found = list(frames(spoil(path, packets), size=64))
    assert {frame.time for frame in found} <= set(whole)
    for frame in found:
        if frame.time < 29 / 25 or frame.time >= 55 / 25:
            assert np.abs(frame.picture - whole[frame.time]).mean() < 1
    assert sum(frame.time >= 55 / 25 for frame in found) == 45
    assert all(one.end == other.time for one, other in pairwise(found))
    if max(frame.end - frame.time for frame in found) >= 0.5:  # Matroska goes on at its next cluster
        assert "in 1 places no frame comes for half a second or more, first after 1." in caplog.text


def test_a_hole_is_told_but_slow_pictures_are_not(tmp_path, caplog):
    slow = write(tmp_path / "slow.mp4", greys(20), [1000 * k for k in range(20)], Fraction(1, 1000))
    list(frames(slow))
    assert not caplog.text
    stamps = [*range(0, 400, 40), *range(1400, 1800, 40), *range(2400, 2800, 40)]
    path = write(tmp_path / "holes.mp4", greys(30), stamps, Fraction(1, 1000))
    found = list(frames(path))
    assert [frame.time for frame in found] == [stamp / 1000 for stamp in stamps]
    assert f"{path}: in 2 places no frame comes for half a second or more, first after 0.36 s" in caplog.text


@pytest.mark.parametrize("codec", ["mpeg4", "libx264"])
@pytest.mark.parametrize("b_frames", [0, 2])
@pytest.mark.parametrize("ending", ["mp4", "mov"])
def test_an_edit_list_that_cuts_the_beginning(tmp_path, codec, b_frames, ending):
    """Ten frames before zero, which MP4 keeps but tells players to leave out."""
    path = write(tmp_path / f"a.{ending}", greys(40), list(range(-10, 30)), codec=codec, b_frames=b_frames)
    assert b"elst" in path.read_bytes()
    found = list(frames(path))
    assert [frame.time for frame in found] == [index / 25 for index in range(30)]
    assert numbers(found) == list(range(10, 40))


def write_both(path: Path, picture: range, sound: tuple[float, float], tone: float = 0.5) -> Path:
    """Frames at those numbers, 25 a second, and a constant between those seconds, both on one clock."""
    with av.open(str(path), "w") as output:
        video = output.add_stream("mpeg4", rate=25)
        video.width = video.height = 64
        video.pix_fmt = "yuv420p"
        audio = output.add_stream("pcm_s16le", rate=22050, layout="mono")
        audio.time_base = Fraction(1, 22050)
        for picture_, index in zip(greys(len(picture)), picture, strict=True):
            frame = av.VideoFrame.from_ndarray(picture_)
            frame.pts, frame.time_base = index, Fraction(1, 25)
            output.mux(video.encode(frame))
        output.mux(video.encode(None))
        first, last = (round(seconds * 22050) for seconds in sound)
        for start in range(first, last, 1024):
            block = np.full((1, min(1024, last - start)), round(tone * 32767), np.int16)
            frame = av.AudioFrame.from_ndarray(block, format="s16", layout="mono")
            frame.sample_rate, frame.pts, frame.time_base = 22050, start, Fraction(1, 22050)
            output.mux(audio.encode(frame))
        output.mux(audio.encode(None))
    return path


@pytest.mark.parametrize("ending", ["mov", "mkv", "avi"])
@pytest.mark.parametrize(
    ("picture", "sound"),
    [
        (range(100), (0, 4)),  # as long as each other
        (range(100), (0, 1.5)),  # sound shorter
        (range(100), (0, 6)),  # sound longer
        (range(100), (1, 4)),  # sound later
        (range(25, 125), (0, 4)),  # picture later
        (range(50, 150), (3, 5)),  # both later: the clock starts with the picture
    ],
)
def test_sound_and_picture_on_one_clock(tmp_path, ending, picture, sound):
    """Every clip gets the sound of its time, silence where there is none, and none is lost or made up."""
    if ending == "avi" and (picture[0] or sound[0]):
        pytest.skip("AVI has no times")
    path = write_both(tmp_path / f"a.{ending}", picture, sound)
    start = min(picture[0] / 25, sound[0])
    found = list(frames(path))
    times = np.array([frame.time for frame in found])
    np.testing.assert_allclose(times, np.array(picture) / 25 - start, atol=0.0006)  # Matroska: milliseconds
    assert has_sound(path)
    assert clip_count(len(found)) == 6
    clips = clip_times(times, found[-1].end)
    position = (clips.mean(axis=1)[:, None] * 22050 + np.arange(14112) - 7056) / 22050 + start
    heard = samples(path, clips)
    near = (np.abs(position - sound[0]) < 0.002) | (np.abs(position - sound[1]) < 0.002)
    inside = (position >= sound[0]) & (position < sound[1])
    assert np.abs(heard - 0.5 * inside)[~near].max() < 1e-3


def test_the_clips_of_a_variable_rate_are_its_frames(tmp_path):
    """From 50 down to 5 frames a second: each clip is 16 frames, as long as they are shown."""
    steps = [20] * 40 + [40] * 40 + [200] * 20
    stamps = np.cumsum([0, *steps]).tolist()
    path = write(tmp_path / "a.mp4", greys(101), stamps, Fraction(1, 1000), codec="libx264", b_frames=2)
    found = list(frames(path))
    times = clip_times(np.array([frame.time for frame in found]), found[-1].end)
    expected = [[stamps[clip[0]] / 1000, stamps[clip[-1] + 1] / 1000] for clip in clip_frames(101)]
    assert times.tolist() == expected
    assert len(times) == 6


def test_real_files_give_the_clips_that_their_frames_make(shared_data):
    """Late start, edit list, a damaged packet, turned by 90 degrees, an empty chunk."""
    expected = {
        "edge/test_non_zero_start.mp4": (12, 12 / 30),
        "edge/discard_first_keyframe.mp4": (25, 1.0),
        "edge/corrupted.mp4": (49, 5.0),
        "edge/video_90.mov": (3, 0.1),
        "dancer.avi": (1571, 62.88),
    }
    for name, (count, end) in expected.items():
        found = list(frames(shared_data / "video" / name))
        assert (len(found), found[-1].end) == (count, pytest.approx(end, abs=1e-6))
