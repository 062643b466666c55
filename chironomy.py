"""The command line: arguments in, one call down, result out."""

import argparse
import os
import signal
import sys
from collections.abc import Sequence
from typing import Any

from commands.annotations import add_annotations, add_convert
from commands.elan import add_elan
from commands.features import add_extract, add_inspect
from commands.models import add_evaluate, add_label, add_train, add_update
from commands.report import add_report
from commands.reproduce import add_reproduce
from commands.review import add_review
from commands.shared import HelpFormatter, complain
from commands.studies import add_search
from commands.trial import add_demo
from store.errors import InputError


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line.

    Parameters
    ----------
    argv : sequence of str, optional
        Arguments; those of the process if not given.

    Returns
    -------
    int
        Exit status: 0 done, 1 the input cannot be used, or stopped. Wrong arguments exit with 2.
    """
    arguments = _parser().parse_args(argv)
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # a request to stop is a Ctrl-C
    try:
        status = arguments.run(arguments) or 0
        sys.stdout.flush()
        return status
    except InputError as error:
        complain(error)
    except KeyboardInterrupt:
        complain(f"stopped; {arguments.when_stopped}")
    except BrokenPipeError:
        # Whoever read the output has closed it, as head does; Python's own flush at exit must not fail again.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    except OSError as error:
        complain(f"{error.filename or 'a file'}: {error.strerror or error}; check the place and its permissions")
    return 1


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="chironomy",
        description="Labels expressive gestures in videos of music performances: learns from the part that "
        "is annotated in ELAN and labels the rest.",
        epilog="Start with: chironomy demo",
        formatter_class=HelpFormatter,
    )
    parser.add_argument("--version", action=_Version, nargs=0, help="show the version and exit")
    commands = parser.add_subparsers(required=True, metavar="COMMAND", title="commands")
    for add in (
        add_extract,
        add_inspect,
        add_annotations,
        add_convert,
        add_train,
        add_update,
        add_evaluate,
        add_search,
        add_label,
        add_reproduce,
        add_elan,
        add_report,
        add_review,
        add_demo,
    ):
        add(commands)
    return parser


class _Version(argparse.Action):
    def __call__(self, parser: argparse.ArgumentParser, *_: Any) -> None:
        import importlib.metadata  # only now: it takes a third of the time of --help

        print(f"chironomy {importlib.metadata.version('chironomy')}")
        parser.exit()


if __name__ == "__main__":
    sys.exit(main())
