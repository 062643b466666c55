"""What an experiment gave, as one small file: whoever has it need not do the experiment again."""

import hashlib
import importlib.metadata
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Self

import numpy as np

from search.bootstrap import Counts
from search.reproduction.experiments import Experiment, Inputs
from store.files import sha256, write_atomically

_REVISION = 1  # changes when what is kept does, or what an experiment makes of it
ENDING = ".json"


@dataclass(frozen=True)
class Result:
    """What an experiment gave.

    Parameters
    ----------
    clips : dict of int
        How many there are of each part.
    counts : dict
        By part, as ``test``, and by system, as `search.evaluation.Scored.counts` has them: of the model, the probe
        and the trivial baselines. Every score and interval follows from them.
    history : list of dict
        Loss and validation score of each epoch; the first is the start.
    best : int
        Number of the best epoch.
    seconds : float
        What it took.
    """

    clips: dict[str, int]
    counts: dict[str, dict[str, Counts]]
    history: list[dict[str, float]]
    best: int
    seconds: float

    def save(self, path: Path, identity: str, experiment: Experiment) -> None:
        """Write it, whole or not at all."""
        kept = asdict(self) | {
            "identity": identity,
            "experiment": asdict(experiment),
            "counts": {
                part: {system: _plain(counts) for system, counts in systems.items()}
                for part, systems in self.counts.items()
            },
        }
        write_atomically(path, json.dumps(kept).encode())

    @classmethod
    def load(cls, path: Path, identity: str) -> Self | None:
        """Return what is kept, or None where that is nothing, damaged, or of other inputs."""
        try:
            kept: dict[str, Any] = json.loads(path.read_bytes())
            if kept.pop("identity") != identity:
                return None
            del kept["experiment"]
            counts = {
                part: {system: _counts(plain) for system, plain in systems.items()}
                for part, systems in kept.pop("counts").items()
            }
            return cls(counts=counts, **kept)
        except (OSError, ValueError, KeyError, TypeError, AttributeError):
            return None


def identities(inputs: Inputs, experiments: list[Experiment]) -> dict[Experiment, str]:
    """Return for each experiment what tells its result from any other: a hash of all that decides it."""
    hashes = {path: sha256(path) for path in inputs.files}
    recordings = {path: _fingerprints(inputs, path.stem) for path in inputs.files}
    shared = [
        _REVISION,
        importlib.metadata.version("chironomy"),
        asdict(inputs.settings),
        inputs.offset,
        inputs.opened.spec.to_dict(),
    ]
    return {
        each: _hash(
            [*shared, asdict(each), [[path.stem, hashes[path], recordings[path]] for path in inputs.used(each)]]
        )
        for each in experiments
    }


def result_file(folder: Path, experiment: Experiment) -> Path:
    """Return where the result of an experiment is kept."""
    return folder / f"{experiment.name}{ENDING}"


def _fingerprints(inputs: Inputs, recording: str) -> list[str]:
    opened = inputs.opened[recording]
    return [opened.fingerprint(name) for name in sorted(opened.arrays)]


def _hash(decides: Any) -> str:
    return hashlib.sha256(json.dumps(decides, sort_keys=True).encode()).hexdigest()


def _plain(counts: Counts) -> dict[str, Any]:
    return {name: np.round(values, 6).tolist() for name, values in vars(counts).items()}


def _counts(plain: Mapping[str, Any]) -> Counts:
    return Counts(**{name: np.array(values) for name, values in plain.items()})
