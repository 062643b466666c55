"""Downloads, from a server on this machine that can also break off and lie."""

import hashlib
import http.server
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from extract.download import Published, download
from store.errors import InputError

CONTENT = bytes(range(256)) * 20_000  # 5 MB, more than one piece
NAME = "weights.pth"


class Server(http.server.ThreadingHTTPServer):
    """Serves CONTENT; `stop_after` bytes it hangs up, `ranges` is whether it can resume."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.content, self.stop_after, self.ranges = CONTENT, len(CONTENT), True
        self.asked: list[str | None] = []

    def published(self, sha256: str = hashlib.sha256(CONTENT).hexdigest()) -> Published:
        return Published(NAME, f"http://127.0.0.1:{self.server_port}/{NAME}", sha256)


class Handler(http.server.BaseHTTPRequestHandler):
    server: Server

    def do_GET(self) -> None:
        asked = self.headers.get("Range")
        self.server.asked.append(asked)
        start = int(asked.removeprefix("bytes=").rstrip("-")) if asked and self.server.ranges else 0
        if start >= len(self.server.content):
            self.send_error(416)
            return
        rest = self.server.content[start:]
        self.send_response(206 if start else 200)
        self.send_header("Content-Length", str(len(rest)))
        self.end_headers()
        self.wfile.write(rest[: self.server.stop_after])

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def server() -> Iterator[Server]:
    with Server() as serving:
        thread = threading.Thread(target=serving.serve_forever, daemon=True)
        thread.start()
        yield serving
        serving.shutdown()
        thread.join()


def left_in(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()} - {f"{NAME}.lock"}


def test_a_file_arrives_whole_and_is_not_fetched_twice(server: Server, tmp_path: Path) -> None:
    folder = tmp_path / "cache" / "weights"
    assert download(server.published(), folder).read_bytes() == CONTENT
    assert download(server.published(), folder).read_bytes() == CONTENT
    assert server.asked == [None]
    assert left_in(folder) == {NAME}


def test_the_first_digits_of_a_hash_are_enough(server: Server, tmp_path: Path) -> None:
    digits = hashlib.sha256(CONTENT).hexdigest()[:8]
    assert download(server.published(digits), tmp_path).read_bytes() == CONTENT


@pytest.mark.parametrize("received", [1, 1_500_000, len(CONTENT) - 1])
def test_it_goes_on_where_it_broke_off(server: Server, tmp_path: Path, received: int) -> None:
    server.stop_after = received
    with pytest.raises(InputError, match="run again to go on"):
        download(server.published(), tmp_path)
    assert left_in(tmp_path) == {f"{NAME}.part"}
    server.stop_after = len(CONTENT)
    assert download(server.published(), tmp_path).read_bytes() == CONTENT
    assert server.asked == [None, f"bytes={received}-"]
    assert left_in(tmp_path) == {NAME}


def test_a_server_that_cannot_resume_sends_all_of_it(server: Server, tmp_path: Path) -> None:
    server.ranges = False
    (tmp_path / f"{NAME}.part").write_bytes(b"something else")
    assert download(server.published(), tmp_path).read_bytes() == CONTENT


def test_killed_between_the_last_byte_and_the_check(server: Server, tmp_path: Path) -> None:
    (tmp_path / f"{NAME}.part").write_bytes(CONTENT)
    assert download(server.published(), tmp_path).read_bytes() == CONTENT


def test_another_content_is_never_used(server: Server, tmp_path: Path) -> None:
    server.content = CONTENT[:-1] + b"x"
    with pytest.raises(InputError, match="not the published file"):
        download(server.published(), tmp_path)
    assert left_in(tmp_path) == set()


def test_two_at_once_download_once(server: Server, tmp_path: Path) -> None:
    threads = [threading.Thread(target=download, args=(server.published(), tmp_path)) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert server.asked == [None]
    assert (tmp_path / NAME).read_bytes() == CONTENT


def test_nobody_there(tmp_path: Path) -> None:
    with pytest.raises(InputError) as caught:
        download(Published(NAME, "http://127.0.0.1:9/weights.pth", "ab"), tmp_path)
    assert "http://127.0.0.1:9/weights.pth" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_no_such_file_there(server: Server, tmp_path: Path) -> None:
    server.content = b""
    with pytest.raises(InputError, match="cannot be downloaded"):
        download(server.published(), tmp_path)
