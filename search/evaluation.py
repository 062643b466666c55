"""What a model's predictions are worth: of clips, of frames and of events, beside what needs no model."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from heads.metrics import (
    average_precision,
    batch_averaged_f1,
    event_hits,
    expected_calibration_error,
    trivial_predictions,
)
from heads.settings import PROBE
from search.bootstrap import Counts, Interval, count, draw_blocks, paired_difference, percentile_interval
from search.frames import Frames, in_time

MODEL = "model"  # beside it `heads.settings.PROBE`
CHANCE = "chance"
TRIVIAL = ("always", CHANCE, "majority")
OVERLAPS = (0.1, 0.25, 0.5)  # intersection over union of events
COINS = 20  # draws of the baseline by chance, whose events cannot be reckoned
SEED = 0


@dataclass(frozen=True)
class Scored:
    """Clips to score, each once, with what is known of them and what was predicted.

    Clips of several folds are scored together by joining them (`pool`): each then has what was predicted
    under its own fold's thresholds, and its own fold's frequencies.

    Parameters
    ----------
    true : ndarray of bool, shape (clips, classes)
        Hard labels.
    frames : ndarray of bool, shape (clips, length, classes)
        Labels of the frames.
    probability : ndarray of float, shape (clips, classes)
        As the model predicts, 0 to 1.
    present : ndarray of bool, shape (clips, classes)
        The same against the thresholds.
    probe_probability : ndarray of float, shape (clips, classes)
        As the linear probe predicts.
    probe : ndarray of bool, shape (clips, classes)
        The same against its thresholds.
    frequency : ndarray of float64, shape (clips, classes)
        Share of the training clips in which each class is present.
    times : ndarray of float64, shape (clips, 2)
        Start and end of each clip in seconds.
    recording : ndarray of int, shape (clips,)
        Index of each clip's recording.
    block : ndarray of int, shape (clips,)
        Number of the block that each clip is drawn with, over all recordings.

    Raises
    ------
    ValueError
        If the shapes do not fit, or there is no clip.
    """

    true: NDArray[np.bool_]
    frames: NDArray[np.bool_]
    probability: NDArray[np.floating]
    present: NDArray[np.bool_]
    probe_probability: NDArray[np.floating]
    probe: NDArray[np.bool_]
    frequency: NDArray[np.float64]
    times: NDArray[np.float64]
    recording: NDArray[np.intp]
    block: NDArray[np.intp]

    def __post_init__(self) -> None:
        clips, classes = self.true.shape
        table = (clips, classes)
        expected = [table, (clips, *self.frames.shape[1:2], classes), *[table] * 5, (clips, 2), (clips,), (clips,)]
        for field, shape in zip(fields(self), expected, strict=True):
            if getattr(self, field.name).shape != shape:
                raise ValueError(f"{field.name}: shape {shape} expected, got {getattr(self, field.name).shape}")
        if not clips:
            raise ValueError("at least one clip to score expected")

    @cached_property
    def answered(self) -> Frames:
        """The frames that the clips answer for."""
        return in_time(self.times, self.recording, self.frames.shape[1])

    @cached_property
    def predictions(self) -> dict[str, NDArray]:
        """What each system predicts, (clips, classes): presence, or its probability where left to chance."""
        return {MODEL: self.present, PROBE: self.probe, **trivial_predictions(self.frequency)}

    @cached_property
    def counts(self) -> dict[str, Counts]:
        """The counts of clips by block, for each system; `paired_difference` takes them."""
        return {name: count(self.true, predicted, self.block) for name, predicted in self.predictions.items()}


def pool(parts: Sequence[Scored]) -> Scored:
    """Join the scored clips of several folds; recordings and blocks have the same number in all of them."""
    return Scored(
        **{field.name: np.concatenate([getattr(part, field.name) for part in parts]) for field in fields(Scored)}
    )


def select(scored: Scored, chosen: NDArray[np.bool_]) -> Scored:
    """Return some of the scored clips."""
    return Scored(**{field.name: getattr(scored, field.name)[chosen] for field in fields(Scored)})


def evaluation(classes: Sequence[str], scored: Scored) -> dict[str, Any]:
    """Score clips, frames and events, each beside the linear probe and the trivial baselines.

    Every score has its name after that of the system, the model's own alone: ``macro_f1``, ``probe_macro_f1``,
    ``always_macro_f1``, ``chance_macro_f1``, ``majority_macro_f1``. Means are over all classes, one without
    positives counting 0, but for ``supported_macro_f1``, which is over those with one. An interval,
    ``..._interval``, is [low, high], 95 %, by drawing blocks again, or None where there is one block alone.

    A frame gets what is predicted for its clip; where clips overlap, each answers for its middle. Events are
    runs of such frames over neighbouring clips: what is not scored ends them.

    Parameters
    ----------
    classes : sequence of str
        Names of the columns.
    scored : Scored
        The clips.

    Returns
    -------
    dict
        JSON-ready.

    Raises
    ------
    ValueError
        If there are not as many names as classes, or a clip is there twice.
    """
    counts = scored.counts
    weights = draw_blocks(len(counts[MODEL].block))
    ranking = average_precision(scored.true, scored.probability)
    calibration = expected_calibration_error(scored.true, scored.probability)
    level = _level(classes, counts, weights)
    for name, precision, error in zip(classes, ranking, calibration, strict=True):
        level["classes"][name] |= {"average_precision": float(precision), "ece": float(error)}
    return {
        "clips": len(scored.true),
        "blocks": weights.shape[1],
        "batch_averaged_f1": batch_averaged_f1(scored.true, scored.present),
        "mean_average_precision": float(ranking.mean()),
        "ece": float(calibration.mean()),
        "differences": _differences(counts),
        **level,
        "frame": _level(classes, _frame_counts(scored), weights),
        "event": {str(overlap): _level(classes, counts) for overlap, counts in _event_counts(scored).items()},
    }


def _level(classes: Sequence[str], counts: Mapping[str, Counts], weights: NDArray | None = None) -> dict[str, Any]:
    """Return one level's scores of every system, and given draws of blocks the intervals of the model's."""
    level: dict[str, Any] = {}
    for system, tally in counts.items():
        f1, supported = tally.scores()[2], tally.true.any(axis=0)
        level |= {
            f"{_prefix(system)}macro_f1": float(f1.mean()),
            f"{_prefix(system)}supported_macro_f1": float(f1[supported].mean()) if supported.any() else 0.0,
            f"{_prefix(system)}micro_f1": tally.micro_f1(),
        }
    rows = _class_rows(classes, counts)
    if weights is not None:
        drawn = counts[MODEL].drawn_f1(weights)
        level["macro_f1_interval"] = _listed(percentile_interval(drawn.mean(axis=1), weights.shape[1]))
        for row, column in zip(rows.values(), drawn.T, strict=True):
            row["f1_interval"] = _listed(percentile_interval(column, weights.shape[1]))
    return level | {"classes": rows}


def _class_rows(classes: Sequence[str], counts: Mapping[str, Counts]) -> dict[str, dict[str, Any]]:
    precision, recall, f1 = counts[MODEL].scores()
    support = counts[MODEL].true.sum(axis=0)
    baselines = {f"{_prefix(system)}f1": tally.scores()[2] for system, tally in counts.items() if system != MODEL}
    return {
        name: {
            "precision": float(precision[column]),
            "recall": float(recall[column]),
            "f1": float(f1[column]),
            "support": int(support[column]),
            **{key: float(values[column]) for key, values in baselines.items()},
        }
        for column, name in enumerate(classes)
    }


def _differences(counts: Mapping[str, Counts]) -> dict[str, dict[str, Any]]:
    """Return by how much the model is above the probe, and above what turned out the best trivial baseline."""
    best = max(TRIVIAL, key=lambda name: counts[name].scores()[2].mean())
    found = {name: paired_difference([counts[MODEL]], [counts[name]]) for name in (PROBE, best)}
    return {name: {"mean": each.mean, "interval": _listed(each.interval)} for name, each in found.items()}


def _frame_counts(scored: Scored) -> dict[str, Counts]:
    """Count frames: each has what is predicted for its clip."""
    true = scored.answered.count(scored.frames)
    return {
        name: count(true, predicted, scored.block, scored.answered.size)
        for name, predicted in scored.predictions.items()
    }


def _event_counts(scored: Scored) -> dict[float, dict[str, Counts]]:
    """Count events, all as of one block: they pass from one to the next."""
    answered, random = scored.answered, np.random.default_rng(SEED)
    true = _events(answered, answered.labels(scored.frames))
    found = {}
    for name, predicted in scored.predictions.items():
        tosses = [predicted > 0.5] if name != CHANCE else (random.random((COINS, *predicted.shape)) < predicted)
        found[name] = np.mean([_match(true, _events(answered, each[answered.clip])) for each in tosses], axis=0)
    there = np.array([[len(events) for events in true]], np.float64)
    return {
        overlap: {
            name: Counts(np.zeros(1, np.intp), hits[None, number], hits[None, -1], there)
            for name, hits in found.items()
        }
        for number, overlap in enumerate(OVERLAPS)
    }


def _events(answered: Frames, present: NDArray[np.bool_]) -> list[NDArray[np.float64]]:
    """Return the events of each class; labels (frames, classes)."""
    return [answered.events(column) for column in present.T]


def _match(true: list[NDArray[np.float64]], predicted: list[NDArray[np.float64]]) -> NDArray[np.intp]:
    """Return the hits of each class at each overlap, and last the predicted events, (overlaps + 1, classes)."""
    hits = [event_hits(*each, OVERLAPS) for each in zip(true, predicted, strict=True)]
    return np.vstack([np.transpose(hits), [len(events) for events in predicted]])


def _prefix(system: str) -> str:
    return "" if system == MODEL else f"{system}_"


def _listed(interval: Interval | None) -> list[float] | None:
    return None if interval is None else list(interval)
