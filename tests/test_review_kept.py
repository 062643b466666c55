"""What the review keeps when something fails half-way: a full disk, text that cannot be written, another's work."""

import os
from pathlib import Path

import pytest

from review.journal import Journal
from review.marks import Change, Mark
from review.session import Session
from store.annotations import LAST_TIME, Interval, read, write
from store.errors import InputError
from store.files import write_atomically

VIDEO = Path("a.mp4")  # a session needs its name alone


@pytest.fixture
def eaf(tmp_path: Path) -> Path:
    write(tmp_path / "a.eaf", [Interval(0.1, 0.4, "nod", "nod")])
    return tmp_path / "a.eaf"


def put(begin: int, end: int, text: str = "nod", label: str = "x") -> Change:
    return Change(label, (), (("nod", Mark(begin, end, text)),))


def edit(session: Session, change: Change) -> None:
    session.edit(session.status()["revision"], change)


def save_without_a_note(session: Session, monkeypatch) -> None:
    """Save, and fail when the file is written and the journal is not."""

    def full(*_: object) -> None:
        raise InputError("No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(Journal, "start", full)
        with pytest.raises(InputError, match="No space left"):
            session.save(session.status()["revision"])


def test_work_after_a_saving_that_half_failed_is_kept(eaf: Path, monkeypatch) -> None:
    session = Session.open(eaf, VIDEO)
    edit(session, put(500, 600))
    save_without_a_note(session, monkeypatch)
    edit(session, put(700, 800))
    edit(session, put(900, 950))
    session.undo(session.status()["revision"])
    held = session.sheet.tiers["nod"]
    assert [each.begin for each in read(session.path).intervals] == [0.1, 0.5]
    session.close()
    for _ in range(2):  # opened, left and opened again
        session = Session.open(eaf, VIDEO)
        assert session.sheet.tiers["nod"] == held
        status = session.status()
        assert (status["saved"], status["changed_on_disk"]) == (False, False)
        session.close()
    session = Session.open(eaf, VIDEO)
    session.redo(session.status()["revision"])
    session.save(session.status()["revision"])
    assert [each.begin for each in read(eaf).intervals] == [0.1, 0.5, 0.7, 0.9]
    session.close()


def test_a_saving_that_half_failed_can_be_done_again(eaf: Path, monkeypatch) -> None:
    session = Session.open(eaf, VIDEO)
    edit(session, put(500, 600))
    save_without_a_note(session, monkeypatch)
    assert session.status()["changed_on_disk"] is False  # it was us
    edit(session, put(700, 800))
    session.save(session.status()["revision"])
    session.close()
    assert [each.begin for each in read(eaf).intervals] == [0.1, 0.5, 0.7]
    assert {path.name for path in eaf.parent.iterdir()} == {"a.eaf", "a.eaf.bak"}


def test_after_a_saving_that_half_failed_nothing_is_missing_in_another_file(eaf: Path, monkeypatch) -> None:
    session = Session.open(eaf, VIDEO)
    edit(session, put(500, 600))
    save_without_a_note(session, monkeypatch)
    session.save_as("b.eaf")
    session.close()
    assert [each.begin for each in read(eaf.with_name("b.eaf")).intervals] == [0.1, 0.5]


@pytest.mark.skipif(os.name == "nt", reason="folders are not synchronised there")
def test_a_file_that_is_written_counts_as_written(tmp_path: Path, monkeypatch) -> None:
    def failing(_: Path) -> None:
        raise OSError(5, "Input/output error")

    monkeypatch.setattr("store.files.sync_folder", failing)
    write_atomically(tmp_path / "a", b"new")
    assert (tmp_path / "a").read_bytes() == b"new"


@pytest.mark.parametrize("place", ["label", "tier", "value"])
def test_text_that_cannot_be_written_is_refused(place: str) -> None:
    given = {"label": "x", "tier": "nod", "value": "y"} | {place: "half \ud800"}
    content = {"label": given["label"], "removed": [], "added": [[given["tier"], 0, 9, given["value"], None]]}
    with pytest.raises(InputError, match="not a change of annotations"):
        Change.from_json(content)


@pytest.mark.parametrize("error", [UnicodeError, MemoryError, KeyboardInterrupt])
def test_whatever_stops_an_edit_leaves_no_mark(eaf: Path, monkeypatch, error: type[BaseException]) -> None:
    session = Session.open(eaf, VIDEO)
    before = session.sheet.copy().tiers

    def failing(*_: object) -> None:
        raise error

    monkeypatch.setattr(Journal, "add", failing)
    with pytest.raises(error):
        edit(session, put(500, 600))
    assert session.sheet.tiers == before
    session.close()


def test_times_that_elan_cannot_hold_are_refused(eaf: Path) -> None:
    session = Session.open(eaf, VIDEO)
    with pytest.raises(InputError, match="beyond what an ELAN file can hold"):
        edit(session, put(500, LAST_TIME + 1))
    edit(session, put(500, LAST_TIME))
    session.save(session.status()["revision"])
    session.close()
    assert read(eaf).intervals[-1].end == LAST_TIME / 1000


def test_anothers_unsaved_work_is_not_written_over(eaf: Path) -> None:
    other = Session.open(eaf.with_name("b.eaf"), VIDEO)
    edit(other, put(1, 2, "theirs"))
    other.close()
    session = Session.open(eaf, VIDEO)
    edit(session, put(500, 600))
    with pytest.raises(InputError, match=r"b\.eaf: there is work on it that was never saved"):
        session.save_as("b.eaf")
    assert session.path == eaf
    assert not session.is_saved
    other = Session.open(eaf.with_name("b.eaf"), VIDEO)
    assert other.sheet.tiers["nod"] == [Mark(1, 2, "theirs")]
    other.close()
    session.close()


def test_predictions_are_proposed_once(eaf: Path) -> None:
    session = Session.open(eaf, VIDEO)
    edit(session, put(500, 600))
    assert session.status()["proposed"] is False
    found = (("nod [chironomy]", Mark(700, 800, "nod", 0.9)),)
    edit(session, Change("Predictions", (), found))
    edit(session, Change("Reject", found, ()))
    assert session.status()["proposed"] is True
    session.close()
    session = Session.open(eaf, VIDEO)
    assert session.status()["proposed"] is True
    session.save_as("b.eaf")
    assert session.status()["proposed"] is True
    session.close()


@pytest.mark.parametrize("what", ["a folder", "no ELAN file"])
def test_what_cannot_be_opened_leaves_nothing_behind(tmp_path: Path, what: str) -> None:
    path = tmp_path / "d.eaf"
    path.mkdir() if what == "a folder" else path.write_text(what)
    with pytest.raises(InputError, match=r"d\.eaf: "):
        Session.open(path, VIDEO)
    assert not (tmp_path / ".d.eaf.lock").exists()
