"""Which column of a text file holds what: told by its header, or by what stands in it.

ELAN exports a time in up to three formats side by side (hh:mm:ss.ms, ss.msec, msec), for begin, end and
duration, after the tier and the participant and before the value; or, with a header, in place of tier and
value one column for each tier, named by it.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from itertools import combinations

# The columns of one time, each with its format and position.
TimeColumns = tuple[tuple[str, int], ...]

_FORMATS = ("hms", "s", "ms")
_HEADER_FORMATS = {"hh:mm:ss.ms": "hms", "ss.msec": "s", "msec": "ms", None: "any"}
_HEADER_TIME = re.compile(r"(begin|start|end|stop|duration)(?: time)?(?: - (.+))?")
_QUANTITIES = {"begin": "begin", "start": "begin", "end": "end", "stop": "end", "duration": "duration"}
_VALUE_NAMES = ("annotation", "value", "label", "text", "default")
_IGNORED_NAMES = ("participant", "annotator", "confidence", "file", "file name", "file path")

_HMS = re.compile(r"([0-9]{1,4}):([0-5]?[0-9]):([0-5]?[0-9](?:\.[0-9]{1,12})?)")
_SECONDS = re.compile(r"[0-9]{1,9}(?:\.[0-9]{1,12})?")
_MILLISECONDS = re.compile(r"[0-9]{1,12}")

# Formats of one time, and begin + duration against end, agree to ELAN's rounding.
FORMAT_TOLERANCE = Decimal("0.0011")
DURATION_TOLERANCE = Decimal("0.0021")


@dataclass(frozen=True)
class Columns:
    """Positions of the columns, counted from 0.

    Parameters
    ----------
    begin, end, duration : tuple of (str, int)
        Format and position of every column of that time; `end` or `duration` may be empty, not both.
    tier : int or None
        Column of the tier's name.
    values : tuple of (str or None, int)
        Columns with values: one with None (the tier stands in `tier`), or one for each tier, with its name.
    confidence : int or None
        Column of a prediction's probability.
    """

    begin: TimeColumns
    end: TimeColumns
    duration: TimeColumns
    tier: int | None
    values: tuple[tuple[str | None, int], ...]
    confidence: int | None = None


def parse_time(cell: str, time_format: str) -> Decimal | None:
    """Return the seconds in a cell of format ``hms``, ``s``, ``ms`` or ``any`` (of the first two)."""
    cell = cell.strip()
    if time_format in ("hms", "any") and (match := _HMS.fullmatch(cell)):
        return Decimal(match[1]) * 3600 + Decimal(match[2]) * 60 + Decimal(match[3])
    if time_format in ("s", "any") and _SECONDS.fullmatch(cell):
        return Decimal(cell)
    if time_format == "ms" and _MILLISECONDS.fullmatch(cell):
        return Decimal(cell).scaleb(-3)
    return None


def is_header(cells: Sequence[str]) -> bool:
    """Return whether a row names columns of begin and of end or duration, and holds no time itself."""
    named = {_QUANTITIES[match[1]] for cell in cells if (match := _HEADER_TIME.fullmatch(_plain(cell)))}
    times = any(_HMS.fullmatch(cell.strip()) or _is_decimal(cell) for cell in cells)
    return "begin" in named and len(named) > 1 and not times


def from_header(cells: Sequence[str]) -> Columns:
    """Tell the columns by their names.

    Raises
    ------
    ValueError
        If a time is named in no format that can be read, or the value's column cannot be told.
    """
    names = [_plain(cell) for cell in cells]
    times: dict[str, list[tuple[str, int]]] = {"begin": [], "end": [], "duration": []}
    others = []
    for position, name in enumerate(names):
        if match := _HEADER_TIME.fullmatch(name):
            # Frame numbers (PAL, NTSC) stand beside other formats and are coarser: left out.
            if match[2] in _HEADER_FORMATS:
                times[_QUANTITIES[match[1]]].append((_HEADER_FORMATS[match[2]], position))
        elif name and name != "tier" and name not in _IGNORED_NAMES:
            others.append(position)
    if not times["begin"] or not (times["end"] or times["duration"]):
        raise ValueError("no begin and end in hh:mm:ss.ms, ss.msec or msec")
    begin, end, duration = (tuple(times[quantity]) for quantity in ("begin", "end", "duration"))
    if "tier" not in names:
        if not others:
            raise ValueError("no column of tiers, and none named by a tier")
        return Columns(begin, end, duration, None, tuple((cells[other].strip(), other) for other in others))
    named = [other for other in others if names[other] in _VALUE_NAMES]
    if not named and len(others) > 1:
        raise ValueError(f"{' and '.join(repr(cells[other]) for other in others)} could both be the value")
    values = tuple((None, other) for other in (named or others)[:1])
    confidence = names.index("confidence") if "confidence" in names else None
    return Columns(begin, end, duration, names.index("tier"), values, confidence)


def from_content(rows: Sequence[Sequence[str]]) -> Columns | None:
    """Tell the columns of ELAN's export without a header by what stands in most rows; None if in vain.

    The widest block of neighbouring columns wins that can be read as begin, end and duration (or begin and
    end) in one, two or three formats which agree with each other; of equal ones that which holds in more
    rows, in more rows ends after it begins, and leaves one column for the value.
    """
    width = max(len(row) for row in rows)
    best: tuple[tuple[int, ...], Columns] | None = None
    for formats in (chosen for size in (3, 2, 1) for chosen in combinations(_FORMATS, size)):
        for quantities in (3, 2):
            length = quantities * len(formats)
            for first in range(width - length + 1):
                spans = [span for row in rows if (span := _span(row, first, formats, quantities))]
                if 2 * len(spans) < len(rows) or not spans:
                    continue
                ordered = sum(begin <= end for begin, end in spans)
                after = width - first - length
                rank = (length, len(spans), ordered, int(after == 1), -after)
                if best is None or rank > best[0]:
                    best = (rank, _block(first, formats, quantities, width))
    return best and best[1]


def _span(row: Sequence[str], first: int, formats: Sequence[str], quantities: int) -> tuple[Decimal, Decimal] | None:
    """Return begin and end if the block of columns from `first` reads as times that agree."""
    times = []
    for quantity in range(quantities):
        start = first + quantity * len(formats)
        cells = row[start : start + len(formats)]
        parsed = [
            parse_time(cell, time_format)
            for cell, time_format in zip(cells, formats, strict=False)
            # ELAN always writes seconds with decimals: without, they are milliseconds or something else.
            if time_format != "s" or _is_decimal(cell)
        ]
        found = [time for time in parsed if time is not None]
        if len(found) < len(formats) or max(found) - min(found) > FORMAT_TOLERANCE:
            return None
        times.append(found[0])
    # Three plain numbers in a row may be begin, end and a numeric value; three times of day are not.
    if quantities == 3 and "hms" not in formats and abs(times[0] + times[2] - times[1]) > DURATION_TOLERANCE:
        return None
    return times[0], times[1]


def _block(first: int, formats: Sequence[str], quantities: int, width: int) -> Columns:
    columns = [
        tuple((time_format, first + quantity * len(formats) + i) for i, time_format in enumerate(formats))
        for quantity in range(quantities)
    ]
    value = first + quantities * len(formats)
    tier = 0 if first > 0 else None
    name = None if tier is not None else "default"  # the name of ELAN's first tier
    return Columns(
        begin=columns[0],
        end=columns[1],
        duration=columns[2] if quantities == 3 else (),
        tier=tier,
        values=((name, value),) if value < width or tier is None else (),
    )


def _is_decimal(cell: str) -> bool:
    return "." in cell and _SECONDS.fullmatch(cell.strip()) is not None


def _plain(cell: str) -> str:
    return " ".join(cell.split()).casefold()
