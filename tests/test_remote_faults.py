"""Stores on object storage under attack: a server that refuses, breaks off or is never heard of again.

As on a disk (`test_faults`): whatever happens, a recording reads as it was written or is not there, and the
same command run again makes the store that an uninterrupted run makes.
"""

import logging
import signal
import threading
from pathlib import Path

import pytest
from faults.forks import Forks
from faults.jobs import add_views, check, extract, finish
from faults.s3 import FaultyServer, Way, serving

from store.errors import InputError
from store.places import PlaceError

pytestmark = pytest.mark.slow

STEPS = [["extract", "a", 2, True], ["add_views", "a", ["flip"]]]
WHOLE = [{"a": ["plain"]}, {"a": ["plain", "flip"]}]
MARKERS = [r"PUT .*/S/zarr.json|PUT .*/a/zarr.json", r"PUT .*/parts/flip/zarr.json"]


@pytest.fixture(scope="module")
def server():
    pytest.importorskip("moto")
    s3fs = pytest.importorskip("s3fs")
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    with pytest.MonkeyPatch.context() as patch, serving() as running:
        patch.setenv("AWS_ENDPOINT_URL", running.address)
        patch.setenv("AWS_ACCESS_KEY_ID", "testing")
        patch.setenv("AWS_SECRET_ACCESS_KEY", "testing")
        patch.setenv("AWS_DEFAULT_REGION", "us-east-1")
        # A failure is final, as one that lasts longer than anybody tries again.
        patch.setenv("AWS_MAX_ATTEMPTS", "1")
        patch.setattr(s3fs.S3FileSystem, "retries", 1)
        s3fs.S3FileSystem().mkdir("attacked")  # not that of test_places: Moto keeps one state for a process
        yield running
        s3fs.S3FileSystem.clear_instance_cache()


@pytest.fixture(scope="module")
def local(tmp_path_factory) -> list[Path]:
    """What the store should be after each step, made on a disk."""
    stores = [tmp_path_factory.mktemp("local") / "S" for _ in STEPS]
    for number, store in enumerate(stores):
        extract(str(store), *STEPS[0][1:])
        if number:
            add_views(str(store), *STEPS[1][1:])
    return stores


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch) -> None:
    monkeypatch.setenv("CHIRONOMY_CACHE", str(tmp_path))


def do(step: int, store: str) -> str | None:
    """Do a step; return how it was refused."""
    try:
        {"extract": extract, "add_views": add_views}[STEPS[step][0]](store, *STEPS[step][1:])
    except InputError as error:
        return str(error)
    return None


@pytest.mark.parametrize("step", range(2), ids=["recording", "view"])
@pytest.mark.parametrize(
    ("way", "only", "every"),
    [
        (Way.DOWN, "", 13),
        (Way.LOST, "", 13),
        (Way.SHORT, "", 13),
        (Way.LOST, "markers", 1),
        (Way.DOWN, "markers", 1),
    ],
    ids=lambda value: getattr(value, "name", str(value)),
)
def test_requests_fail_in_turn(server: FaultyServer, local, record_property, step, way, only, every):
    faults, refusals, until = 0, 0, 1
    while True:
        name = f"{step}-{way.name}-{only}-{until}"
        store = f"s3://attacked/{name}/S"
        if step:
            assert do(0, store) is None
        server.arm(MARKERS[step] if only else f"/attacked/{name}/S|prefix={name}", until, way)
        refused = do(step, store)
        struck, _ = server.struck, server.disarm()
        if not struck:
            break
        found = finish(store, str(local[step]), [STEPS[step]])
        faults += 1
        if refused is None:
            assert found == WHOLE[step], struck
        else:
            assert refused.startswith(f"{store}"), (struck, refused)
            assert "\n" not in refused
            refusals += 1
        until += every
    line = f"{STEPS[step][0]}, {way.name.lower()} {only}: {faults} faults, {refusals} refused"
    record_property("requests", line)
    print(f"\n{line}; none read wrong")
    assert faults >= (1 if only else 4)


@pytest.mark.parametrize("way", [Way.DOWN, Way.SHORT])
def test_reading_while_requests_fail(server: FaultyServer, way):
    """What cannot be reached is said so; it is never taken for what is not there."""
    store = f"s3://attacked/read-{way.name}/S"
    assert [do(step, store) for step in range(2)] == [None, None]
    until, refusals = 1, 0
    while True:
        server.arm(f"/attacked/read-{way.name}/S|prefix=read", until, way)
        try:
            assert check(store) == WHOLE[1]
        except PlaceError:
            refusals += 1
        struck, _ = server.struck, server.disarm()
        if not struck:
            break
        until += 4
    assert refusals >= 10


@pytest.mark.parametrize("step", range(2), ids=["recording", "view"])
def test_killed_at_a_request(server: FaultyServer, local, record_property, step):
    kills, until = 0, 5
    with Forks() as forks:
        while True:
            name = f"killed-{step}-{until}"
            store = f"s3://attacked/{name}/S"
            if step:
                assert do(0, store) is None
            started, running = threading.Event(), []

            def kill(running=running, started=started) -> None:
                started.wait()
                running[0].signal(signal.SIGKILL)

            server.arm(f"/attacked/{name}/S|prefix={name}", until, Way.KILL, kill)
            running.append(forks.start(STEPS[step][0], store, *STEPS[step][1:]))
            started.set()
            outcome = running[0].wait()
            server.disarm()
            if not outcome.killed:
                outcome.done()
                break
            finish(store, str(local[step]), [STEPS[step]])
            kills += 1
            until += 19
    assert check(store) == WHOLE[step]
    line = f"{STEPS[step][0]}: {kills} kills during an upload"
    record_property("requests", line)
    print(f"\n{line}; none read wrong")
    assert kills >= 3
