"""The tables of the user's own data: Tables 1, 2, 3, 5 and 6 of the paper."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from heads.labels import label_clips, label_frames
from search.paper import ALL, FIRST, RECORDINGS, SYSTEMS, paper_table
from search.parts import PARTS
from search.rendering.tables import Entry, Row, Table
from search.reproduction.experiments import BLOCKED, LEFT_OUT, VOCABULARIES, Experiment
from search.reproduction.results import Result
from store.features import FeatureStore
from store.mismatch import clock_of, match_video
from store.recording import Recording
from store.vocabulary import Vocabulary, class_members, load_vocabulary

GESTURES, SUPERCLASSES = VOCABULARIES


@dataclass(frozen=True)
class Counted:
    """What is annotated of a recording, in the classes of one vocabulary.

    Parameters
    ----------
    recording : Recording
        Which.
    vocabulary : Vocabulary
        Its classes.
    frames : ndarray of bool, shape (frames, classes)
        Which classes are present in each annotated frame.
    occurrences : tuple of int or None
        Annotations of each class; none of the background.
    clips : ndarray of int, shape (classes,)
        Clips in which each class is present.
    """

    recording: Recording
    vocabulary: Vocabulary
    frames: NDArray[np.bool_]
    occurrences: tuple[int | None, ...]
    clips: NDArray[np.intp]


def count_recording(
    store: FeatureStore, file: Path, vocabulary: Vocabulary, rule: str, offset: float | None
) -> Counted:
    """Count what is annotated of a recording.

    Parameters
    ----------
    store : FeatureStore
        Where the recording is.
    file : Path
        Its annotations.
    vocabulary : Vocabulary
        The classes.
    rule : {"majority", "any"}
        Which clips are positive.
    offset : float, optional
        Seconds to be added to the annotations' times.
    """
    recording = store[file.stem]
    matched = match_video(file, vocabulary, clock_of(recording), offset)
    frames, inside = label_frames(recording, matched, vocabulary)
    occurrences: list[int | None] = [
        sum(matched.within(*stretch) for gesture in members for stretch in matched.gestures[gesture])
        + sum(matched.within(*stretch) for stretch in matched.superclasses.get(name, []))
        for name, members in class_members(vocabulary).items()
    ]
    if vocabulary.background is not None:
        occurrences.append(None)
    labels = label_clips(recording, store.spec, matched, vocabulary, rule)
    return Counted(recording, vocabulary, frames[inside], tuple(occurrences), labels.positive[labels.known].sum(axis=0))


def count_all(
    store: FeatureStore, files: Sequence[Path], rule: str, offset: float | None = None
) -> dict[str, list[Counted]]:
    """Count what is annotated, by vocabulary; recordings in order."""
    loaded = {name: load_vocabulary(name) for name in VOCABULARIES}
    return {
        name: [count_recording(store, file, vocabulary, rule, offset) for file in files]
        for name, vocabulary in loaded.items()
    }


def recordings_table(counted: Sequence[Counted], store: FeatureStore) -> Table:
    """Return Table 1: technical characteristics."""
    columns = ("recording", "file", "duration (s)", "frames/s", "frames", "dimension", "sound (kHz)", "clips")
    rows: list[Row] = []
    for each in counted:
        known = each.recording.attributes
        size = f"{known['height']} × {known['width']}" if "height" in known else ""
        rate = store.spec.audio["rate"] / 1000 if each.recording.has_sound else "no sound"
        frames = len(each.recording.read("frame_times"))
        rates = float(known["duration"]), float(known["frame_rate"])
        rows.append((each.recording.id, known["source_name"], *rates, frames, size, rate, each.recording.clips))
    note = "The store keeps no sampling rate of the source: sound is analysed at the rate shown."
    return Table("table-1", "Table 1: Technical characteristics of the recordings", columns, tuple(rows), (note,))


def counts_tables(counted: dict[str, list[Counted]]) -> list[Table]:
    """Return Tables 2, 3 and 5: frames, annotations and clips of each class."""
    gestures, superclasses = counted[GESTURES], counted[SUPERCLASSES]
    return [
        _counts(
            "table-2",
            "Table 2: Frames in which each class is present",
            gestures,
            [each.frames.sum(axis=0).tolist() for each in gestures],
        ),
        _counts("table-3", "Table 3: Annotations of each class", gestures, [each.occurrences for each in gestures]),
        _counts(
            "table-5",
            "Table 5: Clips of each super-class",
            superclasses,
            [each.clips.tolist() for each in superclasses],
        ),
    ]


def parts_table(results: dict[Experiment, Result | str]) -> Table:
    """Return Table 6: the experiments, and how many clips each part of them has."""
    paper = paper_table("6")
    rows: list[Row] = []
    for (data, split), systems in _grouped(results).items():
        found = next((each for each in systems.values() if isinstance(each, Result)), None)
        parts: list[Entry] = ["–" if found is None else found.clips[part] for part in PARTS]
        theirs = [paper.get((_paper_row(data, results), part), "") for part in PARTS]
        beside = [int(each) if isinstance(each, float) and split != BLOCKED else None for each in theirs]
        rows.append((_named(data), split, "; ".join(systems), *parts, *beside))
    columns = ("data", "split", "systems", *PARTS, *(f"paper: {part}" for part in PARTS))
    return Table("table-6", "Table 6: Experiments, and clips in each part", columns, tuple(rows))


def _counts(name: str, title: str, counted: Sequence[Counted], values: Sequence[Sequence[int | None]]) -> Table:
    classes = counted[0].vocabulary.classes
    rows = tuple(
        (class_, *("–" if column[number] is None else int(column[number]) for column in values))  # type: ignore[arg-type]
        for number, class_ in enumerate(classes)
    )
    return Table(name, title, ("class", *(each.recording.id for each in counted)), rows)


def _grouped(results: dict[Experiment, Result | str]) -> dict[tuple[str, str], dict[str, Result | str]]:
    """Return the results by data and split, then by the system's name."""
    found: dict[tuple[str, str], dict[str, Result | str]] = {}
    for each, result in results.items():
        if each.vocabulary == LEFT_OUT[1]:
            found.setdefault((each.data, each.split), {})[SYSTEMS[each.system]] = result
    return found


def _paper_row(data: str, results: dict[Experiment, Result | str]) -> str:
    left_out = list(dict.fromkeys(each.data for each in results if each.split.startswith("leave-out:")))
    return data if data in (FIRST, ALL) else dict(zip(left_out, RECORDINGS, strict=False)).get(data, "")


def _named(data: str) -> str:
    return {FIRST: "first recording", ALL: "all recordings"}.get(data, f"leave out {data}")
