"""Annotated recordings: a store's recordings and the labels of their clips, brought together."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from heads.labels import Labels, label_clips
from search.blocks import Timeline
from store import annotations
from store.errors import InputError
from store.features import FeatureStore, Recording
from store.matching import Matched
from store.mismatch import clock_of, match_video
from store.vocabulary import Vocabulary


@dataclass(frozen=True)
class Data:
    """Annotated recordings of a store, their clips in one sequence.

    Parameters
    ----------
    recordings : tuple of Recording
        In the order of the clips.
    sources : tuple of Path
        Their annotation files.
    matched : tuple of Matched
        What these say.
    labels : Labels
        Of all clips.
    timeline : Timeline
        The same clips in time.
    notes : tuple of str
        What a user should know of the annotations: tiers left alone, files without a recording.
    """

    recordings: tuple[Recording, ...]
    sources: tuple[Path, ...]
    matched: tuple[Matched, ...]
    labels: Labels
    timeline: Timeline
    notes: tuple[str, ...]


def load_data(
    store: FeatureStore,
    paths: Sequence[Path],
    vocabulary: Vocabulary,
    rule: str = "majority",
    offset: float | None = None,
) -> Data:
    """Bring the recordings of a store together with their annotation files.

    Parameters
    ----------
    store : FeatureStore
        Where the features are.
    paths : sequence of Path
        Annotation files, or folders of them; a file belongs to the recording of its stem.
    vocabulary : Vocabulary
        The classes.
    rule : {"majority", "any"}
        Which clips are positive.
    offset : float, optional
        Seconds to be added to the annotations' times (see `store.mismatch`).

    Raises
    ------
    InputError
        If a file cannot be used or was not made on its video as it is, or none belongs to a recording of the store.
    """
    files = annotations.find(paths)
    notes = [
        f"{path}: the store has no recording {stem}; not used" for stem, path in files.items() if stem not in store
    ]
    found = {stem: path for stem, path in sorted(files.items()) if stem in store}
    if not found:
        raise InputError(
            f"{store.path}: none of its recordings ({', '.join(store.ids) or 'none'}) has an annotation file of "
            f"the same name among {', '.join(str(path) for path in paths)}; extract the video or rename the file"
        )
    recordings, read, labels = [], [], []
    for stem, path in found.items():
        recording = store[stem]
        matched = match_video(path, vocabulary, clock_of(recording), offset)
        recordings.append(recording)
        read.append(matched)
        labels.append(label_clips(recording, store.spec, matched, vocabulary, rule))
        notes += _describe_matching(path, matched)
    present = np.concatenate([each.positive[each.known] for each in labels])
    missing = [name for name, clips in zip(vocabulary.classes, present.T, strict=True) if not clips.any()]
    if missing:
        notes.append(f"annotated nowhere, so neither learned nor scored: {', '.join(missing)}")
    joined = Labels(
        frames=np.concatenate([each.frames for each in labels]),
        known=np.concatenate([each.known for each in labels]),
        rule=rule,
    )
    timeline = Timeline(
        times=np.concatenate([recording.read("times") for recording in recordings]),
        recording=np.repeat(np.arange(len(recordings)), [recording.clips for recording in recordings]),
        known=joined.known,
        positive=joined.positive,
        names=tuple(recording.id for recording in recordings),
        videos=tuple(recording.attributes["source_sha256"] for recording in recordings),
    )
    return Data(tuple(recordings), tuple(found.values()), tuple(read), joined, timeline, tuple(notes))


def _describe_matching(path: Path, matched: Matched) -> list[str]:
    """Return in words which tiers of a file were left alone, near misses pointed out."""
    notes = []
    predicted, others = (
        [tier for tier in matched.ignored if annotations.is_predicted(tier) == each] for each in (True, False)
    )
    if others:
        notes.append(f"{path}: left alone: {', '.join(others)}")
    if predicted:
        notes.append(
            f"{path}: of another vocabulary, and not used: {', '.join(predicted)}; where nothing else is annotated, "
            "its 'annotated' stretches count as without gestures"
        )
    notes += [
        f"{path}: {found!r} is not in the vocabulary; did you mean {meant!r}?"
        for found, meant in matched.near_misses.items()
    ]
    outside = sum(
        not matched.within(*stretch)
        for stretches in (*matched.gestures.values(), *matched.superclasses.values())
        for stretch in stretches
    )
    if outside:
        notes.append(f"{path}: {outside} annotations lie outside its 'annotated' stretches and are not used")
    return notes
