"""The score of a drawn performance: which gestures happen when, and which notes are plucked.

Shares of time, durations and co-occurrence follow Tables 2 and 3 of the paper and the text around them.
"Sympathetic body movement" is left out, as it never occurs there, and "Normal play" is when no gesture is
active. Durations are shortened so that a performance of 45 s holds several of most gestures.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import product

import numpy as np

from store.annotations.model import Interval

PERFORMANCES = (1, 2, 3, 4)
_Event = tuple[str, int, int]  # gesture, first slot, slot after the last

# Frames of each video of the paper, at 25 a second (video-2's figure with its two digits put right).
_VIDEO_FRAMES = (12013, 10857, 16557, 15723)
# Frames (Table 2) and occurrences (Table 3) of each gesture in the four videos.
_TABLES: dict[str, tuple[tuple[int, int, int, int], tuple[int, int, int, int]]] = {
    "Facial expression": ((3369, 1024, 3098, 1931), (42, 14, 17, 13)),
    "Nodding": ((1377, 836, 962, 1269), (59, 28, 46, 55)),
    "Right hand round": ((1159, 547, 1397, 1135), (18, 11, 20, 20)),
    "Expressive shoulder movement": ((2029, 1945, 2065, 3979), (24, 19, 20, 36)),
    "Left hand gesture": ((1234, 370, 919, 1252), (21, 8, 16, 16)),
    "Lifting head": ((1493, 1454, 2058, 1735), (22, 20, 22, 24)),
    "Minimal movement": ((0, 4016, 4085, 4313), (0, 18, 10, 11)),
    "Eyes closed": ((1271, 219, 1248, 1151), (22, 4, 12, 17)),
    "Vibrato": ((469, 432, 674, 533), (17, 15, 23, 20)),
    "Expressive preparation": ((907, 0, 1225, 602), (17, 0, 17, 10)),
    "Freeze": ((858, 559, 1826, 1580), (13, 12, 23, 22)),
    "Expressive head movement": ((261, 319, 325, 557), (8, 5, 7, 7)),
    "Frowning": ((4481, 1190, 4215, 3701), (62, 20, 66, 55)),
    "Physical energy": ((838, 144, 0, 120), (23, 4, 0, 3)),
    "Upbeat in head movement": ((0, 66, 142, 90), (0, 2, 6, 4)),
    "Repositioning guitar": ((0, 191, 641, 1411), (0, 3, 12, 25)),
}
GESTURES = tuple(_TABLES)

_HEAD = ("Nodding", "Lifting head", "Expressive head movement", "Upbeat in head movement")
_FACE = ("Facial expression", "Eyes closed", "Frowning")
_RIGHT_HAND = ("Right hand round", "Expressive preparation", "Repositioning guitar")
_LEFT_HAND = ("Left hand gesture", "Vibrato", "Repositioning guitar")
_STILL = ("Freeze", "Minimal movement")


def _contradictions() -> frozenset[frozenset[str]]:
    pairs = [(a, b) for part in (_HEAD, _RIGHT_HAND, _LEFT_HAND, _STILL) for a, b in product(part, part)]
    pairs += [("Freeze", gesture) for gesture in GESTURES if gesture not in (*_FACE, "Lifting head")]
    pairs += [("Minimal movement", gesture) for gesture in GESTURES if gesture not in _FACE[1:]]
    pairs += [("Physical energy", "Repositioning guitar"), ("Physical energy", "Expressive head movement")]
    return frozenset(frozenset(pair) for pair in pairs if pair[0] != pair[1])


CONTRADICTIONS = _contradictions()

# How much more readily two gestures come together than by chance (natural logarithm of the odds).
_ATTRACTIONS: dict[frozenset[str], float] = {
    frozenset(("Eyes closed", "Freeze")): 6.0,
    frozenset(("Eyes closed", "Lifting head")): 3.0,
    frozenset(("Freeze", "Lifting head")): 6.0,
    frozenset(("Frowning", "Facial expression")): 3.0,
    **{frozenset((head, "Facial expression")): 1.5 for head in _HEAD},
    **{frozenset((head, "Expressive shoulder movement")): 1.5 for head in _HEAD},
    **{frozenset(("Minimal movement", face)): -3.0 for face in _FACE},
}

# Those that others lean on are placed first.
_PLACING_ORDER = (
    *("Freeze", "Lifting head", "Repositioning guitar", "Right hand round", "Expressive preparation"),
    *("Left hand gesture", "Physical energy", "Expressive head movement", "Upbeat in head movement"),
    *("Nodding", "Vibrato", "Expressive shoulder movement", "Eyes closed", "Frowning", "Facial expression"),
)

_SLOTS_PER_SECOND = 25
_SECTION_SLOTS = 15 * _SLOTS_PER_SECOND
_GAP = 4  # slots between two events that must not touch
_SHORTEST = 15  # slots of the shortest event
_SMALLEST_SHARE = 0.02  # a gesture that occurs at all occurs about once in 45 s
_NORMAL_PLAY = (0.24, 0.24, 0.24, 0.23)  # share of time kept free; chance adds to it
_SETTLE, _RELEASE = 9, 4  # slots by which a gesture around a freeze begins earlier and ends later
_AROUND = _SETTLE + _RELEASE + 3


def score(performance: int, seconds: float) -> tuple[Interval, ...]:
    """Return the gestures of a performance.

    A shorter score is the beginning of a longer one: `seconds` only says where to cut.

    Parameters
    ----------
    performance : int
        1 to 4; each follows the video of that number in Tables 2 and 3 of the paper.
    seconds : float
        Length of the performance.

    Returns
    -------
    tuple of Interval
        Tier and value are the gesture's name; in the order of `GESTURES`, by time within one; whole
        milliseconds.
    """
    rng = np.random.default_rng([performance, 2022])
    debts = dict.fromkeys(GESTURES, 0.0)
    intervals = []
    for first in range(0, int(np.ceil(seconds * _SLOTS_PER_SECOND)), _SECTION_SLOTS):
        for gesture, begin, end in _section(performance, debts, rng):
            # No annotator hits the border of a frame; shrinking keeps apart what must not touch.
            ragged = rng.uniform(0.002, 0.018, 2).tolist()
            start = round((first + begin) / _SLOTS_PER_SECOND + ragged[0], 3)
            stop = round(min((first + end) / _SLOTS_PER_SECOND - ragged[1], seconds - 0.001), 3)
            if stop - start >= 0.3:
                intervals.append(Interval(start, stop, gesture, gesture))
    return tuple(sorted(intervals, key=lambda interval: (GESTURES.index(interval.tier), interval.begin)))


def _section(performance: int, debts: dict[str, float], rng: np.random.Generator) -> list[_Event]:
    """Place a section's events; `debts` carries each gesture's missing slots to the next section."""
    for gesture in GESTURES:
        debts[gesture] += _share(gesture, performance) * _SECTION_SLOTS
    free, events = _layout(_NORMAL_PLAY[performance - 1], debts, rng)
    for gesture in _PLACING_ORDER:
        typical = _typical_slots(gesture, performance)
        while debts[gesture] >= 0.5 * typical:
            slots = round(float(typical * rng.uniform(0.75, 1.3)))
            if gesture in ("Lifting head", "Eyes closed") and rng.random() < 0.7:
                slots = max([slots, *(end - begin + _AROUND for _, begin, end in _freezes(events))])
            begin = None
            while slots >= _SHORTEST and (begin := _place(gesture, slots, free, events, rng)) is None:
                slots = int(slots * 0.8)
            if begin is None:
                break
            events.append((gesture, begin, begin + slots))
            debts[gesture] -= slots
    return events


def _freezes(events: list[_Event]) -> list[_Event]:
    return [event for event in events if event[0] == "Freeze"]


def _share(gesture: str, performance: int) -> float:
    share = _TABLES[gesture][0][performance - 1] / _VIDEO_FRAMES[performance - 1]
    return max(share, _SMALLEST_SHARE) if share else 0.0


def _typical_slots(gesture: str, performance: int) -> float:
    frames, occurrences = (counts[performance - 1] for counts in _TABLES[gesture])
    return float(np.clip(0.6 * frames / occurrences, 22, 80)) if frames else np.inf


def _layout(normal: float, debts: dict[str, float], rng: np.random.Generator) -> tuple[np.ndarray, list[_Event]]:
    """Divide a section into two expressive stretches and two calm ones, in turn.

    The calm ones are normal play, and minimal movement where there is some. Returns which slots are free
    for gestures (0 no, 1 minimal movement, 2 yes) and the minimal movement placed.
    """
    minimal = int(debts["Minimal movement"])
    debts["Minimal movement"] -= minimal
    plain = int(normal * _SECTION_SLOTS)
    calm = [(0, plain), (1, minimal)] if minimal else [(0, plain // 2), (0, plain // 2)]
    rng.shuffle(calm)
    expressive = _SECTION_SLOTS - sum(length for _, length in calm)
    first = int(expressive * rng.uniform(0.4, 0.6))
    stretches = [(2, first), calm[0], (2, expressive - first), calm[1]]
    if rng.random() < 0.5:
        stretches = stretches[1:] + stretches[:1]
    free = np.repeat(*np.array(stretches).T)
    slots = np.flatnonzero(free == 1)
    events = [("Minimal movement", int(slots[0]), int(slots[-1]) + 1)] if len(slots) else []
    free[:_GAP], free[-_GAP:] = 0, 0
    return free, events


def _place(gesture: str, slots: int, free: np.ndarray, events: list[_Event], rng: np.random.Generator) -> int | None:
    """Draw where an event of that many slots begins, or None where it fits nowhere."""
    blocked = free < (1 if gesture in ("Eyes closed", "Frowning") else 2)
    attraction = np.zeros(_SECTION_SLOTS)
    begins = np.arange(_SECTION_SLOTS - slots + 1)
    fits = np.ones(len(begins), bool)
    for other, begin, end in events:
        pair = frozenset((gesture, other))
        if len(pair) == 1 or pair in CONTRADICTIONS:
            blocked[max(begin - _GAP, 0) : end + _GAP] = True
        elif other == "Freeze":
            # In a freeze nothing moves, so what goes with it begins before and ends after.
            around = (begins <= begin - _SETTLE) & (begins + slots >= end + _RELEASE)
            fits &= around | (begins + slots <= begin - _GAP) | (begins >= end + _GAP)
        attraction[begin:end] += _ATTRACTIONS.get(pair, 0.0)
    fits &= _window_mean(blocked.astype(float), slots) < 1e-9
    if not fits.any():
        return None
    weights = fits * np.exp(_window_mean(attraction, slots))
    return int(rng.choice(begins, p=weights / weights.sum()))


def _window_mean(values: np.ndarray, slots: int) -> np.ndarray:
    sums = np.concatenate(([0.0], np.cumsum(values)))
    return (sums[slots:] - sums[:-slots]) / slots


@dataclass(frozen=True)
class Note:
    """A plucked note.

    Parameters
    ----------
    onset : float
        Seconds from the start.
    pitch : int
        Semitones, MIDI's numbers (40 is the guitar's low E).
    strength : float
        0 to 1.
    """

    onset: float
    pitch: int
    strength: float


_MODE = (40, 45, 47, 50, 52, 53, 57, 59, 60, 64, 65, 69, 71, 72, 76)
_HANDS_OFF = ("Freeze", "Right hand round", "Expressive preparation", "Repositioning guitar")
_BEATS = (0.30, 0.27, 0.33, 0.29)  # seconds


def notes(performance: int, gestures: tuple[Interval, ...], seconds: float) -> Iterator[Note]:
    """Yield the notes plucked in a performance, by onset.

    None while the right hand is off the strings; few and soft ones in minimal movement; many and loud ones,
    in pairs, with physical energy; long ones for a vibrato; open strings while the left hand is off.

    Parameters
    ----------
    performance : int
        1 to 4.
    gestures : tuple of Interval
        The performance's score.
    seconds : float
        Length of the performance.
    """
    rng = np.random.default_rng([performance, 44100])
    place, now = 7.0, 0.2
    while now < seconds - 0.2:
        active = {interval.tier: interval for interval in gestures if interval.begin <= now < interval.end}
        off = [active[gesture].end for gesture in _HANDS_OFF if gesture in active]
        if off:
            now = max(off)
            continue
        place = float(np.clip(place + rng.normal(0, 1.6), 0, len(_MODE) - 1))
        strength = rng.uniform(0.5, 0.7)
        beats = rng.choice((1, 1, 1, 2))
        if "Minimal movement" in active:
            strength, beats = 0.4 * strength, 3 * beats
        elif "Physical energy" in active:
            strength, beats = 1.0, 0.5
            yield Note(now, _MODE[int(place) // 2], strength)
        elif "Vibrato" in active:
            strength, beats = 0.8, 3
        elif "Left hand gesture" in active:
            place, beats = float(rng.integers(3)), 2 * beats
        yield Note(now, _MODE[round(place)], strength)
        now += float(beats) * _BEATS[performance - 1] * rng.uniform(0.93, 1.07)
