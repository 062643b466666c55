"""A run as it is recorded."""

import json
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from copy import deepcopy
from pathlib import Path
from typing import Any

from heads.model import GestureModel
from heads.training import Epoch
from search.data import Data
from search.score_csv import write_csv
from search.tracking.background import Background
from search.tracking.drawing import draw_classes
from search.tracking.entries import log_metrics, log_parameters, log_tags, score_metrics
from search.tracking.inputs import log_data
from search.tracking.models import log_model
from search.tracking.place import RunsPlace, connect, is_on, is_running, prepare, reopened, runs_place
from search.tracking.surroundings import surroundings
from store.features import FeatureStore

_UPLOAD = 600.0  # seconds that a model may take on its way to a server
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
        self._untrained = False
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
        """Record parameters: what was chosen; each once. Nested ones are named ``outer.inner``."""
        kept = deepcopy(dict(values))
        self._do(lambda client, run: log_parameters(client, run, kept))

    def tags(self, values: Mapping[str, Any]) -> None:
        """Record tags: what else is to be known or searched for; they may be changed."""
        kept = dict(values)
        self._do(lambda client, run: log_tags(client, run, kept))

    def metrics(self, values: Mapping[str, float], step: int = 0) -> None:
        """Record numbers, as of an epoch (`step`); a slash in a name makes a group in MLflow's pages."""
        self._metrics([(name, value, step) for name, value in values.items()])

    def epochs(self, history: Sequence[Epoch], name: str = "") -> None:
        """Record a training's loss and validation score, epoch by epoch.

        Parameters
        ----------
        history : sequence of Epoch
            All epochs run; number 0 is the start, which has no loss.
        name : str
            Of the fold, where there are several.
        """
        prefix, numbered = f"{name}/" if name else "", list(enumerate(history))
        self._metrics(
            [(f"{prefix}loss", epoch.loss, number) for number, epoch in numbered if number]
            + [(f"{prefix}validation_score", epoch.score, number) for number, epoch in numbered]
        )

    def scores(self, scores: Mapping[str, Any], part: str = "") -> None:
        """Record what `search.evaluation.evaluation` returned: as metrics, as ``PART.json``, ``.csv`` and ``.png``.

        Parameters
        ----------
        scores : mapping
            The scores.
        part : str
            Of what, as ``test``; the metrics' names begin with it.
        """
        prefix, file = (f"{part}/", part) if part else ("", "scores")
        kept, now = deepcopy(dict(scores)), _now()

        def act(client: Any, run: str) -> None:
            log_metrics(client, run, [(f"{prefix}{name}", value, 0) for name, value in score_metrics(kept)], now)

        self._do(act)
        self.document(f"{file}.json", kept)
        self.artifact(f"{file}.csv", lambda path: write_csv(path, kept))
        title = f"F1, {part or 'class by class'}{' (untrained backbone)' * self._untrained}"
        self.artifact(f"{file}.png", lambda path: draw_classes(path, title, kept))

    def document(self, name: str, content: Any) -> None:
        """Record JSON-ready content as an artifact."""
        kept = deepcopy(content)
        self._do(lambda client, run: client.log_text(run, json.dumps(kept, indent=2, ensure_ascii=False), name))

    def artifact(self, name: str, write: Callable[[Path], Any]) -> None:
        """Record a file that is made for it, a table or a figure.

        Parameters
        ----------
        name : str
            Its name, with folders if wanted, as ``tables/test.csv``.
        write : callable
            Writes it, given where to; called later, in another thread.
        """
        folder, _, file = name.rpartition("/")

        def make(client: Any, run: str) -> None:
            with tempfile.TemporaryDirectory() as temporary:
                write(Path(temporary, file))
                client.log_artifact(run, str(Path(temporary, file)), folder or None)

        self._do(make)

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
        self._do(lambda client, run: log_data(client, run, store, data, context))
        spec = store.spec
        self.tags({"backbone": f"{spec.backbone} ({spec.kind}), weights {spec.weights}"})
        self._untrained = spec.untrained
        if spec.untrained:
            self.tags({"untrained backbone": "true"})  # scores show that the path works, not how well it can

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
        self._do(lambda client, run: log_model(client, run, folder), _UPLOAD)

    def bury(self, run: str) -> None:
        """Mark another run as KILLED that is RUNNING still: its process is known to be gone. Elsewhere it is left."""

        def mark(client: Any, _: str) -> None:
            if is_running(client, run):
                client.set_terminated(run, "KILLED")

        self._do(mark)

    def _metrics(self, rows: list[tuple[str, float, int]]) -> None:
        now = _now()
        self._do(lambda client, run: log_metrics(client, run, rows, now))

    def _do(self, act: Callable[[Any, str], Any], patience: float | None = None) -> None:
        """Have something done with the client and the run's id, in the background."""
        if self._background is None or self.place is None:
            return
        place = self.place

        def step() -> None:
            if self._id is not None:
                act(connect(place)[0], self._id)

        self._background.do(step, *(() if patience is None else (patience,)))

    def _start(
        self, kind: str, name: str, parameters: dict[str, Any], parent: "Record | str | None", run: str | None
    ) -> None:
        """Make the run, or go on with an earlier one."""
        if self._background is None or self.place is None:
            return
        place = self.place

        def step() -> None:
            try:
                client, experiment = connect(place)
                self._id = None if run is None else reopened(client, run)
                if self._id is None:
                    whose = parent.id if isinstance(parent, Record) else parent
                    tags = {"chironomy": kind, "mlflow.source.name": f"chironomy {kind}", "mlflow.source.type": "LOCAL"}
                    tags |= surroundings() | ({} if whose is None else {"mlflow.parentRunId": whose})
                    self._id = client.create_run(experiment, tags=tags, run_name=name).info.run_id
                    log_parameters(client, self._id, parameters)
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
    record._start(kind, name, deepcopy(dict(parameters)), outer if parent is None else parent, run)
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


def _now() -> int:
    """Return the time in milliseconds, as MLflow counts it."""
    return int(time.time() * 1000)
