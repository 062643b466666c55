"""Downloads, from a server on this machine that can also break off and lie."""

import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from web import Server, serving

from extract.backbones import designs, names
from extract.download import DownloadError, Published, download

CONTENT = bytes(range(256)) * 20_000  # 5 MB, more than one piece
NAME = "weights.pth"


@pytest.fixture
def server() -> Iterator[Server]:
    with serving() as server:
        yield server


def left_in(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()} - {f"{NAME}.lock"}


def test_a_file_arrives_whole_and_is_not_fetched_twice(server: Server, tmp_path: Path) -> None:
    folder = tmp_path / "cache" / "weights"
    published = server.publish(NAME, CONTENT)
    assert download(published, folder).read_bytes() == CONTENT
    assert download(published, folder).read_bytes() == CONTENT
    assert server.asked == [(NAME, None)]
    assert left_in(folder) == {NAME}


@pytest.mark.parametrize(("algorithm", "digits"), [("sha256", 8), ("sha256", None), ("sha1", 8), ("sha1", None)])
def test_hashes(server: Server, tmp_path: Path, algorithm: str, digits: int | None) -> None:
    """Of two kinds; the first digits are enough. Another content is never used and not kept."""
    published = server.publish(NAME, CONTENT, algorithm, digits)
    assert len(published.digest) == (digits or {"sha256": 64, "sha1": 40}[algorithm])
    server.files[NAME] = CONTENT[:-1] + b"x"
    with pytest.raises(DownloadError, match=f"not the published file, {algorithm}"):
        download(published, tmp_path)
    assert left_in(tmp_path) == set()
    server.files[NAME] = CONTENT
    assert download(published, tmp_path).read_bytes() == CONTENT


@pytest.mark.parametrize("received", [1, 1_500_000, len(CONTENT) - 1])
def test_it_goes_on_where_it_broke_off(server: Server, tmp_path: Path, received: int) -> None:
    published = server.publish(NAME, CONTENT)
    server.stop_after = received
    with pytest.raises(DownloadError, match="the next try goes on there"):
        download(published, tmp_path)
    assert left_in(tmp_path) == {f"{NAME}.part"}
    server.stop_after = None
    assert download(published, tmp_path).read_bytes() == CONTENT
    assert server.asked == [(NAME, None), (NAME, f"bytes={received}-")]
    assert left_in(tmp_path) == {NAME}


def test_a_server_that_cannot_resume_sends_all_of_it(server: Server, tmp_path: Path) -> None:
    published = server.publish(NAME, CONTENT)
    server.stop_after, server.ranges = 1_500_000, False
    with pytest.raises(DownloadError):
        download(published, tmp_path)
    server.stop_after = None
    assert download(published, tmp_path).read_bytes() == CONTENT


def test_killed_between_the_last_byte_and_the_check(server: Server, tmp_path: Path) -> None:
    (tmp_path / f"{NAME}.part").write_bytes(CONTENT)
    assert download(server.publish(NAME, CONTENT), tmp_path).read_bytes() == CONTENT


def test_two_at_once_download_once(server: Server, tmp_path: Path) -> None:
    published = server.publish(NAME, CONTENT)
    threads = [threading.Thread(target=download, args=(published, tmp_path)) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert server.asked == [(NAME, None)]
    assert (tmp_path / NAME).read_bytes() == CONTENT


def refused(published: Published, folder: Path) -> str:
    with pytest.raises(DownloadError) as caught:
        download(published, folder)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_nobody_there(tmp_path: Path) -> None:
    assert "cannot be reached" in refused(Published(NAME, "http://127.0.0.1:9/weights.pth", "ab"), tmp_path)


def test_no_such_file_there(server: Server, tmp_path: Path) -> None:
    published = server.publish(NAME, CONTENT)
    del server.files[NAME]
    assert "cannot be reached" in refused(published, tmp_path)


def test_somebody_there_who_does_not_speak_http(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening:

        def babble() -> None:
            connection, _ = listening.accept()
            connection.recv(1000)
            connection.sendall(b"220 mail.example ESMTP\r\n")
            connection.close()

        thread = threading.Thread(target=babble)
        thread.start()
        port = listening.getsockname()[1]
        assert "cannot be reached" in refused(Published(NAME, f"http://127.0.0.1:{port}/", "ab"), tmp_path)
        thread.join()


def test_a_folder_that_cannot_be(server: Server, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("mine")
    assert "cannot be written" in refused(server.publish(NAME, CONTENT), tmp_path / "file" / "weights")


@pytest.mark.parametrize("name", names())
def test_what_is_declared(name: str) -> None:
    """Every backbone can be downloaded, from pages that nobody in between can change, and is verified."""
    published = [each for design in designs(name) for each in design.published]
    assert published
    for each in published:
        assert each.url.startswith("https://")
        assert each.name in each.url
        assert len(each.digest) >= 8
        assert int(each.digest, 16) >= 0
        assert len(each.digest) == {"sha1": 40}.get(each.algorithm, 8)
