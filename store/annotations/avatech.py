"""Tier files of the AVATecH project, by which ELAN and its recognizers exchange annotations.

What ELAN does with them is not all in a specification, but follows from how it reads: a time without a decimal
point is whole milliseconds (one with a point it takes through 32 bits, which is not exact), and what stands in
``columns`` ends at a space, so that the spaces in a tier's name are written as no-break spaces.
"""

import re
from collections.abc import Mapping, Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any

from lxml import etree

from store.annotations import elan_tree
from store.annotations.model import Interval, milliseconds
from store.errors import InputError
from store.files import require_file

_MAX_BYTES = 64 * 2**20
_TIME = re.compile(r"[0-9]{1,12}(?:\.[0-9]{1,12})?")


def avatech_tiers(tiers: Mapping[str, Sequence[Interval]]) -> bytes:
    """Return a file of several tiers, by name, as ELAN reads one from a recognizer."""
    root: Any = etree.Element("TIERS")
    for name, intervals in tiers.items():
        tier: Any = etree.SubElement(root, "TIER", columns=elan_tree.xml_text(re.sub(r"\s", "\u00a0", name)))
        for interval in sorted(intervals, key=milliseconds):
            begin, end = milliseconds(interval)
            span = etree.SubElement(tier, "span", start=str(begin), end=str(end))
            value: Any = etree.SubElement(span, "v")
            value.text = elan_tree.xml_text(interval.value)
    etree.indent(root)
    return etree.tostring(root, encoding="UTF-8", xml_declaration=True)


def read_avatech_spans(path: Path) -> list[tuple[float, float]]:
    """Return begin and end, in seconds, of what stands on a tier that ELAN gave to a recognizer.

    Raises
    ------
    InputError
        If the file cannot be read.
    """
    if require_file(path).stat().st_size > _MAX_BYTES:
        raise InputError(f"{path}: larger than {_MAX_BYTES // 2**20} MiB, which no tier is; choose another tier")
    root = elan_tree.parse_xml(path.read_bytes(), path, "tier file", "choose the tier again")
    return [(_seconds(path, span, "start"), _seconds(path, span, "end")) for span in root.iter("span")]


def _seconds(path: Path, span: Any, name: str) -> float:
    text = span.get(name, "").strip()
    if not _TIME.fullmatch(text):
        raise InputError(f"{path}, line {span.sourceline}: {name} is {text!r}, not a time; choose the tier again")
    return float(Decimal(text) if "." in text else Decimal(text).scaleb(-3))
