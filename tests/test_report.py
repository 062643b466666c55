"""Reports: of a model alone, with its recordings, with their videos; whole, small, and asking for nothing."""

import base64
import io
import json
import re
from types import SimpleNamespace

import numpy as np
import pytest
from browser import chromium
from lxml import html
from PIL import Image
from planted_store import write_recording, write_vocabulary
from recordings import pictures, write_video

import chironomy
from heads.model import load_model
from heads.settings import Settings
from heads.suggesting import outlook_on, suggest
from search.report import report
from search.report.pictures import pictures_of, sound_between, timecode
from search.runs import train
from store.annotations import Interval, read, write
from store.errors import InputError
from store.features import FeatureStore

pytestmark = pytest.mark.usefixtures("one_thread", "tiny")
QUICK = Settings(epochs=3, tune="fc", batch=16, learning_rate=1e-3, widths=(16,))


@pytest.fixture(scope="module")
def made(tmp_path_factory) -> SimpleNamespace:
    """A model of two recordings, their videos beside them, the first half annotated; a third is not annotated."""
    folder = tmp_path_factory.mktemp("planted")
    video = write_video(folder / "a.mov", 16 * 60)
    annotated = [
        write_recording(folder / "S", "a", video=video),
        write_recording(folder / "S", "b", sound=False, video=write_video(folder / "b.mov", 16 * 60, seed=1)),
    ]
    (folder / "c").mkdir()
    write_recording(folder / "S", "c", 20).rename(folder / "c" / "c.csv")
    kept = [each for each in read(annotated[0]).intervals if each.end <= 19.2]
    write(annotated[0], [*kept, Interval(0, 19.2, "annotated")])
    vocabulary = write_vocabulary(folder / "two.toml")
    train(folder / "S", annotated, vocabulary, folder / "M", settings=QUICK)
    return SimpleNamespace(folder=folder, store=folder / "S", annotated=annotated, model=folder / "M", video=video)


@pytest.fixture(scope="module")
def page(made) -> SimpleNamespace:
    out = made.folder / "report.html"
    result = report(made.model, out, store=made.store, annotations=made.annotated)
    return SimpleNamespace(result=result, text=out.read_text("utf-8"), document=html.parse(str(out)).getroot())


def test_all_sections_are_there(page) -> None:
    headings = [each.text_content() for each in page.document.iter("h2")]
    assert headings == page.result["sections"]
    assert len(headings) == 7
    for link in page.document.find(".//nav").iter("a"):
        assert page.document.get_element_by_id(link.get("href")[1:]) is not None
    for figure in ("learning", "f1"):
        assert figure in page.text.lower()
    assert "untrained" in page.text


def test_the_page_asks_for_nothing_and_is_small(page) -> None:
    for element in page.document.iter():
        for name in ("src", "href", "srcset", "xlink:href"):
            assert (element.get(name) or "#").startswith(("#", "data:"))
    assert not re.search(r"@import|url\((?!#)|<script", page.text)
    assert page.result["bytes"] < 5_000_000
    ids = [each.get("id") for each in page.document.iter() if each.get("id")]
    assert len(ids) == len(set(ids))


def test_scores_are_those_of_the_model(page, made) -> None:
    told = json.loads((made.model / "model.json").read_text())["scores"]["test"]
    table = page.document.get_element_by_id("scores")
    first = next(table.iter("tbody"))[0]
    assert f"{told['macro_f1']:.2f}" in first[-1].text_content()
    rows = {row[0].text_content(): row for row in next(page.document.get_element_by_id("classes").iter("tbody"))}
    for name, row in told["classes"].items():
        assert int(rows[name][1].text_content()) == row["support"]
        assert rows[name][4].text_content().startswith(f"{row['f1']:.2f}")
        assert f"probe {row['probe_f1']:.2f}" in rows[name][4].text_content()


def test_what_to_annotate_next_is_not_annotated(page, made) -> None:
    table = page.document.get_element_by_id("next")
    rows = [[cell.text_content() for cell in row] for row in next(table.iter("tbody"))]
    assert {row[0] for row in rows} <= {"a", "c"}
    for recording, stretch, *_ in rows:
        begin = float(stretch.split(" ")[0].partition(":")[2])
        assert recording == "c" or begin >= 19
    model, recording = load_model(made.model), FeatureStore(made.store)["c"]
    pointed_out = suggest(outlook_on(model, recording, model.head.predict(model.clips([recording])), None), 6)
    expected = [[f"{timecode(each.begin)} to {timecode(each.end)}", each.value] for each in pointed_out]
    of_c = [row[1:] for row in rows if row[0] == "c"]
    assert of_c == expected[: len(of_c)] != []


def test_wrong_clips_are_shown_moving(page, made) -> None:
    (gallery,) = page.document.find_class("gallery")
    pictures = list(gallery.iter("img"))
    assert 0 < len(pictures) <= 12
    for picture in pictures:
        moving = Image.open(io.BytesIO(base64.b64decode(picture.get("src").partition(",")[2])))
        assert (moving.n_frames, moving.size) == (8, (112, 112))
        assert re.fullmatch(
            r"[ab], 0:\d\d\.\d: .+ (missed|found, is not there) \(probability \d\.\d\d\)", picture.get("alt")
        )


def test_pictures_are_those_of_the_clip(made) -> None:
    found = pictures_of([FeatureStore(made.store)["a"]], {"a": made.video}, [("a", 2), ("a", 0)])
    expected = pictures(48)
    assert sorted(found) == [("a", 0), ("a", 2)]
    assert len(found["a", 2]) == 8
    for number, picture in enumerate(found["a", 2]):
        assert np.array_equal(picture, expected[32 + 2 * number])


def test_sound_between(made) -> None:
    whole = sound_between(made.video, 0, 4, 22050)
    part = sound_between(made.video, 1, 2, 22050)
    assert np.array_equal(part, whole[22050:44100])
    assert np.abs(part).max() > 0.1


def test_a_model_alone_and_markdown(made, tmp_path) -> None:
    alone = report(made.model, tmp_path / "alone.html")
    assert alone["sections"] == ["What it learned from", "How good it is"]
    result = report(made.model, tmp_path / "all.md", store=made.store, annotations=made.annotated)
    assert len(result["sections"]) == 7
    text = (tmp_path / "all.md").read_text("utf-8")
    targets = re.findall(r"\]\(([^)]+)\)", text)
    assert len(targets) > 8
    assert all((tmp_path / target).is_file() for target in targets)


def test_a_study(tmp_path, capsys) -> None:
    """Of the files that a search leaves beside its model."""
    folder = tmp_path / "best.search"
    folder.mkdir()
    held = {"clips": 30, "best": 0.61, "default": 0.58, "difference": 0.03, "interval": [-0.02, 0.08]}
    found = {
        "study": "best", "metric": "macro_f1", "trials": {"complete": 2, "pruned": 1}, "best": 0.66, "best_trial": 2,
        "best_settings": {"dropout": 0.2}, "known_settings": {"default": 0.5}, "importances": {"dropout": 1.0},
        "held_out": held,
    }  # fmt: skip
    (folder / "result.json").write_text(json.dumps(found))
    lines = ("trial,state,value,setting,seconds,dropout", "0,COMPLETE,0.5,default,1.0,0.1", "1,PRUNED,,,0.4,0.9")
    (folder / "trials.csv").write_text("\n".join([*lines, "2,COMPLETE,0.66,,1.0,0.2"]))
    assert report(folder, tmp_path / "r.html")["sections"] == ["What was found", "How it went"]
    text = html.parse(str(tmp_path / "r.html")).getroot().text_content()
    assert "difference +0.03 [-0.02, +0.08], so they are not told apart from the defaults" in text
    assert "2 complete, 1 pruned" in text
    assert "settings that mattered most" in text
    (folder / "result.json").write_text(json.dumps(found | {"importances": {}}))  # as of so few
    report(folder, tmp_path / "r.md")
    text = (tmp_path / "r.md").read_text("utf-8")
    assert "and their settings" in text
    assert "dropout" in text
    (folder / "trials.csv").write_text("")
    assert chironomy.main(["report", str(folder), "--out", str(tmp_path / "bad.html")]) == 1
    assert "no finished study" in capsys.readouterr().err


def test_another_video_of_that_name_is_not_taken(made, tmp_path) -> None:
    (tmp_path / "a.mov").write_bytes(b"another")
    result = report(
        made.model, tmp_path / "r.html", store=made.store, annotations=made.annotated, videos=[tmp_path / "a.mov"]
    )
    assert any("another video" in note for note in result["notes"])


def test_bad_input(made, tmp_path, capsys) -> None:
    for arguments, said in (
        ((tmp_path, "--out", tmp_path / "r.html"), "no model, nor"),
        ((made.model, "--out", tmp_path / "r.pdf"), ".html or .md"),
        ((made.model, "--out", tmp_path / "none" / "r.html"), "no folder"),
        ((made.model, "--out", tmp_path / "r.html", "--store", tmp_path, "--annotations", made.annotated[0]), "store"),
    ):
        assert chironomy.main(["report", *map(str, arguments)]) == 1
        captured = capsys.readouterr()
        assert captured.out == ""
        assert captured.err.count("\n") == 1
        assert said in captured.err
        assert not (tmp_path / "r.html").exists()
    with pytest.raises(SystemExit):
        chironomy.main(["report", str(made.model), "--out", "r.html", "--store", str(made.store)])
    with pytest.raises(InputError, match="no such video"):
        report(made.model, tmp_path / "r.html", store=made.store, annotations=made.annotated, videos=[tmp_path / "x"])


def test_json_and_timecodes(made, tmp_path, capsys) -> None:
    assert chironomy.main(["report", str(made.model), "--out", str(tmp_path / "r.html"), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["out"] == str(tmp_path / "r.html")
    assert (timecode(5), timecode(65.25)) == ("0:05.0", "1:05.2")


@pytest.mark.slow
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_in_a_browser_it_asks_for_nothing_and_everybody_can_read_it(scheme, page, made) -> None:
    axe = pytest.importorskip("axe_playwright_python.sync_playwright").Axe()
    with chromium() as browser:
        shown = browser.new_context(
            color_scheme=scheme, bypass_csp=True, viewport={"width": 480, "height": 900}
        ).new_page()
        asked: list[str] = []
        shown.on("request", lambda request: asked.append(request.url))
        shown.goto(f"file://{page.result['out']}")
        shown.wait_for_load_state("networkidle")
        assert [url for url in asked if not url.startswith("data:")] == [f"file://{page.result['out']}"]
        assert shown.evaluate("document.documentElement.scrollWidth") <= 480
        broken = "[...document.images].filter(image => !image.complete || !image.naturalWidth).length"
        assert shown.evaluate(broken) == 0
        found = axe.run(shown).response["violations"]
        assert [(each["id"], each["nodes"][0]["html"][:200]) for each in found] == []
