"""Training and evaluation runs: a store and annotations in, a model and its scores out."""

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from heads.model import GestureModel, load_model
from heads.model_folder import check_destination
from heads.settings import NAMES, PROBE, Settings
from search.bootstrap import paired_difference
from search.borders import full_evaluation
from search.data import Data, load_data
from search.evaluation import MODEL, Scored
from search.fitting import Workbench
from search.folds import to_score
from search.keeping import forget_states, keep, states_of, tell
from search.making import fit, make_model
from search.parts import TooLittleError
from search.score_csv import check_csv, write_csv
from search.shelf import Shelf
from search.splits import Fold, enough_to_hold_out, everything, make_folds
from search.tracking import tracked
from search.tuning import Aim
from search.usage import trained_on, unseen
from store.errors import InputError
from store.features import FeatureStore
from store.places import Place
from store.vocabulary import Vocabulary, class_members, load_vocabulary


def train(
    store: Place,
    annotation_paths: Sequence[Path],
    vocabulary: str | Vocabulary,
    out: Path,
    *,
    system: str = "sm+bb+ts",
    split: str = "blocked",
    settings: Settings | None = None,
    device: str = "auto",
    csv: Path | None = None,
    aim: Aim | None = None,
    offset: float | None = None,
) -> dict[str, Any]:
    """Train a model on a store, save it, and return its scores.

    Thresholds are tuned on the validation part; the test part is looked at once, at the end. A linear probe
    is trained on the same clips, to stand beside every score. With a split of several folds, scores are those of
    the folds together, and the model that is saved learns from everything: for as many epochs as were best in the
    median fold, with thresholds tuned on what each fold said of its test part. The run is recorded
    (`search.tracking`).

    Parameters
    ----------
    store : Path or UPath
        A feature store.
    annotation_paths : sequence of Path
        Annotation files, or folders of them.
    vocabulary : str or Vocabulary
        Name of a built-in vocabulary, or a TOML file; or a vocabulary itself.
    out : Path
        Folder for the model. While training, the state is kept beside it, and gone on with after a stop.
    system : str
        What to train, one of `heads.settings.NAMES`.
    split : str
        How to divide the clips, as `search.splits.make_folds` takes it.
    settings : Settings, optional
        How to train; the defaults if not given.
    device : {"auto", "cpu", "cuda"}
        Where to train.
    csv : Path, optional
        Where to write the test part's scores as a table.
    aim : Aim, optional
        Tune post-processing for this too, on predictions of models that have not learned from the clips.
    offset : float, optional
        Seconds to be added to the annotations' times (see `store.mismatch`).

    Returns
    -------
    dict
        JSON-ready: the model's description, with scores on every part, notes, and where the run is recorded.

    Raises
    ------
    InputError
        If something given cannot be used; nothing is written then.
    """
    settings = settings or Settings()
    if system not in NAMES:
        raise InputError(f"no system is called {system!r}; there are {', '.join(NAMES)}")
    if system == PROBE and settings.context:
        raise InputError("--context goes with a network, not with the linear probe; choose another --system")
    check_destination(out)
    if csv is not None:
        check_csv(csv)
    classes = vocabulary if isinstance(vocabulary, Vocabulary) else load_vocabulary(vocabulary)
    opened = FeatureStore(store)
    data = load_data(opened, annotation_paths, classes, settings.clip_rule, offset)
    folds = folds_of(data, split, settings.seed, gestures=len(class_members(classes)))
    bench = Workbench(Shelf(opened, data), classes, system, settings, device)
    states = states_of(out, len(folds) + 1)
    chosen = {"system": system, "vocabulary": classes.name, "split": split, "device": device, **asdict(settings)}
    if aim is not None:
        chosen |= {"postprocess": aim.level, "per_class": aim.per_class}
    with tracked("train", out.name, chosen, beside=out) as record:
        record.data(opened, data)
        made = fit(bench, data, folds, states, aim)
        for result in made.results:
            record.epochs(result.history, result.fold.name if len(folds) > 1 else "")
        if len(folds) > 1:
            record.epochs(made.final.history, "on everything")
        model = make_model(system, classes, opened.spec, bench, data, split, made)
        keep(model, out, csv, record)
    forget_states(out)
    return tell(model, out, data, record)


def evaluate(
    model: Path,
    store: Place,
    annotation_paths: Sequence[Path],
    against: Path | None = None,
    csv: Path | None = None,
    thresholds: Mapping[str, float] | None = None,
    offset: float | None = None,
) -> dict[str, Any]:
    """Score a model on annotated recordings of a store.

    Of recordings that the model was trained on, only the clips of its test part count. The run is recorded
    (`search.tracking`).

    Parameters
    ----------
    model : Path
        Its folder.
    store : Path or UPath
        A feature store.
    annotation_paths : sequence of Path
        Annotation files, or folders of them.
    against : Path, optional
        Another model, of the same classes, to compare with on the clips that neither was trained on.
    csv : Path, optional
        Where to write the scores as a table.
    thresholds : mapping, optional
        By class, in place of the model's own.
    offset : float, optional
        Seconds to be added to the annotations' times (see `store.mismatch`).

    Returns
    -------
    dict
        JSON-ready: scores of model, probe and trivial baselines, which clips were scored, notes, and where the run is
        recorded.

    Raises
    ------
    InputError
        If something given cannot be used, the store's features are not those the model needs, or no
        annotated clip is left to score.
    """
    if csv is not None:
        check_csv(csv)
    loaded = load_model(model).with_thresholds(thresholds or {})
    opened = FeatureStore(store)
    opened.require(loaded.spec, f"the model {model} needs the latter; extract into another store")
    data = load_data(opened, annotation_paths, loaded.vocabulary, loaded.settings.clip_rule, offset)
    chosen = unseen(loaded.training["recordings"], data)
    other = None
    if against is not None:
        other = _comparable(against, loaded, opened)
        chosen = np.intersect1d(chosen, unseen(other.training["recordings"], data))
    if not len(chosen):
        who = f"the model {model} was" if other is None else f"{model} and {against} were"
        raise InputError(f"{store}: no annotated clip that {who} not trained on; annotate more")
    about: dict[str, Any] = {"model": str(model), "system": loaded.system, "vocabulary": loaded.vocabulary.name}
    about |= {"against": str(against)} if against is not None else {}
    about |= {"threshold": loaded.by_own_names(thresholds)} if thresholds else {}
    with tracked("evaluate", f"{model.name} evaluated", about, beside=model) as record:
        record.data(opened, data, "evaluation")
        scored = predicted(loaded, data, chosen)
        scores = full_evaluation(loaded.vocabulary.classes, scored)
        if other is not None:
            theirs = predicted(other, data, chosen)
            difference = paired_difference([scored.counts[MODEL]], [theirs.counts[MODEL]])
            scores["differences"][f"model {against}"] = {"mean": difference.mean, "interval": difference.interval}
        if csv is not None:
            write_csv(csv, scores)
        record.scores(scores, "evaluation")
    return {
        "model": str(model),
        "system": loaded.system,
        "untrained_backbone": opened.spec.untrained,
        "scored": _describe_scored(loaded, data, chosen),
        "scores": scores,
        "notes": list(data.notes),
        "run": record.describe(),
    }


def folds_of(data: Data, split: str, seed: int, gestures: int) -> tuple[Fold, ...]:
    """Return the folds; `gestures` is the number of classes before the background, which is no gesture."""
    sources = ", ".join(map(str, data.sources))
    try:
        folds = _folds(data, split, seed)
    except InputError as error:
        raise InputError(f"{sources}: {error}") from None
    for fold in folds:
        if not data.labels.positive[fold.split.training, :gestures].any():
            raise InputError(f"{sources}: no gesture in the training part ({fold.name}); annotate more of the video")
    return folds


def _folds(data: Data, split: str, seed: int) -> tuple[Fold, ...]:
    """Return the folds; where too little is annotated for three parts, one that learns from everything."""
    if split == "blocked":
        if enough_to_hold_out(data.timeline):
            with suppress(TooLittleError):
                return make_folds(split, data.timeline, seed)
        return (Fold("everything", everything(data.timeline)),)
    return make_folds(split, data.timeline, seed)


def predicted(model: GestureModel, data: Data, index: NDArray[np.intp]) -> Scored:
    """Return what a model, and its probe, say of some clips, ready to be scored."""
    clips = model.clips(data.recordings, probe=True)
    probability, by_probe = model.head.predict(clips, index), model.probe.predict(clips, index)
    frequency = np.array(model.training["frequency"])
    return to_score(data, index, (model.head, probability), (model.probe, by_probe), frequency)


def _comparable(folder: Path, model: GestureModel, store: FeatureStore) -> GestureModel:
    other = load_model(folder)
    store.require(other.spec, f"the model {folder} needs the latter; compare models of one store")
    if (other.vocabulary, other.settings.clip_rule) != (model.vocabulary, model.settings.clip_rule):
        raise InputError(f"{folder}: has other classes or another clip rule; compare models of the same")
    return other


def _describe_scored(model: GestureModel, data: Data, chosen: NDArray[np.intp]) -> dict[str, str]:
    """Return in words, by recording, which clips were scored."""
    described = {}
    for number, recording in enumerate(data.recordings):
        clips = int((data.timeline.recording[chosen] == number).sum())
        seen = trained_on(model.training["recordings"], recording)
        described[recording.id] = f"{clips} clips, " + ("test part" if seen else "all annotated")
    return described
