"""What a model finds, beside what is there: as a change that can be taken back."""

from collections.abc import Iterable
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from review.marks import Change, Mark, Sheet
from store.annotations import Interval
from store.matching import merge
from store.predicted import beside_reviewed

if TYPE_CHECKING:
    from heads.labelling import Prediction


def proposal(
    sheet: Sheet, annotated_tier: str, label: str, predictions: list[Interval], tiers: Iterable[str]
) -> Change:
    """Return the change that puts predictions into tiers, but for what has been reviewed there.

    Parameters
    ----------
    sheet : Sheet
        What is there.
    annotated_tier : str
        The tier of its reviewed stretches, in which earlier predictions stay.
    label : str
        What the change is called.
    predictions : list of Interval
        In seconds of the video; those on other tiers are left out.
    tiers : iterable of str
        The predicted tiers whose marks are replaced.
    """
    start = sheet.origin / 1000
    reviewed = merge((each.begin / 1000, each.end / 1000) for each in sheet.tiers.get(annotated_tier, []))
    removed, added = [], []
    for tier in tiers:
        present = {_place(mark): mark for mark in sheet.tiers.get(tier, [])}
        earlier = [Interval(mark.begin / 1000, mark.end / 1000, tier, *mark[2:]) for mark in present.values()]
        mine = [each for each in predictions if each.tier == tier and each.end > start]
        fresh = [replace(each, begin=max(each.begin, start)) for each in mine]  # ELAN shows nothing before its time 0
        wanted = {_place(mark): mark for mark in map(_mark, beside_reviewed(earlier, fresh, reviewed))}
        removed += [(tier, mark) for place, mark in present.items() if place not in wanted]
        added += [(tier, mark) for place, mark in wanted.items() if place not in present]
    return Change(label, tuple(removed), tuple(added))


def differences(before: "Prediction | None", after: "Prediction") -> list[dict[str, Any]]:
    """Return for each class how many intervals and seconds were found before and after."""
    found = []
    for name in after.classes:
        row: dict[str, Any] = {"name": name}
        for when, prediction in (("before", before), ("after", after)):
            mine = [] if prediction is None else [each for each in prediction.intervals() if each.value == name]
            row[when] = {"intervals": len(mine), "seconds": round(sum(each.end - each.begin for each in mine), 1)}
        found.append(row)
    return found


def _mark(interval: Interval) -> Mark:
    begin, end = round(interval.begin * 1000), round(interval.end * 1000)
    return Mark(begin, end, interval.value, interval.confidence)


def _place(mark: Mark) -> tuple[int, int, str]:
    return mark[:3]
