"""Processes that begin in milliseconds: a server imports everything once, then forks one for each job.

What a job leaves running (zarr's event loop, open files, armed faults) ends with it, and never reaches another.
"""

import gc
import json
import os
import signal
import subprocess
import sys
import traceback
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

TESTS = Path(__file__).resolve().parents[1]


@dataclass(frozen=True)
class Outcome:
    """How a job ended: its status as `os.waitstatus_to_exitcode` has it, and what it returned or raised."""

    status: int
    value: Any = None
    refused: str = ""  # the message of an InputError
    crashed: str = ""  # the traceback of anything else

    @property
    def killed(self) -> bool:
        return self.status == -signal.SIGKILL

    def done(self) -> Any:
        """Return the value of a job that had no reason to fail."""
        assert self.status == 0, self
        assert not self.crashed, self.crashed
        assert not self.refused, self.refused
        return self.value


@dataclass(frozen=True)
class Job:
    forks: "Forks"
    pid: int

    def signal(self, number: int) -> None:
        """Send a signal; safe at any time, for the process stays known to the system until `wait`."""
        os.kill(self.pid, number)

    def wait(self) -> Outcome:
        return Outcome(**self.forks.ask("wait", self.pid))


class Forks:
    """The server, for as long as the context lasts; `preload` is a library that its processes load first."""

    def __init__(self, preload: Path | None = None):
        self._environment = os.environ | {"PYTHONPATH": os.pathsep.join([str(TESTS.parent), str(TESTS)])}
        if preload is not None:
            self._environment["LD_PRELOAD"] = str(preload)

    def __enter__(self) -> Self:
        self._server = subprocess.Popen(
            [sys.executable, __file__], env=self._environment, text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )
        assert self._server.stdout is not None
        assert self._server.stdout.readline() == "ready\n"
        return self

    def __exit__(self, *_: object) -> None:
        assert self._server.stdin is not None
        self._server.stdin.close()
        self._server.wait(timeout=60)

    def ask(self, *request: Any) -> Any:
        assert self._server.stdin is not None
        assert self._server.stdout is not None
        print(json.dumps(request), file=self._server.stdin, flush=True)
        return json.loads(self._server.stdout.readline())

    def start(self, job: str, *arguments: Any) -> Job:
        """Begin a function of `faults.jobs`, its arguments JSON-ready."""
        return Job(self, self.ask("start", job, arguments))

    def run(self, job: str, *arguments: Any) -> Outcome:
        return self.start(job, *arguments).wait()

    def do(self, job: str, *arguments: Any) -> Any:
        """Run a job that has no reason to fail, and return its value."""
        return self.run(job, *arguments).done()


def _serve() -> None:
    from faults import jobs

    gc.freeze()  # so that processes go on sharing what is imported
    pipes: dict[int, int] = {}
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    print("ready", file=answers, flush=True)
    for line in sys.stdin:
        command, *rest = json.loads(line)
        if command == "start":
            answer: Any = _fork(getattr(jobs, rest[0]), rest[1], pipes)
        else:
            answer = _reap(rest[0], pipes.pop(rest[0]))
        print(json.dumps(answer), file=answers, flush=True)


def _fork(job: Any, arguments: list[Any], pipes: dict[int, int]) -> int:
    reader, writer = os.pipe()
    pid = os.fork()
    if pid == 0:
        _work(job, arguments, writer)
    os.close(writer)
    pipes[pid] = reader
    return pid


def _work(job: Any, arguments: list[Any], writer: int) -> None:
    from store.errors import InputError

    try:
        answer = {"value": job(*arguments)}
    except InputError as error:
        answer = {"refused": str(error)}
    except BaseException:
        answer = {"crashed": traceback.format_exc()}
    os.write(writer, json.dumps(answer).encode()[:60_000])
    os._exit(0)


def _reap(pid: int, reader: int) -> dict[str, Any]:
    _, status = os.waitpid(pid, 0)
    with os.fdopen(reader, "rb") as pipe:
        answer = pipe.read()
    return {"status": os.waitstatus_to_exitcode(status), **(json.loads(answer) if answer else {})}


if __name__ == "__main__":
    sys.path[0] = str(TESTS)  # instead of this folder
    _serve()
