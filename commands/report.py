"""A report to look at."""

from pathlib import Path
from typing import Any

from commands.shared import Arguments, add_json, add_offset, add_store, command, show
from commands.tables import show_notes


def add_report(commands: Any) -> None:
    """Add the command."""
    text = "Write a report of a model, a search, or the paper's experiments, as one page."
    parser = command(commands, "report", _run, text)
    parser.add_argument(
        "what",
        type=Path,
        metavar="MODEL|STUDY|DIR",
        help="a model, the .search folder beside one, or the folder of reproduce",
    )
    parser.add_argument(
        "--out", type=Path, required=True, metavar="FILE", help=".html, or .md with a folder of figures"
    )
    add_store(parser, "--store", help="show what the model says of these recordings; with --annotations")
    parser.add_argument(
        "--annotations", nargs="+", action="extend", type=Path, metavar="PATH", help="their annotations"
    )
    parser.add_argument(
        "--videos",
        nargs="+",
        action="extend",
        default=[],
        type=Path,
        metavar="PATH",
        help="videos, or folders of them, for pictures of clips (default: beside the annotations)",
    )
    add_offset(parser)
    add_json(parser)


def _run(arguments: Arguments) -> None:
    from search.report import report

    if (arguments.store is None) != (arguments.annotations is None):
        arguments.parser.error("--store and --annotations go together")
    result = report(
        arguments.what,
        arguments.out,
        store=arguments.store,
        annotations=arguments.annotations or [],
        videos=arguments.videos,
        offset=arguments.offset,
    )
    show(arguments, result, show_report)


def show_report(result: dict[str, Any]) -> None:
    """Print what `search.report.report` returned."""
    show_notes(result)
    print(f"written: {result['out']} ({result['bytes'] / 1e6:.1f} MB)")
