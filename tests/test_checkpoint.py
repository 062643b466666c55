"""A training that was stopped: what is kept of it, and that killed processes lose nothing."""

import io
import multiprocessing
import os
import pickle
import shutil
import signal
import time
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from planted_store import write_recording, write_vocabulary
from tiny_backbone import added

from heads.checkpoint import Checkpoint, forget
from heads.settings import Settings
from search.keeping import forget_states
from store.errors import InputError

STATE: dict[str, Any] = {"run": {"number": 3, "history": [(0.5, 0.25)]}, "weights": {"a": torch.arange(6.0)}}
TRAINING = Settings(epochs=8, patience=8, batch=8, learning_rate=1e-3, widths=(32, 32))


@pytest.fixture
def kept(tmp_path: Path) -> Path:
    path = tmp_path / ".m.0.training"
    Checkpoint(path, ["a", 1]).save(STATE)
    return path


def test_what_is_kept_comes_back(kept: Path) -> None:
    found = Checkpoint(kept, ["a", 1]).load()
    assert found["run"] == STATE["run"]
    assert torch.equal(found["weights"]["a"], STATE["weights"]["a"])
    assert found.keys() == STATE.keys()
    for other in (["a", 2], ["a"], {"a": 1}, []):
        assert Checkpoint(kept, other).load() is None
    assert kept.exists()


def test_no_state(tmp_path: Path) -> None:
    assert Checkpoint(tmp_path / "none", []).load() is None
    assert Checkpoint(tmp_path, []).load() is None
    (tmp_path / "empty").write_bytes(b"")
    assert Checkpoint(tmp_path / "empty", []).load() is None


@settings(max_examples=60)
@given(st.data())
def test_a_damaged_state_is_none(tmp_path_factory: pytest.TempPathFactory, data: st.DataObject) -> None:
    path = tmp_path_factory.getbasetemp() / "damaged"
    checkpoint = Checkpoint(path, [])
    checkpoint.save(STATE)
    content = path.read_bytes()
    at = data.draw(st.integers(0, len(content) - 1))
    flipped = content[:at] + bytes([content[at] ^ 1 << data.draw(st.integers(0, 7))]) + content[at + 1 :]
    for damaged in (flipped, content[:at]):
        path.write_bytes(damaged)
        assert checkpoint.load() is None
    path.write_bytes(content)
    assert checkpoint.load() is not None


def test_nothing_in_it_is_run(tmp_path: Path) -> None:
    class Evil:
        def __reduce__(self) -> tuple:
            return os.mkdir, (str(tmp_path / "run"),)

    buffer = io.BytesIO()
    torch.save({"identity": Evil()}, buffer)
    for content in (pickle.dumps(Evil()), buffer.getvalue()):
        (tmp_path / "evil").write_bytes(content + zlib.crc32(content).to_bytes(4))
        assert Checkpoint(tmp_path / "evil", []).load() is None
    assert not (tmp_path / "run").exists()


def test_halves_of_killed_writers_are_removed(kept: Path) -> None:
    for end in ("x1y2", "z"):
        (kept.parent / f".{kept.name}.{end}").write_text("half")
    others = [kept.parent / name for name in (".m.1.training", ".mm.0.training", "m")]
    for other in others:
        other.write_text("another's")
    Checkpoint(kept, []).save(STATE)
    assert sorted(kept.parent.iterdir()) == sorted([*others, kept])
    (kept.parent / f".{kept.name}.again").write_text("half")
    forget(kept.parent, kept.name)
    assert sorted(kept.parent.iterdir()) == sorted(others)
    forget(kept.parent, kept.name)


def test_what_is_left_of_all_trainings_into_a_model_is_removed(tmp_path: Path) -> None:
    others = {"m", ".mm.0.training", ".m.n.0.training", "..m.n.0.training.x1y2"}
    for name in {".m.0.training", ".m.12.training", "..m.0.training.x1y2", "..m.3.training.z", *others}:
        (tmp_path / name).write_text("state")
    forget_states(tmp_path / "m")
    assert {path.name for path in tmp_path.iterdir()} == others


def test_writing_takes_a_tenth_of_the_time_at_most(tmp_path: Path, monkeypatch) -> None:
    clock, writes = [100.0], []
    monkeypatch.setattr("heads.checkpoint.time", type("Clock", (), {"monotonic": lambda: clock[0]}))

    def write(path: Path, content: io.BytesIO) -> None:
        writes.append(clock[0])
        clock[0] += 2

    monkeypatch.setattr("heads.checkpoint.write_checked", write)
    checkpoint = Checkpoint(tmp_path / "m", [])
    for now in (100, 110, 119, 120, 130, 200):
        clock[0] = max(clock[0], now)
        checkpoint.save(STATE)
    assert writes == [100, 120, 200]


def test_a_full_disk_is_one_line(tmp_path: Path, monkeypatch) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("store.files.os.fsync", full)
    with pytest.raises(InputError, match="No space left on device"):
        Checkpoint(tmp_path / "m", []).save(STATE)
    assert list(tmp_path.iterdir()) == []


def train_and_tell(folder: Path, out: Path) -> None:
    """Train, in a process of its own; tell of each epoch when it begins."""
    import heads.checkpoint
    from heads.learner import Learner
    from search import runs

    torch.set_num_threads(1)
    heads.checkpoint._SHARE_OF_TIME = 1e9  # after each epoch
    epoch = Learner.epoch

    def told(self: Learner, number: int) -> float:
        with (folder / "epochs").open("a") as file:
            print(os.getpid(), number, file=file)
        return epoch(self, number)

    Learner.epoch = told  # type: ignore[method-assign]
    with added(folder / "family"):
        paths = [folder / "a.csv", folder / "b.csv"]
        runs.train(folder / "S", paths, str(folder / "two.toml"), out, system="bimodal-gated", settings=TRAINING)


def files(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def killed_until_done(start, model: Path, state: Path, moment: Callable[[], float]) -> int:
    """Kill trainings up to three times, each some time after it has come further; return how often."""
    kills = 0
    while not model.exists():
        process = start(model.name)
        before = state.stat().st_mtime_ns if state.exists() else 0
        while process.is_alive() and kills < 3 and (state.stat().st_mtime_ns if state.exists() else 0) == before:
            time.sleep(0.001)
        if kills < 3:
            process.join(moment())
            process.kill()
        process.join()
        assert process.exitcode in (0, -signal.SIGKILL)
        kills += process.exitcode != 0
    return kills


@pytest.mark.slow
def test_killed_at_random_it_becomes_the_same_model(tmp_path: Path) -> None:
    (tmp_path / "family").mkdir()
    with added(tmp_path / "family"):
        for name in "ab":
            write_recording(tmp_path / "S", name, 120)
    write_vocabulary(tmp_path / "two.toml")
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["search.runs", "sklearn.linear_model", "test_checkpoint"])

    def start(name: str) -> multiprocessing.process.BaseProcess:
        process = context.Process(target=train_and_tell, args=(tmp_path, tmp_path / name))
        process.start()
        return process

    whole = start("whole")
    whole.join()
    assert whole.exitcode == 0
    state, random, kills, longest = tmp_path / ".killed.0.training", np.random.default_rng(), 0, 0.3
    while kills < 2:  # else the machine is quick: once more, with less time for each
        shutil.rmtree(tmp_path / "killed", ignore_errors=True)
        (tmp_path / "epochs").unlink(missing_ok=True)
        kills = killed_until_done(start, tmp_path / "killed", state, lambda longest=longest: random.uniform(0, longest))
        longest /= 2
    assert files(tmp_path / "killed") == files(tmp_path / "whole")
    assert {path.name for path in tmp_path.iterdir() if "killed" in path.name} == {"killed"}
    told = [line.split() for line in (tmp_path / "epochs").read_text().splitlines()]
    begun = {process: int(number) for process, number in reversed(told)}
    assert max(begun.values()) > 1  # gone on with, not begun again
