"""What holds on to an annotation of an ELAN document, and so stands in the way of its being moved or removed."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

from store.annotations import elan_types
from store.annotations.elan_confidence import confidence_element
from store.annotations.elan_edit import ANNOTATION_REFS, Span
from store.annotations.elan_pairing import Standing, Wanted
from store.errors import InputError

_EDITABLE = (None, "Included_In")  # constraints under which an annotation may be put anywhere, or in its parent


class Links:
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


class Dependents:
    """What stands in the way of an annotation's being moved or removed."""

    def __init__(self, root: Any, path: Path, tier: Any, spans: dict[str, Span], links: "Links"):
        self._root, self._path, self._tier, self._spans, self._links = root, path, tier, spans, links

    def check(self, gone: Sequence[Standing], moved: Sequence[Standing], placed: Sequence[Wanted]) -> None:
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


def _described(old: Standing, tier: str) -> str:
    return f"the annotation {old.value!r} of tier {tier!r} at {_seconds(old.span)}"


def _seconds(span: Span) -> str:
    return f"{span[0] / 1000:.3f} to {span[1] / 1000:.3f} s"
