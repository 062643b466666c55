"""A small recording, written as extraction does: what the tests of the store write and look for.

As a program, ``python tests/small_store.py STORE ID``, it writes one and prints a line at each step.
"""

import sys
from pathlib import Path

import numpy as np

from store.spec import Spec
from store.writing import RecordingWriter

CLIPS = 70  # two whole chunks of clips, and a rest
SPEC = Spec(
    backbone="r3d34",
    kind="2018",
    weights="random:0",
    weights_sha256="ab" * 32,
    clip_length=16,
    stride=16,
    preprocessing={"mean": [114.7748, 107.7354, 99.475], "scale": 1.0},
    precision="float16",
    audio={"rate": 22050},
)
TAIL = {"fc.bias": np.arange(5, dtype=np.float32), "layer4.0.conv1.weight": np.ones((2, 3, 1, 1, 1), np.float32)}
ATTRIBUTES = {"source_name": "é.mp4", "source_sha256": "cd" * 32, "duration": 46.7, "frame_rate": 24.0, "roi": None}


def arrays(seed: int = 0) -> dict[str, np.ndarray]:
    noise = np.random.default_rng(seed)
    frame_times = np.arange(CLIPS * 16 + 5) / 24
    return {
        "conv4/plain": noise.exponential(3, (CLIPS, 4, 2, 7, 7)).astype(np.float16),
        "audio": noise.normal(2000, 3, (CLIPS, 28, 6)).astype(np.float32),
        "times": np.column_stack([frame_times[: CLIPS * 16 : 16], frame_times[16 : CLIPS * 16 + 1 : 16]]),
        "frame_times": frame_times,
    }


def fill(writer: RecordingWriter, values: dict[str, np.ndarray], batch: int = 8) -> None:
    for name in ("conv4/plain", "audio"):
        for first in range(0, len(values[name]), batch):
            writer.append(name, values[name][first : first + batch])
    writer.put("times", values["times"])
    writer.put("frame_times", values["frame_times"])


def write(store: Path, recording: str = "a", seed: int = 0, batch: int = 8, spec: Spec = SPEC) -> None:
    with RecordingWriter(store, recording, spec, TAIL, CLIPS) as writer:
        fill(writer, arrays(seed), batch)
        writer.commit(ATTRIBUTES)


if __name__ == "__main__":
    print("ready", flush=True)
    write(Path(sys.argv[1]), sys.argv[2], seed=int(sys.argv[3]) if len(sys.argv) > 3 else 0)
    print("done", flush=True)
