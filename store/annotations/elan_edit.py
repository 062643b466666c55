"""Annotations of an ELAN document's tree: made, moved and removed, with their time slots."""

import re
from collections import Counter
from collections.abc import Iterable
from typing import Any

from lxml import etree

from store.annotations import elan_tree

SLOT_REFS = ("TIME_SLOT_REF1", "TIME_SLOT_REF2")
ANNOTATION_REFS = ("ANNOTATION_REF", "PREVIOUS_ANNOTATION", "REF1", "REF2", "REFS")

Span = tuple[int, int]


class Editor:
    """Makes and moves the annotations of a document; `finish` puts the time slots in order afterwards."""

    def __init__(self, root: Any):
        self._header = root.find("HEADER")
        self._time_order = root.find("TIME_ORDER")
        self._slots = {slot.get("TIME_SLOT_ID"): slot for slot in self._time_order.iterfind("TIME_SLOT")}
        self._users = Counter(name for element in root.iter("ALIGNABLE_ANNOTATION") for name in _slots_of(element))
        highest, self._last_slot = elan_tree.highest_numbers(root)
        self._last_annotation = max(highest, _ever_used(self._header))
        self._waiting: dict[str, Any] = {}  # slots that are not in the time order

    def aligned(self, span: Span, value: str, entry: str | None = None) -> Any:
        """Return a new annotation from `span[0]` to `span[1]` milliseconds, which is on no tier yet.

        `entry` is the id of its value in the controlled vocabulary of the tier's type, if it has one.
        """
        element = etree.Element("ALIGNABLE_ANNOTATION", ANNOTATION_ID=self._next_id())
        set_value(element, value, entry)
        for name, time in zip(SLOT_REFS, span, strict=True):
            element.set(name, self._new_slot(time))
        return element

    def associated(self, parent: Any, value: str) -> Any:
        """Return a new annotation that lasts as long as `parent`, which is on no tier yet."""
        ids = {"ANNOTATION_ID": self._next_id(), "ANNOTATION_REF": parent.get("ANNOTATION_ID")}
        element = etree.Element("REF_ANNOTATION", ids)
        set_value(element, value, None)
        return element

    def move(self, annotation: Any, span: Span) -> None:
        """Give an annotation other times; a time slot that others use too stays as it is for them."""
        for name, time in zip(SLOT_REFS, span, strict=True):
            slot = annotation.get(name)
            if self._slots[slot].get("TIME_VALUE") == str(time):
                continue
            if self._users[slot] > 1:
                self._users[slot] -= 1
                annotation.set(name, self._new_slot(time))
            else:
                self._set_time(slot, time)

    def pin(self, annotation: Any, span: Span) -> None:
        """Give those time slots of an annotation that have no time the time at which they are shown."""
        for slot, time in zip(_slots_of(annotation), span, strict=True):
            if self._slots[slot].get("TIME_VALUE") is None:
                self._set_time(slot, time)

    def remove(self, elements: Iterable[Any]) -> None:
        """Remove annotations or tiers from the document, with the time slots that nothing else uses."""
        for element in elements:
            for annotation in element.iter("ALIGNABLE_ANNOTATION"):
                for slot in _slots_of(annotation):
                    self._users[slot] -= 1
                    if not self._users[slot]:
                        self._take_out(slot)
                        self._waiting.pop(slot)
            elan_tree.remove(element)

    def finish(self) -> None:
        """Put the new and moved time slots where their time belongs, and ELAN's account of ids right."""
        existing = self._time_order.iterchildren("TIME_SLOT")
        following = next(existing, None)
        for slot in sorted(self._waiting.values(), key=_slot_time):
            # ELAN expects those with a time in order.
            while following is not None and _slot_time(following) <= _slot_time(slot):
                following = next(existing, None)
            elan_tree.insert(self._time_order, slot, following, depth=2)
        self._waiting = {}
        account = _account(self._header)
        if account is None:
            account = etree.Element("PROPERTY", NAME="lastUsedAnnotationId")
            elan_tree.insert(self._header, account, None, depth=2)
        account.text = str(self._last_annotation)

    def _next_id(self) -> str:
        self._last_annotation += 1
        return f"a{self._last_annotation}"

    def _new_slot(self, time: int) -> str:
        self._last_slot += 1
        name = f"ts{self._last_slot}"
        slot = etree.Element("TIME_SLOT", TIME_SLOT_ID=name, TIME_VALUE=str(time))
        self._slots[name] = self._waiting[name] = slot
        self._users[name] = 1
        return name

    def _set_time(self, slot: str, time: int) -> None:
        self._take_out(slot)
        self._slots[slot].set("TIME_VALUE", str(time))

    def _take_out(self, slot: str) -> None:
        if slot not in self._waiting:
            elan_tree.remove(self._slots[slot])
            self._waiting[slot] = self._slots[slot]


def set_value(annotation: Any, value: str, entry: str | None) -> None:
    """Let an annotation say something, and refer to that entry of a controlled vocabulary or to none."""
    if entry is not None:
        annotation.set("CVE_REF", entry)
    elif "CVE_REF" in annotation.attrib:
        del annotation.attrib["CVE_REF"]
    text = annotation.find("ANNOTATION_VALUE")
    if text is None:
        text = etree.SubElement(annotation, "ANNOTATION_VALUE")
    text.text = elan_tree.xml_text(value)


def _slots_of(annotation: Any) -> list[str]:
    return [annotation.get(name) for name in SLOT_REFS]


def _ever_used(header: Any) -> int:
    """Return the highest number that an annotation's id has had by ELAN's own account."""
    account = _account(header)
    text = "" if account is None else (account.text or "").strip()
    return int(text) if re.fullmatch("[0-9]{1,12}", text) else 0


def _account(header: Any) -> Any:
    return header.find("PROPERTY[@NAME='lastUsedAnnotationId']")


def _slot_time(slot: Any) -> int:
    """Return a slot's milliseconds; less than any for one without, which stays behind the slot before it."""
    return int(slot.get("TIME_VALUE", -1))
