"""Views: augmented versions of a recording's clips, stored beside the plain one to train on.

What is drawn at random depends on the view's name, the recording's content and the clip's number alone, and all
arithmetic is exact or element by element: a view comes out the same on every machine, in whatever batches, and
whichever other views are computed with it. All frames of a clip are changed alike.
"""

import hashlib
import re

import numpy as np
from numpy.typing import NDArray

from store.errors import InputError

PLAIN = "plain"
VIEWS = (PLAIN, "flip", "crop", "color")
SMALLEST_CROP = 0.75  # of the side
JITTER = 0.3  # brightness, contrast and saturation change by at most this factor, up or down
_GREY = (299, 587, 114)  # thousandths of red, green and blue in grey
_DRAWN = re.compile(r"(crop|color)(-([2-9]|[1-9][0-9]))?")

Clips = NDArray[np.uint8]


def check_views(text: str) -> tuple[str, ...]:
    """Return the views that a text names, separated by commas.

    ``plain`` is always among them and comes first. ``flip`` mirrors left and right; ``crop`` enlarges a window
    of 75 to 100 percent of the side at a random place; ``color`` changes brightness, contrast and saturation at
    random. A further draw of the last two has a number, from ``crop-2`` to ``crop-99``.

    Raises
    ------
    InputError
        If there is no such view.
    """
    names = [name.strip() for name in text.split(",")]
    for name in names:
        if name not in VIEWS and not _DRAWN.fullmatch(name):
            raise InputError(
                f"{name!r} is no view; there are {', '.join(VIEWS)}, and further draws as crop-2 or color-2"
            )
    return tuple(dict.fromkeys([PLAIN, *names]))


def apply(view: str, clips: Clips, first: int, content: str) -> Clips:
    """Return a view of clips.

    Parameters
    ----------
    view : str
        Its name, as `check_views` gives it.
    clips : ndarray of uint8, shape (clips, frames, side, side, 3)
        RGB; left as they are.
    first : int
        Number in the recording of the first of them.
    content : str
        What the recording is recognised by: the SHA-256 of its video.

    Returns
    -------
    ndarray of uint8, shape (clips, frames, side, side, 3)
    """
    if view == PLAIN:
        return clips
    if view == "flip":
        return np.ascontiguousarray(clips[:, :, :, ::-1])
    change = {"crop": _crop, "color": _color}[view.partition("-")[0]]
    changed = np.empty_like(clips)
    for index, clip in enumerate(clips):
        changed[index] = change(clip, *_draw(view, content, first + index))
    return changed


def _draw(view: str, content: str, clip: int) -> tuple[float, float, float]:
    """Return three numbers from 0 to 1."""
    digest = hashlib.sha256(f"{view}\n{content}\n{clip}".encode()).digest()
    one, two, three = (int.from_bytes(digest[start : start + 8]) / 2**64 for start in (0, 8, 16))
    return one, two, three


def _crop(clip: Clips, size: float, across: float, down: float) -> Clips:
    """Enlarge a window of a clip to its whole side, between neighbouring pixels in 256ths."""
    side = clip.shape[1]
    window = side * (SMALLEST_CROP + (1 - SMALLEST_CROP) * size)
    upper, lower, weight = _neighbours(side, window, down)
    left, right, share = _neighbours(side, window, across)
    weight = weight[:, None, None]
    share = share[:, None]
    rows = clip[:, upper] * (256 - weight) + clip[:, lower] * weight
    pixels = rows[:, :, left] * (256 - share) + rows[:, :, right] * share
    return ((pixels + 2**15) >> 16).astype(np.uint8)


def _neighbours(side: int, window: float, place: float) -> tuple[NDArray[np.intp], NDArray[np.intp], NDArray]:
    """Return the two pixels that each new one lies between, and the weight of the second, in 256ths."""
    start = place * (side - window)
    position = np.clip(start + (np.arange(side) + 0.5) * window / side - 0.5, 0, side - 1)
    whole, weight = np.divmod(np.rint(position * 256).astype(np.int32), 256)
    return whole, np.minimum(whole + 1, side - 1), weight


def _color(clip: Clips, bright: float, contrast: float, saturated: float) -> Clips:
    """Change brightness, then contrast about the clip's mean grey, then saturation about each pixel's grey."""
    brightness, spread, saturation = (1 + JITTER * (2 * draw - 1) for draw in (bright, contrast, saturated))
    total = sum(weight * int(clip[..., colour].sum(dtype=np.int64)) for colour, weight in enumerate(_GREY))
    mean = brightness * total / (1000 * clip[..., 0].size)
    pixels = clip * np.float32(brightness * spread) + np.float32(mean * (1 - spread))
    red, green, blue = (pixels[..., colour] * np.float32(weight / 1000) for colour, weight in enumerate(_GREY))
    grey = (red + green + blue)[..., None]
    pixels = grey + (pixels - grey) * np.float32(saturation)
    return np.clip(np.rint(pixels), 0, 255).astype(np.uint8)
