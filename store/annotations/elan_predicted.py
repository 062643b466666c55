"""Tiers of predictions in an ELAN document: all of them at once, what is there already edited in place."""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from store.annotations import elan_types
from store.annotations.elan_confidence import confidence_element
from store.annotations.elan_edit import ANNOTATION_REFS, Editor, set_value
from store.annotations.elan_intervals import add_tiers, refuse_taken, set_intervals
from store.annotations.elan_times import annotation_spans
from store.annotations.model import Interval
from store.annotations.tiers import PREDICTED_SUFFIX, confidence_tier, gesture_of, is_predicted, is_suggested
from store.errors import InputError

_SUGGESTED_TYPE = "chironomy suggestion"
_TYPE_NAME = "chironomy"  # what the names of linguistic types and vocabularies of ours begin with


def replace_predicted(root: Any, path: Path, by_tier: Mapping[str, Sequence[Interval]], annotator: str) -> None:
    """Let a document's predicted tiers be these, as `EafDocument.replace_predicted` describes it.

    Parameters
    ----------
    root, path
        The document, and its file for messages.
    by_tier : mapping of str to sequence of Interval
        Intervals by the tier's name, such as ELAN can hold, sorted.
    annotator : str
        Who made them.
    """
    ours = [tier for tier in root.iterfind("TIER") if is_predicted(tier.get("TIER_ID", ""))]
    suggested = {name: members for name, members in by_tier.items() if is_suggested(name)}
    by_tier = {name: members for name, members in by_tier.items() if name not in suggested}
    there = {tier.get("TIER_ID"): tier for tier in ours if tier.get("TIER_ID") in by_tier and _stands_alone(tier)}
    gone = _with_confidences(root, [tier for tier in ours if tier not in there.values()])
    beside = {confidence_tier(tier.get("TIER_ID")) for tier in ours}  # some that do not depend on theirs any more
    gone += [tier for tier in root.iterfind("TIER") if tier.get("TIER_ID") in beside and tier.get("PARENT_REF") is None]
    _refuse_dependents(root, path, gone)
    kept = _with_confidences(root, there.values())
    others = [tier.get("TIER_ID") for tier in root.iterfind("TIER") if tier not in kept and tier not in gone]
    clash = next((name for name in map(confidence_tier, by_tier) if name in others), None)
    if clash is not None:
        raise InputError(f"{path}: there is a tier {clash!r} already; rename it in ELAN")
    used = {tier.get("LINGUISTIC_TYPE_REF") for tier in (*gone, *kept)}
    spans = annotation_spans(root, path)
    _remove(root, gone)
    for tier in there.values():
        tier.attrib.pop("LINGUISTIC_TYPE_REF", None)  # so that a vocabulary no longer wanted is out of use
    elan_types.drop_unused(root, used, _TYPE_NAME)
    if by_tier:
        type_name = _predicted_type(root, by_tier)
        for tier in there.values():
            tier.set("LINGUISTIC_TYPE_REF", type_name)
        set_intervals(root, path, spans, [(tier, by_tier[name]) for name, tier in there.items()])
        for tier in there.values():
            _refer_to_entries(root, tier)
        new = {name: members for name, members in by_tier.items() if name not in there}
        refuse_taken(root, path, new)
        add_tiers(root, new, type_name, {"ANNOTATOR": annotator})
    if suggested:  # says why in words, so its values are those of no vocabulary
        refuse_taken(root, path, suggested)
        add_tiers(root, suggested, elan_types.time_type(root, _SUGGESTED_TYPE), {"ANNOTATOR": annotator})
    kept = _with_confidences(root, there.values())
    for tier in kept:
        tier.set("ANNOTATOR", annotator)
    _remove(root, [tier for tier in kept[len(there) :] if tier.find("ANNOTATION") is None])
    elan_types.drop_unused(root, used, _TYPE_NAME)


def _remove(root: Any, tiers: Sequence[Any]) -> None:
    if tiers:
        editor = Editor(root)
        editor.remove(tiers)
        editor.finish()


def _stands_alone(tier: Any) -> bool:
    """Return whether a tier has times of its own, as those have that are written here."""
    return tier.get("PARENT_REF") is None and tier.find("ANNOTATION/REF_ANNOTATION") is None


def _with_confidences(root: Any, tiers: Iterable[Any]) -> list[Any]:
    tiers = list(tiers)
    return [*tiers, *(own for tier in tiers if (own := confidence_element(root, tier)) is not None)]


def _predicted_type(root: Any, names: Iterable[str]) -> str:
    gestures = dict.fromkeys(gesture for name in names if (gesture := gesture_of(name)))
    return elan_types.time_type(root, _TYPE_NAME, elan_types.vocabulary(root, _TYPE_NAME, list(gestures)))


def _refer_to_entries(root: Any, tier: Any) -> None:
    """Let annotations refer to the entries that the vocabulary now has."""
    entries = elan_types.entries(root, tier.get("LINGUISTIC_TYPE_REF"))
    for element in tier.iterfind("ANNOTATION/*"):
        value = element.findtext("ANNOTATION_VALUE") or ""
        set_value(element, value, entries.get(value))


def _refuse_dependents(root: Any, path: Path, tiers: Sequence[Any]) -> None:
    """Refuse to remove tiers if something else depends on them."""
    names = {tier.get("TIER_ID") for tier in tiers}
    ids = {element.get("ANNOTATION_ID") for tier in tiers for element in tier.iterfind("ANNOTATION/*")}
    ours = {element for tier in tiers for element in tier.iter()}
    for element in root.iter("*") if tiers else ():
        if element in ours:
            continue
        targets = {target for name in ANNOTATION_REFS for target in element.get(name, "").split()}
        if element.get("PARENT_REF") in names or targets & ids:
            raise InputError(
                f"{path}, line {element.sourceline}: something depends on a tier that ends in "
                f"{PREDICTED_SUFFIX!r}, which is to be replaced; rename that tier in ELAN to keep both"
            )
