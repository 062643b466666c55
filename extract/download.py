"""Fetching published weights: resumed where it broke off, verified before use."""

import http.client
import urllib.error
import urllib.request
from dataclasses import dataclass
from pathlib import Path

from filelock import FileLock

from store.errors import InputError
from store.files import sha256
from store.progress import progress

_TIMEOUT = 30  # seconds without an answer
_PIECE = 1 << 20  # bytes read at once


@dataclass(frozen=True)
class Published:
    """A file of weights and where it is published.

    Parameters
    ----------
    name : str
        Its name in the cache.
    url : str
        Where it is.
    sha256 : str
        Its SHA-256, or the first digits of it as far as they are known.
    """

    name: str
    url: str
    sha256: str


def download(published: Published, folder: Path) -> Path:
    """Return a published file from a folder, downloading it if it is not there yet.

    What was received before a break is kept beside it as ``NAME.part``, and the next call goes on from
    there. The file appears under its name only once its hash is right. Of several processes one downloads,
    the others wait.

    Parameters
    ----------
    published : Published
        What to fetch.
    folder : Path
        Where to; made if there is none.

    Raises
    ------
    InputError
        If it cannot be reached, breaks off, or is not the file that was published; the last is deleted.
    """
    target, part = folder / published.name, folder / f"{published.name}.part"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with FileLock(folder / f"{published.name}.lock"):
            if not target.is_file():
                _receive(published.url, part)
                _verify(published, part)
                part.replace(target)
    except (urllib.error.URLError, http.client.HTTPException, TimeoutError, ConnectionError) as error:
        reason = getattr(error, "reason", None) or error
        raise InputError(f"{published.url}: cannot be downloaded ({reason}); run again to go on") from error
    except OSError as error:
        raise InputError(f"{target}: cannot be written ({error.strerror}); free or choose another place") from error
    return target


def _receive(url: str, part: Path) -> None:
    """Append to `part` what is missing of it."""
    have = part.stat().st_size if part.exists() else 0
    request = urllib.request.Request(url, headers={"Range": f"bytes={have}-"} if have else {})
    try:
        answer = urllib.request.urlopen(request, timeout=_TIMEOUT)
    except urllib.error.HTTPError as error:
        if have and error.code == http.client.REQUESTED_RANGE_NOT_SATISFIABLE:
            return  # all of it is there
        raise
    with answer:
        resumed = answer.status == http.client.PARTIAL_CONTENT
        expected = answer.headers.get("Content-Length")
        total = None if expected is None else int(expected) + (have if resumed else 0)
        with part.open("ab" if resumed else "wb") as file, progress("weights", total, "bytes") as advance:
            advance(have if resumed else 0)
            while piece := answer.read(_PIECE):
                file.write(piece)
                advance(len(piece))
    if total is not None and part.stat().st_size < total:
        raise ConnectionError(f"broke off after {part.stat().st_size} of {total} bytes")


def _verify(published: Published, part: Path) -> None:
    found = sha256(part)
    if not found.startswith(published.sha256):
        part.unlink()
        raise InputError(
            f"{published.url}: what was downloaded is not the published file (SHA-256 {found[:12]}..., not "
            f"{published.sha256[:12]}...); deleted, get the file elsewhere and name it with --weights"
        )
