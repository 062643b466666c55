"""The paper's experiments on planted recordings: every cell filled, nothing done twice, everything well-formed."""

import csv
import json
import re
import shutil
import subprocess
import time
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from lxml import html
from PIL import Image
from planted_guitar import QUICK, SOME, start, write_guitar

import chironomy
from heads.learner import Learner
from search.paper import SYSTEMS, paper_table
from search.report import report
from search.reproduction import reproduce
from search.reproduction.experiments import list_experiments
from store.annotations import Interval, read, write
from store.errors import InputError

pytestmark = pytest.mark.usefixtures("one_thread", "tiny")
NAMES = ("a", "b", "c")
ALL_DONE = 2 * 2 * 4 * 2 + len(NAMES)  # data, classes, systems, splits; and each recording left out


@pytest.fixture(scope="module")
def planted(tmp_path_factory) -> SimpleNamespace:
    folder = tmp_path_factory.mktemp("planted")
    return SimpleNamespace(store=folder / "S", annotated=[write_guitar(folder / "S", name) for name in NAMES])


@pytest.fixture(scope="module")
def finished(planted, tmp_path_factory) -> SimpleNamespace:
    out = tmp_path_factory.mktemp("reproduced") / "out"
    return SimpleNamespace(out=out, result=again(planted, out))


def again(planted: SimpleNamespace, out: Path, **changed: object) -> dict:
    given = {"store": planted.store, "annotation_paths": planted.annotated, "settings": QUICK, "jobs": 1} | changed
    return reproduce(out=out, **given)


@pytest.fixture
def undrawn(monkeypatch) -> None:
    """Leave the figures out, which take most of the time, where they are not what is tested."""
    monkeypatch.setattr("search.reproduction.draw_all", lambda *_: [])


def kept(out: Path) -> dict[str, tuple[int, bytes]]:
    """When each result was written, and what it is."""
    return {path.name: (path.stat().st_mtime_ns, path.read_bytes()) for path in (out / "experiments").glob("*.json")}


def rows(out: Path, table: str) -> list[dict[str, str]]:
    with (out / "tables" / f"{table}.csv").open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def test_every_experiment_is_done_once(finished) -> None:
    assert finished.result["experiments"] == {"finished": ALL_DONE, "now": ALL_DONE, "before": 0, "not_possible": 0}
    assert len(kept(finished.out)) == ALL_DONE
    assert list((finished.out / "experiments").glob(".*")) == []


def test_every_cell_is_filled(finished) -> None:
    scored = [f"table-{name}" for name in ("7", "7-blocked", "8")]
    scored += [f"table-{number}-{system}" for number in ("a1", "a2", "a3", "a4") for system in ("sm", "bimodal")]
    for table in [*scored, "table-a5-a"]:
        for row in rows(finished.out, table):
            if row["column"] not in ("paper, video-1: train", "test"):
                for score in ("value", "probe", "always", "chance"):
                    assert 0 <= float(row[score]) <= 1, (table, row)
                # Twenty-six seconds have few blocks: a test part may be of one alone.
                one_block = "test" in row["column"] and (table < "table-a3" or row["row"].startswith("first"))
                assert (one_block and row["low"] == row["high"] == "") or float(row["low"]) <= float(row["high"]) <= 1


def test_the_papers_figures_stand_beside(finished) -> None:
    found = {(row["row"], row["column"]): row["paper"] for row in rows(finished.out, "table-7")}
    paper = paper_table("7")
    data = {"first recording": "first", "all recordings": "all"}
    for name, row in data.items():
        for classes in (7, 18):
            for system, shown in SYSTEMS.items():
                for part in ("train", "test"):
                    expected = paper[f"{row} guitar-{classes}", f"{system} {part}"]
                    assert float(found[f"{name}, {classes} classes", f"{shown}: {part}"]) == expected
    assert [float(row["paper"]) for row in rows(finished.out, "table-8")[1::2]] == [0.27, 0.19, 0.29]
    assert {row["paper"] for row in rows(finished.out, "table-a2-sm")} == {""}
    frowning = [row for row in rows(finished.out, "table-a1-sm") if row["row"] == "Frowning"]
    assert [float(row["paper"]) for row in frowning[:4]] == [0.99, 0.92, 1.0, 0.92]


def test_scores_follow_from_what_is_kept(finished) -> None:
    """Mean F1 and a class's recall, reckoned here from the counts in the file."""
    file = finished.out / "experiments" / "all-guitar-7-sm+bb+ts-paper-v1test.json"
    counts = json.loads(file.read_text())["counts"]["test"]["model"]
    hits, predicted, true = (np.sum(counts[name], axis=0) for name in ("hits", "predicted", "true"))
    both = predicted + true
    expected = np.where(both > 0, 2 * hits / np.where(both > 0, both, 1), 0).mean()
    found = {(row["row"], row["column"]): row for row in rows(finished.out, "table-7")}
    cell = found["all recordings, 7 classes", "SM + BB + TS: test"]
    assert float(cell["value"]) == pytest.approx(expected, abs=1e-4)
    recall = {
        row["row"]: row["value"] for row in rows(finished.out, "table-a3-sm-bb-ts") if row["column"] == "recall: test"
    }
    assert float(recall["Head related action"]) == pytest.approx(hits[1] / true[1], abs=1e-4)


def test_tables_of_the_users_data(finished, planted) -> None:
    frames = {row["class"]: int(row["a"]) for row in rows(finished.out, "table-2")}
    nods = [each for each in read(planted.annotated[0]).intervals if each.tier == "Nodding"]
    assert frames["Nodding"] == round(sum(each.end - each.begin for each in nods) * 25)
    assert frames["Vibrato"] == 0
    times = {row["class"]: row["a"] for row in rows(finished.out, "table-3")}
    assert (times["Nodding"], times["Normal play"]) == (str(len(nods)), "–")
    clips = {row["class"]: int(row["a"]) for row in rows(finished.out, "table-5")}
    assert clips["Head related action"] == frames["Nodding"] // 16
    first, *_ = rows(finished.out, "table-1")
    assert (first["recording"], first["frames"], first["clips"]) == ("a", "640", "40")
    parts = {(row["data"], row["split"]): row for row in rows(finished.out, "table-6")}
    assert sum(int(parts["first recording", "random"][name]) for name in ("training", "validation", "test")) == 40
    assert sum(int(parts["leave out b", "leave-out:b"][name]) for name in ("training", "validation", "test")) == 120
    assert parts["leave out b", "leave-out:b"]["test"] == "40"
    assert parts["all recordings", "paper-v1test"]["paper: training"] == "2758"
    assert parts["leave out b", "leave-out:b"]["paper: test"] == "678"


def test_every_figure_is_there(finished) -> None:
    numbers = [*(str(n) for n in (1, 2, 7, 8, 10, 11)), *(f"{n}{panel}" for n in (5, 6, 13, 14) for panel in "ab")]
    there = {path.name for path in (finished.out / "figures").iterdir()}
    assert there == {f"figure-{number}.{ending}" for number in numbers for ending in ("pdf", "png")}
    for path in (finished.out / "figures").glob("*.png"):
        assert len(np.unique(np.asarray(Image.open(path).convert("L")))) > 20  # something is drawn
    assert (finished.out / "figures" / "figure-1.pdf").read_bytes().startswith(b"%PDF")


def test_the_page_is_whole_and_asks_for_nothing(finished) -> None:
    text = (finished.out / "reproduction.html").read_text("utf-8")
    document = html.document_fromstring(text)
    assert len(document.findall(".//table")) == 5 + 3 + 16 + 3
    assert len(document.findall(".//figure")) == 14
    ids = [each.get("id") for each in document.iter() if each.get("id")]
    assert len(ids) == len(set(ids))
    for element in document.iter():
        for name in ("src", "href", "{http://www.w3.org/1999/xlink}href", "xlink:href"):
            assert (element.get(name) or "#").startswith(("#", "data:"))
    assert not re.search(r"@import|url\((?!#)", text)
    assert "untrained" in text
    assert len(text) < 5_000_000


def test_markdown_and_latex(finished) -> None:
    text = (finished.out / "reproduction.md").read_text("utf-8")
    assert "untrained" in text
    for target in re.findall(r"\]\(([^)]+)\)", text):
        assert (finished.out / target).is_file()
    tex = (finished.out / "reproduction.tex").read_text("utf-8")
    assert tex.count(r"\begin{") == tex.count(r"\end{")
    assert tex.count(r"\begin{table}") == 5 + 3 + 16 + 3
    for target in re.findall(r"includegraphics\[[^]]*\]\{([^}]+)\}", tex):
        assert (finished.out / target).is_file()
    latex = shutil.which("pdflatex")
    if latex is not None:
        done = subprocess.run(
            [latex, "-interaction=nonstopmode", "-halt-on-error", "-draftmode", "reproduction.tex"],
            cwd=finished.out, capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stdout[-2000:]


def test_a_report_of_the_folder_is_its_page(finished, tmp_path) -> None:
    report(finished.out, tmp_path / "r.html")
    assert (tmp_path / "r.html").read_bytes() == (finished.out / "reproduction.html").read_bytes()
    report(finished.out, tmp_path / "r.md")
    targets = re.findall(r"\]\(([^)]+)\)", (tmp_path / "r.md").read_text("utf-8"))
    assert len(targets) == 14
    assert all(Path(target).is_file() for target in targets)


@pytest.mark.usefixtures("undrawn")
def test_started_again_it_repeats_nothing(finished, planted) -> None:
    before = kept(finished.out)
    result = again(planted, finished.out)
    assert result["experiments"] == {"finished": ALL_DONE, "now": 0, "before": ALL_DONE, "not_possible": 0}
    assert result["tables"] == finished.result["tables"]
    assert kept(finished.out) == before


@pytest.mark.parametrize("change", ["annotation", "settings", "damage"])
def test_what_has_changed_is_done_again_and_nothing_else(change, finished, planted, tmp_path, monkeypatch) -> None:
    out = tmp_path / "out"
    shutil.copytree(finished.out, out)
    done = []
    monkeypatch.setattr("search.reproduction.running.run", lambda inputs, job, *_: done.append(job.experiment.name))
    annotated, settings = list(planted.annotated), QUICK
    expected = set(kept(out))
    if change == "annotation":
        annotated[2] = tmp_path / "c.csv"
        write(annotated[2], [*read(planted.annotated[2]).intervals, Interval(1, 2, "Vibrato")])
        expected = {name for name in expected if not name.startswith("first-")}
    elif change == "settings":
        settings = type(QUICK)(**vars(QUICK) | {"seed": 1})
    else:
        damaged = out / "experiments" / "first-guitar-18-sm-random.json"
        damaged.write_bytes(damaged.read_bytes()[:100])
        expected = {damaged.name}
    with pytest.raises(InputError, match="is gone"):  # since nothing was really done
        again(planted, out, annotation_paths=annotated, settings=settings)
    assert {f"{name}.json" for name in done} == expected


def killed(process: subprocess.Popen, out: Path, holding: int) -> dict[str, tuple[int, bytes]]:
    """Kill a process while so many of its experiments hold; return the results that are there once all has ended."""
    while len(list(out.glob("experiments/*.holds"))) < holding:
        assert process.poll() is None
        time.sleep(0.1)
    process.kill()
    process.wait()
    while subprocess.run(["pgrep", "-s", str(process.pid)], capture_output=True, check=False).stdout:
        time.sleep(0.1)  # its workers end with it
    for path in out.glob("experiments/*.holds"):
        path.unlink()
    return kept(out)


def assert_as_undisturbed(out: Path, finished: SimpleNamespace) -> None:
    expected = kept(finished.out)
    for name, (_, content) in kept(out).items():
        assert json.loads(content) | {"seconds": 0} == json.loads(expected[name][1]) | {"seconds": 0}


@pytest.mark.usefixtures("undrawn")
def test_a_killed_run_goes_on(planted, finished, tiny, tmp_path, monkeypatch) -> None:
    out = tmp_path / "out"
    before = killed(start(tiny, planted.store, out, HOLDS_AT="4"), out, holding=1)
    assert len(before) == 4
    monkeypatch.setattr("search.reproduction.list_experiments", lambda names: list_experiments(names)[:SOME])
    result = again(planted, out)
    assert result["experiments"] == {"finished": SOME, "now": SOME - 4, "before": 4, "not_possible": 0}
    after = kept(out)
    assert {name: after[name] for name in before} == before
    assert_as_undisturbed(out, finished)


@pytest.mark.slow
def test_two_at_a_time_killed_and_recorded(planted, finished, tiny, tmp_path) -> None:
    """Workers end with their parent; what they did is kept, and recorded as one run with a run for each experiment."""
    out = tmp_path / "out"
    recorded = {"CHIRONOMY_TRACKING": "on", "MLFLOW_TRACKING_URI": f"sqlite:///{tmp_path}/runs.db"}
    before = killed(start(tiny, planted.store, out, 2, HOLDS_AT="4", **recorded), out, holding=2)
    assert len(before) >= 4
    assert start(tiny, planted.store, out, 2, **recorded).wait() == 0
    after = kept(out)
    assert len(after) == SOME
    assert {name: after[name] for name in before} == before
    assert_as_undisturbed(out, finished)

    import sqlite3

    with sqlite3.connect(tmp_path / "runs.db") as runs:
        found = runs.execute("select run_uuid, name, status from runs").fetchall()
        parents = dict(runs.execute("select run_uuid, value from tags where key = 'mlflow.parentRunId'").fetchall())
    (top,) = [run for run, name, _ in found if name == "out"]
    assert len(found) == SOME + 1  # those that were killed in the middle are gone on with
    assert {status for _, _, status in found} == {"FINISHED"}
    assert {*parents.values()} == {top}


@pytest.mark.usefixtures("undrawn")
def test_a_training_stopped_in_the_middle_goes_on(planted, tmp_path, monkeypatch) -> None:
    monkeypatch.setattr("heads.checkpoint._SHARE_OF_TIME", 1e9)
    epochs, epoch = [], Learner.epoch

    def count(self: Learner, number: int) -> float:
        epochs.append(number)
        if len(epochs) == 3:
            raise KeyboardInterrupt
        return epoch(self, number)

    monkeypatch.setattr(Learner, "epoch", count)
    settings = type(QUICK)(**vars(QUICK) | {"epochs": 4, "patience": 9})
    with pytest.raises(KeyboardInterrupt):
        again(planted, tmp_path / "out", settings=settings)
    epochs.append(-1)  # of the next run
    monkeypatch.setattr("search.reproduction.list_experiments", lambda _: [first])
    first = list_experiments(NAMES)[0]
    again(planted, tmp_path / "out", settings=settings)
    assert epochs[4] == 3


def test_without_sound_and_with_one_recording_each_cell_says_why(tmp_path) -> None:
    annotated = write_guitar(tmp_path / "S", "solo", sound=False)
    planted = SimpleNamespace(store=tmp_path / "S", annotated=[annotated])
    result = again(planted, tmp_path / "out")
    assert result["experiments"] == {"finished": 12, "now": 12, "before": 0, "not_possible": 21}
    reasons = {(row["row"], row["column"]): row["reason"] for row in rows(tmp_path / "out", "table-7")}
    assert reasons["first recording, 7 classes", "SM: test"] == ""
    assert reasons["first recording, 7 classes", "Bimodal + SM + BB + TS: test"] == "the store has no sound"
    assert reasons["all recordings, 18 classes", "SM: train"] == "there is only one video"


def test_bad_input_is_one_line(planted, tmp_path, capsys) -> None:
    def refuse(*arguments: object) -> str:
        status = chironomy.main(["reproduce", *map(str, arguments)])
        captured = capsys.readouterr()
        assert (status, captured.out) == (1, "")
        assert captured.err.count("\n") == 1
        return captured.err

    annotated = ("--annotations", *planted.annotated)
    (tmp_path / "file").write_text("mine")
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "thesis.txt").write_text("mine")
    (tmp_path / "d.csv").write_text("tier,begin,end,value,confidence\nNodding,0.000,1.000,,\n")
    assert "no feature store" in refuse(tmp_path / "none", *annotated, "--out", tmp_path / "out")
    assert "is there and is not" in refuse(planted.store, *annotated, "--out", tmp_path / "file")
    assert "is there and is not" in refuse(planted.store, *annotated, "--out", tmp_path / "full")
    assert "d.csv" in refuse(planted.store, "--annotations", tmp_path / "d.csv", "--out", tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_two_at_once_into_one_folder(planted, finished) -> None:
    from filelock import FileLock

    with FileLock(finished.out / ".lock"), pytest.raises(InputError, match="at work"):
        again(planted, finished.out)


@pytest.mark.usefixtures("undrawn")
def test_json(planted, finished, capsys, monkeypatch) -> None:
    arguments = ["reproduce", str(planted.store), "--annotations", *map(str, planted.annotated)]
    monkeypatch.setattr("search.reproduction.reproduction_settings", lambda *_, **__: QUICK)
    assert chironomy.main([*arguments, "--out", str(finished.out), "--quick", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found == json.loads(json.dumps(finished.result)) | {"experiments": found["experiments"]}
    assert chironomy.main([*arguments, "--out", str(finished.out), "--quick"]) == 0
    shown = capsys.readouterr().out
    assert "first recording, 18 classes" in shown
    assert "untrained" in shown
