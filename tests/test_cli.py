"""The command line: exit codes, one line for what is wrong, JSON alone where it was asked for."""

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import small_store
from lxml import etree
from planted_store import write_recording, write_vocabulary
from tiny_backbone import added

import chironomy
from store.annotations import Interval, read, write

CHECKOUT = Path(__file__).resolve().parents[1]


@pytest.fixture
def run(capsys):
    """Run the command in this process; return status, standard output and standard error."""

    def run_command(*arguments: object) -> tuple[int, str, str]:
        try:
            status = chironomy.main([str(argument) for argument in arguments])
        except SystemExit as stopped:
            status = int(stopped.code or 0)
        captured = capsys.readouterr()
        return status, captured.out, captured.err

    return run_command


@pytest.fixture
def refuse(run):
    """Run a command on bad input: exit 1, one line that names the file and what to do."""

    def check(*arguments: object, names: object) -> str:
        status, out, err = run(*arguments)
        assert status == 1, (out, err)
        assert out == ""
        assert err.startswith("chironomy: ")
        assert err.count("\n") == 1
        assert err.endswith("\n")
        assert str(names) in err
        assert "Traceback" not in err
        return err

    return check


def only_json(text: str) -> dict:
    """Return the one JSON object that makes up a text."""
    found, end = json.JSONDecoder().raw_decode(text)
    assert text[end:].strip() == ""
    assert isinstance(found, dict)
    return found


@pytest.fixture
def elan(tmp_path: Path) -> Path:
    path = tmp_path / "video-1.eaf"
    write(
        path, [Interval(0, 1.5, "Nodding", "x"), Interval(2, 3, "Vibrato [chironomy]", "Vibrato"), Interval(4, 5, "a")]
    )
    return path


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["dance"],
        ["extract", "a.mp4"],
        ["extract", "a.mp4", "b.mp4", "--store", "s", "--name", "x"],
        ["extract", "a.mp4", "b.mp4", "--store", "s", "--audio", "x.wav"],
        ["extract", "a.mp4", "--store", "s", "--precision", "int8"],
        ["train", "s", "--annotations", "a.eaf", "--vocabulary", "guitar-7"],
        ["train", "s", "--annotations", "--vocabulary", "guitar-7", "--out", "m"],
        *(
            ["train", "s", "--annotations", "a.eaf", "--vocabulary", "guitar-7", "--out", "m", f"--{option}", value]
            for option, value in (
                ("epochs", "0"),
                ("epochs", "many"),
                ("seed", "-1"),
                ("seed", "4294967296"),
                ("split", "blocks"),
                ("split", "cv:many"),
                ("split", "cv:2"),
                ("system", "lstm"),
                ("tune", "conv4"),
                ("loss", "hinge"),
                ("standardise", "recordings"),
                ("clip-rule", "most"),
                ("preset", "mine"),
                ("device", "tpu"),
            )
        ),
        ["evaluate", "m", "s"],
        ["evaluate", "m", "s", "--annotations", "a.eaf", "--against"],
        ["demo", "--seconds", "-3"],
        ["label", "a.mp4", "--model", "m"],
        ["review", "a.mp4", "--annotations", "a.eaf", "--others", "b.eaf"],
    ],
)
def test_wrong_arguments(arguments: list[str], run) -> None:
    status, out, err = run(*arguments)
    assert status == 2
    assert out == ""
    assert "usage:" in err.lower()
    assert "_positive" not in err


@pytest.mark.parametrize(
    "command", ["", "extract", "inspect", "annotations", "convert", "train", "evaluate", "label", "demo"]
)
def test_help(command: str, run) -> None:
    status, out, err = run(*command.split(), "--help")
    assert (status, err) == (0, "")
    assert "usage" in out.lower()


def test_help_shows_brackets(run) -> None:
    assert "'worth a look [chironomy]'" in " ".join(run("label", "--help")[1].split())


def test_help_imports_nothing_heavy() -> None:
    code = (
        "import sys, chironomy\n"
        "try:\n    chironomy.main(['--help'])\nexcept SystemExit:\n    pass\n"
        "print(*[name for name in ('torch', 'numpy', 'av', 'zarr', 'librosa', 'sklearn', 'lxml', 'matplotlib') "
        "if name in sys.modules], file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=CHECKOUT, capture_output=True, text=True, check=True)
    assert done.stderr.strip() == ""
    assert "extract" in done.stdout


def test_as_a_module(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "chironomy", "inspect", str(tmp_path / "nothing")]
    done = subprocess.run(command, cwd=CHECKOUT, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert done.stdout == ""
    assert done.stderr.count("\n") == 1
    assert "nothing: no feature store there" in done.stderr


def test_annotations(elan: Path, run) -> None:
    status, out, err = run("annotations", elan, "--vocabulary", "guitar-18")
    assert (status, err) == (0, "")
    assert "Nodding 1 (1.5 s)" in out
    assert "Vibrato [chironomy]" in out  # brackets are no markup
    status, out, err = run("annotations", elan, "--vocabulary", "guitar-18", "--json")
    assert (status, err) == (0, "")
    (file,) = only_json(out)["files"]
    assert file["gestures"]["Nodding"] == {"count": 1, "seconds": 1.5}


def test_of_several_annotation_files_the_others_go_on(elan: Path, tmp_path: Path, run) -> None:
    broken, last = tmp_path / "broken.eaf", tmp_path / "last.csv"
    broken.write_text("<html>")
    write(last, [Interval(0, 1, "Vibrato")])
    status, out, err = run("annotations", elan, broken, last, "--json")
    assert status == 1
    assert [Path(file["file"]).name for file in only_json(out)["files"]] == ["video-1.eaf", "last.csv"]
    assert err.count("\n") == 1
    assert f"{broken}: not a readable ELAN file" in err


def test_a_folder_stands_for_its_annotation_files(elan: Path, tmp_path: Path, run) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "notes.docx").write_text("x")
    write(tmp_path / "last.csv", [Interval(0, 1, "Vibrato")])
    status, out, err = run("annotations", tmp_path / "empty", tmp_path, "--json")
    assert status == 1
    assert [Path(file["file"]).name for file in only_json(out)["files"]] == ["last.csv", "video-1.eaf"]
    assert err.count("\n") == 1
    assert f"{tmp_path / 'empty'}: no annotation file in this folder" in err


def test_convert(elan: Path, tmp_path: Path, run) -> None:
    copy, text, table = (tmp_path / name for name in ("copy.eaf", "out.txt", "out.csv"))
    for source, out in ((elan, copy), (elan, text), (text, table)):
        assert run("convert", source, out) == (0, f"{out}\n", "")
    assert copy.read_bytes() == elan.read_bytes()
    expected = [(each.begin, each.end, each.tier, each.value) for each in read(elan).intervals]
    assert [(each.begin, each.end, each.tier, each.value) for each in read(table).intervals] == expected


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("missing.eaf", None),
        ("empty.eaf", ""),
        ("text.eaf", "Dear diary"),
        ("other.eaf", "<html/>"),
        ("table.txt", "no\tcolumns\n"),
        ("backwards.csv", "tier,begin,end,value\nNodding,5.0,4.0,x\n"),
        ("unmatched.csv", "tier,begin,end,value\nJumping,4.0,5.0,x\n"),
        ("wrong.docx", "x"),
    ],
)
def test_bad_annotations(name: str, content: str | None, tmp_path: Path, refuse) -> None:
    path = tmp_path / name
    if content is not None:
        path.write_text(content)
    if name == "unmatched.csv":
        err = refuse_annotations(refuse, path)
        assert "Jumping" in err
        assert "Nodding" in err
    else:
        refuse("convert", path, tmp_path / "out.txt", names=path)
    assert not (tmp_path / "out.txt").exists()


def refuse_annotations(refuse, path: Path) -> str:
    """Refuse by a command that needs a vocabulary and prints nothing else."""
    return refuse("annotations", path, "--vocabulary", "guitar-18", names=path)


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("missing.mp4", None),
        ("empty.mp4", b""),
        ("text.mp4", b"Dear diary\n" * 50),
        ("noise.mp4", bytes(range(256)) * 9),
    ],
)
def test_bad_videos(name: str, content: bytes | None, tmp_path: Path, run) -> None:
    video = tmp_path / name
    if content is not None:
        video.write_bytes(content)
    before = sorted(tmp_path.iterdir())
    status, out, err = run("extract", video, "--store", tmp_path / "store", "--weights", "random:0")
    assert (status, out) == (1, "")
    assert err.count("\n") == 1
    assert err.startswith(f"chironomy: {video}")
    assert sorted(tmp_path.iterdir()) == before


@pytest.mark.parametrize("weights", ["random:x", "missing.pth", "text.pth"])
def test_bad_weights(weights: str, tmp_path: Path, refuse, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("text.pth").write_text("weights")
    Path("video.mp4").write_text("x")
    refuse("extract", "video.mp4", "--store", "store", "--weights", weights, names=weights)
    assert not Path("store").exists()


def test_no_store_no_model_no_vocabulary(tmp_path: Path, elan: Path, refuse) -> None:
    store, model, out = tmp_path / "store", tmp_path / "model", tmp_path / "out"
    train = ("train", store, "--annotations", elan, "--out", out, "--vocabulary")
    refuse("inspect", store, names=store)
    refuse(*train, "guitar-7", names=store)
    refuse(*train, "guitar-9", names="guitar-9")
    refuse("evaluate", model, store, "--annotations", elan, names=model)
    video = tmp_path / "video.mp4"
    video.write_text("x")
    refuse("label", video, "--model", model, "--out", tmp_path / "x.eaf", names=model)
    refuse("label", tmp_path / "no.mp4", "--model", model, "--out", tmp_path / "x.eaf", names="no.mp4")
    refuse("label", video, "--model", model, "--out", tmp_path / "x.docx", names="x.docx")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["video-1.eaf", "video.mp4"]
    (tmp_path / "store").mkdir()
    refuse("inspect", store, names=store)


def test_stopped_by_the_user(monkeypatch, elan: Path, run) -> None:
    def stop(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("store.annotations.convert", stop)
    status, out, err = run("convert", elan, elan.with_suffix(".txt"))
    assert (status, out) == (1, "")
    assert err.startswith("chironomy: stopped")


def test_output_is_closed_early(elan: Path) -> None:
    for more in ([], ["--json"]):
        command = [sys.executable, "-m", "chironomy", "annotations", str(elan), *more]
        pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
        with subprocess.Popen(command, cwd=CHECKOUT, **pipes) as process:
            process.stdout.close()
            assert process.stderr.read() == b""
        assert process.returncode == 1


@pytest.mark.slow
def test_inspect(beat_rep_store: Path, run) -> None:
    status, out, err = run("inspect", beat_rep_store)
    assert (status, err) == (0, "")
    assert "beat_rep" in out
    assert "pianist" in out
    status, out, err = run("inspect", beat_rep_store, "--json")
    assert (status, err) == (0, "")
    assert only_json(out)["recordings"]["beat_rep"]["clips"] == 183


@pytest.mark.parametrize("broken", ["a/audio/c/0/0/0", "a/zarr.json"])
def test_inspect_verifies(tmp_path: Path, run, broken: str) -> None:
    store = tmp_path / "S"
    small_store.write(store, "a")
    small_store.write(store, "b")
    status, out, err = run("inspect", store, "--verify")
    assert (status, err) == (0, "")
    assert "2 of 2" in out
    content = bytearray((store / broken).read_bytes())
    content[len(content) // 2] ^= 4
    (store / broken).write_bytes(content)
    status, out, err = run("inspect", store, "--verify")
    assert status == 1
    assert err.count("\n") == 1
    assert f"{store}: a" in err
    assert "1 of 2" in out


@pytest.fixture
def planted(tmp_path: Path, monkeypatch) -> Iterator[tuple]:
    """A store of planted gestures; returns it and what follows it on the command line."""
    monkeypatch.setenv("CHIRONOMY_CACHE", str(tmp_path / "cache"))
    (tmp_path / "family").mkdir()
    with added(tmp_path / "family"):
        annotated = [write_recording(tmp_path / "S", name) for name in "abc"]
        yield tmp_path / "S", "--annotations", *annotated, "--vocabulary", write_vocabulary(tmp_path / "two.toml")


QUICK = ("--tune", "fc", "--epochs", 2)


@pytest.mark.parametrize("split", ["blocked", "leave-out:b", "leave-one-out", "cv:3"])
def test_what_train_prints(split: str, planted, tmp_path: Path, run) -> None:
    model = tmp_path / "model"
    command = ("train", *planted, *QUICK, "--split", split, "--out", model)
    status, out, err = run(*command)
    assert status == 0
    note = "note: 134 of 180 annotated clips were learned from, " if split == "blocked" else ""
    assert (err.startswith(note), err.count("\n")) == (True, bool(note))
    assert f"sm+bb+ts on two, {split} split, best of" in out
    for line in ("linear probe", "above the best trivial", "untrained", f"model: {model}"):
        assert line in out
    assert ("validation (" in out) == (split in ("blocked", "leave-out:b"))
    status, out, err = run(*command, "--json")
    assert (status, err) == (0, "")
    assert only_json(out)["training"]["split"] == split


def test_settings_from_the_command_line(planted, tmp_path: Path, run) -> None:
    model = tmp_path / "model"
    status, out, err = run("train", *planted, "--out", model, "--preset", "paper", "--epochs", 2, "--json")
    assert (status, err) == (0, "")
    paper = only_json(out)["settings"]
    expected = {"optimiser": "adam", "learning_rate": 1e-3, "weight_decay": 1e-2, "batch": 32, "epochs": 2}
    assert expected.items() <= paper.items()
    assert (paper["standardise"], paper["regression"], paper["schedule"]) == ("none", False, "constant")
    given = ("--preset", "paper", "--standardise", "training", "--clip-rule", "any", "--loss", "asl", "--class-weights")
    status, out, err = run("train", *planted, *QUICK, *given, "--seed", 5, "--out", model, "--system", "mm", "--json")
    assert (status, err) == (0, "")
    changed = only_json(out)["settings"]
    assert {key for key in paper if paper[key] != changed[key]} == {
        *("tune", "standardise", "clip_rule", "loss", "class_weights", "seed")
    }
    assert json.loads((model / "model.json").read_text())["settings"] == changed


def test_what_evaluate_prints(planted, tmp_path: Path, run) -> None:
    for name, system in (("one", "bimodal-gated"), ("other", "probe")):
        assert run("train", *planted, *QUICK, "--out", tmp_path / name, "--system", system, "--json")[0] == 0
    command = ("evaluate", tmp_path / "one", *planted[:5], "--csv", tmp_path / "scores.csv")
    status, out, err = run(*command, "--against", tmp_path / "other")
    assert (status, err) == (0, "")
    assert "test part" in out
    assert f"above model {tmp_path}"[:30] in out
    assert (tmp_path / "scores.csv").read_text().startswith("level,class,metric,value,low,high\n")
    status, out, err = run(*command, "--json")
    assert (status, err) == (0, "")
    assert only_json(out)["system"] == "bimodal-gated"


@pytest.mark.parametrize(
    ("given", "named"),
    [
        (("--split", "leave-out:z"), "'z'"),
        (("--split", "cv:99"), "cv:99"),
        (("--system", "probe", "--context"), "--context"),
        (("--csv", "scores.txt"), "scores.txt"),
        (("--out", "not/there/model"), "not/there"),
        (("--out", "S"), "S: is there and holds more than a model"),
    ],
)
def test_training_that_cannot_begin(given: tuple, named: str, planted, tmp_path: Path, refuse, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    before = sorted(tmp_path.iterdir())
    refuse("train", *planted, *QUICK, "--out", "model", *given, names=named)
    assert sorted(tmp_path.iterdir()) == before


def test_evaluation_that_cannot_begin(planted, tmp_path: Path, refuse, run) -> None:
    assert run("train", *planted, *QUICK, "--out", tmp_path / "model", "--json")[0] == 0
    evaluate = ("evaluate", tmp_path / "model", *planted[:5])
    refuse(*evaluate, "--against", tmp_path / "none", names=tmp_path / "none")
    refuse(*evaluate, "--csv", tmp_path / "not" / "there.csv", names="there.csv")
    annotated = tmp_path / "annotated.csv"
    annotated.write_text("tier,begin,end,value,confidence\n")
    refuse(*evaluate, "--csv", annotated, names=annotated)
    assert annotated.read_text() == "tier,begin,end,value,confidence\n"
    (tmp_path / "model" / "model.safetensors").write_bytes(b"1234")
    refuse(*evaluate, names=tmp_path / "model")


def test_an_interrupted_training_says_how_it_goes_on(planted, tmp_path: Path, run, monkeypatch) -> None:
    from heads.learner import Learner

    epoch = Learner.epoch

    def stop(self: Learner, number: int) -> float:
        if number == 2:
            raise KeyboardInterrupt
        return epoch(self, number)

    monkeypatch.setattr(Learner, "epoch", stop)
    status, out, err = run("train", *planted, *QUICK, "--out", tmp_path / "model")
    assert (status, out) == (1, "")
    assert err == "chironomy: stopped; what was kept of it is gone on with by the same command\n"
    assert (tmp_path / ".model.0.training").is_file()
    assert not (tmp_path / "model").exists()


@pytest.mark.slow
def test_train_evaluate_and_label(beat_rep_store: Path, shared_data: Path, tmp_path: Path) -> None:
    """In processes of their own, so that any warning shows on standard error."""
    vocabulary, model, out = tmp_path / "two.toml", tmp_path / "model", tmp_path / "out.eaf"
    vocabulary.write_text('name = "two"\ngestures = ["BEAT", "REP"]\n')
    annotated = shared_data / "annotated" / "beat_rep.txt"
    common = ("--annotations", annotated, "--json")
    pianist = shared_data / "video" / "pianist.avi"
    commands = (
        ("train", beat_rep_store, *common, "--vocabulary", vocabulary, *QUICK, "--out", model),
        ("evaluate", model, beat_rep_store, *common),
        ("label", pianist, "--model", model, "--store", beat_rep_store, "--out", out, "--json"),
    )
    results = []
    for arguments in commands:
        command = [sys.executable, "-W", "default", "-m", "chironomy", *map(str, arguments)]
        done = subprocess.run(command, cwd=CHECKOUT, capture_output=True, text=True, check=False)
        assert (done.returncode, done.stderr) == (0, "")
        results.append(only_json(done.stdout))
    trained, evaluated, labelled = results
    assert evaluated["scores"] == trained["scores"]["test"]
    assert labelled["clips"] == 182
    schema = etree.XMLSchema(etree.parse(str(shared_data / "elan" / "EAFv3.0.xsd")))
    schema.assertValid(etree.parse(str(out)))


def test_version(run) -> None:
    status, out, err = run("--version")
    assert (status, err) == (0, "")
    assert out.startswith("chironomy 0.")


def test_annotations_that_are_not_there(run, tmp_path: Path) -> None:
    status, _, err = run(
        "train", tmp_path, "--annotations", tmp_path / "none", "--vocabulary", "guitar-7", "--out", tmp_path / "M"
    )
    assert status == 1
    assert err.count("\n") == 1


def test_a_demo_where_a_file_is_in_the_way(run, tmp_path: Path) -> None:
    (tmp_path / "performances").write_text("in the way")
    status, _, err = run("demo", tmp_path, "--seconds", 12)
    assert status == 1
    assert err.startswith("chironomy: ")
    assert err.count("\n") == 1
    assert run("demo", tmp_path, "--seconds", 3)[0] == 2
