"""The drawn guitarist's face and hair."""

import cmath

import numpy as np

from demo.pen import ROUND, WHITE, Pen, blend, shade
from demo.pose import Look, Pose

_HEAD_RADII = (62, 76)
_RED, _BLUSH = (140, 30, 40), (216, 96, 88)


def long_hair(pen: Pen, look: Look, head: complex, roll: float) -> None:
    """Draw hair that falls behind the shoulders."""
    swing = cmath.exp(0.5j * roll)
    pen.oval(head + 22j * swing, 80, 104, shade(look.hair, 0.25), 0.5 * roll)


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


def face(pen: Pen, look: Look, pose: Pose, centre: complex) -> None:
    """Draw head, hair, eyes, brows, nose and mouth."""
    head, roll, rim = _Head(pose, centre), pose.head_roll, shade(look.skin)
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


def _eye(pen: Pen, look: Look, pose: Pose, head: _Head, side: float) -> None:
    centre, roll = head.point(side * 0.40, 0.10), pose.head_roll
    opening = pose.eyes * (1 - 0.35 * pose.frown) * (1 - 0.3 * pose.cheeks)
    lid = blend(look.skin, shade(look.skin), 0.35)
    pen.oval(centre, 15, 11, lid, roll)
    if opening > 0.15:
        pen.oval(centre, 13.5, 10 * opening, WHITE, roll)
        gaze = centre + 2.5 * cmath.exp(1j * roll) + 2j * opening
        pen.oval(gaze, 6.5, min(6.5, 10 * opening), (42, 32, 34))
    # The upper lashes: an arch over an open eye, a hanging curve on a closed one.
    bow = 0.16 * opening - 0.10 * (1 - opening)
    u, v = side * np.array([0.16, 0.28, 0.40, 0.52, 0.64]), 0.10 + bow * np.array([0.1, 0.8, 1.0, 0.8, 0.1])
    pen.line(head.points(u, v), 5, (42, 32, 34))


def _brows(pen: Pen, look: Look, pose: Pose, head: _Head) -> None:
    raised = 0.07 * pose.open_mouth + 0.05 * pose.cheeks
    dark = shade(look.hair, 0.3)
    for side in (-1.0, 1.0):
        u = side * np.array([0.16 - 0.05 * pose.frown, 0.38, 0.66])
        v = np.array([0.36 - 0.17 * pose.frown, 0.42 - 0.06 * pose.frown, 0.34 + 0.06 * pose.frown]) + raised
        pen.line(head.points(u, v), 8 + 4 * pose.frown, dark)
        if pose.frown > 0.3:
            crease = blend(look.skin, dark, 0.6 * pose.frown)
            pen.line(head.points([side * 0.05, side * 0.06], [0.30, 0.50]), 3.5, crease)


def _mouth(pen: Pen, look: Look, pose: Pose, head: _Head) -> None:
    red = blend(look.skin, _RED, 0.65)
    half = 0.24 + 0.16 * pose.cheeks - 0.08 * pose.open_mouth
    corner = -0.52 + 0.10 * pose.cheeks
    if pose.open_mouth < 0.1:
        curve = -0.55 - 0.06 * pose.cheeks
        lips = head.points([-half, -half / 2, half / 2, half], [corner, curve, curve, corner])
        pen.line(lips, 5, red)
        return
    u = half * ROUND.real
    v = corner - 0.06 - (0.05 + 0.17 * pose.open_mouth) * ROUND.imag
    pen.patch(head.points(u * 1.18, v + 0.2 * (v - v.mean())), red)
    pen.patch(head.points(u, v), (66, 22, 30))
    teeth = v > v.mean() + 0.3 * (v.max() - v.mean())
    if pose.cheeks > 0.4:
        pen.patch(head.points(u[teeth], v[teeth]), WHITE)
