"""Training and evaluation runs: a store and annotations in, a model and its scores out."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from heads.metrics import always_f1, chance_f1, macro_f1, precision_recall_f1
from heads.model import GestureModel, Head, check_destination, load_model
from heads.network import Architecture, GestureNetwork
from heads.probe import LinearProbe, fit_probe
from heads.training import SYSTEMS, Settings, train_network
from search import splits
from search.data import Data, load_data
from search.splits import Split
from search.thresholds import UNTUNED, best_f1
from store.errors import InputError
from store.features import FeatureStore
from store.places import Place
from store.progress import progress
from store.vocabulary import class_members, load_vocabulary

PROBE = "probe"
SPLITS = ("blocked", "random")


def train(
    store: Place,
    annotation_paths: Sequence[Path],
    vocabulary: str,
    out: Path,
    *,
    system: str = "sm+bb+ts",
    split: str = "blocked",
    settings: Settings | None = None,
) -> dict[str, Any]:
    """Train a model on a store, save it, and return its scores.

    Thresholds are tuned on the validation part; the test part is looked at once, at the end. A linear probe
    is trained on the same clips, to stand beside every score.

    Parameters
    ----------
    store : Path or UPath
        A feature store.
    annotation_paths : sequence of Path
        Annotation files, or folders of them.
    vocabulary : str
        Name of a built-in vocabulary, or a TOML file.
    out : Path
        Folder for the model.
    system : {"probe", "sm", "sm+bb", "sm+bb+ts"}
        What to train.
    split : {"blocked", "random"}
        How to divide the clips.
    settings : Settings, optional
        How to train; the defaults if not given.

    Returns
    -------
    dict
        JSON-ready: the model's description, with scores on every part, and notes.

    Raises
    ------
    InputError
        If something given cannot be used; nothing is written then.
    """
    settings = settings or Settings()
    check_destination(out)
    classes = load_vocabulary(vocabulary)
    opened = FeatureStore(store)
    data = load_data(opened, annotation_paths, classes)
    parts = make_split(data, split, settings.seed)
    gestures = len(class_members(classes))  # the background class, which comes behind them, is no gesture
    if not data.labels.positive[parts.training, :gestures].any():
        raise InputError(f"{data.sources[0]}: no gesture in the training part; annotate more of the video")
    probe = _with_thresholds(fit_probe(data.clips, parts.training, data.labels.positive), data, parts)
    head, training = probe, {"system": PROBE, "seed": settings.seed}
    if system != PROBE:
        head, training = _train_head(opened, data, parts, system, settings)
    model = GestureModel(
        system=system,
        vocabulary=classes,
        spec=opened.spec,
        head=head,
        probe=probe,
        training=training | {"split": split, "recordings": _describe_parts(data, parts)},
        scores={},
    )
    frequency = data.labels.positive[parts.training].mean(axis=0)
    scores = score(model, data, {"validation": parts.validation, "test": parts.test}, frequency)
    model = replace(model, scores=scores, training=model.training | {"frequency": frequency.tolist()})
    model.save(out)
    return model.describe() | {
        "model": str(out),
        "untrained_backbone": opened.spec.untrained,
        "notes": list(data.notes),
    }


def evaluate(model: Path, store: Place, annotation_paths: Sequence[Path]) -> dict[str, Any]:
    """Score a model on annotated recordings of a store.

    Of recordings that the model was trained on, only the clips of its test part count.

    Returns
    -------
    dict
        JSON-ready: scores of model, probe and trivial baselines, which clips were scored, and notes.

    Raises
    ------
    InputError
        If something given cannot be used, the store's features are not those the model needs, or no
        annotated clip is left to score.
    """
    loaded = load_model(model)
    opened = FeatureStore(store)
    opened.require(loaded.spec, f"the model {model} needs the latter; extract into another store")
    data = load_data(opened, annotation_paths, loaded.vocabulary)
    chosen, scored = _scored_clips(loaded, data)
    if not len(chosen):
        raise InputError(f"{store}: no annotated clip that the model {model} was not trained on; annotate more")
    return {
        "model": str(model),
        "system": loaded.system,
        "untrained_backbone": opened.spec.untrained,
        "scored": scored,
        "scores": score(loaded, data, {"evaluation": chosen}, np.array(loaded.training["frequency"]))["evaluation"],
        "notes": list(data.notes),
    }


def score(
    model: GestureModel, data: Data, parts: Mapping[str, NDArray[np.intp]], frequency: NDArray[np.float64]
) -> dict[str, dict[str, Any]]:
    """Score a model, its probe and the trivial baselines on parts of the clips.

    Parameters
    ----------
    model : GestureModel
        Whose head and probe are scored.
    data : Data
        Clips and labels.
    parts : mapping of str to ndarray of int
        Name of a part -> its clips.
    frequency : ndarray of float64, shape (classes,)
        Share of the training clips in which each class is present, for the baseline by chance.

    Returns
    -------
    dict
        JSON-ready, by part.
    """
    present = model.head.present(model.head.predict(data.clips))
    by_probe = model.probe.present(model.probe.predict(data.clips))
    true, classes = data.labels.positive, model.vocabulary.classes
    return {
        name: _score_part(classes, true[index], present[index], by_probe[index], frequency)
        for name, index in parts.items()
    }


def _score_part(
    classes: Sequence[str],
    true: NDArray[np.bool_],
    present: NDArray[np.bool_],
    by_probe: NDArray[np.bool_],
    frequency: NDArray[np.float64],
) -> dict[str, Any]:
    columns = zip(classes, *precision_recall_f1(true, present), true.sum(axis=0), strict=True)
    return {
        "clips": len(true),
        "macro_f1": macro_f1(true, present),
        "probe_macro_f1": macro_f1(true, by_probe),
        "always_macro_f1": always_f1(true),
        "chance_macro_f1": chance_f1(true, frequency),
        "classes": {
            name: {"precision": float(p), "recall": float(r), "f1": float(f), "support": int(support)}
            for name, p, r, f, support in columns
        },
    }


def make_split(data: Data, name: str, seed: int) -> Split:
    """Divide the annotated clips into training, validation and test.

    Raises
    ------
    InputError
        If there are too few of them.
    """
    if name not in SPLITS:
        raise ValueError(f"unknown split {name!r}: {', '.join(SPLITS)}")
    try:
        if name == "random":
            return splits.random(data.times, data.clips.recording, data.labels.known, seed)
        return splits.blocked(data.times, data.clips.recording, data.labels.known, data.labels.positive, seed)
    except InputError as error:
        raise InputError(f"{', '.join(map(str, data.sources))}: {error}") from None


def _train_head(
    store: FeatureStore, data: Data, parts: Split, system: str, settings: Settings
) -> tuple[Head, dict[str, Any]]:
    def validation_score(true: NDArray[np.bool_], probability: NDArray[np.float64]) -> float:
        return macro_f1(true, probability >= best_f1(probability, true))

    architecture = Architecture(classes=data.labels.frames.shape[2], backbone=store.spec.backbone)
    with progress(f"training {system}", settings.epochs, "epochs") as advance:
        trained = train_network(
            store.tail(),
            architecture,
            SYSTEMS[system],
            settings,
            data.clips,
            data.labels,
            parts.training,
            parts.validation,
            validation_score,
            advance,
        )
    described = {"system": system, **asdict(settings), "best_epoch": trained.best}
    described["history"] = [asdict(epoch) for epoch in trained.history]
    return _with_thresholds(trained.network, data, parts), described


def _with_thresholds(predictor: GestureNetwork | LinearProbe, data: Data, parts: Split) -> Head:
    """Tune the thresholds on the validation part."""
    head = Head(predictor, np.full(data.labels.frames.shape[2], UNTUNED))
    probability = head.predict(data.clips)[parts.validation]
    return replace(head, thresholds=best_f1(probability, data.labels.positive[parts.validation]))


def _describe_parts(data: Data, parts: Split) -> dict[str, Any]:
    """Return for each recording its content and which of its clips are in which part, as ranges."""
    described = {}
    for number, (recording, source) in enumerate(zip(data.recordings, data.sources, strict=True)):
        first = int(np.argmax(data.clips.recording == number))
        described[recording.id] = {
            "source_sha256": recording.attributes["source_sha256"],
            "roi": recording.attributes.get("roi"),
            "annotations": source.name,
            **{
                name: _to_ranges(index[data.clips.recording[index] == number] - first)
                for name, index in asdict(parts).items()
            },
        }
    return described


def _scored_clips(model: GestureModel, data: Data) -> tuple[NDArray[np.intp], dict[str, str]]:
    """Return the clips on which an evaluation is honest, and in words which they are."""
    chosen, described = [], {}
    for number, recording in enumerate(data.recordings):
        mine = np.flatnonzero(data.clips.recording == number)
        first, source = mine[0], (recording.attributes["source_sha256"], recording.attributes.get("roi"))
        # Another region of the same video shows somebody else.
        trained_on = [
            each for each in model.training["recordings"].values() if (each["source_sha256"], each.get("roi")) == source
        ]
        for entry in trained_on:  # more than one where a video was used under several names
            mine = np.intersect1d(mine, first + _from_ranges(entry["test"]))
        mine = mine[data.labels.known[mine]]
        chosen.append(mine)
        described[recording.id] = f"{len(mine)} clips, " + ("test part" if trained_on else "all annotated")
    return np.concatenate(chosen), described


def _to_ranges(index: NDArray[np.intp]) -> list[list[int]]:
    """Return sorted indices as [first, stop) pairs."""
    pieces = np.split(index, np.flatnonzero(np.diff(index) != 1) + 1)
    return [[int(piece[0]), int(piece[-1]) + 1] for piece in pieces if len(piece)]


def _from_ranges(ranges: list[list[int]]) -> NDArray[np.intp]:
    pieces = [np.arange(first, stop) for first, stop in ranges]
    return np.concatenate(pieces) if pieces else np.empty(0, np.intp)
