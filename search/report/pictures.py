"""Clips as pictures, where their video is at hand."""

import io
from collections.abc import Collection, Iterable, Mapping, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from extract.sound import pieces
from extract.video import frames
from search.report.pieces import Shot
from store.errors import InputError
from store.progress import progress
from store.recording import Recording

Clip = tuple[str, int]  # recording, and number of the clip in it
_FRAMES = 8  # of a clip, in its loop
_MILLISECONDS = 80  # that each is shown
_QUALITY = 60


def find_videos(
    recordings: Sequence[Recording], beside: Sequence[Path], given: Sequence[Path]
) -> tuple[dict[str, Path], list[str]]:
    """Find the videos that recordings were made from.

    Parameters
    ----------
    recordings : sequence of Recording
        Whose.
    beside : sequence of Path
        Folders in which to look by the name of the source.
    given : sequence of Path
        Videos, or folders of them, in which to look first.

    Returns
    -------
    found : dict of Path
        By the recording's id.
    notes : list of str
        Which files of that name are others.

    Raises
    ------
    InputError
        If something given is not there.
    """
    for named in given:
        if not named.exists():
            raise InputError(f"{named}: no such video or folder; check the name")
    folders = [path for path in given if path.is_dir()] + list(beside)
    files = {path.name: path for path in given if path.is_file()}
    found, notes = {}, []
    for recording in recordings:
        name, size = recording.attributes["source_name"], recording.attributes.get("source_size")
        candidates = [files[name]] if name in files else [folder / name for folder in folders]
        path: Path | None = next((each for each in candidates if each.is_file()), None)
        if path is not None and path.stat().st_size == size:
            found[recording.id] = path
        elif path is not None:
            notes.append(f"{path}: is another video than {recording.id} was made from; its pictures are left out")
    return found, notes


def pictures_of(
    recordings: Sequence[Recording], videos: Mapping[str, Path], wanted: Collection[Clip]
) -> dict[Clip, list[NDArray[np.uint8]]]:
    """Return frames of clips, (112, 112, 3) each, as the network sees them; each video is decoded once.

    Parameters
    ----------
    recordings : sequence of Recording
        Of which clips are wanted.
    videos : mapping
        By the recording's id; what has none has no pictures.
    wanted : collection of (str, int)
        Recording and number of the clip.
    """
    found: dict[Clip, list[NDArray[np.uint8]]] = {}
    for recording in recordings:
        mine = sorted(number for name, number in wanted if name == recording.id)
        if recording.id not in videos or not mine:
            continue
        times = recording.read("times")[mine]
        with progress(f"pictures of {recording.id}", None, "frames") as advance:
            for frame in frames(videos[recording.id], roi=_region(recording)):
                advance()
                for number, (begin, end) in zip(mine, times, strict=True):
                    if begin <= frame.time < end:
                        found.setdefault((recording.id, number), []).append(frame.picture)
                if frame.time > times[:, 1].max():
                    break
    return {clip: seen[:: max(1, len(seen) // _FRAMES)] for clip, seen in found.items()}


def shot(name: str, caption: str, seen: Sequence[NDArray[np.uint8]]) -> Shot:
    """Return a clip's pictures as a loop."""
    images = [Image.fromarray(picture) for picture in seen]
    moving, still = io.BytesIO(), io.BytesIO()
    images[0].save(
        moving, "WEBP", save_all=True, append_images=images[1:], duration=_MILLISECONDS, loop=0, quality=_QUALITY
    )
    images[len(images) // 2].save(still, "WEBP", quality=_QUALITY)
    return Shot(name, caption, moving.getvalue(), still.getvalue())


def sound_between(path: Path, begin: float, end: float, rate: int) -> NDArray[np.float32]:
    """Return a video's sound between two times, (samples,); zeros where there is none."""
    first, last = round(begin * rate), round(end * rate)
    samples = np.zeros(last - first, np.float32)
    for at, piece in _until(pieces(path, rate), last):
        start, stop = max(at, first), min(at + len(piece), last)
        if start < stop:
            samples[start - first : stop - first] = piece[start - at : stop - at]
    return samples


def timecode(seconds: float) -> str:
    """Return a time as minutes and seconds."""
    return f"{int(seconds // 60)}:{seconds % 60:04.1f}"


def _until(found: Iterable[tuple[int, NDArray]], last: int) -> Iterable[tuple[int, NDArray]]:
    for at, piece in found:
        if at >= last:
            return
        yield at, piece


def _region(recording: Recording) -> tuple[int, int, int, int] | None:
    region = recording.attributes.get("roi")
    return None if region is None else tuple(region)
