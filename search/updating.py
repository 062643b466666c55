"""An earlier model gone on with: what has been corrected and added since is learned, and what that changed is told."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from heads.model import GestureModel, load_model
from heads.model_folder import check_destination
from heads.network import Network
from heads.probe import LinearProbe
from search.bootstrap import paired_difference
from search.data import Data, load_data
from search.effort import load_costs, operations
from search.evaluation import MODEL, evaluation
from search.fitting import Workbench
from search.keeping import forget_states, keep, states_of, tell
from search.making import fit, make_model
from search.parts import Split, TooLittleError
from search.runs import predicted
from search.score_csv import check_csv
from search.shelf import Shelf
from search.splits import Fold, extended
from search.tracking import tracked
from search.tuning import Aim
from search.usage import earlier_parts, inherit, trained_on, truth_of
from store.errors import InputError
from store.features import FeatureStore
from store.places import Place
from store.vocabulary import class_members, load_vocabulary

_COMPARED = ("macro_f1", "mean_average_precision", "probe_macro_f1", "always_macro_f1")


def update(
    model: Path,
    store: Place,
    annotation_paths: Sequence[Path],
    out: Path,
    *,
    vocabulary: str | None = None,
    device: str = "auto",
    csv: Path | None = None,
    aim: Aim | None = None,
    offset: float | None = None,
) -> dict[str, Any]:
    """Go on with a model, with what is annotated now, and return what that changed.

    System, settings and classes stay. Training begins with the earlier network's weights; the regression beside it and
    the thresholds are made anew. Clips that were held out for the test stay so, as long as they are annotated: the
    model before and after are scored on the same clips, and neither has learned from them. What is newly annotated
    goes to training and validation; to the test too where there is none yet. The run is recorded (`search.tracking`).

    Parameters
    ----------
    model : Path
        The earlier model's folder.
    store : Path or UPath
        A feature store.
    annotation_paths : sequence of Path
        Annotation files, or folders of them: all that is to be learned from, not only what is new.
    out : Path
        Folder for the model; may be that of the earlier one. While training, the state is kept beside it, and gone on
        with after a stop; the earlier model is replaced at the end, whole or not at all.
    vocabulary : str, optional
        The one that is meant, checked against the earlier model's.
    device : {"auto", "cpu", "cuda"}
        Where to train.
    csv : Path, optional
        Where to write the test part's scores as a table.
    aim : Aim, optional
        Tune post-processing for this; as the earlier model's was if not given.
    offset : float, optional
        Seconds to be added to the annotations' times (see `store.mismatch`).

    Returns
    -------
    dict
        JSON-ready: what `search.runs.train` returns, and under ``changes``: ``from`` (the earlier model),
        ``annotations`` (by gesture, how many ``before`` and ``now``, and of these ``added``, ``removed``, ``moved``),
        ``clips`` (``before``, ``now``, newly ``known``, no longer known as ``dropped``), ``scores`` (of the same
        clips ``before`` and ``after``, and their difference; None without a test part), ``thresholds`` (by class,
        before and after), ``started`` (whether training began with the earlier weights).

    Raises
    ------
    InputError
        If something given cannot be used; nothing is written then.
    """
    earlier = load_model(model)
    check_destination(out)
    if csv is not None:
        check_csv(csv)
    if vocabulary is not None:
        _check_classes(model, earlier, vocabulary)
    opened = FeatureStore(store)
    opened.require(earlier.spec, f"the model {model} needs the latter; extract into another store")
    data = load_data(opened, annotation_paths, earlier.vocabulary, earlier.settings.clip_rule, offset)
    fold = Fold("update", _split(data, earlier))
    bench = Workbench(Shelf(opened, data), earlier.vocabulary, earlier.system, earlier.settings, device)
    aim = aim or _earlier_aim(earlier)
    chosen = {"system": earlier.system, "vocabulary": earlier.vocabulary.name, "device": device, "from": str(model)}
    with tracked("update", out.name, chosen | asdict(earlier.settings), beside=out) as record:
        record.data(opened, data)
        start = None if isinstance(earlier.head.predictor, LinearProbe) else earlier.head.predictor
        made = fit(bench, data, [fold], states_of(out, 1), aim, start)
        record.epochs(made.final.history)
        fresh = make_model(earlier.system, earlier.vocabulary, opened.spec, bench, data, "update", made)
        inherit(fresh.training["recordings"], earlier.training["recordings"])
        changes = {
            "from": str(model),
            "annotations": _annotations(earlier, data),
            "clips": _clips(earlier, data),
            "scores": _scores(earlier, made.results[0].scored.get("test"), fresh, data, fold.split),
            "thresholds": _thresholds(earlier, fresh),
            "started": _same_build(start, made.final.head.predictor),
        }
        keep(fresh, out, csv, record)
        record.document("changes.json", changes)
    forget_states(out)
    return tell(fresh, out, data, record) | {"changes": changes}


def _check_classes(folder: Path, earlier: GestureModel, name: str) -> None:
    wanted = load_vocabulary(name)
    if wanted.classes != earlier.vocabulary.classes:
        raise InputError(
            f"{folder}: knows the classes {', '.join(earlier.vocabulary.classes)}, and {name} has "
            f"{', '.join(wanted.classes)}; a model of other classes is made by chironomy train"
        )


def _split(data: Data, earlier: GestureModel) -> Split:
    sources = ", ".join(map(str, data.sources))
    try:
        part = earlier_parts(earlier.training["recordings"], data)
        split = extended(data.timeline, part, earlier.settings.seed)
    except TooLittleError as error:
        raise InputError(f"{sources}: {error}") from None
    gestures = len(class_members(earlier.vocabulary))
    if not data.labels.positive[split.training, :gestures].any():
        raise InputError(f"{sources}: no gesture in the training part; annotate more of the video")
    return split


def _earlier_aim(earlier: GestureModel) -> Aim | None:
    tuned = earlier.training.get("postprocessing")
    return None if tuned is None else Aim(tuned["level"], tuned.get("per_class", False), seed=earlier.settings.seed)


def _same_build(start: Network | None, made: Network | LinearProbe) -> bool:
    return start is not None and not isinstance(made, LinearProbe) and start.architecture == made.architecture


def _annotations(earlier: GestureModel, data: Data) -> dict[str, dict[str, int]] | None:
    """Return by gesture how annotations differ from those that the earlier model knew; None if it has no memory."""
    exact = load_costs().times("tolerance", 0.0)
    total: dict[str, dict[str, int]] = {}
    for recording, matched in zip(data.recordings, data.matched, strict=True):
        known = trained_on(earlier.training["recordings"], recording)
        if any("truth" not in entry for entry in known):
            return None
        before: dict[str, list[list[float]]] = known[0]["truth"] if known else {}
        now = truth_of(matched)
        for name in {**before, **now}:
            done = operations({name: now.get(name, [])}, {name: before.get(name, [])}, exact)
            counts = {"before": len(before.get(name, [])), "now": len(now.get(name, []))}
            counts |= {"added": done.added, "removed": done.deleted, "moved": done.changed}
            for key, value in counts.items():
                total.setdefault(name, dict.fromkeys(counts, 0))[key] += value
    order = [*earlier.vocabulary.gestures, *earlier.vocabulary.superclasses]
    return {name: total[name] for name in dict.fromkeys(order) if name in total}


def _clips(earlier: GestureModel, data: Data) -> dict[str, int]:
    before, now = earlier_parts(earlier.training["recordings"], data) != "", data.labels.known
    counts = {"before": before, "now": now, "known": now & ~before, "dropped": before & ~now}
    return {name: int(clips.sum()) for name, clips in counts.items()}


def _scores(earlier: GestureModel, after: Any, fresh: GestureModel, data: Data, split: Split) -> dict[str, Any] | None:
    if after is None:
        return None
    before = predicted(earlier, data, split.test)
    old = evaluation(earlier.vocabulary.classes, before)
    new: Mapping[str, Any] = fresh.scores["test"]
    difference = paired_difference([after.counts[MODEL]], [before.counts[MODEL]])
    return {
        "clips": len(split.test),
        "before": {name: old[name] for name in _COMPARED},
        "after": {name: new[name] for name in _COMPARED},
        "difference": difference.mean,
        "interval": None if difference.interval is None else list(difference.interval),
    }


def _thresholds(earlier: GestureModel, fresh: GestureModel) -> dict[str, list[float]]:
    both = np.column_stack([earlier.head.thresholds, fresh.head.thresholds])
    return dict(zip(earlier.vocabulary.classes, both.tolist(), strict=True))
