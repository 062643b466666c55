"""Which tiers are shown, and beside which: a lane has what people marked and what was predicted of one gesture."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from store.annotations import (
    ANNOTATED_TIER,
    AnnotationFile,
    gesture_of,
    is_predicted,
    predicted_tier,
)
from store.vocabulary import Vocabulary, canonical, class_members


@dataclass(frozen=True)
class Lane:
    """A line of the page.

    Parameters
    ----------
    name : str
        The gesture, or the tier's name.
    human : str
        Tier of people's annotations, which need not exist yet.
    predicted : str or None
        Tier of predictions, which need not exist yet; None where nothing is predicted.
    member_of : str or None
        The super-class above whose lane it belongs to.
    fixed : bool
        Whether it is only shown: a tier that depends on another.
    """

    name: str
    human: str
    predicted: str | None
    member_of: str | None = None
    fixed: bool = False


def lanes_of(file: AnnotationFile, vocabulary: Vocabulary | None, dependent: Iterable[str] = ()) -> list[Lane]:
    """Return the lanes of a file: of the vocabulary's classes first, or of all its tiers if there is none.

    With a vocabulary, other tiers are shown only if a value on them is one of its names: those count too.
    """
    spelled = {canonical(tier): tier for tier in reversed(file.tiers)}
    fixed = set(dependent)
    found: dict[str, Lane] = {}

    def add(name: str, predicted: bool, member_of: str | None = None) -> None:
        if canonical(name) not in found and canonical(name) != ANNOTATED_TIER:
            human = spelled.get(canonical(name), name)
            other = spelled.get(canonical(predicted_tier(name)), predicted_tier(name)) if predicted else None
            found[canonical(name)] = Lane(name, human, other, member_of, human in fixed)

    for name, gestures in class_members(vocabulary).items() if vocabulary else ():
        add(name, True)
        for gesture in gestures:
            if canonical(gesture) in spelled:
                add(gesture, False, name)
    for tier in _others(file, vocabulary):
        add(gesture_of(tier), is_predicted(tier) or predicted_tier(tier) in file.tiers)
    return list(found.values())


def _others(file: AnnotationFile, vocabulary: Vocabulary | None) -> Sequence[str]:
    """Return the tiers that are shown beside those of a vocabulary's classes."""
    if vocabulary is None:
        return file.tiers
    names = {canonical(name) for name in (*vocabulary.gestures, *vocabulary.superclasses)}
    speaking = {each.tier for each in file.intervals if canonical(each.value) in names}
    return [tier for tier in file.tiers if tier in speaking or is_predicted(tier) or canonical(tier) in names]
