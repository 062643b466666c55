"""Names of tiers that have a meaning of their own, in every format."""

from collections.abc import Sequence
from dataclasses import replace

from store.annotations.model import Interval

# Marks the stretches of a recording that have been annotated (case is ignored).
ANNOTATED_TIER = "annotated"

# Ends the name of every tier that chironomy wrote.
PREDICTED_SUFFIX = " [chironomy]"

# Holds what is worth looking at next; its name must be no gesture's, so it is a phrase.
SUGGESTED_TIER = "worth a look" + PREDICTED_SUFFIX

# Ends the name of the tier, dependent on a predicted one, that holds how sure chironomy was.
CONFIDENCE_SUFFIX = " confidence"


# ELAN ends a name at a space where a recognizer gives it: there no-break spaces stand in their place.
_NO_BREAK = "\u00a0"


def predicted_tier(gesture: str) -> str:
    """Return the name of the tier that holds a gesture's predictions."""
    return gesture + PREDICTED_SUFFIX


def is_predicted(tier: str) -> bool:
    """Return whether a tier is one that chironomy wrote."""
    return tier.replace(_NO_BREAK, " ").endswith(PREDICTED_SUFFIX)


def is_suggested(tier: str) -> bool:
    """Return whether a tier is the one of what is worth looking at; `is_predicted` holds for it too."""
    return tier.replace(_NO_BREAK, " ") == SUGGESTED_TIER


def gesture_of(tier: str) -> str:
    """Return a tier's name without the suffix of predicted tiers."""
    return tier.replace(_NO_BREAK, " ").removesuffix(PREDICTED_SUFFIX) if is_predicted(tier) else tier


def confidence_tier(tier: str) -> str:
    """Return the name of the tier that holds the confidence of a predicted tier's annotations."""
    return tier + CONFIDENCE_SUFFIX


def is_confidence(tier: str) -> bool:
    """Return whether a tier is one in which chironomy wrote its confidence."""
    return tier.replace(_NO_BREAK, " ").endswith(PREDICTED_SUFFIX + CONFIDENCE_SUFFIX)


def take_confidence(
    tiers: Sequence[str], intervals: Sequence[Interval]
) -> tuple[tuple[str, ...], tuple[Interval, ...]]:
    """Give predictions the confidence that stands beside them, on a tier of its own.

    Parameters
    ----------
    tiers : sequence of str
        All tiers' names.
    intervals : sequence of Interval
        All annotations. That of a tier ``GESTURE [chironomy] confidence`` says with its value how sure chironomy
        was of the one at the same time on ``GESTURE [chironomy]``, if there is such a tier.

    Returns
    -------
    tuple of str, tuple of Interval
        The same without the tiers of confidences.
    """
    beside = {confidence_tier(tier) for tier in tiers if is_predicted(tier)}.intersection(tiers)
    if not beside:
        return tuple(tiers), tuple(intervals)
    sure = {
        (each.tier, each.begin, each.end): parse_confidence(each.value) for each in intervals if each.tier in beside
    }
    return tuple(tier for tier in tiers if tier not in beside), tuple(
        replace(each, confidence=sure.get((confidence_tier(each.tier), each.begin, each.end), each.confidence))
        for each in intervals
        if each.tier not in beside
    )


def parse_confidence(text: str | None) -> float | None:
    """Return the probability, 0 to 1, that a text says, or None if it says none."""
    try:
        confidence = float(text or "")
    except ValueError:
        return None
    return confidence if 0 <= confidence <= 1 else None
