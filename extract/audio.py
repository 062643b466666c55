"""The sound: the samples of each clip, and their timbre (Section 5.1 of Simistira Liwicki et al.)."""

import math
from collections import deque
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from extract.media import open_media
from extract.sound import Samples, pieces
from extract.threads import blas_on_one_thread
from store.errors import InputError

WINDOWS = 28  # of a clip: 1 + samples // hop, centred
OCTAVES = (0, 200, 400, 800, 1600, 3200, 6400, 12800)  # Hz; bands of the spectral contrast, the last to the end
QUANTILE = 0.02  # of a band's frequencies, that make its peak and its valley
AT_ONCE = 32  # clips whose spectra (0.5 MB each with what is derived from them) are in memory together


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
    contrast : {"mean", "lowest"}
        How the bands of the spectral contrast become one feature: their mean, or the lowest alone.
    time : bool
        Whether there is one more column, behind all others: the time of the window in the clip, in seconds.
    """

    rate: int = 22050
    samples: int = 14112
    n_fft: int = 2048
    hop: int = 512
    n_mfcc: int = 20
    rolloff: float = 0.85
    contrast: str = "mean"
    time: bool = False

    @property
    def features(self) -> int:
        """How many features each window has."""
        return 4 * (self.n_mfcc + 7) + self.time


AUDIO = {
    "paper": AudioParameters(),  # as its Section 5.1 says
    "lab": AudioParameters(rolloff=0.99, contrast="lowest", time=True),  # as the lab's published code does
}
PARAMETERS = AUDIO["paper"]


def timbre(samples: NDArray[np.floating], parameters: AudioParameters = PARAMETERS) -> Samples:
    """Return the audio features of clips (Section 5.1).

    Twenty MFCC, spectral centroid, bandwidth, roll-off, flatness, contrast (mean over its bands),
    zero-crossing rate and RMS, then the first derivatives of these 27, the second and the third; with the lab's
    parameters, as the 109th and last, the window's time. Each clip's features are those that librosa gives for it
    alone.

    Parameters
    ----------
    samples : numpy.ndarray of shape (clips, 14112)
        Sound at 22,050 Hz, finite.
    parameters : AudioParameters
        Which features.

    Returns
    -------
    numpy.ndarray of shape (clips, 28, 108 or 109), float32
        For each of 28 windows of a clip, its features.
    """
    features = np.empty((len(samples), WINDOWS, parameters.features), np.float32)
    derived = features[..., : parameters.features - parameters.time]
    with blas_on_one_thread():
        for first in range(0, len(samples), AT_ONCE):
            some = slice(first, first + AT_ONCE)
            derived[some] = _with_derivatives(_base_features(np.asarray(samples[some], np.float32), parameters))
    if parameters.time:
        features[..., -1] = np.arange(WINDOWS) * parameters.hop / parameters.rate
    return features


def _base_features(samples: Samples, parameters: AudioParameters) -> NDArray[np.floating]:
    """Return the 27 features of clips: (clips, 27, 28)."""
    from librosa import feature, fft_frequencies, stft

    rate = parameters.rate
    window: dict[str, Any] = {"frame_length": parameters.n_fft, "hop_length": parameters.hop}
    frequencies = fft_frequencies(sr=rate, n_fft=parameters.n_fft)
    spectrum = stft(samples, n_fft=parameters.n_fft, hop_length=parameters.hop)
    # Frequencies side by side in memory, as for a single clip: numpy then adds them up in the same order.
    magnitude = np.abs(spectrum.transpose(0, 2, 1), order="C").transpose(0, 2, 1)
    of_spectrum = {"S": magnitude, "sr": rate, "freq": frequencies}
    mel = feature.melspectrogram(S=magnitude**2, sr=rate)
    centroid = feature.spectral_centroid(**of_spectrum)
    contrast = _contrast(magnitude, frequencies)
    return np.concatenate(
        [
            feature.mfcc(S=_decibels(mel), n_mfcc=parameters.n_mfcc),
            centroid,
            feature.spectral_bandwidth(**of_spectrum, centroid=centroid),
            feature.spectral_rolloff(**of_spectrum, roll_percent=parameters.rolloff),
            feature.spectral_flatness(S=magnitude),
            contrast.mean(axis=-2, keepdims=True) if parameters.contrast == "mean" else contrast[:, :1],
            feature.zero_crossing_rate(samples, **window),
            feature.rms(y=samples, **window),
        ],
        axis=-2,
    )


def _contrast(magnitude: Samples, frequencies: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the spectral contrast of clips, (clips, 7, 28), from magnitudes (clips, frequencies, 28).

    librosa's `spectral_contrast`, with its octaves above 200 Hz and its quantile, for all clips at once: three
    times as fast as one by one.
    """
    peaks, valleys = np.empty((2, len(magnitude), len(OCTAVES) - 1, WINDOWS))
    for band, (low, high) in enumerate(pairwise(OCTAVES)):
        # librosa gives each band one frequency of the one below, and all but the highest the last one away again.
        first = np.searchsorted(frequencies, low, side="left") - (band > 0)
        stop = np.searchsorted(frequencies, high, side="right") if high < OCTAVES[-1] else len(frequencies)
        few = max(1, round(QUANTILE * (stop - first)))
        levels = np.sort(magnitude[:, first : stop - (high < OCTAVES[-1])], axis=1)
        valleys[:, band] = levels[:, :few].mean(axis=1)
        peaks[:, band] = levels[:, -few:].mean(axis=1)
    return _decibels(peaks) - _decibels(valleys)


def _decibels(power: NDArray[np.floating]) -> NDArray[np.floating]:
    """Return powers of clips (clips, bands, windows) in decibels, at most 80 below each clip's peak.

    librosa takes the 80 from the loudest point of all it is given, which must be one clip.
    """
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


class ClipSound:
    """The sound of a recording's clips, asked for in their order while the file is decoded.

    A clip's sound is 14,112 samples (0.64 s) at 22,050 Hz centred on it, zero where there is no sound: before its
    start, after its end, in gaps of its timestamps. Channels are averaged. The file is decoded once, and no more
    of it is held than a clip needs.

    Parameters
    ----------
    path : Path
        The video, or the sound file that belongs to it; opened with the first clip.
    offset : float
        Seconds on the video's clock at which the sound file starts; positive if it was started later.

    Raises
    ------
    InputError
        If the offset is not a number.
    """

    def __init__(self, path: Path, offset: float = 0.0) -> None:
        if not math.isfinite(offset):
            raise InputError(f"{path}: the sound cannot start at {offset} s of the video; give the offset in seconds")
        self.offset = offset
        self._pieces = pieces(path, PARAMETERS.rate)
        self._held: deque[tuple[int, Samples]] = deque()
        self._read_to = 0  # the sample up to which the sound has been read
        self._last: int | None = None  # the first sample of the last clip

    def __enter__(self) -> "ClipSound":
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the file."""
        self._pieces.close()

    def samples(self, times: NDArray[np.float64]) -> Samples:
        """Return the sound of the next clips.

        Parameters
        ----------
        times : numpy.ndarray of shape (clips, 2)
            Start and end of the clips in seconds from the video's start, in order, none before those asked for
            earlier. Clips may be left out: what lies before the first is decoded and forgotten.

        Returns
        -------
        numpy.ndarray of shape (clips, 14112), float32

        Raises
        ------
        InputError
            If the file cannot be opened, has no sound stream, or its sound cannot be decoded.
        ValueError
            If the clips are not in order.
        """
        length = PARAMETERS.samples
        starts = np.rint((times.mean(axis=1) - self.offset) * PARAMETERS.rate).astype(np.int64) - length // 2
        clips = np.zeros((len(starts), length), np.float32)
        for clip, start in zip(clips, starts.tolist(), strict=True):
            if self._last is not None and start < self._last:
                raise ValueError("the sound of a clip was asked for after that of a later one")
            self._last = start
            while self._read_to < start + length and (piece := next(self._pieces, None)):
                self._held.append(piece)
                self._read_to = piece[0] + len(piece[1])
                _forget(self._held, start)
            _forget(self._held, start)
            for position, samples in self._held:
                _lay(clip, samples, position - start)
        return clips


def _forget(held: deque[tuple[int, Samples]], start: int) -> None:
    """Drop the pieces that end before `start`: later clips need them no more."""
    while held and held[0][0] + len(held[0][1]) <= start:
        held.popleft()


def _lay(clip: Samples, samples: Samples, offset: int) -> None:
    """Copy samples into a clip at an offset, as far as they fall into it."""
    begin, end = max(offset, 0), min(offset + len(samples), len(clip))
    if begin < end:
        clip[begin:end] = samples[begin - offset : end - offset]
