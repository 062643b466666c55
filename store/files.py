"""Files, written so that no reader ever sees half of one."""

import hashlib
import io
import os
import tempfile
import zlib
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO

from store.errors import InputError

_CHECKSUM = 4  # bytes
_AT_ONCE = 1 << 20  # bytes


def require_file(path: Path) -> Path:
    """Return `path` if it is a file that holds something.

    Raises
    ------
    InputError
        If there is no such file, if it is a folder, is empty, or may not be read.
    """
    if path.is_dir():
        raise InputError(f"{path}: is a folder, not a file; name the file in it")
    if not path.is_file():
        raise InputError(f"{path}: no such file; check the name and the folder")
    if path.stat().st_size == 0:
        raise InputError(f"{path}: the file is empty; copy or export it again")
    if not os.access(path, os.R_OK):
        raise InputError(f"{path}: may not be read; change its permissions")
    return path


def sha256(path: Path) -> str:
    """Return the SHA-256 of a file's content, as 64 hexadecimal digits."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def sync_folder(path: Path) -> None:
    """Make the names in a folder durable (a no-op where the system cannot open folders)."""
    if os.name == "nt":
        return
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def sync_tree(folder: Path) -> None:
    """Make all files in a folder durable, and their names."""
    for parent, _, names in os.walk(folder):
        for name in names:
            with (Path(parent) / name).open("rb+") as file:
                os.fsync(file.fileno())
        sync_folder(Path(parent))


def require_writable(path: Path) -> None:
    """Refuse a file that cannot be written, or whose original cannot be kept beside it; nothing is left behind.

    Raises
    ------
    InputError
        If the folder does not exist or cannot be written to, or the file is write-protected.
    """
    real = _unprotected(path)
    folders = {real.parent, *[path.parent] * (real.exists() and not _copy_of(path).exists())}
    try:
        for folder in folders:
            tempfile.TemporaryFile(dir=folder).close()  # it has no name; root would be told that it may write to /proc
    except OSError as error:
        raise InputError(f"{path}: cannot be written ({error.strerror}); free or choose another place") from None


def write_atomically(path: Path, content: bytes) -> None:
    """Write a file whole or not at all: beside it, made durable, then renamed over it.

    Parameters
    ----------
    path : Path
        Where to; an existing file is replaced, and keeps its permissions.
    content : bytes
        The whole content.

    Raises
    ------
    InputError
        If the folder does not exist or cannot be written to.
    """
    path = _unprotected(path)
    mode = path.stat().st_mode & 0o777 if path.exists() else 0o666 & ~_umask()
    temporary = None
    try:
        with tempfile.NamedTemporaryFile(dir=path.parent, prefix=f".{path.name}.", delete=False) as file:
            temporary = Path(file.name)
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        temporary.chmod(mode)
        temporary.replace(path)
        with suppress(OSError):  # the file is there, whole, though its name may not outlive a power cut
            sync_folder(path.parent)
    except OSError as error:
        raise InputError(f"{path}: cannot be written ({error.strerror}); free or choose another place") from error
    finally:
        if temporary is not None:
            temporary.unlink(missing_ok=True)


def write_checked(path: Path, content: io.BytesIO) -> None:
    """Write a file as `write_atomically` does, with a CRC-32 of itself behind it; `is_whole` tells by it.

    Parameters
    ----------
    path : Path
        Where to.
    content : BytesIO
        The content, to which the checksum is added.

    Raises
    ------
    InputError
        If the folder does not exist or cannot be written to.
    """
    checksum = zlib.crc32(content.getbuffer()).to_bytes(_CHECKSUM)
    content.seek(0, io.SEEK_END)
    content.write(checksum)
    write_atomically(path, content.getvalue())


def is_whole(file: BinaryIO) -> bool:
    """Return whether a file is as `write_checked` left it; it is then at its beginning.

    It is read in pieces, since it may be large.
    """
    left = file.seek(0, io.SEEK_END) - _CHECKSUM
    file.seek(0)
    found = 0
    while left > 0:
        piece = file.read(min(left, _AT_ONCE))
        if not piece:
            return False
        found, left = zlib.crc32(piece, found), left - len(piece)
    whole = file.read() == found.to_bytes(_CHECKSUM)
    file.seek(0)
    return whole


def keep_original(path: Path) -> None:
    """Keep a copy of a file that is to be changed, as ``NAME.bak`` beside it, unless there is one already.

    Raises
    ------
    InputError
        If the copy cannot be written.
    """
    copy = _copy_of(path)
    if not copy.exists():
        write_atomically(copy, path.read_bytes())


def _copy_of(path: Path) -> Path:
    return path.with_name(f"{path.name}.bak")


def _unprotected(path: Path) -> Path:
    """Return the file that a path leads to, having checked that it has a folder and may be written."""
    if not path.parent.is_dir():
        raise InputError(f"{path}: there is no folder {path.parent}; make it first or name another")
    real = Path(os.path.realpath(path))
    if real.exists() and not os.access(real, os.W_OK):
        raise InputError(f"{path}: is write-protected; allow writing or name another file")
    return real


def _umask() -> int:
    current = os.umask(0)
    os.umask(current)
    return current
