"""Where runs are recorded, and MLflow's client for that place: the one module that imports MLflow to record."""

import functools
import logging
import os
import shlex
import sys
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from search.tracking.database import make_database

SWITCH = "CHIRONOMY_TRACKING"
FOLDER, DATABASE, ARTIFACTS = "chironomy-runs", "mlflow.db", "artifacts"
EXPERIMENT = "chironomy"
_KIND = {"mlflow.experimentKind": "custom_model_development"}  # else the pages show it as of language models
_OFF = ("off", "0", "no", "false")
_ALWAYS = {"MLFLOW_DISABLE_TELEMETRY": "true", "DO_NOT_TRACK": "true"}
_UNLESS_SET = {
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "10",  # seconds; MLflow's own 120, seven times over, would hold a run up for minutes
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "1",
    "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
    "MLFLOW_UV_AUTO_DETECT": "false",  # the project in the working directory is not what a model needs
}


@dataclass(frozen=True)
class RunsPlace:
    """A place for runs.

    Parameters
    ----------
    uri : str
        As MLflow takes it.
    folder : Path, optional
        Where the database and the artifacts are, if the place is ours.
    """

    uri: str
    folder: Path | None = None

    @property
    def view(self) -> str:
        """The command that shows the runs, to be pasted; an address not ours, perhaps with a password, is left out."""
        where = '"$MLFLOW_TRACKING_URI"' if self.folder is None else shlex.quote(self.uri)
        return f"MLFLOW_DISABLE_TELEMETRY=true mlflow ui --backend-store-uri {where}"

    @property
    def artifacts(self) -> str | None:
        """Where files go: beside a database that is a file, since MLflow would put them where the program is called.

        None where a server decides.
        """
        beside = self.folder
        if beside is None and self.uri.startswith("sqlite:///"):
            beside = Path(self.uri.removeprefix("sqlite:///").partition("?")[0]).absolute().parent
        return None if beside is None else (beside / ARTIFACTS).as_uri()


def is_on() -> bool:
    """Return whether runs are recorded at all."""
    return os.environ.get(SWITCH, "on").strip().lower() not in _OFF


def runs_place(beside: Path) -> RunsPlace:
    """Return where to record a run that makes `beside`, a model's folder as a rule."""
    given = os.environ.get("MLFLOW_TRACKING_URI")
    if given:
        return RunsPlace(given)
    folder = Path(os.path.realpath(beside)).parent / FOLDER
    return RunsPlace(f"sqlite:///{(folder / DATABASE).as_posix()}", folder)


def prepare() -> None:
    """Set MLflow up, before it is imported, to be silent and to give up soon."""
    os.environ.update(_ALWAYS)
    for name, value in _UNLESS_SET.items():
        os.environ.setdefault(name, value)
    if "mlflow" not in sys.modules:  # else it is somebody's who wants to hear it
        for name in ("mlflow", "alembic", "urllib3"):
            logging.getLogger(name).setLevel(logging.CRITICAL)
        os.environ.setdefault("MLFLOW_LOGGING_LEVEL", "CRITICAL")
        warnings.filterwarnings("ignore", module=r"(mlflow|alembic|urllib3|pydantic|sqlalchemy)\b")


@functools.lru_cache
def connect(place: RunsPlace) -> tuple[Any, str]:
    """Return MLflow's client for a place and the id of the experiment there, made if there is none.

    `prepare` comes before it.
    """
    from mlflow import MlflowClient
    from mlflow.exceptions import MlflowException

    location = place.artifacts
    make_database(place.uri, location)
    client = MlflowClient(place.uri, registry_uri=place.uri)
    name = os.environ.get("MLFLOW_EXPERIMENT_NAME") or EXPERIMENT
    found = client.get_experiment_by_name(name)
    if found is None:
        try:
            return client, client.create_experiment(name, artifact_location=location, tags=_KIND)
        except MlflowException:  # another process was faster
            found = client.get_experiment_by_name(name)
            if found is None:
                raise
    return client, found.experiment_id


def reopened(client: Any, run: str) -> str | None:
    """Return the id of an earlier run, which is running again, or None if it is not in this place."""
    from mlflow.exceptions import MlflowException

    try:
        client.update_run(run, status="RUNNING")
    except MlflowException as error:
        if error.error_code != "RESOURCE_DOES_NOT_EXIST":
            raise
        return None
    return run


def is_running(client: Any, run: str) -> bool:
    """Return whether a run is in this place, and not ended."""
    from mlflow.exceptions import MlflowException

    try:
        return bool(client.get_run(run).info.status == "RUNNING")
    except MlflowException as error:
        if error.error_code != "RESOURCE_DOES_NOT_EXIST":
            raise
        return False
