"""The drawn guitarist: a pose and a look in, a picture out.

Points are complex numbers (x + iy, y down) on a sheet of 640 x 480 units, which is drawn at that size and
halved, so edges come out smooth. Left and right are the viewer's, except in names of gestures and of hands,
which are the performer's: his right hand plucks, on the viewer's left.
"""

import cmath
from collections.abc import Callable

import numpy as np
from PIL import Image

from demo.face import face, long_hair
from demo.pen import WHITE, Pen, blend, shade
from demo.pose import Look, Pose

_HIPS = 322 + 440j
_HEAD = 322 + 128j
_GUITAR = 288 + 354j
_GUITAR_SLOPE = -0.46
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
    pen = Pen(backdrop, look)
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
        long_hair(pen, look, head, pose.head_roll)
    _legs(pen, look)
    _trunk(pen, look, trunk, (right_shoulder, left_shoulder), head)
    face(pen, look, pose, head)
    _guitar(pen, look, guitar, along)
    _arm(pen, look, left_shoulder, left_hand, 0.45 + 0.89j)
    _fretting_hand(pen, look, left_hand, along)
    _arm(pen, look, right_shoulder, right_hand, -0.75 + 0.66j)
    _plucking_hand(pen, look, right_hand, along, pose.pluck)
    return backdrop.reduce(2)


def _legs(pen: Pen, look: Look) -> None:
    pen.limb(270 + 470j, 370 + 470j, 46, 46, look.trousers)
    for hip, knee in ((280 + 446j, 150 + 472j), (364 + 446j, 478 + 446j)):
        pen.limb(knee, knee + 200j, 40, 34, look.trousers)
        pen.limb(hip, knee, 46, 42, look.trousers)


def _trunk(
    pen: Pen,
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
    pen.patch(middle + (outline - middle) * 1.025, shade(look.shirt))
    for joint in shoulders:
        pen.disc(joint - 1j, 28, look.shirt)
    pen.patch(outline, look.shirt)
    pen.limb(collar + 6j, head + 52j, 25, 22, blend(look.skin, shade(look.skin), 0.4))
    pen.patch(
        np.array([collar - 27 - 7j, collar + 34j, collar + 27 - 7j, collar + 10j]),
        blend(look.shirt, WHITE, 0.3),
    )


def _arm(pen: Pen, look: Look, shoulder: complex, hand: complex, elbow_way: complex) -> None:
    # The elbow hangs its own way from between shoulder and hand: on a flat sheet the arm shortens instead
    # of folding over, as an arm does that comes towards the viewer.
    bow = 0.85 * max(115**2 - abs(hand - shoulder) ** 2 / 4, 900) ** 0.5
    elbow = (shoulder + hand) / 2 + bow * elbow_way
    wrist = hand - 0.16 * (hand - elbow)
    pen.limb(elbow, wrist, 19, 13, look.shirt if look.sleeves else look.skin)
    pen.limb(shoulder, elbow, 27, 21, look.shirt)
    if look.sleeves:
        pen.disc(wrist, 13.5, blend(look.shirt, WHITE, 0.25))


def _guitar(pen: Pen, look: Look, centre: complex, along: complex) -> None:
    def at(points: list[complex] | np.ndarray) -> np.ndarray:
        return centre + along * np.asarray(points, complex)

    dark, pale = shade(look.wood, 0.55), blend(look.wood, (255, 236, 200), 0.35)
    pen.patch(at(_BODY * 1.03) + 5j, dark)
    pen.patch(at(_BODY), dark)
    pen.patch(at((_BODY + 34) * 0.95 - 34), look.wood)
    pen.disc(centre, 31, dark)
    pen.disc(centre, 28, pale)
    pen.disc(centre, 24, (36, 24, 22))
    pen.patch(at([-98 - 30j, -88 - 30j, -88 + 30j, -98 + 30j]), dark)
    fingerboard = (62, 42, 38)
    pen.patch(at([24 - 14j, 226 - 12j, 226 + 12j, 24 + 14j]), fingerboard)
    pen.patch(at([224 - 14j, 284 - 19j, 290, 284 + 19j, 224 + 14j]), shade(look.wood, 0.4))
    for peg in (238, 256, 274):
        pen.line(at([peg - 23j, peg + 23j]), 4, (226, 214, 190))
    for fret in (70, 104, 136, 166, 194, 220):
        pen.line(at([fret - 13j, fret + 13j]), 2, (150, 132, 110))
    for string in (-9, -3, 3, 9):
        pen.line(at([-93 + 1j * string, 240 + 0.9j * string]), 1, (222, 210, 184))


def _fretting_hand(pen: Pen, look: Look, hand: complex, along: complex) -> None:
    rim = shade(look.skin, 0.3)
    for finger in (-15, -5, 5, 15):
        knuckle = hand + along * complex(finger, 12)
        tip = hand + along * complex(finger * 1.1, -15)
        pen.line([knuckle, tip], 12, rim)
        pen.line([knuckle, tip], 8, look.skin)
        pen.disc(tip, 4.5, look.skin)
    pen.oval(hand + along * 14j, 24, 14, rim, cmath.phase(along))
    pen.oval(hand + along * 14j, 22, 12, look.skin, cmath.phase(along))


def _plucking_hand(pen: Pen, look: Look, hand: complex, along: complex, pluck: float) -> None:
    rim = shade(look.skin, 0.3)
    palm = hand + along * (-10 - 6j)
    for spread in (-9, 0, 9):
        tip = hand + along * complex(16 - 10 * pluck, spread + 8 - 12 * pluck)
        pen.line([palm, tip], 13, rim)
        pen.disc(tip, 6, rim)
        pen.line([palm, tip], 9, look.skin)
        pen.disc(tip, 4.5, look.skin)
    pen.oval(palm, 23, 18, rim, cmath.phase(along))
    pen.oval(palm, 20.5, 15.5, look.skin, cmath.phase(along))
