"""Names of tiers that have a meaning of their own, in every format."""

# Marks the stretches of a recording that have been annotated (case is ignored).
ANNOTATED_TIER = "annotated"

# Ends the name of every tier that chironomy wrote.
PREDICTED_SUFFIX = " [chironomy]"


def predicted_tier(gesture: str) -> str:
    """Return the name of the tier that holds a gesture's predictions."""
    return gesture + PREDICTED_SUFFIX


def is_predicted(tier: str) -> bool:
    """Return whether a tier is one that chironomy wrote."""
    return tier.endswith(PREDICTED_SUFFIX)


def gesture_of(tier: str) -> str:
    """Return a tier's name without the suffix of predicted tiers."""
    return tier.removesuffix(PREDICTED_SUFFIX)
