"""WebVTT, the subtitles of web pages: a cue for each annotation, its tier as the voice that speaks.

The format is that of https://www.w3.org/TR/webvtt1/. ``<v Nodding>slow`` is the annotation "slow" on the tier
"Nodding"; a cue without a voice is one of the tier "default".
"""

import html
import re
from collections.abc import Iterator, Sequence
from pathlib import Path

from store.annotations.decoding import clock_text, decode, lines_of
from store.annotations.model import AnnotationFile, Interval, milliseconds
from store.errors import InputError

_TIMESTAMP = r"(?:([0-9]{2,4}):)?([0-5][0-9]):([0-5][0-9])\.([0-9]{3})"
_TIMING = re.compile(rf"[ \t]*{_TIMESTAMP}[ \t]*-->[ \t]*{_TIMESTAMP}(?:[ \t].*)?")
_VOICE = re.compile(r"<v(?:\.[^\s>]*)?(?:[ \t\n]([^>]*))?>")
_TAG = re.compile(r"<[^>]*>")
_NO_CUE = re.compile(r"(?:NOTE|STYLE|REGION)(?:[ \t]|$)")
_NO_VOICE = "default"


def read_webvtt(path: Path) -> AnnotationFile:
    """Read the cues of a WebVTT file; tags other than voices are left out.

    Raises
    ------
    InputError
        If it is none, or a cue's times cannot be read; the message names the line.
    """
    lines = lines_of(decode(path))
    if not re.fullmatch(r"WEBVTT([ \t].*)?", lines[0], re.DOTALL):
        raise InputError(f"{path}: does not begin with WEBVTT; export it again as WebVTT")
    intervals = [interval for line, block in _blocks(lines) for interval in _cue(path, line, block)]
    tiers = dict.fromkeys(interval.tier for interval in intervals)
    place = {tier: position for position, tier in enumerate(tiers)}
    intervals.sort(key=lambda interval: (place[interval.tier], interval.begin, interval.end))
    return AnnotationFile(path, tuple(tiers), tuple(intervals))


def webvtt(intervals: Sequence[Interval]) -> bytes:
    """Return intervals as cues in the order of time."""
    cues = ["WEBVTT\n"]
    for interval in sorted(intervals, key=milliseconds):
        begin, end = (clock_text(time) for time in milliseconds(interval))
        name = re.sub(r"^ | $", "&#32;", _escaped(interval.tier))
        cues.append(f"{begin} --> {end}\n<v {name}>{_escaped(interval.value)}</v>\n")
    return "\n".join(cues).encode()


def _blocks(lines: Sequence[str]) -> Iterator[tuple[int, list[str]]]:
    """Yield header, cues and notes, with the number of the first line of each.

    They end at an empty line, or before the times of the next cue.
    """
    block: list[str] = []
    for number, line in enumerate([*lines[1:], ""], 2):
        times_wanted = len(block) == 1 and number > 3 and "-->" not in block[0]  # a cue's name may precede its times
        if block and (not line or ("-->" in line and not times_wanted)):
            yield number - len(block), block
            block = []
        if line:
            block.append(line)


def _cue(path: Path, number: int, block: Sequence[str]) -> Iterator[Interval]:
    at = next((place for place, line in enumerate(block[:2]) if "-->" in line), None)
    if (number == 2 and at is None) or (at != 1 and _NO_CUE.match(block[0])):  # the header goes on, or a note
        return
    if at is None:
        raise _bad(path, number, block[0], "no cue: its times are missing")
    match = _TIMING.fullmatch(block[at])
    if match is None:
        raise _bad(path, number + at, block[at], "no times of a cue")
    begin, end = _seconds(match.groups()[:4]), _seconds(match.groups()[4:])
    if end < begin:
        raise _bad(path, number + at, block[at], "ends before it starts")
    for tier, value in _voices("\n".join(block[at + 1 :])):
        yield Interval(begin, end, tier, value)


def _voices(text: str) -> Iterator[tuple[str, str]]:
    """Yield who speaks in a cue's text, and what."""
    starts = list(_VOICE.finditer(text))
    before = text[: starts[0].start()] if starts else text
    if not starts or _plain(before).strip():
        yield _NO_VOICE, _plain(before)
    bounds = [*(start.start() for start in starts), len(text)]
    for start, end in zip(starts, bounds[1:], strict=True):
        yield html.unescape((start[1] or "").strip(" \t\n")), _plain(text[start.end() : end].removesuffix("\n"))


def _plain(text: str) -> str:
    return html.unescape(_TAG.sub("", text))


def _escaped(text: str) -> str:
    """Return text in which nothing ends a tag, a line or a cue."""
    return re.sub("[\t\r\n]", lambda sign: f"&#{ord(sign[0])};", html.escape(text, quote=False))


def _seconds(parts: Sequence[str | None]) -> float:
    hours, minutes, seconds, thousandths = (int(part or 0) for part in parts)
    return ((hours * 60 + minutes) * 60000 + seconds * 1000 + thousandths) / 1000


def _bad(path: Path, number: int, line: str, what: str) -> InputError:
    shown = line if len(line) <= 120 else line[:117] + "..."
    return InputError(f"{path}, line {number}: {what}, in {shown!r}; correct the line or export the file again")
