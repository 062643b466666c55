"""The main job: a video and a model in, labelled gestures in ELAN out."""

import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from extract.jobs import Job, Machine, settings_of
from extract.pipeline import Extractor
from extract.regions import Region
from extract.video import probe
from extract.weights import find_backbone
from heads.intervals import clips_to_intervals
from heads.model import GestureModel, load_model
from heads.postprocessing import PostProcessing
from heads.suggesting import fewer, outlook_on, suggest
from store.annotations import Interval, check_ending, predicted_tier
from store.errors import InputError
from store.features import FeatureStore, Recording, occupied
from store.files import require_file
from store.mismatch import HEADER_BEYOND, Clock, clock_of, doubts, match_video
from store.places import Place
from store.predicted import base_for, write_predicted
from store.vocabulary import class_members


@dataclass(frozen=True)
class Prediction:
    """What a model says of a recording.

    Parameters
    ----------
    classes : tuple of str
        Names of the columns, the background class left out.
    probability : ndarray of float, shape (clips, classes)
        Of each class in each clip.
    times : ndarray of float64, shape (clips, 2)
        Start and end of the clips, in seconds of the video.
    postprocessing : PostProcessing
        How the model tells presence from probabilities.
    untrained_backbone : bool
        Whether the weights under it are random.
    """

    classes: tuple[str, ...]
    probability: NDArray[np.float64]
    times: NDArray[np.float64]
    postprocessing: PostProcessing
    untrained_backbone: bool

    def intervals(self, thresholds: Mapping[int, float] | None = None) -> list[Interval]:
        """Return the gestures found, in seconds of the video; by other thresholds for some classes if given."""
        changed = self.postprocessing.with_thresholds(thresholds or {})
        present = changed.present(self.probability, self.times)
        return clips_to_intervals(self.probability, present, self.times, self.classes)


def label(
    video: Path,
    model: Path,
    out: Path,
    *,
    store: "Place | None" = None,
    name: str | None = None,
    roi: Region | None = None,
    annotations: Path | None = None,
    weights: str | None = None,
    device: str = "auto",
    thresholds: Mapping[str, float] | None = None,
    offset: float | None = None,
    suggestions: int = 0,
) -> dict[str, Any]:
    """Label a video and write the gestures found, beside what people have annotated.

    Parameters
    ----------
    video : Path
        The video. Its features are taken from the store if they are there, else extracted on the way.
    model : Path
        A trained model's folder.
    out : Path
        Of any format of `store.annotations`, by its ending; a file that exists is labelled into.
    store : Path or UPath, optional
        A feature store to take from and add to; without it the features are not kept.
    name : str, optional
        Id of its recording in the store, where it is not the file's stem.
    roi : (x, y, width, height), optional
        The part of the picture to look at, in pixels, where it is extracted now.
    annotations : Path, optional
        A file whose annotations are kept in `out`; may be `out` itself.
    weights : str, optional
        The backbone's weights file, where it is not found by itself.
    device : {"auto", "cpu", "cuda"}
        Where the backbone runs.
    thresholds : mapping, optional
        By class, in place of the model's own.
    offset : float, optional
        Seconds to be added to the times of `annotations` to have the video's (see `store.mismatch`).
    suggestions : int
        How many stretches to point out that are most worth looking at next, on the tier ``worth a look [chironomy]``.

    Returns
    -------
    dict
        JSON-ready: the file, the number of clips, and per gesture the intervals and seconds that its tier
        ``GESTURE [chironomy]`` now holds; ``suggestions``, each with ``begin``, ``end`` and ``why``, the best first;
        ``notes``, what a user should know.

    Raises
    ------
    InputError
        If something given cannot be used; `out` is then as it was.
    """
    require_file(video)
    check_ending(out)
    loaded = load_model(model).with_thresholds(thresholds or {})
    base = base_for(annotations, out)
    notes: list[str] = []
    if base is not None:
        _check_before(base, loaded, video, offset)
        notes += doubts(base, video, name, unlinked=annotations is not None)
    with _kept_or_not(store) as features:
        recording = _features(Job(video, name, roi=roi), loaded, model, features, weights, device)
        said = predict(loaded, recording)
        base, matched = base_for(annotations, out), None  # a file may have come to be meanwhile
        if base is not None:
            clock = replace(clock_of(recording), recording=video.stem)
            matched = match_video(base, loaded.vocabulary, clock, offset, required=False)
        found, gestures = said.intervals(), list(said.classes)
        pointed_out: list[Interval] = []
        if suggestions:
            outlook = outlook_on(loaded, recording, said.probability, matched)
            pointed_out = suggest(outlook, suggestions)
            marked = matched is not None and matched.annotated is not None
            notes += fewer(outlook, suggestions, len(pointed_out), marked)
        found += pointed_out
        written = write_predicted(base, out, video, found, gestures, f"chironomy, model {model.name}", offset)
        return {
            "out": str(out),
            "recording": recording.id,
            "clips": recording.clips,
            "untrained_backbone": loaded.spec.untrained,
            "gestures": {gesture: _summarise(gesture, written) for gesture in gestures},
            "suggestions": [{"begin": each.begin, "end": each.end, "why": each.value} for each in pointed_out],
            "notes": notes,
        }


def _check_before(base: Path, model: GestureModel, video: Path, offset: float | None) -> None:
    """Refuse annotations that are plainly not the video's by what its header says, before the long work begins."""
    try:
        info = probe(video)
    except InputError:
        return  # the store may have it, or the extraction says what is wrong
    clock = Clock(video.stem, info.duration, info.frame_rate)
    match_video(base, model.vocabulary, clock, offset, required=False, beyond=HEADER_BEYOND)


def predict_video(
    video: Path,
    model: Path,
    *,
    store: "Place | None" = None,
    name: str | None = None,
    weights: str | None = None,
    device: str = "auto",
) -> Prediction:
    """Return what a model says of a video; the parameters are those of `label`.

    Raises
    ------
    InputError
        If something given cannot be used.
    """
    loaded = load_model(model)
    with _kept_or_not(store) as features:
        return predict(loaded, _features(Job(video, name), loaded, model, features, weights, device))


def predict(model: GestureModel, recording: Recording) -> Prediction:
    """Return what a model says of a recording."""
    classes = tuple(class_members(model.vocabulary))
    probability = model.head.predict(model.clips([recording]))
    columns = np.arange(len(classes))  # the background class comes last and gets no interval
    return Prediction(
        classes,
        probability[:, columns],
        recording.read("times"),
        model.head.postprocessing.only(columns),
        model.spec.untrained,
    )


@contextmanager
def _kept_or_not(store: "Place | None") -> Iterator[Place]:
    """Yield a store, which is gone afterwards if none was named."""
    if store is not None:
        yield store
        return
    with tempfile.TemporaryDirectory(prefix="chironomy-") as folder:
        yield Path(folder) / "features"


def _features(job: Job, model: GestureModel, folder: Path, store: Place, weights: str | None, device: str) -> Recording:
    """Return the video's features: those in the store, told by its content, else extracted now."""
    if occupied(store):
        opened = FeatureStore(store)
        opened.require(model.spec, f"the model {folder} needs the latter; leave out --store or name another")
        stored = _stored(job, opened)
        if stored is not None:
            return stored
    probe(job.video)  # what is no video needs no weights, which may be a long download, and no name in the store
    backbone = find_backbone(model.spec, store, weights)
    extractor = Extractor(store, backbone, settings_of(model.spec), Machine(device))
    if extractor.spec.differences(model.spec):
        raise InputError(f"{folder}: made by a version of chironomy with other features; train it again")
    outcome = extractor.extract(job)
    return FeatureStore(store)[outcome.recording]


def _stored(job: Job, store: FeatureStore) -> Recording | None:
    """Return the recording of a video; it need not be said how it was extracted if there is but one."""
    if job.name is not None and job.name in store:
        named = store[job.name]
        same = named.attributes.get("source_sha256") == job.source["source_sha256"]
        if not same or (job.roi is not None and named.attributes.get("roi") != list(job.roi)):
            what = "another --roi of this video" if same else "another video"
            raise InputError(f"{job.video}: the recording {job.name} of {store.path} is of {what}; give another --name")
        return named
    found = store.find(job.source)
    if found is not None or job.roi is not None:
        return found
    recordings = list(store.made_from(job.source["source_sha256"]))
    if len(recordings) > 1:
        names = ", ".join(recording.id for recording in recordings)
        raise InputError(f"{store.path}: has {job.video} as {names}; choose one with --name")
    return recordings[0] if recordings else None


def _summarise(gesture: str, intervals: list[Interval]) -> dict[str, float]:
    mine = [interval for interval in intervals if interval.tier == predicted_tier(gesture)]
    return {"intervals": len(mine), "seconds": round(sum(each.end - each.begin for each in mine), 3)}
