"""Opening and decoding: nothing but the file itself, one clear line for what cannot be used."""

import os
import shutil
import subprocess
import sys
import wave
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from extract.audio import ClipSound, has_sound
from extract.media import open_media, start_of
from extract.video import frames, probe
from store.errors import InputError

ROOT = Path(__file__).resolve().parents[1]
TIMES = np.array([[0.0, 0.64]])


def write_video(path: Path, count: int = 50, codec: str = "mpeg4", container_options=None) -> Path:
    noise = np.random.default_rng(0)
    with av.open(str(path), "w", options=container_options or {}) as output:
        stream = output.add_stream(codec, rate=25)
        stream.width = stream.height = 64
        stream.pix_fmt = "yuv420p"
        stream.codec_context.gop_size = 5
        for index in range(count):
            picture = noise.integers(0, 255, (64, 64, 3), np.uint8)
            frame = av.VideoFrame.from_ndarray(picture)
            frame.pts, frame.time_base = index, Fraction(1, 25)
            output.mux(stream.encode(frame))
        output.mux(stream.encode(None))
    return path


def write_silence(path: Path, seconds: float = 1.0, rate: int = 22050) -> Path:
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(rate)
        file.writeframes(bytes(2 * int(seconds * rate)))
    return path


def refusal(action, path: Path) -> str:
    with pytest.raises(InputError) as caught:
        action(path)
    message = str(caught.value)
    assert message.startswith(f"{path}: ")
    assert "\n" not in message
    assert "; " in message, "says what to do"
    return message


def all_frames(path: Path) -> list:
    return list(frames(path))


def all_samples(path: Path) -> np.ndarray:
    with ClipSound(path) as sound:
        return sound.samples(TIMES)


BAD = {
    "text.mp4": b"This is not a video.\n" * 50,
    "text.mp3": b"This is not a sound.\n" * 50,
    "script.mp4": b"ffconcat version 1.0\nfile good.mp4\n",
    "script.ffconcat": b"ffconcat version 1.0\nfile good.mp4\n",
    "list.mp4": b"#EXTM3U\n#EXT-X-TARGETDURATION:2\n#EXTINF:2,\ngood.mp4\n#EXT-X-ENDLIST\n",
    "list.m3u8": b"#EXTM3U\n#EXT-X-TARGETDURATION:2\n#EXTINF:2,\ngood.mp4\n#EXT-X-ENDLIST\n",
    "session.sdp": b"v=0\no=- 0 0 IN IP4 127.0.0.1\ns=x\nt=0 0\nm=video 5004 RTP/AVP 96\n",
    "zeros.avi": bytes(100_000),
    "empty.mp4": b"",
    "riff.avi": b"RIFF\xff\xff\xff\xffAVI LIST",
}


@pytest.mark.parametrize("action", [probe, all_frames, has_sound, all_samples])
@pytest.mark.parametrize("name", BAD)
def test_what_is_no_recording_is_refused_in_one_line(tmp_path, name, action):
    write_video(tmp_path / "good.mp4", count=3)
    (tmp_path / name).write_bytes(BAD[name])
    refusal(action, tmp_path / name)


@pytest.mark.parametrize("action", [probe, all_frames, has_sound, all_samples])
def test_missing_file_and_folder(tmp_path, action):
    assert "no such file" in refusal(action, tmp_path / "missing.mp4")
    assert "folder" in refusal(action, tmp_path)


@pytest.mark.parametrize("action", [probe, all_frames])
def test_sound_is_no_video(tmp_path, action):
    assert "no video stream" in refusal(action, write_silence(tmp_path / "sound.wav"))


def test_video_without_sound_has_no_samples(tmp_path):
    video = write_video(tmp_path / "silent.mp4", count=3)
    assert not has_sound(video)
    assert "no sound" in refusal(all_samples, video)


@pytest.mark.skipif(os.name == "nt", reason="names that Windows does not allow")
@pytest.mark.parametrize("name", ["http:x.mp4", "concat:a|b.mp4", "%03d.mp4", "-i.mp4", "ré 'x' \".mp4", "file:a.mp4"])
def test_odd_names_are_names(tmp_path, monkeypatch, name):
    shutil.copy(write_video(tmp_path / "plain.mp4", count=3), tmp_path / name)
    monkeypatch.chdir(tmp_path)
    assert len(all_frames(Path(name))) == 3


def test_start_is_exact(shared_data):
    with open_media(shared_data / "video/edge/test_non_zero_start.mp4") as container:
        assert start_of(container) == Fraction(127995, 15360)
    with open_media(shared_data / "video/edge/sine_stereo_mp2.mpg") as container:
        assert start_of(container) == Fraction(47618, 90000)


def damaged(path: Path, packets: range) -> Path:
    """Overwrite the given packets of a file with zeros."""
    with av.open(str(path)) as container:
        places = [(packet.pos, packet.size) for packet in container.demux(video=0) if packet.size]
    content = bytearray(path.read_bytes())
    for position, size in (places[index] for index in packets):
        content[position : position + size] = bytes(size)
    path.write_bytes(content)
    return path


def test_a_damaged_part_is_left_out_and_said(tmp_path, caplog):
    video = damaged(write_video(tmp_path / "scratched.mp4"), range(20, 22))
    times = [frame.time for frame in frames(video)]
    assert times == [index / 25 for index in range(50) if index not in (20, 21)]
    assert [record.getMessage() for record in caplog.records] == [
        f"{video}: 2 of 51 parts of its video are damaged and left out"
    ]


def test_a_mostly_damaged_file_is_refused(tmp_path):
    video = damaged(write_video(tmp_path / "ruined.mp4"), range(10, 40))
    assert "damaged" in refusal(all_frames, video)


@pytest.mark.parametrize("name", ["cut.mp4", "cut.avi", "cut.mkv"])
def test_a_file_that_was_cut_off_is_refused(tmp_path, name):
    video = write_video(
        tmp_path / name, count=100, container_options={"movflags": "faststart"} if "mp4" in name else None
    )
    assert len(all_frames(video)) == 100
    content = video.read_bytes()
    video.write_bytes(content[: len(content) // 2])
    assert "cut off" in refusal(all_frames, video)


def test_an_mp4_without_its_index_is_refused(tmp_path):
    video = write_video(tmp_path / "no-index.mp4")
    content = video.read_bytes()
    video.write_bytes(content[: len(content) // 2])
    refusal(probe, video)


def test_nothing_is_printed(tmp_path):
    write_video(tmp_path / "good.mp4", count=20)
    damaged(write_video(tmp_path / "scratched.mp4", codec="libx264"), range(20, 21))
    (tmp_path / "text.mp4").write_bytes(BAD["text.mp4"])
    script = """
import sys
from pathlib import Path
from extract.video import frames, probe
from store.errors import InputError
for name in sys.argv[1:]:
    try:
        probe(Path(name)), list(frames(Path(name)))
    except InputError:
        pass
"""
    names = [str(tmp_path / name) for name in ("good.mp4", "scratched.mp4", "text.mp4")]
    done = subprocess.run([sys.executable, "-c", script, *names], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout == ""
    assert [line for line in done.stderr.splitlines() if not line.endswith("left out")] == []
