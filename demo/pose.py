"""How the drawn guitarist sits and looks."""

from dataclasses import dataclass

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
