"""Labelled ELAN files as others see them: pympi and the schemas; real files, and files as hostile as they may be."""

import warnings
from itertools import pairwise
from pathlib import Path

import pympi
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from lxml import etree

from store.annotations import EafDocument, Interval, is_confidence, is_predicted, read
from store.errors import InputError

GESTURES = ("nod", "upbeat in head")
NEW = [
    Interval(0.5, 1.25, "nod [chironomy]", "nod", 0.87),
    Interval(2, 2, "nod [chironomy]", "nod", 0.4),
    Interval(0.5, 900, "upbeat in head [chironomy]", "upbeat in head", None),
]


def as_pympi_reads(path: Path) -> dict[str, list]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it knows no version but 2.8
        file = pympi.Eaf(str(path))
    return {tier: sorted(file.get_annotation_data_for_tier(tier), key=str) for tier in file.get_tier_names()}


def labelled(source: Path, out: Path) -> None:
    document = EafDocument.open(source)
    tiers = [f"{gesture} [chironomy]" for gesture in GESTURES]
    document.replace_predicted(NEW, "chironomy, model m", tiers=tiers)
    document.save(out)


def check_new(read_by_pympi: dict[str, list]) -> None:
    assert read_by_pympi["nod [chironomy]"] == [(2000, 2000, "nod"), (500, 1250, "nod")]
    assert read_by_pympi["upbeat in head [chironomy]"] == [(500, 900000, "upbeat in head")]
    confidences = {each[:3] for each in read_by_pympi["nod [chironomy] confidence"]}
    assert confidences == {(500, 1250, "0.87"), (2000, 2000, "0.40")}


def test_pympi_reads_the_same_intervals(elan_sample: Path, tmp_path: Path) -> None:
    labelled(elan_sample, tmp_path / "out.eaf")
    labelled(tmp_path / "out.eaf", tmp_path / "again.eaf")
    before, after = as_pympi_reads(elan_sample), as_pympi_reads(tmp_path / "again.eaf")
    assert {tier: after[tier] for tier in before} == before
    assert after.keys() - before.keys() == {
        *(f"{gesture} [chironomy]" for gesture in GESTURES),
        "nod [chironomy] confidence",
    }
    check_new(after)
    aligned = {tier: spans for tier, spans in before.items() if spans and len(spans[0]) == 3 and None not in spans[0]}
    ours = read(elan_sample).intervals
    for tier, spans in aligned.items():
        found = [(round(each.begin * 1000), round(each.end * 1000), each.value) for each in ours if each.tier == tier]
        if all(None not in span for span in spans):
            assert sorted(found, key=str) == spans


# Files built at random

text = st.text(st.characters(exclude_categories=["Cs", "Cc"], exclude_characters="\ufffe\uffff"), max_size=8)
names = text | st.sampled_from(
    [
        *(
            "",
            " ",
            "nod",
            "nod [chironomy]",
            "nod [chironomy] confidence",
            "wave [chironomy]",
            "annotated",
            "a1",
            "ts1",
        ),
        *("chironomy", "<&>\"'", "a\u00a0[chironomy]", "\u202egnidaer", "e\u0301", "\u00e9"),
    ]
)
HEAD = (
    '<ANNOTATION_DOCUMENT AUTHOR="" DATE="2020-01-01T00:00:00+00:00" FORMAT="3.0" VERSION="3.0" '
    'xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" '
    'xsi:noNamespaceSchemaLocation="http://www.mpi.nl/tools/elan/EAFv3.0.xsd"/>'
)


def add(parent, tag: str, **attributes: str):
    return etree.SubElement(parent, tag, attributes)


class Built:
    """An ELAN file that grows: annotations get ids and time slots of their own."""

    def __init__(self, draw) -> None:
        self.draw = draw
        self.root = etree.fromstring(HEAD)
        header = add(self.root, "HEADER", TIME_UNITS="milliseconds", MEDIA_FILE="")
        if draw(st.booleans()):
            add(header, "PROPERTY", NAME="lastUsedAnnotationId").text = str(draw(st.integers(0, 10**6)))
        self.order = add(self.root, "TIME_ORDER")
        self.times: list[int | None] = []
        self.annotations = 0

    def slot(self, time: int | None) -> str:
        self.times.append(time)
        return f"ts{len(self.times)}"

    def annotation(self, tier, tag: str, **given: str) -> str:
        self.annotations += 1
        name = f"a{self.annotations}"
        element = add(add(tier, "ANNOTATION"), tag, ANNOTATION_ID=name, **given)
        add(element, "ANNOTATION_VALUE").text = self.draw(text)
        return name

    def aligned(self, tier, begin: str, end: str) -> str:
        return self.annotation(tier, "ALIGNABLE_ANNOTATION", TIME_SLOT_REF1=begin, TIME_SLOT_REF2=end)

    def tier(self, name: str) -> list[str]:
        """Add a tier; return its annotations' ids."""
        tier = add(self.root, "TIER", TIER_ID=name, LINGUISTIC_TYPE_REF="t")
        if self.draw(st.booleans()):  # each with times of its own: they may overlap, or last no time
            spans = self.draw(st.lists(st.tuples(st.integers(0, 9999), st.integers(0, 3000)), max_size=4))
            return [self.aligned(tier, self.slot(begin), self.slot(begin + length)) for begin, length in spans]
        begin = self.draw(st.integers(0, 5000))  # a chain with open times within
        bounds = [begin, *self.draw(st.lists(st.none(), max_size=4)), begin + self.draw(st.integers(0, 5000))]
        return [self.aligned(tier, *pair) for pair in pairwise([self.slot(time) for time in bounds])]

    def notes(self, name: str, parent: str, ids: list[str]) -> None:
        tier = add(self.root, "TIER", TIER_ID=name, LINGUISTIC_TYPE_REF="n", PARENT_REF=parent)
        for each in self.draw(st.lists(st.sampled_from(ids), unique=True)) if ids else ():
            self.annotation(tier, "REF_ANNOTATION", ANNOTATION_REF=each)

    def finished(self) -> bytes:
        numbered = sorted(enumerate(self.times, 1), key=lambda each: -1 if each[1] is None else each[1])
        for number, time in numbered:
            value = {} if time is None else {"TIME_VALUE": str(time)}
            add(self.order, "TIME_SLOT", TIME_SLOT_ID=f"ts{number}", **value)
        alone, dependent = (
            {"TIME_ALIGNABLE": "true"},
            {"TIME_ALIGNABLE": "false", "CONSTRAINTS": "Symbolic_Association"},
        )
        add(self.root, "LINGUISTIC_TYPE", LINGUISTIC_TYPE_ID="t", **alone)
        add(self.root, "LINGUISTIC_TYPE", LINGUISTIC_TYPE_ID="n", **dependent)
        if self.draw(st.booleans()):
            add(self.root, "LINGUISTIC_TYPE", LINGUISTIC_TYPE_ID="chironomy", TIME_ALIGNABLE="false")
        add(self.root, "CONSTRAINT", STEREOTYPE="Symbolic_Association", DESCRIPTION="")
        if self.draw(st.booleans()):
            add(self.root, "CONTROLLED_VOCABULARY", CV_ID="chironomy")
        return etree.tostring(self.root, encoding="UTF-8", xml_declaration=True)


@st.composite
def documents(draw) -> bytes:
    """ELAN files, valid by the schema, whose annotations overlap, last no time, or have open times.

    Tiers are called as ours are, or as ids and types are; some have dependent tiers; types and vocabularies of the
    user's are called as ours would be.
    """
    built = Built(draw)
    taken = draw(st.lists(names, unique=True, max_size=5))
    for name in taken:
        ids = built.tier(name)
        if draw(st.booleans()) and not is_predicted(name) and not is_confidence(name) and f"{name} notes" not in taken:
            built.notes(f"{name} notes", name, ids)
    return built.finished()


def theirs(path: Path) -> list[bytes]:
    """Return what is not ours, canonically: tiers with all that is on them, types, vocabularies, properties."""
    root = etree.parse(str(path)).getroot()
    tiers = [each for each in root.findall("TIER") if not is_predicted(each.get("TIER_ID"))]
    tiers = [each for each in tiers if not is_confidence(each.get("TIER_ID"))]
    types = [each for each in root.findall("LINGUISTIC_TYPE") if each.get("LINGUISTIC_TYPE_ID") in ("t", "n")]
    return [etree.tostring(each, method="c14n", with_tail=False) for each in (*tiers, *types)]


@settings(max_examples=120)
@given(content=documents())
def test_hostile_files_keep_everything(tmp_path_factory, shared_data: Path, content: bytes) -> None:
    folder = tmp_path_factory.getbasetemp()
    source, out = folder / "hostile.eaf", folder / "labelled.eaf"
    schema = etree.XMLSchema(etree.parse(str(shared_data / "elan" / "EAFv3.0.xsd")))
    source.write_bytes(content)
    schema.assertValid(etree.parse(str(source)))
    EafDocument.open(source).save(out)
    assert out.read_bytes() == content
    if "nod [chironomy] confidence" in read(source).tiers:  # a name that is needed, and no confidence
        with pytest.raises(InputError, match=r"there is a tier 'nod \[chironomy\] confidence' already"):
            labelled(source, out)
        return
    labelled(source, out)
    schema.assertValid(etree.parse(str(out)))
    assert theirs(source) == theirs(out)
    before, after = as_pympi_reads(source), as_pympi_reads(out)
    others = {tier for tier in before if not is_predicted(tier) and not is_confidence(tier)}
    assert {tier: after[tier] for tier in others} == {tier: before[tier] for tier in others}
    check_new(after)
    human = [each for each in read(source).intervals if not is_predicted(each.tier)]
    assert [each for each in read(out).intervals if not is_predicted(each.tier)] == human
    slots = etree.parse(str(out)).xpath("//TIME_SLOT/@TIME_SLOT_ID")
    assert len(slots) == len(set(slots))
    used = set(etree.parse(str(out)).xpath("//@TIME_SLOT_REF1 | //@TIME_SLOT_REF2"))
    assert used <= set(slots)
    labelled(out, out)
    assert as_pympi_reads(out) == after


@pytest.mark.parametrize("version", ["2.8", "3.0"])
def test_a_new_file_is_read_by_pympi(tmp_path: Path, version: str, shared_data: Path) -> None:
    document = EafDocument.new(tmp_path / "new.eaf")
    document.replace_predicted(NEW, "chironomy")
    document.save(tmp_path / "new.eaf")
    etree.XMLSchema(etree.parse(str(shared_data / "elan" / f"EAFv{version}.xsd"))).assertValid(
        etree.parse(str(tmp_path / "new.eaf"))
    )
    check_new(as_pympi_reads(tmp_path / "new.eaf"))
