"""A store of small activations with planted gestures, and their annotations: what runs are tried on quickly.

Its backbone is ``tiny`` (`tiny_backbone.added` makes it known), whose conv5 trains in milliseconds.
"""

import hashlib
from collections.abc import Collection, Sequence
from dataclasses import asdict
from pathlib import Path

import numpy as np

from extract.audio import AUDIO
from extract.weights import Backbone, load_backbone
from store.annotations import Interval, write
from store.files import sha256
from store.spec import Spec
from store.writing import RecordingWriter

CLASSES = ("nod", "lift")
RATE = 25  # frames a second
SHAPE = (12, 4, 12, 12)


def write_vocabulary(path: Path) -> str:
    path.write_text(f'name = "two"\ngestures = {list(CLASSES)}\nbackground = "still"\n'.replace("'", '"'))
    return str(path)


def write_recording(
    store: Path,
    name: str,
    clips: int = 60,
    *,
    sound: bool = True,
    seed: int = 0,
    views: Sequence[str] = ("plain",),
    changed: Collection[int] = (),
    video: Path | None = None,
) -> Path:
    """Write a recording, and beside the store its annotations; return their file.

    The clips that have `changed` have other values, which show nothing; the others are as without. If there is a
    `video`, the recording says that it is of it.
    """
    backbone = load_backbone("random:0", "tiny")
    random = np.random.default_rng([seed, *name.encode()])
    present = np.repeat(random.random((-(-clips // 3), 2)) < [0.45, 0.3], 3, axis=0)[:clips]
    pictures = random.normal(0, 1, (clips, *SHAPE))
    pictures[present[:, 0], :4, :, :4, :4] += 0.5
    pictures[present[:, 1], 4:8, :, 6:10, 6:10] += 0.5
    audio = random.normal(0, 1, (clips, 28, 108))
    audio[present[:, 1], :, :20] += 0.3
    for number in changed:
        pictures[number], audio[number] = 40.0, -70.0 - number
    frame_times = np.arange(16 * clips) / RATE
    source = {"source_sha256": hashlib.sha256(f"{name} {seed}".encode()).hexdigest(), "source_name": f"{name}.mov"}
    if video is not None:
        source = {"source_sha256": sha256(video), "source_name": video.name, "source_size": video.stat().st_size}
    with RecordingWriter(store, name, _spec(backbone), backbone.tail(), clips, source) as writer:
        for view in views:
            seen = pictures[..., ::-1] if view == "flip" else pictures
            writer.append(f"conv4/{view}", seen.astype(np.float16))
        if sound:
            writer.append("audio", audio.astype(np.float32))
        writer.put("times", np.column_stack([frame_times[::16], frame_times[::16] + 16 / RATE]))
        writer.put("frame_times", frame_times)
        known = {"duration": 16 * clips / RATE, "frame_rate": RATE, "roi": None, "frames_end": 16 * clips / RATE}
        writer.commit(source | known)
    annotated = store.parent / f"{name}.csv"
    write(annotated, intervals(present))
    return annotated


def intervals(present: np.ndarray) -> list[Interval]:
    """Return annotations of whole clips, (clips, classes), neighbours joined."""
    found = []
    for column, name in enumerate(CLASSES):
        edges = np.flatnonzero(np.diff(present[:, column].astype(int), prepend=0, append=0))
        found += [
            Interval(16 * begin / RATE, 16 * end / RATE, name)
            for begin, end in zip(edges[::2].tolist(), edges[1::2].tolist(), strict=True)
        ]
    return found


def _spec(backbone: Backbone) -> Spec:
    return backbone.spec("float16", 16, 16, asdict(AUDIO["paper"]))
