"""Scores as tables, every one beside the baselines that it has to beat."""

from typing import Any

from rich.table import Table

from commands.tables import interval, make_table, print_table, show_notes, show_run, show_untrained

BASELINES = {
    "macro_f1": "this model",
    "probe_macro_f1": "linear probe",
    "always_macro_f1": "every class always",
    "chance_macro_f1": "by chance, as in training",
    "majority_macro_f1": "most frequent classes always",
}
FURTHER = {
    "supported_macro_f1": "over classes that occur",
    "micro_f1": "micro-F1",
    "batch_averaged_f1": "averaged over batches",
    "mean_average_precision": "mean average precision",
    "ece": "calibration error",
}


def show_training(result: dict[str, Any]) -> None:
    """Print what `search.runs.train` returned."""
    show_notes(result)
    trained, scores = result["training"], result["scores"]
    epochs = f", best of {len(trained['history']) - 1} epochs: {trained['best_epoch']}" if "history" in trained else ""
    title = f"{result['system']} on {result['vocabulary']['name']}, {trained['split']} split{epochs}"
    parts = {part: scores[part] for part in ("validation", "test") if part in scores}
    if parts:
        print_table(scores_table(title, parts))
    if "test" in parts:
        _show_blocks(scores["test"])
        if "folds" in scores:
            print_table(_folds_table(scores["folds"]))
        print_table(_levels_table("Test part, level by level", scores["test"]))
        _show_borders(scores["test"])
        print_table(_classes_table("Test part, class by class", scores["test"], result["thresholds"]))
    _show_left_out(trained.get("cross_validation"))
    _show_gain(trained.get("postprocessing"))
    show_untrained(result)
    print(f"model: {result['model']}")
    show_run(result)


def show_evaluation(result: dict[str, Any]) -> None:
    """Print what `search.runs.evaluate` returned."""
    show_notes(result)
    for recording, scored in result["scored"].items():
        print(f"{recording}: {scored}")
    print_table(scores_table(f"{result['system']} ({result['model']})", {"evaluation": result["scores"]}))
    _show_blocks(result["scores"])
    print_table(_levels_table("Level by level", result["scores"]))
    _show_borders(result["scores"])
    print_table(_classes_table("Class by class", result["scores"], None))
    show_untrained(result)
    show_run(result)


def scores_table(title: str, parts: dict[str, dict[str, Any]]) -> Table:
    """Return scores over all classes, a column for each part; intervals are of 95 %."""
    table = make_table(
        title, "macro-F1 [95 %]", [f"{part} ({scores['clips']} clips)" for part, scores in parts.items()]
    )
    for key, name in BASELINES.items():
        table.add_row(name, *(_number(scores, key) for scores in parts.values()))
    table.add_section()
    named = ("above the linear probe", "above the best trivial")
    for number, against in enumerate(next(iter(parts.values()))["differences"]):
        found = [list(scores["differences"].values())[number] for scores in parts.values()]
        name = named[number] if number < len(named) else f"above {against}"
        table.add_row(name, *(f"{each['mean']:+.2f}{interval(each['interval'], '+')}" for each in found))
    table.add_section()
    for key, name in FURTHER.items():
        table.add_row(name, *(_number(scores, key) for scores in parts.values()))
    return table


def _levels_table(title: str, scores: dict[str, Any]) -> Table:
    """Return macro-F1 of clips, frames and events, a column for the model and each baseline."""
    table = make_table(title, "macro-F1", ("this model", "probe", "always", "chance", "majority"))
    events = {f"events, overlap {overlap}": level for overlap, level in scores["event"].items()}
    for name, level in {"clips": scores, "frames": scores["frame"], **events}.items():
        table.add_row(name, *(f"{level[key]:.2f}" for key in BASELINES))
    return table


def _folds_table(folds: dict[str, dict[str, Any]]) -> Table:
    table = make_table("macro-F1, fold by fold", "tested", ("clips", *BASELINES.values()))
    for name, scores in folds.items():
        table.add_row(name, str(scores["clips"]), *(f"{scores[key]:.2f}" for key in BASELINES))
    return table


def _classes_table(title: str, scores: dict[str, Any], thresholds: dict[str, float] | None) -> Table:
    columns = {"precision": "precision", "recall": "recall", "f1": "F1 [95 %]", "average_precision": "AP", "ece": "ECE"}
    table = make_table(title, "class", ("clips", *columns.values(), *(["threshold"] if thresholds else [])))
    for name, row in scores["classes"].items():
        cells = [str(row["support"]), *(_number(row, key) for key in columns)]
        table.add_row(name, *cells, *([f"{thresholds[name]:.3f}"] if thresholds else []))
    return table


def _number(scores: dict[str, Any], key: str) -> str:
    return f"{scores[key]:.2f}{interval(scores.get(f'{key}_interval'))}"


def _show_blocks(scores: dict[str, Any]) -> None:
    if scores["blocks"] < 2:
        print("These clips are of one block of time: no intervals. With --split cv:5 all that is annotated is tested.")


def _show_left_out(found: dict[str, Any] | None) -> None:
    if found is not None and found["mean_average_precision"] is not None:
        print(
            f"Thresholds were tuned on {found['stretches']} stretches, each left out in turn: mean average precision "
            f"there {found['mean_average_precision']:.2f}, by chance {found['prevalence']:.2f}"
        )


def _show_gain(gain: dict[str, Any] | None) -> None:
    if gain is None or gain["difference"] is None:
        return
    if gain["level"] == "effort":
        print(
            f"Post-processing, tuned for the effort of correcting: in blocks that it was not tuned on that saves "
            f"{gain['tuned']:.0%} of the work of adding everything, with thresholds alone {gain['plain']:.0%}: "
            f"{gain['difference']:+.3f}{interval(gain['interval'], '+', 3)}"
        )
        return
    print(
        f"Post-processing, tuned for {gain['level']}s: macro-F1 of {gain['level']}s in blocks that it was not tuned on "
        f"{gain['tuned']:.2f}, with thresholds alone {gain['plain']:.2f}: "
        f"{gain['difference']:+.3f}{interval(gain['interval'], '+', 3)}"
    )


def _show_borders(scores: dict[str, Any]) -> None:
    found = scores.get("borders")
    if found is not None and found["borders"]:
        print(
            f"Borders of the events found: off by {found['median']:.2f} s in the median ({found['borders']}), those of "
            f"the clips alone by {found['median_of_clips']:.2f} s"
        )
