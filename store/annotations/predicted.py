"""Predictions into annotation files: beside what people have annotated, never over it."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from store.annotations import read, write
from store.annotations.elan import EafDocument
from store.annotations.media import media_for, time_origin
from store.annotations.model import AnnotationFile, Interval
from store.annotations.tiers import is_predicted, predicted_tier
from store.errors import InputError

ELAN_ENDING = ".eaf"


def base_for(annotations: Path | None, out: Path) -> Path | None:
    """Return the file whose annotations the labelled one keeps, None to start afresh.

    Parameters
    ----------
    annotations : Path or None
        The file that was named as the one to label into.
    out : Path
        The file to write; if it exists it is labelled into.

    Raises
    ------
    InputError
        If both exist and differ, since one would be lost.
    """
    if annotations is None:
        return out if out.exists() else None
    if out.exists() and not out.samefile(annotations):
        raise InputError(
            f"{out}: is there already; leave out --annotations to label into it, or name a new file"
        )
    return annotations


def write_predicted(
    base: Path | None,
    out: Path,
    video: Path,
    intervals: Sequence[Interval],
    gestures: Sequence[str],
    annotator: str,
) -> None:
    """Write predictions with everything that a base file holds.

    Earlier predictions in the base are replaced; nothing else in it changes.

    Parameters
    ----------
    base : Path or None
        The annotation file to keep, of any format.
    out : Path
        Where to write; its ending says in which format.
    video : Path
        The recording, which an ELAN file is linked to.
    intervals : sequence of Interval
        Predictions on tiers ``GESTURE [chironomy]``, in seconds of the video.
    gestures : sequence of str
        All gestures looked for: ELAN gets a tier for each, so that a gesture that was not found shows as such.
    annotator : str
        Who predicted, for ELAN's tier attribute.
    """
    kept = read(base) if base is not None else AnnotationFile(out, (), ())
    shifted = _on_the_clock_of(kept, intervals, video.stem)
    if out.suffix.lower() == ELAN_ENDING:
        if base is not None and base.suffix.lower() == ELAN_ENDING:
            document = EafDocument.open(base)
        else:
            document = EafDocument.new(out)
            human = [interval for interval in kept.intervals if not is_predicted(interval.tier)]
            document.add_tiers(human, tiers=[tier for tier in kept.tiers if not is_predicted(tier)])
        document.link_media(media_for(video, out))
        document.replace_predicted(
            shifted, annotator, tiers=[predicted_tier(gesture) for gesture in gestures]
        )
        document.save(out)
        return
    human = [interval for interval in kept.intervals if not is_predicted(interval.tier)]
    write(out, [*human, *shifted])


def _on_the_clock_of(kept: AnnotationFile, intervals: Sequence[Interval], recording: str) -> list[Interval]:
    """Return the intervals in the file's own time, which may start later than the video."""
    origin = time_origin(kept, recording)
    moved = [replace(each, begin=max(each.begin - origin, 0.0), end=each.end - origin) for each in intervals]
    return [interval for interval in moved if interval.end > interval.begin]
