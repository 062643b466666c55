"""Inside ELAN: elan install, and elan recognize, which ELAN runs."""

from pathlib import Path
from typing import Any

from commands.shared import Arguments, add_store, command


def add_elan(commands: Any) -> None:
    """Add the command."""
    parser = command(commands, "elan", lambda _: None, "Label from within ELAN, in its Recognizers tab.")
    parts = parser.add_subparsers(required=True, metavar="COMMAND", title="commands")
    text = "Put chironomy into ELAN's extensions; start ELAN anew afterwards."
    install = command(parts, "install", _run_install, text)
    install.add_argument("--folder", type=Path, metavar="DIR", help="ELAN's folder (default: every ELAN found)")
    install.add_argument("--model", type=Path, metavar="MODEL", help="what to label with where none is chosen in ELAN")
    install.add_argument("--store", type=Path, help="likewise, the features to use")
    recognize = command(parts, "recognize", _run_recognize, "What ELAN runs: reads its parameters, writes tiers.")
    recognize.add_argument("--model", type=Path, metavar="MODEL", help="where ELAN names none")
    add_store(recognize, "--store", help="where ELAN names none")


def _run_install(arguments: Arguments) -> None:
    from store.elan_extension import install

    for folder in install(arguments.folder, arguments.model, arguments.store):
        print(folder)


def _run_recognize(arguments: Arguments) -> int:
    from heads.recognizer import answer

    return int(not answer(arguments.model, arguments.store))
