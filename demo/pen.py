"""Drawing on the sheet, with points as complex numbers."""

import cmath

import numpy as np
from PIL import Image, ImageDraw

from demo.pose import Colour, Look

ROUND = np.exp(2j * np.pi * np.arange(32) / 32)  # a circle
WHITE: Colour = (246, 243, 236)


def blend(first: Colour, second: Colour, share: float) -> Colour:
    """Return the colour `share` (0 to 1) of the way from the first to the second."""
    red, green, blue = (round(a + (b - a) * share) for a, b in zip(first, second, strict=True))
    return red, green, blue


def shade(colour: Colour, share: float = 0.35) -> Colour:
    """Return a darker colour, as of an edge or a shadow."""
    return blend(colour, (24, 18, 26), share)


class Pen:
    """Draws on the sheet, under the camera's zoom and shift."""

    def __init__(self, sheet: Image.Image, look: Look) -> None:
        self._draw = ImageDraw.Draw(sheet)
        self._zoom = look.zoom
        self._shift = complex(320 + look.x, 300 + look.y) - look.zoom * (320 + 300j)

    def _place(self, points: np.ndarray) -> list[float]:
        flat: list[float] = (points * self._zoom + self._shift).view(np.float64).tolist()
        return flat

    def patch(self, points: np.ndarray, colour: Colour) -> None:
        """Fill a polygon."""
        self._draw.polygon(self._place(points), fill=colour)

    def line(self, points: list[complex] | np.ndarray, width: float, colour: Colour) -> None:
        """Draw a line through points."""
        placed = self._place(np.asarray(points, complex))
        self._draw.line(placed, fill=colour, width=max(round(width * self._zoom), 1), joint="curve")

    def disc(self, centre: complex, radius: float, colour: Colour) -> None:
        """Fill a circle."""
        self.oval(centre, radius, radius, colour)

    def oval(self, centre: complex, wide: float, high: float, colour: Colour, turn: float = 0.0) -> None:
        """Draw an ellipse of two radii, turned clockwise by radians."""
        if turn:
            shape = wide * ROUND.real + 1j * high * ROUND.imag
            self.patch(centre + shape * cmath.exp(1j * turn), colour)
            return
        middle, corner = centre * self._zoom + self._shift, complex(wide, high) * self._zoom
        low, top = middle - corner, middle + corner
        self._draw.ellipse((low.real, low.imag, top.real, top.imag), fill=colour)

    def limb(self, start: complex, end: complex, thick: float, thin: float, colour: Colour) -> None:
        """Draw a tapering limb with an outline that sets it off from what is behind."""
        across = 1j * (end - start) / (abs(end - start) or 1.0)
        for rim, fill in ((2.5, shade(colour)), (0.0, colour)):
            a, b = across * (thick + rim), across * (thin + rim)
            self.patch(np.array([start + a, end + b, end - b, start - a]), fill)
            self.disc(start, thick + rim, fill)
            self.disc(end, thin + rim, fill)
