"""Small recordings made for the tests of extraction: lossless pictures of the network's size, and a tone."""

import wave
from collections.abc import Iterable
from fractions import Fraction
from functools import lru_cache
from pathlib import Path
from typing import Any

import av
import numpy as np
import torch

from extract.pipeline import Extractor
from extract.runtimes import Runtime, prepare
from extract.weights import Backbone

SIZE = 112  # of the network's input


def pictures(count: int, seed: int = 0, size: int = SIZE) -> list[np.ndarray]:
    """Moving noise in blocks, of as many pixels as the network sees, so that nothing is resized."""
    random = np.random.default_rng(seed)
    noise = random.integers(0, 256, (size // 8, size // 8, 3), np.uint8).repeat(8, axis=0).repeat(8, axis=1)
    return [np.roll(noise, 2 * index, axis=1) for index in range(count)]


def write_video(
    path: Path,
    count: int = 40,
    sound: bool = True,
    seed: int = 0,
    rate: int = 25,
    codec: str = "png",
    frame: tuple[int, int] = (0, 0),
    size: int = SIZE,
) -> Path:
    """Write those pictures, without loss if the codec is, with a tone of the same length.

    With a frame they stand that many pixels from the left and the top of a black picture, and as far from
    the other sides.
    """
    left, top = frame
    framed = (np.pad(picture, ((top, top), (left, left), (0, 0))) for picture in pictures(count, seed, size))
    tone = tone_of(count / rate) if sound else None
    return write_pictures(path, framed, (size + 2 * left, size + 2 * top), rate, codec, tone)


def write_pictures(
    path: Path,
    shown: Iterable[np.ndarray],
    size: tuple[int, int] = (SIZE, SIZE),
    rate: int = 25,
    codec: str = "png",
    tone: np.ndarray | None = None,
) -> Path:
    """Write pictures of a width and height at a rate, and the samples of a tone at 22,050 Hz if there is one."""
    with av.open(str(path), "w") as output:
        stream = output.add_stream(codec, rate=rate)
        stream.width, stream.height = size
        stream.pix_fmt = "rgb24" if codec == "png" else "yuv420p"
        sound = output.add_stream("pcm_s16le", rate=22050, layout="mono") if tone is not None else None
        for index, picture in enumerate(shown):
            frame = av.VideoFrame.from_ndarray(picture)
            frame.pts, frame.time_base = index, Fraction(1, rate)
            output.mux(stream.encode(frame))
        output.mux(stream.encode(None))
        if sound is not None:
            for first in range(0, len(tone), 22050):
                heard = av.AudioFrame.from_ndarray(tone[None, first : first + 22050], format="s16", layout="mono")
                heard.sample_rate, heard.pts, heard.time_base = 22050, first, Fraction(1, 22050)
                output.mux(sound.encode(heard))
            output.mux(sound.encode(None))
    return path


def tone_of(seconds: float) -> np.ndarray:
    time = np.arange(round(seconds * 22050)) / 22050
    return (12_000 * np.sin(2 * np.pi * 440 * time * (1 + time))).astype(np.int16)


def write_sound(path: Path, samples: np.ndarray) -> Path:
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(22050)
        file.writeframes(samples.tobytes())
    return path


def reference(backbone: Backbone, clips: np.ndarray) -> np.ndarray:
    """conv4 of clips (clips, 16, size, size, 3) by the plain network; the preprocessing of 2018, or of ``tiny``."""
    if backbone.name == "tiny":
        x = (clips.astype(np.float32) / 255 - np.array([0.5, 0.4, 0.3], np.float32)) / np.float32(0.2)
    else:
        x = clips.astype(np.float32) - np.array([114.7748, 107.7354, 99.4750], np.float32)
    with torch.no_grad():
        return backbone.trunk(torch.from_numpy(np.moveaxis(x, -1, 1))).numpy()


@lru_cache(maxsize=1)
def _runtime(backbone: Backbone) -> Runtime:
    return prepare(backbone)


def extractor(store: Path, backbone: Backbone, *given: Any, **named: Any) -> Extractor:
    """Return an Extractor whose runtime need not be prepared anew."""
    made = Extractor(store, backbone, *given, **named)
    made.__dict__["runtime"] = _runtime(backbone)
    return made
