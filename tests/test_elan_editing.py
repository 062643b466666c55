"""Single annotations edited in place: nothing else in the file changes, and the rest keeps its identity."""

import random
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from lxml import etree

from store.annotations import EafDocument, Interval, read, write
from store.errors import InputError

HEAD = (
    '<ANNOTATION_DOCUMENT AUTHOR="" DATE="2020-01-01T00:00:00+00:00" FORMAT="3.0" VERSION="3.0">\n'
    '    <HEADER MEDIA_FILE="" TIME_UNITS="milliseconds"/>\n'
)
TYPES = """\
    <LINGUISTIC_TYPE CONTROLLED_VOCABULARY_REF="hands" LINGUISTIC_TYPE_ID="t" TIME_ALIGNABLE="true"/>
    <LINGUISTIC_TYPE CONSTRAINTS="Included_In" LINGUISTIC_TYPE_ID="within" TIME_ALIGNABLE="true"/>
    <LINGUISTIC_TYPE CONSTRAINTS="Symbolic_Association" LINGUISTIC_TYPE_ID="note" TIME_ALIGNABLE="false"/>
    <LANGUAGE LANG_ID="und"/>
    <CONSTRAINT STEREOTYPE="Symbolic_Association"/>
    <CONSTRAINT STEREOTYPE="Included_In"/>
    <CONTROLLED_VOCABULARY CV_ID="hands">
        <CV_ENTRY_ML CVE_ID="cl"><CVE_VALUE LANG_REF="und">left</CVE_VALUE></CV_ENTRY_ML>
        <CV_ENTRY_ML CVE_ID="cr"><CVE_VALUE LANG_REF="und">right</CVE_VALUE></CV_ENTRY_ML>
    </CONTROLLED_VOCABULARY>
</ANNOTATION_DOCUMENT>
"""
# Five annotations: two share slot s2, one of them ends at an open slot shared with the third.
DOCUMENT = (
    HEAD
    + """\
    <TIME_ORDER>
        <TIME_SLOT TIME_SLOT_ID="s1" TIME_VALUE="1000"/>
        <TIME_SLOT TIME_SLOT_ID="s2" TIME_VALUE="2000"/>
        <TIME_SLOT TIME_SLOT_ID="s3"/>
        <TIME_SLOT TIME_SLOT_ID="s4" TIME_VALUE="4000"/>
        <TIME_SLOT TIME_SLOT_ID="s5" TIME_VALUE="6000"/>
        <TIME_SLOT TIME_SLOT_ID="s6" TIME_VALUE="7000"/>
    </TIME_ORDER>
    <TIER LINGUISTIC_TYPE_REF="t" PARTICIPANT="me" TIER_ID="hand">
        <ANNOTATION>
            <ALIGNABLE_ANNOTATION ANNOTATION_ID="a1" CVE_REF="cl" TIME_SLOT_REF1="s1" TIME_SLOT_REF2="s2">
                <ANNOTATION_VALUE>left</ANNOTATION_VALUE>
            </ALIGNABLE_ANNOTATION>
        </ANNOTATION>
        <!-- kept -->
        <ANNOTATION>
            <ALIGNABLE_ANNOTATION ANNOTATION_ID="a2" EXT_REF="x1" TIME_SLOT_REF1="s2" TIME_SLOT_REF2="s3">
                <ANNOTATION_VALUE>right</ANNOTATION_VALUE>
            </ALIGNABLE_ANNOTATION>
        </ANNOTATION>
        <ANNOTATION>
            <ALIGNABLE_ANNOTATION ANNOTATION_ID="a3" TIME_SLOT_REF1="s3" TIME_SLOT_REF2="s4">
                <ANNOTATION_VALUE>left</ANNOTATION_VALUE>
            </ALIGNABLE_ANNOTATION>
        </ANNOTATION>
        <ANNOTATION>
            <ALIGNABLE_ANNOTATION ANNOTATION_ID="a4" TIME_SLOT_REF1="s5" TIME_SLOT_REF2="s6">
                <ANNOTATION_VALUE>right</ANNOTATION_VALUE>
            </ALIGNABLE_ANNOTATION>
        </ANNOTATION>
    </TIER>
    <TIER LINGUISTIC_TYPE_REF="note" PARENT_REF="hand" TIER_ID="notes">
        <ANNOTATION>
            <REF_ANNOTATION ANNOTATION_ID="a5" ANNOTATION_REF="a4">
                <ANNOTATION_VALUE>look again</ANNOTATION_VALUE>
            </REF_ANNOTATION>
        </ANNOTATION>
    </TIER>
    <TIER LINGUISTIC_TYPE_REF="within" PARENT_REF="hand" TIER_ID="fingers"/>
"""
    + TYPES
)


@pytest.fixture
def document(tmp_path: Path) -> EafDocument:
    path = tmp_path / "a.eaf"
    path.write_text(DOCUMENT)
    return EafDocument.open(path)


def hand(document: EafDocument) -> list[Interval]:
    return [each for each in document.annotations().intervals if each.tier == "hand"]


def saved(document: EafDocument) -> str:
    document.save(document.path)
    return document.path.read_text()


def changed(text: str) -> list[str]:
    """Return the lines that were added, and those that were taken away."""
    before, after = DOCUMENT.splitlines(), text.splitlines()[1:]
    gone = [f"- {line.strip()}" for line in before if line not in after]
    return gone + [f"+ {line.strip()}" for line in after if line not in before]


ACCOUNT = [
    '- <HEADER MEDIA_FILE="" TIME_UNITS="milliseconds"/>',
    '+ <HEADER MEDIA_FILE="" TIME_UNITS="milliseconds">',
    '+ <PROPERTY NAME="lastUsedAnnotationId">5</PROPERTY>',
    "+ </HEADER>",
]


def difference(text: str) -> list[str]:
    return [line for line in changed(text) if line not in ACCOUNT]


def test_the_same_changes_nothing(document: EafDocument) -> None:
    content = document.path.read_bytes()
    document.set_intervals("hand", hand(document))
    document.save(document.path)
    assert document.path.read_bytes() == content


def test_relabel(document: EafDocument) -> None:
    """The open slot stays open, and the vocabulary's entry follows the value."""
    first, *others = hand(document)
    document.set_intervals("hand", [Interval(first.begin, first.end, "hand", "right"), *others])
    (line,) = [each for each in saved(document).splitlines() if '"a1"' in each]
    assert (
        line.strip() == '<ALIGNABLE_ANNOTATION ANNOTATION_ID="a1" CVE_REF="cr" TIME_SLOT_REF1="s1" TIME_SLOT_REF2="s2">'
    )
    assert 'TIME_SLOT_ID="s3"/>' in document.path.read_text()
    first, *others = hand(document)
    document.set_intervals("hand", [Interval(first.begin, first.end, "hand", "neither"), *others])
    (line,) = [each for each in saved(document).splitlines() if '"a1"' in each]
    assert "CVE_REF" not in line


def test_move_takes_along_what_depends(document: EafDocument) -> None:
    *others, last = hand(document)
    document.set_intervals("hand", [*others, Interval(5.5, 6.75, "hand", last.value)])
    assert difference(saved(document)) == [
        '- <TIME_SLOT TIME_SLOT_ID="s3"/>',
        '- <TIME_SLOT TIME_SLOT_ID="s5" TIME_VALUE="6000"/>',
        '- <TIME_SLOT TIME_SLOT_ID="s6" TIME_VALUE="7000"/>',
        '+ <TIME_SLOT TIME_SLOT_ID="s3" TIME_VALUE="3000"/>',
        '+ <TIME_SLOT TIME_SLOT_ID="s5" TIME_VALUE="5500"/>',
        '+ <TIME_SLOT TIME_SLOT_ID="s6" TIME_VALUE="6750"/>',
    ]
    notes = [each for each in read(document.path).intervals if each.tier == "notes"]
    assert notes == [Interval(5.5, 6.75, "notes", "look again")]


def test_a_border_that_two_share_is_moved_for_one(document: EafDocument) -> None:
    first, second, *others = hand(document)
    document.set_intervals("hand", [Interval(1, 1.5, "hand", first.value), second, *others])
    saved(document)
    assert hand(document) == [Interval(1, 1.5, "hand", "left"), second, *others]
    root = etree.parse(str(document.path))
    assert root.xpath("//ALIGNABLE_ANNOTATION/@ANNOTATION_ID") == ["a1", "a2", "a3", "a4"]
    assert root.xpath("string(//*[@ANNOTATION_ID='a2']/@TIME_SLOT_REF1)") == "s2"
    times = [int(each) for each in root.xpath("//TIME_SLOT/@TIME_VALUE")]
    assert times == sorted(times)


def test_add_and_delete(document: EafDocument) -> None:
    first, second, third, last = hand(document)
    new = Interval(4.5, 5, "hand", "left")
    document.set_intervals("hand", [first, third, new, last])
    text = saved(document)
    assert hand(document) == [first, third, new, last]
    root = etree.fromstring(text.encode())
    assert root.xpath("//ALIGNABLE_ANNOTATION/@ANNOTATION_ID") == ["a1", "a3", "a6", "a4"]
    assert root.xpath("string(//*[@ANNOTATION_ID='a6']/@CVE_REF)") == "cl"
    assert "<!-- kept -->" in text
    assert {"s2", "s3"} <= set(root.xpath("//TIME_SLOT/@TIME_SLOT_ID"))  # others need them
    document.set_intervals("hand", [second, last])
    document.set_intervals("hand", [last])
    assert etree.fromstring(saved(document).encode()).xpath("//TIME_SLOT/@TIME_SLOT_ID") == ["s5", "s6"]


def test_what_others_need_is_not_removed(document: EafDocument) -> None:
    content = document.path.read_bytes()
    with pytest.raises(
        InputError, match=r"a\.eaf: an annotation of tier 'notes' depends on the annotation 'right' .* 6"
    ):
        document.set_intervals("hand", hand(document)[:3])
    with pytest.raises(InputError, match="tier 'notes' depends on another"):
        document.set_intervals("notes", [])
    with pytest.raises(InputError, match=r"cannot hold 4\.500 to 5\.000 s, which lies in no annotation of 'hand'"):
        document.set_intervals("fingers", [Interval(4.5, 5, "fingers")])
    with pytest.raises(InputError, match="overlap"):
        document.set_intervals("hand", [Interval(0, 2, "hand"), Interval(1, 3, "hand")])
    document.save(document.path)
    assert document.path.read_bytes() == content


def test_inside_the_parent(document: EafDocument) -> None:
    inner = [Interval(1.25, 1.75, "fingers", "x"), Interval(6, 7, "fingers", "y")]
    document.set_intervals("fingers", inner)
    assert [each for each in document.annotations().intervals if each.tier == "fingers"] == inner
    with pytest.raises(InputError, match="'fingers' stands inside the annotation 'left'"):
        document.set_intervals("hand", [Interval(1, 1.2, "hand", "left"), *hand(document)[1:]])


def test_two_tiers_of_one_name_are_read_but_not_edited(tmp_path: Path) -> None:
    """ELAN makes none, but scripts do: an edit would put what is on both of them on one."""
    path = tmp_path / "a.eaf"
    for tier in ("hand", "nod [chironomy]"):
        write(path, [Interval(1, 2, tier, "x", 0.5), Interval(3, 4, "other", "y", 0.5)])
        root = etree.parse(str(path))
        root.xpath("//TIER[@TIER_ID='other']")[0].set("TIER_ID", tier)
        root.write(str(path))
        document = EafDocument.open(path)
        assert document.annotations().tiers == (tier,)
        for edit in (
            lambda: document.set_intervals(tier, [Interval(1, 2.5, tier, "x"), Interval(3, 4, tier, "y")]),  # noqa: B023
            lambda: document.replace_predicted([Interval(1, 2, "nod [chironomy]")], "me"),  # noqa: B023
        )[: 1 + tier.startswith("nod")]:
            with pytest.raises(InputError, match=re.escape(f"a.eaf: there are 2 tiers {tier!r}; rename one in ELAN")):
                edit()
        document.set_intervals("new", [Interval(1, 2, "new")])
        assert len(document.annotations().intervals) == 3


def test_a_new_tier(document: EafDocument) -> None:
    document.set_intervals("annotated", [Interval(0, 10, "annotated")])
    saved(document)
    assert read(document.path).tiers == ("hand", "notes", "fingers", "annotated")


def test_predictions_keep_their_confidence(tmp_path: Path) -> None:
    path, tier = tmp_path / "a.eaf", "nod [chironomy]"
    three = [Interval(n, n + 1, tier, "nod", confidence) for n, confidence in ((0, 0.5), (2, 0.75), (4, 0.876))]
    write(path, three)
    document = EafDocument.open(path)
    assert [each.confidence for each in document.annotations().intervals] == [0.5, 0.75, 0.88]
    by_hand = Interval(8, 9, tier, "nod")
    document.set_intervals(tier, [Interval(0.25, 1, tier, "nod", 0.5), Interval(4, 5, tier, "nod", 0.88), by_hand])
    document.save(path)
    file = read(path)
    assert file.tiers == (tier,)
    assert [(each.begin, each.confidence) for each in file.intervals] == [(0.25, 0.5), (4, 0.88), (8, None)]
    root = etree.parse(str(path))
    assert len(root.xpath("//REF_ANNOTATION")) == 2
    assert root.xpath("count(//TIME_SLOT)") == 6


BORDERS = st.lists(st.integers(0, 20000), max_size=12)


@st.composite
def tier_contents(draw) -> list[Interval]:
    bounds = sorted(draw(BORDERS))
    pairs = zip(bounds[::2], bounds[1::2], strict=False)
    return [Interval(begin / 1000, end / 1000, "t", draw(st.sampled_from("abc"))) for begin, end in pairs]


@settings(max_examples=100)
@given(before=tier_contents(), after=tier_contents())
def test_any_content_becomes_any_other(tmp_path_factory, before: list[Interval], after: list[Interval]) -> None:
    path = tmp_path_factory.getbasetemp() / "edited.eaf"
    other = Interval(0, 5, "other", "untouched")
    write(path, [*before, other], tiers=["t"])
    document = EafDocument.open(path)
    ids = {name(each): key for each, key in elements(path)}
    document.set_intervals("t", after)
    document.save(path)
    file = read(path)
    assert sorted(each for each in file.intervals if each.tier == "t") == sorted(after)  # several may last no time
    assert other in file.intervals
    kept = {name(each): key for each, key in elements(path)}
    if len(before) == len(set(map(name, before))) and len(after) == len(set(map(name, after))):
        assert all(kept[key] == ids[key] for key in kept.keys() & ids.keys())
    times = [int(each) for each in etree.parse(str(path)).xpath("//TIME_SLOT/@TIME_VALUE")]
    assert times == sorted(times)
    assert len(times) == 2 * len(file.intervals)
    EafDocument.open(path).set_intervals("t", before)


def name(interval: Interval) -> tuple[float, float, str]:
    return interval.begin, interval.end, interval.value


def elements(path: Path) -> list[tuple[Interval, str]]:
    root = etree.parse(str(path))
    tier = root.xpath("//TIER[@TIER_ID='t']")[0]
    ids = [each.get("ANNOTATION_ID") for each in tier.iterfind("ANNOTATION/ALIGNABLE_ANNOTATION")]
    intervals = [each for each in read(path).intervals if each.tier == "t"]
    return list(zip(intervals, ids, strict=True))


# Damage: one thing of a file like ELAN's is missing, or has another name or value


def damages() -> Iterator[tuple[Any, str]]:
    """Yield documents, each with one element or attribute that is gone, misnamed or the value of another; and which."""
    chance = random.Random(1)
    document = DOCUMENT.replace(
        "    <LINGUISTIC_TYPE",
        """\
    <TIER LINGUISTIC_TYPE_REF="p" TIER_ID="nod [chironomy]"><ANNOTATION><ALIGNABLE_ANNOTATION ANNOTATION_ID="a6" \
TIME_SLOT_REF1="s1" TIME_SLOT_REF2="s4"><ANNOTATION_VALUE>nod</ANNOTATION_VALUE></ALIGNABLE_ANNOTATION></ANNOTATION>
    </TIER><TIER LINGUISTIC_TYPE_REF="note" PARENT_REF="nod [chironomy]" TIER_ID="nod [chironomy] confidence">
    <ANNOTATION><REF_ANNOTATION ANNOTATION_ID="a7" ANNOTATION_REF="a6"><ANNOTATION_VALUE>0.5</ANNOTATION_VALUE>
    </REF_ANNOTATION></ANNOTATION></TIER>
    <LINGUISTIC_TYPE LINGUISTIC_TYPE_ID="p" TIME_ALIGNABLE="true"/>
    <LINGUISTIC_TYPE""",
        1,
    )
    values = sorted({value for element in etree.fromstring(document).iter("*") for value in element.attrib.values()})
    for at, element in enumerate(etree.fromstring(document).iter("*")):
        for name in (None, *element.attrib):
            for how in ("gone", "misnamed", "other"):
                root = etree.fromstring(document)
                chosen = list(root.iter("*"))[at]
                if name is None and how == "gone" and at:
                    chosen.getparent().remove(chosen)
                elif name is None and how == "misnamed":
                    chosen.tag = "OTHER"
                elif name is None:
                    chosen.addnext(etree.fromstring(etree.tostring(chosen, with_tail=False)) if at else etree.Comment())
                elif how == "other":
                    chosen.set(name, chance.choice(values))
                else:
                    value = chosen.attrib.pop(name)
                    chosen.attrib.update({"OTHER": value} if how == "misnamed" else {})
                yield root, f"{element.tag} {element.get('ANNOTATION_ID') or element.get('TIER_ID')} {name} {how}"


EDITS: list[Any] = [
    lambda document: document.set_tiers({"hand": [Interval(1.25, 1.5, "hand", "left"), Interval(6, 7, "hand", "x")]}),
    lambda document: document.set_tiers({"hand": hand(document)[1:], "fingers": [Interval(1.5, 1.75, "fingers", "x")]}),
    lambda document: document.set_tiers({"hand": [], "notes": [], "nod [chironomy]": []}),
    lambda document: document.set_tiers({"new": [Interval(1, 2, "new")], "OTHER": [Interval(1, 2, "OTHER")]}),
    lambda document: document.replace_predicted([Interval(2, 3, "nod [chironomy]", "nod", 0.5)], "me"),
    lambda document: document.replace_predicted([Interval(2, 3, "bow [chironomy]", "bow", 0.5)], "me"),
]


def test_damage_is_read_and_edited_or_refused(tmp_path: Path) -> None:
    """Never a traceback; and what was edited can be read again."""
    path, failed, edited = tmp_path / "a.eaf", [], 0
    for root, what in damages():
        content = etree.tostring(root)
        for number, edit in enumerate([EafDocument.annotations, *EDITS]):
            try:
                document = EafDocument.from_bytes(content, path)
                edit(document)
            except InputError as error:
                assert "\n" not in str(error)  # noqa: PT017
                continue
            except Exception as error:
                failed.append(f"{what}, edit {number}: {error!r}")
                continue
            edited += 1
            EafDocument.from_bytes(document.content(), path).annotations()
    assert not failed, chr(10).join(failed)
    assert edited > 500


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ('<REF_ANNOTATION ANNOTATION_ID="a5"', '<NOTE ANNOTATION_ID="a5"', "line 36: NOTE is no annotation"),
        (' TIER_ID="notes"', "", r"a tier has no name \(TIER_ID\)"),
    ],
)
def test_damage_is_named(tmp_path: Path, old: str, new: str, message: str) -> None:
    text = DOCUMENT.replace(old, new).replace("</REF_ANNOTATION>", "</NOTE>" if "NOTE" in new else "</REF_ANNOTATION>")
    (tmp_path / "a.eaf").write_text(text)
    with pytest.raises(InputError, match=message):
        read(tmp_path / "a.eaf")
