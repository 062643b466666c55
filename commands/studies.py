"""Many trainings: search."""

import argparse
from pathlib import Path
from typing import Any

from commands.learning import add_postprocess, learning, settings_of
from commands.scores import show_training
from commands.shared import (
    Arguments,
    add_annotated_store,
    add_device,
    add_json,
    add_seed,
    add_vocabulary,
    command,
    positive,
    show,
    split,
)
from commands.tables import interval, make_table, print_table
from heads.settings import CHOICES
from search.split_names import FEWEST_FOLDS


def add_search(commands: Any) -> None:
    """Add the command."""
    text = "Search for settings by cross-validation, train a model with the best, and compare it with the defaults."
    parser = command(commands, "search", _run_search, text)
    parser.set_defaults(when_stopped="all trials done are kept, and gone on from by the same command")
    add_annotated_store(parser)
    add_vocabulary(parser, required=True)
    parser.add_argument(
        "--out",
        type=Path,
        required=True,
        metavar="MODEL",
        help="folder for the model; the study is kept in MODEL.search",
    )
    what = parser.add_argument_group("what is searched")
    what.add_argument("--trials", type=positive, default=50, metavar="N", help="settings to try (default 50)")
    what.add_argument(
        "--space", type=Path, metavar="FILE", help="what may be tried (default: see MODEL.search/space.toml)"
    )
    what.add_argument(
        "--tune", choices=CHOICES["tune"], default="fc", help="the first layer that learns (default fc: seconds each)"
    )
    what.add_argument(
        "--epochs", type=positive, metavar="N", help="of each training at most (default 40; 10 with conv5)"
    )
    what.add_argument(
        "--metric",
        default="macro_f1",
        metavar="SCORE",
        help="what is to be high: any score of evaluate --json, as frame/macro_f1 or event/0.5/macro_f1",
    )
    what.add_argument("--folds", type=_folds, default=5, metavar="K", help="of the cross-validation (default 5)")
    add_seed(what)
    where = parser.add_argument_group("where")
    where.add_argument("--jobs", type=positive, default=1, metavar="N", help="processes on this machine (default 1)")
    where.add_argument(
        "--storage",
        metavar="URL",
        help="database that several machines share, as postgresql://USER@HOST/NAME (default: a file in MODEL.search)",
    )
    add_device(where, "where to train")
    scored = parser.add_argument_group("how it is scored")
    scored.add_argument(
        "--split", type=split, default="blocked", help="whose test part no trial sees (default blocked)"
    )
    add_postprocess(parser)
    add_json(parser)


def _folds(text: str) -> int:
    folds = positive(text)
    if folds < FEWEST_FOLDS:
        raise argparse.ArgumentTypeError(f"{text}: at least {FEWEST_FOLDS}, to learn, tune and test on")
    return folds


def _run_search(arguments: Arguments) -> None:
    from search.studies.searching import search

    result = search(
        arguments.store,
        arguments.annotations,
        arguments.vocabulary,
        arguments.out,
        trials=arguments.trials,
        jobs=arguments.jobs,
        storage=arguments.storage,
        space=arguments.space,
        metric=arguments.metric,
        folds=arguments.folds,
        split=arguments.split,
        settings=settings_of(arguments),
        **learning(arguments),
    )
    show(arguments, result, show_search)


def show_search(result: dict[str, Any]) -> None:
    """Print what `search.studies.searching.search` returned."""
    show_training(result)
    found, held_out = result["search"], result["search"]["held_out"]
    table = make_table(f"{found['study']}: {found['metric']} in cross-validation", "settings", (found["metric"],))
    for name, value in found["known_settings"].items():
        table.add_row(f"the {name} ones", f"{value:.3f}")
    table.add_row(f"the best: trial {found['best_trial']}", f"{found['best']:.3f}")
    print_table(table)
    print(", ".join(f"{name} {value}" for name, value in found["best_settings"].items()))
    if found["importances"]:
        print("what mattered: " + ", ".join(f"{name} {share:.2f}" for name, share in found["importances"].items()))
    print(
        f"On the test part, which no trial has seen ({held_out['clips']} clips): macro-F1 {held_out['best']:.3f}, with "
        f"the default settings {held_out['default']:.3f}, a difference of {held_out['difference']:+.3f}"
        f"{interval(held_out['interval'], '+', 3)}. {_verdict(held_out)}"
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
