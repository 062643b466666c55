"""Stage one: a video goes in, a recording of the feature store comes out (Section 5.1)."""

import importlib.metadata
import time
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from extract.audio import AudioParameters, clip_samples, has_sound, timbre
from extract.prefetch import prefetch
from extract.runtimes import Runtime, prepare
from extract.video import Frame, VideoInfo, frames, probe
from extract.weights import Backbone
from store.errors import InputError
from store.features import FeatureStore, occupied
from store.files import require_file, sha256
from store.progress import progress
from store.timeline import CLIP_LENGTH, clip_count, clip_times
from store.writing import RecordingWriter, check_id

BATCH = 8  # clips computed at once; more is not faster on a CPU
_AHEAD = 2  # batches decoded ahead of the network
_SOUND_BATCH = 64  # clips whose audio features are computed at once


@dataclass(frozen=True)
class Outcome:
    """What became of one video.

    Parameters
    ----------
    video : str
        The file.
    recording : str
        Its id in the store.
    status : {"extracted", "already there", "failed"}
    clips : int
        Number of clips in the store.
    seconds : float
        Time it took.
    error : str or None
        Why it failed, one line.
    """

    video: str
    recording: str
    status: str
    clips: int = 0
    seconds: float = 0.0
    error: str | None = None


class Extractor:
    """Extracts videos into one store with one backbone.

    Parameters
    ----------
    store : Path
        The store's folder; it is made with the first recording.
    backbone : Backbone
        The frozen network.
    device : {"auto", "cpu", "cuda"}
        Where it runs.
    precision : {"float16", "float32"}
        Type of the stored activations.

    Raises
    ------
    InputError
        If the store is there and was made with another spec.
    """

    def __init__(self, store: Path, backbone: Backbone, device: str = "auto", precision: str = "float16"):
        self.store, self.backbone, self.device = store, backbone, device
        self.precision = np.dtype(precision)
        self.spec = backbone.spec(precision, CLIP_LENGTH, CLIP_LENGTH, asdict(AudioParameters()))
        if occupied(store):
            FeatureStore(store).require(self.spec, "extract with those settings or into another store")

    @cached_property
    def runtime(self) -> Runtime:
        """What runs the trunk; prepared when the first video needs it."""
        return prepare(self.backbone, self.device)

    def extract_all(
        self, videos: Iterable[Path], name: str | None = None, audio: Path | None = None
    ) -> Iterator[Outcome]:
        """Extract videos one after the other; one that cannot be used does not stop the others."""
        for video in videos:
            try:
                yield self.extract(video, name, audio)
            except InputError as error:
                yield Outcome(str(video), name or video.stem, "failed", error=str(error))

    def extract(self, video: Path, name: str | None = None, audio: Path | None = None) -> Outcome:
        """Extract one video, unless the store has it.

        Parameters
        ----------
        video : Path
            The video file.
        name : str, optional
            The recording's id; the file's stem if not given.
        audio : Path, optional
            A sound file that belongs to the video and replaces its own sound.

        Raises
        ------
        InputError
            If the video cannot be used, or the id is taken by another content. Nothing is left behind.
        """
        began = time.monotonic()
        recording = check_id(video.stem if name is None else name)
        source = describe_source(video, audio)
        clips = self._find(recording, source, video)
        status = "already there"
        if clips is None:
            status = "extracted"
            try:
                clips = self._write(video, recording, audio, source)
            except InputError:
                clips, status = self._find(recording, source, video), "already there"
                if clips is None:  # else another process has been faster with the same video
                    raise
        return Outcome(str(video), recording, status, clips, time.monotonic() - began)

    def _find(self, recording: str, source: dict[str, Any], video: Path) -> int | None:
        """Return the number of clips if the store has this very content under this id."""
        if not occupied(self.store):
            return None
        store = FeatureStore(self.store)
        if recording not in store:
            return None
        there = store[recording].attributes
        if any(there.get(key) != source[key] for key in ("source_sha256", "audio_sha256")):
            raise InputError(
                f"{video}: the store {self.store} has another recording {recording}, made from "
                f"{there.get('source_name')}; give this one an id with --name, or use another store"
            )
        return store[recording].clips

    def _write(self, video: Path, recording: str, audio: Path | None, source: dict[str, Any]) -> int:
        info = probe(video)
        if audio is not None and not has_sound(audio):
            raise InputError(f"{audio}: has no sound stream; name a file that has one, or leave out --audio")
        expected = clip_count(info.frame_count)
        with RecordingWriter(self.store, recording, self.spec, self.backbone.tail(), expected, source) as writer:
            clock = _Clock()
            parity = self._write_picture(writer, video, clock, f"{recording}: picture", expected)
            times = clock.times()
            writer.put("times", times)
            writer.put("frame_times", np.array(clock.starts))
            if audio is not None or info.has_sound:
                with progress(f"{recording}: sound", len(times), "clips") as advance:
                    for samples in clip_samples(audio or video, times, _SOUND_BATCH):
                        writer.append("audio", timbre(samples))
                        advance(len(samples))
            writer.commit(source | self._describe(info, clock.end, parity))
        return len(times)

    def _write_picture(
        self, writer: RecordingWriter, video: Path, clock: "_Clock", description: str, expected: int
    ) -> float:
        """Write the activations, and return the runtime's largest difference from the reference."""
        parity = None
        with progress(description, expected, "clips") as advance:
            for batch in prefetch(clock.clips(self._frames(video)), _AHEAD):
                if parity is None:
                    parity = self.runtime.check(batch[:1])
                writer.append("conv4/plain", self._cast(self.runtime.run(batch), video))
                advance(len(batch))
        if parity is None:
            raise InputError(
                f"{video}: has {len(clock.starts)} frames, fewer than one clip of {CLIP_LENGTH}; use a longer video"
            )
        return parity

    def _frames(self, video: Path) -> Iterator[Frame]:
        preprocessing = self.backbone.preprocessing
        return frames(video, size=preprocessing.size, resize=preprocessing.resize)

    def _cast(self, activations: NDArray[np.float32], video: Path) -> NDArray:
        with np.errstate(over="ignore"):
            stored = activations.astype(self.precision)
        if not np.isfinite(stored).all():
            raise InputError(f"{video}: activations too large for {self.precision}; extract with --precision float32")
        return stored

    def _describe(self, info: VideoInfo, end: float, parity: float) -> dict[str, Any]:
        return {
            "roi": None,
            "frame_rate": info.frame_rate,
            "duration": info.duration,
            "frames_end": end,
            "rotation": info.rotation,
            "width": info.width,
            "height": info.height,
            "runtime": self.runtime.name,
            "runtime_version": self.runtime.version,
            "runtime_device": self.runtime.device,
            "runtime_precision": self.runtime.precision,
            "largest_difference": parity,
            "chironomy_version": importlib.metadata.version("chironomy"),
        }


class _Clock:
    """Collects the frames' times while their pictures pass through in clips."""

    def __init__(self) -> None:
        self.starts: list[float] = []
        self.end = 0.0

    def clips(self, frames: Iterable[Frame]) -> Iterator[NDArray[np.uint8]]:
        """Yield batches (at most BATCH clips, 16, size, size, 3); the incomplete tail is dropped."""
        pictures: list[NDArray[np.uint8]] = []
        for frame in frames:
            self.starts.append(frame.time)
            self.end = frame.end
            pictures.append(frame.picture)
            if len(pictures) == BATCH * CLIP_LENGTH:
                yield _stack(pictures)
                pictures = []
        if len(pictures) >= CLIP_LENGTH:
            yield _stack(pictures)

    def times(self) -> NDArray[np.float64]:
        """Return the clips' times, (clips, 2) in seconds."""
        return clip_times(np.array(self.starts), self.end)


def _stack(pictures: list[NDArray[np.uint8]]) -> NDArray[np.uint8]:
    clips = clip_count(len(pictures))
    stacked = np.stack(pictures[: clips * CLIP_LENGTH])
    return stacked.reshape(clips, CLIP_LENGTH, *stacked.shape[1:])


def describe_source(video: Path, audio: Path | None) -> dict[str, Any]:
    """Return the facts by which a recording's content is recognised, JSON-ready."""
    require_file(video)
    return {
        "source_name": video.name,
        "source_sha256": sha256(video),
        "source_size": video.stat().st_size,
        "audio_name": audio.name if audio else None,
        "audio_sha256": sha256(require_file(audio)) if audio else None,
    }
