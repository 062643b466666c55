"""A model made of the folds of a split: fitted, with thresholds and post-processing, scores and what it remembers."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from heads.metrics import average_precision
from heads.model import GestureModel
from heads.neighbours import in_order
from heads.network import Network
from heads.postprocessing import PostProcessing
from search.borders import full_evaluation
from search.data import Data
from search.evaluation import evaluation, pool
from search.fitting import Fitted, Workbench
from search.folds import UNLEARNED, FoldResult, fit_fold, left_out, median_best, out_of_fold
from search.splits import Fold
from search.thresholds import steady
from search.tuning import Aim, gain, tune
from search.usage import describe_use
from store.spec import Spec
from store.vocabulary import Vocabulary

_SHORT = ("clips", "macro_f1", "probe_macro_f1", "always_macro_f1", "chance_macro_f1", "majority_macro_f1")


@dataclass(frozen=True)
class Made:
    """What was fitted.

    Parameters
    ----------
    final : Fitted
        What is to be saved.
    results : list of FoldResult
        Fold by fold.
    described : dict
        JSON-ready: what tuning post-processing gave (``postprocessing``), and how thresholds were tuned where nothing
        was for validation (``cross_validation``).
    """

    final: Fitted
    results: list[FoldResult]
    described: dict[str, Any]


def fit(
    bench: Workbench,
    data: Data,
    folds: Sequence[Fold],
    states: Sequence[Path | None],
    aim: Aim | None = None,
    start: Network | None = None,
) -> Made:
    """Fit to each fold, after several to everything.

    Thresholds are tuned on the validation part; without one, on what models say of stretches that they have not
    learned from. So is post-processing, which one fold's test part never shows.

    Parameters
    ----------
    bench : Workbench
        What is fitted.
    data : Data
        To what.
    folds : sequence of Fold
        One or more.
    states : sequence of Path or None
        Where the states of the trainings are kept: of each fold, and of that on everything.
    aim : Aim, optional
        What post-processing is tuned for.
    start : Network, optional
        As of `Workbench.fit`; for one fold.
    """
    if len(folds) > 1:
        results = [fit_fold(bench, data, fold, state)[1] for fold, state in zip(folds, states, strict=False)]
        final = _fit_all(bench, data, results, states[-1])
        unlearned = pool([result.scored["test"] for result in results])
        head, probe = _thresholds(results)
        if aim is not None:
            head = tune(unlearned, aim, bench.gestures)
        final = replace(
            final,
            head=replace(final.head, postprocessing=head),
            probe=replace(final.probe, postprocessing=probe),
        )
        return Made(final, results, {} if aim is None else {"postprocessing": gain(unlearned, aim, bench.gestures)})
    return _fit_one(bench, data, folds[0], states[0], aim, start)


def _fit_one(
    bench: Workbench, data: Data, fold: Fold, state: Path | None, aim: Aim | None, start: Network | None
) -> Made:
    head, probe, unlearned = None, None, None
    described: dict[str, Any] = {}
    learned = np.concatenate([fold.split.training, fold.split.validation])
    if not len(fold.split.validation):
        tested = left_out(bench, data, learned)
        described["cross_validation"] = _describe_left_out(tested)
        if tested:
            head, probe = _thresholds(tested)
            unlearned = pool([result.scored["test"] for result in tested])
    elif aim is not None:
        unlearned = out_of_fold(bench, data, learned, aim.seed)
    if aim is not None and unlearned is not None:
        head = tune(unlearned, aim, bench.gestures)
        described["postprocessing"] = gain(unlearned, aim, bench.gestures)
    final, result = fit_fold(bench, data, fold, state, head, start=start, probe_postprocessing=probe)
    return Made(final, [result], described)


def make_model(
    system: str, vocabulary: Vocabulary, spec: Spec, bench: Workbench, data: Data, split: str, made: Made
) -> GestureModel:
    """Return the model, with its scores and what it remembers of its training; after folds, of that on everything."""
    nothing = np.empty(0, np.intp)
    parts = {"training": np.flatnonzero(data.labels.known), "validation": nothing, "test": nothing}
    if len(made.results) == 1:
        parts = asdict(made.results[0].fold.split)
    training: dict[str, Any] = {
        "split": split,
        "frequency": data.labels.positive[parts["training"]].mean(axis=0).tolist(),
        "recordings": describe_use(data, parts),
        **made.described,
    }
    if made.final.trained is not None:
        training["best_epoch"] = made.final.trained.best
        training["history"] = [asdict(epoch) for epoch in made.final.trained.history]
    return GestureModel(
        system=system,
        vocabulary=vocabulary,
        spec=spec,
        head=made.final.head,
        probe=made.final.probe,
        settings=bench.settings,
        scales=made.final.scales,
        training=training,
        scores=_scores(vocabulary.classes, made.results),
    )


def _fit_all(bench: Workbench, data: Data, results: Sequence[FoldResult], state: Path | None) -> Fitted:
    """Fit to everything annotated, for as many epochs as the folds have taught."""
    everything = np.flatnonzero(data.labels.known)
    nothing = np.empty(0, np.intp)
    return bench.fit(everything, nothing, epochs=median_best(results), checkpoint=state, name="on everything")


def _thresholds(tested: Sequence[FoldResult]) -> tuple[PostProcessing, PostProcessing]:
    """Return those of system and probe, tuned on what was said of clips not learned from."""
    scored = pool([result.scored["test"] for result in tested])
    said = scored.probability, scored.probe_probability
    clips = in_order(scored.times, scored.recording)
    head, probe = (PostProcessing.plain(steady(each, scored.true, clips)) for each in said)
    return head, probe


def _describe_left_out(tested: Sequence[FoldResult]) -> dict[str, Any]:
    """Return how many stretches were left out in turn, and how well their clips were ranked; beside that by chance."""
    found: dict[str, Any] = {"stretches": len(tested), "mean_average_precision": None, "prevalence": None}
    if tested:
        scored = pool([result.scored["test"] for result in tested])
        there = scored.true.any(axis=0)
        if there.any():
            ranked: NDArray[np.float64] = average_precision(scored.true, scored.probability)[there]
            found["mean_average_precision"] = float(ranked.mean())
            found["prevalence"] = float(scored.true[:, there].mean())
    return found


def _scores(classes: Sequence[str], results: Sequence[FoldResult]) -> dict[str, Any]:
    scores: dict[str, Any] = {
        part: full_evaluation(classes, pool([result.scored[part] for result in results]))
        for part in UNLEARNED
        if part in results[0].scored and (part == "test" or len(results) == 1)  # else a clip may be in several folds'
    }
    if len(results) > 1:
        each = {result.fold.name: evaluation(classes, result.scored["test"]) for result in results}
        scores["folds"] = {name: {key: found[key] for key in _SHORT} for name, found in each.items()}
    return scores
