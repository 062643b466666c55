"""Fetching published weights: resumed where it broke off, verified before use."""

import hashlib
import http.client
import urllib.error
import urllib.request
from dataclasses import dataclass
from pathlib import Path

from filelock import FileLock

from store.progress import progress

_TIMEOUT = 30  # seconds without an answer
_PIECE = 1 << 20  # bytes read at once
_DIGITS = 12  # of a hash, where people read it


class DownloadError(Exception):
    """A published file cannot be had: why, in one line; what to do about it is for the caller to say."""


@dataclass(frozen=True)
class Published:
    """A file of weights and where it is published.

    Parameters
    ----------
    name : str
        Its name in the cache.
    url : str
        Where it is.
    digest : str
        Its hash, or the first digits of it as far as they are known.
    algorithm : {"sha256", "sha1"}
        Of the hash.
    """

    name: str
    url: str
    digest: str
    algorithm: str = "sha256"

    def verify(self, file: Path) -> None:
        """Check that a file's content is what was published.

        Raises
        ------
        DownloadError
            If it is not.
        """
        with file.open("rb") as content:
            found = hashlib.file_digest(content, self.algorithm).hexdigest()
        if not found.startswith(self.digest):
            raise DownloadError(
                f"not the published file, {self.algorithm} {found[:_DIGITS]}... instead of {self.digest[:_DIGITS]}..."
            )


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
    DownloadError
        If it cannot be reached, breaks off, cannot be written, or is not the file that was published; the
        last is deleted.
    """
    target, part = folder / published.name, folder / f"{published.name}.part"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with FileLock(folder / f"{published.name}.lock"):
            if not target.is_file():
                _receive(published.url, part)
                try:
                    published.verify(part)
                except DownloadError:
                    part.unlink()
                    raise
                part.replace(target)
    except OSError as error:
        raise DownloadError(f"cannot be written to {folder}: {error.strerror}") from error
    return target


def _receive(url: str, part: Path) -> None:
    """Append to `part` what is missing of it."""
    have = part.stat().st_size if part.exists() else 0
    request = urllib.request.Request(url, headers={"Range": f"bytes={have}-"} if have else {})
    try:
        answer = urllib.request.urlopen(request, timeout=_TIMEOUT)
    except urllib.error.HTTPError as error:
        error.close()  # it is an answer, too; collected unclosed it complains of a file that is closed already
        if have and error.code == http.client.REQUESTED_RANGE_NOT_SATISFIABLE:
            return  # all of it is there
        raise _unreachable(error) from error
    except (OSError, http.client.HTTPException) as error:
        raise _unreachable(error) from error
    with answer:
        resumed = answer.status == http.client.PARTIAL_CONTENT
        expected = answer.headers.get("Content-Length")
        total = None if expected is None else int(expected) + (have if resumed else 0)
        with part.open("ab" if resumed else "wb") as file, progress("weights", total, "bytes") as advance:
            advance(have if resumed else 0)
            while piece := _read(answer):
                file.write(piece)
                advance(len(piece))
    if total is not None and part.stat().st_size < total:
        raise DownloadError(f"broke off after {part.stat().st_size} of {total} bytes; the next try goes on there")


def _read(answer: http.client.HTTPResponse) -> bytes:
    try:
        return answer.read(_PIECE)
    except (OSError, http.client.HTTPException) as error:
        raise DownloadError(f"broke off ({_reason(error)}); the next try goes on there") from error


def _unreachable(error: Exception) -> DownloadError:
    return DownloadError(f"cannot be reached ({_reason(error)})")


def _reason(error: Exception) -> str:
    return " ".join(str(getattr(error, "reason", None) or error or type(error).__name__).split())
