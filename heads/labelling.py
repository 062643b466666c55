"""The main job: a video and a model in, labelled gestures in ELAN out."""

import tempfile
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from extract.pipeline import Extractor
from extract.weights import find_backbone
from heads.clips import load_clips
from heads.intervals import clips_to_intervals
from heads.model import GestureModel, load_model
from store.annotations import Interval, check_ending, predicted_tier
from store.errors import InputError
from store.features import FeatureStore, Recording
from store.files import require_file, sha256
from store.predicted import base_for, write_predicted
from store.vocabulary import class_members


def label(
    video: Path,
    model: Path,
    out: Path,
    *,
    store: Path | None = None,
    annotations: Path | None = None,
    weights: str | None = None,
    device: str = "auto",
) -> dict[str, Any]:
    """Label a video and write the gestures found, beside what people have annotated.

    Parameters
    ----------
    video : Path
        The video. Its features are taken from the store if they are there, else extracted on the way.
    model : Path
        A trained model's folder.
    out : Path
        ``.eaf``, ``.txt`` or ``.csv``; a file that exists is labelled into.
    store : Path, optional
        A feature store to take from and add to; without it the features are not kept.
    annotations : Path, optional
        A file whose annotations are kept in `out`; may be `out` itself.
    weights : str, optional
        The backbone's weights file, where it is not found by itself.
    device : {"auto", "cpu", "cuda"}
        Where the backbone runs.

    Returns
    -------
    dict
        JSON-ready: the file, the number of clips, and per gesture the intervals and seconds that its tier
        ``GESTURE [chironomy]`` now holds.

    Raises
    ------
    InputError
        If something given cannot be used; `out` is then as it was.
    """
    require_file(video)
    check_ending(out)
    loaded = load_model(model)
    base = base_for(annotations, out)
    with ExitStack() as stack:
        if store is None:
            store = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="chironomy-"))) / "features"
        recording = _features(video, loaded, model, store, weights, device)
        found = predict_intervals(loaded, recording)
        gestures = list(class_members(loaded.vocabulary))
        written = write_predicted(base, out, video, found, gestures, f"chironomy, model {model.name}")
        return {
            "out": str(out),
            "recording": recording.id,
            "clips": recording.clips,
            "untrained_backbone": loaded.spec.untrained,
            "gestures": {gesture: _summarise(gesture, written) for gesture in gestures},
        }


def predict_intervals(model: GestureModel, recording: Recording) -> list[Interval]:
    """Return the gestures that a model finds in a recording, in seconds of the video."""
    probability = model.head.predict(load_clips([recording]))
    classes = list(class_members(model.vocabulary))
    return clips_to_intervals(probability, model.head.present(probability), recording.read("times"), classes)


def _features(
    video: Path, model: GestureModel, folder: Path, store: Path, weights: str | None, device: str
) -> Recording:
    """Return the video's features: those in the store, told by its content, else extracted now."""
    if store.exists():
        opened = FeatureStore(store)
        opened.require(model.spec, f"the model {folder} needs the latter; leave out --store or name another")
        stored = opened.with_source(sha256(video))
        if stored is not None:
            return stored
    backbone = find_backbone(model.spec, store, weights)
    extractor = Extractor(store, backbone, device, model.spec.precision)
    if extractor.spec.differences(model.spec):
        raise InputError(f"{folder}: made by a version of chironomy with other features; train it again")
    outcome = extractor.extract(video)
    return FeatureStore(store)[outcome.recording]


def _summarise(gesture: str, intervals: list[Interval]) -> dict[str, float]:
    mine = [interval for interval in intervals if interval.tier == predicted_tier(gesture)]
    return {"intervals": len(mine), "seconds": round(sum(each.end - each.begin for each in mine), 3)}
