"""Regions of interest: which part of the picture the backbone sees, since performers rarely fill it."""

import csv
import re
from collections.abc import Iterable
from pathlib import Path

from store.errors import InputError
from store.files import require_file

Region = tuple[int, int, int, int]  # x, y, width, height; x and y of the upper left corner

_HEADER = ["video", "x", "y", "w", "h"]


def parse_roi(text: str) -> Region:
    """Return the region that a text names: ``x,y,w,h``.

    Parameters
    ----------
    text : str
        Four whole numbers: the upper left corner, width and height, in pixels of the picture as displayed
        (upright, pixels made square), as `extract.video.probe` gives its size.

    Raises
    ------
    InputError
        If it is not that.
    """
    numbers = text.split(",")
    if len(numbers) != 4 or not all(re.fullmatch(r"\s*[0-9]{1,6}\s*", number) for number in numbers):
        raise InputError(f"{text!r} is no region; write x,y,w,h in whole pixels, as 120,0,400,480")
    x, y, width, height = map(int, numbers)
    if not (width and height):
        raise InputError(f"{text!r} is a region without pixels; write x,y,w,h, its width and height last")
    return x, y, width, height


def read_regions(path: Path) -> dict[str, Region]:
    """Return the regions that a file names, by video.

    Parameters
    ----------
    path : Path
        Text in UTF-8, comma-separated (or by semicolons), with the header ``video,x,y,w,h``. A video is named
        by its file's name, or by that without the ending.

    Raises
    ------
    InputError
        If a line cannot be used, or a video stands there twice; the message names it.
    """
    try:
        lines = require_file(path).read_text("utf-8-sig").splitlines()
    except UnicodeDecodeError:
        raise InputError(f"{path}: not text in UTF-8; save it as UTF-8") from None
    # Spreadsheets write semicolons where the comma separates decimals.
    rows = list(csv.reader(lines, delimiter=";" if ";" in lines[0] else ","))
    if [cell.strip().lower() for cell in rows[0]] != _HEADER:
        raise InputError(f"{path}: the first line must be the header {','.join(_HEADER)}; write it above the others")
    regions: dict[str, Region] = {}
    for number, row in enumerate(rows[1:], 2):
        cells = [cell.strip() for cell in row]
        if not any(cells):
            continue
        video = cells[0]
        if not video or video in regions:
            wrong = f"{video} stands there twice; keep one line" if video else "no video; write its file's name first"
            raise InputError(f"{path}, line {number}: {wrong}")
        try:
            regions[video] = parse_roi(",".join(cells[1:]))
        except InputError as error:
            raise InputError(f"{path}, line {number}: {error}") from None
    return regions


def regions_of(videos: Iterable[Path], text: str | None) -> dict[Path, Region]:
    """Return the regions of videos; none at all without a text.

    Parameters
    ----------
    videos : iterable of Path
        The videos.
    text : str or None
        What a user gave: ``x,y,w,h`` for all of them, or a file as `read_regions` takes it, in which a video
        is found by its file's name or else its stem.

    Raises
    ------
    InputError
        If it is neither, or a video does not stand in the file.
    """
    if text is None:
        return {}
    if not Path(text).is_file():
        if text.lower().endswith(".csv"):
            require_file(Path(text))
        return dict.fromkeys(videos, parse_roi(text))
    by_name = read_regions(Path(text))
    found = {}
    for video in videos:
        region = by_name.get(video.name, by_name.get(video.stem))
        if region is None:  # the whole picture in its place would be wrong, and nobody would notice
            raise InputError(f"{text}: has no line for {video.name}; add one, or extract it without --roi")
        found[video] = region
    return found


def check_region(path: Path, region: Region, width: int, height: int, size: int) -> None:
    """Check that a region can be cut from a picture.

    Parameters
    ----------
    path : Path
        The video, for the message.
    region : Region
        What is to be cut.
    width, height : int
        Of the picture as displayed, in pixels.
    size : int
        Side of the picture made of it; a region of less than half of that holds too little to look at.

    Raises
    ------
    InputError
        If it is not inside the picture, or too small.
    """
    x, y, w, h = region
    named = f"{path}: the region {x},{y},{w},{h}"
    if min(x, y) < 0 or min(w, h) < 1 or x + w > width or y + h > height:
        raise InputError(f"{named} is not inside the picture of {width} x {height} pixels; correct x,y,w,h")
    if 2 * min(w, h) < size:
        raise InputError(f"{named} is too small; it must be {-(-size // 2)} pixels wide and high, or more")
