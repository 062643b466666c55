"""Links from an annotation file to the videos and sound files that it annotates."""

import os
import re
from pathlib import Path, PurePath
from urllib.parse import quote, unquote

from store.annotations.model import AnnotationFile, Media

# ELAN's own types by ending (its MediaDescriptorUtility).
_MIME_TYPES = {
    **{".mpg": "video/mpeg", ".mpeg": "video/mpeg", ".mp4": "video/mp4", ".mpg4": "video/mp4"},
    **{".mov": "video/quicktime", ".qt": "video/quicktime", ".wav": "audio/x-wav"},
    **dict.fromkeys((".aif", ".aiff", ".au", ".flac", ".m4a", ".mp3", ".ogg", ".wma"), "audio/*"),
}


def media_for(video: Path, eaf_path: Path) -> Media:
    """Describe a video or sound file as ELAN links it from an annotation file.

    `url` is a URI, and escaped. `relative_url` is not: ELAN neither escapes nor unescapes what it links, so
    only the plain name leads it to a file with a space in its name; it looks there when `url` fails.

    Parameters
    ----------
    video : Path
        The media file; symbolic links are not followed, so that the name stays the recording's.
    eaf_path : Path
        The annotation file, which need not exist yet.
    """
    absolute = Path(os.path.abspath(video))  # noqa: PTH100 (Path.resolve follows symbolic links)
    mime_type = _MIME_TYPES.get(absolute.suffix.lower(), "video/*")
    try:
        relative = Path(os.path.relpath(absolute, os.path.abspath(eaf_path.parent))).as_posix()  # noqa: PTH100
    except ValueError:  # another drive on Windows
        return Media(absolute.as_uri(), None, mime_type)
    return Media(absolute.as_uri(), _valid(relative if relative.startswith("../") else f"./{relative}"), mime_type)


def _valid(relative: str) -> str:
    """Return a relative URL as the EAF schema allows it, otherwise as it is.

    Brackets, bare per cent signs and a second number sign are no part of a valid xs:anyURI. Escaped, ELAN
    does not find such a name by it, but by the absolute URL, which it tries first.
    """
    refused = r"%(?![0-9A-Fa-f]{2})|[][]" + ("|#" if relative.count("#") > 1 else "")
    return re.sub(refused, lambda sign: quote(sign[0]), relative)


def media_names(url: str) -> set[str]:
    """Return the file names that a URL may stand for: as written, and unescaped.

    ELAN writes names as they are, other programs escape them; ``50%25.mp4`` can be either.
    """
    name = url.replace("\\", "/").rpartition("/")[2]
    return {name, unquote(name)}


def time_origin(file: AnnotationFile, recording: str) -> float:
    """Return the seconds of a recording before its annotation file's time 0.

    Parameters
    ----------
    file : AnnotationFile
        Its linked media have the time origins.
    recording : str
        The recording's id: the media of that stem counts, else the first that is linked.
    """
    for link in file.media:
        if recording in {PurePath(name).stem for name in media_names(link.url)}:
            return link.time_origin
    return file.media[0].time_origin if file.media else 0.0
