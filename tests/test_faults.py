"""The store under attack: kills, power cuts, failing disks, flipped bits, several processes at once.

Whatever happens, a recording reads as it was written, or is not there, or is refused by name; and once the same
commands have run to their end, the store is the one that an uninterrupted run makes, byte for byte.
"""

import errno
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from enum import IntEnum
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from faults.forks import Forks
from faults.power import cut
from small_store import CLIPS

pytestmark = pytest.mark.slow

WORKERS = 2
ROOT = Path(__file__).resolve().parents[1]


class Mode(IntEnum):
    """How calls fail from the n-th on, as in shim.c."""

    ONCE = 0
    ALL = 1
    FULL = 2  # all that need space on the disk; removing goes on
    SHORT = 3  # a write takes half of what it is given
    SHORT_THEN_FULL = 4
    KILL = 5


@pytest.fixture
def folder(tmp_path) -> Iterator[Path]:
    """A folder in memory where there is such a thing: thousands of syncs take their time on a disk."""
    memory = Path("/dev/shm")
    if not os.access(memory, os.W_OK):
        yield tmp_path
        return
    with tempfile.TemporaryDirectory(dir=memory, prefix="chironomy-") as made:
        yield Path(made)


@pytest.fixture(scope="module")
def shim(tmp_path_factory) -> Path:
    compiler = shutil.which("cc") or shutil.which("gcc")
    if compiler is None:
        pytest.skip("no C compiler on this machine")
    library = tmp_path_factory.mktemp("shim") / "shim.so"
    source = Path(__file__).parent / "faults" / "shim.c"
    subprocess.run([compiler, "-shared", "-fPIC", "-O1", "-o", library, source, "-ldl", "-lpthread"], check=True)
    return library


def in_parallel(work: Callable[[Forks, int], Any], preload: Path | None = None) -> list[Any]:
    """Call `work` once for each worker, with processes of its own and its number; return what each returns."""

    def one(number: int) -> Any:
        with Forks(preload) as forks:
            return work(forks, number)

    with ThreadPoolExecutor(WORKERS) as pool:
        return list(pool.map(one, range(WORKERS)))


# A life is what a store goes through: steps in order, each a job of faults.jobs and what it is given besides the store.
LIFE = [
    ["extract", "a", 2],
    ["extract", "b", 1],
    ["add_views", "a", ["flip"]],
    ["add_views", "b", ["flip", "crop"]],
]
THIN_LIFE = [["extract", "a", 2, True], ["extract", "b", 1, True], ["add_views", "a", ["flip"]]]
WHOLE = [{"a": ["plain"]}, {"a": ["plain"], "b": ["plain"]}, {"a": ["plain", "flip"], "b": ["plain"]}]


@pytest.fixture(scope="module")
def forks() -> Iterator[Forks]:
    with Forks() as running:
        yield running


def lived(forks: Forks, folder: Path, life: list[list[Any]]) -> list[Path]:
    """Return the store after none, one, two ... steps of a life without faults; the first does not exist."""
    stores = [folder / "0" / "S"]
    for number, (step, *arguments) in enumerate(life, 1):
        store = folder / str(number) / "S"
        if stores[-1].exists():
            shutil.copytree(stores[-1], store)
        else:
            store.parent.mkdir(parents=True)
        forks.do(step, str(store), *arguments)
        stores.append(store)
    forks.do("check", str(stores[-1]))
    return stores


@pytest.fixture(scope="module")
def whole(forks, tmp_path_factory) -> list[Path]:
    return lived(forks, tmp_path_factory.mktemp("whole"), LIFE)


@pytest.fixture(scope="module")
def thin(forks, tmp_path_factory) -> list[Path]:
    return lived(forks, tmp_path_factory.mktemp("thin"), THIN_LIFE)


def report(record_property: Callable[[str, object], None], what: str, counts: Counter[str]) -> None:
    line = ", ".join(f"{number} {name}" for name, number in counts.items())
    record_property(what, line)
    print(f"\n{what}: {line}; none read wrong")


def total(counts: list[Counter[str]]) -> Counter[str]:
    return sum(counts, Counter())


def test_kills(whole, folder, record_property):
    """Lives are lived to their end though every step is killed again and again, at any moment of it.

    Now and then two processes are at the same step, and one of them is killed.
    """

    def kill(forks: Forks, worker: int) -> Counter[str]:
        noise, counts = np.random.default_rng(worker), Counter[str]()
        durations = [timed(forks, folder / f"timed-{worker}" / "S", *step) for step in LIFE]
        while counts["kills"] < 60 or (counts["resumed"] < 3 and counts["kills"] < 1000):
            store = folder / f"{worker}-{counts['stores']}" / "S"
            store.parent.mkdir()
            for (step, *arguments), duration in zip(LIFE, durations, strict=True):
                job = [step, str(store), *arguments]
                while not survived(forks, job, noise.uniform(0, duration), counts):
                    forks.do("check", str(store))
                    if noise.random() < 0.2:
                        pair(forks, job, noise.uniform(0, duration), counts)
            forks.do("finish", str(store), str(whole[-1]), [])
            counts["stores"] += 1
        return counts

    counts = total(in_parallel(kill))
    report(record_property, "kills", counts)
    assert counts["kills"] >= 120
    assert counts["resumed"] >= 6


def timed(forks: Forks, store: Path, step: str, *arguments: Any) -> float:
    store.parent.mkdir(exist_ok=True)
    began = time.monotonic()
    forks.do(step, str(store), *arguments)
    return time.monotonic() - began


def survived(forks: Forks, job: list[Any], moment: float, counts: Counter[str]) -> bool:
    """Kill a job at a moment; return whether it was done by then."""
    running = forks.start(*job)
    time.sleep(moment)
    running.signal(signal.SIGKILL)
    outcome = running.wait()
    if outcome.killed:
        counts["kills"] += 1
        return False
    counts["resumed"] += 0 < outcome.done() < CLIPS
    return True


def pair(forks: Forks, job: list[Any], moment: float, counts: Counter[str]) -> None:
    """Start two at once at the same thing, and kill one; the other does it."""
    first, second = forks.start(*job), forks.start(*job)
    time.sleep(moment)
    first.signal(signal.SIGKILL)
    counts["kills"] += first.wait().killed
    counts["pairs"] += 1
    second.wait().done()


def test_another_content_under_the_id(whole, folder):
    """What was left by a killed run is not gone on with for another recording of that name."""
    noise, kills = np.random.default_rng(0), 0
    with Forks() as forks:
        duration = timed(forks, folder / "timed" / "S", "extract", "a", 9)
        for attempt in range(200):
            if kills == 8:
                break
            store = folder / str(attempt) / "S"
            store.parent.mkdir()
            running = forks.start("extract", str(store), "a", 9)
            time.sleep(noise.uniform(0.3, 0.9) * duration)
            running.signal(signal.SIGKILL)
            if running.wait().status == 0:
                continue
            kills += 1
            assert forks.do("extract", str(store), "a", 2) == 0
            forks.do("same", str(store), str(whole[1]))
    assert kills == 8


# Several processes


def test_processes_at_once(whole, folder, record_property):
    """The same and different recordings and views, by processes that begin at any moment; somebody reads meanwhile."""

    def meet(forks: Forks, worker: int) -> Counter[str]:
        noise, counts = np.random.default_rng(worker), Counter[str]()
        for number in range(8):
            store, enough = folder / f"{worker}-{number}" / "S", folder / f"enough-{worker}"
            store.parent.mkdir()
            for steps in ([LIFE[0], LIFE[0], LIFE[1]], [LIFE[2], LIFE[3], ["add_views", "b", ["crop"]]]):
                watching, running = forks.start("watch", str(store), str(enough)), []
                for place in noise.permutation(len(steps)):
                    step, *arguments = steps[place]
                    running.append(forks.start(step, str(store), *arguments))
                    time.sleep(noise.choice([0, noise.uniform(0, 0.1)]))
                for job in running:
                    job.wait().done()
                enough.touch()
                counts["looks"] += watching.wait().done()
                enough.unlink()
                counts["processes"] += len(steps)
            forks.do("finish", str(store), str(whole[-1]), [])
        return counts

    counts = total(in_parallel(meet))
    report(record_property, "at once", counts)
    assert counts["looks"] >= 16


def test_who_is_stopped_is_not_swept(whole, folder, record_property):
    """A process that sleeps holds what it has; others sweep around it, and who wants the same waits for it."""

    def halt(forks: Forks, worker: int) -> Counter[str]:
        noise, counts = np.random.default_rng(worker), Counter[str]()
        duration = timed(forks, folder / f"timed-{worker}" / "S", *LIFE[0])
        for number in range(200):
            if number >= 12 and counts["asleep midway"] >= 2:
                break
            store = folder / f"{worker}-{number}" / "S"
            store.parent.mkdir()
            sleeper = forks.start("extract", str(store), "a", 2)
            time.sleep(noise.uniform(0, duration))
            sleeper.signal(signal.SIGSTOP)
            try:
                waiting = forks.start("extract", str(store), "a", 2)
                forks.do("extract", str(store), "b", 1)
                found = forks.do("check", str(store))
                counts["asleep midway"] += "a" not in found
            finally:
                sleeper.signal(signal.SIGCONT)
            sleeper.wait().done()
            waiting.wait().done()
            forks.do("finish", str(store), str(whole[2]), [])
        return counts

    counts = total(in_parallel(halt))
    report(record_property, "stopped", counts)
    assert counts["asleep midway"] >= 4


# Failing disks


# Which step of the life fails, how, from which call on and at every how many. What writes most calls, a recording,
# fails at each: once at those of odd number, for good at those of even number.
FAILURES = [
    (0, Mode.FULL, errno.ENOSPC, 2, 2),
    (0, Mode.ONCE, errno.EIO, 1, 2),
    (0, Mode.SHORT_THEN_FULL, errno.ENOSPC, 1, 1),
    (0, Mode.SHORT, 0, 1, 1),
    (1, Mode.ALL, errno.EIO, 1, 5),
    (2, Mode.FULL, errno.ENOSPC, 1, 3),
    (2, Mode.ONCE, errno.EIO, 2, 3),
    (2, Mode.ALL, errno.EIO, 1, 5),
]


@pytest.mark.parametrize(("step", "mode", "number", "first", "every"), FAILURES)
def test_every_write_fails_in_turn(thin, shim, folder, record_property, step, mode, number, first, every):
    name, *arguments = THIN_LIFE[step]

    def fail(forks: Forks, worker: int) -> Counter[str]:
        counts, until = Counter[str](), first + worker * every
        while True:
            store = begun(thin[step], folder / str(until))
            fault = [str(store.parent), until, number, mode, ""]
            value = forks.do("faulty", *fault, name, str(store), *arguments)
            if not value["struck"]:
                return counts
            found = forks.do("finish", str(store), str(thin[step + 1]), [THIN_LIFE[step]])
            if value["refused"] is None:  # what failed was tidying up, or had another way
                assert mode != Mode.FULL, value
                assert found == WHOLE[step], value
            else:
                assert value["refused"].startswith(f"{store}"), value
                assert "\n" not in value["refused"], value
                assert mode != Mode.SHORT, value
            counts["faults"] += 1
            counts["refused"] += value["refused"] is not None
            shutil.rmtree(store.parent)
            until += WORKERS * every

    counts = total(in_parallel(fail, shim))
    report(record_property, f"{name}, {errno.errorcode.get(number, '')} {mode.name.lower()}", counts)
    assert counts["faults"] > 20


def begun(store: Path, folder: Path) -> Path:
    """Return a copy of a store, or where it will be, in a folder of its own."""
    folder.mkdir()
    if store.exists():
        shutil.copytree(store, folder / "S")
    return folder / "S"


@pytest.mark.parametrize("step", [0, 2])
def test_stopped_before_a_change(thin, shim, folder, record_property, step):
    """Before every third change on the disk the process is killed, or the power is cut."""
    name, *arguments = THIN_LIFE[step]

    def stop(forks: Forks, worker: int) -> Counter[str]:
        counts, until, noise = Counter[str](), 1 + 3 * worker, np.random.default_rng(worker)
        while True:
            store = begun(thin[step], folder / f"{worker}-{until}")
            log = folder / f"log-{worker}-{until}"
            fault = [str(store.parent), until, 0, Mode.KILL, str(log)]
            outcome = forks.run("faulty", *fault, name, str(store), *arguments)
            if not outcome.killed:
                outcome.done()
                cut(store.parent, log, None)  # what has come to its end is durable
                assert forks.do("check", str(store)) == WHOLE[step]
                return counts
            power = bool(noise.integers(2))
            if power:
                cut(store.parent, log, noise)
            forks.do("finish", str(store), str(thin[step + 1]), [THIN_LIFE[step]])
            counts["power cuts" if power else "kills"] += 1
            shutil.rmtree(store.parent)
            until += 3 * WORKERS + int(noise.integers(-1, 2))

    counts = total(in_parallel(stop, shim))
    report(record_property, f"{name}, call by call", counts)
    assert min(counts["power cuts"], counts["kills"]) > 20


# Damage


def test_flips(thin, folder, record_property):
    """Every file of a store: any flipped bit is found and named, or changes no value."""

    def flip(forks: Forks, worker: int) -> Counter[str]:
        store = begun(thin[-1], folder / str(worker))
        return Counter(forks.do("flip", str(store), worker, WORKERS))

    counts = total(in_parallel(flip))
    report(record_property, "flips", counts)
    assert counts["flips"] >= 400
    assert counts["found"] > 0.9 * counts["flips"]


def test_spoiled_files(thin, folder, record_property):
    """Files cut short, filled with zeros, lost, or put in another's place: found and named."""

    def spoil(forks: Forks, worker: int) -> Counter[str]:
        store = begun(thin[-1], folder / str(worker))
        return Counter(forks.do("spoil", str(store), worker, WORKERS))

    counts = total(in_parallel(spoil))
    report(record_property, "spoiled", counts)
    assert min(counts[kind] for kind in ("emptied", "halved", "one byte short", "zeroed", "lost")) > 40
    assert counts["exchanged"] > 10


def test_misplaced_folders(forks, thin, folder, record_property):
    """An array under another's name is not taken for it, even if it is one that looks the same."""
    counts = Counter(forks.do("misplace", str(begun(thin[-1], folder / "misplaced"))))
    report(record_property, "misplaced", counts)
    assert counts["renamed"] >= 15
    assert counts["exchanged"] > 5


@pytest.mark.parametrize(
    "file",
    ["a/conv4/plain/c/1/0", "a/conv4/flip/c/2/0", "b/times/zarr.json", "b/zarr.json", "chironomy-tail/fc.bias/c/0"],
)
def test_the_command_says_what_is_damaged(thin, tmp_path, file):
    store = begun(thin[-1], tmp_path / "store")
    content = bytearray((store / file).read_bytes())
    content[len(content) // 2] ^= 1
    (store / file).write_bytes(content)
    command = [sys.executable, "-m", "chironomy", "inspect", str(store), "--verify"]
    ended = subprocess.run(command, cwd=ROOT, text=True, capture_output=True, check=False)
    name = file.partition("/c/")[0].removesuffix("/zarr.json")
    assert ended.returncode == 1
    assert f"{store}: {name} is damaged (" in ended.stdout + ended.stderr
    assert "Traceback" not in ended.stderr
