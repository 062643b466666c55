"""What can be chosen when extracting, and what an interrupted extraction goes on with."""

import os
import signal
import subprocess
import sys
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from recordings import extractor, pictures, reference
from recordings import write_video as write_video_of
from tiny_backbone import SIZE
from tiny_program import ENVIRONMENT, start_holding, wait_for

from extract.jobs import Job, Settings, settings_of
from extract.views import apply
from extract.weights import Backbone, load_backbone
from store.errors import InputError
from store.features import FeatureStore, Recording
from store.timeline import clip_frames

ROOT = Path(__file__).resolve().parents[1]
FRAMES = 150  # six seconds at 25 frames a second: nine clips, and six frames more
write_video = partial(write_video_of, size=SIZE)


@pytest.fixture(scope="module")
def backbone(tiny) -> Backbone:
    return load_backbone("random:0", "tiny")


@pytest.fixture(scope="module")
def video(tmp_path_factory) -> Path:
    return write_video(tmp_path_factory.mktemp("video") / "video.mov", FRAMES)


@pytest.fixture(scope="module")
def plain(video, backbone, tmp_path_factory) -> Recording:
    return extracted(tmp_path_factory.mktemp("plain") / "S", backbone, Job(video))


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
    expected = reference(backbone, np.stack(pictures(FRAMES, size=SIZE))[index])
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
    expected = reference(backbone, np.stack(pictures(FRAMES, size=SIZE))[::2][clip_frames(FRAMES // 2)])
    np.testing.assert_allclose(found.read("conv4/plain"), expected, rtol=1e-4, atol=1e-5 * expected.max())
    np.testing.assert_allclose(found.read("frame_times"), np.arange(FRAMES // 2) / 12.5, atol=1e-9)


def test_a_region(tmp_path, backbone):
    """What lies outside a region does not matter, and the same video with another one is another recording."""
    inside = write_video(tmp_path / "inside.mov", 20)
    framed = write_video(tmp_path / "framed.mov", 20, frame=(40, 24))
    store = tmp_path / "S"
    alone = extracted(store, backbone, Job(inside))
    region = extracted(store, backbone, Job(framed, roi=(40, 24, SIZE, SIZE)))
    np.testing.assert_array_equal(region.read("conv4/plain"), alone.read("conv4/plain"))
    assert region.attributes["roi"] == [40, 24, SIZE, SIZE]
    with pytest.raises(InputError, match=r"another --roi.*--name"):
        extracted(store, backbone, Job(framed))
    whole = extracted(store, backbone, Job(framed, "whole"))
    assert (whole.read("conv4/plain") != region.read("conv4/plain")).any()
    with pytest.raises(InputError, match=r"framed\.mov"):
        extracted(store, backbone, Job(framed, "beyond", roi=(200, 24, SIZE, SIZE)))


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
    clips = np.stack(pictures(FRAMES, size=SIZE))[clip_frames(FRAMES)]
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
def test_killed_while_extracting(tmp_path, long, backbone):
    """kill -9 in the middle, twice; the last run equals an undisturbed one."""
    video, store = long.store.parent / "long.mov", tmp_path / "T"
    for time in range(2):
        notes = tmp_path / f"notes-{time}"
        running = start_holding(
            notes, "extract", video, "--backbone", "tiny", "--weights", "random:0", "--store", store
        )
        wait_for(1, notes, running)
        assert [path.name for path in tmp_path.glob("T.partial/**/conv4/plain/c/*")] == [*"01"][: time + 1]
        running.kill()
        running.communicate()
        assert running.returncode == -signal.SIGKILL
        assert not store.exists()
    assert extractor(store, backbone).extract(Job(video)).status == "extracted"
    assert arrays(FeatureStore(store)["long"]) == arrays(long)
    assert not (tmp_path / "T.partial").exists()


PEAKS = """
import re, sys
from pathlib import Path
from extract.jobs import Job
from extract.many import Recipe, extract_all
from tiny_program import make_known

make_known()
folder = Path(sys.argv[1])
for name, backbone in (("short", "tiny"), ("long", "tiny"), ("shortest", "r3d34")):
    (outcome,) = extract_all(Recipe(str(folder / backbone), "random:0", backbone), [Job(folder / f"{name}.mkv")])
    assert outcome.error is None, outcome.error
    print(1024 * int(re.search(r"VmHWM:\\s+(\\d+) kB", Path("/proc/self/status").read_text())[1]))
"""


@pytest.mark.slow
def test_memory_does_not_depend_on_the_length(tmp_path):
    """A film six times as long takes less than half of what its frames, as the network sees them, take.

    And all is under 2 GB, most of it torch's and the network's.
    """
    if not Path("/proc/self/status").exists():
        pytest.skip("this system does not tell a program's peak of memory (getrusage counts its parent's, too)")
    for name, seconds in (("shortest", 10), ("short", 60), ("long", 360)):
        write_video(tmp_path / f"{name}.mkv", 25 * seconds, codec="mpeg4")
    program = [sys.executable, "-c", PEAKS, str(tmp_path)]
    # One heap for all threads: which of several grows is chance.
    environment = os.environ | ENVIRONMENT | {"MALLOC_ARENA_MAX": "1"}
    done = subprocess.run(program, cwd=ROOT, capture_output=True, text=True, env=environment)
    assert done.returncode == 0, done.stderr
    short, long, with_r3d34 = map(int, done.stdout.split())
    assert long - short < 0.5 * 25 * 360 * SIZE * SIZE * 3
    assert with_r3d34 < 2e9
