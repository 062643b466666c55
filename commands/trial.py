"""Something to try everything on: demo."""

from pathlib import Path
from typing import Any

from commands.scores import scores_table
from commands.shared import Arguments, command, seconds
from commands.tables import print_table, show_untrained


def add_demo(commands: Any) -> None:
    """Add the command."""
    parser = command(commands, "demo", _run_demo, "Draw four short performances, learn from them and label them.")
    parser.add_argument("folder", nargs="?", type=Path, default=Path("chironomy-demo"), metavar="DIR")
    parser.add_argument("--seconds", type=seconds, default=45, metavar="N", help="length of each (default 45)")


def _run_demo(arguments: Arguments) -> None:
    from demo.run import run_demo

    show_demo(run_demo(arguments.folder, arguments.seconds))


def show_demo(result: dict[str, Any]) -> None:
    """Print what `demo.run.run_demo` returned."""
    print_table(scores_table("macro-F1 on four drawn performances", result["scores"]))
    show_untrained(result)
    print("A random split flatters: clips next to each other look alike. Believe the blocked one.")
    for name, path in result["files"].items():
        print(f"{name + ':':<14} {path}")
