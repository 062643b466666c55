"""When each frame of a video is shown, by its own timestamps."""

import logging
from collections import deque
from collections.abc import Iterator, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

from av.container import InputContainer

from extract.media import decode, start_of
from store.errors import InputError

BACK_AT_MOST = 1  # seconds that a frame's time may lie before its predecessor's and still count as a stray one
STRAY_AT_MOST = 0.1  # of the frames
USUAL_RATE = Fraction(25)  # frames a second, where nothing in the file says
RECENT = 999  # frames from which the usual interval is taken
HOLE = 0.5  # seconds without a frame that are told, if they are also
HOLE_INTERVALS = 5  # times as long as the usual interval

_log = logging.getLogger(__name__)


def timed_frames(path: Path, container: InputContainer, stream: Any) -> Iterator[tuple[Fraction, Fraction, Any]]:
    """Yield the decoded frames of a video with the times between which they are shown.

    Times are the file's own timestamps, in seconds from its start (of picture or sound, whichever is first), and
    strictly increase: single frames that step back are left out, with a warning. Only in AVI, which has none,
    they come from the order. A frame ends where the next begins, the last one after its own duration, else after
    the median interval. A hole of half a second or more is told, in a warning; its last frame is shown on.

    Raises
    ------
    InputError
        If the times run backwards.
    """
    waiting: tuple[Fraction, Any] | None = None
    intervals: deque[Fraction] = deque(maxlen=RECENT)
    holes: list[Fraction] = []
    for time, frame in _timed(path, container, stream):
        if waiting is not None:
            begin, shown = waiting
            if intervals and time - begin >= HOLE and time - begin > HOLE_INTERVALS * _median(intervals):
                holes.append(begin)
            intervals.append(time - begin)
            yield begin, time, shown
        waiting = time, frame
    if holes:
        _log.warning(
            "%s: in %d places no frame comes for half a second or more, first after %.2f s; the frame before is taken "
            "to be shown on",
            *(path, len(holes), float(holes[0])),
        )
    if waiting is not None:
        begin, shown = waiting
        yield begin, begin + _last_duration(stream, shown, intervals), shown


def _timed(path: Path, container: InputContainer, stream: Any) -> Iterator[tuple[Fraction, Any]]:
    """Yield the decoded frames with their times in seconds from the file's start, strictly increasing."""
    previous: Fraction | None = None
    count = stray = 0
    for time, frame in _stamped(path, container, stream):
        count += 1
        if previous is not None and time <= previous:
            stray += 1
            if previous - time > BACK_AT_MOST:
                raise _backwards(path, previous)
            continue
        yield time, frame
        previous = time
    if previous is not None and stray > STRAY_AT_MOST * count:
        raise _backwards(path, previous)
    if stray:
        _log.warning("%s: %d of %d frames come with a time already past and are left out", path, stray, count)


def _stamped(path: Path, container: InputContainer, stream: Any) -> Iterator[tuple[Fraction, Any]]:
    """Yield the decoded frames with their times as the file gives them."""
    start = start_of(container)
    origin = (stream.start_time or 0) * stream.time_base - start
    numbered = container.format.name == "avi"
    delay = None if numbered and stream.codec_context.has_b_frames else Fraction(0)
    end = origin
    for frame in decode(path, container, stream):
        # AVI only numbers its chunks: with B-frames a frame's `pts` is the number of another chunk. Its
        # `dts` is the number of the chunk that released it: it counts the frames, a constant delay later.
        stamp = frame.dts if numbered else frame.pts
        if stamp is None:  # as for the frames that AVI's last chunk releases
            time = end
        else:
            time = stamp * frame.time_base - start
            delay = time - origin if delay is None else delay
            time -= delay
        yield time, frame
        end = time + (_own_duration(frame) or usual_interval(stream))


def _backwards(path: Path, time: Fraction) -> InputError:
    return InputError(
        f"{path}: the times of its frames run backwards near {float(time):.2f} s; "
        "give it new ones with: ffmpeg -i FILE NEW.mp4"
    )


def _own_duration(frame: Any) -> Fraction | None:
    return frame.duration * frame.time_base if frame.duration else None


def usual_interval(stream: Any) -> Fraction:
    """Return the seconds from frame to frame that the header declares, else those of 25 frames a second."""
    return 1 / (stream.average_rate or USUAL_RATE)


def _last_duration(stream: Any, frame: Any, intervals: deque[Fraction]) -> Fraction:
    """Return for how many seconds the last frame is shown."""
    own = _own_duration(frame)
    if own is not None:
        return own
    if intervals:
        return _median(intervals)
    return usual_interval(stream)


def _median(intervals: Sequence[Fraction]) -> Fraction:
    return sorted(intervals)[len(intervals) // 2]
