"""A model as MLflow keeps it: from code, without pickle, with its signature, and a version in the registry."""

import importlib.metadata
import json
import os
import re
import tempfile
from contextlib import suppress
from pathlib import Path
from typing import Any
from urllib.parse import urlparse
from urllib.request import url2pathname

from heads.model_folder import DESCRIPTION, WEIGHTS
from search.tracking import served


def log_model(client: Any, run: str, folder: Path) -> None:
    """Record a saved model with a run, and register it as ``chironomy-VOCABULARY``.

    Parameters
    ----------
    client : mlflow.MlflowClient
        Of the place.
    run : str
        The run's id.
    folder : Path
        The model's.
    """
    from mlflow.entities import LoggedModelOutput

    described = json.loads((folder / DESCRIPTION).read_text(encoding="utf-8"))
    tags = {"system": described["system"], "vocabulary": described["vocabulary"]["name"]}
    if described["spec"]["weights"].startswith("random:"):
        tags["untrained backbone"] = "true"
    experiment = client.get_run(run).info.experiment_id
    name = re.sub(r"[/:.%\"']", "-", folder.name)
    logged = client.create_logged_model(experiment, name, source_run_id=run, tags=tags)
    try:
        _save(client, logged, run, folder, described["vocabulary"])
    except BaseException:
        client.finalize_logged_model(logged.model_id, "FAILED")
        raise
    client.finalize_logged_model(logged.model_id, "READY")
    client.log_outputs(run, [LoggedModelOutput(logged.model_id, 0)])
    _register(client, logged, run, tags)


def _save(client: Any, logged: Any, run: str, folder: Path, vocabulary: dict[str, Any]) -> None:
    from mlflow.models import Model
    from mlflow.pyfunc import save_model
    from pandas import DataFrame

    metadata = Model(run_id=run, model_id=logged.model_id)
    arguments: dict[str, Any] = {
        "python_model": str(Path(__file__).with_name("service.py")),
        "artifacts": {served.FOLDER: str(folder)},
        "signature": _signature(vocabulary),
        "input_example": DataFrame({served.STORE: ["features"], served.RECORDING: ["video-1"]}),
        "pip_requirements": _requirements(),
        "mlflow_model": metadata,
    }
    place = urlparse(logged.artifact_location)
    if place.scheme in ("", "file"):
        here = Path(url2pathname(place.path))
        save_model(here, **arguments)
        _share(folder / WEIGHTS, next(here.rglob(WEIGHTS)))
        return
    with tempfile.TemporaryDirectory() as temporary:
        save_model(Path(temporary, served.FOLDER), **arguments)
        client.log_model_artifacts(logged.model_id, str(Path(temporary, served.FOLDER)))


def _share(file: Path, copy: Path) -> None:
    """Let a copy and its original be one file where the disk can: neither is ever written to, only replaced."""
    with suppress(OSError):
        beside = copy.with_name(f".{copy.name}")
        os.link(file, beside)
        beside.replace(copy)


def _signature(vocabulary: dict[str, Any]) -> Any:
    from mlflow.models import ModelSignature
    from mlflow.types import ColSpec, DataType, Schema

    from store.vocabulary import Vocabulary

    classes = Vocabulary.from_dict(vocabulary, DESCRIPTION).classes
    numbers = [ColSpec(DataType.double, name) for name in (*served.TIMES, *classes)]
    return ModelSignature(
        inputs=Schema([ColSpec(DataType.string, served.STORE), ColSpec(DataType.string, served.RECORDING)]),
        outputs=Schema([ColSpec(DataType.string, served.RECORDING), *numbers]),
    )


def _requirements() -> list[str]:
    """Return what the model needs: this program, which needs the rest, and MLflow."""
    found = []
    for name in ("chironomy", "mlflow", "torch"):
        with suppress(importlib.metadata.PackageNotFoundError):
            found.append(f"{name}=={importlib.metadata.version(name).partition('+')[0]}")
    return found


def _register(client: Any, logged: Any, run: str, tags: dict[str, str]) -> None:
    from mlflow.exceptions import MlflowException

    name = "chironomy-" + re.sub(r"[/:]", "-", tags["vocabulary"])
    with suppress(MlflowException):  # it is there
        client.create_registered_model(name)
    client.create_model_version(
        name, logged.artifact_location, run_id=run, tags=tags, model_id=logged.model_id, await_creation_for=0
    )
