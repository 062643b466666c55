"""The drawn guitarist: a pose and a look in, a picture out.

Points are complex numbers (x + iy, y down) on a sheet of 640 x 480 units, which is drawn at that size and
halved, so edges come out smooth. Left and right are the viewer's, except in names of gestures and of hands,
which are the performer's: his right hand plucks, on the viewer's left.
"""

import cmath
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageDraw

SHEET = (640, 480)
Colour = tuple[int, int, int]


@dataclass(frozen=True)
class Pose:
    """How the guitarist sits at one instant; the defaults are at ease, hands on the strings.

    Parameters
    ----------
    head_x, head_y : float
        Shift of the head, units.
    head_pitch, head_roll, head_yaw : float
        Radians; up, towards the viewer's right, turned towards the viewer's right.
    frown, open_mouth, cheeks : float
        Drawn-together brows, open mouth, raised cheeks with stretched lips; 0 to 1.
    eyes : float
        Openness, 0 to 1.
    left_shoulder, right_shoulder : float
        The performer's, raised by that many units.
    lean : float
        Radians; the trunk tilted towards the viewer's right.
    sway : float
        Shift of the trunk, units.
    fret : float
        Place of the left hand on the neck, 0 (near the headstock) to 1 (near the body).
    wobble : float
        Shift of the left hand along the neck, units.
    left_x, left_y, right_x, right_y : float
        Shift of the performer's hands away from the guitar, units.
    pluck : float
        Fingers of the right hand, 0 at rest to 1 plucking.
    guitar_x, guitar_y, guitar_angle : float
        Shift in units and turn in radians (the headstock up) of the guitar, hands included.
    """

    head_x: float = 0.0
    head_y: float = 0.0
    head_pitch: float = -0.08
    head_roll: float = 0.0
    head_yaw: float = 0.12
    frown: float = 0.0
    open_mouth: float = 0.0
    cheeks: float = 0.0
    eyes: float = 1.0
    left_shoulder: float = 0.0
    right_shoulder: float = 0.0
    lean: float = 0.0
    sway: float = 0.0
    fret: float = 0.5
    wobble: float = 0.0
    left_x: float = 0.0
    left_y: float = 0.0
    right_x: float = 0.0
    right_y: float = 0.0
    pluck: float = 0.0
    guitar_x: float = 0.0
    guitar_y: float = 0.0
    guitar_angle: float = 0.0


@dataclass(frozen=True)
class Look:
    """Who is drawn, and how the camera stands.

    Parameters
    ----------
    skin, hair, shirt, trousers, wood : Colour
        Red, green, blue, 0 to 255.
    long_hair, sleeves : bool
        Hair to the shoulders; sleeves to the wrist rather than to the elbow.
    zoom : float
        Size, 1 as on the sheet.
    x, y : float
        Shift of the whole figure, units.
    """

    skin: Colour
    hair: Colour
    shirt: Colour
    trousers: Colour
    wood: Colour
    long_hair: bool = False
    sleeves: bool = True
    zoom: float = 1.0
    x: float = 0.0
    y: float = 0.0


_HIPS = 322 + 440j
_HEAD = 322 + 128j
_GUITAR = 288 + 354j
_GUITAR_SLOPE = -0.46
_HEAD_RADII = (62, 76)
_RED, _WHITE, _BLUSH = (140, 30, 40), (246, 243, 236), (216, 96, 88)
_ROUND = np.exp(2j * np.pi * np.arange(32) / 32)
_BODY_X = (-150, -146, -132, -106, -74, -42, -14, 10, 34, 58, 74, 81, 82)
_BODY_Y = (0, 28, 56, 76, 81, 73, 57, 51, 56, 55, 40, 18, 0)


def _body_outline() -> np.ndarray:
    half = np.array(_BODY_X) + 1j * np.array(_BODY_Y)
    outline = np.concatenate((half, half[-2:0:-1].conj()))
    for _ in range(2):  # cut the corners twice: round enough
        after = np.roll(outline, -1)
        outline = np.stack((0.75 * outline + 0.25 * after, 0.25 * outline + 0.75 * after), 1).ravel()
    return outline


_BODY = _body_outline()


def blend(first: Colour, second: Colour, share: float) -> Colour:
    """Return the colour `share` (0 to 1) of the way from the first to the second."""
    red, green, blue = (round(a + (b - a) * share) for a, b in zip(first, second, strict=True))
    return red, green, blue


def _shade(colour: Colour, share: float = 0.35) -> Colour:
    return blend(colour, (24, 18, 26), share)


class _Pen:
    """Draws on the sheet, under the camera's zoom and shift."""

    def __init__(self, sheet: Image.Image, look: Look) -> None:
        self._draw = ImageDraw.Draw(sheet)
        self._zoom = look.zoom
        self._shift = complex(320 + look.x, 300 + look.y) - look.zoom * (320 + 300j)

    def _place(self, points: np.ndarray) -> list[float]:
        flat: list[float] = (points * self._zoom + self._shift).view(np.float64).tolist()
        return flat

    def patch(self, points: np.ndarray, colour: Colour) -> None:
        self._draw.polygon(self._place(points), fill=colour)

    def line(self, points: list[complex] | np.ndarray, width: float, colour: Colour) -> None:
        placed = self._place(np.asarray(points, complex))
        self._draw.line(placed, fill=colour, width=max(round(width * self._zoom), 1), joint="curve")

    def disc(self, centre: complex, radius: float, colour: Colour) -> None:
        self.oval(centre, radius, radius, colour)

    def oval(self, centre: complex, wide: float, high: float, colour: Colour, turn: float = 0.0) -> None:
        """Draw an ellipse of two radii, turned clockwise by radians."""
        if turn:
            shape = wide * _ROUND.real + 1j * high * _ROUND.imag
            self.patch(centre + shape * cmath.exp(1j * turn), colour)
            return
        middle, corner = centre * self._zoom + self._shift, complex(wide, high) * self._zoom
        low, top = middle - corner, middle + corner
        self._draw.ellipse((low.real, low.imag, top.real, top.imag), fill=colour)

    def limb(self, start: complex, end: complex, thick: float, thin: float, colour: Colour) -> None:
        """Draw a tapering limb with an outline that sets it off from what is behind."""
        across = 1j * (end - start) / (abs(end - start) or 1.0)
        for rim, fill in ((2.5, _shade(colour)), (0.0, colour)):
            a, b = across * (thick + rim), across * (thin + rim)
            self.patch(np.array([start + a, end + b, end - b, start - a]), fill)
            self.disc(start, thick + rim, fill)
            self.disc(end, thin + rim, fill)


def draw(pose: Pose, look: Look, backdrop: Image.Image) -> Image.Image:
    """Draw the guitarist over a backdrop.

    Parameters
    ----------
    pose : Pose
        How he sits.
    look : Look
        Who he is.
    backdrop : PIL.Image.Image
        RGB, 640 x 480; drawn upon.

    Returns
    -------
    PIL.Image.Image
        RGB, 320 x 240.
    """
    pen = _Pen(backdrop, look)
    turn = cmath.exp(1j * pose.lean)

    def trunk(point: complex) -> complex:
        """Where a point of the trunk comes to lie: the hips stay, what is above them moves."""
        height = (_HIPS.imag - point.imag) / 200
        return _HIPS + (point - _HIPS) * turn + pose.sway * height

    right_shoulder = trunk(232 + 244j - 1j * pose.right_shoulder)
    left_shoulder = trunk(412 + 244j - 1j * pose.left_shoulder)
    along = cmath.exp(1j * (_GUITAR_SLOPE - pose.guitar_angle))
    guitar = _GUITAR + complex(pose.guitar_x + 0.5 * pose.sway, pose.guitar_y)
    left_hand = guitar + along * complex(206 - 92 * pose.fret + pose.wobble, 6)
    left_hand += complex(pose.left_x, pose.left_y)
    right_hand = guitar + along * complex(-14, 2 - 9 * pose.pluck) + complex(pose.right_x, pose.right_y)

    head = trunk(_HEAD) + complex(pose.head_x, pose.head_y)
    if look.long_hair:
        _long_hair(pen, look, head, pose.head_roll)
    _legs(pen, look)
    _trunk(pen, look, trunk, (right_shoulder, left_shoulder), head)
    _face(pen, look, pose, head)
    _guitar(pen, look, guitar, along)
    _arm(pen, look, left_shoulder, left_hand, 0.45 + 0.89j)
    _fretting_hand(pen, look, left_hand, along)
    _arm(pen, look, right_shoulder, right_hand, -0.75 + 0.66j)
    _plucking_hand(pen, look, right_hand, along, pose.pluck)
    return backdrop.reduce(2)


def _legs(pen: _Pen, look: Look) -> None:
    pen.limb(270 + 470j, 370 + 470j, 46, 46, look.trousers)
    for hip, knee in ((280 + 446j, 150 + 472j), (364 + 446j, 478 + 446j)):
        pen.limb(knee, knee + 200j, 40, 34, look.trousers)
        pen.limb(hip, knee, 46, 42, look.trousers)


def _trunk(
    pen: _Pen,
    look: Look,
    trunk: Callable[[complex], complex],
    shoulders: tuple[complex, complex],
    head: complex,
) -> None:
    right, left = shoulders
    collar = trunk(322 + 214j)
    waist = [trunk(388 + 340j), trunk(396 + 450j), trunk(248 + 450j), trunk(256 + 340j)]
    slope = [collar - 24 - 4j, right + 6 - 28j, right - 22 - 10j, right - 16 + 22j]
    mirrored = [left + 16 + 22j, left + 22 - 10j, left - 6 - 28j, collar + 24 - 4j]
    outline = np.array([*slope, *waist[::-1], *mirrored])
    middle = outline.mean()
    pen.patch(middle + (outline - middle) * 1.025, _shade(look.shirt))
    for joint in shoulders:
        pen.disc(joint - 1j, 28, look.shirt)
    pen.patch(outline, look.shirt)
    pen.limb(collar + 6j, head + 52j, 25, 22, blend(look.skin, _shade(look.skin), 0.4))
    pen.patch(
        np.array([collar - 27 - 7j, collar + 34j, collar + 27 - 7j, collar + 10j]),
        blend(look.shirt, _WHITE, 0.3),
    )


def _arm(pen: _Pen, look: Look, shoulder: complex, hand: complex, elbow_way: complex) -> None:
    # The elbow hangs its own way from between shoulder and hand: on a flat sheet the arm shortens instead
    # of folding over, as an arm does that comes towards the viewer.
    bow = 0.85 * max(115**2 - abs(hand - shoulder) ** 2 / 4, 900) ** 0.5
    elbow = (shoulder + hand) / 2 + bow * elbow_way
    wrist = hand - 0.16 * (hand - elbow)
    pen.limb(elbow, wrist, 19, 13, look.shirt if look.sleeves else look.skin)
    pen.limb(shoulder, elbow, 27, 21, look.shirt)
    if look.sleeves:
        pen.disc(wrist, 13.5, blend(look.shirt, _WHITE, 0.25))


def _guitar(pen: _Pen, look: Look, centre: complex, along: complex) -> None:
    def at(points: list[complex] | np.ndarray) -> np.ndarray:
        return centre + along * np.asarray(points, complex)

    dark, pale = _shade(look.wood, 0.55), blend(look.wood, (255, 236, 200), 0.35)
    pen.patch(at(_BODY * 1.03) + 5j, dark)
    pen.patch(at(_BODY), dark)
    pen.patch(at((_BODY + 34) * 0.95 - 34), look.wood)
    pen.disc(centre, 31, dark)
    pen.disc(centre, 28, pale)
    pen.disc(centre, 24, (36, 24, 22))
    pen.patch(at([-98 - 30j, -88 - 30j, -88 + 30j, -98 + 30j]), dark)
    fingerboard = (62, 42, 38)
    pen.patch(at([24 - 14j, 226 - 12j, 226 + 12j, 24 + 14j]), fingerboard)
    pen.patch(at([224 - 14j, 284 - 19j, 290, 284 + 19j, 224 + 14j]), _shade(look.wood, 0.4))
    for peg in (238, 256, 274):
        pen.line(at([peg - 23j, peg + 23j]), 4, (226, 214, 190))
    for fret in (70, 104, 136, 166, 194, 220):
        pen.line(at([fret - 13j, fret + 13j]), 2, (150, 132, 110))
    for string in (-9, -3, 3, 9):
        pen.line(at([-93 + 1j * string, 240 + 0.9j * string]), 1, (222, 210, 184))


def _fretting_hand(pen: _Pen, look: Look, hand: complex, along: complex) -> None:
    rim = _shade(look.skin, 0.3)
    for finger in (-15, -5, 5, 15):
        knuckle = hand + along * complex(finger, 12)
        tip = hand + along * complex(finger * 1.1, -15)
        pen.line([knuckle, tip], 12, rim)
        pen.line([knuckle, tip], 8, look.skin)
        pen.disc(tip, 4.5, look.skin)
    pen.oval(hand + along * 14j, 24, 14, rim, cmath.phase(along))
    pen.oval(hand + along * 14j, 22, 12, look.skin, cmath.phase(along))


def _plucking_hand(pen: _Pen, look: Look, hand: complex, along: complex, pluck: float) -> None:
    rim = _shade(look.skin, 0.3)
    palm = hand + along * (-10 - 6j)
    for spread in (-9, 0, 9):
        tip = hand + along * complex(16 - 10 * pluck, spread + 8 - 12 * pluck)
        pen.line([palm, tip], 13, rim)
        pen.disc(tip, 6, rim)
        pen.line([palm, tip], 9, look.skin)
        pen.disc(tip, 4.5, look.skin)
    pen.oval(palm, 23, 18, rim, cmath.phase(along))
    pen.oval(palm, 20.5, 15.5, look.skin, cmath.phase(along))


def _long_hair(pen: _Pen, look: Look, head: complex, roll: float) -> None:
    swing = cmath.exp(0.5j * roll)
    pen.oval(head + 22j * swing, 80, 104, _shade(look.hair, 0.25), 0.5 * roll)


class _Head:
    """Places points of the face, by azimuth and elevation in radians, on the turned head."""

    def __init__(self, pose: Pose, centre: complex) -> None:
        self._centre, self._yaw = centre, pose.head_yaw
        self._pitch = np.cos(pose.head_pitch), np.sin(pose.head_pitch)
        self._roll = cmath.exp(1j * pose.head_roll)

    def points(self, azimuth: list[float] | np.ndarray, elevation: list[float] | np.ndarray) -> np.ndarray:
        u, v = np.asarray(azimuth) + self._yaw, np.asarray(elevation)
        across, up, front = np.cos(v) * np.sin(u), np.sin(v), np.cos(v) * np.cos(u)
        up = up * self._pitch[0] + front * self._pitch[1]
        placed: np.ndarray = self._centre + self._roll * (_HEAD_RADII[0] * across - 1j * _HEAD_RADII[1] * up)
        return placed

    def point(self, azimuth: float, elevation: float) -> complex:
        return complex(self.points([azimuth], [elevation])[0])


_FRINGE = np.linspace(-1.55, 1.55, 13)
_FRINGE_HEIGHT = 0.22 + 0.52 * np.cos(_FRINGE) ** 0.5 + 0.06 * np.sin(3 * _FRINGE)


def _face(pen: _Pen, look: Look, pose: Pose, centre: complex) -> None:
    head, roll, rim = _Head(pose, centre), pose.head_roll, _shade(look.skin)
    wide, high = _HEAD_RADII
    crown = centre - 5j * cmath.exp(1j * roll)
    pen.oval(crown, wide + 7, high + 6, look.hair, roll)
    for side in (-1.0, 1.0):
        ear = centre + cmath.exp(1j * roll) * complex(side * wide, -50 * pose.head_pitch)
        pen.oval(ear, 11, 17, rim, roll)
        pen.oval(ear, 8.5, 14.5, look.skin, roll)
    pen.oval(centre, wide + 1.5, high + 1.5, rim, roll)
    pen.oval(centre, wide - 1, high - 1, look.skin, roll)
    for side in (-1.0, 1.0):
        blush = blend(look.skin, _BLUSH, 0.12 + 0.32 * pose.cheeks)
        cheek = head.point(side * 0.62, -0.22 + 0.12 * pose.cheeks)
        pen.oval(cheek, 13 + 4 * pose.cheeks, 10 + 3 * pose.cheeks, blush, roll)
        _eye(pen, look, pose, head, side)
    fringe = head.points(_FRINGE, _FRINGE_HEIGHT)
    arc = np.linspace(0.05, np.pi - 0.05, 16)
    top = crown + cmath.exp(1j * roll) * ((wide + 7) * np.cos(arc) - 1j * (high + 6) * np.sin(arc))
    pen.patch(np.concatenate((fringe, top)), look.hair)
    _brows(pen, look, pose, head)
    if pose.head_pitch > 0.1:  # the chin, seen from below
        jaw = np.linspace(-0.6, 0.6, 9)
        pen.line(head.points(jaw, 0.25 * jaw**2 - 1.02), 3.5, blend(look.skin, rim, 0.7))
    pen.line(head.points([0.03, 0.13, 0.10, -0.04], [0.06, -0.20, -0.27, -0.28]), 4, rim)
    _mouth(pen, look, pose, head)


def _eye(pen: _Pen, look: Look, pose: Pose, head: _Head, side: float) -> None:
    centre, roll = head.point(side * 0.40, 0.10), pose.head_roll
    opening = pose.eyes * (1 - 0.35 * pose.frown) * (1 - 0.3 * pose.cheeks)
    lid = blend(look.skin, _shade(look.skin), 0.35)
    pen.oval(centre, 15, 11, lid, roll)
    if opening > 0.15:
        pen.oval(centre, 13.5, 10 * opening, _WHITE, roll)
        gaze = centre + 2.5 * cmath.exp(1j * roll) + 2j * opening
        pen.oval(gaze, 6.5, min(6.5, 10 * opening), (42, 32, 34))
    # The upper lashes: an arch over an open eye, a hanging curve on a closed one.
    bow = 0.16 * opening - 0.10 * (1 - opening)
    u, v = side * np.array([0.16, 0.28, 0.40, 0.52, 0.64]), 0.10 + bow * np.array([0.1, 0.8, 1.0, 0.8, 0.1])
    pen.line(head.points(u, v), 5, (42, 32, 34))


def _brows(pen: _Pen, look: Look, pose: Pose, head: _Head) -> None:
    raised = 0.07 * pose.open_mouth + 0.05 * pose.cheeks
    dark = _shade(look.hair, 0.3)
    for side in (-1.0, 1.0):
        u = side * np.array([0.16 - 0.05 * pose.frown, 0.38, 0.66])
        v = np.array([0.36 - 0.17 * pose.frown, 0.42 - 0.06 * pose.frown, 0.34 + 0.06 * pose.frown]) + raised
        pen.line(head.points(u, v), 8 + 4 * pose.frown, dark)
        if pose.frown > 0.3:
            crease = blend(look.skin, dark, 0.6 * pose.frown)
            pen.line(head.points([side * 0.05, side * 0.06], [0.30, 0.50]), 3.5, crease)


def _mouth(pen: _Pen, look: Look, pose: Pose, head: _Head) -> None:
    red = blend(look.skin, _RED, 0.65)
    half = 0.24 + 0.16 * pose.cheeks - 0.08 * pose.open_mouth
    corner = -0.52 + 0.10 * pose.cheeks
    if pose.open_mouth < 0.1:
        curve = -0.55 - 0.06 * pose.cheeks
        lips = head.points([-half, -half / 2, half / 2, half], [corner, curve, curve, corner])
        pen.line(lips, 5, red)
        return
    u = half * _ROUND.real
    v = corner - 0.06 - (0.05 + 0.17 * pose.open_mouth) * _ROUND.imag
    pen.patch(head.points(u * 1.18, v + 0.2 * (v - v.mean())), red)
    pen.patch(head.points(u, v), (66, 22, 30))
    teeth = v > v.mean() + 0.3 * (v.max() - v.mean())
    if pose.cheeks > 0.4:
        pen.patch(head.points(u[teeth], v[teeth]), _WHITE)
