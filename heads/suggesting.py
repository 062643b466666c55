"""Which stretches of a recording are most worth looking at next: where a person teaches a model most.

Three things make a stretch worth it, and each counts from 0 to 1 for a clip: a gesture's probability is near its
threshold (*unsure*); a gesture of which little has been annotated may be there (*rare*); it looks like nothing that
has been annotated (*novel*). What has been chosen counts as annotated for the next choice, so that the stretches are
unlike each other too.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import logit

from heads.model import GestureModel
from heads.neighbours import Neighbours, in_order
from heads.scale import GRID
from store.annotations import ANNOTATED_TIER, SUGGESTED_TIER, Interval
from store.matching import Matched, Stretch
from store.recording import Recording
from store.vocabulary import class_members

LASTING = 3.0  # seconds of a stretch, about
_UNSURE_WITHIN = 2.0  # log-odds from the threshold
_RARE = 0.03  # share of the clips learned from, at which rarity counts half
_FAR = 0.9  # quantile of the distances from which on a clip is as novel as can be


@dataclass(frozen=True)
class Outlook:
    """What is known of a recording's clips.

    Parameters
    ----------
    classes : sequence of str
        The gestures.
    probability : ndarray of float, shape (clips, classes)
        As predicted.
    thresholds : ndarray of float, shape (classes,)
        From which each is found.
    frequency : ndarray of float, shape (classes,)
        Share of the clips learned from in which each is.
    times : ndarray of float64, shape (clips, 2)
        Start and end in seconds.
    features : ndarray of float32, shape (clips, features)
        How they look.
    known : ndarray of bool, shape (clips,)
        Which of them lie, in part at least, in annotated stretches.
    """

    classes: Sequence[str]
    probability: NDArray[np.floating]
    thresholds: NDArray[np.float64]
    frequency: NDArray[np.float64]
    times: NDArray[np.float64]
    features: NDArray[np.float32]
    known: NDArray[np.bool_]


def outlook_on(
    model: GestureModel, recording: Recording, probability: NDArray[np.floating], matched: Matched | None
) -> Outlook:
    """Return what is known of a recording's clips: what was said of them, how they look, which are annotated.

    Parameters
    ----------
    model : GestureModel
        Who said it.
    recording : Recording
        Whose clips.
    probability : ndarray of float, shape (clips, classes)
        What it said; the gestures come first.
    matched : Matched, optional
        What people have annotated. Where stretches are not marked, the whole recording counts, if there is anything.
    """
    classes, times = tuple(class_members(model.vocabulary)), recording.read("times")
    known: list[Stretch] = []
    if matched is not None:
        spoken = any((*matched.gestures.values(), *matched.superclasses.values()))
        whole = [(float(times[0, 0]), float(times[-1, 1]))] if spoken and len(times) else []
        known = whole if matched.annotated is None else matched.annotated
    begin, end = times.T
    annotated = np.zeros(len(times), bool)
    for first, last in known:
        annotated |= (begin < last) & (end > first)
    gestures = slice(len(classes))
    return Outlook(
        classes,
        probability[:, gestures],
        model.head.thresholds[gestures],
        np.array(model.training["frequency"])[gestures],
        times,
        model.clips([recording], probe=True).take(GRID, np.arange(len(times))),
        annotated,
    )


def suggest(outlook: Outlook, count: int) -> list[Interval]:
    """Return stretches worth looking at next, the best first, as `ranked` finds them."""
    return [each for _, each in ranked(outlook, count)]


def ranked(outlook: Outlook, count: int) -> list[tuple[float, Interval]]:
    """Return stretches of a few seconds worth looking at next, none of them annotated, and how much each is.

    Parameters
    ----------
    outlook : Outlook
        Of the recording.
    count : int
        How many; fewer where there are not so many apart from each other.

    Returns
    -------
    list of (float, Interval)
        How much, 0 to 3, one for each reason; and the stretch, on the tier `store.annotations.SUGGESTED_TIER`, whose
        value says why in plain words. The best first.
    """
    clips = in_order(outlook.times)
    window = min(max(1, round(LASTING / clips.spacing)), max(len(clips.order), 1))
    unsure, rare = (each[clips.order] for each in (_unsure(outlook), _rare(outlook)))
    features, known = outlook.features[clips.order], outlook.known[clips.order]
    distance = _nearest(features, features[known])
    first = _windows(clips, window)
    free = ~np.array([known[at : at + window].any() for at in first], bool)
    chosen: list[tuple[float, Interval]] = []
    while len(chosen) < count and free.any():
        novel = _share(distance)
        worth = np.stack([unsure.max(axis=1), rare.max(axis=1), novel])
        of_windows = np.array([worth[:, at : at + window].mean(axis=1) for at in first])
        best = int(np.argmax(np.where(free, of_windows.sum(axis=1), -1.0)))
        at = int(first[best])
        inside = slice(at, at + window)
        why = _why(outlook, clips.order[inside], of_windows[best], unsure[inside], rare[inside])
        stretch = Interval(float(clips.begin[at]), float(clips.end[at + window - 1]), SUGGESTED_TIER, why)
        # What counts as far shrinks with each choice: without the bound a later one would seem worth more.
        bound = chosen[-1][0] if chosen else np.inf
        chosen.append((min(float(of_windows[best].sum()), bound), stretch))
        free &= np.abs(first - at) > 2 * window
        distance = np.minimum(distance, _nearest(features, features[inside]))
    return chosen


def fewer(outlook: Outlook, wanted: int, found: int, marked: bool) -> list[str]:
    """Return a note on why fewer stretches were found than wanted; `marked` is whether annotated ones are marked."""
    if found >= wanted:
        return []
    if len(outlook.known) and outlook.known.all():
        whole = "is annotated" if marked else f"counts as annotated; mark what is complete on a tier {ANNOTATED_TIER!r}"
        return [f"nothing to suggest: the whole recording {whole}"]
    return [f"{found} of {wanted} stretches: no more lie apart from what is annotated and from each other"]


def _unsure(outlook: Outlook) -> NDArray[np.float64]:
    """Return how near each probability is to its threshold, 0 to 1, (clips, classes)."""
    said, found_from = (np.clip(values, 1e-6, 1 - 1e-6) for values in (outlook.probability, outlook.thresholds))
    return np.clip(1 - np.abs(logit(said) - logit(found_from)) / _UNSURE_WITHIN, 0, 1)


def _rare(outlook: Outlook) -> NDArray[np.float64]:
    """Return how far a gesture that is seldom annotated may be there, 0 to 1, (clips, classes)."""
    rarity = 1 / (1 + outlook.frequency / _RARE)
    return np.clip(outlook.probability / np.maximum(outlook.thresholds, 1e-6), 0, 1) * rarity


def _nearest(features: NDArray[np.float32], known: NDArray[np.float32]) -> NDArray[np.float64]:
    """Return the distance of each clip from the nearest that is known, (clips,); infinite where there is none."""
    if not len(known):
        return np.full(len(features), np.inf)
    products = features @ known.T
    squares = (features**2).sum(axis=1)[:, None] + (known**2).sum(axis=1) - 2 * products
    return np.sqrt(np.maximum(squares.min(axis=1), 0.0)).astype(np.float64)


def _share(distance: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return distances as shares of a far one, at most 1."""
    if not np.isfinite(distance).all():
        return np.ones(len(distance))
    far = float(np.quantile(distance, _FAR))
    return np.minimum(distance / far, 1.0) if far else np.zeros(len(distance))


def _windows(clips: Neighbours, window: int) -> NDArray[np.intp]:
    """Return the first places of all windows that lie within one stretch."""
    first = np.arange(max(len(clips.order) - window + 1, 0))
    return first[clips.stretch[first] == clips.stretch[first + window - 1]] if len(first) else first


def _why(
    outlook: Outlook, index: NDArray[np.intp], worth: NDArray, unsure: NDArray[np.float64], rare: NDArray[np.float64]
) -> str:
    """Return in plain words what most makes a stretch worth looking at."""
    reason = int(np.argmax(worth))
    if reason == 2 or not len(outlook.classes):
        return "unlike anything annotated so far"
    column = int(np.argmax((unsure, rare)[reason].mean(axis=0)))
    name = outlook.classes[column]
    if reason == 1:
        return f"perhaps {name}, of which little is annotated"
    said = outlook.probability[index[np.argmax(unsure[:, column])], column]  # in the clip that is nearest
    return f"unsure: {name} {said:.2f}, found from {outlook.thresholds[column]:.2f}"
