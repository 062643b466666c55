"""RTTM, and lists like it: one annotation a line, ten columns between spaces.

The format is that of NIST's Rich Transcription evaluations (RT-09 plan, appendix A): type, file, channel, begin
and duration in seconds, text, subtype, name, confidence, look-ahead; ``<NA>`` where there is nothing. The name is
the tier and the text the value. A space within a name is written ``%20``, since spaces end columns.
"""

import re
from collections.abc import Sequence
from decimal import Decimal
from pathlib import Path
from urllib.parse import quote, unquote

from store.annotations.decoding import decode, lines_of, seconds_text
from store.annotations.model import AnnotationFile, Interval, milliseconds, recording_of
from store.annotations.tiers import parse_confidence
from store.errors import InputError

_NOTHING = "<NA>"
_TIME = re.compile(r"[0-9]{1,9}(?:\.[0-9]{1,12})?")
_SHORTEST = 8  # columns up to the name


def read_rttm(path: Path) -> AnnotationFile:
    """Read an RTTM list.

    Where it is of several files, the lines of that which has the name of the list itself count.

    Raises
    ------
    InputError
        If a line cannot be read, or none of several files has the list's name.
    """
    found: dict[str, list[Interval]] = {}
    for number, line in enumerate(lines_of(decode(path)), 1):
        cells = [cell for cell in re.split(r"[ \t]", line) if cell]
        if not cells or line.startswith((";;", "#")) or cells[3:5] == [_NOTHING, _NOTHING]:
            continue
        found.setdefault(_read(cells[1]) if len(cells) > 1 else "", []).append(_interval(path, number, line, cells))
    recording = recording_of(path)
    if len(found) > 1 and recording not in found:
        names = ", ".join(sorted(found)[:8])
        raise InputError(f"{path}: is of several files ({names}), none called {recording}; name it after one of them")
    intervals = found.get(recording) or next(iter(found.values()), [])
    tiers = dict.fromkeys(interval.tier for interval in intervals)
    place = {tier: position for position, tier in enumerate(tiers)}
    intervals.sort(key=lambda interval: (place[interval.tier], interval.begin, interval.end))
    return AnnotationFile(path, tuple(tiers), tuple(intervals))


def rttm(recording: str, intervals: Sequence[Interval]) -> bytes:
    """Return intervals as RTTM, of the type SPEAKER, which programs for it look for."""
    lines = []
    for interval in intervals:
        begin, end = milliseconds(interval)
        sure = _NOTHING if interval.confidence is None else f"{interval.confidence:.4f}"
        name, text, file = (_written(each) for each in (interval.tier, interval.value, recording))
        times = f"{seconds_text(begin)} {seconds_text(end - begin)}"
        lines.append(f"SPEAKER {file} 1 {times} {text} {_NOTHING} {name} {sure} {_NOTHING}\n")
    return "".join(lines).encode()


def _interval(path: Path, number: int, line: str, cells: Sequence[str]) -> Interval:
    if len(cells) < _SHORTEST:
        raise _bad(path, number, line, f"{len(cells)} columns, not {_SHORTEST} to 10")
    begin, duration = cells[3], cells[4]
    for time in (begin, duration):
        if not _TIME.fullmatch(time):
            raise _bad(path, number, line, f"{time!r} is not a time in seconds")
    sure = cells[8] if len(cells) > _SHORTEST else _NOTHING
    confidence = None if sure.upper() == _NOTHING else parse_confidence(sure)
    if sure.upper() != _NOTHING and confidence is None:
        raise _bad(path, number, line, f"{sure!r} is not a confidence between 0 and 1")
    end = Decimal(begin) + Decimal(duration)
    return Interval(float(begin), float(end), _read(cells[7]), _read(cells[5]), confidence)


def _written(text: str) -> str:
    """Return text as one column; what would end it, or means nothing, is escaped."""
    if text.upper() == _NOTHING:
        return quote(text)
    return re.sub(r"[\s%\x00-\x1f\x7f-\x9f]", lambda sign: quote(sign[0], safe=""), text) or _NOTHING


def _read(cell: str) -> str:
    return "" if cell.upper() == _NOTHING else unquote(cell)


def _bad(path: Path, number: int, line: str, what: str) -> InputError:
    shown = line if len(line) <= 120 else line[:117] + "..."
    return InputError(f"{path}, line {number}: {what}, in {shown!r}; correct the line or export the file again")
