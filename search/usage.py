"""Which clips a model has seen, as it remembers them, and on which it may be judged."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from search.data import Data
from store.matching import Matched
from store.recording import Recording


def describe_use(data: Data, parts: Mapping[str, NDArray[np.intp]]) -> dict[str, Any]:
    """Return for each recording its content, what was annotated, and which of its clips are in which part.

    Parameters
    ----------
    data : Data
        All clips.
    parts : mapping
        Sorted indices of clips by the part's name.

    Returns
    -------
    dict
        JSON-ready, by recording; clips as [first, stop) pairs, counted in the recording, those annotated as ``known``;
        annotations by gesture, as ``truth``.
    """
    described = {}
    parts = {**parts, "known": np.flatnonzero(data.labels.known)}
    for number, (recording, source, matched) in enumerate(
        zip(data.recordings, data.sources, data.matched, strict=True)
    ):
        mine = data.timeline.recording == number
        first = int(np.argmax(mine))
        described[recording.id] = {
            "source_sha256": recording.attributes["source_sha256"],
            "roi": recording.attributes.get("roi"),
            "annotations": source.name,
            "truth": truth_of(matched),
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


def truth_of(matched: Matched) -> dict[str, list[list[float]]]:
    """Return the annotations that count, by gesture, in seconds to the millisecond; JSON-ready.

    Those are the ones inside annotated stretches, where these are marked.
    """
    stretches = [(0.0, float("inf"))] if matched.annotated is None else matched.annotated
    return {
        name: [
            [round(max(begin, first), 3), round(min(end, last), 3)]
            for begin, end in events
            for first, last in stretches
            if begin < last and end > first
        ]
        for name, events in {**matched.gestures, **matched.superclasses}.items()
        if events
    }


def earlier_parts(used: Mapping[str, Any], data: Data) -> NDArray[np.str_]:
    """Return for each clip the part that it was in, "known" if it was annotated and in none, "" if it was not.

    What any model before has learned from is "training".
    """
    found = np.full(len(data.labels.known), "", dtype="<U10")
    for number, recording in enumerate(data.recordings):
        first = int(np.argmax(data.timeline.recording == number))
        for entry in trained_on(used, recording):
            for key in ("known", "learned", "training", "validation", "test"):  # the last one holds
                mine = _from_ranges(entry.get(key, []))
                found[first + mine[mine < recording.clips]] = "training" if key == "learned" else key
    return found


def inherit(used: dict[str, Any], earlier: Mapping[str, Any]) -> None:
    """Let a model that began with an earlier one remember what that had learned from, as ``learned``.

    Parameters
    ----------
    used : dict
        As `describe_use` gives it; it is changed.
    earlier : mapping
        The same of the earlier model. Recordings that are not in `used` are taken over.
    """
    for name, entry in earlier.items():
        content = entry["source_sha256"], entry.get("roi")
        again = [each for each in used.values() if (each["source_sha256"], each.get("roi")) == content]
        if not again:
            used[name if name not in used else f"{name} ({entry['source_sha256'][:8]})"] = entry
        learned = [_from_ranges(entry.get(key, [])) for key in ("learned", "training", "validation")]
        for each in again:
            each["learned"] = _to_ranges(np.unique(np.concatenate([_from_ranges(each.get("learned", [])), *learned])))


def _to_ranges(index: NDArray[np.intp]) -> list[list[int]]:
    """Return sorted indices as [first, stop) pairs."""
    pieces = np.split(index, np.flatnonzero(np.diff(index) != 1) + 1)
    return [[int(piece[0]), int(piece[-1]) + 1] for piece in pieces if len(piece)]


def _from_ranges(ranges: list[list[int]]) -> NDArray[np.intp]:
    pieces = [np.arange(first, stop) for first, stop in ranges]
    return np.concatenate(pieces) if pieces else np.empty(0, np.intp)
