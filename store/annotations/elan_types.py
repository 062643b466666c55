"""What stands behind an ELAN file's tiers: linguistic types, their constraints and controlled vocabularies.

What is added for chironomy's own tiers takes the name of something of the user's nowhere: where a different
type or vocabulary has the name, a number is put behind it.
"""

import re
from collections.abc import Collection, Iterable, Sequence
from typing import Any

from lxml import etree

from store.annotations import elan_tree

_ASSOCIATION = "Symbolic_Association"
_NO_LANGUAGE = {
    "LANG_DEF": "http://cdb.iso.org/lg/CDB-00130975-001",
    "LANG_ID": "und",
    "LANG_LABEL": "undetermined (und)",
}
_MULTILINGUAL = (2, 8)  # the version from which a vocabulary's entries have ids and languages


def time_type(root: Any, name: str, vocabulary: str | None = None) -> str:
    """Return a type for tiers with time and without parent; add it if there is none.

    Parameters
    ----------
    root : lxml element
        The document.
    name : str
        What to call it.
    vocabulary : str, optional
        The controlled vocabulary of its values.
    """
    wanted = {"TIME_ALIGNABLE": "true", "CONTROLLED_VOCABULARY_REF": vocabulary}
    return _type(root, name, wanted)


def association_type(root: Any, name: str) -> str:
    """Return a type for tiers with one annotation to each of their parent tier's; add it if there is none."""
    if root.find(f"CONSTRAINT[@STEREOTYPE='{_ASSOCIATION}']") is None:
        text = "1-1 association with a parent annotation"
        elan_tree.insert_in_order(root, etree.Element("CONSTRAINT", DESCRIPTION=text, STEREOTYPE=_ASSOCIATION))
    return _type(root, name, {"CONSTRAINTS": _ASSOCIATION, "TIME_ALIGNABLE": "false"})


def vocabulary(root: Any, name: str, values: Sequence[str]) -> str | None:
    """Return a controlled vocabulary of these values, added if there is none; None before version 2.8.

    Until then vocabularies had another form, in which no schema after it is valid.
    """
    if _version(root) < _MULTILINGUAL:
        return None
    there = {element.get("CV_ID"): element for element in root.iterfind("CONTROLLED_VOCABULARY")}
    candidate = _free(name, {key for key, element in there.items() if list(_entries(element)) != list(values)})
    if candidate in there:
        return candidate
    language = _NO_LANGUAGE["LANG_ID"]
    if root.find(f"LANGUAGE[@LANG_ID='{language}']") is None:
        elan_tree.insert_in_order(root, etree.Element("LANGUAGE", _NO_LANGUAGE))
    element: Any = etree.Element("CONTROLLED_VOCABULARY", CV_ID=candidate)
    etree.SubElement(element, "DESCRIPTION", LANG_REF=language)
    for number, value in enumerate(values):
        entry = etree.SubElement(element, "CV_ENTRY_ML", CVE_ID=f"cveid{number}")
        text: Any = etree.SubElement(entry, "CVE_VALUE", DESCRIPTION="", LANG_REF=language)
        text.text = value
    elan_tree.insert_in_order(root, element)
    return candidate


def entries(root: Any, type_name: str) -> dict[str, str]:
    """Return the values of a type's controlled vocabulary -> their entries' ids; none where these are elsewhere."""
    types = (each for each in root.iterfind("LINGUISTIC_TYPE") if each.get("LINGUISTIC_TYPE_ID") == type_name)
    name = next((each.get("CONTROLLED_VOCABULARY_REF") for each in types), None)
    found: dict[str, str] = {}
    for element in root.iterfind("CONTROLLED_VOCABULARY"):
        if name is not None and element.get("CV_ID") == name:
            found |= _entries(element)
    return found


def _entries(element: Any) -> dict[str, str]:
    return {
        value.text or "": entry.get("CVE_ID", "")
        for entry in element.iterfind("CV_ENTRY_ML")
        for value in entry.iterfind("CVE_VALUE")
    }


def constraint(root: Any, tier: Any) -> str | None:
    """Return the constraint of a tier's type, such as ``Included_In``; None for a tier that stands by itself."""
    name = tier.get("LINGUISTIC_TYPE_REF")
    types = (each for each in root.iterfind("LINGUISTIC_TYPE") if each.get("LINGUISTIC_TYPE_ID") == name)
    return next((each.get("CONSTRAINTS") or None for each in types), None)


def drop_unused(root: Any, names: Iterable[str], prefix: str) -> None:
    """Remove those of some types, and their vocabularies, that begin with `prefix` and are used no more."""
    names = set(names)
    for element in root.findall("LINGUISTIC_TYPE"):
        name = element.get("LINGUISTIC_TYPE_ID", "")
        in_use = any(tier.get("LINGUISTIC_TYPE_REF") == name for tier in root.iterfind("TIER"))
        if in_use or name not in names or not name.startswith(prefix):
            continue
        elan_tree.remove(element)
        used = {each.get("CONTROLLED_VOCABULARY_REF") for each in root.iterfind("LINGUISTIC_TYPE")}
        own = element.get("CONTROLLED_VOCABULARY_REF", "")
        if own.startswith(prefix) and own not in used:
            for each in root.findall("CONTROLLED_VOCABULARY"):
                if each.get("CV_ID") == own:
                    elan_tree.remove(each)


def _type(root: Any, name: str, wanted: dict[str, str | None]) -> str:
    types = {element.get("LINGUISTIC_TYPE_ID"): element for element in root.iterfind("LINGUISTIC_TYPE")}
    others = {key for key, element in types.items() if not _agrees(element, wanted)}
    candidate = _free(name, others)
    if candidate not in types:
        given = {key: value for key, value in wanted.items() if value is not None}
        attributes = {"GRAPHIC_REFERENCES": "false", "LINGUISTIC_TYPE_ID": candidate, **given}
        elan_tree.insert_in_order(root, etree.Element("LINGUISTIC_TYPE", dict(sorted(attributes.items()))))
    return candidate


def _agrees(element: Any, wanted: dict[str, str | None]) -> bool:
    has_time = element.get("TIME_ALIGNABLE") in ("true", "1")
    return has_time == (wanted["TIME_ALIGNABLE"] == "true") and all(
        (element.get(name) or None) == wanted.get(name) for name in ("CONSTRAINTS", "CONTROLLED_VOCABULARY_REF")
    )


def _free(name: str, taken: Collection[str | None]) -> str:
    candidate, number = name, 1
    while candidate in taken:
        number += 1
        candidate = f"{name} {number}"
    return candidate


def _version(root: Any) -> tuple[int, int]:
    """Return the version of a document's format; that of ELAN today if it does not say."""
    match = re.match(r"([0-9]{1,4})\.([0-9]{1,4})", root.get("FORMAT") or root.get("VERSION") or "")
    return (int(match[1]), int(match[2])) if match else (3, 0)
