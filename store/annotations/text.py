"""Annotations as text: ELAN's exports, tab-delimited or comma-separated, and chironomy's own.

`.txt` (`.tsv`) is written in ELAN's order without a header: tier, participant, begin, end and duration, each
as hh:mm:ss.ms and in seconds, value. `.csv` is written with the header tier,begin,end,value,confidence, in
seconds. Both are exact to the millisecond, and read back.
"""

import csv
import io
import re
from collections.abc import Iterable
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path

from store.annotations.boris import is_boris, read_boris
from store.annotations.columns import (
    DURATION_TOLERANCE,
    FORMAT_TOLERANCE,
    Columns,
    TimeColumns,
    from_content,
    from_header,
    is_header,
    parse_time,
)
from store.annotations.decoding import clock_text, decode, lines_of, seconds_text
from store.annotations.model import AnnotationFile, Interval, milliseconds
from store.errors import InputError

_CSV_HEADER = ("tier", "begin", "end", "value", "confidence")
_COMMENTS = ("#", '"#')  # ELAN may put the file's name on top
_SAMPLE = 200  # rows from which the columns are told where there is no header


@dataclass(frozen=True)
class _Row:
    line: int
    cells: list[str]


def read_text(path: Path) -> AnnotationFile:
    """Read annotations from delimited text.

    UTF-8, or UTF-16 with a byte order mark. If the header is that of BORIS's aggregated events they are read as
    such; else tabs, else commas, else semicolons stand between the columns, and `store.annotations.columns` has
    how these are told.

    Raises
    ------
    InputError
        If the columns cannot be told, or a line cannot be read, ends before it starts, or contradicts
        itself; the message names the line and shows it.
    """
    text = decode(path)
    if is_boris(text):
        return read_boris(path, text)
    rows = _rows(path, text)
    if not rows:
        raise InputError(f"{path}: holds no annotation; export it again")
    if is_header(rows[0].cells):
        try:
            columns = from_header(rows[0].cells)
        except ValueError as error:
            raise _bad(path, rows[0], f"a header with {error}") from None
        rows = rows[1:]
    else:
        told = from_content([row.cells for row in rows[:_SAMPLE]])
        if told is None:
            raise _bad(path, rows[0], "neither a header nor begin and end times")
        columns = told
    intervals = [interval for row in rows for interval in _intervals(path, row, columns)]
    named = (name for name, _ in columns.values if name is not None)
    tiers = dict.fromkeys((*named, *(interval.tier for interval in intervals)))
    place = {tier: position for position, tier in enumerate(tiers)}
    intervals.sort(key=lambda interval: (place[interval.tier], interval.begin, interval.end))
    return AnnotationFile(path, tuple(tiers), tuple(intervals))


def tab_delimited(intervals: Iterable[Interval]) -> bytes:
    """Return intervals as ELAN's tab-delimited text without a header; tabs and line ends become spaces."""
    lines = []
    for interval in intervals:
        begin, end = milliseconds(interval)
        times = [form(time) for time in (begin, end, end - begin) for form in (clock_text, seconds_text)]
        cells = [interval.tier, "", *times, interval.value]
        lines.append("\t".join(re.sub(r"[\t\r\n]", " ", cell) for cell in cells) + "\n")
    return "".join(lines).encode()


def comma_separated(intervals: Iterable[Interval]) -> bytes:
    """Return intervals as comma-separated text with chironomy's header."""
    text = io.StringIO(newline="")
    writer = csv.writer(text)
    writer.writerow(_CSV_HEADER)
    for interval in intervals:
        times = (seconds_text(time) for time in milliseconds(interval))
        confidence = "" if interval.confidence is None else f"{interval.confidence:.4f}"
        writer.writerow((interval.tier, *times, interval.value, confidence))
    return text.getvalue().encode()


def _rows(path: Path, text: str) -> list[_Row]:
    """Return the lines that hold something, split into cells."""
    lines = (line for line in lines_of(text) if line.strip() and not line.startswith(_COMMENTS))
    start = next(lines, "")
    delimiter = next((sign for sign in "\t,;" if sign in start), "\t")
    # A tab-delimited value may begin with a quotation mark: ELAN quotes only where it separates by commas.
    reader = csv.reader(
        io.StringIO(text, newline=""),
        delimiter=delimiter,
        quoting=csv.QUOTE_NONE if delimiter == "\t" else csv.QUOTE_MINIMAL,
        strict=True,
    )
    rows, line = [], 1
    try:
        for cells in reader:
            comment = len(cells) == 1 and cells[0].startswith(_COMMENTS)
            if not comment and any(cell.strip() for cell in cells):
                rows.append(_Row(line, cells))
            line = reader.line_num + 1
    except csv.Error as error:
        raise InputError(f"{path}, line {line}: not delimited text ({error}); export it again") from None
    return rows


def _intervals(path: Path, row: _Row, columns: Columns) -> list[Interval]:
    """Return the annotations of a row: one, or one for each tier that has a column and a value in it."""
    begin = _time(path, row, columns.begin)
    end = _time(path, row, columns.end)
    duration = _time(path, row, columns.duration)
    if begin is not None and end is None and duration is not None:
        end = begin + duration
    if begin is None or end is None:
        raise _bad(path, row, "no begin and end")
    if end < begin:
        raise _bad(path, row, f"ends ({end} s) before it starts ({begin} s)")
    if duration is not None and abs(begin + duration - end) > DURATION_TOLERANCE:
        raise _bad(path, row, f"lasts {duration} s, but goes from {begin} to {end} s")
    confidence = _confidence(path, row, columns.confidence)
    if columns.tier is not None:
        value = _cell(row, columns.values[0][1]) if columns.values else ""
        return [Interval(float(begin), float(end), _cell(row, columns.tier), value, confidence)]
    only = len(columns.values) == 1
    cells = [(name or "", _cell(row, position)) for name, position in columns.values]
    return [Interval(float(begin), float(end), name, cell) for name, cell in cells if cell or only]


def _time(path: Path, row: _Row, columns: TimeColumns) -> Decimal | None:
    """Return the seconds of one time, in the most exact of its formats; None if all its cells are empty."""
    times = []
    for time_format, position in columns:
        cell = _cell(row, position)
        if not cell.strip():
            continue
        time = parse_time(cell, time_format)
        if time is None:
            raise _bad(path, row, f"{cell!r} is not a time")
        times.append(time)
    if not times:
        return None
    if max(times) - min(times) > FORMAT_TOLERANCE:
        raise _bad(path, row, f"one time is {min(times)} s in one column and {max(times)} s in another")
    return min(times, key=lambda time: time.as_tuple().exponent)


def _confidence(path: Path, row: _Row, position: int | None) -> float | None:
    cell = "" if position is None else _cell(row, position).strip()
    if not cell:
        return None
    if not re.fullmatch(r"0(\.[0-9]+)?|1(\.0+)?", cell):
        raise _bad(path, row, f"{cell!r} is not a confidence between 0 and 1")
    return float(cell)


def _cell(row: _Row, position: int) -> str:
    return row.cells[position] if position < len(row.cells) else ""


def _bad(path: Path, row: _Row, what: str) -> InputError:
    line = " ".join(" | ".join(row.cells).split())
    shown = line if len(line) <= 120 else line[:117] + "..."
    return InputError(f"{path}, line {row.line}: {what}, in {shown!r}; correct the line or export the file again")
