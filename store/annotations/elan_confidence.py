"""How sure chironomy is of each annotation that it predicted: a tier beside each of its tiers.

It depends on the predicted tier by symbolic association, one annotation for one, with a value such as 0.87, so
that ELAN shows, sorts and searches it.
"""

from collections.abc import Sequence
from typing import Any

from lxml import etree

from store.annotations import elan_tree, elan_types
from store.annotations.elan_edit import Editor, set_value
from store.annotations.tiers import confidence_tier, is_predicted, parse_confidence

TYPE_NAME = "chironomy confidence"


def confidence_element(root: Any, tier: Any) -> Any:
    """Return the tier that depends on a predicted one and holds its confidence, or None."""
    name = tier.get("TIER_ID", "")
    dependent = (each for each in root.iterfind("TIER") if each.get("PARENT_REF") == name)
    return next((each for each in dependent if each.get("TIER_ID") == confidence_tier(name)), None)


def confidences(root: Any, tier: Any) -> dict[str, Any]:
    """Return the annotations that hold the confidence of a predicted tier's, by the ids of the latter."""
    own = confidence_element(root, tier)
    if own is None:
        return {}
    return {element.get("ANNOTATION_REF"): element for element in own.iterfind("ANNOTATION/REF_ANNOTATION")}


def set_confidences(root: Any, editor: Editor, tier: Any, wanted: Sequence[tuple[Any, float | None]]) -> None:
    """Write how sure each annotation of a predicted tier is.

    Parameters
    ----------
    root, editor
        The document.
    tier : lxml element
        A tier of the document; one that is not a predicted one has no confidence.
    wanted : sequence of (lxml element, float or None)
        Annotations of the tier, and the probability of each; None takes it away.
    """
    if not is_predicted(tier.get("TIER_ID", "")):
        return
    there, own = confidences(root, tier), confidence_element(root, tier)
    for element, confidence in wanted:
        old = there.get(element.get("ANNOTATION_ID"))
        if confidence is None:
            if old is not None:
                editor.remove([old.getparent()])
        elif old is None:
            if own is None:
                own = _add_tier(root, tier)
            annotation = etree.Element("ANNOTATION")
            annotation.append(editor.associated(element, _text(confidence)))
            elan_tree.insert(own, annotation, None, depth=2)
        elif parse_confidence(old.findtext("ANNOTATION_VALUE")) != float(_text(confidence)):
            set_value(old, _text(confidence), None)


def _text(confidence: float) -> str:
    return f"{confidence:.2f}"


def _add_tier(root: Any, tier: Any) -> Any:
    """Add the tier of confidences behind its predicted one."""
    attributes = {
        "LINGUISTIC_TYPE_REF": elan_types.association_type(root, TYPE_NAME),
        "PARENT_REF": tier.get("TIER_ID"),
        "TIER_ID": confidence_tier(tier.get("TIER_ID")),
    }
    if tier.get("ANNOTATOR") is not None:
        attributes["ANNOTATOR"] = tier.get("ANNOTATOR")
    element = etree.Element("TIER", dict(sorted(attributes.items())))
    following = tier.getnext()
    elan_tree.insert(root, element, following, depth=1)
    return element
