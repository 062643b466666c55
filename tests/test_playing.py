"""Videos for the browser: what it can play is told, and the copy of the rest keeps every frame at its time."""

from pathlib import Path

import av
import numpy as np
import pytest
from recordings import pictures, tone_of, write_pictures, write_sound, write_video

from extract.peaks import peaks
from extract.playing import make_playable, playable, shown_times
from extract.video import frames, probe
from store.errors import InputError


def copy(video: Path, folder: Path) -> Path:
    out = folder / "cache" / "copy.mp4"
    shares: list[float] = []
    make_playable(video, out, shares.append)
    assert shares == sorted(shares)
    assert shares[-1] == 1
    assert [path.name for path in out.parent.iterdir()] == ["copy.mp4"]
    return out


def times(path: Path) -> list[float]:
    return [frame.time for frame in frames(path)]


@pytest.mark.parametrize(
    ("name", "codec", "sound", "yes"),
    [
        ("a.mp4", "libx264", False, True),
        ("a.mov", "libx264", False, True),
        ("a.webm", "libvpx", False, True),
        ("a.mkv", "libx264", False, False),
        ("a.avi", "libx264", False, False),
        ("a.mp4", "mpeg4", False, False),
        ("a.mov", "png", False, False),
        ("a.mov", "libx264", True, False),  # PCM
    ],
)
def test_what_a_browser_plays(tmp_path: Path, name: str, codec: str, sound: bool, yes: bool) -> None:
    assert playable(write_video(tmp_path / name, 5, sound=sound, codec=codec)) is yes


def test_frames_and_sound_are_where_they_were(tmp_path: Path) -> None:
    video = write_video(tmp_path / "a.avi", 60, codec="mpeg4")
    out = copy(video, tmp_path)
    assert playable(out)
    assert times(out) == pytest.approx(times(video), abs=1 / 90_000)
    assert shown_times(out).tolist() == times(out)
    pairs = zip(frames(video), frames(out), strict=True)
    assert max(np.abs(a.picture.astype(float) - b.picture).mean() for a, b in pairs) < 6  # grey levels, of two codecs
    before, after = (peaks(path, lambda _: None).astype(float) for path in (video, out))
    assert np.abs(before[5:230] - after[5:230]).mean() < 6


@pytest.mark.parametrize(
    "name", ["nasa_13013_rotated.mp4", "sine_stereo_mp2.mpg", "test_non_zero_start.mp4", "video_90.mov"]
)
def test_real_files_that_are_odd(shared_data: Path, tmp_path: Path, name: str) -> None:
    video = shared_data / "video" / "edge" / name
    out = copy(video, tmp_path)
    assert playable(out)
    assert times(out) == pytest.approx(times(video), abs=2e-5)
    before, after = probe(video), probe(out)
    assert after.rotation == 0
    assert (after.width, after.height) == pytest.approx((before.width, before.height), abs=1)
    assert after.has_sound is before.has_sound
    for a, b in zip(frames(video), frames(out), strict=True):
        assert np.corrcoef(a.picture.ravel(), b.picture.ravel())[0, 1] > 0.9


def test_a_real_recording_with_b_frames(shared_data: Path, tmp_path: Path) -> None:
    video = shared_data / "video" / "edge" / "RATRACE_wave_f_nm_np1_fr_goo_37.avi"
    assert not playable(video)
    assert times(copy(video, tmp_path)) == pytest.approx(times(video), abs=2e-5)


def test_large_pictures_become_smaller(tmp_path: Path) -> None:
    large = [np.kron(picture, np.ones((15, 15, 1), np.uint8))[:, :1200] for picture in pictures(3)]
    video = write_pictures(tmp_path / "a.avi", large, (1200, 1680), codec="mpeg4")
    info = probe(copy(video, tmp_path))
    assert (info.width, info.height) == (914, 1280)


def test_a_variable_frame_rate_is_kept(tmp_path: Path) -> None:
    stamps = [0, 40, 400, 405, 900]
    with av.open(str(tmp_path / "a.mkv"), "w") as output:
        stream = output.add_stream("libx264", rate=1000)
        stream.width = stream.height = 112
        for stamp, picture in zip(stamps, pictures(5), strict=True):
            frame = av.VideoFrame.from_ndarray(picture)
            frame.pts = stamp
            output.mux(stream.encode(frame))
        output.mux(stream.encode(None))
    assert times(copy(tmp_path / "a.mkv", tmp_path)) == pytest.approx([stamp / 1000 for stamp in stamps], abs=2e-5)


def test_a_copy_that_fails_leaves_nothing(tmp_path: Path, monkeypatch) -> None:
    video = write_video(tmp_path / "a.avi", 30, codec="mpeg4")
    cut = tmp_path / "cut.avi"
    cut.write_bytes(video.read_bytes()[:600])
    with pytest.raises(InputError):
        make_playable(cut, tmp_path / "cache" / "copy.mp4", lambda _: None)

    def stopped(_: float) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        make_playable(video, tmp_path / "cache" / "copy.mp4", stopped)
    assert list((tmp_path / "cache").iterdir()) == []


def test_peaks_of_a_known_sound(tmp_path: Path) -> None:
    time = np.arange(22050) / 22050
    loud = np.where(time < 0.5, 0.25, 0.75) * 32767 * np.sin(2 * np.pi * 200 * time)
    found = peaks(write_sound(tmp_path / "a.wav", loud.astype(np.int16)), lambda _: None)
    assert found.shape == (100, 2)
    assert np.abs(found[5:45, 1] - 0.25 * 127).max() < 4
    assert np.abs(found[55:95, 0] + 0.75 * 127).max() < 8
    silent = peaks(write_sound(tmp_path / "b.wav", np.zeros(2205, np.int16)), lambda _: None)
    assert not silent.any()
    assert len(peaks(write_sound(tmp_path / "c.wav", tone_of(0.101)), lambda _: None)) == 11
