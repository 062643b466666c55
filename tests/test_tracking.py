"""Recording of runs: what is in MLflow's database afterwards, and that a run never fails with it."""

import csv
import hashlib
import json
import multiprocessing
import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from pathlib import Path
from types import SimpleNamespace
from urllib.parse import urlparse
from urllib.request import url2pathname

import numpy as np
import pages
import pytest
from planted_store import write_recording, write_vocabulary

import chironomy
from heads.model import load_model
from heads.settings import Settings
from heads.training import Epoch
from search import runs
from search.score_csv import write_csv
from search.tracking import tracked
from search.tracking.background import Background
from search.tracking.database import make_database
from search.tracking.place import RunsPlace
from store.features import FeatureStore

pytestmark = pytest.mark.usefixtures("one_thread", "tiny")

ROOT = Path(__file__).resolve().parents[1]
QUICK = Settings(epochs=3, tune="fc", batch=16, learning_rate=1e-3, widths=(32, 32), audio_widths=(32,))


@pytest.fixture(scope="module", autouse=True)
def _tracked() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("CHIRONOMY_TRACKING", "on")
        patch.delenv("MLFLOW_TRACKING_URI", raising=False)
        yield


@pytest.fixture(scope="module")
def made(tmp_path_factory) -> SimpleNamespace:
    """Two planted recordings, in a folder whose name is no plain word."""
    folder = tmp_path_factory.mktemp("planted") / "ein Löffel"
    folder.mkdir()
    annotated = [write_recording(folder / "S", name) for name in "ab"]
    vocabulary = write_vocabulary(folder / "two.toml")
    return SimpleNamespace(folder=folder, store=folder / "S", annotated=annotated, vocabulary=vocabulary)


@pytest.fixture(scope="module")
def trained(made) -> SimpleNamespace:
    """A training and an evaluation of its model, recorded beside it."""
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(made.folder)
        result = runs.train(made.store, made.annotated, made.vocabulary, made.folder / "model", settings=QUICK)
        evaluated = runs.evaluate(made.folder / "model", made.store, made.annotated)
        assert not (made.folder / "mlflow.db").exists()
    client = client_of(made.folder)
    return SimpleNamespace(
        result=result,
        evaluated=evaluated,
        client=client,
        run=client.get_run(result["run"]["id"]),
        evaluation=client.get_run(evaluated["run"]["id"]),
        model=made.folder / "model",
    )


@pytest.fixture(scope="module")
def recorded(tmp_path_factory) -> Path:
    """A folder in which several tests record runs: the first database takes a second."""
    return tmp_path_factory.mktemp("recorded")


def uri_of(folder: Path) -> str:
    return f"sqlite:///{folder / 'chironomy-runs' / 'mlflow.db'}"


def client_of(folder: Path):
    from mlflow import MlflowClient

    return MlflowClient(uri_of(folder), registry_uri=uri_of(folder))


def artifact(run, name: str) -> Path:
    return Path(url2pathname(urlparse(run.info.artifact_uri).path), name)


def test_parameters_are_all_that_was_chosen(trained) -> None:
    params = trained.run.data.params
    expected = {"system": "sm+bb+ts", "split": "blocked", "vocabulary": "two", "device": "auto", **asdict(QUICK)}
    shown = {name: value if isinstance(value, str) else json.dumps(value) for name, value in expected.items()}
    assert params == shown
    assert trained.evaluation.data.params["model"] == str(trained.model)


def test_a_threshold_is_recorded_under_the_classs_own_name(made, trained) -> None:
    result = runs.evaluate(trained.model, made.store, made.annotated, thresholds={"NOD": 0.9})
    params = trained.client.get_run(result["run"]["id"]).data.params
    assert {name: value for name, value in params.items() if "threshold" in name} == {"threshold.nod": "0.9"}


def test_epochs_are_metrics_step_by_step(trained) -> None:
    history = trained.result["training"]["history"]
    losses = trained.client.get_metric_history(trained.run.info.run_id, "loss")
    scores = trained.client.get_metric_history(trained.run.info.run_id, "validation_score")
    assert {each.step: each.value for each in losses} == {n: e["loss"] for n, e in enumerate(history) if n}
    assert {each.step: each.value for each in scores} == {n: e["score"] for n, e in enumerate(history)}


def test_scores_stand_beside_the_trivial_baselines(trained) -> None:
    metrics, scores = trained.run.data.metrics, trained.result["scores"]
    for part in ("test", "validation"):
        for name in ("macro_f1", "probe_macro_f1", "always_macro_f1", "chance_macro_f1", "majority_macro_f1", "ece"):
            assert metrics[f"{part}/{name}"] == scores[part][name]
        assert metrics[f"{part}/event/0.5/always_macro_f1"] == scores[part]["event"]["0.5"]["always_macro_f1"]
        assert metrics[f"{part}/f1/nod"] == scores[part]["classes"]["nod"]["f1"]
    assert trained.evaluation.data.metrics["evaluation/macro_f1"] == scores["test"]["macro_f1"]
    assert metrics["seconds"] > 0


def test_tables_are_those_that_train_writes(trained, tmp_path) -> None:
    write_csv(tmp_path / "expected.csv", trained.result["scores"]["test"])
    assert artifact(trained.run, "test.csv").read_bytes() == (tmp_path / "expected.csv").read_bytes()
    assert json.loads(artifact(trained.run, "test.json").read_text()) == trained.result["scores"]["test"]
    for name in ("test.png", "validation.png"):
        assert artifact(trained.run, name).read_bytes().startswith(b"\x89PNG")
    with artifact(trained.evaluation, "evaluation.csv").open(newline="") as file:
        assert len([*csv.DictReader(file)]) > 100


def test_data_are_known_by_content(trained, made) -> None:
    described = json.loads(artifact(trained.run, "data.json").read_text())
    assert described["spec"] == FeatureStore(made.store).spec.to_dict()
    for name, path in zip("ab", made.annotated, strict=True):
        found = described["recordings"][name]
        assert found["annotations_sha256"] == hashlib.sha256(path.read_bytes()).hexdigest()
        assert found["source_sha256"] == FeatureStore(made.store)[name].attributes["source_sha256"]
    hashes = {found["features_sha256"] for found in described["recordings"].values()}
    assert len(hashes) == 2
    (mine,), (its,) = trained.run.inputs.dataset_inputs, trained.evaluation.inputs.dataset_inputs
    assert mine.dataset.digest == its.dataset.digest
    assert [mine.tags[0].value, its.tags[0].value] == ["training", "evaluation"]


def test_a_change_of_the_annotations_is_another_digest(made, trained, tmp_path) -> None:
    changed = [tmp_path / path.name for path in made.annotated]
    for path, copy in zip(made.annotated, changed, strict=True):
        copy.write_bytes(path.read_bytes())
    result = runs.evaluate(trained.model, made.store, changed)
    copied = trained.client.get_run(result["run"]["id"]).inputs.dataset_inputs[0].dataset.digest
    changed[0].write_bytes(changed[0].read_bytes().rstrip() + b"\n\n")
    result = runs.evaluate(trained.model, made.store, changed)
    other = trained.client.get_run(result["run"]["id"]).inputs.dataset_inputs[0].dataset.digest
    mine = trained.run.inputs.dataset_inputs[0].dataset.digest
    assert copied == mine
    assert other != mine


def test_where_it_ran_is_tagged(trained) -> None:
    tags = trained.run.data.tags
    assert tags["chironomy"] == "train"
    assert tags["untrained backbone"] == "true"
    assert {"machine.cpu", "machine.gpu", "machine.platform", "version.torch", "version.python"} <= {*tags}
    assert trained.run.info.status == "FINISHED"


def test_the_state_of_git_is_tagged(tmp_path, monkeypatch) -> None:
    from search.tracking.surroundings import surroundings

    git = ["git", "-c", "user.name=x", "-c", "user.email=x@example.org", "-C", str(tmp_path)]
    (tmp_path / "notes.txt").write_text("one")
    for arguments in (["init", "-q"], ["add", "."], ["commit", "-qm", "first"]):
        subprocess.run([*git, *arguments], check=True)
    head = subprocess.run([*git, "rev-parse", "HEAD"], check=True, capture_output=True, text=True).stdout.strip()
    monkeypatch.chdir(tmp_path)
    for text, dirty in (("one", "false"), ("two", "true")):
        (tmp_path / "notes.txt").write_text(text)
        tags = surroundings.__wrapped__()
        assert (tags["git.commit"], tags["git.dirty"]) == (head, dirty)


def test_the_logged_model_predicts_what_the_model_does(trained, made, monkeypatch) -> None:
    import mlflow
    import pandas as pd

    version = trained.client.get_model_version("chironomy-two", "1")
    assert version.run_id == trained.run.info.run_id
    loaded = mlflow.pyfunc.load_model(version.source)
    table = loaded.predict(pd.DataFrame({"store": [str(made.store)] * 2, "recording": ["b", "a"]}))
    model, store = load_model(trained.model), FeatureStore(made.store)
    for name in "ab":
        recording, rows = store[name], table[table["recording"] == name]
        np.testing.assert_array_equal(rows[["start", "end"]], recording.read("times"))
        expected = model.head.predict(model.clips([recording]))
        np.testing.assert_array_equal(rows[["nod", "lift", "still"]], expected)
    assert [column.name for column in loaded.metadata.signature.outputs] == [*table.columns]
    with pytest.raises(Exception, match="store"):
        loaded.predict(pd.DataFrame({"recording": ["a"]}))


def test_the_pages_code_predicts(trained, made, tmp_path, monkeypatch) -> None:
    import mlflow

    monkeypatch.chdir(tmp_path)
    instead = {
        "/home/you/concert": made.folder,
        "/home/you/features": made.store,
        "guitar-7": "two",
        '"concert"': '"a"',
    }
    try:
        table = pages.run("tracking.md", instead)["table"]
    finally:
        mlflow.set_tracking_uri(None)
    assert len(table) == FeatureStore(made.store)["a"].clips
    assert [*tmp_path.iterdir()] == []


def test_the_logged_model_has_no_pickle_and_shares_its_weights(trained) -> None:
    (logged,) = trained.client.search_logged_models([trained.run.info.experiment_id])
    assert str(logged.status) == "READY"
    assert logged.source_run_id == trained.run.info.run_id
    folder = next((trained.model.parent / "chironomy-runs" / "artifacts").rglob("MLmodel")).parent
    files = [path for path in folder.rglob("*") if path.is_file()]
    assert {"model.json", "model.safetensors", "service.py"} <= {path.name for path in files}
    for path in files:
        assert path.suffix in (".json", ".yaml", ".py", ".txt", ".safetensors", "")
        assert not path.read_bytes().startswith(b"\x80")  # as pickles do
    weights = next(folder.rglob("model.safetensors"))
    assert weights.samefile(trained.model / "model.safetensors")
    assert "chironomy" in (folder / "requirements.txt").read_text()


def test_runs_inside_runs(tmp_path) -> None:
    with tracked("search", "study", {"space": {"rate": [1, 2]}}, beside=tmp_path / "m") as study:
        with tracked("trial", "inner", {}, beside=tmp_path / "elsewhere" / "m") as inner:
            pass
        script = (
            "import sys; from pathlib import Path; from search.tracking import tracked; import search.runs\n"
            "assert 'mlflow' not in sys.modules\n"
            "with tracked('trial', 'far', {'rate': 2}, beside=Path('m').absolute(), parent=sys.argv[1]) as record:\n"
            "    record.metrics({'loss': 0.5}, step=3); print(record.id)\n"
            "from mlflow.telemetry.client import get_telemetry_client\n"
            "print(get_telemetry_client())"
        )
        environment = {name: value for name, value in os.environ.items() if name != "PYTEST_CURRENT_TEST"}
        environment["PYTHONPATH"] = str(ROOT)
        command = [sys.executable, "-c", script, study.id]
        done = subprocess.run(command, cwd=tmp_path, env=environment, check=True, capture_output=True, text=True)
    far, telemetry = done.stdout.split()
    assert telemetry == "None"
    assert done.stderr == ""
    assert [path.name for path in tmp_path.iterdir()] == ["chironomy-runs"]
    client = client_of(tmp_path)
    for child in (inner.id, far):
        run = client.get_run(child)
        assert run.data.tags["mlflow.parentRunId"] == study.id
        assert run.info.status == "FINISHED"
    assert client.get_run(far).data.params == {"rate": "2"}
    assert client.get_run(study.id).data.params == {"space.rate": "[1, 2]"}


def test_many_at_once_in_a_new_folder(tmp_path) -> None:
    with ThreadPoolExecutor(4) as pool:
        assert [*pool.map(make_database, [uri_of(tmp_path)] * 4, [None] * 4)] == [None] * 4
    client = client_of(tmp_path)
    assert [each.name for each in client.search_experiments()] == ["Default"]
    assert [path.name for path in (tmp_path / "chironomy-runs").iterdir()] == ["mlflow.db"]


def test_a_kill_while_the_database_is_made_leaves_no_half_one(tmp_path) -> None:
    import sqlalchemy

    def killed() -> None:
        @sqlalchemy.event.listens_for(sqlalchemy.engine.Engine, "before_cursor_execute")
        def kill(connection, cursor, statement, *_) -> None:
            if "ALTER TABLE" in statement:
                os.kill(os.getpid(), signal.SIGKILL)

        make_database(uri_of(tmp_path), None)

    process = multiprocessing.get_context("fork").Process(target=killed)
    process.start()
    process.join()
    assert process.exitcode == -signal.SIGKILL
    assert "mlflow.db" not in {path.name for path in (tmp_path / "chironomy-runs").iterdir()}
    with tracked("train", "m", {}, beside=tmp_path / "m") as record:
        pass
    assert client_of(tmp_path).get_run(record.id).info.status == "FINISHED"
    assert [path.name for path in (tmp_path / "chironomy-runs").iterdir()] == ["mlflow.db"]


def test_an_earlier_run_is_gone_on_with_and_a_lost_one_is_buried(recorded) -> None:
    with tracked("search", "study", {"a": 1}, beside=recorded / "m") as first:
        pass
    client = client_of(recorded)
    lost = client.create_run(client.get_run(first.id).info.experiment_id).info.run_id
    with tracked("search", "study", {"a": 2}, beside=recorded / "m", run=first.id) as again:
        assert client.get_run(again.id).info.status == "RUNNING"
        again.bury(lost)
    with tracked("search", "study", {"a": 3}, beside=recorded / "m", run="0" * 32) as new:
        pass
    assert again.id == first.id != new.id
    assert [client.get_run(each.id).data.params for each in (again, new)] == [{"a": "1"}, {"a": "3"}]
    assert [client.get_run(each).info.status for each in (again.id, lost)] == ["FINISHED", "KILLED"]


@pytest.mark.parametrize(("error", "status"), [(KeyboardInterrupt, "KILLED"), (ValueError, "FAILED")])
def test_how_a_run_ended_is_recorded(error, status, recorded) -> None:
    records = []

    def stopped() -> None:
        with tracked("train", "m", {}, beside=recorded / "m") as record:
            records.append(record)
            record.epochs([Epoch(0.0, 0.125), Epoch(1.0, 0.25)])
            raise error

    with pytest.raises(error):
        stopped()
    run = client_of(recorded).get_run(records[0].id)
    assert run.info.status == status
    assert run.data.metrics == {"loss": 1.0, "validation_score": 0.25}


@pytest.fixture(scope="module")
def mute() -> Iterator[str]:
    """The address of a server that takes a call and never answers."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        yield f"http://127.0.0.1:{listening.getsockname()[1]}"


UNUSABLE = {
    "no such kind of address": "nonsense://here",
    "nobody is there": "http://127.0.0.1:1",
    "nobody answers": "mute",
    "database that may not be written to": "read-only",
    "folder that cannot be made": None,
    "damaged database": None,
}


@pytest.mark.parametrize("what", UNUSABLE)
def test_a_run_does_not_fail_with_its_recording(what, trained, mute, tmp_path, monkeypatch, capfd) -> None:
    read_only = f"sqlite:///file:{trained.model.parent / 'chironomy-runs' / 'mlflow.db'}?mode=ro&uri=true"
    if UNUSABLE[what] is not None:
        address = {"mute": mute, "read-only": read_only}.get(UNUSABLE[what], UNUSABLE[what])
        monkeypatch.setenv("MLFLOW_TRACKING_URI", address)
    elif what == "damaged database":
        (tmp_path / "chironomy-runs").mkdir()
        (tmp_path / "chironomy-runs" / "mlflow.db").write_text("no database" * 100)
    else:
        (tmp_path / "chironomy-runs").write_text("a file")
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_TIMEOUT", "1")
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    with tracked("train", "m", {"a": 1}, beside=tmp_path / "m") as record:
        record.metrics({"loss": 1.0})
        with tracked("trial", "inner", {}, beside=tmp_path / "m") as inner:
            assert inner.id is None
    assert record.describe() is None
    output = capfd.readouterr()
    assert output.out == ""
    (line,) = output.err.splitlines()
    assert line.startswith("chironomy: warning: the run is not recorded")


def test_what_cannot_be_recorded_leaves_the_rest(recorded, capfd) -> None:
    def fail(path: Path) -> None:
        raise OSError(28, "No space left on device")

    with tracked("train", "m", {}, beside=recorded / "m") as record:
        record.artifact("figures/curve.png", fail)
        record.metrics({"loss": "no number"})
        record.artifact("tables/a.csv", lambda path: path.write_text("a"))
        record.metrics({"kept": 1.0})
    (line,) = capfd.readouterr().err.splitlines()
    assert "No space left on device" in line
    client = client_of(recorded)
    run = client.get_run(record.id)
    assert (run.info.status, run.data.metrics["kept"]) == ("FINISHED", 1.0)
    assert [each.path for each in client.list_artifacts(record.id, "tables")] == ["tables/a.csv"]


def test_what_hangs_is_left_behind(monkeypatch, capsys) -> None:
    never, background = threading.Event(), Background()
    background.do(never.wait, patience=0.2)
    background.do(lambda: pytest.fail("not to be reached"))
    background.close()
    never.set()
    assert "no answer" in capsys.readouterr().err


def test_nothing_is_recorded_where_that_is_not_wanted(made, trained, tmp_path, monkeypatch) -> None:
    monkeypatch.setenv("CHIRONOMY_TRACKING", "off")
    with tracked("train", "m", {}, beside=tmp_path / "m") as record:
        record.metrics({"loss": 1.0})
        assert record.id is None
    assert [*tmp_path.iterdir()] == []
    assert runs.evaluate(trained.model, made.store, made.annotated)["run"] is None


@pytest.mark.parametrize("address", [None, "nonsense://here"])
def test_standard_output_is_one_json_object(address, made, trained, capfd, monkeypatch) -> None:
    if address is not None:
        monkeypatch.setenv("MLFLOW_TRACKING_URI", address)
    arguments = ["evaluate", str(trained.model), str(made.store), "--annotations", *map(str, made.annotated)]
    assert chironomy.main([*arguments, "--json"]) == 0
    run = json.loads(capfd.readouterr().out)["run"]
    assert (run is None) == (address is not None)
    assert chironomy.main(arguments) == 0
    assert ("mlflow ui --backend-store-uri" in capfd.readouterr().out) == (address is None)


def test_files_lie_beside_a_database_that_is_a_file(tmp_path) -> None:
    """MLflow alone would put them where the program is called."""
    assert RunsPlace(f"sqlite:///{tmp_path}/all.db").artifacts == (tmp_path / "artifacts").as_uri()
    assert RunsPlace("http://127.0.0.1:5000").artifacts is None
    assert RunsPlace("sqlite:////x/mlflow.db", tmp_path).artifacts == (tmp_path / "artifacts").as_uri()
