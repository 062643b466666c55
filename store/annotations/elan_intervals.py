"""A tier of an ELAN document is made to hold given intervals, and only what differs is changed.

What an annotation has beside its times and its value (its id, a language, other attributes, what depends on
it) stays with it. Where times change, the tier's open time slots are given the times at which ELAN shows
them, so that no other annotation moves.
"""

from bisect import bisect_right
from collections import Counter, defaultdict
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple

from lxml import etree

from store.annotations import elan_tree, elan_types
from store.annotations.elan_confidence import confidence_element, confidences, set_confidences
from store.annotations.elan_edit import ANNOTATION_REFS, Editor, Span, set_value
from store.annotations.model import Interval, milliseconds
from store.annotations.tiers import confidence_tier, is_predicted
from store.errors import InputError

LAST_TIME = 2**32 - 1  # milliseconds: TIME_VALUE is an xsd:unsignedInt
_EDITABLE = (None, "Included_In")  # constraints under which an annotation may be put anywhere, or in its parent


class _Annotation(NamedTuple):
    span: Span
    value: str
    element: Any


class _Wanted(NamedTuple):
    span: Span
    value: str
    confidence: float | None


_Pair = tuple[_Annotation, _Wanted]


class _Plan(NamedTuple):
    """What becomes of a tier's annotations."""

    tier: Any
    there: list[_Annotation]
    pairs: list[_Pair]
    gone: list[_Annotation]
    new: list[_Wanted]

    @property
    def moved(self) -> list[_Pair]:
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
    links = _Links(root)
    plans = [_planned(root, path, tier, intervals, spans, links) for tier, intervals in wanted]
    editor = Editor(root)
    for plan in plans:
        _carry_out(root, editor, plan)
    editor.finish()


def _planned(
    root: Any, path: Path, tier: Any, intervals: Sequence[Interval], spans: dict[str, Span], links: "_Links"
) -> _Plan:
    """Tell which annotation becomes which, and refuse what cannot be."""
    there = [
        _Annotation(spans[element.get("ANNOTATION_ID")], element.findtext("ANNOTATION_VALUE") or "", element)
        for element in tier.iterfind("ANNOTATION/*")
    ]
    wanted = [_Wanted(milliseconds(each), elan_tree.xml_text(each.value), each.confidence) for each in intervals]
    plan = _Plan(tier, there, *_pair(there, wanted))
    moved = plan.moved
    dependents = _Dependents(root, path, tier, spans, links)
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


def _pair(there: list[_Annotation], wanted: list[_Wanted]) -> tuple[list[_Pair], list[_Annotation], list[_Wanted]]:
    """Tell which annotation becomes which; return these pairs, and what is left of either.

    Those that agree in time and value come first, then in time alone, then those that overlap most (of one
    value, then of any), then two of one value where no others are left.
    """
    pairs: list[_Pair] = []
    # By identity: two may be equal, and a list is slow to look through.
    left, open_ = {id(old): old for old in there}, {id(new): new for new in wanted}

    def take(chosen: Iterable[_Pair]) -> None:
        for old, new in list(chosen):
            if id(old) in left and id(new) in open_:
                del left[id(old)], open_[id(new)]
                pairs.append((old, new))

    def rest() -> tuple[list[_Annotation], list[_Wanted]]:
        return list(left.values()), list(open_.values())

    take(_equal(*rest(), lambda each: (each.span, each.value)))
    take(_equal(*rest(), lambda each: each.span))
    for same_value in (True, False):
        take(
            pair
            for _, pair in sorted(_overlapping(*rest()), key=lambda found: -found[0])
            if pair[0].value == pair[1].value or not same_value
        )
    gone, new = rest()
    if len(gone) == len(new) == 1 and gone[0].value == new[0].value:
        take([(gone[0], new[0])])
    return pairs, *rest()


def _equal(
    there: list[_Annotation], wanted: list[_Wanted], key: Callable[[_Annotation | _Wanted], Hashable]
) -> list[_Pair]:
    by_key = defaultdict(list)
    for old in reversed(there):
        by_key[key(old)].append(old)
    return [(by_key[key(new)].pop(), new) for new in wanted if by_key[key(new)]]


def _overlapping(there: list[_Annotation], wanted: list[_Wanted]) -> Iterable[tuple[int, _Pair]]:
    """Yield how many milliseconds two have in common, and which; those that only touch are none."""
    starts = [each.span[0] for each in wanted]
    for old in there:
        # Intervals of one tier do not overlap each other: the first that may is the last to start before.
        first = max(bisect_right(starts, old.span[0]) - 1, 0)
        for new in wanted[first:]:
            if new.span[0] >= old.span[1]:
                break
            common = min(old.span[1], new.span[1]) - max(old.span[0], new.span[0])
            if common > 0:
                yield common, (old, new)


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


class _Links:
    """What refers to annotations by their ids, in the whole document; looked for once, when it is asked for."""

    def __init__(self, root: Any):
        self._root = root

    def to(self, annotation: Any) -> list[tuple[Any, str]]:
        """Return the tier (None for a link) and a description of each that refers to an annotation."""
        return self._by_target.get(annotation.get("ANNOTATION_ID"), [])

    @cached_property
    def _by_target(self) -> dict[str, list[tuple[Any, str]]]:
        found = defaultdict(list)
        for tier in self._root.iterfind("TIER"):
            by = tier, f"an annotation of tier {tier.get('TIER_ID')!r}"
            for element in tier.iterfind("ANNOTATION/REF_ANNOTATION"):
                for target in _targets(element):
                    found[target].append(by)
        for element in self._root.iter("CROSS_REF_LINK", "GROUP_REF_LINK"):
            for target in _targets(element):
                found[target].append((None, "a link"))
        return dict(found)


def _targets(element: Any) -> list[str]:
    return [target for name in ANNOTATION_REFS if (value := element.get(name)) for target in value.split()]


class _Dependents:
    """What stands in the way of an annotation's being moved or removed."""

    def __init__(self, root: Any, path: Path, tier: Any, spans: dict[str, Span], links: "_Links"):
        self._root, self._path, self._tier, self._spans, self._links = root, path, tier, spans, links

    def check(self, gone: Sequence[_Annotation], moved: Sequence[_Annotation], placed: Sequence[_Wanted]) -> None:
        """Refuse changes by which something else in the document would lose its hold.

        Raises
        ------
        InputError
            If something depends on an annotation that is removed, something with times of its own on one that
            is moved, or the tier holds no annotations but those that depend on others.
        """
        if not (gone or moved or placed):
            return
        name = self._tier.get("TIER_ID")
        constraint = elan_types.constraint(self._root, self._tier)
        if constraint not in _EDITABLE or self._tier.find("ANNOTATION/REF_ANNOTATION") is not None:
            raise self._refused(f"tier {name!r} depends on another, and its times with it")
        own = confidence_element(self._root, self._tier)
        for old in gone:
            by = next((each for tier, each in self._links.to(old.element) if tier is None or tier is not own), None)
            if by is not None:
                raise self._refused(f"{by} depends on {_described(old, name)}, which is to be removed")
        inside = list(self._aligned()) if gone or moved else []
        for old in (*gone, *moved):
            by = next((each for begin, end, each in inside if old.span[0] <= begin and end <= old.span[1]), None)
            if by is not None:
                raise self._refused(f"{by} stands inside {_described(old, name)}, which is to be changed")
        if constraint is not None:
            parents = self._of_tier(self._tier.get("PARENT_REF"))
            for each in placed:
                if not any(begin <= each.span[0] and each.span[1] <= end for begin, end in parents):
                    where = f"which lies in no annotation of {self._tier.get('PARENT_REF')!r}"
                    raise self._refused(f"tier {name!r} cannot hold {_seconds(each.span)}, {where}")

    def _aligned(self) -> Iterable[tuple[int, int, str]]:
        for tier in self._root.iterfind("TIER"):
            if tier.get("PARENT_REF") == self._tier.get("TIER_ID"):
                for element in tier.iterfind("ANNOTATION/ALIGNABLE_ANNOTATION"):
                    by = f"an annotation of tier {tier.get('TIER_ID')!r}"
                    yield (*self._spans[element.get("ANNOTATION_ID")], by)

    def _of_tier(self, name: str) -> list[Span]:
        tiers = (tier for tier in self._root.iterfind("TIER") if tier.get("TIER_ID") == name)
        return [self._spans[each.get("ANNOTATION_ID")] for tier in tiers for each in tier.iterfind("ANNOTATION/*")]

    def _refused(self, what: str) -> InputError:
        return InputError(f"{self._path}: {what}; change it in ELAN")


def _described(old: _Annotation, tier: str) -> str:
    return f"the annotation {old.value!r} of tier {tier!r} at {_seconds(old.span)}"


def _seconds(span: Span) -> str:
    return f"{span[0] / 1000:.3f} to {span[1] / 1000:.3f} s"
