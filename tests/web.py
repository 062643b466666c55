"""A web server on this machine that can also break off, lie, and not know how to resume."""

import hashlib
import http.server
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from extract.download import Published


class Server(http.server.ThreadingHTTPServer):
    """Serves `files` by name; `stop_after` so many bytes it hangs up, `ranges` is whether it can resume."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.files: dict[str, bytes] = {}
        self.stop_after: int | None = None
        self.ranges = True
        self.asked: list[tuple[str, str | None]] = []

    def publish(self, name: str, content: bytes, algorithm: str = "sha256", digits: int | None = None) -> Published:
        self.files[name] = content
        digest = hashlib.new(algorithm, content).hexdigest()[:digits]
        return Published(name, f"http://127.0.0.1:{self.server_port}/{name}?dl=1", digest, algorithm)


class Handler(http.server.BaseHTTPRequestHandler):
    server: Server

    def do_GET(self) -> None:
        name, asked = self.path.removeprefix("/").removesuffix("?dl=1"), self.headers.get("Range")
        self.server.asked.append((name, asked))
        if name not in self.server.files:
            self.send_error(404)
            return
        content = self.server.files[name]
        start = int(asked.removeprefix("bytes=").rstrip("-")) if asked and self.server.ranges else 0
        if start >= len(content):
            self.send_error(416)
            return
        self.send_response(206 if start else 200)
        self.send_header("Content-Length", str(len(content) - start))
        self.end_headers()
        self.wfile.write(content[start:][: self.server.stop_after])

    def log_message(self, *_: object) -> None:
        pass


@contextmanager
def serving() -> Iterator[Server]:
    with Server() as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
        thread.start()
        yield server
        server.shutdown()
        thread.join()
