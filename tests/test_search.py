"""Searches: the space, trials, and studies that are stopped, killed and gone on with."""

import csv
import json
import os
import signal
import subprocess
import sys
import time
import uuid
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import optuna
import pytest
from planted_store import write_recording, write_vocabulary

from heads.model import load_model
from heads.settings import Settings, settings_for
from search.data import load_data
from search.shelf import Shelf
from search.splits import make_folds
from search.studies.database import open_study
from search.studies.results import describe_study, write_study
from search.studies.searching import search
from search.studies.space import load_space
from search.studies.study import failed, prepare
from search.studies.trials import NAMED, Question, Trials
from store.errors import InputError
from store.features import FeatureStore
from store.vocabulary import load_vocabulary

pytestmark = pytest.mark.usefixtures("one_thread", "tiny")

COMPLETE, PRUNED, FAIL, RUNNING = (optuna.trial.TrialState[name] for name in ("COMPLETE", "PRUNED", "FAIL", "RUNNING"))
QUICK = Settings(epochs=12, patience=12, tune="fc", batch=16, learning_rate=1e-3, widths=(32, 32))
SMALL = '[learning_rate]\nfrom = 1e-4\nto = 1e-2\nlog = true\n[system]\nchoices = ["sm", "sm+bb+ts"]\n'


@pytest.fixture(scope="module")
def made(tmp_path_factory) -> SimpleNamespace:
    folder = tmp_path_factory.mktemp("planted")
    annotated = [write_recording(folder / "S", name) for name in "ab"]
    return SimpleNamespace(
        folder=folder, store=folder / "S", annotated=annotated, vocabulary=write_vocabulary(folder / "two.toml")
    )


@pytest.fixture
def look(made, tmp_path):
    def run(trials: int = 5, space: str = SMALL, **given) -> dict:
        (tmp_path / "space.toml").write_text(space)
        chosen = {"settings": QUICK, "folds": 3, "space": tmp_path / "space.toml"} | given
        return search(made.store, made.annotated, made.vocabulary, tmp_path / "model", trials=trials, **chosen)

    return run


def database_of(folder: Path) -> optuna.Study:
    return open_study(f"sqlite:///{folder / 'model.search' / 'study.sqlite3'}", "model", 0)


def test_the_default_space_holds_the_defaults_and_most_of_the_paper() -> None:
    space = load_space()
    assert space.of("sm+bb+ts", settings_for(tune="fc")) is not None
    paper = space.of("sm+bb+ts", settings_for("paper", "fc"))
    assert (paper["learning_rate"], paper["optimiser"], paper["regression"]) == (1e-3, "adam", False)
    assert space.of("sm", Settings(learning_rate=1.0)) is None


def test_a_trial_gets_what_the_space_says_and_only_what_matters(tmp_path) -> None:
    space = load_space()
    chosen = space.of("sm+bb+ts", Settings(loss="asl", focus=2.0, margin=0.1, widths=(64, 64, 64)))
    assert chosen["widths"] == "[64, 64, 64]"
    assert space.ask(optuna.trial.FixedTrial(chosen), "sm", Settings(tune="fc")) == (
        "sm+bb+ts",
        Settings(tune="fc", loss="asl", focus=2.0, margin=0.1, widths=(64, 64, 64)),
    )
    plain = space.of("sm", Settings())
    assert not {"focus", "margin", "absent", "audio_widths", "auxiliary"} & {*plain}


def test_without_sound_no_system_that_needs_it(tmp_path) -> None:
    assert load_space().without_sound().dimensions["system"].choices == ("sm", "sm+bb", "sm+bb+ts")
    (tmp_path / "mine.toml").write_text('[system]\nchoices = ["bimodal"]')
    with pytest.raises(InputError, match="only systems that need sound"):
        load_space(tmp_path / "mine.toml").without_sound()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "the file is empty"),
        ("# nothing", "names no setting"),
        ("[learning_rate", "is no TOML file"),
        ("[speed]\nfrom = 1\nto = 2", "speed is no setting that can be searched for; there are system, epochs"),
        ("[seed]\nfrom = 1\nto = 2", "seed is no setting that can be searched for"),
        ("learning_rate = 3", "learning_rate: give choices = .*, or from, to"),
        ("[learning_rate]\nfrom = 1", "give choices"),
        ("[learning_rate]\nfrom = 1\nto = 'x'", "have to be numbers like 0.0001"),
        ("[learning_rate]\nfrom = 2\nto = 1", "from 2 to 1 is no range"),
        ("[learning_rate]\nfrom = 0\nto = 1\nlog = true", "is no range; from 0 \\(log: above it\\)"),
        ("[dropout]\nfrom = 0\nto = 1.5", "from 0 to 1.5 is no range; from 0 to 0.95 is"),
        ("[batch]\nfrom = 0\nto = 8", "from 0 to 8 is no range; from 1"),
        ("[batch]\nfrom = 1.5\nto = 8", "have to be numbers like 32"),
        ("[system]\nfrom = 1\nto = 2", "have to be numbers like"),
        ("[system]\nchoices = ['sm', 'xm']", "has to list values among mm, sm"),
        ("[system]\nchoices = 'sm'", "has to list values"),
        ("[system]\nchoices = []", "has to list values"),
        ("[widths]\nchoices = [[32, -1]]", "has to list values like \\[128, 128, 128\\]"),
        ("[widths]\nchoices = [32]", "has to list values"),
        ("[learning_rate]\nchoices = [1e-3, -1.0]", "has to list values like 0.0001"),
        ("[average]\nchoices = [2.0]", "has to list values"),
        ("[dropout]\nchoices = [nan]", "has to list values"),
        ("[epochs]\nchoices = [0]", "has to list values"),
        ("[views]\nchoices = [1]", "has to list values like True"),
        ("[views]\nfrom = 0\nto = 1", "have to be numbers"),
    ],
)
def test_a_space_that_is_none(text, message, tmp_path) -> None:
    (tmp_path / "mine.toml").write_text(text)
    with pytest.raises(InputError, match=f"mine.toml: .*{message}"):
        load_space(tmp_path / "mine.toml")


def test_a_search_finds_saves_and_compares(look, tmp_path) -> None:
    result = look(trials=6, settings=replace(QUICK, learning_rate=2e-3))
    found, model = result["search"], load_model(tmp_path / "model")
    trials = database_of(tmp_path).get_trials()
    assert [trial.user_attrs.get(NAMED) for trial in trials[:2]] == ["default", "paper"]
    assert len(trials) == 6
    values = {trial.number: trial.value for trial in trials if trial.state == COMPLETE}
    assert found["best"] == max(values.values()) == values[found["best_trial"]]
    assert found["known_settings"]["default"] == values[0]
    assert model.settings.learning_rate == trials[found["best_trial"]].params["learning_rate"]
    assert model.system == trials[found["best_trial"]].params["system"]
    assert found["held_out"]["best"] == pytest.approx(result["scores"]["test"]["macro_f1"])
    held_out = found["held_out"]
    assert held_out["difference"] == pytest.approx(held_out["best"] - held_out["default"])
    json.dumps(result, allow_nan=False)
    folder = tmp_path / "model.search"
    assert json.loads((folder / "result.json").read_text()) == found
    assert (folder / "space.toml").read_text() == SMALL
    with (folder / "trials.csv").open() as file:
        assert [int(row["trial"]) for row in csv.DictReader(file)] == list(range(6))
    pictures = {path.name for path in folder.glob("*.png") if path.stat().st_size > 5000}
    assert {"optimization_history.png", "intermediate_values.png"} <= pictures


def test_of_one_trial_there_is_one_and_a_second_is_the_papers(look, tmp_path) -> None:
    settings = replace(QUICK, learning_rate=2e-3)
    assert look(trials=1, settings=settings)["search"]["trials"] == {"complete": 1}
    found = look(trials=2, settings=settings)["search"]
    trials = database_of(tmp_path).get_trials()
    assert [trial.user_attrs.get(NAMED) for trial in trials] == ["default", "paper"]
    assert found["importances"] == {}
    assert not (tmp_path / "model.search" / "param_importances.png").exists()


def test_what_mattered_is_told_by_ten_trials(tmp_path) -> None:
    study = optuna.create_study(direction="maximize", sampler=optuna.samplers.RandomSampler(seed=0))

    def objective(trial: optuna.Trial) -> float:
        return trial.suggest_float("much", 0, 1) + 0.01 * trial.suggest_float("little", 0, 1)

    study.optimize(objective, n_trials=9)
    assert describe_study(study, "macro_f1")["importances"] == {}
    study.optimize(objective, n_trials=1)
    found = describe_study(study, "macro_f1")
    assert found["importances"]["much"] > 0.7
    write_study(study, found, tmp_path)
    assert (tmp_path / "param_importances.png").stat().st_size > 5000


def test_a_study_goes_on_and_repeats_nothing(look, tmp_path, monkeypatch) -> None:
    calls = []
    carry_out = Trials.__call__

    def stopped(self, trial) -> float:
        calls.append(trial.params | {"number": trial.number})
        if len(calls) == 4:
            raise KeyboardInterrupt
        return carry_out(self, trial)

    monkeypatch.setattr(Trials, "__call__", stopped)
    with pytest.raises(KeyboardInterrupt):
        look(trials=6)
    before = {trial.number: trial.value for trial in database_of(tmp_path).get_trials() if trial.state == COMPLETE}
    assert len(before) == 3
    look(trials=6)
    study = database_of(tmp_path)
    trials = study.get_trials()
    assert {number: trials[number].value for number in before} == before
    assert [trial.number for trial in trials if trial.state == FAIL] == [3]
    assert failed(study) == []  # taken up again
    assert sum(trial.state in (COMPLETE, PRUNED) for trial in trials) == 6
    assert len(calls) == 7
    look(trials=6)
    assert len(calls) == 7


def test_a_study_of_something_else_is_refused(look, tmp_path, made) -> None:
    look(trials=2)
    for changed in ({"metric": "micro_f1"}, {"folds": 4}, {"settings": replace(QUICK, epochs=3)}):
        with pytest.raises(InputError, match=r"model\.search: a study of other recordings"):
            look(trials=3, **changed)
    with pytest.raises(InputError, match="a study of other recordings"):
        look(trials=3, space=SMALL.replace("1e-2", "1e-3"))
    assert len(database_of(tmp_path).get_trials()) == 2


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"metric": "f2"}, "--metric f2: no such score"),
        ({"metric": "event/0.3/macro_f1"}, "no such score"),
        ({"metric": "ece"}, "--metric ece: no such score; there are macro_f1, supported_macro_f1"),
        ({"metric": "always_macro_f1"}, "no such score"),
        ({"split": "leave-one-out"}, "--split leave-one-out: a search holds out one test part"),
        ({"storage": "somewhere"}, "--storage somewhere: is no URL of a database"),
        ({"storage": "oracle9://me:secret@x/y"}, "is no URL of a database"),
        ({"storage": "postgress://me:secret@host/db"}, "is no URL of a database"),
        ({"storage": "postgresql://me:secret@host:abc/db"}, "postgresql://...: is no URL of a database"),
        ({"storage": "postgresql://me:secret@127.0.0.1:9/x"}, r"me:\*\*\*@127.0.0.1:9/x: the database cannot be"),
        ({"storage": "mysql://me:secret@host/db"}, "its driver is not installed"),
        ({"storage": "sqlite:////nowhere/at/all.db"}, "the database cannot be used"),
        ({"storage": "sqlite://"}, "names no file"),
        ({"storage": ""}, "is no URL of a database"),
        ({"system": "probe"}, "no system that can be searched for is called 'probe'"),
        ({"folds": 40}, "annotate more|fewer folds"),
    ],
)
def test_what_cannot_be_searched(given, message, look, tmp_path) -> None:
    with pytest.raises(InputError, match=message) as raised:
        look(trials=1, **given)
    assert "secret" not in str(raised.value)
    assert not (tmp_path / "model").exists()
    assert not (tmp_path / "model.search").exists()


def test_a_file_that_is_no_database_and_one_of_something_else(look, tmp_path) -> None:
    (tmp_path / "text.db").write_text("no database at all " * 100)
    with pytest.raises(InputError, match=r"text\.db: the database cannot be used"):
        look(trials=1, storage=f"sqlite:///{tmp_path / 'text.db'}")
    optuna.create_study(storage=f"sqlite:///{tmp_path / 'other.db'}", study_name="model", direction="minimize")
    with pytest.raises(InputError, match="has another study 'model'"):
        look(trials=1, storage=f"sqlite:///{tmp_path / 'other.db'}")


def test_a_database_that_is_lost_meanwhile_is_told_in_one_line(look, tmp_path, monkeypatch) -> None:
    carry_out = Trials.__call__

    def losing(self, trial) -> float:
        score = carry_out(self, trial)
        (tmp_path / "study.db").write_bytes(b"x" * 4096)
        return score

    monkeypatch.setattr(Trials, "__call__", losing)
    with pytest.raises(InputError, match=r"study\.db: the database cannot be used"):
        look(trials=2, storage=f"sqlite:///{tmp_path / 'study.db'}")


def test_a_name_with_signs_of_a_url(made, tmp_path) -> None:
    (tmp_path / "space.toml").write_text(SMALL)
    given = {"settings": QUICK, "folds": 3, "space": tmp_path / "space.toml", "trials": 1}
    search(made.store, made.annotated, made.vocabulary, tmp_path / "what?", **given)
    assert (tmp_path / "what?.search" / "study.sqlite3").is_file()


def test_other_metrics(look) -> None:
    found = look(trials=2, metric="event/0.5/macro_f1")["search"]
    assert 0 <= found["best"] <= 1


def test_no_trial_sees_the_test_part(made, tmp_path) -> None:
    (tmp_path / "space.toml").write_text(SMALL)
    store, classes = FeatureStore(made.store), load_vocabulary(made.vocabulary)
    data = load_data(store, made.annotated, classes)
    (fold,) = make_folds("blocked", data.timeline, 0)
    frames = data.labels.frames.copy()
    frames[fold.split.test] = ~frames[fold.split.test]
    found = []
    for labels in (data.labels, replace(data.labels, frames=frames)):
        shelf = Shelf(store, replace(data, labels=labels))
        question = Question(load_space(tmp_path / "space.toml"), "sm", QUICK, "macro_f1", 3, fold.split)
        trials = Trials(shelf, classes, question, "cpu", tmp_path)
        study = optuna.create_study(direction="maximize", sampler=optuna.samplers.TPESampler(seed=0))
        study.optimize(trials, n_trials=3)
        found.append([(trial.value, trial.intermediate_values) for trial in study.trials])
    assert found[0] == found[1]


def test_what_is_worse_by_then_is_given_up_but_never_the_known_settings(made, tmp_path) -> None:
    """A network that cannot learn, after six that can."""
    text = "[learning_rate]\nfrom = 1e-12\nto = 1e-2\nlog = true\n[regression]\nchoices = [true, false]\n"
    (tmp_path / "space.toml").write_text(text)
    store, classes = FeatureStore(made.store), load_vocabulary(made.vocabulary)
    data = load_data(store, made.annotated, classes)
    (fold,) = make_folds("blocked", data.timeline, 0)
    question = Question(load_space(tmp_path / "space.toml"), "sm", QUICK, "macro_f1", 3, fold.split)
    trials = Trials(Shelf(store, data), classes, question, "cpu", tmp_path)
    study = open_study(f"sqlite:///{tmp_path / 'db'}", "s", 0)
    prepare(study, question, trials.identity, "here", 9)
    for rate, regression in [*[(1e-3, True)] * 6, (1e-12, False)]:
        study.enqueue_trial({"learning_rate": rate, "regression": regression})
    study.optimize(trials, n_trials=9)
    states = [trial.state for trial in study.trials]
    assert states[:2] == [COMPLETE, COMPLETE]  # the paper's, without regression, among them
    assert states[-1] == PRUNED
    assert len(study.trials[-1].intermediate_values) < QUICK.epochs * 3


@pytest.fixture
def begin(made, tmp_path) -> Callable[..., AbstractContextManager[subprocess.Popen]]:
    """Begin a search in a process of its own, which is dead afterwards; it finds all it needs in ``work``."""
    folder = tmp_path / "work"
    folder.mkdir()
    for name in ("S", "a.csv", "b.csv", "two.toml"):
        (folder / name).symlink_to(made.folder / name)
    (folder / "space.toml").write_text(SMALL)

    @contextmanager
    def running(name: str, url: str, trials: int, jobs: int, **given: int) -> Iterator[subprocess.Popen]:
        program = [sys.executable, str(Path(__file__).with_name("study_program.py")), str(folder), name, url]
        environment = os.environ | {f"STUDY_PROGRAM_{key.upper()}": str(value) for key, value in given.items()}
        with subprocess.Popen(
            [*program, str(trials), str(jobs)], stderr=subprocess.PIPE, text=True, env=environment
        ) as process:
            try:
                yield process
            finally:
                process.kill()

    return running


@pytest.mark.slow
@pytest.mark.parametrize("storage", ["sqlite", "postgresql"])
def test_a_killed_worker_loses_nothing(storage, begin, tmp_path) -> None:
    """Two workers, one killed halfway: every trial ends, what was done stays, the killed one's is done again."""
    url = f"sqlite:///{tmp_path / 'study.db'}" if storage == "sqlite" else os.environ.get("CHIRONOMY_TEST_POSTGRESQL")
    if url is None:
        pytest.skip("no PostgreSQL server: CHIRONOMY_TEST_POSTGRESQL is not set")
    folder, name = tmp_path / "work", f"model-{uuid.uuid4().hex[:8]}"
    with begin(name, url, 4, 2, holds=2) as process:
        study = _wait_for(url, name, process, done=2, running=2)
        before = {trial.number: trial.value for trial in study.get_trials() if trial.state == COMPLETE}
        held = [trial.number for trial in study.get_trials(states=(RUNNING,))]
        workers = _workers(process.pid)
        assert len(workers) == 2
        os.kill(workers[0], signal.SIGKILL)
        (folder / "go").touch()
        _, complaints = process.communicate(timeout=300)
        assert process.returncode == 0, complaints
    trials = study.get_trials()
    ended = [trial for trial in trials if trial.state in (COMPLETE, PRUNED)]
    assert len(ended) >= 4
    assert {trial.state for trial in trials} <= {COMPLETE, PRUNED, FAIL}
    assert failed(study) == []
    (lost,) = [trial for trial in trials if trial.state == FAIL]
    assert lost.number in held
    assert any(lost.number in trial.system_attrs.get("retry_history", ()) for trial in ended)
    assert {number: trials[number].value for number in before} == before
    found = json.loads((folder / f"{name}.search" / "result.json").read_text())
    assert found["best"] == max(trial.value for trial in trials if trial.state == COMPLETE)
    assert load_model(folder / name).system


def _wait_for(url: str, name: str, process: subprocess.Popen, done: int, running: int) -> optuna.Study:
    """Wait until so many trials are done, and so many at work."""
    study = None
    while True:
        time.sleep(0.2)
        assert process.poll() is None, process.stderr.read()
        try:
            study = study or open_study(url, name, 0)
        except InputError:  # half made
            continue
        states = Counter(trial.state for trial in study.get_trials())
        if states[COMPLETE] + states[PRUNED] >= done and states[RUNNING] == running:
            return study


def _workers(parent: int) -> list[int]:
    """Return the processes that a search has started, but for the one that keeps track of resources."""
    children = Path(f"/proc/{parent}/task/{parent}/children").read_text().split()
    return [int(child) for child in children if b"spawn_main" in Path(f"/proc/{child}/cmdline").read_bytes()]


@pytest.mark.slow
def test_a_search_killed_in_its_last_trial_does_that_again(begin, tmp_path) -> None:
    url = f"sqlite:///{tmp_path / 'study.db'}"
    with begin("m", url, 2, 1, holds=1) as process:
        study = _wait_for(url, "m", process, done=1, running=1)
    assert not (tmp_path / "work" / "m").exists()
    with begin("m", url, 2, 1) as process:
        _, complaints = process.communicate(timeout=300)
        assert process.returncode == 0, complaints
    states = [trial.state for trial in study.get_trials()]
    assert sum(state in (COMPLETE, PRUNED) for state in states) == 2
    assert states.count(FAIL) == 1
    assert failed(study) == []


@pytest.mark.slow
@pytest.mark.parametrize("what", ["an error", "Ctrl-C"])
def test_what_ends_workers_is_told_in_one_line(what, begin, tmp_path) -> None:
    url = f"sqlite:///{tmp_path / 'study.db'}"
    with begin("m", url, 6, 2, **({"breaks": 2} if what == "an error" else {"holds": 1})) as process:
        if what == "Ctrl-C":
            _wait_for(url, "m", process, done=1, running=2)
            process.send_signal(signal.SIGINT)
        _, complaints = process.communicate(timeout=300)
        assert process.returncode == 1
    lines = complaints.strip().splitlines()
    assert len(lines) == 1, complaints
    study = open_study(url, "m", 0)
    if what == "an error":
        assert "a trial failed (ValueError: made to fail); what is done is kept" in lines[0]
        assert failed(study) == []  # by itself: it is not tried again
    else:
        assert lines[0] == "stopped"
        assert study.get_trials(states=(COMPLETE,))
