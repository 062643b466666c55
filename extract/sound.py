"""Sound as it comes out of a file: at one rate, mono, in pieces that know their place."""

from collections.abc import Generator, Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
from numpy.typing import NDArray

from extract.media import decode, open_media, start_of
from store.errors import InputError

GAP = Fraction(1, 20)  # seconds by which a timestamp may differ from the count of samples
BACK_AT_MOST = 1  # seconds; beyond, the clock was set back and the sound's place is unknown

Samples = NDArray[np.float32]


def pieces(path: Path, rate: int) -> Generator[tuple[int, Samples]]:
    """Yield a file's sound, mono, in pieces, in order of time.

    Parameters
    ----------
    path : Path
        The video or sound file.
    rate : int
        Samples a second of what is yielded.

    Yields
    ------
    (int, numpy.ndarray of shape (samples,), float32)
        How many samples after the file's start the piece begins, and the piece; channels are averaged.

    Raises
    ------
    InputError
        If the file cannot be opened, has no sound stream, or its sound cannot be decoded.
    """
    with open_media(path) as container:
        stream = container.streams.best("audio")
        if stream is None:
            raise InputError(f"{path}: has no sound stream; name a file that has one, or leave the sound out")
        start = start_of(container)
        run = None
        for frame in decode(path, container, stream):
            time = None if frame.pts is None else frame.pts * frame.time_base - start
            if run is None or not run.continues(frame, time):
                if run is not None:
                    yield from run.feed(None)
                    if time is not None and run.time - time > BACK_AT_MOST:
                        raise InputError(
                            f"{path}: the times of its sound run backwards near {float(run.time):.2f} s; "
                            "give it new ones with: ffmpeg -i FILE NEW.mp4"
                        )
                    time = run.time if time is None else time
                run = _Run(frame, time or Fraction(0), rate)
            yield from run.feed(frame)
        if run is not None:
            yield from run.feed(None)


class _Run:
    """A stretch of sound without a gap, in one format.

    Within it samples are counted, since timestamps are rounded; at each new one the timestamp is believed.
    """

    def __init__(self, frame: Any, time: Fraction, rate: int) -> None:
        self.format = self._format_of(frame)
        self.time = time  # seconds, up to where it has been fed
        self.position = round(time * rate)
        # Channels are kept, and averaged here: FFmpeg's own mixing to mono changes the level. Interleaved,
        # since PyAV reads past the end of planar sound with more than eight channels.
        self.resampler = av.AudioResampler(format="flt", rate=rate)

    @staticmethod
    def _format_of(frame: Any) -> tuple[int, str, str]:
        return frame.sample_rate, frame.layout.name, frame.format.name

    def continues(self, frame: Any, time: Fraction | None) -> bool:
        """Return whether a frame goes on where this run is."""
        return self._format_of(frame) == self.format and (time is None or abs(time - self.time) <= GAP)

    def feed(self, frame: Any | None) -> Iterator[tuple[int, Samples]]:
        """Yield the resampled pieces that a frame completes; None takes the last out."""
        if frame is not None:
            self.time += Fraction(frame.samples, frame.sample_rate)
        for resampled in self.resampler.resample(frame):
            channels = resampled.to_ndarray().reshape(-1, resampled.layout.nb_channels)
            mono = np.nan_to_num(channels.mean(axis=1), nan=0.0, posinf=0.0, neginf=0.0)
            yield self.position, mono
            self.position += len(mono)
