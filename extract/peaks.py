"""The outline of a recording's sound, as a waveform is drawn."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from extract.sound import pieces

PER_SECOND = 100  # pairs of peaks
_SAMPLES = 80  # of a pair: 8,000 samples a second, where a waveform looks as at any other rate


def peaks(path: Path, report: Callable[[float], None]) -> NDArray[np.int8]:
    """Return the lowest and highest sample of every hundredth of a second.

    Parameters
    ----------
    path : Path
        A video or sound file.
    report : callable
        Told how many seconds are done.

    Returns
    -------
    ndarray of int8, shape (hundredths of a second, 2)
        From -127 to 127 at full level; 0 where there is no sound.

    Raises
    ------
    InputError
        If the file cannot be opened, or has no sound that can be decoded.
    """
    found: list[NDArray[np.int8]] = []
    held, done = np.zeros(0, np.float32), 0  # samples not yet looked at, and those before them
    for begin, samples in pieces(path, PER_SECOND * _SAMPLES):
        if begin > done + len(held):
            held = np.concatenate([held, np.zeros(begin - done - len(held), np.float32)])
        held = np.concatenate([held, samples[max(0, done + len(held) - begin) :]])
        whole = len(held) // _SAMPLES * _SAMPLES
        found.append(_pairs(held[:whole]))
        held, done = held[whole:], done + whole
        report(done / (PER_SECOND * _SAMPLES))
    found.append(_pairs(np.pad(held, (0, -len(held) % _SAMPLES))))
    return np.concatenate(found)


def _pairs(samples: NDArray[np.float32]) -> NDArray[np.int8]:
    windows = samples.reshape(-1, _SAMPLES)
    pairs = np.column_stack([windows.min(axis=1, initial=0.0), windows.max(axis=1, initial=0.0)])
    return np.round(pairs.clip(-1, 1) * 127).astype(np.int8)
