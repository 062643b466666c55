"""A small recording, written as extraction does: what the tests of the store write and look for.

As a program, ``python tests/small_store.py STORE ID [SEED [VIEW ...]]``, it writes one, adds those views, and
prints a line at each step.
"""

import multiprocessing
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from store.features import FeatureStore, occupied
from store.places import Place, place
from store.spec import Spec
from store.writing import RecordingWriter

ROOT = Path(__file__).resolve().parents[1]
CLIPS = 70  # two whole chunks of clips, and a rest
SPEC = Spec(
    backbone="r3d34",
    kind="2018",
    weights="random:0",
    weights_sha256="ab" * 32,
    clip_length=16,
    stride=16,
    preprocessing={"mean": [114.7748, 107.7354, 99.475], "scale": 1.0},
    precision="float16",
    audio={"rate": 22050},
)
TAIL = {"fc.bias": np.arange(5, dtype=np.float32), "layer4.0.conv1.weight": np.ones((2, 3, 1, 1, 1), np.float32)}
ATTRIBUTES = {"source_name": "é.mp4", "source_sha256": "cd" * 32, "duration": 46.7, "frame_rate": 24.0, "roi": None}


def arrays(seed: int = 0) -> dict[str, np.ndarray]:
    noise = np.random.default_rng(seed)
    frame_times = np.arange(CLIPS * 16 + 5) / 24
    return {
        "conv4/plain": noise.exponential(3, (CLIPS, 4, 2, 7, 7)).astype(np.float16),
        "audio": noise.normal(2000, 3, (CLIPS, 28, 6)).astype(np.float32),
        "times": np.column_stack([frame_times[: CLIPS * 16 : 16], frame_times[16 : CLIPS * 16 + 1 : 16]]),
        "frame_times": frame_times,
    }


def identity(seed: int = 0) -> dict[str, Any]:
    return {"source_sha256": ATTRIBUTES["source_sha256"], "seed": seed}


def fill(writer: RecordingWriter, values: dict[str, np.ndarray], batch: int = 8) -> int:
    """Write what is not there yet, and return how many clips were."""
    streamed = ["conv4/plain", "audio"]
    done = writer.resume(streamed)
    for first in range(done, CLIPS, batch):
        for name in streamed:
            writer.append(name, values[name][first : first + batch])
    writer.put("times", values["times"])
    writer.put("frame_times", values["frame_times"])
    return done


def write(store: Place, recording: str = "a", seed: int = 0, batch: int = 8, spec: Spec = SPEC) -> int:
    """Write a recording unless it is there; return how many clips a stopped run had left."""
    with RecordingWriter(store, recording, spec, TAIL, CLIPS, identity(seed)) as writer:
        if there(store, recording):
            return CLIPS
        done = fill(writer, arrays(seed), batch)
        writer.commit(ATTRIBUTES)
        return done


def view_values(view: str, seed: int = 0) -> np.ndarray:
    """Return the activations of a view that is added later."""
    return arrays(seed + 1000 + sum(view.encode()))["conv4/plain"]


def add_views(
    store: Place, recording: str = "a", seed: int = 0, views: Sequence[str] = ("flip",), batch: int = 8
) -> int:
    """Add views to a recording unless it has them; return how many clips a stopped run had left."""
    with RecordingWriter(store, recording, SPEC, TAIL, CLIPS, identity(seed), parts=views) as writer:
        if {*views} <= {*FeatureStore(store)[recording].views}:
            return CLIPS
        done = writer.resume([f"conv4/{view}" for view in views])
        for first in range(done, CLIPS, batch):
            for view in views:
                writer.append(f"conv4/{view}", view_values(view, seed)[first : first + batch])
        writer.commit({"runtime": "part"})
        return done


def there(store: Place, recording: str) -> bool:
    return occupied(store) and recording in FeatureStore(store)


def files(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def assert_same(folder: Path, other: Path) -> None:
    mine, theirs = files(folder), files(other)
    assert mine.keys() == theirs.keys()
    assert [name for name in mine if mine[name] != theirs[name]] == []


def start(store: Place, *arguments: str) -> subprocess.Popen:
    """Run this file as a program, in a process that can be killed."""
    command = [sys.executable, "tests/small_store.py", str(store), *arguments]
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    return subprocess.Popen(
        command, cwd=ROOT, env=environment, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )


def kill_until_done(work: Callable[[], None], is_done: Callable[[], bool], seconds: float, seed: int) -> int:
    """Run work in processes that are killed after random times until one gets through; return the kills."""
    noise = np.random.default_rng(seed)
    kills = 0
    while True:
        process = multiprocessing.get_context("fork").Process(target=work)
        process.start()
        process.join(float(noise.uniform(0, seconds)))
        process.kill()
        seconds *= 1.05  # the machine may have become slower
        process.join()
        kills += process.exitcode == -signal.SIGKILL
        assert process.exitcode in (0, -signal.SIGKILL)
        if is_done():
            return kills


def duration(work: Callable[[], object]) -> float:
    began = time.monotonic()
    work()
    return time.monotonic() - began


if __name__ == "__main__":
    into, name, given = place(sys.argv[1]), sys.argv[2], sys.argv[3:]
    print("ready", flush=True)
    write(into, name, seed=int(given[0]) if given else 0)
    if given[1:]:
        add_views(into, name, int(given[0]), given[1:])
    print("done", flush=True)
