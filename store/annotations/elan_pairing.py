"""Which annotation of a tier becomes which of those that are wanted in its place."""

from bisect import bisect_right
from collections import defaultdict
from collections.abc import Callable, Hashable, Iterable
from typing import Any, NamedTuple

from store.annotations.elan_edit import Span


class Standing(NamedTuple):
    """An annotation that stands on the tier: its times in milliseconds, its value, and its element."""

    span: Span
    value: str
    element: Any


class Wanted(NamedTuple):
    """An annotation that is to stand there."""

    span: Span
    value: str
    confidence: float | None


Pair = tuple[Standing, Wanted]


def pair_up(there: list[Standing], wanted: list[Wanted]) -> tuple[list[Pair], list[Standing], list[Wanted]]:
    """Tell which annotation becomes which; return these pairs, and what is left of either.

    Those that agree in time and value come first, then in time alone, then those that overlap most (of one
    value, then of any), then two of one value where no others are left.
    """
    pairs: list[Pair] = []
    # By identity: two may be equal, and a list is slow to look through.
    left, open_ = {id(old): old for old in there}, {id(new): new for new in wanted}

    def take(chosen: Iterable[Pair]) -> None:
        for old, new in list(chosen):
            if id(old) in left and id(new) in open_:
                del left[id(old)], open_[id(new)]
                pairs.append((old, new))

    def rest() -> tuple[list[Standing], list[Wanted]]:
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


def _equal(there: list[Standing], wanted: list[Wanted], key: Callable[[Standing | Wanted], Hashable]) -> list[Pair]:
    by_key = defaultdict(list)
    for old in reversed(there):
        by_key[key(old)].append(old)
    return [(by_key[key(new)].pop(), new) for new in wanted if by_key[key(new)]]


def _overlapping(there: list[Standing], wanted: list[Wanted]) -> Iterable[tuple[int, Pair]]:
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
