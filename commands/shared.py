"""What several commands have in common: their arguments, how these are checked, and how results are shown."""

import argparse
import json
import math
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from rich_argparse import RichHelpFormatter

from search.split_names import parse_split
from store.errors import InputError

Arguments = argparse.Namespace


class HelpFormatter(RichHelpFormatter):
    """Help in colours, without markup: "worth a look [chironomy]" is a tier's name, not a style."""

    help_markup = False
    text_markup = False


def command(commands: Any, name: str, run: Callable[[Arguments], int | None], text: str) -> argparse.ArgumentParser:
    """Add a command to the parser; `run` gets its arguments."""
    parser = commands.add_parser(name, help=text, description=text, formatter_class=HelpFormatter)
    parser.set_defaults(run=run, parser=parser, when_stopped="nothing half-finished is left, run it again")
    return parser


def add_annotated_store(parser: argparse.ArgumentParser) -> None:
    """Add a store and what is annotated of its recordings: ``STORE``, ``--annotations`` and ``--offset``."""
    add_store(parser, "store", metavar="STORE")
    text = "annotation files, or folders of them; video-1.eaf belongs to the recording video-1"
    parser.add_argument(
        "--annotations", nargs="+", action="extend", type=Path, required=True, metavar="PATH", help=text
    )
    add_offset(parser)


def add_offset(parser: Any) -> None:
    """Add ``--offset``."""
    text = "added to the annotations' times to have the video's: -10 if the video lacks the first ten seconds"
    parser.add_argument("--offset", type=finite, metavar="SECONDS", help=text)


def add_vocabulary(parser: argparse.ArgumentParser, required: bool) -> None:
    """Add ``--vocabulary``."""
    text = "guitar-18, guitar-7, or a TOML file of your own"
    parser.add_argument("--vocabulary", required=required, metavar="NAME|FILE", help=text)


def add_store(parser: argparse.ArgumentParser, name: str, **given: Any) -> None:
    """Add a store, as an option or in its place."""
    parser.add_argument(name, type=_place, **given)


def add_source(parser: Any) -> None:
    """Add what tells which recording a video is: ``--name`` and ``--roi``."""
    parser.add_argument("--name", metavar="ID", help="name of the recording (default: the file's, without ending)")
    text = "part of the picture to look at, in pixels; or a CSV file with the columns video,x,y,w,h"
    parser.add_argument("--roi", metavar="x,y,w,h|FILE", help=text)


def add_weights(parser: Any, default: str | None) -> None:
    """Add ``--weights``."""
    text = "of the backbone: a file, a published one found or downloaded (auto), or random ones to try things out"
    parser.add_argument("--weights", default=default, metavar="auto|FILE|random:SEED", help=text)


def add_device(parser: Any, text: str = "where the backbone runs") -> None:
    """Add ``--device``."""
    parser.add_argument("--device", choices=("auto", "cpu", "cuda"), default="auto", help=text)


def add_seed(parser: Any) -> None:
    """Add ``--seed``."""
    parser.add_argument("--seed", type=seed, default=0, metavar="N", help="of everything random (default 0)")


def add_csv(parser: Any, text: str = "write all scores of the test part as a table") -> None:
    """Add ``--csv``."""
    parser.add_argument("--csv", type=Path, metavar="FILE", help=text)


def add_json(parser: argparse.ArgumentParser) -> None:
    """Add ``--json``."""
    parser.add_argument("--json", action="store_true", help="print one JSON object instead of text")


def add_thresholds(parser: Any) -> None:
    """Add ``--threshold``."""
    parser.add_argument(
        "--threshold",
        type=_threshold,
        action="append",
        default=[],
        metavar="CLASS=VALUE",
        help="find a class from this probability on, 0 to 1, in place of the model's own; may be repeated",
    )


def _threshold(text: str) -> tuple[str, float]:
    name, separator, value = text.rpartition("=")
    if not (name and separator) or not 0 <= finite(value) <= 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a class and a number from 0 to 1, as in Nodding=0.4")
    return name, float(value)


def _whole(text: str, smallest: int) -> int:
    if not text.isdecimal() or not smallest <= int(text) < 2**32:
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number from {smallest} on")
    return int(text)


def _place(text: str) -> Any:
    from store.places import place

    try:
        return place(text)
    except InputError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def finite(text: str) -> float:
    """Return a number; for argparse."""
    try:
        number = float(text)
    except ValueError:
        number = math.nan
    if not math.isfinite(number):
        raise argparse.ArgumentTypeError(f"{text!r} is not a number")
    return number


def rate(text: str) -> float:
    """Return a frame rate; for argparse."""
    rate = finite(text)
    if not 0 < rate <= 1000:
        raise argparse.ArgumentTypeError(f"{text} is not a rate: between 0 and 1000 frames a second")
    return rate


def stride(text: str) -> int:
    """Return a stride in frames; for argparse."""
    stride = _whole(text, 1)
    if stride > 16:
        raise argparse.ArgumentTypeError(f"{text} is longer than a clip of 16 frames: some would be in no clip")
    return stride


def positive(text: str) -> int:
    """Return a whole number from 1 on; for argparse."""
    return _whole(text, 1)


def split(text: str) -> str:
    """Return the name of a split; for argparse."""
    try:
        parse_split(text)
    except InputError as error:
        raise argparse.ArgumentTypeError(str(error)) from None
    return text


def seconds(text: str) -> int:
    """Return a demo's length in seconds; for argparse."""
    return _whole(text, 12)  # of less, nothing can be held out


def port(text: str) -> int:
    """Return a port to listen on; for argparse."""
    port = _whole(text, 0)
    if port > 65_535:
        raise argparse.ArgumentTypeError(f"{text} is not a port: from 0 to 65535")
    return port


def seed(text: str) -> int:
    """Return a seed; for argparse."""
    return _whole(text, 0)


def complain(problem: object) -> None:
    """Say on standard error, in one line, what is wrong."""
    print(f"chironomy: {problem}", file=sys.stderr)


def show(arguments: Arguments, result: Any, show: Callable[[Any], None]) -> None:
    """Print a result, as one JSON object if that was asked for."""
    if arguments.json:
        print(json.dumps(result, ensure_ascii=False))
    else:
        show(result)
