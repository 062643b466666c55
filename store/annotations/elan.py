"""ELAN annotation files (.eaf): read, and edited in place so that whatever else is in them stays.

The format is that of the EAF schemas 2.6 to 3.0 (https://www.mpi.nl/tools/elan/EAFv3.0.xsd). A file is never
built anew from what was understood of it: its own XML tree is changed, and only where it must be.
"""

import re
from collections.abc import Container, Iterable, Mapping
from pathlib import Path
from typing import Any

from lxml import etree

from store.annotations import elan_tree, elan_types
from store.annotations.elan_edit import Span
from store.annotations.elan_intervals import add_tiers, check_times, refuse_taken, refuse_twins, set_intervals
from store.annotations.elan_predicted import replace_predicted
from store.annotations.elan_times import annotation_spans, read_intervals
from store.annotations.media import media_for, media_names
from store.annotations.model import AnnotationFile, Interval, Media
from store.annotations.tiers import PREDICTED_SUFFIX, confidence_tier, is_confidence, is_predicted, take_confidence
from store.errors import InputError
from store.files import keep_original, write_atomically


class EafDocument:
    """An ELAN file in memory: its XML tree, read and edited in place.

    Made by `open` or `new`; `path` is the file it was read from, or is for, and stands in error messages.
    """

    def __init__(self, root: Any, path: Path, content: bytes | None):
        self.path = path
        self._root = root
        self._content = content  # the bytes on disk, until something is changed
        self._opened = content is not None
        self._line_end = b"\r\n" if content is not None and b"\r\n" in content else b"\n"
        self._header = root.find("HEADER")
        self._spans: dict[str, Span] | None = None  # from `prepare`, until something is changed

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
    def from_bytes(cls, content: bytes, path: Path) -> "EafDocument":
        """Make a document of an ELAN file's bytes; `path` stands in error messages.

        Raises
        ------
        InputError
            As `open`.
        """
        return cls(elan_tree.checked(content, path), path, content)

    @classmethod
    def new(cls, path: Path, media: Iterable[Media] = ()) -> "EafDocument":
        """Make a document without tiers, linked to `media`; nothing is written yet."""
        document = cls(elan_tree.new_root(), path, None)
        for link in media:
            document.link_media(link)
        return document

    def annotations(self) -> AnnotationFile:
        """Return tiers, annotations and linked media.

        A prediction has the confidence that stands on the tier ``GESTURE [chironomy] confidence``, which is
        no tier of the result itself. Times are those of the file, `Media.time_origin` not applied. Annotations
        without a time of their own get it as ELAN shows them (see `store.annotations.elan_times`).

        Raises
        ------
        InputError
            If an annotation ends before it starts, or its time cannot be told.
        """
        return self._annotations(annotation_spans(self._root, self.path) if self._spans is None else self._spans)

    def _annotations(self, spans: dict[str, Span], only: Container[str] | None = None) -> AnnotationFile:
        """Return what `annotations` does; the intervals of some tiers alone if their names are given."""
        units = self._header.get("TIME_UNITS", "milliseconds")
        if units != "milliseconds":
            raise InputError(f"{self.path}: counts time in {units}, not milliseconds; save it again with ELAN")
        names = dict.fromkeys(tier.get("TIER_ID", "") for tier in self._root.iterfind("TIER"))
        tiers, intervals = take_confidence(list(names), read_intervals(self._root, self.path, spans, only))
        media = tuple(self._media(element) for element in self._header.iterfind("MEDIA_DESCRIPTOR"))
        return AnnotationFile(self.path, tiers, intervals, media)

    def prepare(self) -> None:
        """Work out ahead what the next edit needs, so that it takes half as long."""
        self._spans = annotation_spans(self._root, self.path)

    def dependent_tiers(self) -> list[str]:
        """Return the names of the tiers that depend on another: their annotations divide or describe its own."""
        names = (tier.get("TIER_ID", "") for tier in self._root.iterfind("TIER") if tier.get("PARENT_REF") is not None)
        return [name for name in names if not is_confidence(name)]

    def tiers_with_dependents(self) -> set[str]:
        """Return the names of the tiers that something else in the file builds on, which may forbid some edits."""
        tiers = list(self._root.iterfind("TIER"))
        if self._root.find("REF_LINK_SET") is not None:  # links may lead to any annotation
            return {tier.get("TIER_ID", "") for tier in tiers}
        return {tier.get("PARENT_REF") for tier in tiers if not is_confidence(tier.get("TIER_ID", ""))} - {None}

    def link_media(self, media: Media) -> None:
        """Link a media file, unless one of that name is linked already."""
        links = self._header.findall("MEDIA_DESCRIPTOR")
        if any(media_names(media.url) & media_names(link.get("MEDIA_URL", "")) for link in links):
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
        by_tier = self._by_tier(intervals, tiers)
        refuse_taken(self._root, self.path, by_tier)
        if by_tier:
            add_tiers(self._root, by_tier, elan_types.time_type(self._root, "default-lt"), {})
            self._content = None

    def replace_predicted(self, intervals: Iterable[Interval], annotator: str, *, tiers: Iterable[str] = ()) -> None:
        """Let the tiers whose names end in `` [chironomy]`` be those of `intervals`.

        What is on such a tier already keeps its id, its other attributes and what depends on it, as with
        `set_intervals`; such tiers that are not wanted are removed.

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
            If something that is not ours refers to a tier or annotation to be removed, annotations of one
            tier overlap, or a tier of confidences would have the name of another.
        """
        intervals, tiers = list(intervals), list(tiers)
        for name in (*tiers, *(interval.tier for interval in intervals)):
            if not is_predicted(name):
                raise ValueError(f"the name of a predicted tier ends in {PREDICTED_SUFFIX!r}, not so {name!r}")
        by_tier = self._by_tier(intervals, tiers)
        if by_tier or any(is_predicted(tier.get("TIER_ID", "")) for tier in self._root.iterfind("TIER")):
            self._spans = None
            replace_predicted(self._root, self.path, by_tier, elan_tree.xml_text(annotator))
            self._content = None

    def set_intervals(self, tier: str, intervals: Iterable[Interval]) -> None:
        """Make a tier hold exactly these intervals, and change nothing but what differs.

        An annotation that stays, is moved or relabelled keeps its id, its other attributes and what depends
        on it; which one becomes which is told by time and value, else by overlap. The confidence of predicted
        ones goes with them.

        Parameters
        ----------
        tier : str
            Its name; if there is no such tier it is added.
        intervals : iterable of Interval
            All that it shall hold, in seconds of the file, of that tier.

        Raises
        ------
        InputError
            If ELAN could not hold them (they overlap, or lie outside those of the tier's parent), two tiers
            have that name, or something else in the file depends on an annotation to be removed or has times
            inside of one to be moved. The document is then unchanged.
        """
        self.set_tiers({tier: intervals})

    def set_tiers(self, wanted: Mapping[str, Iterable[Interval]]) -> None:
        """Make several tiers hold exactly these intervals, as `set_intervals` does with one: all of them or none.

        Parameters
        ----------
        wanted : mapping of str to iterable of Interval
            By tier, all that it shall hold.

        Raises
        ------
        InputError
            As `set_intervals`. The document is then unchanged.
        """
        if not wanted:
            return
        sorted_by_tier = {tier: sorted(intervals, key=_by_time) for tier, intervals in wanted.items()}
        for tier, intervals in sorted_by_tier.items():
            if any(interval.tier != tier for interval in intervals):
                raise ValueError(f"all intervals must be of the tier {tier!r}")
            check_times(self.path, tier, intervals)
        refuse_twins(self._root, self.path, wanted)
        spans = annotation_spans(self._root, self.path) if self._spans is None else self._spans
        self._spans = None
        file = self._annotations(spans, {*sorted_by_tier, *map(confidence_tier, sorted_by_tier)})
        present: dict[str, list[Interval]] = {tier: [] for tier in file.tiers}
        for interval in file.intervals:
            present[interval.tier].append(interval)
        changed = {
            tier: intervals
            for tier, intervals in sorted_by_tier.items()
            if tier in present and intervals != sorted(present[tier], key=_by_time)
        }
        if changed:
            elements = {element.get("TIER_ID"): element for element in self._root.iterfind("TIER")}
            set_intervals(self._root, self.path, spans, [(elements[tier], each) for tier, each in changed.items()])
            self._content = None
        missing = [tier for tier in sorted_by_tier if tier not in present]
        if missing:
            self.add_tiers([interval for tier in missing for interval in sorted_by_tier[tier]], tiers=missing)

    def content(self) -> bytes:
        """Return the document's bytes; those that it was made of if nothing was changed."""
        return elan_tree.serialise(self._root, self._line_end) if self._content is None else self._content

    def save(self, path: Path) -> None:
        """Write the document, whole or not at all; byte for byte the file it was if nothing was changed.

        Where the file that was opened is changed for the first time, a copy of it stays as ``NAME.eaf.bak``.

        Raises
        ------
        InputError
            If it cannot be written there.
        """
        if self._content is None and self._opened and path.is_file() and path.samefile(self.path):
            keep_original(path)
        write_atomically(path, self.content())

    def _media(self, element: Any) -> Media:
        origin = element.get("TIME_ORIGIN", "0")
        if not re.fullmatch("-?[0-9]{1,12}", origin):
            raise InputError(
                f"{self.path}, line {element.sourceline}: TIME_ORIGIN is {origin!r}, not whole milliseconds; "
                "synchronise the media again in ELAN"
            )
        relative = element.get("RELATIVE_MEDIA_URL")
        return Media(element.get("MEDIA_URL", ""), relative, element.get("MIME_TYPE", ""), int(origin) / 1000)

    def _by_tier(self, intervals: Iterable[Interval], tiers: Iterable[str]) -> dict[str, list[Interval]]:
        """Return intervals by tier, in order, having checked that ELAN can hold them and the file be read."""
        by_tier: dict[str, list[Interval]] = {elan_tree.xml_text(name): [] for name in tiers}
        for interval in sorted(intervals, key=_by_time):
            by_tier.setdefault(elan_tree.xml_text(interval.tier), []).append(interval)
        for name, members in by_tier.items():
            check_times(self.path, name, members)
        refuse_twins(self._root, self.path, by_tier)
        self.annotations()  # refuses what could not be read again
        return by_tier


def _by_time(interval: Interval) -> tuple[float, float]:
    return interval.begin, interval.end
