"""A run as it is recorded."""

import json
import re
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import asdict, is_dataclass
from pathlib import Path
from typing import Any

from heads.model import GestureModel
from heads.training import Epoch
from search.data import Data
from search.evaluation import write_csv
from search.tracking.background import Background
from search.tracking.inputs import describe_data, digest
from search.tracking.place import RunsPlace, connect, is_on, prepare, runs_place
from search.tracking.surroundings import surroundings
from store.features import FeatureStore

_UPLOAD = 600.0  # seconds that a model may take on its way to a server
_TOGETHER = 100  # parameters or tags that MLflow takes at once
_ENTRY = 250  # characters of a name
_within: ContextVar["Record | None"] = ContextVar("tracked", default=None)


class Record:
    """A run that is being recorded; `tracked` makes it.

    Parameters
    ----------
    place : RunsPlace, optional
        Where; None records nothing.
    background : Background, optional
        What writes, if somebody else's; its own if not given.
    """

    def __init__(self, place: RunsPlace | None, background: Background | None = None):
        self.place = place
        self._background = background
        self._is_child = background is not None
        self._created = threading.Event()
        self._id: str | None = None
        if place is not None and background is None:
            self._background = Background()

    @property
    def id(self) -> str | None:
        """The run's id, to be kept or handed to other processes; None where nothing is recorded. Waits for it."""
        if self._background is not None:
            self._background.wait_for(self._created)
        return self._id

    def describe(self) -> dict[str, str] | None:
        """Return id and the command that shows the run, JSON-ready; None where nothing is recorded."""
        return None if self.place is None or self.id is None else {"id": self.id, "view": self.place.view}

    def parameters(self, values: Mapping[str, Any]) -> None:
        """Record parameters: what was chosen; each once. Nested ones are named as ``outer.inner``."""
        flat = {name: _text(value) for name, value in _flat(values, ".")}
        self._do(lambda client, run: _in_batches(client, run, "params", flat))

    def tags(self, values: Mapping[str, Any]) -> None:
        """Record tags: what else is to be known or searched for; they may be changed."""
        flat = {_name(name): _text(value) for name, value in values.items()}
        self._do(lambda client, run: _in_batches(client, run, "tags", flat))

    def metrics(self, values: Mapping[str, float], step: int = 0) -> None:
        """Record numbers, as of an epoch (`step`); a slash in a name makes a group in MLflow's pages."""
        kept, now = {_name(name): float(value) for name, value in values.items()}, int(time.time() * 1000)

        def log(client: Any, run: str) -> None:
            from mlflow.entities import Metric

            client.log_batch(run, metrics=[Metric(name, value, now, step) for name, value in kept.items()])

        self._do(log)

    def epochs(self, history: Sequence[Epoch], name: str = "") -> None:
        """Record a training's loss and validation score, epoch by epoch.

        Parameters
        ----------
        history : sequence of Epoch
            All epochs; number 0 is the start, which has no loss.
        name : str
            Of the fold, where there are several.
        """
        prefix, now = f"{name}/" if name else "", int(time.time() * 1000)
        rows = [(f"{prefix}loss", epoch.loss, step) for step, epoch in enumerate(history) if step]
        rows += [(f"{prefix}validation_score", epoch.score, step) for step, epoch in enumerate(history)]

        def log(client: Any, run: str) -> None:
            from mlflow.entities import Metric

            for at in range(0, len(rows), 1000):
                metrics = [Metric(_name(key), value, now, step) for key, value, step in rows[at : at + 1000]]
                client.log_batch(run, metrics=metrics)

        self._do(log)

    def scores(self, scores: Mapping[str, Any], part: str = "") -> None:
        """Record what `search.evaluation.evaluation` returned: as metrics, and whole as ``PART.json`` and ``PART.csv``.

        As metrics there are the scores over all classes, of every level and every trivial baseline, with the ends of
        their intervals, and each class's F1 of clips; hundreds more would hide these.

        Parameters
        ----------
        scores : mapping
            The scores.
        part : str
            Of what, as ``test``; the metrics' names begin with it.
        """
        prefix = f"{part}/" if part else ""
        self.metrics({f"{prefix}{name}": value for name, value in _shown(scores)})
        self.document(f"{part or 'scores'}.json", scores)
        self.artifact(f"{part or 'scores'}.csv", lambda path: write_csv(path, scores))

    def document(self, name: str, content: Any) -> None:
        """Record JSON-ready content as an artifact."""
        text = json.dumps(content, indent=2, ensure_ascii=False)
        self._do(lambda client, run: client.log_text(run, text, name))

    def artifact(self, name: str, write: Callable[[Path], Any]) -> None:
        """Record a file that is made for it, a table or a figure.

        Parameters
        ----------
        name : str
            Its name, with folders if wanted, as ``tables/test.csv``.
        write : callable
            Writes it, given where to; called later, in another thread.
        """

        def log(client: Any, run: str) -> None:
            folder, _, file = name.rpartition("/")
            with tempfile.TemporaryDirectory() as temporary:
                write(Path(temporary, file))
                client.log_artifact(run, str(Path(temporary, file)), folder or None)

        self._do(log)

    def file(self, path: Path, folder: str = "") -> None:
        """Record a file that is there, or a folder with what is in it; it must stay until the run ends."""
        self._do(lambda client, run: client.log_artifact(run, str(path), folder or None), _UPLOAD)

    def data(self, store: FeatureStore, data: Data, context: str = "training") -> None:
        """Record what the run learns from or is scored on: as a data set, and whole as ``data.json``.

        Two runs have the same data if the data sets' digests are the same.

        Parameters
        ----------
        store : FeatureStore
            Where the features are; if its backbone is untrained, a tag says so.
        data : Data
            Recordings and annotations.
        context : {"training", "evaluation"}
            What for.
        """

        def log(client: Any, run: str) -> None:
            from mlflow.entities import Dataset, DatasetInput, InputTag

            described = describe_data(store, data)
            client.log_dict(run, described, "data.json")
            profile = {"recordings": len(data.recordings), "clips": len(data.labels.known)}
            source = {"store": described["store"], "annotations": [str(path) for path in data.sources]}
            dataset = Dataset(
                name=store.path.name,
                digest=digest(described),
                source_type="local",
                source=json.dumps(source, ensure_ascii=False),
                profile=json.dumps(profile | described["recordings"], ensure_ascii=False),
            )
            client.log_inputs(run, [DatasetInput(dataset, [InputTag("mlflow.data.context", context)])])

        self._do(log)
        spec = store.spec
        self.tags({"backbone": f"{spec.backbone} ({spec.kind}), weights {spec.weights}"})
        if spec.untrained:
            self.tags({"untrained backbone": "scores show that the path works, not how well it can"})

    def trained(self, model: GestureModel, folder: Path) -> None:
        """Record what came of a training: scores of all parts, thresholds and best epoch, and the saved model."""
        for part in ("test", "validation"):
            if part in model.scores:
                self.scores(model.scores[part], part)
        self.document("model.json", model.describe())
        if "best_epoch" in model.training:
            self.metrics({"best_epoch": model.training["best_epoch"]})
        self.model(folder)

    def model(self, folder: Path) -> None:
        """Record a saved model, so that MLflow can load and serve it, as a new version in the registry.

        Parameters
        ----------
        folder : Path
            The model's; it must stay until the run ends.
        """

        def log(client: Any, run: str) -> None:
            from search.tracking.models import log_model

            log_model(client, run, folder)

        self._do(log, _UPLOAD)

    def bury(self, run: str) -> None:
        """Mark another run as KILLED that is RUNNING still: its process is known to be gone."""

        def log(client: Any, _: str) -> None:
            if client.get_run(run).info.status == "RUNNING":
                client.set_terminated(run, "KILLED")

        self._do(log)

    def _do(self, log: Callable[[Any, str], Any], patience: float | None = None) -> None:
        """Have something done with the client and the run's id, in the background."""
        if self._background is None or self.place is None:
            return
        place = self.place

        def step() -> None:
            if self._id is not None:
                log(connect(place)[0], self._id)

        self._background.do(step, *(() if patience is None else (patience,)))

    def _start(self, name: str, tags: dict[str, str], parent: "Record | str | None", run: str | None) -> None:
        if self._background is None or self.place is None:
            return
        place, folder = self.place, Path.cwd()

        def step() -> None:
            try:
                client, experiment = connect(place)
                whose = parent.id if isinstance(parent, Record) else parent
                kept = tags | surroundings(folder) | ({} if whose is None else {"mlflow.parentRunId": whose})
                self._id = _reopened(client, run) if run is not None else None
                if self._id is None:
                    self._id = client.create_run(experiment, tags=kept, run_name=name).info.run_id
            finally:
                self._created.set()

        self._background.do(step, essential=not self._is_child)

    def _end(self, status: str, seconds: float) -> None:
        if status == "FINISHED":
            self.metrics({"seconds": seconds})
        self._do(lambda client, run: client.set_terminated(run, status))
        if self._background is not None and not self._is_child:
            self._background.close()


@contextmanager
def tracked(
    kind: str,
    name: str,
    parameters: Mapping[str, Any],
    *,
    beside: Path,
    parent: str | None = None,
    run: str | None = None,
) -> Iterator[Record]:
    """Record what happens inside as a run; see the package for how.

    Parameters
    ----------
    kind : str
        What is run: ``train``, ``evaluate``, ``search``, ``trial``, ``reproduce`` ...
    name : str
        What the run is called.
    parameters : mapping
        What was chosen.
    beside : Path
        What the run makes or is about: where no other place is set, runs are recorded in a folder beside it.
    parent : str, optional
        Id of the run that this one belongs to; inside the ``with`` of another, that one if not given.
    run : str, optional
        Id of an earlier run, to be gone on with if it is there.

    Yields
    ------
    Record
        To which more can be added. None of its methods raises anything.
    """
    outer = _within.get()
    if not is_on():
        record = Record(None)
    elif outer is not None and outer.place is not None:
        record = Record(outer.place, outer._background)
    else:
        prepare()
        record = Record(runs_place(beside))
    tags = {"chironomy": kind, "mlflow.source.name": f"chironomy {kind}", "mlflow.source.type": "LOCAL"}
    record._start(name, tags, parent or outer, run)
    if run is None:
        record.parameters(parameters)
    token, began, status = _within.set(record), time.monotonic(), "FAILED"
    try:
        yield record
        status = "FINISHED"
    except KeyboardInterrupt:
        status = "KILLED"
        raise
    finally:
        _within.reset(token)
        record._end(status, time.monotonic() - began)


def _reopened(client: Any, run: str) -> str | None:
    """Return the id of an earlier run, which is running again, or None if it is not in this place."""
    from mlflow.exceptions import MlflowException

    try:
        client.update_run(run, status="RUNNING")
    except MlflowException as error:
        if error.error_code != "RESOURCE_DOES_NOT_EXIST":
            raise
        return None
    return run


def _in_batches(client: Any, run: str, what: str, values: Mapping[str, str]) -> None:
    from mlflow.entities import Param, RunTag

    entity = {"params": Param, "tags": RunTag}[what]
    entries = [entity(name, value) for name, value in values.items()]
    for at in range(0, len(entries), _TOGETHER):
        client.log_batch(run, **{what: entries[at : at + _TOGETHER]})


def _flat(values: Mapping[str, Any], separator: str) -> Iterator[tuple[str, Any]]:
    for name, value in values.items():
        inner = asdict(value) if is_dataclass(value) and not isinstance(value, type) else value
        if isinstance(inner, Mapping):
            yield from ((f"{_name(name)}{separator}{key}", each) for key, each in _flat(inner, separator))
        else:
            yield _name(name), inner


def _shown(scores: Mapping[str, Any]) -> Iterator[tuple[str, float]]:
    """Yield the numbers to be seen as metrics."""
    for name, value in scores.items():
        if name == "classes":
            continue
        if name.endswith("_interval"):
            yield from zip((f"{name}_low", f"{name}_high"), value or (), strict=False)  # None: there is one block
        elif name == "differences":
            yield from ((f"above/{Path(against).name}", found["mean"]) for against, found in value.items())
        elif isinstance(value, Mapping):  # frames, events, and these by their overlap
            yield from ((f"{name}/{key}", each) for key, each in _shown(value))
        elif isinstance(value, int | float):
            yield name, float(value)
    if "differences" in scores:
        yield from ((f"f1/{name}", found["f1"]) for name, found in scores["classes"].items())


def _text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str)


def _name(name: str) -> str:
    """Return a name that MLflow takes."""
    return re.sub(r"[^\w/. -]", "_", name).strip("/")[:_ENTRY]
