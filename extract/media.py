"""Opening and decoding video and sound files, safely and on one clock."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
from av.container import InputContainer
from av.error import FFmpegError

from store.errors import InputError
from store.files import require_file

# A text file that begins `ffconcat` or `#EXTM3U` would make FFmpeg open whatever it names, on this machine or
# another: only formats that carry their own picture and sound are let in, and only from files.
FORMATS = "mov,mp4,m4a,3gp,3g2,mj2,matroska,webm,avi,mpeg,mpegts,asf,flv,ogg,wav,flac,mp3"
OPTIONS = {"format_whitelist": FORMATS, "protocol_whitelist": "file"}
MICROSECOND = Fraction(1, 1_000_000)
DAMAGED_AT_MOST = 0.1  # of the packets; beyond, what is left is no recording of the performance

_log = logging.getLogger(__name__)


@contextmanager
def open_media(path: Path) -> Iterator[InputContainer]:
    """Open a video or sound file for reading.

    Parameters
    ----------
    path : Path
        MP4/MOV, Matroska/WebM, AVI, MPEG, MPEG-TS, ASF, FLV, Ogg, WAV, FLAC or MP3. Nothing but the file
        itself is ever opened, whatever it refers to.

    Raises
    ------
    InputError
        If there is no such file, it is empty, it is none of these, or FFmpeg fails while it is open.
    """
    require_file(path)
    try:
        # An absolute path is never taken for a protocol, whatever characters the name holds.
        container = av.open(str(path.absolute()), options=OPTIONS, metadata_errors="ignore")
    except (FFmpegError, OSError) as error:
        raise InputError(
            f"{path}: cannot be opened as video or sound ({_reason(error)}); "
            "check the file, or convert it to MP4 with: ffmpeg -i FILE NEW.mp4"
        ) from error
    try:
        with container:
            yield container
    except FFmpegError as error:
        raise InputError(
            f"{path}: cannot be read to its end ({_reason(error)}); copy it again from its source"
        ) from error


def start_of(container: InputContainer) -> Fraction:
    """Return the time, in seconds on the file's own clock, at which it starts to play.

    It is the earliest start of its streams. FFmpeg gives it rounded to a microsecond; the exact value is
    that of the stream it was rounded from.
    """
    if container.start_time is None:
        return Fraction(0)
    rounded = container.start_time * MICROSECOND
    starts = [
        stream.start_time * stream.time_base
        for stream in container.streams
        if stream.start_time is not None and stream.time_base is not None
    ]
    return min((start for start in starts if abs(start - rounded) <= MICROSECOND), default=rounded)


def decode(path: Path, container: InputContainer, stream: Any) -> Iterator[Any]:
    """Yield the decoded frames of one stream of an open file, in the order of their presentation.

    A damaged part is left out, as a player does: what FFmpeg can decode is used, and one warning is logged.

    Parameters
    ----------
    path : Path
        The file, for messages.
    container : av.container.InputContainer
        The file, open, as `open_media` gives it.
    stream : av.video.stream.VideoStream or av.audio.stream.AudioStream
        One of its streams.

    Yields
    ------
    av.VideoFrame or av.AudioFrame

    Raises
    ------
    InputError
        If there is no decoder for the stream, or more than a tenth of its packets are damaged.
    """
    if stream.codec_context is None:
        raise InputError(
            f"{path}: its {stream.type} is in a format that cannot be decoded; convert it to H.264 and AAC"
        )
    packets = damaged = 0
    for packet in container.demux(stream):
        packets += 1
        try:
            decoded = packet.decode()
        except FFmpegError:
            damaged += 1
            continue
        yield from decoded
    if damaged > DAMAGED_AT_MOST * packets:
        raise InputError(
            f"{path}: {damaged} of {packets} parts of its {stream.type} are damaged; copy it again from its source"
        )
    if damaged:
        _log.warning("%s: %d of %d parts of its %s are damaged and left out", path, damaged, packets, stream.type)


def _reason(error: Exception) -> str:
    """Say in a few words what FFmpeg found wrong, without its call stack and the file's name."""
    reason = getattr(error, "strerror", None) or str(error) or type(error).__name__
    return reason.splitlines()[0].rstrip(".").lower()
