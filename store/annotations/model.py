"""What an annotation file holds, whatever its format: intervals on tiers, in seconds."""

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from pathlib import Path


@dataclass(frozen=True, order=True)
class Interval:
    """One annotation.

    Parameters
    ----------
    begin, end : float
        Seconds from the start of the video, ``begin <= end``.
    tier : str
        Name of the tier it stands on.
    value : str
        Its text; may be empty.
    confidence : float or None
        Probability, 0 to 1, of an interval that chironomy predicted; None for a human's.
    """

    begin: float
    end: float
    tier: str
    value: str = ""
    confidence: float | None = None


def milliseconds(interval: Interval) -> tuple[int, int]:
    """Return an interval's begin and end as files hold them."""
    return round(interval.begin * 1000), round(interval.end * 1000)


def shifted(intervals: Iterable[Interval], seconds: float) -> list[Interval]:
    """Return intervals moved; what comes before 0 is cut off."""
    return [
        replace(each, begin=max(each.begin + seconds, 0.0), end=each.end + seconds)
        for each in intervals
        if each.end + seconds >= 0
    ]


def recording_of(path: Path) -> str:
    """Return the id of the recording that an annotation file belongs to: its name without the ending."""
    stem = Path(path.stem)
    boris = stem.suffix.lower() == ".boris" and path.suffix.lower() in (".tsv", ".csv")
    return stem.stem if boris else stem.name


@dataclass(frozen=True)
class Media:
    """A video or sound file that an annotation file is linked to.

    Parameters
    ----------
    url : str
        Absolute URL, as ELAN writes it (``file:///...``).
    relative_url : str or None
        The same relative to the annotation file's folder (``./video-1.mp4``).
    mime_type : str
        As ``video/mp4``.
    time_origin : float
        Seconds of the media before the annotation file's time 0 (ELAN's ``TIME_ORIGIN``): what the
        annotation file calls t is at t + time_origin in the media.
    """

    url: str
    relative_url: str | None
    mime_type: str
    time_origin: float = 0.0


@dataclass(frozen=True)
class AnnotationFile:
    """An annotation file as read.

    Parameters
    ----------
    path : Path
        Where it was read from; `recording_of` tells to which recording it belongs.
    tiers : tuple of str
        All tiers' names in the file's order, those without an annotation included.
    intervals : tuple of Interval
        In the file's order of tiers, by time within a tier.
    media : tuple of Media
        Linked media; empty for formats that link none.
    duration, frame_rate : float or None
        Of the annotated video, in seconds and frames a second, where the file says so itself.
    """

    path: Path
    tiers: tuple[str, ...]
    intervals: tuple[Interval, ...]
    media: tuple[Media, ...] = field(default=())
    duration: float | None = None
    frame_rate: float | None = None
