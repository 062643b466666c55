"""The four drawn performances as files: video with sound, and its annotations.

As in the paper, two of them stand before a plain background and two before a busy one with people in it;
clothes, performer, light and framing differ, so leaving one out puts a model to the test.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from math import sin
from pathlib import Path

import av
import numpy as np
from PIL import Image, ImageDraw, ImageFilter

from demo import sound
from demo.figure import draw
from demo.gestures import FRAME_RATE, poses, stillness, tracks
from demo.pen import blend
from demo.pose import SHEET, Colour, Look
from demo.score import GESTURES, PERFORMANCES, notes, score
from store import annotations
from store.annotations.model import Interval
from store.errors import InputError

_WIDE, _HIGH = SHEET[0] // 2, SHEET[1] // 2  # of the film: half the sheet
_LOOKS = {
    1: Look((226, 178, 142), (52, 38, 34), (44, 46, 60), (30, 30, 38), (198, 120, 54), zoom=1.04, x=-2, y=10),
    2: Look(
        skin=(234, 192, 162),
        hair=(128, 80, 44),
        shirt=(164, 62, 58),
        trousers=(58, 74, 106),
        wood=(212, 152, 84),
        long_hair=True,
        sleeves=False,
        zoom=0.98,
        x=10,
        y=8,
    ),
    3: Look((142, 96, 68), (34, 28, 30), (46, 112, 110), (56, 50, 48), (178, 92, 44), zoom=1.08, x=-8, y=20),
    4: Look((206, 156, 118), (150, 148, 150), (232, 226, 210), (38, 40, 48), (156, 74, 38), zoom=1.02, x=4, y=8),
}


@dataclass(frozen=True)
class _Scene:
    """What is behind: a wall, from its upper to its lower colour, and perhaps people, panes and lamps."""

    upper: Colour
    lower: Colour
    people: tuple[Colour, ...] = ()
    panes: bool = False
    lamps: int = 0


_SCENES = {
    1: _Scene((124, 132, 140), (96, 102, 112)),
    2: _Scene(
        (206, 216, 218),
        (170, 176, 172),
        people=((112, 122, 140), (150, 132, 118), (126, 146, 136), (98, 100, 116)),
        panes=True,
    ),
    3: _Scene((222, 208, 184), (198, 180, 152)),
    4: _Scene(
        (58, 52, 76),
        (44, 38, 52),
        people=((84, 70, 92), (98, 84, 88), (70, 74, 100), (92, 66, 72), (76, 80, 88)),
        lamps=11,
    ),
}


class _Stage:
    """A scene that lives, and the camera in front of it: slow changes of light and the sensor's noise."""

    def __init__(self, performance: int) -> None:
        self._rng = np.random.default_rng([performance, 240])
        self._scene = _SCENES[performance]
        self._dim, self._lit = self._wall(0.25), self._wall(1.0)
        self._people = [
            (
                _silhouette(colour, self._rng.uniform(0.9, 1.2)),
                self._rng.uniform(0, 900),
                self._rng.uniform(-1, 1),
            )
            for colour in self._scene.people
        ]
        self._noise = self._rng.normal(0, 2.2, (4, _HIGH + 32, _WIDE + 32)).round().astype(np.int16)
        self._phases = self._rng.uniform(0, 2 * np.pi, 3)

    def _wall(self, glow: float) -> Image.Image:
        scene, (wide, high) = self._scene, SHEET
        wall = Image.new("RGB", SHEET)
        pen = ImageDraw.Draw(wall)
        for row in range(high):
            pen.line((0, row, wide, row), fill=blend(scene.upper, scene.lower, row / high))
        if scene.panes:
            for x in range(-30, wide, 170):
                sky = blend(scene.upper, (240, 248, 255), 0.3 + 0.5 * glow)
                pen.rectangle((x, 30, x + 140, 300), fill=sky, outline=scene.lower, width=7)
                pen.line((x + 70, 30, x + 70, 300), fill=scene.lower, width=5)
        spots = np.random.default_rng(scene.lamps)
        for _ in range(scene.lamps):
            (x, y), radius = spots.uniform((0, 10), (wide, 210)), spots.uniform(12, 30)
            # Half of the lamps glow while the others are dim.
            lit = glow if spots.random() < 0.5 else 1.25 - glow
            warm = blend(scene.upper, (255, 206, 130), 0.75 * lit)
            pen.ellipse((x - radius, y - radius, x + radius, y + radius), fill=warm)
        return wall.filter(ImageFilter.GaussianBlur(5)) if scene.panes or scene.lamps else wall

    def backdrop(self, time: float) -> Image.Image:
        """Return the scene after `time` seconds, an RGB picture of the size of the sheet to draw upon."""
        if not self._people:
            return self._lit.copy()
        scene = Image.blend(self._dim, self._lit, 0.5 + 0.5 * sin(0.9 * time))
        for person, start, pace in self._people:
            # Some stroll through, some stand and shift from foot to foot.
            x = start + 70 * pace * time if abs(pace) > 0.45 else start + 14 * sin(0.8 * time + start)
            left, bob = int(x % 900) - 180, int(4 * sin(5 * pace * time))
            scene.paste(person, (left, 70 + bob + int(30 * pace)), person)
        return scene

    def film(self, picture: Image.Image, time: float) -> np.ndarray:
        """Return the picture as the camera sees it, (240, 320, 3) uint8."""
        slow = np.sin(2 * np.pi * np.array([0.031, 0.047, 0.083]) * time + self._phases)
        gains = 1 + 0.035 * slow[0] + 0.015 * slow[1] * np.array([1, 0, -1]) + 0.012 * slow[2]
        table = np.clip(np.outer(gains, np.arange(256)), 0, 255).astype(int).ravel().tolist()
        bank, top, left = self._rng.integers((4, 32, 32))
        noise = self._noise[bank, top : top + _HIGH, left : left + _WIDE, None]
        return np.clip(np.asarray(picture.point(table)) + noise, 0, 255).astype(np.uint8)


def _silhouette(colour: Colour, size: float) -> Image.Image:
    person = Image.new("RGBA", (180, 460), (*colour, 0))
    pen = ImageDraw.Draw(person)
    pen.ellipse((62, 20, 118, 90), fill=(*blend(colour, (226, 178, 142), 0.45), 255))
    pen.pieslice((58, 14, 122, 90), 180, 360, fill=(*blend(colour, (30, 24, 28), 0.6), 255))
    pen.rounded_rectangle((34, 96, 146, 300), 40, fill=(*colour, 255))
    pen.rounded_rectangle((46, 240, 134, 460), 20, fill=(*blend(colour, (30, 28, 40), 0.5), 255))
    person = person.resize((int(180 * size), int(460 * size)))
    return person.filter(ImageFilter.GaussianBlur(4))


def draw_performances(folder: Path, seconds: float, progress: Callable[[int, int], None] | None = None) -> list[Path]:
    """Draw the four performances: always the same ones, whatever was drawn before.

    Writes ``performance-N.mp4`` (320 x 240, 25 frames a second, H.264, AAC mono 44.1 kHz) and
    ``performance-N.eaf`` into the folder, and ``text/performance-N.txt`` with the same annotations, N from
    1 to 4. Each file appears whole or not at all, a video before its annotations; files of these names are
    replaced.

    Parameters
    ----------
    folder : Path
        Made where there is none.
    seconds : float
        Length of each performance, at least 1.
    progress : callable, optional
        Called after each frame with the frames done and the frames in all.

    Returns
    -------
    list of Path
        The four videos.

    Raises
    ------
    InputError
        If `seconds` is too short or no number, or the folder cannot be made or written to.
    """
    if not 1 <= seconds < float("inf"):
        raise InputError(f"{folder}: cannot draw performances of {seconds} s; give at least 1 second")
    frames = round(seconds * FRAME_RATE)
    videos: list[Path] = []

    def count(done: int) -> None:
        if progress is not None:
            progress(len(videos) * frames + done, len(PERFORMANCES) * frames)

    try:
        (folder / "text").mkdir(parents=True, exist_ok=True)
        for performance in PERFORMANCES:
            video = folder / f"performance-{performance}.mp4"
            gestures = score(performance, frames / FRAME_RATE)
            _write_video(video, *_perform(performance, gestures, frames), count)
            eaf, text = video.with_suffix(".eaf"), folder / "text" / f"{video.stem}.txt"
            annotations.write(eaf, gestures, media=[annotations.media_for(video, eaf)], tiers=GESTURES)
            annotations.write(text, gestures)
            videos.append(video)
    except OSError as error:
        reason = error.strerror or type(error).__name__
        raise InputError(f"{folder}: cannot be written to ({reason}); free or choose another place") from error
    return videos


def _perform(
    performance: int, gestures: tuple[Interval, ...], frames: int
) -> tuple[Iterator[np.ndarray], Iterator[np.ndarray]]:
    """Return the pictures, (240, 320, 3) uint8 each, and the seconds of sound."""
    played = list(notes(performance, gestures, frames / FRAME_RATE))
    moved = tracks(gestures, played, frames, performance)
    stage, look = _Stage(performance), _LOOKS[performance]
    pictures = (
        stage.film(draw(pose, look, stage.backdrop(frame / FRAME_RATE)), frame / FRAME_RATE)
        for frame, pose in enumerate(poses(moved))
    )
    return pictures, sound.seconds_of_sound(played, moved["wobble"], stillness(gestures, frames))


def _write_video(
    path: Path, pictures: Iterator[np.ndarray], music: Iterator[np.ndarray], count: Callable[[int], None]
) -> None:
    """Encode beside `path`, then rename; `count` is told the number of frames written so far."""
    partial = path.with_name(f".{path.name}.partial")
    try:
        with av.open(str(partial), "w", format="mp4") as container:
            _encode(container, pictures, music, count)
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)


def _encode(
    container: av.container.OutputContainer,
    pictures: Iterator[np.ndarray],
    music: Iterator[np.ndarray],
    count: Callable[[int], None],
) -> None:
    # For the same bytes each time: one thread, and not the tree of macroblocks, whose choices were seen to
    # differ from run to run on the same pictures.
    quality = {"crf": "23", "preset": "veryfast", "threads": "1", "mbtree": "0"}
    video = container.add_stream("libx264", rate=FRAME_RATE, options=quality)
    video.width, video.height, video.pix_fmt = _WIDE, _HIGH, "yuv420p"
    audio = container.add_stream("aac", rate=sound.RATE, layout="mono", bit_rate=96_000)
    heard = 0
    for number, picture in enumerate(pictures):
        if number % FRAME_RATE == 0:
            samples = next(music)
            block = av.AudioFrame.from_ndarray(samples[None], format="fltp", layout="mono")
            block.sample_rate, block.pts, block.time_base = sound.RATE, heard, Fraction(1, sound.RATE)
            heard += len(samples)
            container.mux(audio.encode(block))
        frame = av.VideoFrame.from_ndarray(picture, format="rgb24")
        frame.pts, frame.time_base = number, Fraction(1, FRAME_RATE)
        container.mux(video.encode(frame))
        count(number + 1)
    container.mux(audio.encode(None))
    container.mux(video.encode(None))
