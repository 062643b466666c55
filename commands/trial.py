"""Something to try everything on: demo."""

from pathlib import Path
from typing import Any

from commands.shared import Arguments, command, seconds


def add_demo(commands: Any) -> None:
    """Add the command."""
    parser = command(commands, "demo", _run_demo, "Draw four short performances, learn from them and label them.")
    parser.add_argument("folder", nargs="?", type=Path, default=Path("chironomy-demo"), metavar="DIR")
    parser.add_argument("--seconds", type=seconds, default=45, metavar="N", help="length of each (default 45)")


def _run_demo(arguments: Arguments) -> None:
    from demo.run import run_demo
    from search.tables import show_demo

    show_demo(run_demo(arguments.folder, arguments.seconds))
