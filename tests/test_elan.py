"""ELAN files: read as ELAN shows them, and edited without touching anything else."""

import csv
import io
import os
from itertools import pairwise
from pathlib import Path
from urllib.parse import urlparse
from urllib.request import url2pathname

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from lxml import etree

from store.annotations import (
    EafDocument,
    Interval,
    Media,
    convert,
    find,
    media_for,
    predicted_tier,
    read,
    time_origin,
    write,
)
from store.errors import InputError

PREDICTIONS = [
    Interval(1.0, 2.5, "Nodding [chironomy]", "Nodding", 0.9),
    Interval(0.2, 0.84, "Nodding [chironomy]", "Nodding", 0.6),
    Interval(0.5, 3.0, "Vibrato [chironomy]", "Vibrato", 0.7),
]


@pytest.fixture(scope="module")
def schemas(shared_data):
    return {
        version: etree.XMLSchema(etree.parse(str(shared_data / "elan" / f"EAFv{version}.xsd")))
        for version in ("2.8", "3.0")
    }


@pytest.fixture
def schema(schemas):
    return schemas["3.0"]


def minimal(slots: str = "", tiers: str = "", header: str = "", prolog: str = "") -> str:
    return (
        f'<?xml version="1.0" encoding="UTF-8"?>\n{prolog}'
        '<ANNOTATION_DOCUMENT AUTHOR="" DATE="2020-01-01T00:00:00+00:00" FORMAT="3.0" VERSION="3.0">'
        f'<HEADER MEDIA_FILE="" TIME_UNITS="milliseconds">{header}</HEADER>'
        f"<TIME_ORDER>{slots}</TIME_ORDER>{tiers}"
        '<LINGUISTIC_TYPE LINGUISTIC_TYPE_ID="t" TIME_ALIGNABLE="true"/>'
        "</ANNOTATION_DOCUMENT>\n"
    )


def slot(name: str, value: int | str | None) -> str:
    return f'<TIME_SLOT TIME_SLOT_ID="{name}"' + ("/>" if value is None else f' TIME_VALUE="{value}"/>')


def alignable(name: str, begin: str, end: str, value: str = "") -> str:
    return (
        f'<ANNOTATION><ALIGNABLE_ANNOTATION ANNOTATION_ID="{name}" TIME_SLOT_REF1="{begin}" '
        f'TIME_SLOT_REF2="{end}"><ANNOTATION_VALUE>{value}</ANNOTATION_VALUE></ALIGNABLE_ANNOTATION></ANNOTATION>'
    )


def reference(name: str, parent: str, previous: str | None = None) -> str:
    link = "" if previous is None else f' PREVIOUS_ANNOTATION="{previous}"'
    return (
        f'<ANNOTATION><REF_ANNOTATION ANNOTATION_ID="{name}" ANNOTATION_REF="{parent}"{link}>'
        f"<ANNOTATION_VALUE>{name}</ANNOTATION_VALUE></REF_ANNOTATION></ANNOTATION>"
    )


def tier(name: str, content: str, parent: str | None = None) -> str:
    above = "" if parent is None else f' PARENT_REF="{parent}"'
    return f'<TIER LINGUISTIC_TYPE_REF="t" TIER_ID="{name}"{above}>{content}</TIER>'


def spans(path: Path, name: str) -> list[tuple[str, float, float]]:
    return [(each.value, each.begin, each.end) for each in read(path).intervals if each.tier == name]


# Reading


def test_golden_export(shared_data):
    with (shared_data / "elan" / "golden-export.csv").open() as file:
        rows = [row for row in csv.reader(file) if row][1:]
    expected = [(int(begin) / 1000, int(end) / 1000, value) for begin, end, value in rows]
    assert len(expected) == 36
    golden = read(shared_data / "elan" / "golden.eaf")
    found = [each for each in golden.intervals if each.tier == "annot_gesture_right"]
    assert [(each.begin, each.end, each.value) for each in found] == expected
    assert golden.tiers == ("General_Comments", "annot_gesture_right")


def test_sample_reads(elan_sample):
    root = etree.parse(str(elan_sample))
    file = read(elan_sample)
    assert list(file.tiers) == root.xpath("//TIER/@TIER_ID")
    assert len(file.intervals) == root.xpath("count(//ANNOTATION)")
    assert sorted(each.value for each in file.intervals) == sorted(
        element.text or "" for element in root.xpath("//ANNOTATION_VALUE")
    )
    times = {each.get("TIME_SLOT_ID"): each.get("TIME_VALUE") for each in root.iter("TIME_SLOT")}
    stated = sorted(
        (int(times[each.get("TIME_SLOT_REF1")]), int(times[each.get("TIME_SLOT_REF2")]), each[0].text or "")
        for each in root.iter("ALIGNABLE_ANNOTATION")
        if times[each.get("TIME_SLOT_REF1")] and times[each.get("TIME_SLOT_REF2")]
    )
    read_times = {(round(each.begin * 1000), round(each.end * 1000), each.value) for each in file.intervals}
    assert set(stated) <= read_times


def test_open_slots_are_even(shared_data):
    """Slots ts4 to ts11 of the sample stand, without a value, between 0 and 3000 ms: thirds of a second."""
    found = spans(shared_data / "elan" / "tla-example.eaf", "token-ts")[:9]
    assert [value for value, _, _ in found[:3]] == ["The", "server", "failed"]
    bounds = [0.0, 0.333, 0.667, 1.0, 1.333, 1.667, 2.0, 2.333, 2.667, 3.0]
    assert [(begin, end) for _, begin, end in found] == list(pairwise(bounds))


def test_symbolic_subdivision_shares_the_parent(shared_data):
    """Ten words of a sentence from 0 to 3000 ms."""
    found = spans(shared_data / "elan" / "tla-example.eaf", "token")
    assert [value for value, _, _ in found] == (
        ["The", "server", "failed", "to", "fulfill", "an", "apparently", "valid", "request", "."]
    )
    assert [begin for _, begin, _ in found] == [0.0, 0.3, 0.6, 0.9, 1.2, 1.5, 1.8, 2.1, 2.4, 2.7]


def test_nested_subdivisions_and_order(tmp_path):
    """A child tier stands before its parent, words are stored out of order, letters refer to words."""
    path = tmp_path / "a.eaf"
    letters = tier("letters", reference("x", "w2") + reference("y", "w2", "x"), "words")
    words = tier("words", reference("w2", "s1", "w1") + reference("w1", "s1"), "sentence")
    sentence = tier("sentence", alignable("s1", "ts1", "ts2", "s"))
    path.write_text(minimal(slot("ts1", 1000) + slot("ts2", 2000), letters + words + sentence))
    assert spans(path, "words") == [("w1", 1.0, 1.5), ("w2", 1.5, 2.0)]
    assert spans(path, "letters") == [("x", 1.5, 1.75), ("y", 1.75, 2.0)]


def test_open_subdivision_of_open_subdivision(tmp_path):
    path = tmp_path / "a.eaf"
    slots = slot("ts1", 0) + slot("u1", None) + slot("u2", None) + slot("ts2", 1000)
    fine = tier("fine", alignable("c", "ts1", "u2") + alignable("d", "u2", "u1"), "coarse")
    coarse = tier("coarse", alignable("a", "ts1", "u1") + alignable("b", "u1", "ts2"))
    path.write_text(minimal(slots, fine + coarse))
    assert spans(path, "coarse") == [("", 0.0, 0.5), ("", 0.5, 1.0)]
    assert spans(path, "fine") == [("", 0.0, 0.25), ("", 0.25, 0.5)]


def test_time_origin(shared_data):
    file = read(shared_data / "elan" / "tla-example.eaf")
    assert [media.time_origin for media in file.media] == [5.0, 0.0, 0.0]
    assert time_origin(file, "example") == 5.0
    assert time_origin(file, "pear") == 0.0
    assert time_origin(file, "something else") == 5.0
    assert next(interval.begin for interval in file.intervals if interval.tier == "sentence") == 0.0


# Editing


def test_saved_unchanged_is_identical(elan_sample, tmp_path):
    path, out = elan_sample, tmp_path / elan_sample.name
    EafDocument.open(path).save(out)
    assert out.read_bytes() == path.read_bytes()
    convert(path, tmp_path / "converted.eaf")
    assert (tmp_path / "converted.eaf").read_bytes() == path.read_bytes()


def test_labelling_leaves_everything_in_place(elan_sample, schemas, tmp_path):
    path, out = elan_sample, tmp_path / elan_sample.name
    original = etree.parse(str(path))
    document = EafDocument.open(path)
    document.link_media(media_for(tmp_path / "performance.mp4", out))
    document.replace_predicted(PREDICTIONS, "chironomy", tiers=["Freeze [chironomy]"])
    document.save(out)

    labelled = etree.parse(str(out))
    for version, schema in schemas.items():
        assert schema.validate(labelled) or not schema.validate(original), (version, schema.error_log)
    sure = labelled.xpath("//TIER[contains(@TIER_ID, '[chironomy] confidence')]")
    tiers = [each for each in labelled.xpath("//TIER[contains(@TIER_ID, '[chironomy]')]") if each not in sure]
    assert [each.get("TIER_ID") for each in tiers] == (
        ["Freeze [chironomy]", "Nodding [chironomy]", "Vibrato [chironomy]"]
    )
    assert {each.get("ANNOTATOR") for each in tiers} == {"chironomy"}
    times = {each.get("TIME_SLOT_ID"): int(each.get("TIME_VALUE", -1)) for each in labelled.iter("TIME_SLOT")}
    assert [
        (times[each.get("TIME_SLOT_REF1")], times[each.get("TIME_SLOT_REF2")], each[0].text)
        for tier_element in tiers
        for each in tier_element.iter("ALIGNABLE_ANNOTATION")
    ] == [(200, 840, "Nodding"), (1000, 2500, "Nodding"), (500, 3000, "Vibrato")]
    known = [time for time in times.values() if time >= 0]
    assert known == sorted(known)
    used = {int(name[1:]) for name in labelled.xpath("//@ANNOTATION_ID")}
    assert labelled.xpath("string(//PROPERTY[@NAME='lastUsedAnnotationId'])") == str(max(used))
    assert len(used) == labelled.xpath("count(//ANNOTATION)")
    assert read(out).intervals[: len(read(path).intervals)] == read(path).intervals

    # Take our additions out again, with lxml alone: the original is what remains.
    ours = {ref for each in tiers for ref in each.xpath(".//@TIME_SLOT_REF1 | .//@TIME_SLOT_REF2")}
    added = [*tiers, *sure, *labelled.xpath("//*[starts-with(@LINGUISTIC_TYPE_ID, 'chironomy')]")]
    added += labelled.xpath("//CONTROLLED_VOCABULARY[@CV_ID='chironomy']")
    added += labelled.xpath("//LANGUAGE") if not original.xpath("//LANGUAGE") else []
    added += labelled.xpath("//MEDIA_DESCRIPTOR[contains(@MEDIA_URL, 'performance.mp4')]")
    added += [each for each in labelled.iter("TIME_SLOT") if each.get("TIME_SLOT_ID") in ours]
    for element in added:
        element.getparent().remove(element)
    for tree in (labelled, original):
        tree.xpath("//PROPERTY[@NAME='lastUsedAnnotationId']")[0].text = ""
    stripped = [
        etree.tostring(etree.fromstring(etree.tostring(tree), etree.XMLParser(remove_blank_text=True)), method="c14n")
        for tree in (labelled, original)
    ]
    assert stripped[0] == stripped[1]


def test_layout_survives_labelling_and_removal(elan_sample, tmp_path):
    """What is added and removed again leaves not even white space, but for a language and the account."""
    path, out = elan_sample, tmp_path / elan_sample.name
    document = EafDocument.open(path)
    document.replace_predicted([*PREDICTIONS, Interval(1e6, 1e6 + 1, "Freeze [chironomy]")], "chironomy")
    document.save(out)
    added = out.read_text().splitlines()
    assert "            <ALIGNABLE_ANNOTATION " in "\n".join(added)
    document.replace_predicted([], "chironomy")
    document.save(out)
    root = etree.fromstring(out.read_bytes())
    before = etree.fromstring(path.read_bytes())
    if before.find("LANGUAGE") is None:
        for each in root.findall("LANGUAGE"):
            root.remove(each)
    for each in (root, before):
        each.xpath("//PROPERTY[@NAME='lastUsedAnnotationId']")[0].text = ""
    assert etree.tostring(root, method="c14n") == etree.tostring(before, method="c14n")


def test_line_ends_stay(elan_sample, tmp_path):
    """A file whose lines end as on Windows keeps that, and says the same."""
    path, windows = tmp_path / "a.eaf", tmp_path / "windows.eaf"
    path.write_bytes(elan_sample.read_bytes())
    windows.write_bytes(elan_sample.read_bytes().replace(b"\n", b"\r\n"))
    for each in (path, windows):
        document = EafDocument.open(each)
        document.replace_predicted(PREDICTIONS, "chironomy")
        document.save(each)
    assert windows.read_bytes() == path.read_bytes().replace(b"\n", b"\r\n")
    assert read(windows).intervals == read(path).intervals


def test_labelling_again_replaces_only_ours(shared_data, tmp_path):
    out = tmp_path / "golden.eaf"
    document = EafDocument.open(shared_data / "elan" / "golden.eaf")
    document.replace_predicted(PREDICTIONS, "first")
    document.save(out)
    document = EafDocument.open(out)
    document.replace_predicted([Interval(7, 8, "Freeze [chironomy]", "Freeze")], "second")
    document.save(out)
    file = read(out)
    assert file.tiers == ("General_Comments", "annot_gesture_right", "Freeze [chironomy]")
    assert len(file.intervals) == 39 + 1
    root = etree.parse(str(out))
    assert root.xpath("count(//TIME_SLOT)") == 2 * 40
    assert root.xpath("count(//LINGUISTIC_TYPE[@LINGUISTIC_TYPE_ID='chironomy'])") == 1
    assert len(set(root.xpath("//@ANNOTATION_ID"))) == 40


def test_time_slot_shared_with_another_tier_stays(tmp_path):
    path = tmp_path / "a.eaf"
    slots = slot("ts1", 0) + slot("ts2", 100) + slot("ts3", 200)
    ours = tier("Nodding [chironomy]", alignable("a1", "ts1", "ts2"))
    path.write_text(minimal(slots, tier("mine", alignable("a2", "ts2", "ts3")) + ours))
    document = EafDocument.open(path)
    document.replace_predicted([], "chironomy")
    document.save(path)
    assert etree.parse(str(path)).xpath("//@TIME_SLOT_ID") == ["ts2", "ts3"]
    assert spans(path, "mine") == [("", 0.1, 0.2)]


@pytest.mark.parametrize(
    "dependent",
    [
        tier("notes", "", "Nodding [chironomy]"),
        tier("notes", reference("a9", "a1")),
        '<REF_LINK_SET LINK_SET_ID="l"><CROSS_REF_LINK REF_LINK_ID="c" REF1="a1" REF2="a2"/></REF_LINK_SET>',
    ],
)
def test_predicted_tier_with_dependents_is_kept(tmp_path, dependent):
    path = tmp_path / "a.eaf"
    ours = tier("Nodding [chironomy]", alignable("a1", "ts1", "ts2"))
    path.write_text(minimal(slot("ts1", 0) + slot("ts2", 1), ours + dependent))
    with pytest.raises(InputError, match=r"a\.eaf, line 2: something depends on"):
        EafDocument.open(path).replace_predicted([], "chironomy")


def test_names_that_clash(tmp_path, schema):
    """A user's type is called chironomy, ids are taken by other things, a slot id is the highest."""
    path = tmp_path / "a.eaf"
    content = minimal(slot("ts7", 5), tier("t", "")).replace(
        "</ANNOTATION_DOCUMENT>",
        '<LINGUISTIC_TYPE LINGUISTIC_TYPE_ID="chironomy" TIME_ALIGNABLE="false" CONSTRAINTS="Included_In"/>'
        '<LANGUAGE LANG_ID="a1"/><LANGUAGE LANG_ID="ts9"/><CONSTRAINT STEREOTYPE="Included_In"/>'
        "</ANNOTATION_DOCUMENT>",
    )
    path.write_text(content)
    document = EafDocument.open(path)
    document.replace_predicted(PREDICTIONS, "chironomy")
    document.save(path)
    root = etree.parse(str(path))
    assert schema.validate(root), schema.error_log
    types = root.xpath("//TIER[@ANNOTATOR]/@LINGUISTIC_TYPE_REF")
    assert set(types) == {"chironomy 2", "chironomy confidence"}
    assert root.xpath("string(//PROPERTY[@NAME='lastUsedAnnotationId'])") == "7"


def test_new_document(tmp_path, schema):
    out = tmp_path / "new.eaf"
    media = media_for(tmp_path / "video-1.mp4", out)
    human = [Interval(0.5, 1.0, "Nodding", "Nodding"), Interval(0.0, 0.0, "annotated", "")]
    write(out, [*human, PREDICTIONS[0]], media=[media], tiers=["Freeze", "Nodding"])
    assert schema.validate(etree.parse(str(out))), schema.error_log
    file = read(out)
    assert file.tiers == ("Freeze", "Nodding", "annotated", "Nodding [chironomy]")
    assert file.media == (media,)
    assert [(each.tier, each.begin, each.end) for each in file.intervals] == (
        [("Nodding", 0.5, 1.0), ("annotated", 0.0, 0.0), ("Nodding [chironomy]", 1.0, 2.5)]
    )
    content = out.read_text()
    assert content.startswith('<?xml version="1.0" encoding="UTF-8"?>\n<ANNOTATION_DOCUMENT ')
    assert '\n        <TIME_SLOT TIME_SLOT_ID="ts' in content
    assert content.endswith("\n</ANNOTATION_DOCUMENT>\n")


def test_existing_tier_and_overlap_are_refused(tmp_path):
    document = EafDocument.new(tmp_path / "x.eaf")
    document.add_tiers([Interval(0, 1, "A")])
    with pytest.raises(InputError, match=r"x\.eaf: there is a tier 'A' already"):
        document.add_tiers([], tiers=["A"])
    with pytest.raises(InputError, match=r"tier 'B' overlap at 0\.500 s"):
        document.add_tiers([Interval(0.5, 2, "B"), Interval(0, 1, "B")])
    with pytest.raises(InputError, match="ELAN cannot hold"):
        document.add_tiers([Interval(0, 5e6, "B")])
    with pytest.raises(ValueError, match="ends in ' \\[chironomy\\]'"):
        document.replace_predicted([Interval(0, 1, "B")], "chironomy")
    assert document.annotations().tiers == ("A",)


# Media


@pytest.mark.parametrize(
    ("video", "relative", "mime_type"),
    [
        ("video-1.mp4", "./video-1.mp4", "video/mp4"),
        ("../data/x.AVI", "../data/x.AVI", "video/*"),
        ("sub/é ü.mov", "./sub/é ü.mov", "video/quicktime"),
        ("some of it.mpg", "./some of it.mpg", "video/mpeg"),
        ("take.wav", "./take.wav", "audio/x-wav"),
        ("..x.webm", "./..x.webm", "video/*"),
    ],
)
def test_media_url_resolves(tmp_path, video, relative, mime_type):
    eaf = tmp_path / "annotations" / "a.eaf"
    path = eaf.parent / video
    path.parent.mkdir(parents=True, exist_ok=True)
    path.touch()
    media = media_for(path, eaf)
    assert (media.relative_url, media.mime_type, media.time_origin) == (relative, mime_type, 0.0)
    assert media.url.startswith("file:///")
    assert media.url.isascii()
    assert " " not in media.url
    assert Path(url2pathname(urlparse(media.url).path)).samefile(path)
    eaf.parent.mkdir(exist_ok=True)
    # ELAN resolves the relative URL by joining it to the folder as it stands.
    assert Path(os.path.normpath(eaf.parent / relative)).samefile(path)


def test_media_keeps_the_name_of_a_link(tmp_path):
    (tmp_path / "objects").mkdir()
    (tmp_path / "objects" / "0a1b").touch()
    (tmp_path / "video-1.mp4").symlink_to(tmp_path / "objects" / "0a1b")
    assert media_for(tmp_path / "video-1.mp4", tmp_path / "a.eaf").relative_url == "./video-1.mp4"


def test_media_is_linked_once(shared_data, tmp_path):
    document = EafDocument.open(shared_data / "elan" / "golden.eaf")
    document.link_media(Media("file:///elsewhere/VIDEO_GESTURES.mp4", None, "video/mp4"))
    assert len(document.annotations().media) == 3
    document.link_media(Media("file:///elsewhere/a%20b.mp4", "./a b.mp4", "video/mp4", 1.5))
    document.link_media(Media("file:///there/a b.mp4", "./a b.mp4", "video/mp4"))
    document.save(tmp_path / "out.eaf")
    media = read(tmp_path / "out.eaf").media
    assert len(media) == 4
    assert media[3] == Media("file:///elsewhere/a%20b.mp4", "./a b.mp4", "video/mp4", 1.5)


# Bad input

UP, DOWN = slot("ts1", 100) + slot("ts2", 200), slot("ts1", 200) + slot("ts2", 100)
BAD = {
    "empty": ("", "the file is empty"),
    "text": ("tier\t\t1.0\n", "not a readable ELAN file"),
    "encoding": (minimal().replace("UTF-8", "Klingon"), "not a readable ELAN file"),
    "nested": (minimal(tiers="<a>" * 9999 + "</a>" * 9999), "not a readable ELAN file"),
    "other XML": ("<TextGrid/>", "XML, but not an ELAN file"),
    "truncated": (minimal()[:-30], r"not a readable ELAN file .*; go back to a copy of it, or to .*\.eaf\.bak beside"),
    "no header": ("<ANNOTATION_DOCUMENT><TIME_ORDER/></ANNOTATION_DOCUMENT>", "without HEADER"),
    "no time order": ("<ANNOTATION_DOCUMENT><HEADER/></ANNOTATION_DOCUMENT>", "without TIME_ORDER"),
    "doctype": (minimal(prolog='<!DOCTYPE x [<!ENTITY e "v">]>\n'), "has a DOCTYPE"),
    "reversed": (
        minimal(DOWN, tier("t", alignable("a1", "ts1", "ts2", "v"))),
        "line 2: .*ends .100 ms. before",
    ),
    "no such slot": (
        minimal(UP, tier("t", alignable("a1", "ts1", "ts9"))),
        "time slot 'ts9', which is not there",
    ),
    "no slot": (
        minimal(UP, tier("t", alignable("a1", "ts1", "ts2").replace("TIME_SLOT_REF2", "X"))),
        "slot None",
    ),
    "slot twice": (minimal(slot("ts1", 1) + slot("ts1", 2)), "'ts1' is there twice"),
    "bad time": (minimal(slot("ts1", "1.5")), "'1.5', not whole milliseconds"),
    "negative time": (minimal(slot("ts1", "-5")), "'-5', not whole milliseconds"),
    "no time": (
        minimal(slot("ts1", None) + slot("ts2", None), tier("t", alignable("a1", "ts1", "ts2"))),
        "no annotation of tier 't' has a time",
    ),
    "id twice": (minimal(UP, tier("t", alignable("a1", "ts1", "ts2") * 2)), "'a1' is there twice"),
    "no parent": (minimal(UP, tier("t", reference("a1", "a7"))), "annotation 'a7', which has no time"),
    "circle": (minimal(UP, tier("t", reference("a1", "a2") + reference("a2", "a1"))), "which has no time"),
    "own ancestor": (minimal(UP, tier("t", "", "u") + tier("u", "", "t")), "its own ancestor"),
    "frames": (minimal().replace("milliseconds", "PAL-frames"), "in PAL-frames"),
    "time origin": (
        minimal(header='<MEDIA_DESCRIPTOR MEDIA_URL="file:///a.mp4" MIME_TYPE="" TIME_ORIGIN="soon"/>'),
        "TIME_ORIGIN is 'soon'",
    ),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_file_is_one_clear_line(tmp_path, case):
    content, message = BAD[case]
    path = tmp_path / "bad.eaf"
    path.write_text(content)
    with pytest.raises(InputError, match=message) as error:
        read(path)
    assert str(error.value).startswith(f"{path}")
    assert "\n" not in str(error.value)
    with pytest.raises(InputError):
        convert(path, tmp_path / "out.eaf")
    assert sorted(tmp_path.iterdir()) == [path]


def test_entities_are_not_read(tmp_path):
    """Neither another file nor a bomb of entities gets in, in whatever encoding."""
    secret = tmp_path / "secret"
    secret.write_text("secret")
    bomb = "".join(f'<!ENTITY e{i} "{f"&e{i - 1};" * 10}">' for i in range(1, 12))
    for declarations in (
        f'<!ENTITY e SYSTEM "{secret.as_uri()}">',
        f'<!ENTITY e0 "ha">{bomb}<!ENTITY e "&e11;">',
    ):
        content = minimal(UP, tier("&e;", alignable("a1", "ts1", "ts2", "&e;")))
        content = content.replace("<ANNOTATION_DOC", f"<!DOCTYPE d [{declarations}]><ANNOTATION_DOC", 1)
        for encoding in ("UTF-8", "UTF-16"):
            path = tmp_path / "a.eaf"
            path.write_bytes(content.replace("UTF-8", encoding).encode(encoding))
            with pytest.raises(InputError, match=r"DOCTYPE|not a readable ELAN file"):
                read(path)


def test_too_large(tmp_path):
    path = tmp_path / "large.eaf"
    with path.open("wb") as file:
        file.truncate(256 * 2**20 + 1)
    with pytest.raises(InputError, match="larger than 256 MiB"):
        read(path)


def test_missing_folder_and_unknown_ending(tmp_path):
    with pytest.raises(InputError, match="no such file"):
        read(tmp_path / "a.eaf")
    with pytest.raises(InputError, match=r"\.eaf, \.txt, \.tsv, \.csv"):
        read(tmp_path / "a.docx")
    with pytest.raises(InputError, match=r"\.eaf, \.txt, \.tsv, \.csv"):
        write(tmp_path / "a.xlsx", [])
    with pytest.raises(InputError, match="there is no folder"):
        write(tmp_path / "nowhere" / "a.eaf", [])
    assert list(tmp_path.iterdir()) == []


def test_find(tmp_path):
    for name in ("one.eaf", "two.TXT", "notes.md", ".hidden.eaf", "sub/one.csv"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("x")
    assert find([tmp_path]) == {"one": tmp_path / "one.eaf", "two": tmp_path / "two.TXT"}
    assert find([tmp_path, tmp_path / "one.eaf", tmp_path / "sub" / ".." / "one.eaf"]).keys() == {
        "one",
        "two",
    }
    with pytest.raises(InputError, match=r"sub/one\.csv: belongs to the recording 'one', as does .*/one\.eaf"):
        find([tmp_path, tmp_path / "sub"])
    with pytest.raises(InputError, match=r"notes\.md: not an annotation file"):
        find([tmp_path / "notes.md"])
    with pytest.raises(InputError, match=r"three\.eaf: no such file"):
        find([tmp_path / "three.eaf"])
    (tmp_path / "bare").mkdir()
    with pytest.raises(InputError, match="no annotation file in this folder"):
        find([tmp_path / "bare"])


# Round trips

text = st.text(st.characters(exclude_categories=["Cs", "Cc"], exclude_characters="\ufffe\uffff"), max_size=12)


@st.composite
def tiers_of_intervals(draw):
    """Tiers of intervals in whole milliseconds that do not overlap; some names clash but for case."""
    names = draw(
        st.lists(text | st.sampled_from(["Nodding", "nodding", "a1", "ts1", "chironomy"]), unique=True, max_size=4)
    )
    intervals = []
    for name in names:
        bounds = sorted(draw(st.lists(st.integers(0, 2**32 - 1), max_size=8, unique=True)))
        for begin, end in zip(bounds[::2], bounds[1::2], strict=False):
            intervals.append(Interval(begin / 1000, end / 1000, name, draw(text | st.just(" a\n\tb\r "))))
    return names, intervals


@settings(max_examples=60)
@given(human=tiers_of_intervals(), predicted=tiers_of_intervals())
def test_round_trip(tmp_path_factory, schemas, human, predicted):
    path = tmp_path_factory.getbasetemp() / "round.eaf"
    ours = [predicted_tier(name) for name in predicted[0]]
    labels = [Interval(each.begin, each.end, predicted_tier(each.tier), each.value) for each in predicted[1]]
    write(path, [*human[1], *labels], tiers=[*human[0], *ours])
    assert schemas["3.0"].validate(etree.parse(io.BytesIO(path.read_bytes()))), schemas["3.0"].error_log
    file = read(path)
    assert file.tiers == (*human[0], *ours)
    assert file.intervals == (*human[1], *labels)


def test_control_characters_do_not_break_the_file(tmp_path):
    write(tmp_path / "a.eaf", [Interval(0, 1, "a\x00b", "c\x1bd\ud800")])
    assert read(tmp_path / "a.eaf").intervals == (Interval(0, 1, "a\ufffdb", "c\ufffdd\ufffd"),)


def test_sample_to_text_and_back(elan_sample, tmp_path):
    """What ELAN holds is not changed by a way through text, but for its white space; times become the video's."""
    source = read(elan_sample)
    origin = source.media[0].time_origin if source.media else 0
    for ending in (".csv", ".txt"):
        convert(source.path, tmp_path / f"a{ending}")
        convert(tmp_path / f"a{ending}", tmp_path / f"b{ending}.eaf")
        expected = [
            (each.tier, round(each.begin + origin, 3), round(each.end + origin, 3), " ".join(each.value.split()))
            for each in source.intervals
        ]
        found = [
            (each.tier, each.begin, each.end, " ".join(each.value.split()))
            for each in read(tmp_path / f"b{ending}.eaf").intervals
        ]
        assert found == expected
