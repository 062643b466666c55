"""From a decoded frame, as the file stores it, to the upright square picture that the backbone sees."""

from fractions import Fraction
from typing import Any, NamedTuple

import numpy as np
from av.video.reformatter import Interpolation, VideoReformatter

# Both make the result the same on every processor; bilinear looks at the whole area a pixel shrinks from.
SCALING = Interpolation.BILINEAR | Interpolation.ACCURATE_RND | Interpolation.BITEXACT
RESIZES = ("crop", "squash")


class Orientation(NamedTuple):
    """How a stored picture is turned for display: first transposed, then mirrored."""

    transposed: bool
    left_right: bool
    up_down: bool


def orientation(frame: Any) -> Orientation:
    """Return how the frame's display matrix turns it (to the nearest quarter turn, mirrored or not)."""
    side_data = frame.side_data.get("DISPLAYMATRIX")
    if side_data is None:
        return Orientation(False, False, False)
    # It maps the stored point (x, y) to the displayed (a x + c y, b x + d y), y pointing down.
    a, b, _, c, d, *_ = np.frombuffer(bytes(side_data), np.int32).tolist()
    if abs(a) + abs(d) >= abs(b) + abs(c):
        return Orientation(False, a < 0, d < 0)
    return Orientation(True, c < 0, b < 0)


def square_pixels(frame: Any, stream: Any) -> tuple[Fraction, Fraction]:
    """Return the stored picture's width and height, in pixels that are as wide as high."""
    return frame.width * Fraction(stream.sample_aspect_ratio or 1), Fraction(frame.height)


class Shaper:
    """Turns decoded frames into upright square RGB pictures.

    Parameters
    ----------
    stream : av.video.stream.VideoStream
        The stream that the frames come from.
    size : int
        Height and width of the pictures, in pixels.
    resize : {"crop", "squash"}
        "crop": short side to `size`, then the centre; "squash": both sides to `size`.
    """

    def __init__(self, stream: Any, size: int, resize: str) -> None:
        self.stream, self.size, self.resize = stream, size, resize
        self.reformatter = VideoReformatter()

    def __call__(self, frame: Any) -> np.ndarray:
        """Return the picture of a frame: (size, size, 3), uint8."""
        width = height = self.size
        if self.resize == "crop":
            shown = square_pixels(frame, self.stream)
            width, height = (int(self.size * side / min(shown)) for side in shown)
        scaled = self.reformatter.reformat(frame, width, height, "rgb24", interpolation=SCALING)
        left, top = (width - self.size) // 2, (height - self.size) // 2
        # Scaling and cropping treat both axes alike, so only the few pixels that are left need be turned.
        picture = scaled.to_ndarray()[top : top + self.size, left : left + self.size]
        turn = orientation(frame)
        if turn.transposed:
            picture = picture.transpose(1, 0, 2)
        picture = picture[:: -1 if turn.up_down else 1, :: -1 if turn.left_right else 1]
        return np.ascontiguousarray(picture)
