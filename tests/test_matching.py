"""Which annotations count: by tier or value, in stretches, as corrected; and what is said of the rest."""

import json
from pathlib import Path

import pytest

from store.annotations import AnnotationFile, Interval, Media, read, write
from store.errors import InputError
from store.matching import match, merge, summarise
from store.vocabulary import Vocabulary, load_vocabulary

V = Vocabulary("v", ("Nodding", "Eyes closed"), "Normal play")
SUPER = Vocabulary(
    "s",
    ("Nodding", "Lifting head", "Frowning"),
    "Rest",
    {"Head": ("Nodding", "Lifting head"), "Frowning": ("Frowning",)},
)


def file_of(*rows, tiers=(), media=(), name="video-1.eaf") -> AnnotationFile:
    """Make a file of rows (tier, begin, end[, value])."""
    intervals = tuple(Interval(begin, end, tier, *value) for tier, begin, end, *value in rows)
    names = dict.fromkeys((*tiers, *(interval.tier for interval in intervals)))
    return AnnotationFile(Path(name), tuple(names), intervals, tuple(media))


def test_by_tier_or_else_by_value():
    matched = match(
        file_of(
            ("Nodding", 4, 5, "Eyes closed"),  # the tier's name comes first
            (" nodding ", 1, 2, ""),
            ("gestures", 2, 3, "  EYES \t closed\n"),
            ("gestures", 3, 4, "something else"),
            ("notes", 0, 9, "Nodding twice"),
        ),
        V,
    )
    assert matched.gestures == {"Nodding": [(1, 2), (4, 5)], "Eyes closed": [(2, 3)]}
    assert matched.annotated is None
    assert matched.ignored == {"gestures": 1, "notes": 1}


def test_every_gesture_is_there_and_background_counts_for_nothing():
    matched = match(file_of(("Normal play", 0, 5, "Nodding"), ("x", 0, 1, "normal  PLAY"), ("Nodding", 1, 1)), V)
    assert matched.gestures == {"Nodding": [(1, 1)], "Eyes closed": []}
    assert matched.ignored == {}
    assert match(file_of(("Normal play", 0, 5)), V).gestures == {"Nodding": [], "Eyes closed": []}


def test_empty_tiers():
    matched = match(file_of(tiers=("default", "Nodding", "annotatd")), V)
    assert matched.ignored == {"default": 0, "annotatd": 0}
    assert matched.annotated is None


def test_annotated_stretches_are_merged():
    matched = match(
        file_of(
            ("Annotated", 5, 6),
            ("Nodding", 0, 9),
            ("Annotated", 1, 2),
            ("Annotated", 2, 3),
            ("Annotated", 7, 7),
        ),
        V,
    )
    assert matched.annotated == [(1, 3), (5, 6)]
    assert matched.gestures["Nodding"] == [(0, 9)]
    assert match(file_of(("annotated", 1, 2)), V).gestures == {"Nodding": [], "Eyes closed": []}
    assert match(file_of(("Nodding", 1, 2), tiers=("annotated",)), V).annotated == []


def test_predictions_count_only_inside_annotated_stretches():
    rows = [("Nodding [chironomy]", 1, 4, "Nodding"), ("Nodding [chironomy]", 8, 9, "Nodding")]
    matched = match(file_of(*rows, ("annotated", 0, 2), ("annotated", 3, 5), ("Nodding", 6, 7)), V)
    assert matched.gestures["Nodding"] == [(1, 2), (3, 4), (6, 7)]
    assert match(file_of(*rows, ("Nodding", 6, 7)), V).gestures["Nodding"] == [(6, 7)]
    with pytest.raises(InputError, match="nothing in it matches"):
        match(file_of(*rows), V)


def test_corrected_predictions():
    matched = match(
        file_of(
            ("annotated", 0, 10),
            ("Nodding [chironomy]", 0, 1, "Eyes closed"),  # another gesture: the correction counts
            ("Nodding [chironomy]", 1, 2, ""),
            ("Nodding [chironomy]", 2, 3, "normal play"),  # nothing after all
            ("Nodding [chironomy]", 3, 4, "sure!"),
            ("Juggling [chironomy]", 4, 5, "Juggling"),  # of another vocabulary
        ),
        V,
    )
    assert matched.gestures == {"Nodding": [(1, 2), (3, 4)], "Eyes closed": [(0, 1)]}
    assert matched.ignored == {"Juggling [chironomy]": 1}
    assert matched.near_misses == {}


def test_corrected_predictions_of_a_superclass_are_not_those_of_a_gesture_in_other_capitals():
    """The paper's seven classes have a "Facial Expression", its eighteen gestures a "Facial expression"."""
    tier = "Facial Expression [chironomy]"
    file = file_of(
        ("annotated", 0, 10),
        (tier, 0, 1, "Facial Expression"),
        (tier, 2, 3, "frowning"),  # typed by hand, as the correction
        (tier, 4, 5, ""),
        ("Facial Expression", 6, 7, ""),  # a person's tier, who need not care for capitals
    )
    fine = match(file, load_vocabulary("guitar-18"))
    assert fine.gestures["Facial expression"] == [(6, 7)]
    assert fine.gestures["Frowning"] == [(2, 3)]
    assert fine.ignored == {tier: 2}
    coarse = match(file, load_vocabulary("guitar-7"))
    assert coarse.superclasses["Facial Expression"] == [(0, 1), (4, 5)]
    assert coarse.gestures["Facial expression"] == [(6, 7)]
    assert coarse.ignored == {}
    assert coarse.classes(load_vocabulary("guitar-7"))["Facial Expression"] == [(0, 1), (2, 3), (4, 5), (6, 7)]


def test_superclasses_annotated_directly():
    matched = match(
        file_of(
            ("Nodding", 1, 2),
            ("Lifting head", 1.5, 3),
            ("head", 5, 6),
            ("frowning", 7, 8),
            ("annotated", 9, 12),
            ("Head [chironomy]", 10, 14, "Head"),
        ),
        SUPER,
    )
    assert matched.gestures == {"Nodding": [(1, 2)], "Lifting head": [(1.5, 3)], "Frowning": [(7, 8)]}
    assert matched.superclasses == {"Head": [(5, 6), (10, 12)], "Frowning": []}
    assert matched.classes(SUPER) == {"Head": [(1, 3), (5, 6), (10, 12)], "Frowning": [(7, 8)]}


def test_gestures_without_a_superclass_lead_to_normal_play():
    guitar = load_vocabulary("guitar-7")
    matched = match(file_of(("Physical energy", 1, 2), ("Facial expression", 3, 4)), guitar)
    assert matched.gestures["Physical energy"] == [(1, 2)]
    assert matched.ignored == {}
    present = {name: stretches for name, stretches in matched.classes(guitar).items() if stretches}
    assert present == {"Facial Expression": [(3, 4)]}


@pytest.mark.parametrize(("recording", "begin"), [("b", 2.0), ("a c", 3.5), ("50%", 4.0), ("other", 1.25), (None, 2.0)])
def test_time_origin(recording, begin):
    media = [
        Media("file:///C:/x/first.mp4", None, "video/mp4", 0.25),
        Media("file:///x/b.mp4", None, "video/mp4", 1.0),
        Media("file:///x/a%20c.mp4", None, "video/mp4", 2.5),
        Media("file:///x/50%.mp4", None, "video/mp4", 3.0),
    ]
    matched = match(file_of(("Nodding", 1, 2), ("annotated", 1, 3), media=media, name="b.eaf"), V, recording)
    assert matched.gestures["Nodding"] == [(begin, begin + 1)]
    assert matched.annotated == [(begin, begin + 2)]


def test_near_misses():
    matched = match(
        file_of(("Noding", 1, 2), ("gestures", 2, 3, "eyes close"), ("notes", 1, 2, "loud"), ("Nodding", 1, 2)),
        V,
    )
    assert matched.near_misses == {"Noding": "Nodding", "eyes close": "Eyes closed"}


def test_nothing_matches_says_what_was_found_and_expected():
    rows = [(f"tier {number}", 0, 1, "word " * 20) for number in range(30)]
    with pytest.raises(InputError) as error:
        match(file_of(*rows, ("Noding", 0, 1)), load_vocabulary("guitar-18"))
    message = str(error.value)
    assert message.startswith("video-1.eaf: nothing in it matches the vocabulary 'guitar-18': found tiers 'tier 0', ")
    assert "and 23 more" in message
    assert "expected 'Facial expression', 'Nodding'" in message
    assert "did 'Noding' mean 'Nodding'?" in message
    assert "\n" not in message
    assert len(message) < 900
    with pytest.raises(InputError, match=r"found tiers \(none\)"):
        match(file_of(), V)


def test_merge():
    assert merge([(3, 4), (0, 1), (1, 2), (0, 0.5), (3.5, 3.6)]) == [(0, 2), (3, 4)]
    assert merge([]) == []


def test_summary(tmp_path):
    path = tmp_path / "video-1.eaf"
    rows = [Interval(1, 2.5, "Nodding"), Interval(4, 5, "Nodding"), Interval(0, 1, "notes", "x")]
    write(path, rows, media=[Media("file:///v.mp4", "./v.mp4", "video/mp4")], tiers=["empty"])
    plain = {
        "file": str(path),
        "recording": "video-1",
        "tiers": [
            {"name": "empty", "count": 0, "seconds": 0, "first": None, "last": None},
            {"name": "Nodding", "count": 2, "seconds": 2.5, "first": 1.0, "last": 5.0},
            {"name": "notes", "count": 1, "seconds": 1.0, "first": 0.0, "last": 1.0},
        ],
        "media": [{"url": "file:///v.mp4", "relative_url": "./v.mp4", "mime_type": "video/mp4", "time_origin": 0.0}],
    }
    assert summarise(path) == plain
    matched = {
        "vocabulary": "v",
        "gestures": {"Nodding": {"count": 2, "seconds": 2.5}, "Eyes closed": {"count": 0, "seconds": 0}},
        "annotated": None,
        "ignored": {"empty": 0, "notes": 1},
        "near_misses": {},
    }
    assert json.loads(json.dumps(summarise(path, V))) == plain | matched


def test_summary_of_bad_files(tmp_path):
    path = tmp_path / "a.eaf"
    path.write_text("no XML")
    with pytest.raises(InputError, match="not a readable ELAN file"):
        summarise(path)
    write(path, [Interval(0, 1, "notes", "x")])
    with pytest.raises(InputError, match="nothing in it matches"):
        summarise(path, V)


def test_beat_rep(shared_data):
    """Two gestures by their values; the seconds are the sums that awk gives of the file's duration column."""
    beat_rep = Vocabulary("beat-rep", ("BEAT", "REP"))
    matched = match(read(shared_data / "annotated" / "beat_rep.txt"), beat_rep)
    seconds = {name: sum(end - begin for begin, end in spans) for name, spans in matched.gestures.items()}
    assert {name: len(spans) for name, spans in matched.gestures.items()} == {"BEAT": 14, "REP": 21}
    assert seconds == pytest.approx({"BEAT": 9.101, "REP": 15.132}, abs=0.02)
    assert matched.ignored == {}
