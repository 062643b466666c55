"""A tier of an ELAN document is made to hold given intervals, and only what differs is changed.

What an annotation has beside its times and its value (its id, a language, other attributes, what depends on
it) stays with it. Where times change, the tier's open time slots are given the times at which ELAN shows
them, so that no other annotation moves.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from lxml import etree

from store.annotations import elan_tree, elan_types
from store.annotations.elan_confidence import confidences, set_confidences
from store.annotations.elan_dependents import Dependents, Links
from store.annotations.elan_edit import Editor, Span, set_value
from store.annotations.elan_pairing import Pair, Standing, Wanted, pair_up
from store.annotations.model import Interval, milliseconds
from store.annotations.tiers import confidence_tier, is_predicted
from store.errors import InputError

LAST_TIME = 2**32 - 1  # milliseconds: TIME_VALUE is an xsd:unsignedInt


class _Plan(NamedTuple):
    """What becomes of a tier's annotations."""

    tier: Any
    there: list[Standing]
    pairs: list[Pair]
    gone: list[Standing]
    new: list[Wanted]

    @property
    def moved(self) -> list[Pair]:
        return [(old, each) for old, each in self.pairs if old.span != each.span]


def set_intervals(
    root: Any, path: Path, spans: dict[str, Span], wanted: Sequence[tuple[Any, Sequence[Interval]]]
) -> None:
    """Make tiers hold these intervals, as `EafDocument.set_intervals` describes it; all of them or none.

    Parameters
    ----------
    root, path
        The document, and its file for messages.
    spans : dict of str to (int, int)
        When its annotations begin and end, by their ids, in milliseconds.
    wanted : sequence of (lxml element, sequence of Interval)
        Each tier with such intervals as ELAN can hold on one tier, sorted.
    """
    links = Links(root)
    plans = [_planned(root, path, tier, intervals, spans, links) for tier, intervals in wanted]
    editor = Editor(root)
    for plan in plans:
        _carry_out(root, editor, plan)
    editor.finish()


def _planned(
    root: Any, path: Path, tier: Any, intervals: Sequence[Interval], spans: dict[str, Span], links: Links
) -> _Plan:
    """Tell which annotation becomes which, and refuse what cannot be."""
    there = [
        Standing(spans[element.get("ANNOTATION_ID")], element.findtext("ANNOTATION_VALUE") or "", element)
        for element in tier.iterfind("ANNOTATION/*")
    ]
    wanted = [Wanted(milliseconds(each), elan_tree.xml_text(each.value), each.confidence) for each in intervals]
    plan = _Plan(tier, there, *pair_up(there, wanted))
    moved = plan.moved
    dependents = Dependents(root, path, tier, spans, links)
    dependents.check(plan.gone, [old for old, _ in moved], [*(each for _, each in moved), *plan.new])
    return plan


def _carry_out(root: Any, editor: Editor, plan: _Plan) -> None:
    tier, moved = plan.tier, plan.moved
    if moved or plan.gone or plan.new:
        for old in plan.there:
            editor.pin(old.element, old.span)
    sure = confidences(root, tier)
    for old in plan.gone:
        own = (sure.get(old.element.get("ANNOTATION_ID")), old.element)
        editor.remove([element.getparent() for element in own if element is not None])
    entries = elan_types.entries(root, tier.get("LINGUISTIC_TYPE_REF"))
    for old, each in plan.pairs:
        if old.value != each.value:
            set_value(old.element, each.value, entries.get(each.value))
    for old, each in moved:
        editor.move(old.element, each.span)
    added = [(editor.aligned(each.span, each.value, entries.get(each.value)), each) for each in plan.new]
    final = [*((old.element, each) for old, each in plan.pairs), *added]
    span_of = {element: each.span for element, each in final}
    _arrange(tier, span_of, [*(old.element for old, _ in moved), *(element for element, _ in added)])
    set_confidences(root, editor, tier, [(element, each.confidence) for element, each in final])


def add_tiers(
    root: Any, by_tier: Mapping[str, Sequence[Interval]], type_name: str, attributes: Mapping[str, str]
) -> None:
    """Add tiers of a type, with more attributes, and with the confidence of what is on them.

    `by_tier` are intervals by the tier's name, such as ELAN can hold.
    """
    entries = elan_types.entries(root, type_name)
    editor = Editor(root)
    for name, members in by_tier.items():
        tier = etree.Element("TIER", {**attributes, "LINGUISTIC_TYPE_REF": type_name, "TIER_ID": name})
        added = []
        for interval in members:
            value = elan_tree.xml_text(interval.value)
            annotation = editor.aligned(milliseconds(interval), value, entries.get(value))
            etree.SubElement(tier, "ANNOTATION").append(annotation)
            added.append((annotation, interval.confidence))
        elan_tree.insert_in_order(root, tier)
        set_confidences(root, editor, tier, added)
    editor.finish()


def refuse_taken(root: Any, path: Path, names: Iterable[str]) -> None:
    """Refuse names that tiers have already."""
    taken = {tier.get("TIER_ID") for tier in root.iterfind("TIER")}
    for name in names:
        if name in taken:
            raise InputError(f"{path}: there is a tier {name!r} already; rename it in ELAN")


def refuse_twins(root: Any, path: Path, names: Iterable[str]) -> None:
    """Refuse to edit tiers whose name, or that of their confidences, stands twice: one is taken for the other."""
    count = Counter(tier.get("TIER_ID") for tier in root.iterfind("TIER"))
    names = list(names)
    for name in (*names, *(confidence_tier(name) for name in names if is_predicted(name))):
        if count[name] > 1:
            raise InputError(f"{path}: there are {count[name]} tiers {name!r}; rename one in ELAN")


def check_times(path: Path, tier: str, intervals: Iterable[Interval]) -> None:
    """Refuse intervals, sorted by time, that ELAN cannot hold on one tier."""
    last_end = 0
    for interval in intervals:
        begin, end = milliseconds(interval)
        if not 0 <= begin <= end <= LAST_TIME:
            raise InputError(
                f"{path}: tier {tier!r} has an annotation from {interval.begin} to {interval.end} s, which ELAN "
                "cannot hold; correct its times"
            )
        if begin < last_end:
            raise InputError(
                f"{path}: annotations of tier {tier!r} overlap at {interval.begin:.3f} s, which ELAN cannot hold; "
                "put them on tiers of their own"
            )
        last_end = end


def _arrange(tier: Any, span_of: dict[Any, Span], loose: Iterable[Any]) -> None:
    """Put new annotations where their time belongs, and moved ones too if they are not there already."""
    for element in sorted(loose, key=lambda each: span_of[each]):
        wrapper, span = element.getparent(), span_of[element]
        if wrapper is None:
            wrapper = etree.Element("ANNOTATION")
            wrapper.append(element)
        else:
            before, after = (_neighbour(wrapper, preceding=way) for way in (True, False))
            in_order = before is None or span_of[before] <= span
            if in_order and (after is None or span <= span_of[after]):
                continue
            elan_tree.remove(wrapper)
        standing = tier.iterfind("ANNOTATION/*")
        following = next((each for each in standing if span_of[each] > span), None)
        elan_tree.insert(tier, wrapper, None if following is None else following.getparent(), depth=2)


def _neighbour(wrapper: Any, *, preceding: bool) -> Any:
    """Return the annotation next to one on its tier, or None."""
    wrappers = wrapper.itersiblings("ANNOTATION", preceding=preceding)
    return next((each for other in wrappers for each in other.iterchildren("*", reversed=preceding)), None)
