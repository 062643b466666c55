"""Stage one: a video goes in, a recording of the feature store comes out (Section 5.1).

Three things happen at once: one thread decodes and shapes the frames of the next clips, one computes the
audio features of the last, and here the network runs on those between. What is ahead is bounded.
"""

import importlib.metadata
import logging
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from functools import cached_property
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from extract.audio import AUDIO, has_sound
from extract.backbones import Preprocessing
from extract.cutting import Batch, Cutter
from extract.jobs import Job, Machine, Outcome, Settings
from extract.listening import SoundFeatures
from extract.prefetch import prefetch
from extract.regions import check_region
from extract.runtimes import Runtime, prepare
from extract.video import VideoInfo, frames, probe
from extract.views import PLAIN, apply
from extract.weights import Backbone
from store.errors import InputError
from store.features import CONTENT, FeatureStore, Recording, occupied
from store.places import Place
from store.progress import progress
from store.timeline import CLIP_LENGTH, clip_count, clip_times
from store.workspace import sweep
from store.writing import RecordingWriter, check_id

_AHEAD = 2  # batches decoded ahead of the network
_ALIKE = 0.01  # frame rates that differ by less count as one: 29.97 and 30

_log = logging.getLogger(__name__)


class Extractor:
    """Extracts videos into one store with one backbone.

    Parameters
    ----------
    store : Path or UPath
        The store; it is made with the first recording.
    backbone : Backbone
        The frozen network.
    settings : Settings
        What decides the features.
    machine : Machine
        What computes.
    views : sequence of str
        Versions of the picture whose activations are stored, ``plain`` among them.

    Raises
    ------
    InputError
        If the store is there and was made with another spec.
    """

    def __init__(
        self,
        store: Place,
        backbone: Backbone,
        settings: Settings | None = None,
        machine: Machine | None = None,
        views: Sequence[str] = (PLAIN,),
    ):
        self.store, self.backbone, self.views = store, backbone, tuple(views)
        self.settings, self.machine = settings or Settings(), machine or Machine()
        self.audio = AUDIO[self.settings.audio]
        self.spec = backbone.spec(
            self.settings.precision,
            stride=self.settings.stride,
            clip_length=CLIP_LENGTH,
            audio=asdict(self.audio),
            fps=self.settings.fps,
            tail=self.settings.tail,
            resize=self.settings.resize,
        )
        if occupied(store):
            FeatureStore(store).require(self.spec, "extract with those settings or into another store")
        sweep(store)
        self._told = False  # that rates differ
        self._difference: float | None = None  # of the runtime from the reference; checked once

    @cached_property
    def runtime(self) -> Runtime:
        """What runs the trunk; prepared when the first video needs it."""
        return prepare(self.backbone, self.machine.device, self.machine.runtime, self.machine.compute)

    @property
    def on_gpu(self) -> bool:
        """Whether the network runs on a GPU."""
        return self.machine.device == "cuda" or (self.machine.device == "auto" and torch.cuda.is_available())

    def extract(self, job: Job) -> Outcome:
        """Extract one video, or what the store lacks of it.

        Raises
        ------
        InputError
            If the video cannot be used, or its id is taken by another content. Nothing is left behind.
        """
        began = time.monotonic()
        name = check_id(job.recording)
        found = self._find(name, job)
        status, views = self._what_to_do(found)
        if views:
            name = found.id if found else name
            if not self._write(job, name, views, adding=found is not None):
                status = "already there"
            found = FeatureStore(self.store)[name]
            if self.settings.fps is None and status == "extracted" and not self._told:
                self._compare_rates(found)
        assert found is not None
        return Outcome(str(job.video), found.id, status, found.clips, time.monotonic() - began)

    def _what_to_do(self, found: Recording | None) -> tuple[str, tuple[str, ...]]:
        """Return what to call it, and the views to compute."""
        if found is None:
            return "extracted", self.views
        missing = tuple(view for view in self.views if view not in found.views)
        return ("views added" if missing else "already there"), missing

    def _find(self, name: str, job: Job) -> Recording | None:
        """Return the recording of this very content, under this or another id."""
        if not occupied(self.store):
            return None
        store = FeatureStore(self.store)
        if name not in store:
            return store.find(job.source)
        recording = store[name]
        there = recording.attributes
        if any(there.get(key) != job.source[key] for key in CONTENT):
            same = there.get("source_sha256") == job.source["source_sha256"]
            made_from = "the same video with another --roi or --audio" if same else there.get("source_name")
            raise InputError(
                f"{job.video}: the store {self.store} has another recording {name}, made from {made_from}; "
                "give this one an id with --name, or use another store"
            )
        return recording

    def _write(self, job: Job, name: str, views: tuple[str, ...], adding: bool) -> bool:
        """Write a recording or more views of one; return False if another process has done so meanwhile."""
        info = self._probe(job)
        runtime = self.runtime.describe()
        attributes: dict[str, Any] = runtime | {"chironomy_version": importlib.metadata.version("chironomy")}
        writer = RecordingWriter(
            self.store,
            name,
            self.spec,
            self.backbone.tail(),
            self._expected(info),
            identity={key: job.source[key] for key in CONTENT} | attributes,
            parts=views if adding else (),
        )
        with writer:
            if not self._what_to_do(self._find(name, job))[1]:  # now that no other process can be at it
                return False
            cutter = self._compute(writer, job, name, views, info, with_sound=not adding)
            attributes |= {"largest_difference": self._difference}
            if not adding:
                times = clip_times(
                    np.array(cutter.starts), cutter.end, CLIP_LENGTH, self.settings.stride, self.settings.tail
                )
                writer.put("times", times)
                writer.put("frame_times", np.array(cutter.starts))
                attributes |= job.source | _describe(info) | {"frames_end": cutter.end}
            writer.commit(attributes)
        return True

    def _probe(self, job: Job) -> VideoInfo:
        info = probe(job.video)
        if job.roi is not None:
            check_region(job.video, job.roi, info.width, info.height, self.spec.preprocessing["size"])
        if job.audio is not None and not has_sound(job.audio):
            raise InputError(f"{job.audio}: has no sound stream; name a file that has one, or leave out --audio")
        return info

    def _expected(self, info: VideoInfo) -> int:
        fps = self.settings.fps
        count = info.frame_count if fps is None else round(info.duration * fps)
        return clip_count(count, CLIP_LENGTH, self.settings.stride, self.settings.tail)

    def _compute(
        self, writer: RecordingWriter, job: Job, name: str, views: tuple[str, ...], info: VideoInfo, with_sound: bool
    ) -> Cutter:
        """Write activations and audio features; return what has cut the clips, with all times."""
        sound = (job.audio or (job.video if info.has_sound else None)) if with_sound else None
        arrays = [f"conv4/{view}" for view in views] + (["audio"] if sound else [])
        cutter = Cutter(self.settings.stride, self.settings.tail, writer.resume(arrays))
        with (
            SoundFeatures(writer, sound, job.audio_offset if job.audio else 0.0, self.audio) as features,
            _speedometer(name, self._expected(info)) as moved,
        ):
            for batch in prefetch(cutter.batches(self._frames(job)), _AHEAD):
                if self._difference is None:
                    assert batch.pictures is not None  # the first batch has them
                    self._difference = self.runtime.check(batch.pictures[:1])
                if batch.first >= cutter.done:
                    features.start(batch.times)
                    self._run(writer, job, views, batch)
                moved(batch)
        if not clip_count(len(cutter.starts), CLIP_LENGTH, self.settings.stride, self.settings.tail):
            raise InputError(
                f"{job.video}: has {len(cutter.starts)} frames, fewer than one clip of {CLIP_LENGTH}; "
                "use a longer video, or --tail loop"
            )
        return cutter

    def _run(self, writer: RecordingWriter, job: Job, views: tuple[str, ...], batch: Batch) -> None:
        assert batch.pictures is not None
        for view in views:
            clips = apply(view, batch.pictures, batch.first, job.source["source_sha256"])
            writer.append(f"conv4/{view}", self._cast(self.runtime.run(clips), job))

    def _frames(self, job: Job) -> Iterator[Any]:
        shape = Preprocessing.from_dict(self.spec.preprocessing)
        return frames(
            job.video,
            size=shape.size,
            resize=shape.resize,
            before_crop=shape.before_crop,
            roi=job.roi,
            fps=self.settings.fps,
        )

    def _cast(self, activations: NDArray[np.float32], job: Job) -> NDArray:
        with np.errstate(over="ignore"):
            stored = activations.astype(self.settings.precision)
        if not np.isfinite(stored).all():
            raise InputError(
                f"{job.video}: activations too large for {self.settings.precision}; extract with --precision float32"
            )
        return stored

    def _compare_rates(self, recording: Recording) -> None:
        """Warn where clips of the store's recordings last differently."""
        rate = recording.attributes["frame_rate"]
        others = {
            name: there["frame_rate"]
            for name, there in FeatureStore(self.store).attributes().items()
            if abs(there.get("frame_rate", rate) / rate - 1) > _ALIKE
        }
        if others:
            self._told = True
            name, other = next(iter(others.items()))
            _log.warning(
                "%s: %s has %.4g frames a second, %s %.4g, so that their clips last differently; extracting into a "
                "new store with --fps %.4g makes them alike",
                *(self.store, recording.id, rate, name, other, min(rate, *others.values())),
            )


@contextmanager
def _speedometer(name: str, expected: int) -> Iterator[Any]:
    """Show a bar with clips a second, how many times faster than real time, and the time left."""
    began, first = time.monotonic(), None
    with progress(name, expected, "clips") as advance:

        def moved(batch: Batch) -> None:
            nonlocal began, first
            if batch.pictures is None or first is None:
                began, first = time.monotonic(), batch.times[-1, 1]
                advance(len(batch.times))
            else:
                speed = (batch.times[-1, 1] - first) / (time.monotonic() - began)
                advance(len(batch.times), note=f"{speed:.1f} x real time")

        yield moved


def _describe(info: VideoInfo) -> dict[str, Any]:
    """Return the facts on a video's picture that are kept with its recording."""
    names = ("frame_rate", "duration", "rotation", "width", "height")
    return {name: getattr(info, name) for name in names}
