"""Where a store can be: a folder, or a prefix on object storage that fsspec reaches."""

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

from store.errors import InputError

if TYPE_CHECKING:
    from upath import UPath

Place: TypeAlias = "Path | UPath"
# s3fs would ask for the size of each file first, to fetch large ones in pieces; ours are small.
_OPTIONS: dict[str, dict[str, Any]] = {"s3": {"max_concurrency": 1}}


class PlaceError(InputError):
    """A place that cannot be read or written to now; the same may go well once that is mended."""


def place(text: str | Path) -> Place:
    """Return the place that a user names.

    Parameters
    ----------
    text : str or Path
        A folder, or an address that fsspec knows, as ``s3://bucket/prefix``.

    Raises
    ------
    InputError
        If the kind of address is not known, or what it needs is not installed.
    """
    protocol, separator, rest = str(text).partition("://")
    if isinstance(text, Path) or not separator:
        return Path(text)
    if protocol in ("file", "local"):
        return Path(rest)
    try:
        from upath import UPath

        # Without cached listings: what another machine writes shall be seen.
        found = UPath(text.rstrip("/"), use_listings_cache=False, **_OPTIONS.get(protocol, {}))
        found.fs  # noqa: B018  made now, so that what is missing is said now
    except (ImportError, ValueError) as error:
        raise InputError(
            f"{text}: cannot be opened ({_first_line(error)}); install what it needs (chironomy[s3]) or name a folder"
        ) from error
    return found


def is_remote(where: Place) -> bool:
    """Return whether a place is reached through fsspec, so that nothing in it can be renamed or locked."""
    return not isinstance(where, Path)


def read_all(where: Place, names: Sequence[str]) -> list[bytes | None]:
    """Return the contents of files, from object storage all at once.

    Parameters
    ----------
    where : Place
        The folder that they are in.
    names : sequence of str
        Their paths from there, with ``/``.

    Returns
    -------
    list of bytes or None
        None where there is no such file.

    Raises
    ------
    OSError
        If a local file cannot be read.
    PlaceError
        If the object storage fails.
    """
    if isinstance(where, Path):
        return [_read(where / name) for name in names]
    with reaching(where):
        found = where.fs.cat_ranges([key(where, name) for name in names], None, None, on_error="return")
        for content in found:
            if isinstance(content, Exception) and not isinstance(content, FileNotFoundError):
                raise content
    return [content if isinstance(content, bytes) else None for content in found]


def folders(where: Place) -> list[str]:
    """Return the names of the folders in a place, sorted; none where there is no such place.

    Raises
    ------
    PlaceError
        If the object storage fails.
    """
    try:
        if isinstance(where, Path):
            with os.scandir(where) as entries:
                return sorted(entry.name for entry in entries if entry.is_dir())
        with reaching(where):
            try:
                entries = where.fs.ls(key(where), detail=True, refresh=True)
            except FileNotFoundError:
                return []
            return sorted(Path(entry["name"]).name for entry in entries if entry["type"] == "directory")
    except (FileNotFoundError, NotADirectoryError):
        return []


def key(where: "UPath", name: str = "") -> str:
    """Return what a file is called on its file system."""
    return f"{where.path.rstrip('/')}/{name}".rstrip("/")


@contextmanager
def reaching(where: Place) -> Iterator[None]:
    """Turn whatever the object storage or the file system raises into one line that names the place.

    Raises
    ------
    PlaceError
        In place of any other error than an InputError.
    """
    try:
        yield
    except InputError:
        raise
    except OSError as error:
        if isinstance(where, Path):
            raise PlaceError(
                f"{where}: cannot be written ({error.strerror}); free or choose another place, and run again"
            ) from error
        raise _unreachable(where, error) from error
    except Exception as error:  # each object storage has exceptions of its own
        if isinstance(where, Path):
            raise
        raise _unreachable(where, error) from error


def cache_folder() -> Path:
    """Return what this program keeps for itself on this machine: ``CHIRONOMY_CACHE``, else the user's cache folder."""
    configured = os.environ.get("CHIRONOMY_CACHE")
    return Path(configured) if configured else Path.home() / ".cache" / "chironomy"


def _read(file: Path) -> bytes | None:
    try:
        return file.read_bytes()
    except (FileNotFoundError, NotADirectoryError):
        return None


def _unreachable(where: Place, error: Exception) -> PlaceError:
    return PlaceError(f"{where}: cannot be reached ({_first_line(error)}); check the address and the keys to it")


def _first_line(error: Exception) -> str:
    return next(iter(str(error).splitlines()), "") or type(error).__name__
