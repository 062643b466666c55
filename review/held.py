"""A file that one review holds: locked against a second one, and watched for what other programs do to it."""

import os
from contextlib import suppress
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from review.journal import bytes_of, digest
from store.errors import InputError
from store.files import require_file


class HeldFile:
    """An ELAN file, held until it is released. It need not exist.

    Parameters
    ----------
    path : Path
        Where.

    Raises
    ------
    InputError
        If it is no ELAN file, is held by another review, or its folder cannot be written to.
    """

    def __init__(self, path: Path):
        if path.suffix.lower() != ".eaf":
            raise InputError(f"{path}: not an ELAN file (.eaf); make one with: chironomy convert {path} NEW.eaf")
        if not path.parent.is_dir():
            raise InputError(f"{path}: there is no folder {path.parent}; make it first or name another")
        if path.exists():
            require_file(path)
        self.path = path
        self._seen: tuple[Any, str | None] = (None, None)  # its state, and its hash
        self._lock = FileLock(path.with_name(f".{path.name}.lock"))
        try:
            self._lock.acquire(timeout=0)
        except Timeout:
            raise InputError(f"{path}: is open in another review; close that one first") from None
        except OSError as error:
            raise InputError(f"{path.parent}: cannot be written to ({error.strerror}); copy the file first") from error

    @property
    def writable(self) -> bool:
        """Whether it may be written to, or made."""
        return not self.path.exists() or os.access(self.path, os.W_OK)

    def digest(self) -> str | None:
        """Return the hash of the file as it is now, computed only if it looks changed; None if there is none."""
        try:
            found = self.path.stat()
        except FileNotFoundError:
            return None
        state = found.st_mtime_ns, found.st_size, found.st_ino
        if self._seen[0] != state:
            self._seen = state, digest(bytes_of(self.path))
        return self._seen[1]

    def free_name(self) -> Path:
        """Return the name of a file beside it that is not there yet, for what was not saved."""
        number = 1
        while (free := self.path.with_name(f"{self.path.stem}-unsaved-{number}.eaf")).exists():
            number += 1
        return free

    def release(self) -> None:
        """Let go of it, the lock's file first: whoever takes it afterwards must not lose the name to us."""
        with suppress(OSError):  # Windows removes it with the release
            Path(self._lock.lock_file).unlink()
        self._lock.release()
