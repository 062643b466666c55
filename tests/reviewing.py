"""A review that is served from a thread, as the tests of server and page use it."""

import http.client
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from review.desk import Desk, Sources
from review.serve import LOOPBACK, ReviewServer
from review.session import Session
from store.vocabulary import Vocabulary


@dataclass(frozen=True)
class Answer:
    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


class Client:
    """Asks as the page does, unless told otherwise."""

    def __init__(self, server: ReviewServer):
        self.port, self.host = server.port, f"127.0.0.1:{server.port}"
        self.cookie = f"chironomy-{server.port}={server.token}"

    def ask(self, path: str, method: str = "GET", body: Any = None, **headers: str | None) -> Answer:
        given: dict[str, str | None] = {"Host": self.host, "Cookie": self.cookie}
        if method != "GET":
            given["Origin"] = f"http://{self.host}"
        given |= {name.replace("_", "-"): value for name, value in headers.items()}
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=20)
        connection.putrequest(method, path, skip_host=True, skip_accept_encoding=True)
        content = None if body is None else json.dumps(body).encode()
        if content is not None:
            given["Content-Length"] = str(len(content))
        for name, value in given.items():
            if value is not None:
                connection.putheader(name, value)
        connection.endheaders(content)
        response = connection.getresponse()
        answer = Answer(response.status, {k.lower(): v for k, v in response.getheaders()}, response.read())
        connection.close()
        return answer

    def tell(self, what: str, **content: Any) -> Answer:
        return self.ask(f"/api/{what}", "POST", content)


@contextmanager
def served(
    video: Path,
    annotations: Path,
    vocabulary: Vocabulary | None = None,
    sources: Sources | None = None,
    host: str = LOOPBACK,
) -> Iterator[tuple[ReviewServer, Desk]]:
    session = Session.open(annotations, video, vocabulary)
    desk = Desk(video, session, sources or Sources())
    try:
        server = ReviewServer(desk, host)
        thread = threading.Thread(target=server.run, name="review", daemon=True)
        thread.start()
        try:
            yield server, desk
        finally:
            server.stop()
            thread.join(10)
    finally:
        desk.stop()
