"""Annotations: ELAN files and other formats, read and written by their ending."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from pathlib import Path

from store.annotations.boris import boris
from store.annotations.elan import EafDocument
from store.annotations.elan_intervals import LAST_TIME
from store.annotations.media import media_for, media_names, time_origin
from store.annotations.model import AnnotationFile, Interval, Media, recording_of, shifted
from store.annotations.rttm import read_rttm, rttm
from store.annotations.text import comma_separated, read_text, tab_delimited
from store.annotations.textgrid import read_textgrid, textgrid
from store.annotations.tiers import (
    ANNOTATED_TIER,
    PREDICTED_SUFFIX,
    SUGGESTED_TIER,
    gesture_of,
    is_confidence,
    is_predicted,
    is_suggested,
    predicted_tier,
    take_confidence,
)
from store.annotations.webvtt import read_webvtt, webvtt
from store.errors import InputError
from store.files import write_atomically

__all__ = [
    "ANNOTATED_TIER",
    "ENDINGS",
    "LAST_TIME",
    "PREDICTED_SUFFIX",
    "SUGGESTED_TIER",
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
    "is_suggested",
    "media_for",
    "media_names",
    "predicted_tier",
    "read",
    "recording_of",
    "shifted",
    "time_origin",
    "write",
]

_Writer = Callable[[Path, Sequence[str], Sequence[Interval]], bytes]

_TEXT_READERS: dict[str, Callable[[Path], AnnotationFile]] = {
    **dict.fromkeys((".txt", ".tsv", ".csv", ".boris.tsv", ".boris.csv"), read_text),
    ".textgrid": read_textgrid,
    ".vtt": read_webvtt,
    ".rttm": read_rttm,
}
_TEXT_WRITERS: dict[str, _Writer] = {
    ".txt": lambda _path, _tiers, intervals: tab_delimited(intervals),
    ".tsv": lambda _path, _tiers, intervals: tab_delimited(intervals),
    ".csv": lambda _path, _tiers, intervals: comma_separated(intervals),
    ".textgrid": textgrid,
    ".vtt": lambda _path, _tiers, intervals: webvtt(intervals),
    ".rttm": lambda path, _tiers, intervals: rttm(recording_of(path), intervals),
    ".boris.tsv": lambda path, _tiers, intervals: boris(recording_of(path), intervals, "\t"),
    ".boris.csv": lambda path, _tiers, intervals: boris(recording_of(path), intervals, ","),
}
ENDINGS = (".eaf", ".txt", ".tsv", ".csv", ".TextGrid", ".vtt", ".rttm", ".boris.tsv", ".boris.csv")
_KNOWN = {ending.lower() for ending in ENDINGS}


def read(path: Path) -> AnnotationFile:
    """Read an annotation file of any format, by its ending (one of `ENDINGS`).

    Raises
    ------
    InputError
        If the ending is another, or the file cannot be read.
    """
    ending = check_ending(path)
    if ending == ".eaf":
        return EafDocument.open(path).annotations()
    file = _TEXT_READERS[ending](path)
    tiers, intervals = take_confidence(file.tiers, file.intervals)
    return replace(file, tiers=tiers, intervals=intervals)


def write(path: Path, intervals: Sequence[Interval], *, media: Iterable[Media] = (), tiers: Iterable[str] = ()) -> None:
    """Write an annotation file anew, by its ending (one of `ENDINGS`).

    Parameters
    ----------
    path : Path
        Where to; an existing file is replaced, whole or not at all.
    intervals : sequence of Interval
        In seconds; written to the millisecond. Only .eaf, .csv and .rttm keep the confidence.
    media : iterable of Media
        Media to link; only .eaf can.
    tiers : iterable of str
        Tiers in the order wanted, also those without an interval; only .eaf and .TextGrid keep empty ones.

    Raises
    ------
    InputError
        If the ending is another, the file cannot be written, or (.eaf, .TextGrid) annotations of one tier
        overlap.
    """
    ending = check_ending(path)
    if ending != ".eaf":
        write_atomically(path, _TEXT_WRITERS[ending](path, list(tiers), intervals))
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

    Text links no media, and so has no `Media.time_origin`: from .eaf to text, times become those of the video.

    Raises
    ------
    InputError
        If `source` cannot be read, or `out` is there already, cannot be written or cannot hold what is in it.
    """
    file = read(source)
    copied = check_ending(source) == check_ending(out) == ".eaf"
    if out.exists() and not (copied and out.samefile(source)):
        raise InputError(f"{out}: is there already; name a new file")
    if copied:
        write_atomically(out, source.read_bytes())
        return
    origin = time_origin(file, recording_of(source))  # 0 but for .eaf, which is converted to text here
    write(out, shifted(file.intervals, origin) if origin else file.intervals, tiers=file.tiers)


def find(paths: Iterable[Path]) -> dict[str, Path]:
    """Find the annotation file of each recording, by its name.

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
    for path in (file for given in paths for file in expand(given)):
        recording = recording_of(path)
        other = found.setdefault(recording, path)
        if other.resolve() != path.resolve():
            raise InputError(f"{path}: belongs to the recording {recording!r}, as does {other}; give one of them")
    return found


def expand(path: Path) -> list[Path]:
    """Return a file as it is, and the annotation files directly in a folder.

    Raises
    ------
    InputError
        If it does not exist or is no annotation file, or a folder that holds none.
    """
    if not path.is_dir():
        if not path.is_file():
            raise InputError(f"{path}: no such file or folder; check the name")
        check_ending(path)
        return [path]
    files = [file for file in sorted(path.iterdir()) if _ending(file) in _KNOWN and file.is_file()]
    visible = [file for file in files if not file.name.startswith(".")]
    if not visible:
        raise InputError(f"{path}: no annotation file in this folder; they end in {', '.join(ENDINGS)}")
    return visible


def check_ending(path: Path) -> str:
    """Return the ending of an annotation file, in lower case.

    Raises
    ------
    InputError
        If it is that of no format known here.
    """
    ending = _ending(path)
    if ending not in _KNOWN:
        raise InputError(f"{path}: not an annotation file; they end in {', '.join(ENDINGS)}")
    return ending


def _ending(path: Path) -> str:
    endings = [suffix.lower() for suffix in path.suffixes]
    return "".join(endings[-2:]) if endings[-2:-1] == [".boris"] else "".join(endings[-1:])
