"""Which annotations count for which gesture, and which stretches of a recording are annotated at all.

Conventions: an annotation counts for a gesture by the name of its tier or, where that is none of the
vocabulary's, by its value; case and white space do not matter. The vocabulary's super-classes may be
annotated directly as well. On a predicted tier the value comes first: chironomy wrote the gesture there, so
that another gesture is a correction. What it wrote is spelled as in the vocabulary of its model: in other
capitals it is a name of another vocabulary, as "Facial Expression" of `guitar-7` is no "Facial expression" of
`guitar-18`. Predictions count only inside annotated stretches. Times in the result are seconds of the recording,
with ELAN's time origin applied.
"""

import difflib
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from store.annotations import (
    ANNOTATED_TIER,
    AnnotationFile,
    Interval,
    gesture_of,
    is_confidence,
    is_predicted,
    is_suggested,
    read,
    recording_of,
    time_origin,
)
from store.errors import InputError
from store.vocabulary import Vocabulary, canonical, class_members

Stretch = tuple[float, float]

_SHOWN = 8  # names listed in an error message
_RESEMBLANCE = 0.8  # of difflib, 0 to 1: "Noding" and "Nodding" have 0.92


@dataclass(frozen=True)
class Matched:
    """What an annotation file says about a recording.

    Parameters
    ----------
    gestures : dict of str to list of (float, float)
        Begin and end, in seconds, of every annotation of each of the vocabulary's gestures, sorted.
    superclasses : dict of str to list of (float, float)
        The same for annotations that name a super-class itself.
    annotated : list of (float, float) or None
        The stretches that have been annotated, merged and sorted; None for the whole recording.
    ignored : dict of str to int
        Tiers with annotations that count for nothing -> number of these; 0 for an empty tier of no gesture.
    near_misses : dict of str to str
        Names of these tiers, and values on them, that resemble a name of the vocabulary -> that name.
    """

    gestures: dict[str, list[Stretch]]
    superclasses: dict[str, list[Stretch]]
    annotated: list[Stretch] | None
    ignored: dict[str, int]
    near_misses: dict[str, str]

    def classes(self, vocabulary: Vocabulary) -> dict[str, list[Stretch]]:
        """Return, for each class but the background, the stretches that show it, merged and sorted."""
        present = {}
        for name, members in class_members(vocabulary).items():
            stretches = [stretch for gesture in members for stretch in self.gestures[gesture]]
            present[name] = merge([*stretches, *self.superclasses.get(name, [])])
        return present

    def within(self, begin: float, end: float) -> bool:
        """Return whether something lies, in part at least, in what has been annotated; seconds."""
        return self.annotated is None or any(begin < stop and end > start for start, stop in self.annotated)


def match(
    file: AnnotationFile,
    vocabulary: Vocabulary,
    recording: str | None = None,
    offset: float | None = None,
    required: bool = True,
) -> Matched:
    """Tell which annotations of a file count for which gesture.

    Parameters
    ----------
    file : AnnotationFile
        As read.
    vocabulary : Vocabulary
        The gestures to look for.
    recording : str, optional
        The recording's id, by default the stem of the file's name. It chooses the linked media whose time
        origin applies: that of the same stem, else the first.
    offset : float, optional
        Seconds to be added to all times, in place of the time origin.
    required : bool
        Whether something must match.

    Raises
    ------
    InputError
        If something must, but nothing in the file matches the vocabulary and no stretch is marked as annotated;
        the message lists what was found and what was expected.
    """
    names = _names(vocabulary)
    annotated = annotated_stretches(file)
    spelled = {*names.values(), *vocabulary.superclasses}
    counted: dict[str, list[Stretch]] = {name: [] for name in spelled}
    unmatched = []
    for interval in _truth(file, annotated or []):
        name = _name_predicted(interval, names, spelled) if is_predicted(interval.tier) else _name_of(interval, names)
        if name is not None:
            counted[name].append((interval.begin, interval.end))
        elif not is_confidence(interval.tier):
            unmatched.append(interval)
    tiers = [tier for tier in file.tiers if not _is_ours(tier) and canonical(tier) != ANNOTATED_TIER]
    used = {interval.tier for interval in file.intervals}
    ignored = Counter({tier: 0 for tier in tiers if tier not in used and canonical(tier) not in names})
    ignored.update(interval.tier for interval in unmatched)
    typed = [interval for interval in unmatched if not is_predicted(interval.tier)]
    likely = [tier for tier in ignored if not is_predicted(tier)]
    near_misses = _near_misses([*likely, *(interval.value for interval in typed)], names)
    if required and not (annotated or any(counted.values()) or any(canonical(tier) in names for tier in tiers)):
        raise InputError(_nothing_matches(file, vocabulary, near_misses))

    origin = (
        time_origin(file, recording_of(file.path) if recording is None else recording) if offset is None else offset
    )

    def shifted(stretches: Iterable[Stretch]) -> list[Stretch]:
        # Rounded, or the last bits of a sum would reach into another frame.
        return sorted((round(begin + origin, 6), round(end + origin, 6)) for begin, end in stretches)

    return Matched(
        gestures={gesture: shifted(counted[gesture]) for gesture in vocabulary.gestures},
        superclasses={
            name: [] if name in vocabulary.gestures else shifted(counted.get(name, []))
            for name in vocabulary.superclasses
        },
        annotated=None if annotated is None else shifted(annotated),
        ignored=dict(ignored),
        near_misses=near_misses,
    )


def merge(stretches: Iterable[Stretch]) -> list[Stretch]:
    """Return stretches sorted, with those that overlap or touch made one."""
    merged: list[Stretch] = []
    for begin, end in sorted(stretches):
        if merged and begin <= merged[-1][1]:
            merged[-1] = (merged[-1][0], max(end, merged[-1][1]))
        else:
            merged.append((begin, end))
    return merged


def summarise(path: Path, vocabulary: Vocabulary | None = None) -> dict[str, Any]:
    """Summarise an annotation file, ready for JSON.

    Parameters
    ----------
    path : Path
        The file.
    vocabulary : Vocabulary, optional
        Then also what counts for which gesture.

    Returns
    -------
    dict
        ``file``, ``recording``, ``tiers`` (of each ``name``, ``count``, ``seconds`` in all, ``first`` and
        ``last`` time in the file), ``media``; with a vocabulary also its name as ``vocabulary``, ``gestures``
        (of each ``count`` and ``seconds``, super-classes that were annotated directly among them),
        ``annotated``, ``ignored`` and ``near_misses`` as in `Matched`. Times in seconds.

    Raises
    ------
    InputError
        If the file cannot be read, or nothing in it matches the vocabulary.
    """
    file = read(path)
    summary = {"file": str(path), "recording": recording_of(path), **_describe(file)}
    if vocabulary is not None:
        summary |= {"vocabulary": vocabulary.name, **_describe_match(match(file, vocabulary))}
    return summary


def _describe(file: AnnotationFile) -> dict[str, Any]:
    by_tier: dict[str, list[Stretch]] = {tier: [] for tier in file.tiers}
    for interval in file.intervals:
        by_tier[interval.tier].append((interval.begin, interval.end))
    return {
        "tiers": [{"name": tier, **_extent(stretches)} for tier, stretches in by_tier.items()],
        "media": [asdict(media) for media in file.media],
    }


def _describe_match(matched: Matched) -> dict[str, Any]:
    direct = {name: stretches for name, stretches in matched.superclasses.items() if stretches}
    extents = {name: _extent(stretches) for name, stretches in {**matched.gestures, **direct}.items()}
    return {
        "gestures": {name: {key: extent[key] for key in ("count", "seconds")} for name, extent in extents.items()},
        "annotated": matched.annotated,
        "ignored": matched.ignored,
        "near_misses": matched.near_misses,
    }


def _extent(stretches: Sequence[Stretch]) -> dict[str, Any]:
    return {
        "count": len(stretches),
        "seconds": round(sum(end - begin for begin, end in stretches), 3),
        "first": min((begin for begin, _ in stretches), default=None),
        "last": max((end for _, end in stretches), default=None),
    }


def _names(vocabulary: Vocabulary) -> dict[str, str]:
    """Return what annotations may be called, in canonical form -> as the vocabulary spells it.

    Where a super-class and one of its gestures have one name, it means the gesture, and so both.
    """
    background = [] if vocabulary.background is None else [vocabulary.background]
    return {canonical(name): name for name in (*background, *vocabulary.superclasses, *vocabulary.gestures)}


def annotated_stretches(file: AnnotationFile) -> list[Stretch] | None:
    """Return the annotated stretches in the file's time, merged; None if no tier marks them."""
    if not any(canonical(tier) == ANNOTATED_TIER for tier in file.tiers):
        return None
    marks = (interval for interval in file.intervals if canonical(interval.tier) == ANNOTATED_TIER)
    return merge((mark.begin, mark.end) for mark in marks if mark.end > mark.begin)


def _truth(file: AnnotationFile, annotated: list[Stretch]) -> Iterable[Interval]:
    """Yield what may count: people's annotations, and predictions clipped to the annotated stretches."""
    for interval in file.intervals:
        if is_suggested(interval.tier):
            continue
        if is_predicted(interval.tier):
            for begin, end in annotated:
                clipped = replace(interval, begin=max(begin, interval.begin), end=min(end, interval.end))
                if clipped.begin < clipped.end:
                    yield clipped
        elif canonical(interval.tier) != ANNOTATED_TIER:
            yield interval


def _is_ours(tier: str) -> bool:
    return is_predicted(tier) or is_confidence(tier)


def _name_of(interval: Interval, names: dict[str, str]) -> str | None:
    return next((names[name] for name in map(canonical, (interval.tier, interval.value)) if name in names), None)


def _name_predicted(interval: Interval, names: dict[str, str], spelled: set[str]) -> str | None:
    """Return what a prediction counts for: its value, as chironomy or a person wrote it, else its tier's gesture."""
    gesture, value = gesture_of(interval.tier), " ".join(interval.value.split())
    if value in spelled:
        return value
    if canonical(value) in names and canonical(value) != canonical(gesture):
        return names[canonical(value)]
    return gesture if gesture in spelled else None


def _near_misses(found: Iterable[str], names: dict[str, str]) -> dict[str, str]:
    misses = {}
    for name in dict.fromkeys(found):
        close = difflib.get_close_matches(canonical(name), names, n=1, cutoff=_RESEMBLANCE)
        if close:
            misses[name] = names[close[0]]
    return misses


def _nothing_matches(file: AnnotationFile, vocabulary: Vocabulary, near_misses: dict[str, str]) -> str:
    values = dict.fromkeys(interval.value for interval in file.intervals if interval.value.strip())
    found = f"tiers {_listed(file.tiers)}" + (f" with values {_listed(values)}" if values else "")
    expected = _listed((*vocabulary.superclasses, *vocabulary.gestures))
    hint = "".join(f"; did {name!r} mean {meant!r}?" for name, meant in list(near_misses.items())[:3])
    return (
        f"{file.path}: nothing in it matches the vocabulary {vocabulary.name!r}: found {found}, expected "
        f"{expected}{hint}; name tiers or values after gestures, or choose another vocabulary"
    )


def _listed(names: Iterable[str]) -> str:
    shown = [repr(name if len(name) <= 40 else name[:37] + "...") for name in names]
    if not shown:
        return "(none)"
    more = f" and {len(shown) - _SHOWN} more" if len(shown) > _SHOWN else ""
    return ", ".join(shown[:_SHOWN]) + more
