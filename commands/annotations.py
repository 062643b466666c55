"""Annotation files: annotations and convert."""

from pathlib import Path
from typing import Any

from commands.shared import Arguments, add_json, add_offset, add_store, add_vocabulary, command, complain, show
from store.errors import InputError


def add_annotations(commands: Any) -> None:
    """Add the command."""
    parser = command(commands, "annotations", _run_annotations, "Show what annotation files hold.")
    parser.add_argument("files", nargs="+", type=Path, metavar="FILE")
    add_vocabulary(parser, required=False)
    add_store(parser, "--store", help="check that the times fit the videos of this store")
    add_offset(parser)
    add_json(parser)


def _run_annotations(arguments: Arguments) -> int:
    from search.tables import show_annotations
    from store.features import FeatureStore
    from store.mismatch import summarise_checked
    from store.vocabulary import load_vocabulary

    vocabulary = load_vocabulary(arguments.vocabulary) if arguments.vocabulary else None
    store = FeatureStore(arguments.store) if arguments.store else None
    summaries = []
    for file in arguments.files:
        try:
            summaries.append(summarise_checked(file, vocabulary, store, arguments.offset))
        except InputError as error:
            complain(error)
    show(arguments, {"files": summaries}, show_annotations)
    return int(len(summaries) < len(arguments.files))


def add_convert(commands: Any) -> None:
    """Add the command."""
    text = "Convert an annotation file; the endings say from what to what."
    parser = command(commands, "convert", _run_convert, text)
    parser.add_argument(
        "file", type=Path, metavar="FILE", help=".eaf, .txt (tab-delimited), .csv, .TextGrid, .vtt, .rttm, .boris.tsv"
    )
    parser.add_argument("out", type=Path, metavar="OUT", help="likewise; a new file")


def _run_convert(arguments: Arguments) -> None:
    from store.annotations import convert

    convert(arguments.file, arguments.out)
    print(arguments.out)
