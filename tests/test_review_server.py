"""The review's server: what it refuses, what it keeps, and that the annotation file is never damaged."""

import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import threading
import urllib.request
from itertools import pairwise
from pathlib import Path

import pytest
from background import count, refuse, wait
from hypothesis import given, settings
from hypothesis import strategies as st
from lxml import etree
from recordings import write_video
from reviewing import Client, served

from review.desk import Sources, _next_model
from review.guard import Guard
from review.journal import Journal
from review.lanes import lanes_of
from review.marks import Change, Mark, Sheet
from review.predictions import proposal
from review.serve import review
from review.session import Session
from review.work import Work
from store.annotations import EafDocument, Interval, Media, read, write
from store.errors import InputError
from store.vocabulary import Vocabulary

ROOT = Path(__file__).resolve().parents[1]
NOD = "nod [chironomy]"


@pytest.fixture(scope="module")
def video(tmp_path_factory) -> Path:
    return write_video(tmp_path_factory.mktemp("video") / "a.mp4", 50, sound=False, codec="libx264")


def annotate(path: Path, origin: float = 0.0) -> Path:
    found = [
        Interval(0.1, 0.4, "nod", "nod"),
        Interval(1.0, 1.5, "lift", "slow"),
        Interval(0.6, 0.9, NOD, "nod", 0.9),
        Interval(1.2, 1.4, NOD, "nod", 0.6),
        Interval(0.0, 0.5, "annotated", ""),
    ]
    write(path, found, media=[Media("file:///a.mp4", None, "video/mp4", origin)], tiers=["nod", "lift", "empty"])
    return path


@pytest.fixture
def eaf(tmp_path: Path) -> Path:
    return annotate(tmp_path / "a.eaf")


@pytest.fixture
def client(video: Path, eaf: Path):
    with served(video, eaf) as (server, _):
        yield Client(server)


def accept(revision: int) -> dict:
    marks = {"removed": [[NOD, 600, 900, "nod", 0.9]], "added": [["nod", 600, 900, "nod", None]]}
    return {"revision": revision, "label": "Accept", **marks}


def change(removed: list, added: list, label: str = "x") -> Change:
    return Change.from_json({"label": label, "removed": removed, "added": added})


ACCEPT = change(accept(0)["removed"], accept(0)["added"], "Accept")


def elements(path: Path) -> dict[str, tuple[str, ...]]:
    """Every annotation by its id, with its tier, times, text and all attributes but the slots' names."""
    root = etree.parse(str(path)).getroot()
    times = {slot.get("TIME_SLOT_ID"): slot.get("TIME_VALUE") for slot in root.iter("TIME_SLOT")}
    found = {}
    for element in root.iterfind("TIER/ANNOTATION/*"):
        attributes = [times.get(value, value) for value in element.attrib.values()]
        found[element.get("ANNOTATION_ID")] = (
            element.getparent().getparent().get("TIER_ID"),
            *attributes,
            element[0].text,
        )
    return found


# Who is answered.


@pytest.mark.parametrize("host", ["evil.example", "evil.example:{port}", "127.0.0.1", "127.0.0.1:1", "", None])
def test_another_host_is_refused(client: Client, host: str | None) -> None:
    name = None if host is None else host.format(port=client.port)
    assert client.ask("/api/state", Host=name).status in (400, 421)


def test_the_names_of_this_machine_are_answered(client: Client) -> None:
    for name in ("127.0.0.1", "localhost", "[::1]"):
        assert client.ask("/api/state", Host=f"{name}:{client.port}").status == 200


@pytest.mark.parametrize("origin", ["http://evil.example", "null", "https://{host}", "http://{host}.evil.example", ""])
@pytest.mark.parametrize("method", ["GET", "POST"])
def test_another_origin_is_refused(client: Client, origin: str, method: str) -> None:
    path = "/api/state" if method == "GET" else "/api/reload"
    assert client.ask(path, method, {}, Origin=origin.format(host=client.host)).status == 403


def test_nothing_is_changed_without_an_origin(client: Client) -> None:
    assert client.ask("/api/reload", "POST", {}, Origin=None).status == 403


@pytest.mark.parametrize("site", ["cross-site", "same-site"])
def test_another_site_is_refused(client: Client, site: str) -> None:
    for path in ("/api/state", "/video", "/page/main.js"):
        assert client.ask(path, Sec_Fetch_Site=site).status == 403


@pytest.mark.parametrize("path", ["/", "/api/state", "/api/sound", "/video", "/page/main.js", "/page/style.css"])
def test_nothing_without_the_token(client: Client, path: str) -> None:
    name, _, token = client.cookie.partition("=")
    for cookie in (None, "", f"{name}=", f"{name}={token[:-1]}", f"{name}={token}x", f"other={token}", "\x01;;=,"):
        assert client.ask(path, Cookie=cookie).status == 403
    assert client.ask("/?token=wrong", Cookie=None).status == 403
    assert client.ask("/?token=wrong").status == 403  # though the cookie is right: the address decides
    assert client.ask(f"/api/state?token={token}", Cookie=None).status == 403


def test_the_token_becomes_a_cookie_that_scripts_cannot_read(client: Client) -> None:
    name, _, token = client.cookie.partition("=")
    answer = client.ask(f"/?token={token}", Cookie=None, Sec_Fetch_Site="cross-site")  # a link in a mail
    assert answer.status == 200
    assert answer.headers["set-cookie"] == f"{name}={token}; Path=/; HttpOnly; SameSite=Strict"
    assert "set-cookie" not in client.ask("/").headers


@pytest.mark.parametrize(
    "path",
    [
        "/page/../app.py",
        "/page/%2e%2e/app.py",
        "/page/..%2fapp.py",
        "/page/%2e%2e%2f%2e%2e%2fsetup.cfg",
        "/page/..%5capp.py",
        "/page//etc/passwd",
        "/page/",
        "/page",
        "//etc/passwd",
        "/etc/passwd",
        "/../../../../etc/passwd",
        "/video/../../etc/passwd",
        "/video/a.eaf",
        "/a.eaf",
        "/api/../page/../app.py",
        "/docs",
        "/openapi.json",
    ],
)
def test_a_path_outside_is_refused(client: Client, path: str) -> None:
    answer = client.ask(path)
    assert answer.status in (307, 404, 405)
    assert b"root:" not in answer.body
    assert b"import" not in answer.body


def test_a_link_in_the_pages_folder_would_not_lead_out(client: Client) -> None:
    assert not [path for path in (ROOT / "review" / "page").iterdir() if path.is_symlink()]
    assert client.ask("/page/main.js").body == (ROOT / "review" / "page" / "main.js").read_bytes()


@pytest.mark.parametrize("path", ["/", "/page/main.js", "/api/state", "/video", "/api/nothing", "/page/none"])
def test_every_answer_forbids_what_is_not_ours(client: Client, path: str) -> None:
    for cookie in (client.cookie, None):
        headers = client.ask(path, Cookie=cookie).headers
        policy = headers["content-security-policy"]
        assert policy.startswith("default-src 'none'; script-src 'self'; ")
        assert "unsafe" not in policy
        assert "http" not in policy
        assert "frame-ancestors 'none'" in policy
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["cross-origin-resource-policy"] == "same-origin"
        assert headers["referrer-policy"] == "no-referrer"
        assert "access-control-allow-origin" not in headers


def test_the_page_names_no_other_place() -> None:
    for path in (ROOT / "review" / "page").iterdir():
        text = path.read_text().replace("http://www.w3.org/2000/svg", "")
        assert not re.search(r"https?:|//[a-z0-9-]+\.[a-z]|@import|\beval\(|innerHTML", text), path.name


def test_another_name_is_answered_only_where_it_was_asked_for() -> None:
    assert Guard(None, "127.0.0.1", 81, "t").hosts == {"127.0.0.1:81", "localhost:81", "[::1]:81"}
    assert Guard(None, "Studio.local", 81, "t").hosts == {"studio.local:81"}
    assert Guard(None, "fd00::1", 81, "t").hosts == {"[fd00::1]:81"}
    assert Guard(None, "studio.local", 80, "t").hosts == {"studio.local:80", "studio.local"}  # a browser leaves it out


@pytest.mark.parametrize("host", ["127.0.0.1", "127.0.0.2", "localhost", "LocalHost"])
def test_the_address_that_is_printed_is_answered(video: Path, eaf: Path, host: str) -> None:
    with served(video, eaf, host=host) as (server, _), urllib.request.urlopen(server.address, timeout=20) as answer:
        assert f"//{host}:" in server.address
        assert answer.status == 200


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "0"])
def test_every_address_at_once_is_refused(video: Path, eaf: Path, host: str) -> None:
    with pytest.raises(InputError, match="name the address that others use"), served(video, eaf, host=host):
        pass


@pytest.mark.parametrize("host", ["a..b", "no such host"])
def test_a_host_that_is_none_is_told(video: Path, eaf: Path, host: str) -> None:
    with pytest.raises(InputError, match=f"{host}:0: cannot be listened on"), served(video, eaf, host=host):
        pass


def test_cookies_of_other_programs_do_not_matter(client: Client) -> None:
    for others in ('x={"a": 1}; {}', "{}; y", "=;;{}", "chironomy=1;{};z=\x01"):
        assert client.ask("/api/state", Cookie=others.replace("{}", client.cookie)).status == 200


def test_stopping_does_not_wait_for_a_video_that_is_held(video: Path, eaf: Path, capfd) -> None:
    with served(video, eaf) as (server, desk):
        desk.shown = video.with_name("large.mp4")
        with desk.shown.open("wb") as file:
            file.truncate(64 * 2**20)  # more than fits between the two
        client = Client(server)
        with socket.create_connection(("127.0.0.1", server.port)) as held:
            held.sendall(f"GET /video HTTP/1.1\r\nHost: {client.host}\r\nCookie: {client.cookie}\r\n\r\n".encode())
            assert held.recv(1)
            thread = next(each for each in threading.enumerate() if each.name == "review")
            server.stop()
            thread.join(60)
            assert not thread.is_alive()
    assert capfd.readouterr().err == ""


# The video.


def test_ranges_of_the_video(client: Client, video: Path) -> None:
    content = video.read_bytes()
    whole = client.ask("/video")
    assert (whole.status, whole.body, whole.headers["accept-ranges"]) == (200, content, "bytes")
    assert whole.headers["content-type"] == "video/mp4"
    for wanted, part in {"bytes=0-99": content[:100], "bytes=100-": content[100:], "bytes=-10": content[-10:]}.items():
        answer = client.ask("/video", Range=wanted)
        assert (answer.status, answer.body) == (206, part)
        assert answer.headers["content-range"].endswith(f"/{len(content)}")
    assert client.ask("/video", Range=f"bytes={len(content)}-").status == 416


def test_what_a_browser_cannot_play_is_not_sent(tmp_path: Path, eaf: Path, monkeypatch) -> None:
    monkeypatch.setenv("CHIRONOMY_CACHE", str(tmp_path / "cache"))
    with served(write_video(tmp_path / "a.avi", 5), eaf) as (server, desk):
        client = Client(server)
        assert client.ask("/video").status == 400
        assert client.ask("/api/state").json["video_ready"] is False
        desk.start()
        for work in desk.works.values():
            work.wait(60)
        assert [work.state for work in desk.works.values()] == ["done", "done"]
        assert client.ask("/video", Range="bytes=4-7").body == b"ftyp"
        assert len(client.ask("/api/frames").body) == 5 * 8
        assert len(client.ask("/api/sound").body) == 2 * 20  # of 0.2 s


# Editing.


def test_an_edit_is_saved_and_nothing_else_changes(client: Client, eaf: Path) -> None:
    before, text, ids = read(eaf), eaf.read_text(), elements(eaf)
    revision = client.ask("/api/state").json["revision"]
    answer = client.tell("edit", **accept(revision)).json
    assert (answer["saved"], answer["undo"], answer["changed_on_disk"]) == (False, "Accept", False)
    assert eaf.read_text() == text
    assert client.tell("save", revision=answer["revision"]).json["saved"] is True
    gone, new = Interval(0.6, 0.9, NOD, "nod", 0.9), Interval(0.6, 0.9, "nod", "nod")
    assert sorted(read(eaf).intervals, key=repr) == sorted({*before.intervals} - {gone} | {new}, key=repr)
    after = elements(eaf)
    assert {entry[0] for key, entry in ids.items() if after.get(key) != entry} == {NOD, f"{NOD} confidence"}
    assert [entry[0] for key, entry in after.items() if key not in ids] == ["nod"]
    assert (eaf.parent / "a.eaf.bak").read_text() == text


def test_done_and_undone_leaves_every_byte(client: Client, eaf: Path) -> None:
    content = eaf.read_bytes()
    revision = client.ask("/api/state").json["revision"]
    revision = client.tell("edit", **accept(revision)).json["revision"]
    answer = client.tell("undo", revision=revision).json
    assert answer["change"]["added"] == [[NOD, 600, 900, "nod", 0.9]]
    assert client.tell("save", revision=answer["revision"]).status == 200
    assert eaf.read_bytes() == content


def test_a_page_that_shows_another_state_changes_nothing(client: Client) -> None:
    state = client.ask("/api/state").json
    client.tell("edit", **accept(state["revision"]))
    after = client.ask("/api/state").json
    assert client.tell("edit", **accept(state["revision"])).status == 409
    assert client.tell("undo", revision=state["revision"]).status == 409
    assert client.tell("save", revision=state["revision"]).status == 409
    assert client.ask("/api/state").json == after


@pytest.mark.parametrize(
    ("removed", "added", "why"),
    [
        ([], [["nod", 200, 600, "x", None]], "overlap"),
        ([], [["nod", 900, 800, "x", None]], "ends before"),
        ([], [["nod", -5, 50, "x", None]], "before the annotation file"),
        ([["nod", 1, 2, "x", None]], [], "no annotation at"),
        ([["nod", 100, 400, "other", None]], [], "no annotation at"),
        ([], [["nod", 500.5, 600, "x", None]], "not a change"),
        ([], [["nod", "500", 600, "x", None]], "not a change"),
        ([], [["nod", 500, 600, None, None]], "not a change"),
        ([], [["nod", 500, 600, "x", 7]], "not a change"),
        ([], [[3, 500, 600, "x", None]], "not a change"),
        ([], [["nod"]], "not a change"),
        ("nod", 5, "not a change"),
    ],
)
def test_what_does_not_fit_is_refused(client: Client, removed, added, why: str) -> None:
    state = client.ask("/api/state").json
    answer = client.tell("edit", revision=state["revision"], label="x", removed=removed, added=added)
    assert answer.status == 400
    assert why in answer.json["error"]
    assert client.ask("/api/state").json == state


@pytest.mark.parametrize("body", [None, [], "x", {}, {"revision": "1"}])
def test_what_is_no_request_is_refused(client: Client, body) -> None:
    for name in ("edit", "undo", "save", "thresholds"):
        assert client.ask(f"/api/{name}", "POST", body).status == 400


def test_text_of_every_kind_is_kept(client: Client, eaf: Path) -> None:
    text = '<é & "𝄞" \']]> -->'
    state = client.ask("/api/state").json
    added = [["<new> & tier", 0, 10, text, None]]
    answer = client.tell("edit", revision=state["revision"], label="x", removed=[], added=added).json
    client.tell("save", revision=answer["revision"])
    assert Interval(0, 0.01, "<new> & tier", text) in read(eaf).intervals


# The file changes meanwhile.


def edited_elsewhere(eaf: Path) -> bytes:
    document = EafDocument.open(eaf)
    document.set_intervals("lift", [Interval(1.0, 1.6, "lift", "slow")])
    document.save(eaf)
    return eaf.read_bytes()


def test_a_file_changed_elsewhere_is_never_written_over(client: Client, eaf: Path) -> None:
    revision = client.tell("edit", **accept(client.ask("/api/state").json["revision"])).json["revision"]
    theirs = edited_elsewhere(eaf)
    assert client.ask("/api/status").json["changed_on_disk"] is True
    answer = client.tell("save", revision=revision)
    assert answer.status == 409
    assert "changed by another program" in answer.json["error"]
    assert eaf.read_bytes() == theirs
    assert client.ask("/api/status").json["saved"] is False

    answer = client.tell("reload").json
    assert answer["kept"] == "a-unsaved-1.eaf"
    assert Interval(0.6, 0.9, "nod", "nod") in read(eaf.parent / answer["kept"]).intervals
    assert eaf.read_bytes() == theirs
    state = client.ask("/api/state").json
    assert (state["saved"], state["changed_on_disk"], state["undo"]) == (True, False, None)
    assert state["tiers"]["lift"] == [[1000, 1600, "slow", None]]


def test_mine_is_saved_under_another_name(client: Client, eaf: Path) -> None:
    revision = client.tell("edit", **accept(client.ask("/api/state").json["revision"])).json["revision"]
    theirs = edited_elsewhere(eaf)
    for name in (
        "../b.eaf",
        str(eaf.parent / "b.eaf"),
        "x/b.eaf",
        "x\\b.eaf",
        ".b.eaf",
        "b.txt",
        "",
        "a.eaf",
        "..",
        ".",
    ):
        assert client.tell("save-as", name=name).status == 400
    assert client.tell("save-as", name="b.eaf").json["saved"] is True
    mine = read(eaf.parent / "b.eaf").intervals
    assert Interval(0.6, 0.9, "nod", "nod") in mine
    assert Interval(1.0, 1.5, "lift", "slow") in mine
    assert eaf.read_bytes() == theirs
    state = client.ask("/api/state").json
    assert (state["file"], state["undo"], state["changed_on_disk"]) == ("b.eaf", "Accept", False)
    assert state["revision"] > revision
    assert not (eaf.parent / ".a.eaf.lock").exists()


def test_a_file_that_vanishes_or_cannot_be_read(client: Client, eaf: Path) -> None:
    revision = client.tell("edit", **accept(client.ask("/api/state").json["revision"])).json["revision"]
    eaf.write_text("not ELAN's")
    assert client.tell("reload").status == 400
    assert client.ask("/api/state").json["tiers"]["nod"][1] == [600, 900, "nod", None]  # mine is still there
    eaf.unlink()
    assert client.tell("save", revision=client.ask("/api/status").json["revision"]).status == 409
    assert revision


# What is told at the start.


class OpenedError(Exception):
    """The page would be there now."""


def start(video: Path, eaf: Path, **given) -> None:
    def opened(_: str) -> None:
        raise OpenedError

    review(video, eaf, opened=opened, **given)


@pytest.mark.parametrize("vocabulary", [None, Vocabulary("v", ("nod",), None, {}, {})])
def test_annotations_of_another_video_are_refused(video: Path, tmp_path: Path, vocabulary) -> None:
    for end, fits in ((3.9, True), (4.1, False)):  # of 2 s by its header, to which it does not hold exactly
        path = tmp_path / f"{end}.eaf"
        write(path, [Interval(1.0, end, "nod", "nod"), Interval(5.0, 9.0, NOD, "nod", 0.5)])
        with pytest.raises(OpenedError if fits else InputError, match=None if fits else "does not fit the video a "):
            start(video, path, vocabulary=vocabulary)
    write(tmp_path / "later.eaf", [Interval(100.0, 100.5, "nod", "nod")])
    with pytest.raises(InputError, match=r"--offset.*\(here there is no --offset: "):
        start(video, tmp_path / "later.eaf", vocabulary=vocabulary)
    assert {path.name for path in tmp_path.iterdir()} == {"3.9.eaf", "4.1.eaf", "later.eaf"}


def test_what_else_is_named_and_not_there_is_told(video: Path, eaf: Path, tmp_path: Path) -> None:
    for sources in (Sources(store=tmp_path / "none"), Sources(others=(tmp_path / "none",))):
        with pytest.raises(InputError, match=rf"^{tmp_path / 'none'}: "):
            start(video, eaf, sources=sources)


def test_a_write_protected_file_is_told(video: Path, eaf: Path, monkeypatch, capsys) -> None:
    with pytest.raises(OpenedError):
        start(video, eaf)
    assert capsys.readouterr().err == ""
    may = os.access
    monkeypatch.setattr("os.access", lambda path, mode: (path, mode) != (eaf, os.W_OK) and may(path, mode))  # root may
    with pytest.raises(OpenedError):
        start(video, eaf)
    assert capsys.readouterr().err.startswith(f"{eaf}: is write-protected; ")


# Nothing is lost.


def test_what_was_not_saved_is_there_after_a_kill(video: Path, eaf: Path) -> None:
    content = eaf.read_bytes()
    code = (
        "import sys, time; from pathlib import Path; from review.session import Session\n"
        "from review.marks import Change; session = Session.open(Path(sys.argv[1]), Path(sys.argv[2]))\n"
        f"session.edit(1, Change.from_json({accept(1)!r})); session.undo(2); session.redo(3)\n"
        f"session.edit(4, Change.from_json({{'label': 'new', 'removed': [], 'added': [['lift', 0, 9, '', None]]}}))\n"
        "session.undo(5); print('done', flush=True); time.sleep(60)"
    )
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-c", code, str(eaf), str(video)]
    with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "done\n"
        with pytest.raises(InputError, match="open in another review"):
            Session.open(eaf, video)
        process.send_signal(signal.SIGKILL)
    assert eaf.read_bytes() == content
    session = Session.open(eaf, video)
    status = session.status()
    assert (status["saved"], status["undo"], status["redo"]) == (False, "Accept", "new")
    assert Mark(600, 900, "nod") in session.sheet.tiers["nod"]
    session.redo(status["revision"])
    session.close()
    assert Session.open(eaf, video).status()["undo"] == "new"


def test_stopped_between_saving_and_its_note(video: Path, eaf: Path, monkeypatch) -> None:
    session = Session.open(eaf, video)
    session.edit(1, ACCEPT)
    with monkeypatch.context() as patch:
        patch.setattr(Journal, "start", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            session.save(2)
    session.close()
    again = Session.open(eaf, video)
    assert (again.is_saved, again.status()["changed_on_disk"], again.status()["undo"]) == (True, False, "Accept")
    again.undo(again.status()["revision"])
    assert Mark(600, 900, "nod", 0.9) in again.sheet.tiers[NOD]
    again.close()


def test_a_last_line_cut_off_is_left_out(video: Path, eaf: Path) -> None:
    session = Session.open(eaf, video)
    session.edit(1, ACCEPT)
    session.close()
    journal = eaf.parent / ".a.eaf.journal"
    whole = journal.read_bytes()
    journal.write_bytes(whole + whole.splitlines()[-1][:-9])
    session = Session.open(eaf, video)
    assert session.sheet.tiers["nod"][1] == Mark(600, 900, "nod")
    session.edit(1, change([], [["lift", 0, 9, "", None]]))
    session.close()
    assert Session.open(eaf, video).sheet.tiers["lift"][0] == Mark(0, 9, "")


def test_a_damaged_journal_is_told(video: Path, eaf: Path) -> None:
    for content in (b"{}\n", b"nonsense\n", b'{"format_version": 1, "base": "!", "past": [], "future": []}\n'):
        (eaf.parent / ".a.eaf.journal").write_bytes(content)
        with pytest.raises(InputError, match=r"\.a\.eaf\.journal: .*move this file away"):
            Session.open(eaf, video)
    (eaf.parent / ".a.eaf.journal").write_bytes(b'{"format_version": 99}\n')
    with pytest.raises(InputError, match="newer"):
        Session.open(eaf, video)


def test_a_full_disk_changes_nothing(video: Path, eaf: Path, monkeypatch) -> None:
    session = Session.open(eaf, video)
    before = session.state()

    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr("review.journal.os.fsync", full)
        with pytest.raises(InputError, match="No space left"):
            session.edit(1, ACCEPT)
    assert session.state() == before
    session.edit(1, ACCEPT)
    session.close()
    again = Session.open(eaf, video)
    assert again.status()["undo"] == "Accept"
    assert len(again.sheet.tiers["nod"]) == 2


def test_closing_leaves_nothing_behind(video: Path, eaf: Path) -> None:
    session = Session.open(eaf, video)
    revision = session.edit(1, ACCEPT)["revision"]
    session.save(revision)
    session.close()
    assert {path.name for path in eaf.parent.iterdir()} == {"a.eaf", "a.eaf.bak"}


def test_a_file_that_is_not_there_is_made_when_saved(video: Path, tmp_path: Path) -> None:
    path = tmp_path / "new.eaf"
    session = Session.open(path, video, Vocabulary("v", ("nod", "lift"), None, {}, {}))
    assert [lane.name for lane in session.lanes()] == ["nod", "lift"]
    revision = session.edit(1, change([], [["nod", 0, 500, "nod", None]]))["revision"]
    assert not path.exists()
    session.save(revision)
    session.close()
    assert read(path).intervals == (Interval(0, 0.5, "nod", "nod"),)
    assert read(path).media[0].url == video.as_uri()


def test_what_cannot_be_opened(video: Path, tmp_path: Path) -> None:
    for path, why in ((tmp_path / "a.txt", "chironomy convert"), (tmp_path / "no" / "a.eaf", "there is no folder")):
        with pytest.raises(InputError, match=why):
            Session.open(path, video)
    (tmp_path / "b.eaf").write_text("no ELAN file")
    with pytest.raises(InputError, match=rf"{tmp_path / 'b.eaf'}: not a readable ELAN file"):
        Session.open(tmp_path / "b.eaf", video)


@pytest.mark.parametrize("origin", [0.0, 5.0])
def test_times_are_the_videos(tmp_path: Path, video: Path, origin: float) -> None:
    path = annotate(tmp_path / "a.eaf", origin)
    before = read(path)
    session = Session.open(path, video)
    shift = round(origin * 1000)
    assert session.sheet.tiers["nod"] == [Mark(100 + shift, 400 + shift, "nod")]
    with pytest.raises(InputError, match="before the annotation file"):
        session.edit(1, change([], [["lift", shift - 1, shift + 5, "", None]]))
    session.save(session.edit(1, change([], [["lift", shift, shift + 5, "", None]]))["revision"])
    session.close()
    assert set(read(path).intervals) == {*before.intervals, Interval(0, 0.005, "lift")}


def test_real_files_are_edited_in_one_place(elan_sample: Path, video: Path, tmp_path: Path) -> None:
    path = Path(shutil.copy(elan_sample, tmp_path / elan_sample.name))
    before, content = read(path), path.read_bytes()
    document = EafDocument.open(path)
    dependent, built_on = document.dependent_tiers(), document.tiers_with_dependents()
    session = Session.open(path, video)
    free = [tier for tier, marks in session.sheet.tiers.items() if marks and tier not in {*dependent, *built_on}]
    revision = 1
    if free:
        mark = session.sheet.tiers[free[0]][-1]
        moved = mark._replace(end=mark.end + 7, value=mark.value + "!")
        revision = session.edit(1, Change("x", ((free[0], mark),), ((free[0], moved),)))["revision"]
        session.save(revision)
        assert {each.tier for each in {*read(path).intervals} ^ {*before.intervals}} == {free[0]}
        session.undo(revision)
        session.save(revision + 1)
        assert len(path.read_bytes()) == pytest.approx(len(content), rel=0.02)  # open slots may have got their time
    assert set(read(path).intervals) == set(before.intervals)
    revision = session.status()["revision"]
    for tier in dependent[:1]:
        with pytest.raises(InputError, match="depends on another"):
            session.edit(revision, Change("x", (), ((tier, Mark(10**7, 10**7 + 5, "")),)))
    session.close()


def test_what_others_in_the_file_need_is_refused_at_once(shared_data: Path, video: Path, tmp_path: Path) -> None:
    path = Path(shutil.copy(shared_data / "elan" / "sample_2.8.eaf", tmp_path / "a.eaf"))
    session = Session.open(path, video)
    before = session.state()
    tier = next(iter(EafDocument.open(path).tiers_with_dependents() & set(session.sheet.tiers)))
    mark = session.sheet.tiers[tier][-1]
    with pytest.raises(InputError, match=r"change it in ELAN"):
        session.edit(1, Change("x", ((tier, mark),), ((tier, mark._replace(end=mark.end + 7)),)))
    assert session.state() == before
    session.close()


BORDERS = st.lists(st.integers(0, 3000), min_size=2, max_size=8, unique=True).map(sorted)
STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("put"), st.sampled_from(["nod", NOD, "lift", "third"]), BORDERS),
        st.tuples(st.sampled_from(["undo", "redo", "save", "reopen"])),
    ),
    max_size=12,
)


@settings(max_examples=40)
@given(steps=STEPS)
def test_any_work_is_kept(tmp_path_factory, steps: list[tuple]) -> None:
    """Whatever is done, undone, saved and closed: what is shown, kept and saved is what plain lists would hold."""
    folder = tmp_path_factory.mktemp("work")
    path, video = annotate(folder / "a.eaf"), folder / "a.mp4"
    session = Session.open(path, video)
    states, place = [session.sheet.copy()], 0  # all states that can be reached by undo and redo, and where we are
    for step, *rest in steps:
        revision = session.status()["revision"]
        if step == "put":
            tier, borders = rest
            marks = [Mark(begin, end, "v") for begin, end in zip(borders[::2], borders[1::2], strict=False)]
            old = session.sheet.tiers.get(tier, [])
            session.edit(revision, Change("put", tuple((tier, m) for m in old), tuple((tier, m) for m in marks)))
            expected = states[place].copy()
            expected.tiers[tier] = marks
            states, place = [*states[: place + 1], expected], place + 1
        elif step in ("undo", "redo"):
            other = place + (1 if step == "redo" else -1)
            reachable = 0 <= other < len(states)
            if not reachable:
                with pytest.raises(InputError, match="nothing to"):
                    getattr(session, step)(revision)
                continue
            getattr(session, step)(revision)
            place = other
        elif step == "save":
            session.save(revision)
        else:
            unsaved = not session.is_saved
            session.close()
            session = Session.open(path, video)
            if not unsaved:
                states, place = [states[place]], 0
        held = {tier: marks for tier, marks in session.sheet.tiers.items() if marks}
        assert held == {tier: marks for tier, marks in states[place].tiers.items() if marks}
    file = read(path)
    on_disk = Sheet.of(file.tiers, file.intervals, 0)
    if session.is_saved:
        assert {t: m for t, m in on_disk.tiers.items() if m} == {t: m for t, m in states[place].tiers.items() if m}
    session.close()


# What is shown.


def test_lanes_of_a_vocabulary(eaf: Path) -> None:
    vocabulary = Vocabulary("v", ("Nod", "bow", "lift"), "rest", {"Head": ("Nod", "bow"), "Arms": ("lift",)}, {})
    lanes = lanes_of(read(eaf), vocabulary)
    assert [(lane.name, lane.human, lane.predicted, lane.member_of) for lane in lanes] == [
        ("Head", "Head", "Head [chironomy]", None),
        ("Nod", "nod", None, "Head"),
        ("Arms", "Arms", "Arms [chironomy]", None),
        ("lift", "lift", None, "Arms"),
    ]


def test_lanes_of_a_file_alone(eaf: Path) -> None:
    lanes = lanes_of(read(eaf), None, dependent=["lift"])
    assert [(lane.name, lane.predicted, lane.fixed) for lane in lanes] == [
        ("nod", NOD, False),
        ("lift", None, True),
        ("empty", None, False),
    ]


def test_predictions_leave_what_is_reviewed() -> None:
    sheet = Sheet({NOD: [Mark(0, 400, "nod"), Mark(800, 900, "nod", 0.5)], "annotated": [Mark(0, 500, "")]})
    found = [Interval(0.1, 0.78, NOD, "nod", 0.25), Interval(0.8, 0.9, NOD, "nod", 0.5), Interval(0, 9, "other", "")]
    made = proposal(sheet, "annotated", "x", found, [NOD])
    assert made == Change("x", (), ((NOD, Mark(500, 780, "nod", 0.25)),))
    made = proposal(sheet, "annotated", "x", [], [NOD])
    assert made == Change("x", ((NOD, Mark(800, 900, "nod", 0.5)),), ())


@pytest.mark.parametrize("cuts", [[], [0.3], [0.2, 0.3]])
def test_reviewed_stretches_that_touch_are_one(cuts: list[float]) -> None:
    borders = [0, *(round(cut * 1000) for cut in cuts), 500]
    stretches = [Mark(begin, end, "") for begin, end in pairwise(borders)]
    sheet = Sheet({NOD: [Mark(100, 400, "nod")], "annotated": stretches})
    assert proposal(sheet, "annotated", "x", [Interval(0.1, 0.45, NOD, "nod")], [NOD]) == Change("x", (), ())


def test_a_prediction_across_the_files_beginning_is_cut() -> None:
    found = [Interval(1, 4.5, NOD, "nod"), Interval(4.9, 5.4, NOD, "nod", 0.5), Interval(6, 7, NOD, "nod")]
    made = proposal(Sheet({}, 5000), "annotated", "x", found, [NOD])
    assert [mark for _, mark in made.added] == [Mark(5000, 5400, "nod", 0.5), Mark(6000, 7000, "nod")]


# In the background.


def test_work_in_the_background() -> None:
    results: list[int] = []
    done, failed, stopped = Work("Counting", count, 5, then=results.append), Work("x", refuse), Work("x", wait)
    for work in (done, failed):
        work.wait(60)
    stopped.stop()
    stopped.wait(60)
    assert (done.state, results) == ("done", [10])
    assert (failed.state, failed.text) == ("failed", "a.mp4: cannot be used; name another")
    assert stopped.state == "stopped"


def test_the_next_model_has_a_name_of_its_own(tmp_path: Path) -> None:
    model = tmp_path / "model"
    names = []
    for _ in range(3):
        model = _next_model(model)
        model.mkdir()
        names.append(model.name)
    assert names == ["model-reviewed-1", "model-reviewed-2", "model-reviewed-3"]
    assert _next_model(tmp_path / "model").name == "model-reviewed-4"
