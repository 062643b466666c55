"""A video in which something moves now and then, and the annotation that says when."""

from fractions import Fraction
from pathlib import Path

import av
import numpy as np

from store.annotations import Interval, write


def write_video(path: Path, clips: int) -> Path:
    """Noise of 112 pixels that moves in every other pair of clips, 25 frames a second, without loss."""
    noise = np.random.default_rng(0).integers(0, 256, (14, 14, 3), np.uint8).repeat(8, axis=0).repeat(8, axis=1)
    with av.open(str(path), "w") as output:
        stream = output.add_stream("png", rate=25)
        stream.width = stream.height = 112
        stream.pix_fmt = "rgb24"
        for index in range(16 * clips):
            frame = av.VideoFrame.from_ndarray(np.roll(noise, 3 * index * (index // 32 % 2), axis=1))
            frame.pts, frame.time_base = index, Fraction(1, 25)
            output.mux(stream.encode(frame))
        output.mux(stream.encode(None))
    return path


def annotate(path: Path, clips: int) -> tuple[Path, str]:
    """Write when it moves, and a vocabulary of that one gesture beside it; return both files."""
    write(path, [Interval(1.28 * pair, 1.28 * (pair + 1), "move") for pair in range(1, clips // 2, 2)])
    vocabulary = path.with_suffix(".toml")
    vocabulary.write_text('name = "one"\ngestures = ["move"]\n')
    return path, str(vocabulary)
