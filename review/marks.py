"""What is edited: marks on tiers, and changes that can be taken back.

Times here are whole milliseconds of the video, as ELAN keeps them; one tier's marks never overlap, which ELAN
could not hold.
"""

from bisect import insort
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, NamedTuple

from store.annotations import LAST_TIME, Interval
from store.errors import InputError


class Mark(NamedTuple):
    """One annotation of a tier.

    Attributes
    ----------
    begin, end : int
        Milliseconds of the video.
    value : str
        Its text.
    confidence : float or None
        Of a prediction, 0 to 1.
    """

    begin: int
    end: int
    value: str
    confidence: float | None = None


Row = tuple[str, int, int, str, float | None]  # a tier's name and a mark, as JSON carries them


@dataclass(frozen=True)
class Change:
    """What one step of work takes away and puts in.

    Parameters
    ----------
    label : str
        What was done, for the reader.
    removed, added : tuple of (str, Mark)
        Tier and mark.
    """

    label: str
    removed: tuple[tuple[str, Mark], ...]
    added: tuple[tuple[str, Mark], ...]

    @property
    def inverse(self) -> "Change":
        """The change that takes this one back."""
        return Change(self.label, self.added, self.removed)

    @classmethod
    def from_json(cls, content: Any) -> "Change":
        """Read what `to_json` gives, or the page sends.

        Raises
        ------
        InputError
            If it is something else.
        """
        try:
            return cls(_text(content["label"]), _marks(content["removed"]), _marks(content["added"]))
        except (KeyError, TypeError, ValueError) as error:
            raise InputError(f"not a change of annotations ({error!r:.80}); reload the page") from None

    def to_json(self) -> dict[str, Any]:
        """Return it ready for JSON."""
        return {"label": self.label, "removed": rows(self.removed), "added": rows(self.added)}


def rows(marks: Iterable[tuple[str, Mark]]) -> list[Row]:
    """Return marks ready for JSON."""
    return [(tier, *mark) for tier, mark in marks]


def _marks(found: Any) -> tuple[tuple[str, Mark], ...]:
    return tuple((_text(tier), _mark(*rest)) for tier, *rest in found)


def _mark(begin: Any, end: Any, value: Any, confidence: Any = None) -> Mark:
    if type(begin) is not int or type(end) is not int:
        raise TypeError("times are whole milliseconds")
    if confidence is not None and not 0 <= float(confidence) <= 1:
        raise ValueError("confidence")
    return Mark(begin, end, _text(value), None if confidence is None else float(confidence))


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError("text")
    value.encode()  # half of a surrogate pair cannot be written
    return value


class Sheet:
    """The marks of all tiers.

    Parameters
    ----------
    tiers : mapping of str to sequence of Mark
        By tier, in the file's order.
    origin : int
        Milliseconds of the video before the annotation file's time 0: nothing can be put before it.
    """

    def __init__(self, tiers: Mapping[str, Sequence[Mark]], origin: int = 0):
        self.tiers = {name: sorted(marks, key=_place) for name, marks in tiers.items()}
        self.origin = origin

    @classmethod
    def of(cls, names: Iterable[str], intervals: Iterable[Interval], origin: int) -> "Sheet":
        """Make a sheet of the annotations of a file, in seconds of the file."""
        tiers: dict[str, list[Mark]] = {name: [] for name in names}
        for each in intervals:
            begin, end = (round(time * 1000) + origin for time in (each.begin, each.end))
            tiers[each.tier].append(Mark(begin, end, each.value, each.confidence))
        return cls(tiers, origin)

    def copy(self) -> "Sheet":
        """Return a sheet of its own with the same marks."""
        return Sheet(self.tiers, self.origin)

    def intervals(self, tier: str) -> list[Interval]:
        """Return a tier's marks as annotations, in seconds of the file."""
        origin = self.origin
        return [
            Interval((mark.begin - origin) / 1000, (mark.end - origin) / 1000, tier, mark.value, mark.confidence)
            for mark in self.tiers.get(tier, [])
        ]

    def apply(self, change: Change) -> None:
        """Make a change, wholly or not at all.

        Raises
        ------
        InputError
            If a mark to be removed is not there, or one to be added overlaps another or ends before it begins.
        """
        touched = {tier: list(self.tiers.get(tier, [])) for tier, _ in (*change.removed, *change.added)}
        for tier, mark in change.removed:
            found = next((each for each in touched[tier] if each[:3] == mark[:3]), None)
            if found is None:
                raise InputError(
                    f"tier {tier!r} has no annotation at {mark.begin / 1000:.3f} s any more; reload the page"
                )
            touched[tier].remove(found)
        for tier, mark in change.added:
            insort(touched[tier], mark, key=_place)
        for tier in {tier for tier, _ in change.added}:
            self._check(tier, touched[tier])
        self.tiers.update(touched)

    def _check(self, tier: str, marks: list[Mark]) -> None:
        for mark in (marks[0], marks[-1]):
            if mark.begin < self.origin:
                raise InputError(f"tier {tier!r}: {mark.begin / 1000:.3f} s is before the annotation file's beginning")
            if mark.end - self.origin > LAST_TIME:
                raise InputError(f"tier {tier!r}: {mark.end / 1000:.3f} s is beyond what an ELAN file can hold")
        for mark in marks:
            if mark.end < mark.begin:
                raise InputError(f"tier {tier!r}: an annotation ends before it begins, at {mark.begin / 1000:.3f} s")
        for left, right in pairwise(marks):
            if right.begin < left.end:
                raise InputError(f"tier {tier!r}: annotations overlap at {right.begin / 1000:.3f} s")


def _place(mark: Mark) -> tuple[int, int]:
    return mark.begin, mark.end
