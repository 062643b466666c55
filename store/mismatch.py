"""Whether annotations were made on a video as it is, and what speaks against it where they were not.

Conventions: an offset says when, on the video's clock, the annotation file's time 0 is, as ELAN's
``TIME_ORIGIN`` does, in whose place it is taken. What the file calls t is at t + offset in the video: -10 belongs
to a copy of the video from which the first ten seconds were cut.
"""

import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from store.annotations import AnnotationFile, is_predicted, media_names, read, recording_of, time_origin
from store.errors import InputError
from store.features import FeatureStore
from store.matching import Matched, Stretch, match, summarise
from store.recording import Recording
from store.vocabulary import Vocabulary

BEYOND_AT_MOST = 0.5  # seconds: hand-set borders may pass the last frame a little
HEADER_BEYOND = 2.0  # seconds, where the end is a header's, which counts no picture that begins after the sound

_ENOUGH = 12  # borders from which a frame rate is told; that all lie on a grid by chance is less likely than 1e-16
_ON_GRID = 0.0006  # seconds: half a millisecond of rounding
_NTSC = 1000 / 1001  # 29.97 is 30 times this


@dataclass(frozen=True)
class Clock:
    """What is known of a video's time.

    Parameters
    ----------
    recording : str
        The recording's id.
    end : float
        When its last frame ends, in seconds.
    rate : float
        Frames a second.
    """

    recording: str
    end: float
    rate: float


def clock_of(recording: Recording) -> Clock:
    """Return the clock of a stored recording."""
    attributes = recording.attributes
    return Clock(recording.id, float(attributes["frames_end"]), float(attributes["frame_rate"]))


def match_video(
    path: Path,
    vocabulary: Vocabulary,
    clock: Clock,
    offset: float | None = None,
    required: bool = True,
    beyond: float = BEYOND_AT_MOST,
) -> Matched:
    """Tell which annotations of a file count for which gesture of a video, having checked that it is the video.

    Parameters
    ----------
    path : Path
        The annotation file.
    vocabulary : Vocabulary
        The gestures to look for.
    clock : Clock
        Of the video.
    offset : float, optional
        Seconds to be added to the file's times, in place of its time origin. If it is given, 0 included,
        annotations may lie outside the video, as with a copy that was cut; what lies outside means nothing.
    required : bool
        Whether something must match.
    beyond : float
        Seconds by which annotations may pass the video's end.

    Raises
    ------
    InputError
        If the file cannot be read, nothing in it matches the vocabulary and something must, or its times are
        not this video's.
    """
    file = read(path)
    matched = match(file, vocabulary, clock.recording, offset, required)
    marked = {"annotated": matched.annotated or []}
    check_times(file, {**matched.gestures, **matched.superclasses, **marked}, clock, offset, beyond)
    return matched


def check_times(
    file: AnnotationFile,
    stretches: Mapping[str, Sequence[Stretch]],
    clock: Clock,
    offset: float | None = None,
    beyond: float = BEYOND_AT_MOST,
) -> None:
    """Refuse annotations whose times cannot be a video's, saying what is likely the matter.

    Parameters
    ----------
    file : AnnotationFile
        As read.
    stretches : mapping of str to sequence of (float, float)
        Begin and end of what counts in it, by name, in seconds of the video.
    clock : Clock
        Of the video.
    offset, beyond
        As in `match_video`.

    Raises
    ------
    InputError
        If some lie beyond the video's end, or all lie outside of it, or their borders are frames of a rate
        that is the video's with its decimals cut off.
    """
    spans = [(begin, end, name) for name, found in stretches.items() for begin, end in found]
    if offset is not None:
        if spans and not any(begin < clock.end and end > 0 for begin, end, _ in spans):
            raise _refused(file, clock, f"with --offset {offset:g} all its annotations lie outside; check its sign")
        return
    if file.duration is not None and abs(file.duration - clock.end) > max(1.0, clock.end / 100):
        rate = "" if file.frame_rate is None else f" at {file.frame_rate:.5g} frames a second"
        says = f"it says that its video lasts {file.duration:.3f} s{rate}"
        raise _refused(file, clock, f"{says}; likely a copy that was cut; say what to add with --offset, 0 for nothing")
    truncated = _truncated(file, clock.rate)
    latest = clock.end + beyond
    outside = [span for span in spans if span[0] >= latest - BEYOND_AT_MOST or span[1] > latest]
    if truncated is True:
        raise _refused(file, clock, _stretched(clock.rate))
    if outside:
        _, end, name = max(outside, key=lambda span: span[1])
        figures = f"{len(outside)} of {len(spans)} annotations lie beyond its end, {name} up to {end:.3f} s"
        first = min(begin for begin, _, _ in spans)
        raise _refused(file, clock, f"{figures}; {_cause(file, clock, first, end, truncated)}")


def check_all(file: AnnotationFile, clock: Clock, offset: float | None = None, beyond: float = BEYOND_AT_MOST) -> None:
    """Refuse people's annotations, whatever they are of, whose times cannot be a video's; as `check_times` does."""
    origin = time_origin(file, clock.recording) if offset is None else offset
    stretches: dict[str, list[Stretch]] = {tier: [] for tier in file.tiers if not is_predicted(tier)}
    for each in file.intervals:
        if each.tier in stretches:
            stretches[each.tier].append((each.begin + origin, each.end + origin))
    check_times(file, stretches, clock, offset, beyond)


def summarise_checked(
    path: Path, vocabulary: Vocabulary | None = None, store: FeatureStore | None = None, offset: float | None = None
) -> dict[str, Any]:
    """Summarise an annotation file, and check it against its video where a store has that.

    Parameters
    ----------
    path : Path
        The file, named after the recording.
    vocabulary : Vocabulary, optional
        Then also what counts for which gesture; without it all of people's annotations are checked.
    store : FeatureStore, optional
        Where the recording may be.
    offset : float, optional
        As in `match_video`.

    Returns
    -------
    dict
        As of `store.matching.summarise`, and with a store ``video``: the recording's ``seconds`` and
        ``frame_rate``, None if it is not there.

    Raises
    ------
    InputError
        As in `match_video`.
    """
    summary = summarise(path, vocabulary)
    if store is None:
        return summary
    recording = recording_of(path)
    if recording not in store:
        return summary | {"video": None}
    clock = clock_of(store[recording])
    if vocabulary is not None:
        match_video(path, vocabulary, clock, offset)
    else:
        check_all(read(path), clock, offset)
    return summary | {"video": {"seconds": clock.end, "frame_rate": clock.rate}}


def doubts(path: Path, video: Path, name: str | None = None, unlinked: bool = True) -> list[str]:
    """Return a note where neither the name of an annotation file nor a medium it is linked to is the video's.

    Parameters
    ----------
    path : Path
        The annotation file.
    video : Path
        The video that it is to be taken for.
    name : str, optional
        Id of the video's recording, where it is not the file's stem.
    unlinked : bool
        Whether to doubt a file that is linked to nothing, as text is.
    """
    known, file = {video.stem, name}, read(path)
    other = _another(file, known)
    if recording_of(path) in known or (other is None and (file.media or not unlinked)):
        return []
    what = "is neither named after nor linked to" if other is None else f"is linked to {other!r}, not to"
    return [f"{path}: {what} {video.name}; if it is another video's, the labels are wrong"]


def _another(file: AnnotationFile, recordings: Collection[str | None]) -> str | None:
    """Return the name of a medium that a file is linked to, None if one is of these recordings or there is none."""
    names = sorted(name for link in file.media for name in media_names(link.url))
    return names[0] if names and not any(Path(name).stem in recordings for name in names) else None


def _cause(file: AnnotationFile, clock: Clock, first: float, last: float, truncated: bool | None) -> str:
    """Return what is likely the matter with annotations beyond the end, and what to do."""
    origin = time_origin(file, clock.recording)
    if origin > 0 and last - origin <= clock.end + BEYOND_AT_MOST:
        return f"likely its TIME_ORIGIN of {origin:.3f} s is not this video's; synchronise it again in ELAN"
    if truncated is None and _ntsc(clock.rate) and last <= (clock.end + BEYOND_AT_MOST) * _excess(clock.rate):
        return _stretched(clock.rate)
    other = _another(file, {clock.recording})
    linked = "" if other is None else f" (it is linked to {other!r})"
    if last - first <= clock.end:
        return (
            f"likely the video is a copy that begins later than the annotated one, or another video{linked}; "
            "if a copy, say with --offset what is to be added to the times, as --offset -12.5"
        )
    return (
        f"likely the video is a shorter copy of the annotated one, or another video{linked}; "
        "if a copy that begins with it, --offset 0 uses what lies within"
    )


def _truncated(file: AnnotationFile, rate: float) -> bool | None:
    """Return whether the borders are frames of a rate with its decimals cut off; None if too few can tell."""
    if not _ntsc(rate):
        return None
    borders = {
        time
        for interval in file.intervals
        if not is_predicted(interval.tier)
        for time in (interval.begin, interval.end)
        if time != round(time)  # a whole second is a frame of any such rate
    }
    if len(borders) < _ENOUGH:
        return None
    return all(_off_grid(time, math.floor(rate)) <= _ON_GRID for time in borders)


def _off_grid(time: float, rate: float) -> float:
    """Return how many seconds a time is away from the nearest frame."""
    return abs(time - round(time * rate) / rate)


def _ntsc(rate: float) -> bool:
    return abs(rate - round(rate / _NTSC) * _NTSC) < 0.005


def _excess(rate: float) -> float:
    """Return by what times become too long when a rate's decimals are cut off."""
    return rate / math.floor(rate)


def _stretched(rate: float) -> str:
    return (
        f"likely its times were reckoned with {math.floor(rate)} frames a second instead of {rate:.2f}, and are "
        f"{_excess(rate) - 1:.1%} too long; make them again with the true rate"
    )


def _refused(file: AnnotationFile, clock: Clock, what: str) -> InputError:
    video = f"the video {clock.recording} ({clock.end:.3f} s, {clock.rate:.5g} frames a second)"
    return InputError(f"{file.path}: does not fit {video}: {what}")
