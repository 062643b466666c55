"""Gesture vocabularies: the built-in ones are the paper's, and one's own are checked."""

import json

import pytest

from store.errors import InputError
from store.vocabulary import Vocabulary, canonical, class_members, load_vocabulary

# The first column of Table 2, row by row.
TABLE_2 = [
    "Facial expression",
    "Nodding",
    "Right hand round",
    "Expressive shoulder movement",
    "Left hand gesture",
    "Lifting head",
    "Minimal movement",
    "Eyes closed",
    "Vibrato",
    "Expressive preparation",
    "Freeze",
    "Expressive head movement",
    "Frowning",
    "Physical energy",
    "Upbeat in head movement",
    "Repositioning guitar",
    "Sympathetic body movement",
    "Normal play",
]

# Table 4, without its last row (normal play), in the spelling of Table 2.
TABLE_4 = {
    "Facial Expression": ("Facial expression", "Eyes closed", "Frowning"),
    "Head related action": ("Nodding", "Lifting head", "Expressive head movement", "Upbeat in head movement"),
    "Right Hand action": ("Right hand round", "Repositioning guitar"),
    "Left hand action": ("Left hand gesture", "Vibrato"),
    "Relative stillness": ("Minimal movement", "Freeze"),
    "Upper body movement": ("Expressive shoulder movement", "Sympathetic body movement"),
}


def test_guitar_18():
    vocabulary = load_vocabulary("guitar-18")
    assert vocabulary.classes == tuple(TABLE_2)
    assert vocabulary.gestures == tuple(TABLE_2[:-1])
    assert vocabulary.background == "Normal play"
    assert class_members(vocabulary) == {gesture: (gesture,) for gesture in TABLE_2[:-1]}


def test_guitar_7():
    vocabulary = load_vocabulary("guitar-7")
    assert vocabulary.classes == (*TABLE_4, "Normal play")
    assert vocabulary.gestures == tuple(TABLE_2[:-1])
    assert class_members(vocabulary) == TABLE_4
    in_a_class = {gesture for members in TABLE_4.values() for gesture in members}
    assert set(vocabulary.gestures) - in_a_class == {"Expressive preparation", "Physical energy"}


@pytest.mark.parametrize("name", ["guitar-18", "guitar-7"])
def test_json_round_trip(name):
    vocabulary = load_vocabulary(name)
    again = Vocabulary.from_dict(json.loads(json.dumps(vocabulary.to_dict())), "model.json")
    assert again == vocabulary
    assert again.classes == vocabulary.classes
    assert vocabulary.mirror == {}


def test_own_file(tmp_path):
    path = tmp_path / "hands.toml"
    path.write_text(
        '\ufeffname = "hands"\ngestures = ["Left  wave", "Right wave ", "Clap"]\n'
        '[superclasses]\nWave = ["right wave", "LEFT WAVE"]\nClap = ["Clap"]\n'
        '[mirror]\n"left wave" = "right wave"\n',
        encoding="utf-8",
    )
    vocabulary = load_vocabulary(path)
    assert vocabulary.gestures == ("Left wave", "Right wave", "Clap")
    assert vocabulary.classes == ("Wave", "Clap")
    assert class_members(vocabulary) == {"Wave": ("Right wave", "Left wave"), "Clap": ("Clap",)}
    assert vocabulary.mirror == {"Left wave": "Right wave", "Right wave": "Left wave"}
    assert Vocabulary.from_dict(vocabulary.to_dict(), "model.json") == vocabulary
    assert load_vocabulary(str(path)) == vocabulary


@pytest.mark.parametrize(
    ("superclasses", "background", "mirrored"),
    [
        ({}, None, (1, 0, 2, 3)),
        ({}, "Rest", (1, 0, 2, 3, 4)),
        ({"Wave": ("Left", "Right"), "Other": ("Nod",)}, "Rest", (0, 1, 2)),
        ({"L": ("Left", "Nod"), "Clap": ("Clap",), "R": ("Nod", "Right")}, "Rest", (2, 1, 0, 3)),
        ({"One": ("Nod",), "Same": ("Nod",)}, None, (0, 1)),
    ],
)
def test_mirrored_classes(superclasses, background, mirrored):
    vocabulary = Vocabulary(
        "v",
        ("Left", "Right", "Nod", "Clap"),
        background,
        superclasses,
        {"Left": "Right", "Right": "Left"},
    )
    assert vocabulary.mirrored == mirrored
    assert [vocabulary.classes[mirrored[mirrored[index]]] for index in range(len(mirrored))] == [*vocabulary.classes]


def test_labels_of_mirrored_annotations_are_the_mirrored_labels():
    """Flip what is annotated gesture by gesture: the classes' labels change places as `mirrored` says."""
    vocabulary = Vocabulary(
        "v",
        ("Left wave", "Right wave", "Left foot", "Right foot", "Nod"),
        "Rest",
        {
            "Left": ("Left wave", "Left foot"),
            "Right": ("Right wave", "Right foot"),
            "Wave": ("Left wave", "Right wave"),
        },
        {"Left wave": "Right wave", "Right wave": "Left wave", "Left foot": "Right foot", "Right foot": "Left foot"},
    )

    def labels(shown: set[str]) -> list[bool]:
        active = [bool(shown & set(members)) for members in class_members(vocabulary).values()]
        return [*active, not any(active)]

    for number in range(2 ** len(vocabulary.gestures)):
        shown = {gesture for bit, gesture in enumerate(vocabulary.gestures) if number >> bit & 1}
        flipped = labels({vocabulary.mirror.get(gesture, gesture) for gesture in shown})
        assert flipped == [labels(shown)[index] for index in vocabulary.mirrored]


@pytest.mark.parametrize("name", ["guitar-18", "guitar-7"])
def test_built_in_classes_are_their_own_mirror_images(name):
    vocabulary = load_vocabulary(name)
    assert vocabulary.mirrored == tuple(range(len(vocabulary.classes)))


def test_canonical():
    assert canonical("  Eyes \t closed\n") == "eyes closed" == canonical("EYES CLOSED")


TWO = 'name = "v"\ngestures = ["A", "B"]\n'
BAD = {
    "not TOML": ("gestures = [", "not a TOML file"),
    "no name": ('gestures = ["A"]', "'name' must be given as text"),
    "no gestures": ('name = "v"', "'gestures' must be a list of at least one gesture"),
    "empty list": ('name = "v"\ngestures = []', "'gestures' must be a list of at least one gesture"),
    "text for a list": ('name = "v"\ngestures = "A"', "'gestures' must be a list"),
    "number": ('name = "v"\ngestures = [1]', "'gestures' must be given as text"),
    "blank": ('name = "v"\ngestures = [" "]', "'gestures' must be given as text"),
    "unknown key": (TWO + "backgruond = 1", "unknown key 'backgruond', did you mean 'background'"),
    "unlike any key": (TWO + "x = 1", "unknown key 'x'; the keys are name, gestures"),
    "duplicate": ('name = "v"\ngestures = ["A b", "a  B"]', "'a b' stands there 2 times"),
    "background is a gesture": (TWO + 'background = "a"', "background 'a' is a gesture or super-class too"),
    "background is a super-class": (
        TWO + 'background = "S"\n[superclasses]\nS = ["A"]',
        "'S' is a gesture or",
    ),
    "background list": (TWO + 'background = ["C"]', "'background' must be given as text"),
    "unknown member": (TWO + '[superclasses]\nS = ["AB", "Aa"]', "S: 'AB' is not among the gestures"),
    "near miss": (
        'name = "v"\ngestures = ["Nodding"]\n[superclasses]\nS = ["Noding"]',
        "did you mean 'Nodding'",
    ),
    "empty super-class": (TWO + "[superclasses]\nS = []", "'superclasses.S' must be a list of at least one"),
    "member twice": (TWO + '[superclasses]\nS = ["A", "a"]', "superclasses.S: 'a' stands there 2 times"),
    "super-class twice": (
        TWO + '[superclasses]\nS = ["A"]\ns = ["B"]',
        "superclasses: 's' stands there 2 times",
    ),
    "super-class without that gesture": (
        TWO + '[superclasses]\na = ["B"]',
        "'a' has the name of a gesture outside",
    ),
    "super-classes as a list": (TWO + 'superclasses = ["A"]', "'superclasses' must be a table"),
    "mirror of nothing": (TWO + '[mirror]\nA = "C"', "mirror: 'C' is not among the gestures"),
    "mirror unclear": (
        'name = "v"\ngestures = ["A", "B", "C"]\n[mirror]\nA = "C"\nB = "C"',
        "'C' becomes both",
    ),
    "mirror list": (TWO + '[mirror]\nA = ["B"]', "'mirror.A' must be given as text"),
    "torn apart": (
        'name = "v"\ngestures = ["A", "B", "C"]\n[superclasses]\nS = ["A", "C"]\nT = ["B"]\n[mirror]\nA = "B"',
        "super-class 'S' would be of B, C, which no super-class is",
    ),
    "torn from what is in none": (
        'name = "v"\ngestures = ["A", "B"]\n[superclasses]\nS = ["A"]\n[mirror]\nA = "B"',
        "super-class 'S' would be of B, which no super-class is",
    ),
    "annotated": ('name = "v"\ngestures = ["Annotated"]', "'Annotated' has a meaning of its own"),
    "predicted": ('name = "v"\ngestures = ["A [chironomy]"]', "has a meaning of its own"),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_file_is_one_clear_line(tmp_path, case):
    content, message = BAD[case]
    path = tmp_path / "v.toml"
    path.write_text(content)
    with pytest.raises(InputError, match=message) as error:
        load_vocabulary(path)
    assert str(error.value).startswith(f"{path}: ")
    assert "\n" not in str(error.value)


def test_not_found_lists_those_built_in(tmp_path):
    with pytest.raises(InputError, match="guitar-8: no such vocabulary; use guitar-18 or guitar-7, or name a TOML"):
        load_vocabulary("guitar-8")
    with pytest.raises(InputError, match="is a folder"):
        load_vocabulary(tmp_path)
    (tmp_path / "empty.toml").touch()
    with pytest.raises(InputError, match="the file is empty"):
        load_vocabulary(tmp_path / "empty.toml")
    (tmp_path / "latin.toml").write_bytes("é".encode("latin-1"))
    with pytest.raises(InputError, match="not UTF-8 text"):
        load_vocabulary(tmp_path / "latin.toml")
