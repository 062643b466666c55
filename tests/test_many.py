"""Many videos on several workers: the same bytes as on one, and a dead worker costs only its own task."""

import errno
import os
import signal
import subprocess
import threading
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from recordings import write_video as write_video_of
from tiny_backbone import SIZE
from tiny_program import ENVIRONMENT, TinyRecipe, start_holding, wait_for

from extract import jobs as jobs_module
from extract.engines import map_videos
from extract.jobs import Job
from extract.many import Recipe, extract_all
from store.features import FeatureStore

pytestmark = pytest.mark.usefixtures("tiny")
write_video = partial(write_video_of, size=SIZE)


def square(number: int) -> tuple[int, int]:
    return number**2, os.getpid()


def die_at_first(folder: Path, number: int) -> int:
    """Die without a word the first time that the third job comes; count the calls of each."""
    with (folder / str(number)).open("a") as calls:
        calls.write("x")
    if number == 2 and (folder / "2").stat().st_size == 1:
        os.kill(os.getpid(), signal.SIGKILL)
    return number


def die_always(folder: Path, number: int) -> int:
    """Die, the first time not before the next job is at work; that goes on long enough to see it."""
    if number == 1:
        while not (folder / "2").exists():
            time.sleep(0.01)
        os.kill(os.getpid(), signal.SIGKILL)
    (folder / str(number)).touch()
    if number == 2:
        time.sleep(1)
    return number


@pytest.fixture(scope="module")
def ray() -> Iterator[None]:
    """There is Ray; what `map_videos` starts of it stays for the next test."""
    ray = pytest.importorskip("ray")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", ENVIRONMENT["PYTHONPATH"])  # for its workers
        yield
        ray.shutdown()


def test_one_worker_is_this_process():
    assert list(map_videos(square, [1, 2, 3])) == [(n, (n**2, os.getpid())) for n in (1, 2, 3)]


@pytest.mark.slow
@pytest.mark.parametrize("engine", ["local", "ray"])
def test_a_dead_worker_costs_only_its_own_task(tmp_path, engine, request):
    if engine == "ray":
        request.getfixturevalue("ray")
    found = dict(map_videos(partial(die_at_first, tmp_path), range(5), engine, workers=2))
    assert found == {number: number for number in range(5)}
    calls = {number: (tmp_path / str(number)).stat().st_size for number in range(5)}
    assert calls[2] == 2
    if engine == "ray":
        assert sum(calls.values()) == 6, "no other task was done again"


@pytest.mark.slow
@pytest.mark.parametrize("engine", ["local", "ray"])
def test_a_task_that_always_kills_its_worker(tmp_path, engine, request):
    """It is given up, and nobody else is blamed for it."""
    if engine == "ray":
        request.getfixturevalue("ray")
    assert dict(map_videos(partial(die_always, tmp_path), range(3), engine, workers=2)) == {0: 0, 1: None, 2: 2}


def arrays(store: Path) -> dict[str, bytes]:
    """The bytes of every array file of a store, without the attributes, in which paths of time may differ."""
    return {
        str(path.relative_to(store)): path.read_bytes()
        for path in sorted(store.rglob("*"))
        if path.is_file() and path.parent.parent != store and path.parent != store
    }


@pytest.mark.slow
@pytest.mark.parametrize("engine", ["local", "ray"])
def test_two_workers_give_the_bytes_of_one(tmp_path, engine, request):
    if engine == "ray":
        request.getfixturevalue("ray")
    jobs = [Job(write_video(tmp_path / f"v{number}.mov", 50 + 20 * number, seed=number)) for number in range(3)]
    for store, given in (("one", ()), ("two", (engine, 2))):
        outcomes = list(extract_all(TinyRecipe(str(tmp_path / store)), jobs, *given))
        assert {outcome.status for outcome in outcomes} == {"extracted"}
    one, two = arrays(tmp_path / "one"), arrays(tmp_path / "two")
    assert one.keys() == two.keys()
    assert one == two
    for name in FeatureStore(tmp_path / "two").ids:
        FeatureStore(tmp_path / "two")[name].verify()
    assert not (tmp_path / "two.partial").exists()


def test_a_video_that_cannot_be_read_does_not_stop_the_others(tmp_path, monkeypatch):
    """As on a drive that fails, or is gone."""
    good, bad = write_video(tmp_path / "good.mov", 20), write_video(tmp_path / "bad.mov", 20, seed=1)
    real = jobs_module.sha256

    def failing(path: Path) -> str:
        if path == bad:
            raise OSError(errno.EIO, os.strerror(errno.EIO), str(path))
        return real(path)

    monkeypatch.setattr(jobs_module, "sha256", failing)
    outcomes = list(extract_all(TinyRecipe(str(tmp_path / "S")), [Job(bad), Job(good)]))
    assert [outcome.status for outcome in outcomes] == ["failed", "extracted"]
    assert str(outcomes[0].error).startswith(f"{bad}: ")


def test_without_a_video_no_weights_are_wanted(tmp_path):
    jobs = [Job(tmp_path / "one.mp4"), Job(tmp_path / "two.mp4")]
    outcomes = list(extract_all(Recipe(str(tmp_path / "S"), weights="there are none"), jobs))
    assert [outcome.error for outcome in outcomes] == [
        f"{job.video}: no such file; check the name and the folder" for job in jobs
    ]
    good = write_video(tmp_path / "good.mov", 20)
    outcomes = list(extract_all(TinyRecipe(str(tmp_path / "S")), [jobs[0], Job(good)]))
    assert [outcome.status for outcome in outcomes] == ["failed", "extracted"]


@pytest.mark.slow
def test_an_extracting_ray_worker_is_killed(tmp_path, ray):
    """In the middle of a video: it is given again and goes on, and the store equals an undisturbed one."""
    jobs = [Job(write_video(tmp_path / f"v{number}.mov", 16 * 50, seed=number)) for number in range(2)]
    assert all(each.error is None for each in extract_all(TinyRecipe(str(tmp_path / "one")), jobs))
    notes, killed = tmp_path / "notes", []
    notes.mkdir()

    def kill() -> None:
        while len(holding := list(notes.iterdir())) < 2:
            time.sleep(0.02)
        killed.append(int(holding[0].name))
        os.kill(killed[0], signal.SIGKILL)
        (notes / "go").touch()

    killer = threading.Thread(target=kill, daemon=True)
    killer.start()
    outcomes = list(extract_all(TinyRecipe(str(tmp_path / "two"), notes=str(notes)), jobs, "ray", 2))
    killer.join(timeout=1)
    assert killed
    assert {outcome.status for outcome in outcomes} == {"extracted"}
    assert arrays(tmp_path / "one") == arrays(tmp_path / "two")


@pytest.mark.slow
def test_workers_end_with_the_command(tmp_path):
    """Ctrl-C, or even the death of the parent, leaves no process behind; the same command goes on."""
    videos = [write_video(tmp_path / f"{name}.mov", 16 * 75, seed=seed) for seed, name in enumerate("ab")]
    for stop in (signal.SIGINT, signal.SIGKILL):
        notes = tmp_path / stop.name
        given = ["--backbone", "tiny", "--weights", "random:0", "--workers", "2", "--store", tmp_path / "S"]
        running = start_holding(notes, "extract", *videos, *given)
        wait_for(2, notes, running)
        running.send_signal(stop)
        error = running.communicate(timeout=60)[1]
        while members(running.pid):
            time.sleep(0.1)
        if stop == signal.SIGINT:
            assert error.startswith("chironomy: stopped")
            assert error.count("\n") == 1
    outcomes = list(extract_all(TinyRecipe(str(tmp_path / "S")), [Job(video) for video in videos]))
    assert {outcome.status for outcome in outcomes} == {"extracted"}
    assert FeatureStore(tmp_path / "S").ids == ["a", "b"]
    assert np.isfinite(FeatureStore(tmp_path / "S")["a"].read("conv4/plain")).all()


def members(session: int) -> str:
    return subprocess.run(["pgrep", "-s", str(session)], capture_output=True, text=True).stdout
