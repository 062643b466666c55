"""Nothing done is lost: every change is on the disk before the page goes on, beside the annotation file.

A journal is a text file of one JSON object a line. The first line has the annotation file as it was when it was
opened or last saved, and the steps before and after that point; each further line is one step. It is flushed to
the disk line by line; a last line cut off by a crash is left out when it is read. The annotation file itself is
touched by saving alone.
"""

import base64
import hashlib
import json
import os
import zlib
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from review.marks import Change
from store.errors import InputError
from store.files import write_atomically

FORMAT_VERSION = 1
_STEPS_KEPT = 1000  # that can be taken back after saving


@dataclass
class History:
    """What has been done, and taken back.

    Parameters
    ----------
    past, future : list of Change
        Done, and taken back, the next to take back or to do again last.
    unsaved : list of Change
        What leads from the file as saved to how things are now.
    """

    past: list[Change] = field(default_factory=list)
    future: list[Change] = field(default_factory=list)
    unsaved: list[Change] = field(default_factory=list)

    def do(self, change: Change) -> None:
        """Add a step."""
        self.past.append(change)
        self.future.clear()
        self.unsaved.append(change)

    def undo(self) -> Change:
        """Return what takes the last step back, and count it as done."""
        change = self.past.pop()
        self.future.append(change)
        self.unsaved.append(change.inverse)
        return change.inverse

    def redo(self) -> Change:
        """Return the step taken back last, done again."""
        change = self.future.pop()
        self.past.append(change)
        self.unsaved.append(change)
        return change


class Journal:
    """The journal of one annotation file.

    Parameters
    ----------
    path : Path
        The journal.
    base : bytes or None
        The annotation file as opened or saved last; None if there was none.
    history : History
        The steps.
    saving : dict of str to int
        SHA-256 of what was about to be saved, though it is not known whether it was -> the unsaved steps it had.
    """

    def __init__(self, path: Path, base: bytes | None, history: History, saving: dict[str, int] | None = None):
        self.path, self.base, self.history, self.saving = path, base, history, saving or {}

    @classmethod
    def read(cls, path: Path) -> "Journal | None":
        """Read a journal; None if there is none.

        Raises
        ------
        InputError
            If it is damaged, or of a newer version.
        """
        if not path.is_file():
            return None
        try:
            *lines, rest = path.read_bytes().split(b"\n")
            if rest:  # cut off
                os.truncate(path, path.stat().st_size - len(rest))
            header, *steps = (json.loads(line) for line in lines)
            if header["format_version"] > FORMAT_VERSION:
                raise InputError(f"{path}: made by a newer chironomy; update this one")
            base = None if header["base"] is None else zlib.decompress(base64.b64decode(header["base"]))
            past, future = ([Change.from_json(each) for each in header[name]] for name in ("past", "future"))
            history, saving = History(past, future), {}
            for step in steps:
                if "saving" in step:
                    saving[step["saving"]] = len(history.unsaved)
                elif "do" in step:
                    history.do(Change.from_json(step["do"]))
                elif "step" in step:
                    history.undo() if step["step"] == "undo" else history.redo()
            return cls(path, base, history, saving)
        except InputError:
            raise
        except (OSError, ValueError, KeyError, TypeError, AttributeError, IndexError, zlib.error) as error:
            raise InputError(
                f"{path}: what was not saved last time cannot be read ({error!r:.80}); move this file away"
            ) from error

    def start(self, base: bytes | None, past: list[Change], future: list[Change]) -> None:
        """Write the journal anew, for a file as it is now."""
        header = {
            "format_version": FORMAT_VERSION,
            "base": None if base is None else base64.b64encode(zlib.compress(base, 1)).decode(),
            "past": [change.to_json() for change in past[-_STEPS_KEPT:]],
            "future": [change.to_json() for change in future[-_STEPS_KEPT:]],
        }
        write_atomically(self.path, json.dumps(header, ensure_ascii=False).encode() + b"\n")
        self.base, self.history, self.saving = base, History(past, future), {}

    def add(self, step: dict[str, Any]) -> None:
        """Add a line, and see it on the disk.

        Raises
        ------
        InputError
            If it cannot be written.
        """
        line = json.dumps(step, ensure_ascii=False).encode() + b"\n"
        try:
            length = self.path.stat().st_size
            with self.path.open("ab", buffering=0) as file:
                try:
                    if file.write(line) != len(line):
                        raise OSError(28, os.strerror(28))
                    os.fsync(file.fileno())
                except OSError:
                    file.truncate(length)
                    raise
        except OSError as error:
            raise InputError(f"{self.path}: cannot be written ({error.strerror}); free some space") from error

    def about_to_save(self, content: bytes) -> None:
        """Note what is about to be saved.

        Raises
        ------
        InputError
            As `add` does.
        """
        saving = hashlib.sha256(content).hexdigest()
        self.add({"saving": saving})
        self.saving[saving] = len(self.history.unsaved)

    def knows(self, found: str | None) -> bool:
        """Return whether a file of this hash is the one of the journal, and nobody else's doing."""
        return found == digest(self.base) or found in self.saving

    def remove(self) -> None:
        """Remove it: everything is saved."""
        self.path.unlink(missing_ok=True)


def digest(content: bytes | None) -> str | None:
    """Return the SHA-256 of a file's content, None for no file."""
    return None if content is None else hashlib.sha256(content).hexdigest()


def journal_for(path: Path) -> Journal:
    """Return the journal of a file, begun anew unless there is something in it that was not saved."""
    place = path.with_name(f".{path.name}.journal")
    journal, content = Journal.read(place), bytes_of(path)
    if journal is not None and journal.history.unsaved:
        had = journal.saving.get(digest(content) or "")
        if had is not None:  # it was saved, but not noted: the program was stopped, or the disk full
            journal.base = content
            del journal.history.unsaved[:had]
            if not journal.history.unsaved:
                journal.start(content, journal.history.past, journal.history.future)
        return journal
    journal = Journal(place, content, History())
    journal.start(content, [], [])
    return journal


def bytes_of(path: Path) -> bytes | None:
    """Return what a file holds; None if there is none."""
    try:
        return path.read_bytes()
    except FileNotFoundError:
        return None
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror}); check its permissions") from error
