"""Annotations that were not made on the video as it is: refused with the likely cause, or accepted with an offset."""

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from planted_store import write_recording, write_vocabulary
from recordings import write_video
from tiny_backbone import added

import chironomy
from heads import labelling
from heads.labelling import label
from heads.settings import Settings
from search.runs import evaluate, train
from store.annotations import Interval, Media, read, write
from store.errors import InputError
from store.matching import match
from store.mismatch import Clock, match_video
from store.vocabulary import Vocabulary

VOCABULARY = Vocabulary("v", ("nod",))
NTSC = 30000 / 1001


def made(tmp_path: Path, spans: list[tuple[float, float]], **given) -> Path:
    path = tmp_path / "concert.eaf"
    write(path, [Interval(begin, end, "nod") for begin, end in spans], **given)
    return path


def frames(rate: float, *numbers: int) -> list[tuple[float, float]]:
    """Return annotations of ten frames from each of some frames on, with times as of that rate."""
    return [(round(number / rate, 3), round((number + 10) / rate, 3)) for number in numbers]


def test_what_fits_is_as_it_was(tmp_path):
    path = made(tmp_path, [(1, 2), (58, 60.4)])  # hand-set borders may pass the end a little
    assert match_video(path, VOCABULARY, Clock("concert", 60, 25)) == match(read(path), VOCABULARY)


@pytest.mark.parametrize(
    ("spans", "clock", "message"),
    [
        (
            [(1, 2), (50, 61), (70, 75), (96, 97.4)],
            Clock("concert", 60, 25),
            r"does not fit the video concert \(60\.000 s, 25 frames a second\): 3 of 4 annotations lie beyond its end, "
            r"nod up to 97\.400 s; likely the video is a shorter copy of the annotated one, or another video; if a "
            r"copy that begins with it, --offset 0 uses what lies within$",
        ),
        (
            [(70, 75), (96, 97.4)],
            Clock("concert", 60, 25),
            r"2 of 2 .* likely the video is a copy that begins later .*, as --offset -12\.5$",
        ),
        (
            frames(29, *range(7, 1800, 149)),
            Clock("concert", 1800 / NTSC, NTSC),
            r"reckoned with 29 frames a second instead of 29\.97, and are 3\.3% too long",
        ),
        (frames(29, *range(7, 900, 49)), Clock("concert", 1800 / NTSC, NTSC), r"reckoned with 29"),  # all lie within
        (
            [(1, 2), (59, 61.9)],
            Clock("concert", 60.06, NTSC),
            r"1 of 2 .* reckoned with 29 frames",
        ),  # too few to be sure
        ([(1, 2), (59, 63)], Clock("concert", 60.06, NTSC), r"likely the video is a shorter copy"),
    ],
)
def test_what_does_not_fit_is_refused_with_the_likely_cause(tmp_path, spans, clock, message):
    path = made(tmp_path, spans)
    with pytest.raises(InputError, match=message) as error:
        match_video(path, VOCABULARY, clock)
    assert str(error.value).startswith(str(path))
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("rate", [24000 / 1001, NTSC, 60000 / 1001])
@given(numbers=st.lists(st.integers(1, 100000), min_size=20, max_size=60, unique=True))
@settings(max_examples=30)
def test_times_of_the_true_rate_are_never_taken_for_others(tmp_path_factory, rate, numbers):
    path = made(
        tmp_path_factory.getbasetemp(), frames(rate, *range(0, 100, 20), *(100 + 20 * n for n in sorted(numbers)))
    )
    match_video(path, VOCABULARY, Clock("concert", 1e6, rate))
    path = made(path.parent, frames(int(rate), *(20 * n for n in sorted(numbers))))
    with pytest.raises(InputError, match="reckoned with"):
        match_video(path, VOCABULARY, Clock("concert", 1e6, rate))


def test_the_cut_copy_is_accepted_with_its_offset(tmp_path):
    """What was annotated at 70 s is at 10 s in a copy that lacks the first minute; the rest lies outside."""
    path = made(tmp_path, [(10, 20), (70, 75), (130, 140)])
    clock = Clock("concert", 60, 25)
    with pytest.raises(InputError, match="2 of 3"):
        match_video(path, VOCABULARY, clock)
    matched = match_video(path, VOCABULARY, clock, offset=-60)
    assert matched.gestures["nod"] == [(-50, -40), (10, 15), (70, 80)]
    with pytest.raises(InputError, match=r"with --offset 200 all its annotations lie outside; check its sign"):
        match_video(path, VOCABULARY, clock, offset=200)


def test_the_link_and_the_time_origin_are_named_where_they_are_at_fault(tmp_path):
    pear = Media("file:///elsewhere/pear.mp4", None, "video/mp4")
    with pytest.raises(InputError, match=r"or another video \(it is linked to 'pear\.mp4'\)"):
        match_video(made(tmp_path, [(1, 2), (80, 90)], media=[pear]), VOCABULARY, Clock("concert", 60, 25))
    late = Media("file:///elsewhere/concert.mp4", None, "video/mp4", 20.0)
    path = made(tmp_path, [(1, 2), (50, 55)], media=[late])
    with pytest.raises(InputError, match=r"likely its TIME_ORIGIN of 20\.000 s is not this video's"):
        match_video(path, VOCABULARY, Clock("concert", 60, 25))
    # An offset is taken in place of the time origin, not beside it: given twice it says the same.
    assert match_video(path, VOCABULARY, Clock("concert", 60, 25), offset=2).gestures["nod"] == [(3, 4), (52, 57)]


def test_the_worked_example_of_a_time_origin(shared_data):
    """Of docs/annotations.md: ELAN's TIME_ORIGIN is where in the media the annotations' time 0 lies."""
    file = read(shared_data / "elan" / "tla-example.eaf")
    assert [each.time_origin for each in file.media[:2]] == [5.0, 0.0]
    gestures = Vocabulary("v", ("Gesture #",))
    found = {video: match(file, gestures, video).gestures["Gesture #"][0] for video in ("example", "pear")}
    assert next(each.begin for each in file.intervals if each.tier == "Gesture #") == 2.033
    assert found["example"][0] == pytest.approx(7.033)
    assert found["pear"][0] == pytest.approx(2.033)


@pytest.fixture(scope="module")
def planted(tmp_path_factory) -> Iterator[tuple[Path, Path, str]]:
    """A store of one recording, its annotations, and their vocabulary."""
    folder = tmp_path_factory.mktemp("planted")
    with added(tmp_path_factory.mktemp("backbones")):
        annotated = write_recording(folder / "S", "a")
        yield folder / "S", annotated, write_vocabulary(folder / "two.toml")


def test_train_and_evaluate_with_an_offset(planted, tmp_path: Path) -> None:
    """Annotations of a longer video, of which the recording shows what comes after the first hundred seconds."""
    vocabulary, store, late = planted[2], tmp_path / "longer" / "S", tmp_path / "a.csv"
    store.parent.mkdir()
    annotated = write_recording(store, "a", 90)  # 57.6 s, of which a part is held out
    moved = [replace(each, begin=each.begin + 100, end=each.end + 100) for each in read(annotated).intervals]
    write(late, [Interval(3, 4, "nod"), *moved])
    given = {"system": "probe", "settings": Settings(epochs=1)}
    with pytest.raises(InputError, match=r"a\.csv: does not fit the video a .* beyond its end"):
        train(store, [late], vocabulary, tmp_path / "model", **given)
    assert not (tmp_path / "model").exists()
    found = train(store, [late], vocabulary, tmp_path / "model", offset=-100, **given)
    expected = train(store, [annotated], vocabulary, tmp_path / "other", **given)
    assert found["scores"] == expected["scores"]
    with pytest.raises(InputError, match="does not fit the video"):
        evaluate(tmp_path / "model", store, [late])
    scored, other = (
        evaluate(tmp_path / "model", store, [path], offset=offset) for path, offset in ((late, -100), (annotated, None))
    )
    assert scored["scores"] == other["scores"]


def test_annotations_against_a_store(planted, tmp_path: Path, capsys) -> None:
    store, annotated, vocabulary = planted
    late, strange = tmp_path / "a.csv", tmp_path / "nobody.csv"
    write(late, [Interval(1000, 1001, "nod")])
    write(strange, [Interval(1, 2, "nod")])
    command = ["annotations", "--store", str(store), "--json"]
    for more in ([], ["--vocabulary", vocabulary]):
        assert chironomy.main([*command, *more, str(annotated), str(strange)]) == 0
        files = json.loads(capsys.readouterr().out)["files"]
        assert [each["video"] for each in files] == [{"seconds": 38.4, "frame_rate": 25.0}, None]
        assert chironomy.main([*command, *more, str(late)]) == 1
        captured = capsys.readouterr()
        assert json.loads(captured.out) == {"files": []}
        assert captured.err.startswith(f"chironomy: {late}: does not fit the video a (38.400 s, 25 frames a second)")
        assert chironomy.main([*command, *more, str(late), "--offset", "-990.5"]) == 0
        capsys.readouterr()
    assert chironomy.main([*command[:3], str(annotated), str(strange)]) == 0
    printed = capsys.readouterr().out
    assert "fits its video: 38.400 s, 25 frames a second" in printed
    assert "not checked: the store has no recording of this name" in printed


def test_label_refuses_before_it_extracts(planted, tmp_path: Path, monkeypatch) -> None:
    """By what the video's header says; within two seconds of it only the frames themselves can tell."""
    store, annotated, vocabulary = planted
    train(store, [annotated], vocabulary, tmp_path / "model", system="probe", settings=Settings(epochs=1))
    video, out = write_video(tmp_path / "take.mov", 64), tmp_path / "take.csv"  # 2.56 s
    write(out, [Interval(1, 2, "nod"), Interval(9, 10, "nod")])
    before = out.read_bytes()
    extracted = []
    monkeypatch.setattr("heads.labelling._features", lambda *given: extracted.append(given) or exit("extracts"))
    with pytest.raises(InputError, match=r"take\.csv: does not fit the video take \(2\.560 s, 25 frames .* 1 of 2"):
        label(video, tmp_path / "model", out)
    assert extracted == []
    with pytest.raises(SystemExit):
        label(video, tmp_path / "model", out, offset=0)
    write(out, [Interval(1, 4, "nod")])
    monkeypatch.undo()
    with pytest.raises(InputError, match=r"nod up to 4\.000 s"):
        label(video, tmp_path / "model", out, device="cpu")
    write(out, [Interval(1, 2, "nod")])
    label(video, tmp_path / "model", out, device="cpu")
    assert out.read_bytes() != before


def test_label_says_first_that_it_was_given_no_video(planted, tmp_path: Path) -> None:
    store, annotated, vocabulary = planted
    train(store, [annotated], vocabulary, tmp_path / "model", system="probe", settings=Settings(epochs=1))
    with pytest.raises(InputError) as refused:
        label(annotated, tmp_path / "model", tmp_path / "out.eaf", store=store, weights="there are none")
    assert str(refused.value).startswith(f"{annotated}: cannot be opened as video")


def test_label_notes_annotations_that_may_be_of_another_video(planted, tmp_path: Path, capsys) -> None:
    store, annotated, vocabulary = planted
    train(store, [annotated], vocabulary, tmp_path / "model", system="probe", settings=Settings(epochs=1))
    video = write_video(tmp_path / "take.mov", 64)

    def noted(base: Path, *media: str, name: str | None = None) -> list[str]:
        write(base, [Interval(1, 2, "nod")], media=[Media(f"file:///{each}", None, "video/mp4") for each in media])
        out = tmp_path / "out.eaf"
        out.unlink(missing_ok=True)
        return label(video, tmp_path / "model", out, annotations=base, name=name, device="cpu")["notes"]

    other = tmp_path / "other.eaf"
    says = f"{other}: is linked to 'other.mp4', not to take.mov; if it is another video's, the labels are wrong"
    assert noted(other, "other.mp4") == [says]
    assert noted(other, "take.mp4", "other.mp4") == noted(tmp_path / "take.eaf", "other.mp4") == []
    assert noted(other, "other.mp4", name="other") == []
    assert "other.csv: is neither named after nor linked to take.mov" in noted(tmp_path / "other.csv")[0]
    assert label(video, tmp_path / "model", tmp_path / "other.csv", device="cpu")["notes"] == []
    noted(other, "other.mp4")
    given = ["--model", tmp_path / "model", "--annotations", other, "--out", tmp_path / "new.eaf", "--device", "cpu"]
    assert chironomy.main([*map(str, ("label", video, *given, "--suggest", 2))]) == 0
    nothing = "nothing to suggest: the whole recording counts as annotated; mark what is complete on a tier 'annotated'"
    assert capsys.readouterr().err == f"note: {says}\nnote: {nothing}\n"


def test_label_keeps_what_was_annotated_meanwhile(planted, tmp_path: Path, monkeypatch) -> None:
    """A file that was not there when the extraction began is labelled into, as one that was; another's is refused."""
    store, annotated, vocabulary = planted
    train(store, [annotated], vocabulary, tmp_path / "model", system="probe", settings=Settings(epochs=1))
    video, out, other = write_video(tmp_path / "take.mov", 64), tmp_path / "take.csv", tmp_path / "other.csv"
    mine = Interval(1, 2, "nod", "mine")

    def extract_while_someone_annotates(*given: Any) -> Any:
        recording = extract(*given)
        write(out, [mine])
        return recording

    extract = labelling._features
    monkeypatch.setattr(labelling, "_features", extract_while_someone_annotates)
    chosen: dict[str, Any] = {"device": "cpu", "store": tmp_path / "own"}
    label(video, tmp_path / "model", out, **chosen)
    assert mine in read(out).intervals
    assert b"mine" in out.with_name("take.csv.bak").read_bytes()
    out.unlink()
    write(other, [mine])
    with pytest.raises(InputError, match=r"take\.csv: is there already"):
        label(video, tmp_path / "model", out, annotations=other, **chosen)
    assert read(out).intervals == (mine,)
