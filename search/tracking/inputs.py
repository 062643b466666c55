"""What a run learned from or was scored on, told by content: a hash of every recording and annotation file."""

import hashlib
import json
from typing import Any

from search.data import Data
from store.features import FeatureStore
from store.files import sha256

_DIGEST, _SOURCE = 36, 65535  # characters that MLflow allows


def log_data(client: Any, run: str, store: FeatureStore, data: Data, context: str) -> None:
    """Record with a run what it uses: as a data set, and whole as ``data.json``.

    Parameters
    ----------
    client : mlflow.MlflowClient
        Of the place.
    run : str
        The run's id.
    store : FeatureStore
        Where the features are.
    data : Data
        Recordings and annotations.
    context : {"training", "evaluation"}
        What for.
    """
    from mlflow.entities import Dataset, DatasetInput, InputTag

    described = describe_data(store, data)
    client.log_dict(run, described, "data.json")
    source = {"store": described["store"], "annotations": [str(path) for path in data.sources]}
    dataset = Dataset(
        name=store.path.name,
        digest=digest(described),
        source_type="local",
        source=json.dumps(source, ensure_ascii=False)[:_SOURCE],
        profile=json.dumps({"clips": len(data.labels.known), **described["recordings"]}, ensure_ascii=False),
    )
    client.log_inputs(run, [DatasetInput(dataset, [InputTag("mlflow.data.context", context)])])


def describe_data(store: FeatureStore, data: Data) -> dict[str, Any]:
    """Return the store's spec, and of each recording its source, its features and its annotations, with hashes.

    Parameters
    ----------
    store : FeatureStore
        Where the features are.
    data : Data
        Recordings and annotations.

    Returns
    -------
    dict
        JSON-ready; ``features_sha256`` covers all arrays of the recording.
    """
    recordings = {}
    for recording, source in zip(data.recordings, data.sources, strict=True):
        features = json.dumps([recording.fingerprint(name) for name in sorted(recording.arrays)])
        recordings[recording.id] = {
            "source_name": recording.attributes.get("source_name"),
            "source_sha256": recording.attributes["source_sha256"],
            "roi": recording.attributes.get("roi"),
            "clips": recording.clips,
            "views": recording.views,
            "features_sha256": hashlib.sha256(features.encode()).hexdigest(),
            "annotations": str(source),
            "annotations_sha256": sha256(source),
        }
    return {"store": str(store.path), "spec": store.spec.to_dict(), "recordings": recordings}


def digest(described: dict[str, Any]) -> str:
    """Return what is equal for runs on the same features and annotations, wherever these are."""
    recordings = {
        name: [each["features_sha256"], each["annotations_sha256"]] for name, each in described["recordings"].items()
    }
    content = json.dumps([described["spec"], recordings], sort_keys=True)
    return hashlib.sha256(content.encode()).hexdigest()[:_DIGEST]
