"""The paper's experiments on one's own recordings."""

from pathlib import Path
from typing import Any

from commands.shared import Arguments, add_annotated_store, add_device, add_json, add_seed, command, positive, show
from commands.tables import interval, make_table, print_table, show_notes, show_untrained
from heads.settings import PRESETS


def add_reproduce(commands: Any) -> None:
    """Add the command."""
    text = "Do the paper's experiments on a store: all of its tables and figures, its figures beside yours."
    parser = command(commands, "reproduce", _run, text)
    parser.set_defaults(when_stopped="what is finished is kept, the same command goes on")
    add_annotated_store(parser)
    parser.add_argument("--out", type=Path, required=True, metavar="DIR", help="folder for results, tables and figures")
    parser.add_argument("--quick", action="store_true", help="three epochs each: to see that everything runs")
    parser.add_argument("--preset", choices=tuple(PRESETS), default="default", help="settings to train with")
    parser.add_argument(
        "--epochs", type=positive, metavar="N", help="at most (default 10; 3 with --quick, 3000 with --preset paper)"
    )
    add_seed(parser)
    parser.add_argument(
        "--jobs", type=positive, metavar="N", help="experiments at a time (default: as cores and memory allow)"
    )
    add_device(parser, "where to train")
    add_json(parser)


def _run(arguments: Arguments) -> None:
    from search.reproduction import QUICK, reproduce, reproduction_settings

    epochs = QUICK if arguments.quick and arguments.epochs is None else arguments.epochs
    chosen = {"seed": arguments.seed} | ({} if epochs is None else {"epochs": epochs})
    result = reproduce(
        arguments.store,
        arguments.annotations,
        arguments.out,
        settings=reproduction_settings(arguments.preset, **chosen),
        jobs=arguments.jobs,
        device=arguments.device,
        offset=arguments.offset,
    )
    show(arguments, result, show_reproduction)


def show_reproduction(result: dict[str, Any]) -> None:
    """Print what `search.reproduction.reproduce` returned: Tables 7 and 8, the test part."""
    show_notes(result)
    for name, rows in result["tables"].items():
        head, *columns = rows[0]
        tested = [column.removesuffix(": test") for column in columns if column.endswith("test")]
        table = make_table(f"{name.replace('-', ' ')}: mean F1, test part [95 %]", head, tested)
        for row in rows:
            name, *cells = [value for column, value in row.items() if not column.endswith("train")]
            table.add_row(name, *map(_reproduced, cells))
        print_table(table)
    counted = result["experiments"]
    print(f"experiments: {counted['now']} done now, {counted['before']} before, {counted['not_possible']} not possible")
    show_untrained(result)
    for name, path in result["files"].items():
        print(f"{name + ':':<10} {path}")


def _reproduced(cell: dict[str, Any]) -> str:
    if cell["value"] is None:
        return cell["reason"]
    beside = "".join(f"\n{name} {value:.2f}" for name, value in cell["baselines"].items())
    paper = "" if cell["paper"] is None else f"\npaper {cell['paper']:.2f}"
    return f"{cell['value']:.2f}{interval(cell['interval'])}{paper}{beside}"
