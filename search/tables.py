"""Results as tables for people; every score beside the baselines that it has to beat."""

import sys
from typing import Any

from rich.console import Console
from rich.table import Table

UNTRAINED = "The backbone is untrained (random weights): these scores show that the path works, not how well it can."
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
    _show_notes(result)
    trained, scores = result["training"], result["scores"]
    epochs = f", best of {len(trained['history']) - 1} epochs: {trained['best_epoch']}" if "history" in trained else ""
    title = f"{result['system']} on {result['vocabulary']['name']}, {trained['split']} split{epochs}"
    parts = {part: scores[part] for part in ("validation", "test") if part in scores}
    if parts:
        _print(_scores_table(title, parts))
    if "test" in parts:
        _show_blocks(scores["test"])
        if "folds" in scores:
            _print(_folds_table(scores["folds"]))
        _print(_levels_table("Test part, level by level", scores["test"]))
        _show_borders(scores["test"])
        _print(_classes_table("Test part, class by class", scores["test"], result["thresholds"]))
    _show_left_out(trained.get("cross_validation"))
    _show_gain(trained.get("postprocessing"))
    _show_untrained(result)
    print(f"model: {result['model']}")
    _show_run(result)


def show_update(result: dict[str, Any]) -> None:
    """Print what `search.updating.update` returned."""
    show_training(result)
    changes = result["changes"]
    clips = changes["clips"]
    print(f"since {changes['from']}: {clips['known']} clips newly annotated, {clips['dropped']} no longer")
    if changes["annotations"] is None:
        print("The earlier model does not remember its annotations: which of them changed is not known.")
    else:
        table = Table(title="Annotations since then", title_justify="left")
        for column in ("gesture", "before", "now", "added", "removed", "moved"):
            table.add_column(column, justify="left" if column == "gesture" else "right")
        for name, counts in changes["annotations"].items():
            table.add_row(name, *map(str, counts.values()))
        _print(table)
    scores = changes["scores"]
    if scores is not None:
        before, after = scores["before"]["macro_f1"], scores["after"]["macro_f1"]
        print(
            f"On the same {scores['clips']} held-out clips: macro-F1 {before:.2f} before, {after:.2f} now, "
            f"{scores['difference']:+.3f}{_interval(scores['interval'], '+', 3)}"
        )


def show_search(result: dict[str, Any]) -> None:
    """Print what `search.studies.searching.search` returned."""
    show_training(result)
    found, held_out = result["search"], result["search"]["held_out"]
    table = Table(title=f"{found['study']}: {found['metric']} in cross-validation", title_justify="left")
    for column in ("settings", found["metric"]):
        table.add_column(column, justify="left" if column == "settings" else "right")
    for name, value in found["known_settings"].items():
        table.add_row(f"the {name} ones", f"{value:.3f}")
    table.add_row(f"the best: trial {found['best_trial']}", f"{found['best']:.3f}")
    _print(table)
    print(", ".join(f"{name} {value}" for name, value in found["best_settings"].items()))
    if found["importances"]:
        print("what mattered: " + ", ".join(f"{name} {share:.2f}" for name, share in found["importances"].items()))
    print(
        f"On the test part, which no trial has seen ({held_out['clips']} clips): macro-F1 {held_out['best']:.3f}, with "
        f"the default settings {held_out['default']:.3f}, a difference of {held_out['difference']:+.3f}"
        f"{_interval(held_out['interval'], '+', 3)}. {_verdict(held_out)}"
    )
    print(f"trials: {', '.join(f'{count} {state}' for state, count in found['trials'].items())}")
    print(f"study:  {found['folder']}")


def _verdict(held_out: dict[str, Any]) -> str:
    """Return in words whether a search was worth it."""
    low, high = held_out["interval"] or (-1, 1)
    if low > 0:
        return "The settings found are better than the default ones."
    if high < 0:
        return "The settings found are worse than the default ones: keep those."
    return "That is within what chance does: the settings found are not shown to beat the default ones."


def show_evaluation(result: dict[str, Any]) -> None:
    """Print what `search.runs.evaluate` returned."""
    _show_notes(result)
    for recording, scored in result["scored"].items():
        print(f"{recording}: {scored}")
    _print(_scores_table(f"{result['system']} ({result['model']})", {"evaluation": result["scores"]}))
    _show_blocks(result["scores"])
    _print(_levels_table("Level by level", result["scores"]))
    _show_borders(result["scores"])
    _print(_classes_table("Class by class", result["scores"], None))
    _show_untrained(result)
    _show_run(result)


def show_labelling(result: dict[str, Any]) -> None:
    """Print what `heads.labelling.label` returned."""
    table = Table(title=f"{result['recording']}: {result['clips']} clips labelled", title_justify="left")
    for column, justify in (("gesture", "left"), ("intervals", "right"), ("seconds", "right")):
        table.add_column(column, justify=justify)  # type: ignore[arg-type]
    for gesture, found in result["gestures"].items():
        table.add_row(gesture, str(found["intervals"]), f"{found['seconds']:.1f}")
    _print(table)
    for each in result["suggestions"]:
        print(f"worth a look: {each['begin']:7.1f} to {each['end']:.1f} s  {each['why']}")
    _show_untrained(result)
    print(f"written: {result['out']}")


def show_store(summary: dict[str, Any]) -> None:
    """Print what `store.summary.inspect_store` returned."""
    spec = summary["spec"]
    print(f"{summary['store']}: {spec['backbone']}, weights {spec['weights']} ({spec['kind']}), {spec['precision']}")
    table = Table()
    for column in ("recording", "clips", "sound", "seconds", "frames/s", "source"):
        table.add_column(column, justify="right" if column in ("clips", "seconds", "frames/s") else "left")
    damages = {name: recording["damage"] for name, recording in summary["recordings"].items() if recording["damage"]}
    for name, recording in summary["recordings"].items():
        if name not in damages:
            sound = "yes" if recording["sound"] else "no"
            numbers = (f"{recording[key]:.2f}" for key in ("duration", "frame_rate"))
            table.add_row(name, str(recording["clips"]), sound, *numbers, recording["source_name"])
    _print(table)
    for name, clips in summary["unfinished"].items():
        print(f"{name}: unfinished, {clips} clips so far; extract the video again to go on")
    for name in summary["foreign"]:
        print(f"{name}: a folder in the store that is no recording")
    for damage in (*damages.values(), *summary["damage"]):
        print(f"chironomy: {damage}", file=sys.stderr)
    if summary["verified"]:
        whole = len(summary["recordings"]) - len(damages)
        print(f"verified: {whole} of {len(summary['recordings'])} recordings are whole")


def show_annotations(summary: dict[str, Any]) -> None:
    """Print what `store.mismatch.summarise_checked` returned for each file."""
    for file in summary["files"]:
        table = Table(title=file["file"], title_justify="left")
        for column in ("tier", "annotations", "seconds", "first", "last"):
            table.add_column(column, justify="left" if column == "tier" else "right")
        for tier in file["tiers"]:
            ends = ("" if tier[key] is None else f"{tier[key]:.3f}" for key in ("first", "last"))
            table.add_row(tier["name"], str(tier["count"]), f"{tier['seconds']:.3f}", *ends)
        _print(table)
        for media in file["media"]:
            print(f"media: {media['relative_url'] or media['url']}")
        if file.get("video") is not None:
            print(
                f"fits its video: {file['video']['seconds']:.3f} s, {file['video']['frame_rate']:.5g} frames a second"
            )
        elif "video" in file:
            print("not checked: the store has no recording of this name")
        if "vocabulary" in file:
            counts = (f"{name} {found['count']} ({found['seconds']:.1f} s)" for name, found in file["gestures"].items())
            print(f"as {file['vocabulary']}: {', '.join(counts)}")
            print(f"left alone: {', '.join(file['ignored']) or 'nothing'}")
            for found, meant in file["near_misses"].items():
                print(f"{found!r} is not in the vocabulary; did you mean {meant!r}?")


def show_demo(result: dict[str, Any]) -> None:
    """Print what `demo.run.run_demo` returned."""
    _print(_scores_table("macro-F1 on four drawn performances", result["scores"]))
    _show_untrained(result)
    print("A random split flatters: clips next to each other look alike. Believe the blocked one.")
    for name, path in result["files"].items():
        print(f"{name + ':':<14} {path}")


def show_reproduction(result: dict[str, Any]) -> None:
    """Print what `search.reproduction.reproduce` returned: Tables 7 and 8, the test part."""
    _show_notes(result)
    for name, rows in result["tables"].items():
        table = Table(title=f"{name.replace('-', ' ')}: mean F1, test part [95 %]", title_justify="left")
        for head, *columns in [list(row) for row in rows[:1]]:
            table.add_column(head)
            for column in columns:
                if column.endswith("test"):
                    table.add_column(column.removesuffix(": test"), justify="right")
        for row in rows:
            name, *cells = [value for column, value in row.items() if not column.endswith("train")]
            table.add_row(name, *map(_reproduced, cells))
        _print(table)
    counted = result["experiments"]
    print(f"experiments: {counted['now']} done now, {counted['before']} before, {counted['not_possible']} not possible")
    _show_untrained(result)
    for name, path in result["files"].items():
        print(f"{name + ':':<10} {path}")


def show_report(result: dict[str, Any]) -> None:
    """Print what `search.report.report` returned."""
    _show_notes(result)
    print(f"written: {result['out']} ({result['bytes'] / 1e6:.1f} MB)")


def _reproduced(cell: dict[str, Any]) -> str:
    if cell["value"] is None:
        return cell["reason"]
    beside = "".join(f"\n{name} {value:.2f}" for name, value in cell["baselines"].items())
    paper = "" if cell["paper"] is None else f"\npaper {cell['paper']:.2f}"
    return f"{cell['value']:.2f}{_interval(cell['interval'])}{paper}{beside}"


def _scores_table(title: str, parts: dict[str, dict[str, Any]]) -> Table:
    """Return scores over all classes, a column for each part; intervals are of 95 %."""
    table = Table(title=title, title_justify="left")
    table.add_column("macro-F1 [95 %]")
    for part, scores in parts.items():
        table.add_column(f"{part} ({scores['clips']} clips)", justify="right")
    for key, name in BASELINES.items():
        table.add_row(name, *(_number(scores, key) for scores in parts.values()))
    table.add_section()
    named = ("above the linear probe", "above the best trivial")
    for number, against in enumerate(next(iter(parts.values()))["differences"]):
        found = [list(scores["differences"].values())[number] for scores in parts.values()]
        name = named[number] if number < len(named) else f"above {against}"
        table.add_row(name, *(f"{each['mean']:+.2f}{_interval(each['interval'], '+')}" for each in found))
    table.add_section()
    for key, name in FURTHER.items():
        table.add_row(name, *(_number(scores, key) for scores in parts.values()))
    return table


def _levels_table(title: str, scores: dict[str, Any]) -> Table:
    """Return macro-F1 of clips, frames and events, a column for the model and each baseline."""
    table = Table(title=title, title_justify="left")
    table.add_column("macro-F1")
    for system in ("this model", "probe", "always", "chance", "majority"):
        table.add_column(system, justify="right")
    events = {f"events, overlap {overlap}": level for overlap, level in scores["event"].items()}
    for name, level in {"clips": scores, "frames": scores["frame"], **events}.items():
        table.add_row(name, *(f"{level[key]:.2f}" for key in BASELINES))
    return table


def _folds_table(folds: dict[str, dict[str, Any]]) -> Table:
    table = Table(title="macro-F1, fold by fold", title_justify="left")
    for column in ("tested", "clips", *BASELINES.values()):
        table.add_column(column, justify="left" if column == "tested" else "right")
    for name, scores in folds.items():
        table.add_row(name, str(scores["clips"]), *(f"{scores[key]:.2f}" for key in BASELINES))
    return table


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
            f"{gain['difference']:+.3f}{_interval(gain['interval'], '+', 3)}"
        )
        return
    print(
        f"Post-processing, tuned for {gain['level']}s: macro-F1 of {gain['level']}s in blocks that it was not tuned on "
        f"{gain['tuned']:.2f}, with thresholds alone {gain['plain']:.2f}: "
        f"{gain['difference']:+.3f}{_interval(gain['interval'], '+', 3)}"
    )


def _show_borders(scores: dict[str, Any]) -> None:
    found = scores.get("borders")
    if found is not None and found["borders"]:
        print(
            f"Borders of the events found: off by {found['median']:.2f} s in the median ({found['borders']}), those of "
            f"the clips alone by {found['median_of_clips']:.2f} s"
        )


def _classes_table(title: str, scores: dict[str, Any], thresholds: dict[str, float] | None) -> Table:
    table = Table(title=title, title_justify="left")
    table.add_column("class")
    columns = {"precision": "precision", "recall": "recall", "f1": "F1 [95 %]", "average_precision": "AP", "ece": "ECE"}
    for column in ("clips", *columns.values(), *(["threshold"] if thresholds else [])):
        table.add_column(column, justify="right")
    for name, row in scores["classes"].items():
        cells = [str(row["support"]), *(_number(row, key) for key in columns)]
        table.add_row(name, *cells, *([f"{thresholds[name]:.3f}"] if thresholds else []))
    return table


def _number(scores: dict[str, Any], key: str) -> str:
    return f"{scores[key]:.2f}{_interval(scores.get(f'{key}_interval'))}"


def _interval(ends: list[float] | None, sign: str = "", digits: int = 2) -> str:
    return "" if ends is None else f" [{ends[0]:{sign}.{digits}f}, {ends[1]:{sign}.{digits}f}]"


def _show_notes(result: dict[str, Any]) -> None:
    for note in result["notes"]:
        print(f"note: {note}", file=sys.stderr)


def _show_run(result: dict[str, Any]) -> None:
    if result.get("run") is not None:
        print(f"recorded; to look at all runs: {result['run']['view']}")


def _show_untrained(result: dict[str, Any]) -> None:
    if result["untrained_backbone"]:
        print(UNTRAINED)


def _print(table: Table) -> None:
    # Without markup: "Nodding [chironomy]" is a tier's name, not a style.
    console = Console(width=None if sys.stdout.isatty() else 120, highlight=False, markup=False, emoji=False)
    console.print(table)
