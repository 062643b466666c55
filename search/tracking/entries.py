"""What is recorded, in the form and under the names that MLflow takes."""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, is_dataclass
from pathlib import Path
from typing import Any

from heads.settings import PROBE
from search.evaluation import TRIVIAL

_LONGEST = 250  # characters
_AT_ONCE = {"metrics": 1000, "params": 100, "tags": 100}  # that MLflow takes


def log_parameters(client: Any, run: str, values: Mapping[str, Any]) -> None:
    """Record parameters with a run, nested ones as ``outer.inner``."""
    from mlflow.entities import Param

    _log(client, run, "params", [Param(name, _text(value)) for name, value in _flat(values)])


def log_tags(client: Any, run: str, values: Mapping[str, Any]) -> None:
    """Record tags with a run."""
    from mlflow.entities import RunTag

    _log(client, run, "tags", [RunTag(_name(name), _text(value)) for name, value in values.items()])


def log_metrics(client: Any, run: str, rows: Sequence[tuple[str, float, int]], now: int) -> None:
    """Record numbers with a run, each with its name and epoch, as of a moment in milliseconds."""
    from mlflow.entities import Metric

    _log(client, run, "metrics", [Metric(_name(name), float(value), now, step) for name, value, step in rows])


def score_metrics(scores: Mapping[str, Any]) -> Iterator[tuple[str, float]]:
    """Yield of what `search.evaluation.evaluation` returned the numbers that are seen as metrics.

    These are the means over all classes at every level, of the model with the ends of their intervals, of the probe
    and of each trivial baseline macro-F1; and each class's F1 of clips. Hundreds more would hide these.
    """
    yield from _of_level(scores)
    yield from ((f"f1/{name}", found["f1"]) for name, found in scores["classes"].items())


def _log(client: Any, run: str, what: str, entries: Sequence[Any]) -> None:
    for at in range(0, len(entries), _AT_ONCE[what]):
        client.log_batch(run, **{what: entries[at : at + _AT_ONCE[what]]})


def _text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str)


def _name(name: str) -> str:
    """Return a name that MLflow takes."""
    return re.sub(r"[^\w/. -]", "_", name).strip("/")[:_LONGEST]


def _flat(values: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    for name, value in values.items():
        inner = asdict(value) if is_dataclass(value) and not isinstance(value, type) else value
        if isinstance(inner, Mapping):
            yield from ((f"{_name(name)}.{key}", each) for key, each in _flat(inner))
        else:
            yield _name(name), inner


def _of_level(level: Mapping[str, Any]) -> Iterator[tuple[str, float]]:
    left_out = [f"{system}_{name}" for system in (PROBE, *TRIVIAL) for name in ("supported_macro_f1", "micro_f1")]
    for name, value in level.items():
        if name == "differences":
            yield from ((f"above/{Path(against).name}", found["mean"]) for against, found in value.items())
        elif name.endswith("_interval"):
            yield from zip((f"{name}_low", f"{name}_high"), value or (), strict=False)  # None: there is one block
        elif isinstance(value, Mapping) and name != "classes":  # frames, events, and these by their overlap
            yield from ((f"{name}/{key}", each) for key, each in _of_level(value))
        elif isinstance(value, int | float) and name not in left_out:
            yield name, float(value)
