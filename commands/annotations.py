"""Annotation files: annotations and convert."""

from pathlib import Path
from typing import Any

from commands.shared import Arguments, add_json, add_offset, add_store, add_vocabulary, command, complain, show
from commands.tables import make_table, print_table
from store.errors import InputError


def add_annotations(commands: Any) -> None:
    """Add the command."""
    parser = command(commands, "annotations", _run_annotations, "Show what annotation files hold.")
    parser.add_argument("files", nargs="+", type=Path, metavar="PATH", help="annotation files, or folders of them")
    add_vocabulary(parser, required=False)
    add_store(parser, "--store", help="check that the times fit the videos of this store")
    add_offset(parser)
    add_json(parser)


def _run_annotations(arguments: Arguments) -> int:
    from store.annotations import expand
    from store.features import FeatureStore
    from store.mismatch import summarise_checked
    from store.vocabulary import load_vocabulary

    vocabulary = load_vocabulary(arguments.vocabulary) if arguments.vocabulary else None
    store = FeatureStore(arguments.store) if arguments.store else None
    summaries: list[dict[str, Any]] = []
    problems: list[InputError] = []
    for path in arguments.files:
        try:
            files = expand(path)
        except InputError as error:
            problems.append(error)
            continue
        for file in files:
            try:
                summaries.append(summarise_checked(file, vocabulary, store, arguments.offset))
            except InputError as error:
                problems.append(error)
    for problem in problems:
        complain(problem)
    show(arguments, {"files": summaries}, show_annotations)
    return int(bool(problems))


def show_annotations(summary: dict[str, Any]) -> None:
    """Print what `store.mismatch.summarise_checked` returned for each file."""
    for file in summary["files"]:
        table = make_table(file["file"], "tier", ("annotations", "seconds", "first", "last"))
        for tier in file["tiers"]:
            ends = ("" if tier[key] is None else f"{tier[key]:.3f}" for key in ("first", "last"))
            table.add_row(tier["name"], str(tier["count"]), f"{tier['seconds']:.3f}", *ends)
        print_table(table)
        for media in file["media"]:
            print(f"media: {media['relative_url'] or media['url']}")
        if file.get("video") is not None:
            print(
                f"fits its video: {file['video']['seconds']:.3f} s, {file['video']['frame_rate']:.5g} frames a second"
            )
        elif "video" in file:
            print("not checked: the store has no recording of this name")
        if "vocabulary" in file:
            counts = (f"{name} {found['count']} ({found['seconds']:.1f} s)" for name, found in file["gestures"].items())
            print(f"as {file['vocabulary']}: {', '.join(counts)}")
            print(f"left alone: {', '.join(file['ignored']) or 'nothing'}")
            for found, meant in file["near_misses"].items():
                print(f"{found!r} is not in the vocabulary; did you mean {meant!r}?")


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
