"""Many videos on several workers: the same bytes as on one, and a dead worker costs only its own task."""

import errno
import os
import signal
import subprocess
import sys
import threading
import time
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from recordings import write_video

from extract import jobs as jobs_module
from extract.engines import map_videos
from extract.jobs import Job
from extract.many import Recipe, extract_all
from store.features import FeatureStore

ROOT = Path(__file__).resolve().parents[1]


def square(number: int) -> tuple[int, int]:
    return number**2, os.getpid()


def die_at_first(folder: Path, number: int) -> int:
    """Die without a word the first time that the third job comes; count the calls of each."""
    with (folder / str(number)).open("a") as calls:
        calls.write("x")
    if number == 2 and (folder / "2").stat().st_size == 1:
        os.kill(os.getpid(), signal.SIGKILL)
    return number


def die_always(number: int) -> int:
    time.sleep(1 if number == 1 else 3)  # the others are at work when it dies
    if number == 1:
        os.kill(os.getpid(), signal.SIGKILL)
    return number


@pytest.fixture
def ray(monkeypatch):
    ray = pytest.importorskip("ray")
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(ROOT), str(ROOT / "tests")]))  # for its workers
    yield ray
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
def test_a_task_that_always_kills_its_worker(engine, request):
    """It is given up, and nobody else is blamed for it."""
    if engine == "ray":
        request.getfixturevalue("ray")
    assert dict(map_videos(die_always, range(3), engine, workers=2)) == {0: 0, 1: None, 2: 2}


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
        outcomes = list(extract_all(Recipe(str(tmp_path / store), "random:0"), jobs, *given))
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
    outcomes = list(extract_all(Recipe(str(tmp_path / "S"), "random:0"), [Job(bad), Job(good)]))
    assert [outcome.status for outcome in outcomes] == ["failed", "extracted"]
    assert str(outcomes[0].error).startswith(f"{bad}: ")


@pytest.mark.slow
def test_an_extracting_ray_worker_is_killed(tmp_path, ray):
    """In the middle of a video: it is given again and goes on, and the store equals an undisturbed one."""
    jobs = [Job(write_video(tmp_path / f"v{number}.mov", 16 * 40, seed=number)) for number in range(2)]
    assert all(each.error is None for each in extract_all(Recipe(str(tmp_path / "one"), "random:0"), jobs))
    killed = []

    def kill() -> None:
        while not killed:
            time.sleep(0.05)
            begun = list(tmp_path.glob("two.partial/**/conv4/plain/c/0"))
            if begun:
                workers = subprocess.run(["pgrep", "-f", "ray::_quietly"], capture_output=True, text=True).stdout
                killed.append(int(workers.split()[0]))
                os.kill(killed[0], signal.SIGKILL)

    killer = threading.Thread(target=kill, daemon=True)
    killer.start()
    outcomes = list(extract_all(Recipe(str(tmp_path / "two"), "random:0"), jobs, "ray", 2))
    killer.join(timeout=1)
    assert killed
    assert {outcome.status for outcome in outcomes} <= {"extracted", "already there"}
    assert arrays(tmp_path / "one") == arrays(tmp_path / "two")


@pytest.mark.slow
def test_workers_end_with_the_command(tmp_path):
    """Ctrl-C, or even the death of the parent, leaves no process behind; the same command goes on."""
    video = write_video(tmp_path / "a.mov", 16 * 100)
    other = write_video(tmp_path / "b.mov", 16 * 100, seed=1)
    command = [sys.executable, "-m", "chironomy", "extract", str(video), str(other), "--store", str(tmp_path / "S")]
    command += ["--weights", "random:0", "--workers", "2"]
    for stop in (signal.SIGINT, signal.SIGKILL):
        running = subprocess.Popen(command, cwd=ROOT, stderr=subprocess.PIPE, text=True, start_new_session=True)
        while running.poll() is None and not list(tmp_path.glob("S.partial/**/conv4/plain/c/0")):
            time.sleep(0.05)
        running.send_signal(stop)
        error = running.communicate(timeout=60)[1]
        deadline = time.monotonic() + 20
        while members(running.pid) and time.monotonic() < deadline:
            time.sleep(0.1)
        assert not members(running.pid)
        if stop == signal.SIGINT:
            assert error.startswith("chironomy: stopped")
            assert error.count("\n") == 1
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
    assert FeatureStore(tmp_path / "S").ids == ["a", "b"]
    assert np.isfinite(FeatureStore(tmp_path / "S")["a"].read("conv4/plain")).all()


def members(session: int) -> str:
    return subprocess.run(["pgrep", "-s", str(session)], capture_output=True, text=True).stdout
