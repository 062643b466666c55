"""An S3 server on this machine that fails on demand: Moto's, with something in front of it."""

import re
import socket
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from enum import Enum, auto
from typing import Any


class Way(Enum):
    """What happens at the n-th request."""

    DOWN = auto()  # the server refuses it and all others
    LOST = auto()  # it is carried out, and the connection breaks before the answer
    SHORT = auto()  # half of the answer comes, then the connection breaks
    KILL = auto()  # whoever asked is killed first


class FaultyServer:
    """Moto's application, in which what is armed goes wrong."""

    def __init__(self, application: Any):
        self._application = application
        self._lock = threading.Lock()
        self.address = ""
        self.disarm()

    def arm(self, only: str, until: int, way: Way, kill: Callable[[], None] | None = None) -> None:
        """Count the requests, as ``PUT /bucket/S/a/zarr.json?``, in which a pattern is found, up to one that fails."""
        self._only, self._until, self._way, self._kill, self._count = re.compile(only), until, way, kill, 0
        self.struck = ""

    def disarm(self) -> None:
        self.arm("nothing", 0, Way.DOWN)

    def __call__(self, environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        request = f"{environ['REQUEST_METHOD']} {environ['PATH_INFO']}?{environ['QUERY_STRING']}"
        if not self._strikes(request):
            return self._application(environ, start_response)
        if self._way == Way.DOWN:
            start_response("503 Slow Down", [("Content-Length", "0")])
            return []
        if self._way == Way.KILL and self._kill is not None:
            self._kill()
        content = b"".join(self._application(environ, start_response))
        return _broken(content[: len(content) // 2] if self._way == Way.SHORT else b"", environ["werkzeug.socket"])

    def _strikes(self, request: str) -> bool:
        with self._lock:
            if not self._only.search(request):
                return False
            self._count += 1
            strikes = self._count == self._until or (self._way == Way.DOWN and 0 < self._until < self._count)
            if strikes and not self.struck:
                self.struck = request
            return strikes


def _broken(content: bytes, connection: socket.socket) -> Iterator[bytes]:
    if content:
        yield content
    connection.shutdown(socket.SHUT_RDWR)


@contextmanager
def serving() -> Iterator[FaultyServer]:
    from moto.moto_server.werkzeug_app import DomainDispatcherApplication, create_backend_app
    from werkzeug.serving import make_server

    faulty = FaultyServer(DomainDispatcherApplication(create_backend_app))
    server = make_server("127.0.0.1", 0, faulty, threaded=True)
    faulty.address = f"http://127.0.0.1:{server.port}"
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield faulty
    server.shutdown()
    thread.join(timeout=10)
