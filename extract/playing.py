"""What a browser can play, and a copy of what it cannot: the same frames at the same times, as H.264."""

import heapq
import os
import tempfile
from collections.abc import Callable, Iterator
from fractions import Fraction
from itertools import chain
from pathlib import Path
from typing import Any

import av
import numpy as np
from av.container import InputContainer
from numpy.typing import NDArray

from extract.media import open_media, start_of
from extract.pictures import displayed, orientation
from extract.sound import Samples, pieces
from extract.timing import timed_frames
from extract.video import picture_stream, probe
from store.errors import InputError
from store.files import sync_folder

# By FFmpeg's names. Browsers differ at the edges; what stands here is played by all of today's.
_PICTURE = {"mp4": {"h264", "vp9", "av1"}, "webm": {"vp8", "vp9", "av1"}}
_SOUND = {"mp4": {"aac", "mp3", "opus"}, "webm": {"opus", "vorbis"}}
_LATE = Fraction(1, 50)  # seconds at which a file may start and still be at 0 for the eye

_CLOCK = 90_000  # ticks a second, MPEG's: what rounding to it moves a frame nobody sees
_SOUND_RATE, _SOUND_FRAME = 48_000, 1024  # samples; AAC's frame
_LONG_SIDE = 1280  # pixels at most: it is looked at beside the annotations, not measured
_KEY_FRAMES = 24  # frames from one that can be jumped to, to the next

_MUXING = {"movflags": "+faststart", "movie_timescale": str(_CLOCK)}  # the latter: when a track begins

Report = Callable[[float], None]


def playable(path: Path) -> bool:
    """Return whether a browser can play a video, at the times that `extract.video.frames` gives its frames.

    Raises
    ------
    InputError
        If the file cannot be opened or has no picture.
    """
    with open_media(path) as container:
        stream = picture_stream(path, container)
        kind = _kind(path, container)
        if kind is None or stream.codec_context is None or stream.codec_context.name not in _PICTURE[kind]:
            return False
        sound = container.streams.best("audio")
        heard = sound is None or (sound.codec_context is not None and sound.codec_context.name in _SOUND[kind])
        late = (stream.start_time or 0) * stream.time_base
        prompt = abs(start_of(container)) <= _LATE and abs(late) <= _LATE
        return heard and prompt and stream.codec_context.pix_fmt in ("yuv420p", "yuvj420p")


def _kind(path: Path, container: InputContainer) -> str | None:
    """Return which of the browsers' containers a file is; Matroska counts as WebM only by that name."""
    names = container.format.name.split(",")
    if "mp4" in names:
        return "mp4"
    return "webm" if "webm" in names and path.suffix.lower() == ".webm" else None


def shown_times(path: Path) -> NDArray[np.float64]:
    """Return when each frame of a playable video is shown, in seconds from its start, without decoding it.

    Raises
    ------
    InputError
        If the file cannot be read.
    """
    with open_media(path) as container:
        stream = picture_stream(path, container)
        start = start_of(container)
        stamps = [packet.pts for packet in container.demux(stream) if packet.pts is not None and not packet.is_discard]
        return np.array([float(stamp * stream.time_base - start) for stamp in sorted(set(stamps))])


def make_playable(path: Path, out: Path, report: Report) -> None:
    """Write a copy of a video that every browser plays: H.264 and AAC in MP4, upright, square pixels.

    Frame k of the copy is frame k of the original, shown at the same time to a ninety-thousandth of a second. The
    sound is mono, with silence where the original has none.

    Parameters
    ----------
    path : Path
        The video.
    out : Path
        Where to, ``.mp4``; written beside and renamed, so that it is there whole or not at all.
    report : callable
        Told the share that is done, 0 to 1.

    Raises
    ------
    InputError
        If the video cannot be read to its end, or the copy not be written.
    """
    info = probe(path)
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=out.parent, prefix=f".{out.stem}.") as workspace:
            fresh = Path(workspace, "copy.mp4")
            with av.open(str(fresh), "w", options=_MUXING) as output:
                _copy(path, output, info.has_sound, lambda time: report(min(time / max(info.duration, 1e-9), 1.0)))
            report(1.0)
            os.replace(fresh, out)  # noqa: PTH105 (on Windows too)
            sync_folder(out.parent)
    except OSError as error:
        raise InputError(f"{out}: cannot be written ({error.strerror}); free or choose another place") from error


def _copy(path: Path, output: Any, has_sound: bool, report: Report) -> None:
    """Encode picture and sound side by side, whichever is behind first, so that little waits in memory."""
    with open_media(path) as container:
        stream = picture_stream(path, container)
        timed = timed_frames(path, container, stream)
        first = next(timed, None)
        if first is None:
            raise InputError(f"{path}: no frame of it can be decoded; copy it again, or convert it to H.264")
        picture = _Picture(output, stream, first[2])
        sound = _sound_track(output) if has_sound else None  # both before the header is written
        steps: list[Iterator[tuple[float, Any]]] = [picture.packets(chain([first], timed))]
        if sound is not None:
            steps.append(_sound_packets(sound, pieces(path, _SOUND_RATE)))
        for time, packets in heapq.merge(*steps, key=lambda step: step[0]):
            output.mux(packets)
            report(time)


class _Picture:
    """The picture's track: frames turned upright, scaled, and encoded on their own times."""

    def __init__(self, output: Any, stream: Any, first: Any) -> None:
        self._turn = orientation(first)
        width, height = (float(side) for side in displayed(first, stream, self._turn))
        scale = min(1.0, _LONG_SIDE / max(width, height))
        self._size = [max(2, round(side * scale / 2) * 2) for side in (width, height)]  # H.264 halves the colours
        options = {"preset": "veryfast", "crf": "21", "bf": "0", "g": str(_KEY_FRAMES)}
        self._track = output.add_stream("libx264", rate=25, options=options)
        self._track.width, self._track.height = self._size
        self._track.pix_fmt = "yuv420p"
        self._track.codec_context.time_base = Fraction(1, _CLOCK)
        self._graph: tuple[Any, Any] = (None, None)  # for frames of which kind, and what turns and scales them

    def packets(self, timed: Iterator[tuple[Fraction, Fraction, Any]]) -> Iterator[tuple[float, Any]]:
        """Yield time and packets of every frame, then those that the encoder still held."""
        end = 0.0
        for begin, until, frame in timed:
            shaped = self._shaped(frame)
            shaped.pts, shaped.time_base = round(begin * _CLOCK), Fraction(1, _CLOCK)
            shaped.duration = round(until * _CLOCK) - round(begin * _CLOCK)
            shaped.pict_type = av.video.frame.PictureType.NONE  # as the encoder likes, not as it was
            yield float(begin), self._track.encode(shaped)
            end = float(until)
        yield end, self._track.encode(None)

    def _shaped(self, frame: Any) -> Any:
        kind = frame.width, frame.height, frame.format.name
        if self._graph[0] != kind:
            self._graph = kind, self._filters(frame)
        graph = self._graph[1]
        graph.push(frame)
        return graph.pull()

    def _filters(self, frame: Any) -> Any:
        graph = av.filter.Graph()
        source = graph.add_buffer(
            width=frame.width, height=frame.height, format=frame.format, time_base=Fraction(1, _CLOCK)
        )
        chained = [source]
        if self._turn.transposed:
            chained.append(graph.add("transpose", "cclock_flip"))
        if self._turn.left_right:
            chained.append(graph.add("hflip"))
        if self._turn.up_down:
            chained.append(graph.add("vflip"))
        chained.append(graph.add("scale", f"{self._size[0]}:{self._size[1]}"))
        chained.append(graph.add("setsar", "1"))
        chained.append(graph.add("format", "yuv420p"))
        chained.append(graph.add("buffersink"))
        graph.link_nodes(*chained).configure()
        return graph


def _sound_track(output: Any) -> Any:
    track = output.add_stream("aac", rate=_SOUND_RATE, layout="mono")
    track.bit_rate = 128_000
    return track


def _sound_packets(track: Any, sound: Iterator[tuple[int, Samples]]) -> Iterator[tuple[float, Any]]:
    """Yield time and packets of the sound."""
    position = 0
    for samples in _frames_of(sound):
        frame = av.AudioFrame.from_ndarray(samples[None], format="fltp", layout="mono")
        frame.sample_rate, frame.pts, frame.time_base = _SOUND_RATE, position, Fraction(1, _SOUND_RATE)
        yield position / _SOUND_RATE, track.encode(frame)
        position += _SOUND_FRAME
    yield position / _SOUND_RATE, track.encode(None)


def _frames_of(sound: Iterator[tuple[int, Samples]]) -> Iterator[Samples]:
    """Cut the sound into frames from 0 on, with silence where there is none."""
    held, done = np.zeros(0, np.float32), 0
    for begin, samples in sound:
        behind = begin - done - len(held)
        while behind > 0:  # a frame at a time, however long the hole is
            silence = np.zeros(min(behind, _SOUND_FRAME), np.float32)
            held, behind = np.concatenate([held, silence]), behind - len(silence)
            while len(held) >= _SOUND_FRAME:
                yield held[:_SOUND_FRAME]
                held, done = held[_SOUND_FRAME:], done + _SOUND_FRAME
        held = np.concatenate([held, samples[-behind:] if behind < 0 else samples])
        while len(held) >= _SOUND_FRAME:
            yield held[:_SOUND_FRAME]
            held, done = held[_SOUND_FRAME:], done + _SOUND_FRAME
    if len(held):
        yield np.pad(held, (0, _SOUND_FRAME - len(held)))
