"""ELAN annotation files (.eaf): read, and edited in place so that whatever else is in them stays.

The format is that of the EAF schemas 2.6 to 3.0 (https://www.mpi.nl/tools/elan/EAFv3.0.xsd). A file is never
built anew from what was understood of it: its own XML tree is changed, and only where it must be.
"""

import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from lxml import etree

from store.annotations import elan_tree
from store.annotations.elan_times import read_intervals
from store.annotations.media import file_names, media_for
from store.annotations.model import AnnotationFile, Interval, Media
from store.annotations.tiers import PREDICTED_SUFFIX, is_predicted
from store.errors import InputError
from store.files import write_atomically

_LAST_TIME = 2**32 - 1  # TIME_VALUE is an xsd:unsignedInt
_SLOT_REFS = ("TIME_SLOT_REF1", "TIME_SLOT_REF2")
_ANNOTATION_REFS = ("ANNOTATION_REF", "PREVIOUS_ANNOTATION", "REF1", "REF2", "REFS")


class EafDocument:
    """An ELAN file in memory: its XML tree, read and edited in place.

    Made by `open` or `new`; `path` is the file it was read from, or is for, and stands in error messages.
    """

    def __init__(self, root: Any, path: Path, content: bytes | None):
        self.path = path
        self._root = root
        self._content = content  # the bytes on disk, until something is changed
        self._header = root.find("HEADER")
        self._time_order = root.find("TIME_ORDER")

    @classmethod
    def open(cls, path: Path) -> "EafDocument":
        """Read an ELAN file.

        Raises
        ------
        InputError
            If it is missing, too large, not XML, not ELAN's, or has a document type declaration.
        """
        root, content = elan_tree.parse(path)
        return cls(root, path, content)

    @classmethod
    def new(cls, path: Path, media: Iterable[Media] = ()) -> "EafDocument":
        """Make a document without tiers, linked to `media`; nothing is written yet."""
        document = cls(elan_tree.new_root(), path, None)
        for link in media:
            document.link_media(link)
        return document

    def annotations(self) -> AnnotationFile:
        """Return tiers, annotations and linked media.

        Times are those of the file, `Media.time_origin` not applied. Annotations without a time of their own
        get it as ELAN shows them (see `store.annotations.elan_times`).

        Raises
        ------
        InputError
            If an annotation ends before it starts, or its time cannot be told.
        """
        units = self._header.get("TIME_UNITS", "milliseconds")
        if units != "milliseconds":
            raise InputError(f"{self.path}: counts time in {units}, not milliseconds; save it again with ELAN")
        tiers = dict.fromkeys(tier.get("TIER_ID", "") for tier in self._root.iterfind("TIER"))
        media = tuple(self._media(element) for element in self._header.iterfind("MEDIA_DESCRIPTOR"))
        return AnnotationFile(self.path, tuple(tiers), tuple(read_intervals(self._root, self.path)), media)

    def link_media(self, media: Media) -> None:
        """Link a media file, unless one of that name is linked already."""
        links = self._header.findall("MEDIA_DESCRIPTOR")
        if any(file_names(media.url) & file_names(link.get("MEDIA_URL", "")) for link in links):
            return
        element = etree.Element("MEDIA_DESCRIPTOR", MEDIA_URL=elan_tree.xml_text(media.url), MIME_TYPE=media.mime_type)
        if media.relative_url is not None:
            element.set("RELATIVE_MEDIA_URL", elan_tree.xml_text(media.relative_url))
        if media.time_origin:
            element.set("TIME_ORIGIN", str(round(media.time_origin * 1000)))
        others = self._header.iterchildren("LINKED_FILE_DESCRIPTOR", "PROPERTY")
        elan_tree.insert(self._header, element, next(others, None), depth=2)
        self._content = None

    def move_to(self, folder: Path) -> None:
        """Make relative links to existing files hold from another folder, as ELAN does when it saves elsewhere."""
        here = self.path.parent
        if folder.resolve() == here.resolve():
            return
        for element in self._header.iterchildren("MEDIA_DESCRIPTOR", "LINKED_FILE_DESCRIPTOR"):
            for attribute in ("RELATIVE_MEDIA_URL", "RELATIVE_LINK_URL"):
                linked = here / element.get(attribute, "")
                if linked.is_file():
                    moved = media_for(linked, folder / self.path.name).relative_url
                    if moved is not None:
                        element.set(attribute, elan_tree.xml_text(moved))
                        self._content = None

    def add_tiers(self, intervals: Iterable[Interval], *, tiers: Iterable[str] = ()) -> None:
        """Add the tiers of `intervals`, as of a human annotator.

        Parameters
        ----------
        intervals : iterable of Interval
            Each goes to the tier that it names; times in seconds, written as whole milliseconds.
        tiers : iterable of str
            Tiers in the order wanted; those without an interval are added empty.

        Raises
        ------
        InputError
            If there is a tier of that name already, or annotations of one tier overlap, which ELAN cannot
            hold. The document is then unchanged.
        """
        self._add(intervals, tiers, "default-lt", annotator=None)

    def replace_predicted(self, intervals: Iterable[Interval], annotator: str, *, tiers: Iterable[str] = ()) -> None:
        """Replace all tiers whose names end in `` [chironomy]`` by the tiers of `intervals`.

        Parameters
        ----------
        intervals : iterable of Interval
            Predictions, on tiers whose names end in `` [chironomy]``; times in seconds, written as whole
            milliseconds.
        annotator : str
            Who made them, for the tiers' ``ANNOTATOR``.
        tiers : iterable of str
            Tiers in the order wanted; those without an interval are added empty.

        Raises
        ------
        InputError
            If something that is not ours refers to a tier or annotation to be removed, or annotations of one
            tier overlap.
        """
        intervals, tiers = list(intervals), list(tiers)
        for name in (*tiers, *(interval.tier for interval in intervals)):
            if not is_predicted(name):
                raise ValueError(f"the name of a predicted tier ends in {PREDICTED_SUFFIX!r}, not so {name!r}")
        self._remove([tier for tier in self._root.iterfind("TIER") if is_predicted(tier.get("TIER_ID", ""))])
        self._add(intervals, tiers, "chironomy", annotator=elan_tree.xml_text(annotator))

    def save(self, path: Path) -> None:
        """Write the document, whole or not at all; byte for byte the file it was if nothing was changed.

        Raises
        ------
        InputError
            If it cannot be written there.
        """
        write_atomically(path, elan_tree.serialise(self._root) if self._content is None else self._content)

    def _media(self, element: Any) -> Media:
        origin = element.get("TIME_ORIGIN", "0")
        if not re.fullmatch("-?[0-9]{1,12}", origin):
            raise InputError(
                f"{self.path}, line {element.sourceline}: TIME_ORIGIN is {origin!r}, not whole milliseconds; "
                "synchronise the media again in ELAN"
            )
        relative = element.get("RELATIVE_MEDIA_URL")
        return Media(element.get("MEDIA_URL", ""), relative, element.get("MIME_TYPE", ""), int(origin) / 1000)

    def _add(self, intervals: Iterable[Interval], tiers: Iterable[str], type_name: str, annotator: str | None) -> None:
        by_tier: dict[str, list[Interval]] = {elan_tree.xml_text(name): [] for name in tiers}
        for interval in intervals:
            by_tier.setdefault(elan_tree.xml_text(interval.tier), []).append(interval)
        taken = set(self.annotations().tiers)  # refuses what could not be read again
        for name, members in by_tier.items():
            if name in taken:
                raise InputError(f"{self.path}: there is a tier {name!r} already; rename it in ELAN")
            members.sort(key=lambda interval: (interval.begin, interval.end))
            self._check_times(name, members)
        if not by_tier:
            return
        type_name = elan_tree.linguistic_type(self._root, type_name)
        numbers = {"a": self._last_annotation(), "ts": elan_tree.highest_number(self._root, "ts")}
        slots: list[Any] = []
        for name, members in by_tier.items():
            tier = etree.Element("TIER", LINGUISTIC_TYPE_REF=type_name, TIER_ID=name)
            if annotator is not None:
                tier.set("ANNOTATOR", annotator)
            for interval in members:
                slots += _append_annotation(tier, interval, numbers)
            elan_tree.insert_in_order(self._root, tier)
        self._add_slots(slots)
        self._set_last_annotation(numbers["a"])
        self._content = None

    def _check_times(self, tier: str, intervals: list[Interval]) -> None:
        last_end = 0
        for interval in intervals:
            begin, end = _milliseconds(interval)
            if not 0 <= begin <= end <= _LAST_TIME:
                raise InputError(
                    f"{self.path}: tier {tier!r} has an annotation from {interval.begin} to {interval.end} "
                    "s, which ELAN cannot hold; correct its times"
                )
            if begin < last_end:
                raise InputError(
                    f"{self.path}: annotations of tier {tier!r} overlap at {interval.begin:.3f} s, which "
                    "ELAN cannot hold; put them on tiers of their own"
                )
            last_end = end

    def _add_slots(self, slots: list[Any]) -> None:
        """Insert time slots where their time belongs, since ELAN expects those with a time in order."""
        existing = iter(self._time_order.findall("TIME_SLOT"))
        following = next(existing, None)
        for slot in sorted(slots, key=_slot_time):
            while following is not None and _slot_time(following) <= _slot_time(slot):
                following = next(existing, None)
            elan_tree.insert(self._time_order, slot, following, depth=2)

    def _remove(self, tiers: list[Any]) -> None:
        """Remove tiers and the time slots that only they use, unless something else depends on them."""
        if not tiers:
            return
        names = {tier.get("TIER_ID") for tier in tiers}
        ids = {element.get("ANNOTATION_ID") for tier in tiers for element in tier.iterfind("ANNOTATION/*")}
        ours = {element for tier in tiers for element in tier.iter()}
        others = [element for element in self._root.iter("*") if element not in ours]
        for element in others:
            targets = {target for name in _ANNOTATION_REFS for target in element.get(name, "").split()}
            if element.get("PARENT_REF") in names or targets & ids:
                raise InputError(
                    f"{self.path}, line {element.sourceline}: something depends on a tier that ends in "
                    f"{PREDICTED_SUFFIX!r}, which is to be replaced; rename that tier in ELAN to keep both"
                )
        own_slots = {element.get(name) for element in ours for name in _SLOT_REFS}
        own_slots -= {element.get(name) for element in others for name in _SLOT_REFS}
        for slot in self._time_order.findall("TIME_SLOT"):
            if slot.get("TIME_SLOT_ID") in own_slots:
                elan_tree.remove(slot)
        for tier in tiers:
            elan_tree.remove(tier)
        self._content = None

    def _last_annotation(self) -> int:
        """Return the highest number that an annotation id has or, by ELAN's own account, has had."""
        account = self._header.find("PROPERTY[@NAME='lastUsedAnnotationId']")
        text = "" if account is None else (account.text or "").strip()
        number = int(text) if re.fullmatch("[0-9]{1,12}", text) else 0
        return max(number, elan_tree.highest_number(self._root, "a"))

    def _set_last_annotation(self, number: int) -> None:
        account = self._header.find("PROPERTY[@NAME='lastUsedAnnotationId']")
        if account is None:
            account = etree.Element("PROPERTY", NAME="lastUsedAnnotationId")
            elan_tree.insert(self._header, account, None, depth=2)
        account.text = str(number)


def _append_annotation(tier: Any, interval: Interval, numbers: dict[str, int]) -> list[Any]:
    """Append an annotation to a tier; return its two time slots, for the time order."""
    slots = []
    for time in _milliseconds(interval):
        numbers["ts"] += 1
        slots.append(etree.Element("TIME_SLOT", TIME_SLOT_ID=f"ts{numbers['ts']}", TIME_VALUE=str(time)))
    numbers["a"] += 1
    annotation: Any = etree.SubElement(etree.SubElement(tier, "ANNOTATION"), "ALIGNABLE_ANNOTATION")
    annotation.set("ANNOTATION_ID", f"a{numbers['a']}")
    for name, slot in zip(_SLOT_REFS, slots, strict=True):
        annotation.set(name, slot.get("TIME_SLOT_ID"))
    value: Any = etree.SubElement(annotation, "ANNOTATION_VALUE")
    value.text = elan_tree.xml_text(interval.value)
    return slots


def _milliseconds(interval: Interval) -> tuple[int, int]:
    return round(interval.begin * 1000), round(interval.end * 1000)


def _slot_time(slot: Any) -> int:
    """Return a slot's milliseconds; less than any for one without, which stays behind the slot before it."""
    return int(slot.get("TIME_VALUE", -1))
