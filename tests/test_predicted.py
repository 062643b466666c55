"""Predictions into annotation files: beside what people annotated, never over it."""

import errno
import multiprocessing
import os
import random
import shutil
import tempfile
import time
from dataclasses import replace
from pathlib import Path
from urllib.parse import unquote

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from lxml import etree

from store import annotations
from store.annotations import AnnotationFile, EafDocument, Interval, Media, media_for, predicted_tier, read, write
from store.errors import InputError
from store.matching import match
from store.predicted import base_for, write_predicted
from store.vocabulary import Vocabulary

GESTURES = ("nod", "freeze")


def predicted(begin: float, end: float, gesture: str = "nod", confidence: float | None = 0.75) -> Interval:
    return Interval(begin, end, predicted_tier(gesture), gesture, confidence)


def of_tier(file: AnnotationFile, tier: str) -> list[tuple[float, float]]:
    return [(each.begin, each.end) for each in file.intervals if each.tier == tier]


def label(base: Path | None, out: Path, intervals: list[Interval], video: Path | None = None) -> AnnotationFile:
    write_predicted(base, out, video or out.with_name("video.mp4"), intervals, GESTURES, "chironomy, model m")
    return read(out)


@pytest.fixture(scope="module")
def schema(shared_data):
    return etree.XMLSchema(etree.parse(str(shared_data / "elan" / "EAFv3.0.xsd")))


def elements(path: Path, without: str = "[chironomy]") -> set[bytes]:
    """Return tiers with all they hold, types, vocabularies, links and comments, ours left out."""
    root = etree.parse(str(path)).getroot()
    found = set()
    for element in [*root, *root.find("HEADER"), *root.find("TIME_ORDER")]:
        if element.tag in ("HEADER", "TIME_ORDER") or "lastUsedAnnotationId" in element.attrib.values():
            continue
        if without not in element.get("TIER_ID", ""):
            found.add(etree.tostring(element, method="c14n", with_tail=False))
    return found


def test_everything_in_an_elan_file_stays(elan_sample: Path, tmp_path: Path) -> None:
    source = elan_sample
    out = tmp_path / "video.eaf"
    shutil.copy(source, out)
    out.chmod(0o644)
    origin = annotations.time_origin(read(source), "video")
    label(out, out, [predicted(origin + 1, origin + 2), predicted(origin + 5, origin + 6, "freeze")])
    assert elements(source) <= elements(out)
    again = tmp_path / "again.eaf"
    label(out, again, [predicted(origin + 3, origin + 4)])
    assert elements(source) <= elements(again)
    before, after = read(source), read(again)
    assert set(before.intervals) <= set(after.intervals)
    ours = [each for each in after.intervals if each.tier.endswith("[chironomy]")]
    assert len(after.intervals) == len(before.intervals) + len(ours)
    assert [each.value for each in ours] == ["nod"]  # of the first labelling nothing is left


@pytest.mark.parametrize("place", [".", "labels/deep"])
@pytest.mark.parametrize("name", ["video.mp4", "video 100%25 ü.mp4"])
def test_a_new_elan_file_is_valid_and_finds_its_video(place: str, name: str, schema, tmp_path: Path) -> None:
    video = tmp_path / "videos" / name
    video.parent.mkdir()
    video.touch()
    out = tmp_path / place / "out.eaf"
    out.parent.mkdir(parents=True, exist_ok=True)
    file = label(None, out, [predicted(1, 2)], video)
    schema.assertValid(etree.parse(str(out)))
    (media,) = file.media
    assert (out.parent / media.relative_url).resolve() == video.resolve()
    assert set(file.tiers) == {"nod [chironomy]", "freeze [chironomy]"}  # not found shows as an empty tier
    assert of_tier(file, "nod [chironomy]") == [(1.0, 2.0)]


def test_reviewed_predictions_stay_and_nothing_is_predicted_there(tmp_path: Path) -> None:
    base = tmp_path / "video.eaf"
    tier = predicted_tier("nod")
    write(
        base,
        [
            Interval(10, 20, "Annotated"),
            Interval(12, 13, "nod", "by hand"),
            Interval(2, 3, tier, "nod"),  # before: to be replaced
            Interval(9, 11, tier, "nod"),  # over the border: the reviewed half stays
            Interval(14, 15, tier, "freeze"),  # corrected by its value
            Interval(19, 22, tier, "nod"),
        ],
    )
    new = [predicted(0, 1), predicted(8, 12), predicted(12.5, 13.5), predicted(18, 25), predicted(30, 31, "freeze")]
    others = [tmp_path / f"copy{ending}" for ending in (".csv", ".txt", ".TextGrid", ".vtt", ".rttm", ".boris.tsv")]
    for out in (base, *others, *others):  # the second time into what is there
        file = label(out if out.exists() else base, out, new)
        assert of_tier(file, tier) == [(0, 1), (8, 11), (14, 15), (19, 25)]
        assert [each.value for each in file.intervals if each.begin == 14] == ["freeze"]
        assert of_tier(file, "freeze [chironomy]") == [(30, 31)]
        assert of_tier(file, "nod") == [(12, 13)]
        assert of_tier(file, "Annotated") == [(10, 20)]


STRETCHES = st.lists(st.tuples(st.integers(0, 20000), st.integers(1, 4000)), max_size=4)


@given(STRETCHES, st.lists(st.tuples(st.floats(0, 20), st.floats(0.001, 3)), max_size=5))
@settings(max_examples=60)
def test_no_prediction_inside_annotated_stretches(tmp_path_factory, stretches: list, found: list) -> None:
    folder = tmp_path_factory.mktemp("predicted")
    base = folder / "video.csv"
    marks = [Interval(begin / 1000, (begin + length) / 1000, "annotated") for begin, length in stretches]
    write(base, [Interval(0, 1, "nod", "by hand"), *marks])
    new, begin = [], 0.0
    for gap, length in found:  # one after the other, as joined clips are, at times that are no milliseconds
        new.append(predicted(begin + gap / 3, begin + gap / 3 + length / 3))
        begin = new[-1].end + 1 / 7
    file = label(base, folder / "out.csv", new)  # ELAN cannot hold stretches that overlap
    ours = of_tier(file, predicted_tier("nod"))
    for first, last in ours:
        assert first < last
        for mark in marks:
            assert last <= mark.begin + 1e-9 or first >= mark.end - 1e-9
    # Seconds of predictions outside the stretches, in a plain count of milliseconds; slivers at their ends may be left.
    free = [
        moment
        for each in new
        for moment in range(round(each.begin * 1000), round(each.end * 1000))
        if not any(mark.begin * 1000 <= moment + 0.5 <= mark.end * 1000 for mark in marks)
    ]
    rounding = 0.002 * (len(new) + 1)
    found, slivers = sum(last - first for first, last in ours), 0.25 * 2 * len(marks)
    assert len(free) / 1000 - slivers - rounding <= found <= len(free) / 1000 + rounding


def test_where_a_stretch_ends_an_event_stays_one_and_slivers_are_left_out(tmp_path: Path) -> None:
    out = tmp_path / "video.eaf"
    tier = predicted_tier("nod")
    reviewed = [Interval(3, 4.998, tier, "nod"), Interval(0, 5, "annotated"), Interval(10, 20, "annotated")]
    write(out, [*reviewed, Interval(12, 13, tier, "freeze"), Interval(19, 20, tier, "freeze")])
    new = [predicted(4, 5.037), predicted(8, 10.5), predicted(19.5, 20.2), predicted(20.2, 20.4)]
    for _ in range(2):
        file = label(out, out, new)
        # 37 ms behind the first stretch are an error of the border; what was corrected to another gesture goes not on.
        assert of_tier(file, tier) == [(3, 4.998), (8, 10), (12, 13), (19, 20), (20.2, 20.4)]
    changed = [replace(each, end=5.0) if each.begin == 3 else each for each in file.intervals]
    write(tmp_path / "other.csv", changed)
    file = label(tmp_path / "other.csv", tmp_path / "other.csv", new)
    assert of_tier(file, tier)[:2] == [(3, 5.037), (8, 10)]  # goes on by so little as well: it is one event


def test_text_and_csv(tmp_path: Path) -> None:
    label(None, tmp_path / "out.txt", [predicted(1, 2.5)])
    assert (tmp_path / "out.txt").read_text() == (
        "nod [chironomy]\t\t00:00:01.000\t1.000\t00:00:02.500\t2.500\t00:00:01.500\t1.500\tnod\n"
    )
    label(None, tmp_path / "out.csv", [predicted(1 / 3, 2.5)])
    assert (tmp_path / "out.csv").read_text().splitlines() == [
        "tier,begin,end,value,confidence",
        "nod [chironomy],0.333,2.500,nod,0.7500",
    ]
    for name in ("out.txt", "out.csv"):  # again, into the file that is there
        write(tmp_path / name, [*read(tmp_path / name).intervals, Interval(4, 5, "nod")])
        file = label(tmp_path / name, tmp_path / name, [predicted(7, 8)])
        assert [(each.tier, each.begin) for each in file.intervals] == [("nod", 4), ("nod [chironomy]", 7)]


@pytest.mark.parametrize("linked", ["video.mp4", "other.mp4"])
def test_the_time_origin_of_the_linked_media_counts(linked: str, tmp_path: Path) -> None:
    base = tmp_path / "video.eaf"
    link = Media((tmp_path / linked).as_uri(), f"./{linked}", "video/mp4", time_origin=2.0)
    write(base, [Interval(1, 2, "nod", "at 3 s of the video")], media=[link])
    new = [predicted(0.5, 1.5), predicted(1.5, 2.5), predicted(7, 8)]
    text = label(base, tmp_path / "video.csv", new)
    assert of_tier(text, "nod") == [(3, 4)]  # text is in seconds of the video
    assert of_tier(text, "nod [chironomy]") == [(0.5, 1.5), (1.5, 2.5), (7, 8)]
    file = label(base, base, new)
    assert of_tier(file, "nod") == [(1, 2)]
    assert of_tier(file, "nod [chironomy]") == [(0, 0.5), (5, 6)]  # what came before the file's time 0 is cut off
    assert annotations.time_origin(file, "video") == 2.0


def test_the_video_is_linked_once(tmp_path: Path) -> None:
    out = tmp_path / "video.eaf"
    write(out, [Interval(1, 2, "nod")], media=[media_for(tmp_path / "video.mp4", out)])
    label(out, out, [])
    assert len(label(out, out, []).media) == 1


def test_what_is_labelled_into(tmp_path: Path) -> None:
    out, other = tmp_path / "out.csv", tmp_path / "other.csv"
    assert base_for(None, out) is None
    write(other, [Interval(1, 2, "nod")])
    assert base_for(other, out) == other
    assert base_for(other, other) == other
    write(out, [Interval(1, 2, "nod")])
    assert base_for(None, out) == out
    assert base_for(out, tmp_path / "." / "out.csv") == out
    with pytest.raises(InputError, match=r"out\.csv: is there already"):
        base_for(other, out)
    with pytest.raises(InputError, match=r"missing\.csv: no such file"):
        base_for(tmp_path / "missing.csv", out)
    with pytest.raises(InputError, match=r"there is no folder"):
        base_for(None, tmp_path / "nowhere" / "out.csv")
    out.write_text("not a table\n")
    with pytest.raises(InputError, match=r"out\.csv"):
        base_for(None, out)


def test_what_cannot_be_written_is_known_at_once(tmp_path: Path, monkeypatch) -> None:
    with pytest.raises(InputError, match=r"^/proc/out\.eaf: cannot be written"):
        base_for(None, Path("/proc/out.eaf"))  # where even root may not, though it is told otherwise
    (tmp_path / "links").mkdir()
    there, out = tmp_path / "there.csv", tmp_path / "links" / "out.csv"
    write(there, [Interval(1, 2, "nod")])
    out.symlink_to(there)
    temporary = tempfile.TemporaryFile

    def nothing_beside_the_link(dir: Path):
        if dir == out.parent:
            raise PermissionError(errno.EACCES, "Permission denied")
        return temporary(dir=dir)

    monkeypatch.setattr(tempfile, "TemporaryFile", nothing_beside_the_link)
    with pytest.raises(InputError, match=r"links/out\.csv: cannot be written \(Permission denied\)"):
        base_for(None, out)  # the copy of the original would be made there
    out.with_name("out.csv.bak").write_text("the original")
    assert base_for(None, out) == out
    monkeypatch.setattr(os, "access", lambda _, mode: mode != os.W_OK)
    with pytest.raises(InputError, match=r"links/out\.csv: is write-protected"):
        base_for(None, out)
    assert sorted(path.name for path in tmp_path.rglob("*")) == ["links", "out.csv", "out.csv.bak", "there.csv"]


def test_a_text_file_without_any_gesture_can_be_labelled_again(tmp_path: Path) -> None:
    out = tmp_path / "out.txt"
    write_predicted(None, out, tmp_path / "video.mp4", [], GESTURES, "chironomy")
    assert out.read_text() == ""
    assert base_for(None, out) is None


def test_an_elan_file_written_elsewhere_still_finds_its_video(tmp_path: Path) -> None:
    (tmp_path / "there").mkdir()
    video = tmp_path / "recording.mp4"
    video.write_bytes(b"only its name matters here")
    base, out = tmp_path / "recording.eaf", tmp_path / "there" / "labelled.eaf"
    write(base, [], media=[media_for(video, base)])
    write_predicted(base, out, video, [], ["Nodding"], "chironomy")
    (link,) = etree.parse(out).findall("HEADER/MEDIA_DESCRIPTOR")
    assert (out.parent / link.get("RELATIVE_MEDIA_URL")).resolve() == video.resolve()


@pytest.mark.parametrize("name", ["a[1].mp4", "100%.mp4", "a#1#2.mp4", "Übung 1 & 2 (laut).mp4", "x#1.mp4"])
def test_odd_names_of_videos_are_valid_links(tmp_path: Path, shared_data: Path, name: str) -> None:
    out = tmp_path / "labelled.eaf"
    write_predicted(None, out, tmp_path / name, [predicted(0, 1)], ["nod"], "chironomy")
    etree.XMLSchema(etree.parse(shared_data / "elan" / "EAFv3.0.xsd")).assertValid(etree.parse(out))
    relative = read(out).media[0].relative_url
    assert relative is not None
    assert f"./{name}" in (relative, unquote(relative))


def test_what_was_written_is_returned(tmp_path: Path) -> None:
    base, out = tmp_path / "a.csv", tmp_path / "b.csv"
    write(base, [Interval(2, 4, "annotated"), predicted(2.5, 3), predicted(5, 6)])
    written = write_predicted(base, out, tmp_path / "a.mp4", [predicted(0, 3), predicted(7, 8)], ["nod"], "x")
    assert [(each.begin, each.end) for each in written] == [(0, 2), (2.5, 3), (7, 8)]


def test_a_link_stays_a_link(tmp_path: Path) -> None:
    real, link = tmp_path / "real.csv", tmp_path / "link.csv"
    write(real, [Interval(1, 2, "nod")])
    link.symlink_to(real)
    write(link, [Interval(3, 4, "nod")])
    assert link.is_symlink()
    assert [each.begin for each in read(real).intervals] == [3]


@pytest.mark.parametrize("ending", [".eaf", ".csv", ".txt"])
def test_the_first_original_is_kept(tmp_path: Path, ending: str) -> None:
    out, copy = tmp_path / f"video{ending}", tmp_path / f"video{ending}.bak"
    label(None, out, [predicted(1, 2)])
    assert not copy.exists()
    write(out, [Interval(1, 2, "nod", "by hand")])
    original = out.read_bytes()
    label(out, out, [predicted(3, 4)])
    assert copy.read_bytes() == original
    label(out, out, [predicted(5, 6)])
    assert copy.read_bytes() == original != out.read_bytes()
    assert annotations.find([tmp_path]).keys() == {"video"}


def test_confidence_stands_beside_and_counts_for_nothing(tmp_path: Path, schema) -> None:
    """A tier of it depends on each predicted tier; text and back keep it, and matching does not see it."""
    out = tmp_path / "video.eaf"
    write(out, [Interval(10, 20, "annotated"), Interval(12, 13, "nod")])
    new = [predicted(1, 2, confidence=0.874), predicted(3, 4, confidence=0.5), predicted(5, 6, "freeze", 1.0)]
    label(out, out, new)
    tree = etree.parse(str(out))
    schema.assertValid(tree)
    (tier,) = tree.xpath("//TIER[@TIER_ID='nod [chironomy] confidence']")
    assert dict(tier.attrib) == {
        "ANNOTATOR": "chironomy, model m",
        "LINGUISTIC_TYPE_REF": "chironomy confidence",
        "PARENT_REF": "nod [chironomy]",
        "TIER_ID": "nod [chironomy] confidence",
    }
    parents = tree.xpath("//TIER[@TIER_ID='nod [chironomy]']//@ANNOTATION_ID")
    assert tier.xpath(".//@ANNOTATION_REF") == parents
    assert tier.xpath(".//ANNOTATION_VALUE/text()") == ["0.87", "0.50"]
    assert tree.xpath("//LINGUISTIC_TYPE[@LINGUISTIC_TYPE_ID='chironomy confidence']/@CONSTRAINTS") == (
        ["Symbolic_Association"]
    )
    assert tree.xpath("//CONTROLLED_VOCABULARY[@CV_ID='chironomy']//CVE_VALUE/text()") == list(GESTURES)
    assert tree.xpath("//TIER[@TIER_ID='freeze [chironomy]']//@CVE_REF") == ["cveid1"]
    file = read(out)
    assert {each.confidence for each in file.intervals if each.tier == "nod [chironomy]"} == {0.87, 0.5}
    assert not any(annotations.is_confidence(name) for name in file.tiers)
    vocabulary = Vocabulary("v", GESTURES)
    assert match(file, vocabulary).ignored == match(file, vocabulary).near_misses == {}
    annotations.convert(out, tmp_path / "video.csv")
    assert read(tmp_path / "video.csv").intervals == file.intervals
    # As ELAN exports all tiers, those of confidences among them:
    rows = [*file.intervals, Interval(1, 2, "nod [chironomy] confidence", "0.87")]
    write(tmp_path / "export.txt", [replace(each, confidence=None) for each in rows])
    export = read(tmp_path / "export.txt")
    assert [each.confidence for each in export.intervals if each.begin == 1] == [0.87]
    label(out, out, [predicted(7, 8, confidence=None)])
    again = etree.parse(str(out))
    assert not again.xpath("//*[contains(@TIER_ID, 'confidence')] | //*[contains(@LINGUISTIC_TYPE_ID, 'confidence')]")
    assert len(again.xpath("//CONTROLLED_VOCABULARY")) == 1


def test_what_is_replaced_takes_its_type_and_vocabulary_along_unless_they_are_used(tmp_path: Path, schema) -> None:
    out = tmp_path / "video.eaf"
    label(None, out, [predicted(1, 2)])
    text = out.read_text().replace("nod [chironomy]", "my own", 1)  # a tier renamed in ELAN is the user's
    out.write_text(text.replace('PARENT_REF="nod [chironomy]"', 'PARENT_REF="my own"'))
    new = (out, out, tmp_path / "video.mp4", [predicted(3, 4)], ("nod", "tap"), "chironomy, model m")
    with pytest.raises(InputError, match=r"there is a tier 'nod \[chironomy\] confidence' already; rename it"):
        write_predicted(*new)
    out.write_text(out.read_text().replace("nod [chironomy] confidence", "my own confidence"))
    write_predicted(*new)
    tree = etree.parse(str(out))
    schema.assertValid(tree)
    assert tree.xpath("//TIER[@TIER_ID='my own']/@LINGUISTIC_TYPE_REF") == ["chironomy"]
    assert tree.xpath("//TIER[@TIER_ID='nod [chironomy]']/@LINGUISTIC_TYPE_REF") == ["chironomy 2"]
    assert tree.xpath("//CONTROLLED_VOCABULARY/@CV_ID") == ["chironomy", "chironomy 2"]


def test_with_an_offset_a_file_keeps_its_clock(tmp_path: Path) -> None:
    """A copy of the video without its first ten seconds: what it shows at 2 s the file calls 12 s."""
    video = tmp_path / "copy.mp4"
    for name in ("concert.csv", "concert.eaf"):
        base = tmp_path / name
        write(base, [Interval(12, 13, "nod")])
        for _ in range(2):  # twice is as once
            write_predicted(base, base, video, [predicted(2, 3)], GESTURES, "chironomy", offset=-10)
            file = read(base)
            assert of_tier(file, "nod") == of_tier(file, "nod [chironomy]") == [(12, 13)]
    assert annotations.time_origin(file, "copy") == -10
    out = tmp_path / "copy.txt"
    write_predicted(base, out, video, [predicted(2, 3)], GESTURES, "chironomy", offset=-10)
    assert of_tier(read(out), "nod") == of_tier(read(out), "nod [chironomy]") == [(2, 3)]


def test_what_hangs_on_a_reviewed_prediction_stays(tmp_path: Path, schema) -> None:
    """Notes on predictions, tied to them in ELAN, and their ids; what a note hangs on is not removed in silence."""
    out = tmp_path / "video.eaf"
    label(None, out, [predicted(1, 2), predicted(5, 6), predicted(8, 9)])
    document = EafDocument.open(out)
    document.add_tiers([Interval(0, 4, "annotated")])
    document.save(out)
    tree = etree.parse(str(out))
    ids = tree.xpath("//TIER[@TIER_ID='nod [chironomy]']//@ANNOTATION_ID")
    for number, annotation in enumerate(ids[:2]):
        if number == 0:
            notes = etree.fromstring(
                '<TIER LINGUISTIC_TYPE_REF="chironomy confidence" PARENT_REF="nod [chironomy]" TIER_ID="notes"/>'
            )
            tree.getroot().insert(len(tree.xpath("//HEADER | //TIME_ORDER | //TIER")), notes)
        note = etree.SubElement(etree.SubElement(notes, "ANNOTATION"), "REF_ANNOTATION")
        note.set("ANNOTATION_ID", f"a9{number}")
        note.set("ANNOTATION_REF", annotation)
        etree.SubElement(note, "ANNOTATION_VALUE").text = f"note {number}"
    tree.write(str(out))
    schema.assertValid(etree.parse(str(out)))

    label(out, out, [predicted(5.5, 6.5), predicted(12, 13)])
    after = etree.parse(str(out))
    schema.assertValid(after)
    kept = after.xpath("//TIER[@TIER_ID='nod [chironomy]']//@ANNOTATION_ID")
    assert kept[:2] == ids[:2]
    file = read(out)
    assert [(each.begin, each.end, each.value) for each in file.intervals if each.tier == "notes"] == (
        [(1, 2, "note 0"), (5.5, 6.5, "note 1")]
    )
    before = out.read_bytes()
    with pytest.raises(InputError, match=r"'notes' depends on the annotation 'nod' .* at 5\.500 to 6\.500 s"):
        label(out, out, [predicted(12, 13)])
    assert out.read_bytes() == before


class Stopped(BaseException):
    """As Ctrl-C at some moment."""


@pytest.mark.parametrize("problem", [OSError(28, "No space left on device"), Stopped()])
def test_a_labelling_that_is_stopped_anywhere_damages_nothing(tmp_path: Path, monkeypatch, problem) -> None:
    """At every step of writing something fails; the file is the one or the other, whole, and nothing lies about."""
    out = tmp_path / "video.eaf"
    write(out, [Interval(10, 20, "annotated"), Interval(1, 2, "nod", "by hand")])
    original = out.read_bytes()
    steps = [(os, "fsync"), (os, "open"), (Path, "chmod"), (Path, "replace"), (tempfile, "NamedTemporaryFile")]
    failed = 0
    for place, name in steps:
        for countdown in range(6):
            left = countdown
            real = getattr(place, name)

            def fail(*given, real=real, **named):
                nonlocal left
                left -= 1
                if left < 0:
                    raise problem
                return real(*given, **named)

            with monkeypatch.context() as patch:
                patch.setattr(place, name, fail)
                try:
                    label(out, out, [predicted(3, 4)])
                except (InputError, Stopped):
                    failed += 1
            assert {path.name for path in tmp_path.iterdir()} <= {"video.eaf", "video.eaf.bak"}
            if out.read_bytes() != original:
                assert of_tier(read(out), "nod [chironomy]") == [(3, 4)]
                assert (tmp_path / "video.eaf.bak").read_bytes() == original
                out.write_bytes(original)
            (tmp_path / "video.eaf.bak").unlink(missing_ok=True)
    assert failed > 8


def test_a_labelling_that_is_killed_damages_nothing(tmp_path: Path) -> None:
    out, copy = tmp_path / "video.eaf", tmp_path / "video.eaf.bak"
    write(out, [Interval(n, n + 0.5, "nod", "by hand") for n in range(300)])
    original = out.read_bytes()
    new = [predicted(n, n + 0.5) for n in range(300)]
    states, kills = set(), 0
    began = time.monotonic()
    label(out, tmp_path / "whole.eaf", new)
    seconds = time.monotonic() - began
    noise = random.Random(0)
    while kills < 15 or len(states) < 2:
        process = multiprocessing.get_context("fork").Process(target=label, args=(out, out, new))
        process.start()
        process.join(noise.uniform(0, 1.5 * seconds))
        process.kill()
        process.join()
        kills += process.exitcode == -9
        assert copy.read_bytes() == original if copy.exists() else out.read_bytes() == original
        labelled = out.read_bytes() != original
        assert len(of_tier(read(out), "nod [chironomy]")) == 300 * labelled
        states.add(labelled)
        seconds *= 0.95 if labelled else 1.05  # the machine may have become quicker or slower
        out.write_bytes(original)
        copy.unlink(missing_ok=True)
