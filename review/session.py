"""The annotation file under review: what is done to it, kept in a journal, and saved into it."""

import threading
from collections.abc import Callable, Iterable
from dataclasses import asdict
from itertools import chain
from pathlib import Path
from typing import Any

from review.held import HeldFile
from review.journal import History, Journal, bytes_of, journal_for
from review.lanes import Lane, lanes_of
from review.marks import Change, Sheet
from review.predictions import proposal
from review.writing import content_with, document_of
from store.annotations import (
    ANNOTATED_TIER,
    AnnotationFile,
    EafDocument,
    Interval,
    is_predicted,
    is_suggested,
    time_origin,
)
from store.errors import InputError
from store.files import keep_original, write_atomically
from store.vocabulary import Vocabulary, canonical


class ConflictError(InputError):
    """What was asked for no longer fits: the page shows an older state, or the file has changed meanwhile."""


class Session:
    """One annotation file, open for editing.

    Made by `Session.open`; all methods may be called from several threads.

    Attributes
    ----------
    vocabulary : Vocabulary or None
        The gestures that are looked for.
    """

    def __init__(self, held: HeldFile, video: Path, vocabulary: Vocabulary | None, journal: Journal):
        self.video, self.vocabulary = video, vocabulary
        self._held, self._journal = held, journal
        self._lock = threading.RLock()
        self._revision = 0
        self._ready: tuple[bytes | None, EafDocument | None] = (None, None)  # a file's bytes, read and not yet changed
        self._load()

    @classmethod
    def open(cls, path: Path, video: Path, vocabulary: Vocabulary | None = None) -> "Session":
        """Open a file, and go on with what was not saved last time.

        Raises
        ------
        InputError
            If it is no ELAN file, is open in another review, or its folder cannot be written to.
        """
        held = HeldFile(path)
        try:
            return cls(held, video, vocabulary, journal_for(path))
        except BaseException:
            held.release()
            raise

    def close(self) -> None:
        """Leave the file; what is not saved stays in the journal, and is gone on with next time."""
        with self._lock:
            if self.is_saved:
                self._journal.remove()
            self._held.release()

    def _load(self) -> None:
        """Make the sheet of the journal's base and the steps since."""
        document = document_of(self._journal.base, self.path, self.video)
        document.prepare()
        file = document.annotations()
        self._ready = self._journal.base, document
        self._dependent, self._built_on = document.dependent_tiers(), document.tiers_with_dependents()
        self._origin = round(time_origin(file, self.video.stem) * 1000)
        self._saved_sheet = Sheet.of(file.tiers, file.intervals, self._origin)
        self.sheet = self._saved_sheet.copy()
        for change in self._journal.history.unsaved:
            self.sheet.apply(change)
        self._revision += 1

    @property
    def path(self) -> Path:
        """The annotation file, which need not exist before it is saved."""
        return self._held.path

    @property
    def is_saved(self) -> bool:
        """Whether the file has everything."""
        return not self._journal.history.unsaved

    @property
    def annotated_tier(self) -> str:
        """The tier of reviewed stretches, as the file spells it."""
        return next((tier for tier in self.sheet.tiers if canonical(tier) == ANNOTATED_TIER), ANNOTATED_TIER)

    def lanes(self) -> list[Lane]:
        """Return what the page shows."""
        tiers = tuple(self.sheet.tiers)
        intervals = tuple(each for tier in tiers for each in self.sheet.intervals(tier))
        return lanes_of(AnnotationFile(self.path, tiers, intervals), self.vocabulary, self._dependent)

    def state(self) -> dict[str, Any]:
        """Return everything that the page needs to know of the file, ready for JSON."""
        with self._lock:
            return {
                "file": self.path.name,
                "origin": self._origin,
                "annotated": self.annotated_tier,
                "lanes": [asdict(lane) for lane in self.lanes()],
                "tiers": self.sheet.tiers,
                **self.status(),
            }

    def status(self) -> dict[str, Any]:
        """Return what may change at any time, ready for JSON."""
        with self._lock:
            history = self._journal.history
            return {
                "revision": self._revision,
                "saved": self.is_saved,
                "proposed": self._was_proposed(),
                "writable": self._held.writable,
                "changed_on_disk": not self._journal.knows(self._held.digest()),
                "undo": history.past[-1].label if history.past else None,
                "redo": history.future[-1].label if history.future else None,
            }

    def _was_proposed(self) -> bool:
        """Return whether predictions are in the file or were put into it here, though all may be decided by now."""
        steps = (*self._journal.history.past, *self._journal.history.future)
        touched = (tier for step in steps for tier, _ in (*step.removed, *step.added))
        return any(is_predicted(tier) and not is_suggested(tier) for tier in chain(self.sheet.tiers, touched))

    def edit(self, revision: int, change: Change) -> dict[str, Any]:
        """Make a change, and keep it.

        Raises
        ------
        ConflictError
            If the page showed another state.
        InputError
            If the change does not fit, or cannot be kept; nothing is changed then.
        """
        with self._lock:
            self._expect(revision)
            fixed = {tier for tier, _ in (*change.removed, *change.added)} & set(self._dependent)
            if fixed:
                raise InputError(f"tier {min(fixed)!r} depends on another; change it in ELAN")
            self.sheet.apply(change)
            try:
                if self._built_on & {tier for tier, _ in (*change.removed, *change.added)}:
                    self.content()  # better to know now than when everything is to be saved
                self._journal.add({"do": change.to_json()})
            except BaseException:
                self.sheet.apply(change.inverse)
                raise
            self._journal.history.do(change)
            self._revision += 1
            return self.status()

    def undo(self, revision: int) -> dict[str, Any]:
        """Take the last change back."""
        return self._step(revision, "undo", lambda history: history.past, History.undo)

    def redo(self, revision: int) -> dict[str, Any]:
        """Do the change again that was taken back last."""
        return self._step(revision, "redo", lambda history: history.future, History.redo)

    def _step(
        self, revision: int, name: str, stack: Callable[[History], list[Change]], step: Callable[[History], Change]
    ) -> dict[str, Any]:
        with self._lock:
            self._expect(revision)
            history = self._journal.history
            if not stack(history):
                raise InputError(f"there is nothing to {name}")
            self._journal.add({"step": name})
            change = step(history)
            self.sheet.apply(change)
            self._revision += 1
            return {"change": change.to_json(), **self.status()}

    def save(self, revision: int) -> dict[str, Any]:
        """Write everything into the file.

        Raises
        ------
        ConflictError
            If the file has changed since it was opened: it is left alone.
        InputError
            If it cannot be written.
        """
        with self._lock:
            self._expect(revision)
            if not self._journal.knows(self._held.digest()):
                raise ConflictError(f"{self.path.name} was changed by another program since it was opened here")
            content = self.content()
            self._journal.about_to_save(content)
            if self.path.exists():
                keep_original(self.path)
            write_atomically(self.path, content)
            self._rebase(content)
            return self.status()

    def save_as(self, name: str) -> dict[str, Any]:
        """Write everything into a new file of the same folder, and go on there.

        Raises
        ------
        InputError
            If the name is no plain file name that ends in .eaf, or is taken.
        """
        with self._lock:
            out = self.path.with_name(name) if name and Path(name).name == name and "\\" not in name else None
            if out is None or out.suffix.lower() != ".eaf" or name.startswith("."):
                raise InputError(f"{name!r}: name a new file of the same folder, ending in .eaf")
            if out.exists():
                raise InputError(f"{name} is there already; give another name")
            content = self.content()
            fresh = Session.open(out, self.video, self.vocabulary)  # takes the lock
            try:
                if not fresh.is_saved:
                    raise InputError(f"{name}: there is work on it that was never saved; give another name")
                write_atomically(out, content)
            except BaseException:
                fresh.close()
                raise
            self._journal.remove()
            self._held.release()
            past, future = self._journal.history.past, self._journal.history.future
            self._held, self._journal = fresh._held, fresh._journal
            self._rebase(content, past, future)
            self._load()
            return self.status()

    def reload(self) -> dict[str, Any]:
        """Take the file as it is on the disk now; what was not saved is put into a file beside it.

        Returns
        -------
        dict
            The name of that file as ``kept``, None if everything was saved.
        """
        with self._lock:
            kept = None
            if not self.is_saved:
                kept = self._held.free_name()
                write_atomically(kept, self.content())
            base = bytes_of(self.path)
            document_of(base, self.path, self.video).annotations()  # refuses a file that cannot be read
            self._journal.start(base, [], [])
            self._load()
            return {"kept": kept.name if kept else None, **self.status()}

    def proposal(self, label: str, predictions: list[Interval], tiers: Iterable[str]) -> Change:
        """Return the change that puts predictions into tiers; the parameters are those of `review.predictions`."""
        with self._lock:
            return proposal(self.sheet, self.annotated_tier, label, predictions, tiers)

    def content(self) -> bytes:
        """Return the bytes of the file with everything in it, as saving would write them."""
        with self._lock:
            base, document = self._ready
            if document is None or base is not self._journal.base:
                document = document_of(self._journal.base, self.path, self.video)
            self._ready = self._journal.base, None  # it is used up
            return content_with(document, self._saved_sheet, self.sheet)

    def _work_ahead(self) -> None:
        """Read the file as it was saved, so that the next saving is quick."""
        base = self._journal.base
        document = document_of(base, self.path, self.video)
        document.prepare()
        with self._lock:
            if self._journal.base is base:
                self._ready = base, document

    def _rebase(self, content: bytes, past: list[Change] | None = None, future: list[Change] | None = None) -> None:
        history = self._journal.history
        self._journal.start(
            content, history.past if past is None else past, history.future if future is None else future
        )
        self._saved_sheet = self.sheet.copy()
        threading.Thread(target=self._work_ahead, daemon=True).start()

    def _expect(self, revision: int) -> None:
        if revision != self._revision:
            raise ConflictError("the annotations were changed in another window; this one shows them anew")
