"""The picture: what a video holds, and its frames with their times, made ready for the backbone."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
from av.container import InputContainer
from av.stream import Disposition

from extract.media import MICROSECOND, decode, open_media, start_of
from extract.pictures import RESIZES, Picture, Shaper, displayed, orientation
from extract.regions import Region
from extract.sampling import check_rate, resample
from extract.timing import timed_frames, usual_interval
from store.errors import InputError

SHORT_AT_MOST = 1  # seconds that a video may end before the length its header declares


@dataclass(frozen=True)
class VideoInfo:
    """What a video file says about its picture.

    Attributes
    ----------
    width, height : int
        Of the picture as displayed (rotated, pixels made square), in pixels.
    frame_rate : float
        Frames a second, on average.
    duration : float
        Of the picture, in seconds.
    rotation : int
        Degrees, counter-clockwise, by which the stored picture is turned for display.
    has_sound : bool
        Whether there is a sound stream beside the picture.
    frame_count : int
        Frames according to the header or the packets: near the number that decode, not always equal to it.
    codec : str
        FFmpeg's name of the picture's format, such as "h264".
    """

    width: int
    height: int
    frame_rate: float
    duration: float
    rotation: int
    has_sound: bool
    frame_count: int
    codec: str


@dataclass(frozen=True, eq=False)
class Frame:
    """One frame of a video.

    Attributes
    ----------
    time, end : float
        Seconds from the start of the file (picture or sound, whichever is first) between which it is shown.
    source : Picture
        Gives the picture. It stays valid as long as the frame is held, but until it is first asked for it
        holds the whole decoded picture: drop the frames that are not needed.
    """

    time: float
    end: float
    source: Picture

    @property
    def picture(self) -> np.ndarray:
        """RGB, upright, (size, size, 3) uint8; shaped when it is first asked for, by any thread."""
        return self.source()


def probe(path: Path) -> VideoInfo:
    """Return what a video file says about its picture; the first frame is decoded, not the others.

    Raises
    ------
    InputError
        If the file cannot be opened, has no video stream, or its first frame cannot be decoded.
    """
    with open_media(path) as container:
        stream = picture_stream(path, container)
        count, rate, duration = _header(container, stream) or _from_packets(path)
        first = next(decode(path, container, stream), None)
        if first is None:
            raise _nothing_decodes(path)
        width, height = displayed(first, stream, orientation(first))
        return VideoInfo(
            width=round(width),
            height=round(height),
            frame_rate=float(rate),
            duration=float(duration),
            rotation=first.rotation,
            has_sound=container.streams.best("audio") is not None,
            frame_count=count,
            codec=stream.codec_context.name,
        )


def frames(
    path: Path,
    *,
    size: int = 112,
    resize: str = "crop",
    before_crop: tuple[int, int] | None = None,
    roi: Region | None = None,
    fps: float | None = None,
) -> Iterator[Frame]:
    """Yield the frames of a video in the order of their display, one at a time.

    Times are the file's own timestamps (never index over rate), so a variable frame rate is kept as it is.
    Only in AVI, which has no timestamps, they come from the order. A frame ends where the next begins; the
    last one after the duration that the file gives it, else after the median interval. Rotation, mirroring
    and oblong pixels are undone. What is damaged in the middle (see `extract.media.decode`) is left out, and
    so are single frames that step back in time, with a warning logged.

    Parameters
    ----------
    path : Path
        The video.
    size : int
        Height and width of the pictures, in pixels.
    resize : {"crop", "squash"}
        "crop": short side to `size` (bilinear), then the centre; "squash": both sides to `size`, as in
        Section 5.1 of the paper (Simistira Liwicki et al.).
    before_crop : (int, int), optional
        Height and width to which "crop" stretches the picture instead, before it takes the centre.
    roi : (int, int, int, int), optional
        Region of interest: x, y, width and height, in pixels of the picture as `probe` gives its size. It is
        looked at as if it were the whole picture.
    fps : float, optional
        Frames a second, the nearest in time (see `extract.sampling.resample`); without it the video's own.

    Yields
    ------
    Frame

    Raises
    ------
    InputError
        If the file cannot be opened, has no video stream, no frame of it can be decoded, its timestamps run
        backwards, it ends more than a second before the length that its header declares, the region is not
        inside the picture or too small, or there is no such rate.
    """
    if resize not in RESIZES:
        raise ValueError(f"resize must be one of {', '.join(RESIZES)}, not {resize!r}")
    rate = None if fps is None else check_rate(fps)
    with open_media(path) as container:
        stream = picture_stream(path, container)
        shaper = Shaper(path, stream, size, resize, before_crop, roi)
        shown = ((begin, end, shaper.picture(frame)) for begin, end, frame in _all(path, container, stream))
        for begin, end, picture in shown if rate is None else resample(shown, rate):
            yield Frame(float(begin), float(end), picture)


def picture_stream(path: Path, container: InputContainer) -> Any:
    """Return the video stream a player would show, with threaded decoding switched on."""
    stream: Any = container.streams.best("video")
    # The cover of a music album is a "video" stream of one picture, too.
    if stream is None or stream.disposition & Disposition.attached_pic:
        raise InputError(f"{path}: has no video stream; name the file that holds the picture")
    if stream.codec_context is not None:
        stream.thread_type = "AUTO"
    return stream


def _nothing_decodes(path: Path) -> InputError:
    return InputError(f"{path}: no frame of it can be decoded; copy it again, or convert it to H.264")


def _header(container: InputContainer, stream: Any) -> tuple[int, Fraction, Fraction] | None:
    """Return frame count, average rate and duration (seconds) if the file's header declares them."""
    if not (stream.frames and stream.average_rate and stream.duration):
        return None
    # FFmpeg shortens the duration of an AVI file that was cut off; its header does not.
    length = stream.frames if container.format.name == "avi" else stream.duration
    return stream.frames, stream.average_rate, length * stream.time_base


def _from_packets(path: Path) -> tuple[int, Fraction, Fraction]:
    """Return the same as `_header`, from the packets: for a file whose header does not say."""
    with open_media(path) as container:
        stream = picture_stream(path, container)
        count = first = last = 0
        for packet in container.demux(stream):
            stamp = packet.dts if packet.pts is None else packet.pts
            if stamp is None or packet.is_discard:
                continue
            first = min(first, stamp) if count else stamp
            last = max(last, stamp) if count else stamp
            count += 1
        span = (last - first) * stream.time_base
        interval = span / (count - 1) if span else usual_interval(stream)
        return count, 1 / interval, span + interval


def _all(path: Path, container: InputContainer, stream: Any) -> Iterator[tuple[Fraction, Fraction, Any]]:
    """Yield all frames with their times; refuse a video that is cut off, or has none."""
    end = None
    for begin, end, frame in timed_frames(path, container, stream):
        yield begin, end, frame
    if end is None:
        raise _nothing_decodes(path)
    _require_whole(path, container, stream, end)


def _require_whole(path: Path, container: InputContainer, stream: Any, end: Fraction) -> None:
    """Refuse a file that was cut off."""
    declared = _declared_end(container, stream)
    if declared is not None and declared - end > SHORT_AT_MOST:
        raise InputError(
            f"{path}: its picture ends at {float(end):.2f} s of {float(declared):.2f} s, as if cut off; "
            "copy it again, or keep what is there with: ffmpeg -i FILE NEW.mp4"
        )


def _declared_end(container: InputContainer, stream: Any) -> Fraction | None:
    """Return the time at which the file's header says that the picture ends."""
    header = _header(container, stream)
    if header is not None:
        return header[2] + (stream.start_time or 0) * stream.time_base - start_of(container)
    # Matroska has the length of the longest stream in its header, and of each in a tag, which may be of another day.
    tag = re.fullmatch(r"(\d+):(\d\d):(\d\d\.\d+)", stream.metadata.get("DURATION", ""))
    if tag is None or container.duration is None:
        return None
    hours, minutes, seconds = map(Fraction, tag.groups())
    return min(3600 * hours + 60 * minutes + seconds, container.duration * MICROSECOND) - start_of(container)
