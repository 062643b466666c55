"""Text files of others, whatever wrote them, as text."""

import codecs
import re
from pathlib import Path

from store.errors import InputError
from store.files import require_file

_MAX_BYTES = 256 * 2**20


def decode(path: Path) -> str:
    """Return the text of a file in UTF-8, or in UTF-16 with a byte order mark.

    Raises
    ------
    InputError
        If it is missing, too large, no text, or in another encoding.
    """
    if require_file(path).stat().st_size > _MAX_BYTES:
        raise InputError(f"{path}: larger than {_MAX_BYTES // 2**20} MiB, which no annotations are; name another file")
    try:
        content = path.read_bytes()
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror}); check its permissions") from error
    utf16 = content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))
    try:
        text = content.decode("utf-16" if utf16 else "utf-8-sig")
    except UnicodeDecodeError:
        raise InputError(f"{path}: not text in UTF-8 or UTF-16; export it again as UTF-8") from None
    if "\0" in text:
        raise InputError(f"{path}: not a text file; name an ELAN file or its export")
    return text


def lines_of(text: str) -> list[str]:
    """Split text at line ends alone, and not, as str.splitlines, at a form feed or a line separator too."""
    return re.split(r"\r\n|[\r\n]", text)


def seconds_text(milliseconds: int) -> str:
    """Return milliseconds as seconds with three decimals."""
    return f"{milliseconds // 1000}.{milliseconds % 1000:03}"


def clock_text(milliseconds: int) -> str:
    """Return milliseconds as ``hh:mm:ss.ms``."""
    seconds, rest = divmod(milliseconds, 1000)
    return f"{seconds // 3600:02}:{seconds // 60 % 60:02}:{seconds % 60:02}.{rest:03}"
