"""The sound of a drawn performance: plucked strings, in step with the picture."""

from collections.abc import Iterable, Iterator

import numpy as np

from demo.gestures import FRAME_RATE
from demo.score import Note

RATE = 44_100
_SAMPLES_PER_FRAME = RATE // FRAME_RATE
_RING = 2 * RATE  # samples a note rings for at most
_OVERTONES = 7
_BEND = 0.004  # relative change of pitch per unit that the left hand shifts: about a semitone's third


def seconds_of_sound(notes: Iterable[Note], wobble: np.ndarray, still: np.ndarray) -> Iterator[np.ndarray]:
    """Yield the sound one second after the other, so that memory does not grow with the length.

    Parameters
    ----------
    notes : iterable of Note
        By onset.
    wobble : numpy.ndarray
        (frames,), the left hand's shift along the neck: the pitch follows it.
    still : numpy.ndarray
        (frames,), 0 to 1: how far the strings are damped.

    Yields
    ------
    numpy.ndarray
        (samples,) float32 within -1 to 1, mono, 44,100 samples a second; the last one ends with the frames.
    """
    samples = len(wobble) * _SAMPLES_PER_FRAME
    waiting = iter(notes)
    note = next(waiting, None)
    ringing = np.zeros(RATE + _RING, np.float32)
    for first in range(0, samples, RATE):
        bend = _per_sample(_BEND * wobble, first, RATE + _RING)
        while note is not None and note.onset * RATE < first + RATE:
            start = round(note.onset * RATE) - first
            ringing[start : start + _RING] += _pluck(note, bend[start : start + _RING])
            note = next(waiting, None)
        loudness = 1 - 0.97 * _per_sample(still, first, RATE)
        # tanh keeps many notes at once within bounds, without a click.
        yield np.tanh(ringing[:RATE] * loudness).astype(np.float32)[: samples - first]
        ringing = np.concatenate((ringing[RATE:], np.zeros(RATE, np.float32)))


def _per_sample(track: np.ndarray, first: int, count: int) -> np.ndarray:
    at = (np.arange(first, first + count) / _SAMPLES_PER_FRAME) - 0.5
    return np.interp(at, np.arange(len(track)), track)


def _pluck(note: Note, bend: np.ndarray) -> np.ndarray:
    """Return (samples,) of a decaying string whose overtones die sooner the higher they are."""
    frequency = 440 * 2 ** ((note.pitch - 69) / 12)
    phase = np.cumsum(2 * np.pi * frequency / RATE * (1 + bend)).astype(np.float32)
    time = np.arange(len(bend), dtype=np.float32) / RATE
    decay = np.exp(-time * (1.2 + frequency / 300))
    # sin(n x) by recurrence: two sines in all, however many overtones.
    twice, before, wave = 2 * np.cos(phase), np.zeros_like(phase), np.sin(phase)
    tone, fading = np.zeros_like(phase), decay.copy()
    brightness = 0.35 + 0.55 * note.strength
    for overtone in range(1, _OVERTONES + 1):
        tone += brightness ** (overtone - 1) * fading * wave
        before, wave = wave, twice * wave - before
        fading *= np.sqrt(decay)
    edge = np.minimum(1, time / 0.003) * np.minimum(1, (len(bend) / RATE - time) / 0.05)
    plucked: np.ndarray = 0.26 * note.strength * tone * edge
    return plucked
