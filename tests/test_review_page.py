"""The review's page in a real browser: what a person does on it arrives in the ELAN file, and nothing else."""

import os
import re
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from browser import chromium
from recordings import write_video
from reviewing import served

from extract.playing import make_playable
from heads.labelling import Prediction
from heads.postprocessing import PostProcessing
from review.desk import Desk
from store.annotations import EafDocument, Interval, read, write
from store.vocabulary import Vocabulary

pytestmark = pytest.mark.slow

NOD, LIFT = "nod [chironomy]", "lift [chironomy]"
SECONDS = 8
VOCABULARY = Vocabulary("two", ("nod", "lift"), None, {}, {})
BEFORE = (
    Interval(0.2, 0.8, "nod", "nod"),
    Interval(2.0, 3.0, "lift", "slow"),
    Interval(6.0, 6.5, "other", "left alone"),
    Interval(0.0, 1.0, "annotated"),
    Interval(0.4, 0.6, NOD, "nod", 0.9),
    Interval(1.5, 2.5, NOD, "nod", 0.9),
    Interval(4.0, 4.5, NOD, "nod", 0.55),
    Interval(5.0, 5.6, LIFT, "lift", 0.8),
)


@pytest.fixture(scope="module")
def browser() -> Iterator:
    with chromium() as started:
        yield started


@pytest.fixture(scope="module")
def video(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("video")
    make_playable(write_video(folder / "a.mov", SECONDS * 25), folder / "a.mp4", lambda _: None)
    return folder / "a.mp4"


@pytest.fixture
def eaf(tmp_path: Path) -> Path:
    write(tmp_path / "a.eaf", BEFORE)
    return tmp_path / "a.eaf"


def prediction() -> Prediction:
    """What a model might say: two classes, a clip every 0.64 s."""
    begin = np.arange(int(SECONDS / 0.64)) * 0.64
    times = np.column_stack([begin, begin + 0.64])
    probability = np.column_stack([np.abs(np.sin(begin)), np.abs(np.cos(begin))])
    return Prediction(("nod", "lift"), probability, times, PostProcessing.plain(np.array([0.5, 0.9])), True)


class Page:
    """The page, open, with what its tests need to know of where things are."""

    def __init__(self, browser, address: str, size: tuple[int, int] = (1280, 800), scheme: str = "light"):
        self.context = browser.new_context(viewport={"width": size[0], "height": size[1]}, color_scheme=scheme)
        self.page = self.context.new_page()
        self.problems: list[str] = []
        self.asked: list[str] = []
        self.page.on("pageerror", lambda error: self.problems.append(str(error)))
        self.page.on("console", lambda said: self.problems.append(said.text) if said.type == "error" else None)
        self.page.on("request", lambda request: self.asked.append(request.url))
        self.page.goto(address)
        self.ready()

    def ready(self) -> None:
        self.page.wait_for_selector("body[data-ready]")
        self.wait("document.getElementById('video').readyState >= 2")

    def wait(self, expression: str) -> None:
        """Wait until something is so; Playwright's own way is forbidden by the page's policy."""
        for _ in range(3000):
            if self.page.evaluate(expression):
                return
            self.page.wait_for_timeout(20)
        raise AssertionError(f"never so: {expression}")

    def press(self, *keys: str) -> None:
        for key in keys:
            self.page.keyboard.press(key)

    def settled(self, text: str) -> None:
        """Wait for what stands beside the file's name: everything has been sent and answered."""
        self.wait(f"document.getElementById('saved').textContent.startsWith({text!r})")

    def at(self, lane: str, seconds: float, predicted: bool = False) -> tuple[float, float]:
        """Where a time is in a lane, in pixels of the window."""
        canvas = self.page.locator("#canvas").bounding_box()
        name = self.page.get_by_role("button", name=lane, exact=True).bounding_box()
        return canvas["x"] + seconds / SECONDS * canvas["width"], name["y"] + (45 if predicted else 15)

    def drag(self, start: tuple[float, float], seconds: float) -> None:
        width = self.page.locator("#canvas").bounding_box()["width"]
        mouse = self.page.mouse
        mouse.move(*start)
        mouse.down()
        for share in (0.1, 0.5, 1.0):
            mouse.move(start[0] + share * seconds / SECONDS * width, start[1])
        mouse.up()

    def select(self, lane: str, seconds: float, predicted: bool = False) -> None:
        self.page.mouse.click(*self.at(lane, seconds, predicted))

    def value(self, name: str) -> str:
        return self.page.locator(f"#{name}").input_value()


@pytest.fixture
def opened(browser, video: Path, eaf: Path) -> Iterator[tuple[Page, Desk]]:
    with served(video, eaf, VOCABULARY) as (server, desk):
        desk._take_prediction(prediction())
        page = Page(browser, server.address)
        yield page, desk
        page.context.close()
        assert page.problems == []
        assert all(url.startswith(f"http://127.0.0.1:{server.port}/") for url in page.asked)


def test_accept_move_delete_undo_save_and_reload(opened, eaf: Path) -> None:
    page, _ = opened
    assert "token" not in page.page.url

    page.press("n")  # the first that is not reviewed
    assert page.value("begin") == "0:01.500"
    page.press("a")
    page.drag(page.at("lift", 2.5), 0.8)
    moved = page.value("begin"), page.value("end")
    page.select("lift", 5.3, predicted=True)
    assert "predicted, 80 %" in page.page.locator("#what").inner_text()
    page.press("Delete")
    page.press("Control+z")
    page.settled("kept")
    assert sorted(read(eaf).intervals) == sorted(BEFORE)  # not before it is saved

    page.press("Control+s")
    page.settled("saved")
    added = {*read(eaf).intervals} - {*BEFORE}
    assert {*BEFORE} - {*read(eaf).intervals} == {BEFORE[1], BEFORE[5]}
    (accepted,) = [each for each in added if each.tier == "nod"]
    assert accepted == Interval(1.5, 2.5, "nod", "nod")
    (lifted,) = added - {accepted}
    assert (lifted.tier, lifted.value) == ("lift", "slow")
    assert lifted.end - lifted.begin == pytest.approx(1.0)
    assert lifted.begin == pytest.approx(2.8, abs=0.02)
    assert moved == (f"0:{lifted.begin:06.3f}", f"0:{lifted.end:06.3f}")

    page.page.reload()
    page.ready()
    assert page.page.locator("#undo").get_attribute("title") == "Undo: Move lift"
    assert page.page.locator("#redo").get_attribute("title") == "Redo: Delete lift"
    page.press("Control+z", "Control+z")
    page.settled("kept")
    page.press("Control+s")
    page.settled("saved")
    assert sorted(read(eaf).intervals) == sorted(BEFORE)


def test_predictions_that_are_all_decided_stay_so(browser, video: Path, tmp_path: Path) -> None:
    write(tmp_path / "new.eaf", BEFORE[:2])
    with served(video, tmp_path / "new.eaf", VOCABULARY) as (server, desk):
        desk._take_prediction(prediction())
        page = Page(browser, server.address)
        page.wait("!document.getElementById('next').disabled")
        page.press("n")
        for _ in range(sum(len(desk.session.sheet.tiers[tier]) for tier in (NOD, LIFT))):
            page.press("x")
        page.wait("document.getElementById('next').disabled && !document.getElementById('undo').disabled")
        page.settled("kept")
        revision = desk.session.status()["revision"]
        with page.page.expect_response("**/api/curves"):
            page.page.reload()
        page.page.wait_for_timeout(500)
        assert desk.session.status()["revision"] == revision
        assert desk.session.sheet.tiers[NOD] == []
        page.context.close()


def test_everything_by_keyboard(opened, eaf: Path) -> None:
    page, desk = opened
    page.press("n", "x")  # rejects, and goes on
    assert page.value("begin") == "0:04.000"
    page.press("u")  # the least certain: 0.55, with a threshold of 0.5
    assert page.value("begin") == "0:04.000"
    page.press("p", "Alt+ArrowRight")  # LIFT at 5.0 is the last one: moved by a frame, it is an annotation
    assert (page.value("begin"), page.value("end")) == ("0:05.040", "0:05.640")
    page.press("Home", *["ArrowRight"] * 3, "Shift+ArrowRight", "m")  # 1.12 s: reviewed from 0 to there
    page.press("ArrowUp", "c")  # new on the lane above: nod
    assert (page.value("begin"), page.value("gesture")) == ("0:01.120", "1")
    page.press("Shift+ArrowRight", "ArrowLeft", "]")
    assert page.value("end") == "0:02.080"
    page.press("r", "Escape", "t")
    page.page.keyboard.type("quick")
    page.press("Enter", "Control+s")
    page.settled("saved")
    expected = {
        *(each for each in BEFORE if each not in (BEFORE[3], BEFORE[5], BEFORE[7])),
        Interval(0.0, 1.12, "annotated"),
        Interval(1.12, 2.08, "nod", "quick"),
        Interval(5.04, 5.64, "lift", "lift"),
    }
    assert {*read(eaf).intervals} == expected
    assert desk.session.is_saved

    page.press("?")
    assert page.page.locator("dialog").is_visible()
    page.press("Escape")
    assert not page.page.locator("dialog").is_visible()
    page.press("Space")
    page.wait("document.getElementById('play').textContent === 'Pause'")
    page.press("Space")


def test_the_focus_goes_everywhere_and_shows(opened) -> None:
    page, _ = opened
    page.press("n")
    reached: set[str] = set()
    for _ in range(60):
        page.press("Tab")
        found = page.page.evaluate(
            "(() => { const e = document.activeElement, s = getComputedStyle(e);"
            "return [e.id || e.textContent, s.outlineStyle, parseFloat(s.outlineWidth)]; })()"
        )
        if page.page.evaluate("document.activeElement === document.body"):
            break  # the window's own controls come next
        reached.add(found[0])
        assert found[1] == "solid", found
        assert found[2] >= 3, found
    enabled = page.page.evaluate(
        "[...document.querySelectorAll('button, select, input')].filter((e) => !e.disabled && e.offsetParent)"
        ".map((e) => e.id || e.textContent)"
    )
    assert {*enabled} - reached == set()
    assert "lanes" in reached


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("size", [(1280, 800), (1024, 640)])
def test_accessible(browser, video: Path, eaf: Path, scheme: str, size: tuple[int, int]) -> None:
    axe = pytest.importorskip("axe_playwright_python.sync_playwright").Axe()
    with served(video, eaf, VOCABULARY) as (server, desk):
        desk._take_prediction(prediction())
        page = Page(browser, server.address, size, scheme)
        options = {"runOnly": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]}
        for prepare in ((), ("n",), ("?",)):
            page.press(*prepare)
            # axe is put into the page, which our policy forbids to pages elsewhere: the browser lets its driver.
            found = axe.run(page.page, options=options)
            assert found.response["violations"] == [], found.generate_report()
        width = page.page.evaluate("[document.documentElement.scrollWidth, document.documentElement.scrollHeight]")
        assert width == [*size]
        page.context.close()


def test_a_threshold_redraws_at_once(opened, eaf: Path) -> None:
    page, _ = opened
    page.page.wait_for_selector("#threshold-0")
    count = page.page.locator("#queue strong")
    before = count.inner_text()
    page.page.locator("#threshold-0").focus()
    page.press("End")  # 0.99: as good as nothing
    page.wait(f"document.querySelector('#queue strong').textContent !== {before!r}")
    page.settled("kept")
    page.press("Control+s")
    page.settled("saved")
    left = [each for each in read(eaf).intervals if each.tier == NOD]
    assert left == [BEFORE[4]]  # what has been reviewed stays
    page.page.locator("#lanes").focus()
    page.press("Control+z")
    page.wait(f"document.querySelector('#queue strong').textContent === {before!r}")


def test_lanes_that_are_scrolled_to_are_where_they_are_drawn(browser, video: Path, eaf: Path) -> None:
    names = ("nod", "lift", *(f"gesture {number}" for number in range(12)))
    with served(video, eaf, Vocabulary("many", names, None, {}, {})) as (server, _):
        page = Page(browser, server.address, (1024, 640))
        page.press(*["ArrowDown"] * (len(names) + 1), "c", "Control+s")
        page.settled("saved")
        lanes, canvas = (page.page.locator(name).bounding_box() for name in ("#lanes", "#canvas"))
        assert canvas["y"] == lanes["y"]
        page.drag(page.at(names[-1], 0.5), 3.0)  # what was made there is taken hold of there
        page.press("Control+s")
        page.settled("saved")
        page.context.close()
    (made,) = {*read(eaf).intervals} - {*BEFORE}
    assert (made.tier, made.end - made.begin) == (names[-1], pytest.approx(1.0))
    assert made.begin == pytest.approx(3.0, abs=0.03)


def test_changed_in_elan_meanwhile(opened, eaf: Path) -> None:
    page, _ = opened
    page.press("n", "a")
    page.settled("kept")
    document = EafDocument.open(eaf)
    document.set_intervals("other", [Interval(6.0, 6.7, "other", "by hand")])
    document.save(eaf)
    theirs = eaf.read_bytes()
    page.press("Control+s")
    page.page.get_by_role("alert").wait_for()
    assert eaf.read_bytes() == theirs
    page.page.get_by_role("button", name="Save mine as").click()
    page.page.locator("#dialog-input").fill("mine.eaf")
    page.press("Enter")
    page.settled("saved in mine.eaf")
    page.page.get_by_role("alert").wait_for(state="hidden")
    assert Interval(1.5, 2.5, "nod", "nod") in read(eaf.parent / "mine.eaf").intervals
    assert eaf.read_bytes() == theirs
    page.problems = [each for each in page.problems if "409" not in each]  # Chromium notes the refusal


def test_a_write_protected_file_is_saved_under_another_name(opened, eaf: Path, monkeypatch) -> None:
    page, desk = opened
    may = os.access
    monkeypatch.setattr("os.access", lambda path, mode: (path, mode) != (eaf, os.W_OK) and may(path, mode))  # root may
    page.wait("document.getElementById('banner-text').textContent.includes('write-protected')")
    page.page.get_by_role("button", name="Save mine as …").click()
    page.page.get_by_label("File name").fill("mine.eaf")
    page.press("Enter")
    page.settled("saved in mine.eaf")
    page.wait("document.getElementById('banner').hidden")
    assert desk.session.path == eaf.with_name("mine.eaf")


def test_two_windows_do_not_mix(opened, browser) -> None:
    page, desk = opened
    other = page.context.new_page()
    other.goto(page.page.url)
    other.wait_for_selector("body[data-ready]")
    page.press("n", "a")
    page.settled("kept")
    expect = pytest.importorskip("playwright.sync_api").expect
    expect(other.locator("#saved")).to_have_text(re.compile("^kept"))
    assert other.locator("#undo").get_attribute("title") == "Undo: Accept nod"
    other.keyboard.press("Control+z")
    expect(other.locator("#redo")).to_have_attribute("title", "Redo: Accept nod")
    assert [mark.begin for mark in desk.session.sheet.tiers["nod"]] == [200]
