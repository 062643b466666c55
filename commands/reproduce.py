"""The paper's experiments on one's own recordings."""

from pathlib import Path
from typing import Any

from commands.shared import Arguments, add_annotated_store, add_device, add_json, add_seed, command, positive, show


def add_reproduce(commands: Any) -> None:
    """Add the command."""
    text = "Do the paper's experiments on a store: all of its tables and figures, its figures beside yours."
    parser = command(commands, "reproduce", _run, text)
    parser.set_defaults(when_stopped="what is finished is kept, the same command goes on")
    add_annotated_store(parser)
    parser.add_argument("--out", type=Path, required=True, metavar="DIR", help="folder for results, tables and figures")
    parser.add_argument("--quick", action="store_true", help="three epochs each: to see that everything runs")
    parser.add_argument("--preset", choices=("default", "paper"), default="default", help="settings to train with")
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
    from search.tables import show_reproduction

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
