"""Predictions into annotation files: beside what people have annotated, never over it."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from store.annotations import (
    SUGGESTED_TIER,
    AnnotationFile,
    EafDocument,
    Interval,
    check_ending,
    gesture_of,
    is_predicted,
    is_suggested,
    media_for,
    predicted_tier,
    read,
    shifted,
    time_origin,
    write,
)
from store.errors import InputError
from store.files import keep_original, require_writable
from store.matching import Stretch, annotated_stretches

_SLIVER = 0.25  # seconds: about as far as borders are off


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
        If both exist and differ, since one would be lost; if the one to keep cannot be read, or the other cannot
        be written. It costs nothing to know before the labelling.
    """
    there = out.is_dir() or (out.exists() and out.stat().st_size > 0)  # .txt without any annotation is empty
    base = annotations or (out if there else None)
    if base is not None:
        read(base)
        if there and not out.samefile(base):
            raise InputError(f"{out}: is there already; leave out --annotations to label into it, or name a new file")
    require_writable(out)
    return base


def write_predicted(
    base: Path | None,
    out: Path,
    video: Path,
    intervals: Sequence[Interval],
    gestures: Sequence[str],
    annotator: str,
    offset: float | None = None,
) -> list[Interval]:
    """Write predictions with everything that a base file holds.

    Inside the base's annotated stretches nothing is predicted, since it would count as truth there, and
    earlier predictions stay, since they have been reviewed. Elsewhere earlier predictions are replaced.
    Nothing else in the base changes; where it is written over, a copy of the first original stays as
    ``NAME.bak``. A file keeps its clock, but text made from an ELAN file is in seconds of the video.

    Parameters
    ----------
    base : Path or None
        The annotation file to keep, of any format.
    out : Path
        Where to write; its ending says in which format.
    video : Path
        The recording, which an ELAN file is linked to.
    intervals : sequence of Interval
        Predictions on tiers ``GESTURE [chironomy]``, in seconds of the video; what is worth looking at next on its own.
    gestures : sequence of str
        All gestures looked for: ELAN gets a tier for each, so that one that was not found shows as such.
    annotator : str
        Who predicted, for ELAN's tier attribute.
    offset : float, optional
        Seconds to be added to the base's times to have the video's, in place of its time origin.

    Returns
    -------
    list of Interval
        What the predicted tiers now hold, in the written file's time.
    """
    kept = read(base) if base is not None else AnnotationFile(out, (), ())
    origin = time_origin(kept, video.stem) if offset is None else offset
    if _is_elan(base) and not _is_elan(out):  # text has no origin
        kept = replace(kept, intervals=tuple(shifted(kept.intervals, origin)))
        origin = 0.0
    moved = shifted(intervals, -origin)
    reviewed = annotated_stretches(kept) or []
    ours = [each for each in kept.intervals if is_predicted(each.tier) and not is_suggested(each.tier)]
    earlier = _one_after_the_other([_named(each) for each in ours])
    predicted = beside_reviewed(earlier, moved, reviewed)
    tiers = [predicted_tier(gesture) for gesture in gestures] + [SUGGESTED_TIER] * any(
        is_suggested(each.tier) for each in moved
    )
    if _is_elan(out):
        document = _document(base, kept, out)
        document.move_to(out.parent)
        document.link_media(replace(media_for(video, out), time_origin=origin))
        document.replace_predicted(predicted, annotator, tiers=tiers)
        document.save(out)
    else:
        if out.is_file() and out.stat().st_size > 0:
            keep_original(out)
        human = [tier for tier in kept.tiers if not is_predicted(tier)]
        write(out, [*_human(kept), *predicted], tiers=[*human, *tiers])
    return predicted


def beside_reviewed(
    earlier: Sequence[Interval], fresh: Sequence[Interval], reviewed: Sequence[Stretch]
) -> list[Interval]:
    """Return earlier predictions inside reviewed stretches, and fresh ones outside.

    Where a stretch ends they are cut, and joined again if both sides say the same. What is cut off a fresh one and is
    too short to tell from an error of its border is left out.
    """
    ends = {round(bound, 3) for stretch in reviewed for bound in stretch}
    kept = _pieces(earlier, reviewed)
    added = [
        piece
        for piece in _pieces(fresh, _between(reviewed))
        if piece.end - piece.begin >= _SLIVER
        or not {piece.begin, piece.end} & ends
        or any(_meet(piece, each) or _meet(each, piece) for each in kept)
    ]
    order = {tier: place for place, tier in enumerate(dict.fromkeys(each.tier for each in (*added, *kept)))}
    joined: list[Interval] = []
    for piece in sorted([*kept, *added], key=lambda each: (order[each.tier], each.begin)):
        last = joined[-1] if joined else None
        if last is not None and _meet(last, piece) and piece.begin in ends:
            joined[-1] = replace(last, end=piece.end)
        else:
            joined.append(piece)
    return joined


def _meet(first: Interval, second: Interval) -> bool:
    """Return whether one ends where the other begins, and both say the same."""
    return (first.tier, first.value, first.end) == (second.tier, second.value, second.begin)


def _document(base: Path | None, kept: AnnotationFile, out: Path) -> EafDocument:
    """Return the ELAN document to add to: the base itself, or a new one with what it holds."""
    if base is not None and _is_elan(base):
        return EafDocument.open(base)
    document = EafDocument.new(out)
    document.add_tiers(_human(kept), tiers=[tier for tier in kept.tiers if not is_predicted(tier)])
    return document


def _is_elan(path: Path | None) -> bool:
    return path is not None and check_ending(path) == ".eaf"


def _human(kept: AnnotationFile) -> list[Interval]:
    return [interval for interval in kept.intervals if not is_predicted(interval.tier)]


def _one_after_the_other(intervals: Sequence[Interval]) -> list[Interval]:
    """Return intervals, those cut or left out that overlap one before them on their tier.

    They do where a gesture was predicted in ELAN's recognizers as well: on two tiers, which are one here.
    """
    free: dict[str, float] = {}
    left = []
    for each in sorted(intervals, key=lambda interval: (interval.begin, interval.end)):
        begin = max(each.begin, free.get(each.tier, 0.0))
        if begin < each.end:
            left.append(replace(each, begin=begin))
            free[each.tier] = each.end
    return left


def _named(interval: Interval) -> Interval:
    """Return a prediction on the tier that it has when it does not come through ELAN's recognizers."""
    return replace(interval, tier=predicted_tier(gesture_of(interval.tier)))


def _pieces(intervals: Sequence[Interval], stretches: Sequence[Stretch]) -> list[Interval]:
    """Return the parts of intervals that lie inside stretches and last a millisecond or more, as written."""
    parts = (
        replace(each, begin=round(max(each.begin, begin), 3), end=round(min(each.end, end), 3))
        for each in intervals
        for begin, end in stretches
    )
    return [part for part in parts if part.begin < part.end]


def _between(stretches: Sequence[Stretch]) -> list[Stretch]:
    """Return what sorted stretches leave free, from 0 on."""
    bounds = [0.0, *(bound for stretch in stretches for bound in stretch), float("inf")]
    return [(begin, end) for begin, end in zip(bounds[::2], bounds[1::2], strict=True) if begin < end]
