"""The sound: the samples of each clip, and their timbre (Section 5.1 of Simistira Liwicki et al.)."""

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
from numpy.typing import NDArray

from extract.media import decode, open_media, start_of
from store.errors import InputError

WINDOWS = 28  # of a clip: 1 + samples // hop, centred
GAP = Fraction(1, 20)  # seconds by which a timestamp may differ from the count of samples
BACK_AT_MOST = 1  # seconds; beyond, the clock was set back and the sound's place is unknown
AT_ONCE = 32  # clips whose spectra (0.5 MB each with what is derived from them) are in memory together

Samples = NDArray[np.float32]


@dataclass(frozen=True)
class AudioParameters:
    """What the audio features of a store are made with, in the terms of librosa.

    Attributes
    ----------
    rate : int
        Samples a second.
    samples : int
        Samples of a clip: 0.64 s.
    n_fft, hop : int
        Window and step, in samples.
    n_mfcc : int
        Mel-frequency cepstral coefficients.
    rolloff : float
        Part of the energy below the roll-off frequency.
    contrast : str
        How the bands of the spectral contrast become one feature.
    """

    rate: int = 22050
    samples: int = 14112
    n_fft: int = 2048
    hop: int = 512
    n_mfcc: int = 20
    rolloff: float = 0.85
    contrast: str = "mean"


PARAMETERS = AudioParameters()


def timbre(samples: NDArray[np.floating]) -> Samples:
    """Return the audio features of clips (Section 5.1).

    Twenty MFCC, spectral centroid, bandwidth, roll-off, flatness, contrast (mean over its bands),
    zero-crossing rate and RMS, then the first derivatives of these 27, the second and the third. Each clip's
    features are those that librosa gives for it alone.

    Parameters
    ----------
    samples : numpy.ndarray of shape (clips, 14112)
        Sound at 22,050 Hz, finite.

    Returns
    -------
    numpy.ndarray of shape (clips, 28, 108), float32
        For each of 28 windows of a clip, its features.
    """
    features = np.empty((len(samples), WINDOWS, 4 * (PARAMETERS.n_mfcc + 7)), np.float32)
    for first in range(0, len(samples), AT_ONCE):
        some = slice(first, first + AT_ONCE)
        features[some] = _with_derivatives(_base_features(np.asarray(samples[some], np.float32)))
    return features


def _base_features(samples: Samples) -> NDArray[np.floating]:
    """Return the 27 features of clips: (clips, 27, 28)."""
    from librosa import feature, fft_frequencies, stft

    rate = PARAMETERS.rate
    window: dict[str, Any] = {"frame_length": PARAMETERS.n_fft, "hop_length": PARAMETERS.hop}
    frequencies = fft_frequencies(sr=rate, n_fft=PARAMETERS.n_fft)
    spectrum = stft(samples, n_fft=PARAMETERS.n_fft, hop_length=PARAMETERS.hop)
    # Frequencies side by side in memory, as for a single clip: numpy then adds them up in the same order.
    magnitude = np.abs(spectrum.transpose(0, 2, 1), order="C").transpose(0, 2, 1)
    of_spectrum = {"S": magnitude, "sr": rate, "freq": frequencies}
    mel = feature.melspectrogram(S=magnitude**2, sr=rate)
    centroid = feature.spectral_centroid(**of_spectrum)
    # librosa takes the 80 dB below which it cuts off from the loudest point of all it is given, which must be
    # one clip: so where decibels are involved, clips are taken one by one or cut off here.
    contrast = [feature.spectral_contrast(**{**of_spectrum, "S": clip}) for clip in magnitude]
    return np.concatenate(
        [
            feature.mfcc(S=_decibels(mel), n_mfcc=PARAMETERS.n_mfcc),
            centroid,
            feature.spectral_bandwidth(**of_spectrum, centroid=centroid),
            feature.spectral_rolloff(**of_spectrum, roll_percent=PARAMETERS.rolloff),
            feature.spectral_flatness(S=magnitude),
            np.stack(contrast).mean(axis=-2, keepdims=True),
            feature.zero_crossing_rate(samples, **window),
            feature.rms(y=samples, **window),
        ],
        axis=-2,
    )


def _decibels(power: Samples) -> Samples:
    """Return a power spectrogram (clips, bands, windows) in decibels, at most 80 below each peak."""
    from librosa import power_to_db

    level = power_to_db(power, top_db=None)
    return np.maximum(level, level.max(axis=(-2, -1), keepdims=True) - 80.0)


def _with_derivatives(base: NDArray[np.floating]) -> NDArray[np.floating]:
    """Return (clips, 27, 28) features and their three derivatives along time as (clips, 28, 108)."""
    from librosa import feature

    derivatives = [feature.delta(base, order=order) for order in (1, 2, 3)]
    return np.concatenate([base, *derivatives], axis=-2).transpose(0, 2, 1)


def has_sound(path: Path) -> bool:
    """Return whether a video or sound file has a sound stream.

    Raises
    ------
    InputError
        If the file cannot be opened.
    """
    with open_media(path) as container:
        return container.streams.best("audio") is not None


def clip_samples(path: Path, times: NDArray[np.float64], batch: int) -> Iterator[Samples]:
    """Yield the sound of clips, in their order.

    Each is 14,112 samples (0.64 s) at 22,050 Hz centred on the clip, zero where there is no sound: before its
    start, after its end, in gaps of its timestamps. Channels are averaged. The sound is decoded once, and no
    more of it is held than a clip needs.

    Parameters
    ----------
    path : Path
        The video, or the sound file that belongs to it.
    times : numpy.ndarray of shape (clips, 2)
        Start and end of the clips in seconds from the file's start, in increasing order.
    batch : int
        Clips at once, at most.

    Yields
    ------
    numpy.ndarray of shape (batch or fewer, 14112), float32

    Raises
    ------
    InputError
        If the file cannot be opened, has no sound stream, or its sound cannot be decoded.
    """
    length = PARAMETERS.samples
    starts = np.rint(times.mean(axis=1) * PARAMETERS.rate).astype(np.int64) - length // 2
    pieces = _pieces(path)
    held: deque[tuple[int, Samples]] = deque()
    read_to = -length  # the sample up to which the sound has been read
    for first in range(0, len(starts), batch):
        clips = np.zeros((len(starts[first : first + batch]), length), np.float32)
        for clip, start in zip(clips, starts[first : first + batch].tolist(), strict=True):
            while read_to < start + length and (piece := next(pieces, None)):
                held.append(piece)
                read_to = piece[0] + len(piece[1])
                _forget(held, start)
            _forget(held, start)
            for position, samples in held:
                _lay(clip, samples, position - start)
        yield clips


def _forget(held: deque[tuple[int, Samples]], start: int) -> None:
    """Drop the pieces that end before `start`: later clips need them no more."""
    while held and held[0][0] + len(held[0][1]) <= start:
        held.popleft()


def _lay(clip: Samples, samples: Samples, offset: int) -> None:
    """Copy samples into a clip at an offset, as far as they fall into it."""
    begin, end = max(offset, 0), min(offset + len(samples), len(clip))
    if begin < end:
        clip[begin:end] = samples[begin - offset : end - offset]


def _pieces(path: Path) -> Iterator[tuple[int, Samples]]:
    """Yield the sound at 22,050 Hz, mono, as (position of the first sample, samples), in order of time."""
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
                run = _Run(frame, time or Fraction(0))
            yield from run.feed(frame)
        if run is not None:
            yield from run.feed(None)


class _Run:
    """A stretch of sound without a gap, in one format.

    Within it samples are counted, since timestamps are rounded; at each new one the timestamp is believed.
    """

    def __init__(self, frame: Any, time: Fraction) -> None:
        self.format = self._format_of(frame)
        self.time = time  # seconds, up to where it has been fed
        self.position = round(time * PARAMETERS.rate)
        # Channels are kept, and averaged here: FFmpeg's own mixing to mono changes the level. Interleaved,
        # since PyAV reads past the end of planar sound with more than eight channels.
        self.resampler = av.AudioResampler(format="flt", rate=PARAMETERS.rate)

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
