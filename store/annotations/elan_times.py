"""When ELAN's annotations begin and end, also where the file leaves it open.

An annotation of a tier with time (`ALIGNABLE_ANNOTATION`) refers to two time slots, some of which have no
value: ELAN then shows them at even distances between the nearest slots of the tier that have one. One of a
tier without time (`REF_ANNOTATION`) lasts as long as its parent; several of one parent share it evenly.
Times here are whole milliseconds, as in the file.
"""

import re
from collections import defaultdict
from collections.abc import Container
from itertools import chain, pairwise
from pathlib import Path
from typing import Any

from store.annotations.model import Interval
from store.errors import InputError

_MILLISECONDS = re.compile("[0-9]{1,12}")
_SLOT_REFS = ("TIME_SLOT_REF1", "TIME_SLOT_REF2")


def read_intervals(
    root: Any, path: Path, spans: dict[str, tuple[int, int]] | None = None, only: Container[str] | None = None
) -> list[Interval]:
    """Return the annotations of all tiers of an ELAN document, in its order of tiers, by time in each.

    Parameters
    ----------
    root : lxml element
        The ``ANNOTATION_DOCUMENT``.
    path : Path
        Its file, for error messages.
    spans : dict of str to (int, int), optional
        What `annotation_spans` returns, if that is known already.
    only : container of str, optional
        Names of the tiers wanted; all if not given.

    Raises
    ------
    InputError
        If an annotation has no time, ends before it starts, or refers to what is not there.
    """
    spans = annotation_spans(root, path) if spans is None else spans
    intervals = []
    for tier in root.iterfind("TIER"):
        name = tier.get("TIER_ID", "")
        if only is not None and name not in only:
            continue
        annotations = [(spans[element.get("ANNOTATION_ID")], element) for element in tier.iterfind("ANNOTATION/*")]
        for (begin, end), element in sorted(annotations, key=lambda annotation: annotation[0]):
            value = element.findtext("ANNOTATION_VALUE") or ""
            intervals.append(Interval(begin / 1000, end / 1000, name, value))
    return intervals


def annotation_spans(root: Any, path: Path) -> dict[str, tuple[int, int]]:
    """Return begin and end of every annotation in milliseconds, by its id.

    Parameters and errors are those of `read_intervals`.
    """
    tiers = root.findall("TIER")
    for tier in tiers:
        if tier.get("TIER_ID") is None:
            raise _damaged(path, tier, "a tier has no name (TIER_ID)")
    slots = _slots(root, path)
    for tier in _parents_first(tiers, path):
        _align(_slot_sequence(tier, slots, path), slots)
    spans = _alignable_spans(tiers, slots, path)
    _add_references(tiers, spans, path)
    for element in chain.from_iterable(tier.iterfind("ANNOTATION/*") for tier in tiers):
        if element.get("ANNOTATION_ID") not in spans:
            raise _damaged(path, element, f"{element.tag} is no annotation that ELAN has")
    return spans


def _slots(root: Any, path: Path) -> dict[str, int | None]:
    """Return every time slot's milliseconds; None where it has none."""
    slots: dict[str, int | None] = {}
    for slot in root.iterfind("TIME_ORDER/TIME_SLOT"):
        name, value = slot.get("TIME_SLOT_ID"), slot.get("TIME_VALUE")
        if name is None or name in slots:
            raise _damaged(path, slot, f"time slot {name!r} is there twice or without an id")
        if value is not None and not _MILLISECONDS.fullmatch(value):
            raise _damaged(path, slot, f"time slot {name!r} has the time {value!r}, not whole milliseconds")
        slots[name] = None if value is None else int(value)
    return slots


def _parents_first(tiers: list[Any], path: Path) -> list[Any]:
    """Order tiers so that a subdivision finds the bounds of its parent resolved."""
    parents = {tier.get("TIER_ID"): tier.get("PARENT_REF") for tier in tiers}

    def depth(tier: Any) -> int:
        steps, parent = 0, tier.get("PARENT_REF")
        while parent is not None:
            steps, parent = steps + 1, parents.get(parent)
            if steps > len(tiers):
                raise _damaged(path, tier, f"tier {tier.get('TIER_ID')!r} is its own ancestor")
        return steps

    return sorted(tiers, key=depth)


def _slot_sequence(tier: Any, slots: dict[str, int | None], path: Path) -> list[str]:
    """Return the slots that a tier passes through, a slot shared by neighbours once."""
    sequence: list[str] = []
    for annotation in tier.iterfind("ANNOTATION/ALIGNABLE_ANNOTATION"):
        for slot in (annotation.get(name) for name in _SLOT_REFS):
            if slot not in slots:
                raise _damaged(path, annotation, f"an annotation refers to time slot {slot!r}, which is not there")
            if sequence[-1:] != [slot]:
                sequence.append(slot)
    return sequence


def _align(sequence: list[str], slots: dict[str, int | None]) -> None:
    """Give times to the open slots of a sequence, evenly between those that have one."""
    known = [(position, time) for position, slot in enumerate(sequence) if (time := slots[slot]) is not None]
    if not known:
        return
    for (left, before), (right, after) in pairwise(known):
        for position in range(left + 1, right):
            slots[sequence[position]] = before + round((after - before) * (position - left) / (right - left))
    for slot in sequence[: known[0][0]]:
        slots[slot] = known[0][1]
    for slot in sequence[known[-1][0] + 1 :]:
        slots[slot] = known[-1][1]


def _alignable_spans(tiers: list[Any], slots: dict[str, int | None], path: Path) -> dict[str, tuple[int, int]]:
    """Return begin and end of every annotation that refers to time slots, by its id."""
    spans: dict[str, tuple[int, int]] = {}
    for tier in tiers:
        for annotation in tier.iterfind("ANNOTATION/ALIGNABLE_ANNOTATION"):
            name = annotation.get("ANNOTATION_ID")
            if name is None or name in spans:
                raise _damaged(path, annotation, f"annotation {name!r} is there twice or without an id")
            begin, end = (slots[annotation.get(slot)] for slot in _SLOT_REFS)
            if begin is None or end is None:
                raise _damaged(path, annotation, f"no annotation of tier {tier.get('TIER_ID')!r} has a time")
            if end < begin:
                raise _damaged(
                    path,
                    annotation,
                    f"annotation {annotation.findtext('ANNOTATION_VALUE')!r} of tier {tier.get('TIER_ID')!r} "
                    f"ends ({end} ms) before it starts ({begin} ms)",
                )
            spans[name] = (begin, end)
    return spans


def _add_references(tiers: list[Any], spans: dict[str, tuple[int, int]], path: Path) -> None:
    """Add begin and end of every annotation that refers to another, parents before children."""
    pending = []
    for tier in tiers:
        families = defaultdict(list)
        for annotation in tier.iterfind("ANNOTATION/REF_ANNOTATION"):
            families[annotation.get("ANNOTATION_REF")].append(annotation)
        pending += list(families.items())
    while pending:
        waiting = []
        for parent, children in pending:
            if parent not in spans:
                waiting.append((parent, children))
                continue
            begin, end = spans[parent]
            bounds = [begin + round((end - begin) * i / len(children)) for i in range(len(children) + 1)]
            for child, span in zip(_in_order(children), pairwise(bounds), strict=True):
                name = child.get("ANNOTATION_ID")
                if name is None or name in spans:
                    raise _damaged(path, child, f"annotation {name!r} is there twice or without an id")
                spans[name] = span
        if len(waiting) == len(pending):
            parent, children = waiting[0]
            raise _damaged(path, children[0], f"an annotation refers to annotation {parent!r}, which has no time")
        pending = waiting


def _in_order(children: list[Any]) -> list[Any]:
    """Order the annotations of one parent by their links to the previous; as they stand if these break."""
    following = {child.get("PREVIOUS_ANNOTATION"): child for child in children}
    ordered: list[Any] = []
    current = following.get(None)
    while current is not None and len(ordered) < len(children):
        ordered.append(current)
        current = following.get(current.get("ANNOTATION_ID"))
    return ordered if len(ordered) == len(children) else children


def _damaged(path: Path, element: Any, what: str) -> InputError:
    return InputError(f"{path}, line {element.sourceline}: {what}; mend it in ELAN and save it again")
