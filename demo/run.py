"""The whole path on drawn performances: draw, extract, learn from a part, label the rest."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from demo.performances import draw_performances
from extract.jobs import Job
from extract.pipeline import Extractor
from extract.weights import load_backbone
from heads.labelling import label
from heads.labels import label_clips
from heads.model import load_model
from search.blocks import GAP
from search.data import load_data
from search.evaluation import evaluation
from search.figures.style import save
from search.figures.timelines import timeline
from search.report import report
from search.runs import predicted, train
from store import annotations
from store.annotations import ANNOTATED_TIER, Interval, media_for
from store.errors import InputError
from store.features import FeatureStore
from store.matching import match
from store.places import Place
from store.progress import progress

WEIGHTS = "random:0"
VOCABULARY = "guitar-7"


def run_demo(folder: Path, seconds: float) -> dict[str, Any]:
    """Draw four performances, annotate three and a half of them, learn, and label the last one.

    Parameters
    ----------
    folder : Path
        Where everything goes; made if there is none. What an earlier demo has extracted is used again.
    seconds : float
        Length of each performance.

    Returns
    -------
    dict
        JSON-ready: scores under both splits and on the half that was never annotated, and the files made.

    Raises
    ------
    InputError
        If the folder cannot be written to.
    """
    videos = _draw(folder, seconds)
    partial = _annotate_in_part(folder, videos, seconds)
    extractor = Extractor(folder / f"features-{seconds:g}s.zarr", load_backbone(WEIGHTS))
    for video in videos:
        extractor.extract(Job(video))
    scores = {}
    for split in ("random", "blocked"):  # the model of the last one labels
        model = folder / f"model-{split}"
        trained = train(extractor.store, [partial], VOCABULARY, model, split=split)
        scores[f"{split} split"] = trained["scores"]["test"]
    scores["never annotated"] = _score_the_rest(folder, model, extractor.store, videos[-1], seconds)
    labelled = folder / "labelled" / f"{videos[-1].stem}.eaf"
    labelled.parent.mkdir(exist_ok=True)
    label(videos[-1], model, labelled, store=extractor.store, annotations=partial / labelled.name)
    page = folder / "report.html"
    report(model, page, store=extractor.store, annotations=[partial], videos=[folder / "performances"])
    return {
        "scores": scores,
        "untrained_backbone": True,
        "files": {
            "labelled ELAN": str(labelled),
            "report": str(page),
            "figure": str(_draw_figure(folder, model, extractor.store, videos[-1], seconds / 2)),
            "model": str(model),
            "videos": str(folder / "performances"),
        },
    }


def _draw(folder: Path, seconds: float) -> list[Path]:
    try:
        folder.mkdir(exist_ok=True)
    except OSError as error:
        raise InputError(f"{folder}: cannot be made ({error.strerror}); name another folder") from error
    with progress("drawing", None, "frames") as advance:
        drawn = 0

        def report(done: int, _total: int) -> None:
            nonlocal drawn
            advance(done - drawn)
            drawn = done

        return draw_performances(folder / "performances", seconds, report)


def _annotate_in_part(folder: Path, videos: list[Path], seconds: float) -> Path:
    """Copy the annotations as a researcher would have them: of the last video only the first half."""
    partial = folder / "annotated"
    partial.mkdir(exist_ok=True)
    for video in videos:
        _write_stretch(partial, video, 0, seconds / 2 if video == videos[-1] else seconds)
    return partial


def _score_the_rest(folder: Path, model: Path, store: Place, video: Path, seconds: float) -> dict[str, Any]:
    """Score the model on the half of the last video that nobody had annotated for it."""
    apart = folder / "rest"
    apart.mkdir(exist_ok=True)
    unseen = _write_stretch(apart, video, seconds / 2 + GAP, seconds)
    loaded = load_model(model)
    data = load_data(FeatureStore(store), [unseen], loaded.vocabulary)
    return evaluation(loaded.vocabulary.classes, predicted(loaded, data, np.flatnonzero(data.labels.known)))


def _write_stretch(folder: Path, video: Path, begin: float, end: float) -> Path:
    """Write an ELAN file with the annotations between two times, that stretch marked as annotated."""
    complete = annotations.read(video.with_suffix(".eaf"))
    inside = [
        replace(each, begin=max(each.begin, begin), end=min(each.end, end))
        for each in complete.intervals
        if each.begin < end and each.end > begin
    ]
    out = folder / f"{video.stem}.eaf"
    marked = Interval(begin, end, ANNOTATED_TIER)
    annotations.write(out, [*inside, marked], media=[media_for(video, out)], tiers=complete.tiers)
    return out


def _draw_figure(folder: Path, model: Path, store: Place, video: Path, learned_until: float) -> Path:
    loaded = load_model(model)
    opened = FeatureStore(store)
    recording = opened[video.stem]
    truth = match(annotations.read(video.with_suffix(".eaf")), loaded.vocabulary)
    labels = label_clips(recording, opened.spec, truth, loaded.vocabulary)
    out = folder / f"{video.stem}.png"
    figure = timeline(
        f"{video.stem}: annotated up to the line, labelled by chironomy beyond it (untrained backbone)",
        recording.read("times"),
        loaded.vocabulary.classes,
        labels.positive,
        loaded.head.predict(loaded.clips([recording])),
        loaded.head.thresholds,
        learned_until,
    )
    save(figure, out.with_suffix(""))
    return out
