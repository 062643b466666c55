"""What can be chosen when extracting, and what an interrupted extraction goes on with."""

import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from functools import lru_cache
from pathlib import Path

import numpy as np
import pytest
from recordings import pictures, reference, write_video

from extract.jobs import Job, Settings, settings_of
from extract.pipeline import Extractor
from extract.runtimes import Runtime, prepare
from extract.views import apply
from extract.weights import Backbone, load_backbone
from store.errors import InputError
from store.features import FeatureStore, Recording
from store.timeline import clip_frames

ROOT = Path(__file__).resolve().parents[1]
FRAMES = 150  # six seconds at 25 frames a second: nine clips, and six frames more


@pytest.fixture(scope="module")
def backbone() -> Backbone:
    return load_backbone("random:0")


@pytest.fixture(scope="module")
def video(tmp_path_factory) -> Path:
    return write_video(tmp_path_factory.mktemp("video") / "video.mov", FRAMES)


@pytest.fixture(scope="module")
def plain(video, backbone, tmp_path_factory) -> Recording:
    return extracted(tmp_path_factory.mktemp("plain") / "S", backbone, Job(video))


@lru_cache
def runtime(backbone: Backbone) -> Runtime:
    return prepare(backbone)


def extractor(store: Path, backbone: Backbone, *given, **named) -> Extractor:
    """An Extractor whose runtime need not be prepared anew."""
    made = Extractor(store, backbone, *given, **named)
    made.__dict__["runtime"] = runtime(backbone)
    return made


def extracted(store: Path, backbone: Backbone, job: Job, *given, **named) -> Recording:
    outcome = extractor(store, backbone, *given, **named).extract(job)
    return FeatureStore(store)[outcome.recording]


def arrays(recording: Recording) -> dict[str, bytes]:
    """The bytes of a recording's array files."""
    folder = recording.store / recording.id
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path != folder / "zarr.json"
    }


@pytest.mark.parametrize(("stride", "tail", "clips"), [(16, "loop", 10), (8, "drop", 17), (5, "loop", 28)])
def test_stride_and_tail(tmp_path, backbone, video, stride, tail, clips):
    found = extracted(tmp_path / "S", backbone, Job(video), Settings("float32", stride=stride, tail=tail))
    index = clip_frames(FRAMES, 16, stride, tail)
    assert found.clips == len(index) == clips
    expected = reference(backbone, np.stack(pictures(FRAMES))[index])
    np.testing.assert_allclose(found.read("conv4/plain"), expected, rtol=1e-4, atol=1e-5 * expected.max())
    times = found.read("times")
    np.testing.assert_allclose(times[:, 0], index[:, 0] / 25, atol=1e-9)
    np.testing.assert_allclose(times[:, 1], (index.max(axis=1) + 1) / 25, atol=1e-9)
    assert found.read("audio").shape == (clips, 28, 108)
    spec = FeatureStore(tmp_path / "S").spec
    assert settings_of(spec) == Settings("float32", stride=stride, tail=tail, resize="crop")


def test_less_than_a_clip(tmp_path, backbone):
    short = write_video(tmp_path / "short.mov", 10)
    with pytest.raises(InputError, match=r"10 frames, fewer than one clip of 16; .*--tail loop"):
        extracted(tmp_path / "S", backbone, Job(short))
    found = extracted(tmp_path / "S", backbone, Job(short), Settings(tail="loop"))
    assert found.read("times").tolist() == [[0, 0.4]]


def test_fps(tmp_path, backbone, video):
    """Every other frame at half the rate: clips twice as long."""
    found = extracted(tmp_path / "S", backbone, Job(video), Settings("float32", fps=12.5))
    assert found.clips == FRAMES // 32
    expected = reference(backbone, np.stack(pictures(FRAMES))[::2][clip_frames(FRAMES // 2)])
    np.testing.assert_allclose(found.read("conv4/plain"), expected, rtol=1e-4, atol=1e-5 * expected.max())
    np.testing.assert_allclose(found.read("frame_times"), np.arange(FRAMES // 2) / 12.5, atol=1e-9)


def test_a_region(tmp_path, backbone):
    """What lies outside a region does not matter, and the same video with another one is another recording."""
    width = height = 112
    inside = write_video(tmp_path / "inside.mov", 20)
    framed = write_video(tmp_path / "framed.mov", 20, frame=(40, 24))
    store = tmp_path / "S"
    alone = extracted(store, backbone, Job(inside))
    region = extracted(store, backbone, Job(framed, roi=(40, 24, width, height)))
    np.testing.assert_array_equal(region.read("conv4/plain"), alone.read("conv4/plain"))
    assert region.attributes["roi"] == [40, 24, width, height]
    with pytest.raises(InputError, match=r"another --roi.*--name"):
        extracted(store, backbone, Job(framed))
    whole = extracted(store, backbone, Job(framed, "whole"))
    assert (whole.read("conv4/plain") != region.read("conv4/plain")).any()
    with pytest.raises(InputError, match=r"framed\.mov"):
        extracted(store, backbone, Job(framed, "beyond", roi=(200, 24, width, height)))


def test_known_by_content(tmp_path, backbone, video, plain):
    """Under whatever name it comes; what has other sound or another region is another recording."""
    copy = tmp_path / "copy.mov"
    copy.write_bytes(video.read_bytes())
    outcome = extractor(plain.store, backbone).extract(Job(copy))
    assert (outcome.recording, outcome.status, outcome.clips) == ("video", "already there", 9)
    assert FeatureStore(plain.store).ids == ["video"]


def test_views_are_what_they_say(tmp_path, backbone, video):
    views = ("plain", "flip", "color")
    found = extracted(tmp_path / "S", backbone, Job(video), Settings("float32"), views=views)
    assert set(found.views) == set(views)
    clips = np.stack(pictures(FRAMES))[clip_frames(FRAMES)]
    for view in views:
        expected = reference(backbone, apply(view, clips, 0, found.attributes["source_sha256"]))
        np.testing.assert_allclose(found.read(f"conv4/{view}"), expected, rtol=1e-4, atol=1e-5 * expected.max())
    assert (apply("flip", clips, 0, "") == clips[:, :, :, ::-1]).all()
    np.testing.assert_allclose(found.read("statistics/conv4/flip/mean"), found.read("conv4/flip").mean(0), rtol=1e-5)


def test_views_added_later(tmp_path, backbone, video):
    store = tmp_path / "S"
    first = extracted(store, backbone, Job(video), views=("plain", "flip"))
    before = {path: (path.read_bytes(), path.stat().st_mtime_ns) for path in store.rglob("*") if path.is_file()}
    outcome = extractor(store, backbone, views=("plain", "crop", "flip", "color")).extract(Job(video))
    assert (outcome.status, outcome.clips) == ("views added", 9)
    found = FeatureStore(store)["video"]
    assert sorted(found.views) == ["color", "crop", "flip", "plain"]
    found.verify()
    assert {path: (path.read_bytes(), path.stat().st_mtime_ns) for path in before} == before
    at_once = extracted(tmp_path / "T", backbone, Job(video), views=("plain", "flip", "color", "crop"))
    for view in at_once.views:
        np.testing.assert_array_equal(found.read(f"conv4/{view}"), at_once.read(f"conv4/{view}"))
        for statistic in ("mean", "std"):
            name = f"statistics/conv4/{view}/{statistic}"
            np.testing.assert_array_equal(found.read(name), at_once.read(name))
    assert first.attributes == found.attributes
    again = extractor(store, backbone, views=("plain", "crop")).extract(Job(video))
    assert again.status == "already there"


def test_rates_that_differ_are_told(tmp_path, backbone, video, caplog):
    store = tmp_path / "S"
    extracted(store, backbone, Job(video))
    assert not caplog.messages
    extracted(store, backbone, Job(write_video(tmp_path / "fast.mov", 40, rate=50)))
    (message,) = caplog.messages
    assert "fast has 50 frames a second, video 25" in message
    assert "--fps 25" in message
    caplog.clear()
    for number, rate in enumerate((25, 50)):
        other = write_video(tmp_path / f"{number}.mov", 64, rate=rate, seed=number)
        extracted(tmp_path / "T", backbone, Job(other), Settings(fps=25))
    assert not caplog.messages


class _Stop(BaseException):
    """As Ctrl-C, at a chosen moment."""


@pytest.fixture(scope="module")
def long(backbone, tmp_path_factory) -> Recording:
    """A recording of two whole chunks of clips and a rest, extracted without a break."""
    folder = tmp_path_factory.mktemp("long")
    return extracted(folder / "S", backbone, Job(write_video(folder / "long.mov", 16 * 75 + 3)))


@pytest.mark.slow
@pytest.mark.parametrize("stop_after", [0, 40, 72])
def test_an_interrupted_extraction_goes_on(tmp_path, backbone, long, stop_after):
    """Whole chunks are not computed again, and the arrays are those of an undisturbed run, byte for byte."""
    job = Job(Path(long.store.parent / "long.mov"))
    stopping = extractor(tmp_path / "T", backbone)
    whole_runtime, computed = stopping.runtime, []

    def interrupted(clips):
        if len(clips) == 1:  # the check against the reference
            return whole_runtime.run(clips)
        if sum(computed) >= stop_after:
            raise _Stop
        computed.append(len(clips))
        return whole_runtime.run(clips)

    stopping.__dict__["runtime"] = replace(whole_runtime, run=interrupted)
    with pytest.raises(_Stop):
        stopping.extract(job)
    assert not (tmp_path / "T").exists()
    before, stop_after = stop_after, 1000
    computed.clear()
    assert stopping.extract(job).status == "extracted"
    kept = before // 32 * 32
    assert sum(computed) == 75 - kept
    assert arrays(FeatureStore(tmp_path / "T")["long"]) == arrays(long)
    assert not (tmp_path / "T.partial").exists()


@pytest.mark.slow
def test_killed_while_extracting(tmp_path, long):
    """kill -9 in the middle, twice; the last run equals an undisturbed one."""
    video, store = long.store.parent / "long.mov", tmp_path / "T"
    command = [sys.executable, "-m", "chironomy", "extract", str(video), "--weights", "random:0", "--store", str(store)]
    for chunk in (0, 1):
        running = subprocess.Popen(command, cwd=ROOT)
        while running.poll() is None and not list(tmp_path.glob(f"T.partial/**/conv4/plain/c/{chunk}")):
            time.sleep(0.02)
        running.kill()
        assert running.wait() == -signal.SIGKILL
        assert not store.exists()
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
    assert arrays(FeatureStore(store)["long"]) == arrays(long)
    assert not (tmp_path / "T.partial").exists()


PEAK = """
import re, sys
from pathlib import Path
from extract.jobs import Job
from extract.many import Recipe, extract_all
(outcome,) = extract_all(Recipe(sys.argv[2], "random:0"), [Job(Path(sys.argv[1]))])
assert outcome.error is None, outcome.error
print(1024 * int(re.search(r"VmHWM:\\s+(\\d+) kB", Path("/proc/self/status").read_text())[1]))
"""


@pytest.mark.slow
def test_memory_does_not_depend_on_the_length(tmp_path):
    """Eight times as long: at most a tenth more, and under 2 GB (for torch and the network most of it)."""
    if not Path("/proc/self/status").exists():
        pytest.skip("this system does not tell a program's peak of memory (getrusage counts its parent's, too)")
    peaks = []
    for seconds in (10, 80):
        video = write_video(tmp_path / f"{seconds}.mkv", 25 * seconds, codec="mpeg4", frame=(264, 184))
        command = [sys.executable, "-c", PEAK, str(video), str(tmp_path / f"S{seconds}")]
        done = subprocess.run(
            command, cwd=ROOT, capture_output=True, text=True, env=os.environ | {"PYTHONPATH": str(ROOT)}
        )
        assert done.returncode == 0, done.stderr
        peaks.append(int(done.stdout))
    assert peaks[1] < 1.1 * peaks[0]
    assert peaks[1] < 2e9
