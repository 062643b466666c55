"""Which clips a model has seen, as it remembers them, and on which it may be judged."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from search.data import Data
from store.recording import Recording


def describe_use(data: Data, parts: Mapping[str, NDArray[np.intp]]) -> dict[str, Any]:
    """Return for each recording its content, and which of its clips are in which part.

    Parameters
    ----------
    data : Data
        All clips.
    parts : mapping
        Sorted indices of clips by the part's name.

    Returns
    -------
    dict
        JSON-ready, by recording; clips as [first, stop) pairs, counted in the recording.
    """
    described = {}
    for number, (recording, source) in enumerate(zip(data.recordings, data.sources, strict=True)):
        mine = data.timeline.recording == number
        first = int(np.argmax(mine))
        described[recording.id] = {
            "source_sha256": recording.attributes["source_sha256"],
            "roi": recording.attributes.get("roi"),
            "annotations": source.name,
            **{name: _to_ranges(index[mine[index]] - first) for name, index in parts.items()},
        }
    return described


def trained_on(used: Mapping[str, Any], recording: Recording) -> list[dict[str, Any]]:
    """Return what is remembered of a recording, known by its content; more than one where it had several names.

    Another region of the same video shows somebody else.

    Parameters
    ----------
    used : mapping
        As `describe_use` gives it.
    recording : Recording
        Which.
    """
    content = recording.attributes["source_sha256"], recording.attributes.get("roi")
    return [each for each in used.values() if (each["source_sha256"], each.get("roi")) == content]


def unseen(used: Mapping[str, Any], data: Data) -> NDArray[np.intp]:
    """Return the annotated clips on which a model may be judged: of recordings it has seen, their test part."""
    chosen = []
    for number, recording in enumerate(data.recordings):
        mine = np.flatnonzero((data.timeline.recording == number) & data.labels.known)
        first = int(np.argmax(data.timeline.recording == number))
        for entry in trained_on(used, recording):
            mine = np.intersect1d(mine, first + _from_ranges(entry["test"]))
        chosen.append(mine)
    return np.concatenate(chosen)


def _to_ranges(index: NDArray[np.intp]) -> list[list[int]]:
    """Return sorted indices as [first, stop) pairs."""
    pieces = np.split(index, np.flatnonzero(np.diff(index) != 1) + 1)
    return [[int(piece[0]), int(piece[-1]) + 1] for piece in pieces if len(piece)]


def _from_ranges(ranges: list[list[int]]) -> NDArray[np.intp]:
    pieces = [np.arange(first, stop) for first, stop in ranges]
    return np.concatenate(pieces) if pieces else np.empty(0, np.intp)
