"""BORIS's aggregated events (https://www.boris.unito.it): one event a row, columns told by their header.

The behaviour is the tier and its modifiers are the value; an event of no length is a point. Where several
subjects were observed, tiers are called after behaviour and subject, and the value is the behaviour.
"""

import csv
import io
import re
from collections.abc import Mapping, Sequence
from decimal import Decimal
from pathlib import Path

from store.annotations.decoding import lines_of, seconds_text
from store.annotations.model import AnnotationFile, Interval, milliseconds, recording_of
from store.errors import InputError

_NEEDED = ("Behavior", "Start (s)", "Stop (s)")
_EVENTS = ("Time", "Behavior", "Status")  # of the export that is not aggregated
_HEADER = (
    *("Observation id", "Observation date", "Description", "Observation type", "Source", "Total length", "FPS"),
    *("Subject", "Behavior", "Behavioral category", "Modifiers", "Behavior type", "Start (s)", "Stop (s)"),
    *("Duration (s)", "Comment start", "Comment stop"),
)
_NOBODY = "No focal subject"
_DURATIONS = ("Media duration (s)", "Total length")
_RATES = ("FPS (frame/s)", "FPS")
_NONE = ("", "NA", "nan", "NaN", "None")
_NUMBER = re.compile(r"[0-9]{1,9}(?:\.[0-9]{1,30})?")

Row = tuple[int, dict[str, str]]


def is_boris(text: str) -> bool:
    """Return whether a text's first line is the header of an export of BORIS's."""
    line = lines_of(text.lstrip("\r\n"))[0]
    cells = {cell.strip().strip('"') for cell in re.split(r"[\t,;]", line)}
    return cells.issuperset(_NEEDED) or cells.issuperset(_EVENTS)


def read_boris(path: Path, text: str) -> AnnotationFile:
    """Read aggregated events.

    Where they are of several observations, those of that which has the file's name count.

    Raises
    ------
    InputError
        If they are not aggregated, a row cannot be read, or none of several observations has the file's name.
    """
    rows = _rows(path, text)
    observations = dict.fromkeys(row.get("Observation id", "") for _, row in rows)
    if len(observations) > 1:
        recording = recording_of(path)
        if recording not in observations:
            names = ", ".join(list(observations)[:8])
            raise InputError(
                f"{path}: is of several observations ({names}), none called {recording}; name it after one of them"
            )
        rows = [(line, row) for line, row in rows if row["Observation id"] == recording]
    several = len({row.get("Subject", "") for _, row in rows}) > 1
    intervals = [_interval(path, row, several) for row in rows]
    tiers = dict.fromkeys(interval.tier for interval in intervals)
    place = {tier: position for position, tier in enumerate(tiers)}
    intervals.sort(key=lambda interval: (place[interval.tier], interval.begin, interval.end))
    duration, rate = (_stated(rows, names) for names in (_DURATIONS, _RATES))
    return AnnotationFile(path, tuple(tiers), tuple(intervals), duration=duration, frame_rate=rate)


def boris(observation: str, intervals: Sequence[Interval], delimiter: str) -> bytes:
    """Return intervals as aggregated events of one observation, in the order of time."""
    text = io.StringIO(newline="")
    writer = csv.writer(text, delimiter=delimiter)
    writer.writerow(_HEADER)
    for interval in sorted(intervals, key=milliseconds):
        begin, end = milliseconds(interval)
        cells = {
            "Observation id": observation,
            "Observation type": "Media file(s)",
            "Subject": _NOBODY,
            "Behavior": interval.tier,
            "Modifiers": interval.value,
            "Behavior type": "STATE" if end > begin else "POINT",
            "Start (s)": seconds_text(begin),
            "Stop (s)": seconds_text(end),
            "Duration (s)": seconds_text(end - begin),
        }
        writer.writerow([cells.get(name, "") for name in _HEADER])
    return text.getvalue().encode()


def _rows(path: Path, text: str) -> list[Row]:
    """Return the rows below the header, by their columns' names."""
    header = lines_of(text.lstrip("\r\n"))[0]
    delimiter = next(sign for sign in "\t,;" if sign in header)
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    names: list[str] = []
    rows: list[Row] = []
    line = 1
    try:
        for cells in reader:
            if not names and any(cells):
                names = [cell.strip() for cell in cells]
            elif any(cell.strip() for cell in cells):
                rows.append((line, dict(zip(names, cells, strict=False))))
            line = reader.line_num + 1
    except csv.Error as error:
        raise InputError(f"{path}, line {line}: not delimited text ({error}); export it again") from None
    if not set(names).issuperset(_NEEDED):
        raise InputError(f"{path}: BORIS's events one by one; export them again with 'Export aggregated events'")
    return rows


def _interval(path: Path, row: Row, several: bool) -> Interval:
    line, cells = row
    times = []
    for name in ("Start (s)", "Stop (s)"):
        cell = cells.get(name, "").strip()
        if name == "Stop (s)" and cell in _NONE:
            cell = cells["Start (s)"].strip()  # a point
        if not _NUMBER.fullmatch(cell):
            raise InputError(f"{path}, line {line}: {name} is {cell!r}, not seconds; export it again with BORIS")
        times.append(Decimal(cell))
    begin, end = times
    if end < begin:
        raise InputError(
            f"{path}, line {line}: ends ({end} s) before it starts ({begin} s); export it again with BORIS"
        )
    behaviour, modifiers = cells.get("Behavior", ""), _modifiers(cells)
    if several:
        subject = cells.get("Subject", "")
        return Interval(float(begin), float(end), f"{behaviour} ({subject})", behaviour)
    return Interval(float(begin), float(end), behaviour, modifiers)


def _modifiers(cells: Mapping[str, str]) -> str:
    """Return an event's modifiers, which some versions have in one column and others in numbered ones."""
    if "Modifiers" in cells:
        return cells["Modifiers"]
    return "|".join(cell for name, cell in cells.items() if name.startswith("Modifier") and cell not in _NONE)


def _stated(rows: Sequence[Row], names: Sequence[str]) -> float | None:
    """Return a number that all rows agree in, None if they say none."""
    found = {row.get(name, "").strip() for _, row in rows for name in names if name in row}
    value = found.pop() if len(found) == 1 else ""
    return float(value) if _NUMBER.fullmatch(value) and float(value) > 0 else None
