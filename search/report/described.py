"""What a model's own description tells: what it learned from, how, and how good it was."""

from collections.abc import Mapping
from typing import Any

from heads.model import GestureModel
from search.figures.bars import class_bars
from search.figures.curves import learning_curves
from search.parts import PARTS
from search.rendering.tables import BASELINES, Cell, Row, Table
from search.report.pieces import Drawing, Piece, Text

_TRIVIAL = {"probe": "linear probe", "always": "every class always", "chance": "by chance", "majority": "most frequent"}


def learned_from(model: GestureModel) -> list[Piece]:
    """Return what the model learned from what, and how."""
    training, settings = model.training, model.settings
    rows: list[Row] = [
        (name, used["annotations"], *(sum(stop - first for first, stop in used[part]) for part in PARTS))
        for name, used in training["recordings"].items()
    ]
    columns = ("recording", "annotations", *(f"clips: {part}" for part in PARTS))
    chosen = f"{settings.optimiser}, learning rate {settings.learning_rate:g}, decay {settings.weight_decay:g}"
    found: list[Piece] = [
        Text(
            f"System {model.system}, classes of {model.vocabulary.name}, split {training['split']}, seed "
            f"{settings.seed}. "
            f"Features: {model.spec.backbone}, weights {model.spec.weights}, standardised by {settings.standardise}. "
            f"What learns: {settings.tune} and the classifier; {chosen}, loss {settings.loss}."
        ),
        Table("recordings", "Clips in each part", columns, tuple(rows)),
    ]
    if len(training.get("history", ())) > 1:
        history = training["history"]
        figure = learning_curves(
            "Learning",
            [epoch["loss"] for epoch in history],
            [epoch["score"] for epoch in history],
            training["best_epoch"],
            "mean average precision, validation",
        )
        found.append(
            Drawing("learning", "Training loss, and the validation score by which the epoch was chosen.", figure)
        )
    return found


def scores(model: GestureModel) -> list[Piece]:
    """Return how good it was, part by part and class by class, beside what needs no network."""
    parts: dict[str, Mapping[str, Any]] = {
        part: model.scores[part] for part in ("validation", "test") if part in model.scores
    }
    tested = model.scores.get("test")
    if tested is None:
        return [Text("Nothing was held out to score it on: too little was annotated. It learned from all of it.")]
    thresholds = dict(zip(model.vocabulary.classes, model.head.thresholds.tolist(), strict=True))
    found: list[Piece] = [_averages(parts)]
    if tested["blocks"] < 2:
        found.append(Text("The test clips are of one block of time: no intervals. cv:5 tests all that is annotated."))
    found.append(_classes(tested, thresholds))
    rows = tested["classes"].values()
    bars = {"this model": [(row["f1"], _interval(row)) for row in rows]}
    figure = class_bars(
        "F1 on the test part", list(tested["classes"]), bars, {"linear probe": [row["probe_f1"] for row in rows]}
    )
    caption = "F1 of each class on the test part; whiskers: 95 %; dashed: the linear probe."
    return [*found, Drawing("f1", caption, figure)]


def _averages(parts: Mapping[str, Mapping[str, Any]]) -> Table:
    rows: list[Row] = [
        ("this model", *(Cell(found["macro_f1"], _interval(found, "macro_f1")) for found in parts.values()))
    ]
    rows += [
        (shown, *(float(found[f"{name}_macro_f1"]) for found in parts.values())) for name, shown in _TRIVIAL.items()
    ]
    rows.append(("mean average precision", *(float(found["mean_average_precision"]) for found in parts.values())))
    columns = ("macro-F1", *(f"{part} ({found['clips']} clips)" for part, found in parts.items()))
    note = "F1 is averaged over all classes; one that does not occur counts 0. Believe what is above the baselines."
    return Table("scores", "Scores", columns, tuple(rows), (note,))


def _classes(tested: Mapping[str, Any], thresholds: Mapping[str, float]) -> Table:
    rows: list[Row] = []
    for name, row in tested["classes"].items():
        beside = {shown: row[f"{key}_f1"] for key, shown in BASELINES.items()}
        numbers = (float(row["precision"]), float(row["recall"]))
        f1 = Cell(row["f1"], _interval(row), baselines=beside)
        rows.append((name, row["support"], *numbers, f1, float(row["average_precision"]), thresholds[name]))
    columns = ("class", "clips", "precision", "recall", "F1", "average precision", "threshold")
    return Table("classes", "Class by class, test part", columns, tuple(rows))


def _interval(found: Mapping[str, Any], name: str = "f1") -> tuple[float, float] | None:
    ends = found.get(f"{name}_interval")
    return None if ends is None else (float(ends[0]), float(ends[1]))
