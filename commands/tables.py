"""Results as tables for people, and what is said beside them."""

import sys
from collections.abc import Sequence
from typing import Any

from rich.console import Console
from rich.table import Table

from store.spec import UNTRAINED


def make_table(title: str | None, named: str, columns: Sequence[str]) -> Table:
    """Return an empty table: what its rows are named after on the left, figures on the right."""
    table = Table(title=title, title_justify="left")
    table.add_column(named)
    for column in columns:
        table.add_column(column, justify="right")
    return table


def print_table(table: Table) -> None:
    """Print a table, as wide as the terminal."""
    # Without markup: "Nodding [chironomy]" is a tier's name, not a style.
    console = Console(width=None if sys.stdout.isatty() else 120, highlight=False, markup=False, emoji=False)
    console.print(table)


def interval(ends: Sequence[float] | None, sign: str = "", digits: int = 2) -> str:
    """Return an interval as it stands behind a score; nothing where there is none."""
    return "" if ends is None else f" [{ends[0]:{sign}.{digits}f}, {ends[1]:{sign}.{digits}f}]"


def show_notes(result: dict[str, Any]) -> None:
    """Print, on standard error, what a user should know."""
    for note in result["notes"]:
        print(f"note: {note}", file=sys.stderr)


def show_run(result: dict[str, Any]) -> None:
    """Print where a run is recorded."""
    if result.get("run") is not None:
        print(f"recorded; to look at all runs: {result['run']['view']}")


def show_untrained(result: dict[str, Any]) -> None:
    """Print a warning where a score says nothing about how good the program can be."""
    if result["untrained_backbone"]:
        print(UNTRAINED)
