"""Annotations: ELAN files and text, read and written by their ending."""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path

from store.annotations.elan import EafDocument
from store.annotations.media import media_for, media_names, time_origin
from store.annotations.model import AnnotationFile, Interval, Media
from store.annotations.text import comma_separated, read_text, tab_delimited
from store.annotations.tiers import (
    ANNOTATED_TIER,
    PREDICTED_SUFFIX,
    gesture_of,
    is_confidence,
    is_predicted,
    predicted_tier,
    take_confidence,
)
from store.errors import InputError
from store.files import write_atomically

__all__ = [
    "ANNOTATED_TIER",
    "PREDICTED_SUFFIX",
    "AnnotationFile",
    "EafDocument",
    "Interval",
    "Media",
    "check_ending",
    "convert",
    "find",
    "gesture_of",
    "is_confidence",
    "is_predicted",
    "media_for",
    "media_names",
    "predicted_tier",
    "read",
    "time_origin",
    "write",
]

_TEXT_WRITERS = {".txt": tab_delimited, ".tsv": tab_delimited, ".csv": comma_separated}
_ENDINGS = (".eaf", *_TEXT_WRITERS)


def read(path: Path) -> AnnotationFile:
    """Read an annotation file, by its ending: .eaf, .txt or .tsv, .csv.

    Raises
    ------
    InputError
        If the ending is another, or the file cannot be read.
    """
    if check_ending(path) == ".eaf":
        return EafDocument.open(path).annotations()
    file = read_text(path)
    tiers, intervals = take_confidence(file.tiers, file.intervals)
    return replace(file, tiers=tiers, intervals=intervals)


def write(path: Path, intervals: Sequence[Interval], *, media: Iterable[Media] = (), tiers: Iterable[str] = ()) -> None:
    """Write an annotation file anew, by its ending: .eaf, .txt or .tsv, .csv.

    Parameters
    ----------
    path : Path
        Where to; an existing file is replaced, whole or not at all.
    intervals : sequence of Interval
        In seconds; written to the millisecond. Only .eaf and .csv keep the confidence.
    media : iterable of Media
        Media to link; only .eaf can.
    tiers : iterable of str
        Tiers in the order wanted, also those without an interval; only .eaf keeps empty ones.

    Raises
    ------
    InputError
        If the ending is another, the file cannot be written, or (.eaf) annotations of one tier overlap.
    """
    ending = check_ending(path)
    if ending != ".eaf":
        write_atomically(path, _TEXT_WRITERS[ending](intervals))
        return
    document = EafDocument.new(path, media)
    names = list(dict.fromkeys((*tiers, *(interval.tier for interval in intervals))))
    document.add_tiers(
        [interval for interval in intervals if not is_predicted(interval.tier)],
        tiers=[name for name in names if not is_predicted(name)],
    )
    document.replace_predicted(
        [interval for interval in intervals if is_predicted(interval.tier)],
        "chironomy",
        tiers=[name for name in names if is_predicted(name)],
    )
    document.save(path)


def convert(source: Path, out: Path) -> None:
    """Convert an annotation file to the format of `out`'s ending; .eaf to .eaf is copied byte for byte.

    Raises
    ------
    InputError
        If `source` cannot be read, or `out` cannot be written or hold what is in it.
    """
    file = read(source)
    if check_ending(source) == check_ending(out) == ".eaf":
        write_atomically(out, source.read_bytes())
    else:
        write(out, file.intervals, media=file.media, tiers=file.tiers)


def find(paths: Iterable[Path]) -> dict[str, Path]:
    """Find the annotation file of each recording, by the stem of its name.

    Parameters
    ----------
    paths : iterable of Path
        Files; a folder stands for the annotation files directly in it.

    Returns
    -------
    dict of str to Path
        Recording's id -> file.

    Raises
    ------
    InputError
        If a path does not exist or is no annotation file, a folder holds none, or two files have one stem.
    """
    found: dict[str, Path] = {}
    for path in (file for given in paths for file in _expand(given)):
        other = found.setdefault(path.stem, path)
        if other.resolve() != path.resolve():
            raise InputError(f"{path}: belongs to the recording {path.stem!r}, as does {other}; give one of them")
    return found


def _expand(path: Path) -> list[Path]:
    if not path.is_dir():
        if not path.is_file():
            raise InputError(f"{path}: no such file or folder; check the name")
        check_ending(path)
        return [path]
    files = [file for file in sorted(path.iterdir()) if file.suffix.lower() in _ENDINGS and file.is_file()]
    visible = [file for file in files if not file.name.startswith(".")]
    if not visible:
        raise InputError(f"{path}: no annotation file in this folder; they end in {', '.join(_ENDINGS)}")
    return visible


def check_ending(path: Path) -> str:
    """Return the ending of an annotation file, in lower case.

    Raises
    ------
    InputError
        If it is that of no format known here.
    """
    ending = path.suffix.lower()
    if ending not in _ENDINGS:
        raise InputError(f"{path}: not an annotation file; they end in {', '.join(_ENDINGS)}")
    return ending
