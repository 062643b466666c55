"""Praat's TextGrid: interval tiers and point tiers, in the long and the short text format.

The format is that of https://www.fon.hum.uva.nl/praat/manual/TextGrid_file_formats.html: of the text only numbers,
quoted strings and flags that stand free count, which makes the long format and the short one the same.

A point is an annotation of no length. Praat fills the time between annotations with intervals without text, so
these are none; an annotation without text is therefore written with its tier's name as text.
"""

import re
from collections.abc import Sequence
from decimal import Decimal
from itertools import pairwise
from pathlib import Path

from store.annotations.decoding import decode, seconds_text
from store.annotations.model import AnnotationFile, Interval, milliseconds
from store.errors import InputError

_TOKEN = re.compile(
    r"""(?P<text>"(?:[^"]|"")*")|(?P<broken>")|(?P<comment>(?<!\S)![^\r\n]*)|(?P<flag><[a-z]+>)"""
    r"""|(?P<number>(?<!\S)-?[0-9]{1,12}(?:\.[0-9]{1,30})?(?:[eE]-?[0-9]{1,3})?%?(?!\S))|[^\s"]+"""
)
_CLASSES = {"IntervalTier": "interval", "TextTier": "point"}


class _Tokens:
    """The numbers, strings and flags of a TextGrid, one after the other."""

    def __init__(self, path: Path, text: str):
        self._path, self._text = path, text
        self._tokens = (each for each in _TOKEN.finditer(text) if each.lastgroup not in (None, "comment"))
        self._at = 0

    def take(self, kind: str, what: str) -> str:
        """Return the next token, which must be of a kind; `what` it means is for the message."""
        token = next(self._tokens, None)
        if token is None:
            raise InputError(f"{self._path}: ends where {what} should stand; save it again with Praat")
        self._at = token.start()
        if token.lastgroup != kind:
            raise self.wrong(f"{token[0][:40]!r} stands where {what} should")
        return token[0]

    def string(self, what: str) -> str:
        return self.take("text", what)[1:-1].replace('""', '"')

    def time(self, what: str) -> Decimal:
        return Decimal(self.take("number", what).rstrip("%"))

    def count(self, what: str) -> int:
        number = self.time(what)
        if number != int(number) or not 0 <= number < 10**7:
            raise self.wrong(f"{what} is {number}")
        return int(number)

    def wrong(self, what: str) -> InputError:
        line = 1 + len(re.findall(r"\r\n|[\r\n]", self._text[: self._at]))
        return InputError(f"{self._path}, line {line}: {what}; save it again with Praat")


def read_textgrid(path: Path) -> AnnotationFile:
    """Read a TextGrid; UTF-8, or UTF-16 with a byte order mark.

    Raises
    ------
    InputError
        If it is none, or damaged; the message names the line.
    """
    tokens = _Tokens(path, decode(path))
    kind = tokens.string("the file's type")
    if not kind.startswith("ooTextFile"):
        raise tokens.wrong(f"the file is of type {kind[:40]!r}, not a text file of Praat's")
    kind = tokens.string("the object's class")
    if kind.split() != ["TextGrid"]:
        raise tokens.wrong(f"the file holds {kind[:40]!r}, not a TextGrid")
    tokens.time("its start")
    tokens.time("its end")
    tiers: dict[str, list[Interval]] = {}
    if tokens.take("flag", "whether there are tiers") == "<exists>":
        for _ in range(tokens.count("the number of tiers")):
            kind, name = tokens.string("a tier's class"), tokens.string("a tier's name")
            if kind not in _CLASSES:
                raise tokens.wrong(f"tier {name!r} is of class {kind!r}, neither IntervalTier nor TextTier")
            tokens.time("a tier's start")
            tokens.time("a tier's end")
            tiers.setdefault(name, []).extend(_entries(tokens, name, kind))
    intervals = [
        each for members in tiers.values() for each in sorted(members, key=lambda each: (each.begin, each.end))
    ]
    return AnnotationFile(path, tuple(tiers), tuple(intervals))


def _entries(tokens: _Tokens, tier: str, kind: str) -> list[Interval]:
    """Return the intervals that have a text, or the points, of a tier."""
    entries = []
    for _ in range(tokens.count(f"the number of {_CLASSES[kind]}s of tier {tier!r}")):
        begin = tokens.time(f"a time of tier {tier!r}")
        end = tokens.time(f"a time of tier {tier!r}") if kind == "IntervalTier" else begin
        text = tokens.string(f"a text of tier {tier!r}")
        if not text.strip() and kind == "IntervalTier":
            continue
        if not 0 <= begin <= end:
            raise tokens.wrong(f"{text!r} of tier {tier!r} goes from {begin} to {end} s")
        entries.append(Interval(float(begin), float(end), tier, text))
    return entries


def textgrid(path: Path, tiers: Sequence[str], intervals: Sequence[Interval]) -> bytes:
    """Return intervals as a TextGrid in the long format; what lasts no time as points of a tier of that name.

    Raises
    ------
    InputError
        If annotations of a tier overlap, or two of its points are at one time, which Praat cannot hold.
    """
    names = dict.fromkeys((*tiers, *(interval.tier for interval in intervals)))
    end = max((milliseconds(interval)[1] for interval in intervals), default=0) or 1000
    items: list[list[str]] = []
    for name in names:
        members = sorted((interval for interval in intervals if interval.tier == name), key=milliseconds)
        points = [each for each in members if len(set(milliseconds(each))) == 1]
        spans = [each for each in members if len(set(milliseconds(each))) == 2]
        _refuse_overlaps(path, spans)
        _refuse_overlaps(path, points)
        if spans or not points:
            items.append(_item("IntervalTier", name, end, "intervals", _filled(spans, name, end)))
        if points:
            items.append(_item("TextTier", name, end, "points", [_point(each) for each in points]))
    head = ['File type = "ooTextFile"', 'Object class = "TextGrid"', "", "xmin = 0", f"xmax = {seconds_text(end)}"]
    lines = [*head, "tiers? <exists>", f"size = {len(items)}", "item []:"]
    for number, item in enumerate(items, 1):
        lines += [f"    item [{number}]:", *(f"        {line}" for line in item)]
    return ("\n".join(lines) + "\n").encode()


def _refuse_overlaps(path: Path, members: Sequence[Interval]) -> None:
    for before, after in pairwise(members):
        (first, last), (begin, _) = milliseconds(before), milliseconds(after)
        if begin < last or begin == first:
            raise InputError(
                f"{path}: annotations of tier {after.tier!r} overlap at {after.begin:.3f} s, which Praat cannot "
                "hold; put them on tiers of their own"
            )


def _item(kind: str, name: str, end: int, what: str, entries: Sequence[Sequence[str]]) -> list[str]:
    lines = [f'class = "{kind}"', f"name = {_quoted(name)}", "xmin = 0", f"xmax = {seconds_text(end)}"]
    lines.append(f"{what}: size = {len(entries)}")
    for number, entry in enumerate(entries, 1):
        lines += [f"{what} [{number}]:", *(f"    {line}" for line in entry)]
    return lines


def _filled(spans: Sequence[Interval], tier: str, end: int) -> list[list[str]]:
    """Return a tier's intervals, those without text between them included."""
    entries, at = [], 0
    for span in spans:
        begin, stop = milliseconds(span)
        if begin > at:
            entries.append(_interval(at, begin, ""))
        entries.append(_interval(begin, stop, span.value if span.value.strip() else tier.strip() or "*"))
        at = stop
    if at < end:
        entries.append(_interval(at, end, ""))
    return entries


def _interval(begin: int, end: int, text: str) -> list[str]:
    return [f"xmin = {seconds_text(begin)}", f"xmax = {seconds_text(end)}", f"text = {_quoted(text)}"]


def _point(point: Interval) -> list[str]:
    return [f"number = {seconds_text(milliseconds(point)[0])}", f"mark = {_quoted(point.value)}"]


def _quoted(text: str) -> str:
    return '"' + text.replace('"', '""') + '"'
