"""How the drawn guitarist moves: a score and its notes in, a pose for every frame out."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, fields

import numpy as np

from demo.pose import Pose
from demo.score import Note
from store.annotations.model import Interval

FRAME_RATE = 25

# A value per frame for each of Pose's fields.
Tracks = dict[str, np.ndarray]


@dataclass(frozen=True)
class _Moment:
    """One occurrence of a gesture: its frames, seconds since it began, and how far it is under way.

    `ease` rises from 0 to 1 and falls back within the occurrence; `luck` gives each occurrence its own size
    and speed.
    """

    frames: slice
    clock: np.ndarray
    ease: np.ndarray
    length: float
    luck: np.random.Generator

    def size(self, typical: float) -> float:
        return typical * float(self.luck.uniform(0.85, 1.2))

    def swing(self, rate: float) -> np.ndarray:
        """Return a sine of about that many cycles a second, from -1 to 1, eased in and out."""
        rate *= float(self.luck.uniform(0.9, 1.1))
        swing: np.ndarray = np.sin(2 * np.pi * rate * self.clock) * self.ease
        return swing

    def sign(self) -> float:
        return float(self.luck.choice((-1.0, 1.0)))


def tracks(gestures: Iterable[Interval], notes: Iterable[Note], frames: int, seed: int) -> Tracks:
    """Return every field of the pose over time.

    Parameters
    ----------
    gestures : iterable of Interval
        The score; the tier names the gesture.
    notes : iterable of Note
        What is plucked.
    frames : int
        Number of frames, at 25 a second.
    seed : int
        Of the wandering posture and each occurrence's size and speed.

    Returns
    -------
    dict of str to numpy.ndarray
        Field of `Pose` -> (frames,) float64.
    """
    gestures = tuple(gestures)
    moments = {interval: _moment(interval, frames, seed) for interval in gestures}
    calm = np.ones(frames)
    for interval, moment in moments.items():
        if interval.tier == "Minimal movement":
            calm[moment.frames] -= 0.8 * moment.ease
    moved = _playing(notes, frames, seed, calm)
    for interval, moment in moments.items():
        _ACTS[interval.tier](moved, moment)
    for field in ("eyes", "frown", "open_mouth", "cheeks"):
        moved[field] = np.clip(moved[field], 0, 1)
    for interval, moment in moments.items():
        if interval.tier == "Freeze":
            _hold(moved, moment)
    return moved


def poses(moved: Tracks) -> Iterator[Pose]:
    """Yield the pose of each frame."""
    for values in zip(*(moved[field.name].tolist() for field in fields(Pose)), strict=True):
        yield Pose(*values)


def stillness(gestures: Iterable[Interval], frames: int) -> np.ndarray:
    """Return how far everything is frozen, (frames,), 0 to 1."""
    still = np.zeros(frames)
    for interval in gestures:
        if interval.tier == "Freeze":
            moment = _moment(interval, frames, 0)
            still[moment.frames] = moment.ease
    return still


def _smooth(rise: np.ndarray) -> np.ndarray:
    rise = np.clip(rise, 0, 1)
    smooth: np.ndarray = rise * rise * (3 - 2 * rise)
    return smooth


def _moment(interval: Interval, frames: int, seed: int) -> _Moment:
    first, last = int(interval.begin * FRAME_RATE), min(int(interval.end * FRAME_RATE) + 1, frames)
    middle = (np.arange(first, last) + 0.5) / FRAME_RATE
    length = interval.end - interval.begin
    fade = min(0.28, length / 3)
    ease = _smooth((middle - interval.begin) / fade) * _smooth((interval.end - middle) / fade)
    luck = np.random.default_rng([seed, round(interval.begin * 1000), *interval.tier.encode()])
    return _Moment(slice(first, last), middle - interval.begin, ease, length, luck)


def _playing(notes: Iterable[Note], frames: int, seed: int, calm: np.ndarray) -> Tracks:
    """Play normally: breathe, wander slowly in posture, blink, and follow the notes with the hands."""
    rng = np.random.default_rng([seed, 7])
    time = np.arange(frames) / FRAME_RATE

    def wander(size: float, slowest: float = 0.05) -> np.ndarray:
        rates, turns = slowest * np.array([1, 2.3, 4.1]), rng.uniform(0, 2 * np.pi, 3)
        waves = np.sin(2 * np.pi * rates[:, None] * time + turns[:, None]) / np.array([[1], [1.6], [2.5]])
        return calm * size * waves.sum(0)

    moved = {field.name: np.full(frames, float(field.default)) for field in fields(Pose)}  # type: ignore[arg-type]
    for field, size in (("head_x", 2.5), ("head_y", 2.0), ("head_pitch", 0.035), ("head_roll", 0.025)):
        moved[field] += wander(size, 0.07)
    for field, size in (("head_yaw", 0.06), ("lean", 0.012), ("sway", 3.0), ("guitar_angle", 0.012)):
        moved[field] += wander(size)
    breath = calm * np.sin(2 * np.pi * 0.27 * time + rng.uniform(0, 6))
    moved["left_shoulder"] += 1.5 * breath
    moved["right_shoulder"] += 1.5 * breath
    blinks = np.cumsum(rng.uniform(2.5, 6.0, int(frames / FRAME_RATE / 2.5) + 1)) * FRAME_RATE
    for blink in blinks[blinks < frames - 3].astype(int):
        moved["eyes"][blink : blink + 3] = (0.4, 0.0, 0.5)
    _play(moved, notes, frames, calm)
    return moved


def _play(moved: Tracks, notes: Iterable[Note], frames: int, calm: np.ndarray) -> None:
    onsets, places = [0], [0.5]
    beat = np.exp(-np.arange(10) / 2.5)
    for note in notes:
        frame = int(note.onset * FRAME_RATE)
        stroke = beat[: frames - frame]
        moved["pluck"][frame : frame + 10] += note.strength * 1.4 * stroke
        moved["right_y"][frame : frame + 10] -= note.strength * 9 * stroke
        moved["head_y"][frame : frame + 10] += note.strength * 1.0 * stroke
        onsets.append(frame)
        places.append((note.pitch - 38) / 40)
    np.minimum(moved["pluck"], 1.0, out=moved["pluck"])
    # The left hand glides to the next note's place before it sounds; large leaps are played across strings.
    place = np.interp(np.arange(frames) + 2, onsets, places)
    smooth = np.ones(9) / 9
    moved["fret"] += calm * (np.convolve(np.pad(place, 4, mode="edge"), smooth, "valid") - 0.5)


def _hold(moved: Tracks, moment: _Moment) -> None:
    """Keep everything as it is shortly after the freeze began, until shortly before it ends."""
    reached = moment.frames.start + int(np.argmax(moment.ease > 0.98))
    for track in moved.values():
        part = track[moment.frames]
        part += moment.ease * (track[reached] - part)


def _facial_expression(moved: Tracks, moment: _Moment) -> None:
    kind = moment.luck.integers(3)
    change = moment.ease * (0.9 + 0.1 * moment.swing(1.0))
    if kind != 0:
        moved["cheeks"][moment.frames] += moment.size(0.95) * change
    if kind != 1:
        moved["open_mouth"][moment.frames] += moment.size(0.9) * change
    moved["head_yaw"][moment.frames] -= 0.1 * moment.ease


def _nodding(moved: Tracks, moment: _Moment) -> None:
    # At least one whole nod, however short it is.
    rate = max(moment.luck.uniform(1.5, 2.0), 1 / moment.length)
    bob = np.sin(np.pi * rate * moment.clock) ** 2 * moment.ease
    moved["head_pitch"][moment.frames] -= moment.size(0.42) * bob
    moved["head_y"][moment.frames] += moment.size(15) * bob


def _right_hand_round(moved: Tracks, moment: _Moment) -> None:
    rounds = max(round(moment.length / 1.1), 1)
    angle = 2 * np.pi * rounds * _smooth(moment.clock / moment.length)
    wide, high = moment.size(52), moment.size(66)
    moved["right_x"][moment.frames] += -34 * moment.ease - wide * np.sin(angle) * moment.ease
    moved["right_y"][moment.frames] += -46 * moment.ease - high * (1 - np.cos(angle)) / 2 * moment.ease


def _shoulders(moved: Tracks, moment: _Moment) -> None:
    kind, swing, size = moment.luck.integers(3), moment.swing(0.65), moment.size(24)
    raised = size * (0.75 * moment.ease + 0.45 * swing)
    if kind != 0:
        moved["left_shoulder"][moment.frames] += raised
    if kind != 1:
        moved["right_shoulder"][moment.frames] += size * (0.75 * moment.ease - 0.45 * swing)
    moved["lean"][moment.frames] += (0.05, -0.05, 0.0)[kind] * moment.ease


def _left_hand(moved: Tracks, moment: _Moment) -> None:
    angle = 2 * np.pi * moment.luck.uniform(0.6, 0.8) * moment.clock
    moved["left_x"][moment.frames] += moment.ease * (moment.size(42) - 22 * np.cos(angle))
    moved["left_y"][moment.frames] -= moment.ease * (moment.size(70) + 24 * np.sin(angle))


def _lifting_head(moved: Tracks, moment: _Moment) -> None:
    moved["head_pitch"][moment.frames] += moment.size(0.38) * moment.ease
    moved["head_y"][moment.frames] -= moment.size(15) * moment.ease


def _minimal(moved: Tracks, moment: _Moment) -> None:
    # Small, slow playing (the calm of the whole posture comes before), bent over the strings.
    moved["head_pitch"][moment.frames] -= moment.size(0.2) * moment.ease
    moved["head_y"][moment.frames] += moment.size(17) * moment.ease
    moved["eyes"][moment.frames] *= 1 - 0.3 * moment.ease
    for shoulder in ("left_shoulder", "right_shoulder"):
        moved[shoulder][moment.frames] -= 6 * moment.ease


def _eyes_closed(moved: Tracks, moment: _Moment) -> None:
    moved["eyes"][moment.frames] *= 1 - _smooth(1.6 * moment.ease)


def _vibrato(moved: Tracks, moment: _Moment) -> None:
    moved["wobble"][moment.frames] += moment.size(15) * moment.swing(5.5)


def _preparation(moved: Tracks, moment: _Moment) -> None:
    # Up slowly, a moment's rest, down onto the strings with the next note.
    up = _smooth(moment.clock / (0.55 * moment.length)) * _smooth((moment.length - moment.clock) / 0.24)
    moved["right_x"][moment.frames] -= moment.size(58) * up
    moved["right_y"][moment.frames] -= moment.size(128) * up
    moved["right_shoulder"][moment.frames] += 9 * up
    moved["lean"][moment.frames] += 0.03 * up


def _freeze(moved: Tracks, moment: _Moment) -> None:
    # The hand stays in the air above the strings; the stillness itself comes last, see _hold.
    moved["right_y"][moment.frames] -= moment.size(22) * moment.ease
    moved["right_x"][moment.frames] -= 14 * moment.ease


def _head_movement(moved: Tracks, moment: _Moment) -> None:
    swing = moment.sign() * moment.swing(1.0)
    moved["head_roll"][moment.frames] += moment.size(0.30) * swing
    moved["head_x"][moment.frames] += moment.size(20) * swing


def _frowning(moved: Tracks, moment: _Moment) -> None:
    moved["frown"][moment.frames] += moment.size(1.0) * moment.ease


def _energy(moved: Tracks, moment: _Moment) -> None:
    swing = moment.sign() * moment.swing(1.0)
    moved["sway"][moment.frames] += moment.size(34) * swing
    moved["lean"][moment.frames] += moment.size(0.11) * swing
    moved["head_y"][moment.frames] += 8 * np.abs(swing)


def _upbeat(moved: Tracks, moment: _Moment) -> None:
    # One quick flick up and a small dip after it.
    flick = _smooth(moment.clock / 0.16) * _smooth((0.52 - moment.clock) / 0.3)
    dip = np.sin(np.pi * np.clip((moment.clock - 0.45) / 0.3, 0, 1))
    moved["head_pitch"][moment.frames] += moment.size(0.42) * flick - 0.16 * dip
    moved["head_y"][moment.frames] += 6 * dip - moment.size(26) * flick


def _repositioning(moved: Tracks, moment: _Moment) -> None:
    turn, rock = moment.sign(), moment.swing(0.8)
    moved["guitar_angle"][moment.frames] += turn * moment.size(0.25) * moment.ease + 0.05 * rock
    moved["guitar_y"][moment.frames] -= moment.size(20) * moment.ease
    moved["guitar_x"][moment.frames] += turn * moment.size(-18) * moment.ease + 6 * rock
    moved["sway"][moment.frames] += 6 * rock


_ACTS: dict[str, Callable[[Tracks, _Moment], None]] = {
    "Facial expression": _facial_expression,
    "Nodding": _nodding,
    "Right hand round": _right_hand_round,
    "Expressive shoulder movement": _shoulders,
    "Left hand gesture": _left_hand,
    "Lifting head": _lifting_head,
    "Minimal movement": _minimal,
    "Eyes closed": _eyes_closed,
    "Vibrato": _vibrato,
    "Expressive preparation": _preparation,
    "Freeze": _freeze,
    "Expressive head movement": _head_movement,
    "Frowning": _frowning,
    "Physical energy": _energy,
    "Upbeat in head movement": _upbeat,
    "Repositioning guitar": _repositioning,
}
