"""A video in which something moves now and then, and the annotation that says when."""

from pathlib import Path

import numpy as np
from recordings import write_pictures

from store.annotations import Interval, write


def write_video(path: Path, clips: int) -> Path:
    """Noise of 112 pixels that moves in every other pair of clips, 25 frames a second, without loss."""
    noise = np.random.default_rng(0).integers(0, 256, (14, 14, 3), np.uint8).repeat(8, axis=0).repeat(8, axis=1)
    moved = (np.roll(noise, 3 * index * (index // 32 % 2), axis=1) for index in range(16 * clips))
    return write_pictures(path, moved)


def annotate(path: Path, clips: int) -> tuple[Path, str]:
    """Write when it moves, and a vocabulary of that one gesture beside it; return both files."""
    write(path, [Interval(1.28 * pair, 1.28 * (pair + 1), "move") for pair in range(1, clips // 2, 2)])
    vocabulary = path.with_suffix(".toml")
    vocabulary.write_text('name = "one"\ngestures = ["move"]\n')
    return path, str(vocabulary)
