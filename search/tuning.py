"""Post-processing tuned on predictions of clips that the predicting model has not learned from.

The threshold of highest F1 is known exactly (`search.thresholds`). What has no closed form is searched for by
Optuna: smoothing, the share of the threshold at which a gesture goes on, gaps and shortest events. The search
begins at the exact optimum without any of these, so that on the data it sees it can only improve on it. What comes out
is then drawn towards what classes share, as thresholds are, which gives up some of that to be steadier elsewhere; where
that leaves less than plain thresholds have, these stay. What is gained elsewhere `gain` tells, on blocks held out.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit, logit

from heads.neighbours import Neighbours, in_order
from heads.postprocessing import PostProcessing, decide, smooth
from search.bootstrap import draw_blocks, paired_difference, percentile_interval
from search.dealing import deal
from search.evaluation import Scored, select
from search.judging import EFFORT, Judge
from search.thresholds import best_f1, count_events, steady

_WIDTHS = (0.0, 0.4, 0.7, 1.0, 1.5, 2.2, 3.2)  # clips: standard deviations of the smoothing
_LONGEST = 5  # clips: of a gap that may be filled, of an event that may be dropped
_LEAST_SHARE = 0.3  # of the threshold
_FARTHEST = 1.5  # from the exact threshold, in log-odds
_GROUPS = 4  # of blocks, each held out in turn
HALFWAY = 20  # events of a class at which its own settings count as much as those of all classes

_START = {"smoothing": 0, "continues": 1.0, "gap": 0, "shortest": 0, "shift": 0.0}


@dataclass(frozen=True)
class Aim:
    """What post-processing is tuned for, and how.

    Parameters
    ----------
    level : {"clip", "frame", "event", "effort"}
        Whose F1, or the effort that correcting takes (`search.judging`).
    per_class : bool
        Settings of its own for each class, drawn towards those of all the fewer events it has; else alike for all.
    trials : int
        Of the search.
    seed : int
        Of the search.
    """

    level: str = "clip"
    per_class: bool = False
    trials: int = 80
    seed: int = 0


def tune(scored: Scored, aim: Aim, gestures: int | None = None) -> PostProcessing:
    """Return the post-processing of highest F1, or least effort, on some clips, drawn towards what classes share.

    Parameters
    ----------
    scored : Scored
        The clips, with probabilities of models that have not learned from them.
    aim : Aim
        For what.
    gestures : int, optional
        Number of the first classes, which alone cost effort: the background is not written; all if not given.
    """
    clips = in_order(scored.times, scored.recording)
    judge = Judge(scored, aim.level)
    counted = gestures if aim.level == EFFORT else None
    there = np.flatnonzero(scored.true[:, :counted].any(axis=0)).tolist()
    if not there:
        return PostProcessing.plain(best_f1(scored.probability, scored.true))
    smoothed = {width: _smoothed(scored.probability, clips, width) for width in range(len(_WIDTHS))}
    exact = {width: best_f1(values, scored.true) for width, values in smoothed.items()}
    steadied = {width: steady(values, scored.true, clips) for width, values in smoothed.items()}

    def value(column: int, given: dict[str, Any]) -> float:
        width = given["smoothing"]
        threshold = _moved(exact[width][column], given["shift"])
        place = smoothed[width][clips.order, column]
        lower = threshold * given["continues"]
        gap, shortest = (_seconds(given[name], clips) for name in ("gap", "shortest"))
        present = np.empty(len(place), bool)
        present[clips.order] = decide(place, clips, (threshold, lower), gap=gap, shortest=shortest)
        return judge.value(column, present)

    shared = _search(lambda given: float(np.mean([value(column, given) for column in there])), aim, aim.seed)
    chosen = [{**shared, "shift": 0.0}] * scored.true.shape[1]  # a class that is not there keeps its threshold
    for column in there:
        chosen[column] = shared
    if aim.per_class:
        for column in there:
            own = _search(partial(value, column), aim, aim.seed + 1 + column, shared)
            chosen[column] = _between(shared, own, count_events(scored.true[:, column], clips))
    plain, tuned = PostProcessing.plain(steadied[0]), _settled(chosen, steadied, clips)
    before, after = (_value(judge, each, scored, there) for each in (plain, tuned))
    return tuned if after > before else plain  # what was given up in drawing it towards the others may be too much


def _value(judge: Judge, processing: PostProcessing, scored: Scored, columns: list[int]) -> float:
    present = processing.present(scored.probability, scored.times, scored.recording)
    return float(np.mean([judge.value(column, present[:, column]) for column in columns]))


def gain(scored: Scored, aim: Aim, gestures: int | None = None) -> dict[str, Any]:
    """Return by how much tuning post-processing improves on plain thresholds where it was not tuned.

    Blocks are dealt into groups; each is decided with what was tuned on the others, both ways.

    Returns
    -------
    dict
        JSON-ready: of the aim ``level`` and ``per_class``; macro-F1 with plain thresholds (``plain``), with
        post-processing (``tuned``), the ``difference`` and its 95 % ``interval`` by drawing blocks again (None where
        there are too few). Of effort the share saved, instead of macro-F1.
    """
    block = np.unique(scored.block, return_inverse=True)[1].ravel()
    groups = min(_GROUPS, int(block.max()) + 1)
    if groups < 2:
        nothing = dict.fromkeys(("plain", "tuned", "difference", "interval"))
        return {"level": aim.level, "per_class": aim.per_class, **nothing}
    whole = np.zeros((int(block.max()) + 1, 1 + scored.true.shape[1]), np.intp)
    np.add.at(whole, block, np.column_stack([np.ones(len(block), np.intp), scored.true]))
    group = deal(whole, groups, aim.seed)[block]
    plain, tuned = (np.zeros(scored.true.shape, bool) for _ in range(2))
    for number in range(groups):
        seen, held = select(scored, group != number), select(scored, group == number)
        clips = in_order(seen.times, seen.recording)
        thresholds = PostProcessing.plain(steady(seen.probability, seen.true, clips))
        for out, processing in ((plain, thresholds), (tuned, tune(seen, aim, gestures))):
            out[group == number] = processing.present(held.probability, held.times, held.recording)
    judge = Judge(scored, aim.level)
    described = {"level": aim.level, "per_class": aim.per_class}
    if aim.level == EFFORT:
        return described | _saved(judge, plain[:, :gestures], tuned[:, :gestures])
    counts = [judge.counts(present) for present in (tuned, plain)]
    difference = paired_difference(counts[:1], counts[1:])
    tuned_f1, plain_f1 = (float(each.scores()[2].mean()) for each in counts)
    return described | {
        "plain": plain_f1,
        "tuned": tuned_f1,
        "difference": difference.mean,
        "interval": None if difference.interval is None else list(difference.interval),
    }


def _saved(judge: Judge, plain: NDArray[np.bool_], tuned: NDArray[np.bool_]) -> dict[str, Any]:
    """Return the share of the work of adding everything that correcting saves, both ways, and the difference."""
    (before, true), (after, _) = (judge.efforts(present) for present in (plain, tuned))
    weights = draw_blocks(len(true))
    drawn = weights @ (before - after) / np.maximum(weights @ true, 1)
    every = max(float(true.sum()), 1.0)
    interval = percentile_interval(drawn, len(true))
    return {
        "plain": 1 - float(before.sum()) / every,
        "tuned": 1 - float(after.sum()) / every,
        "difference": float((before - after).sum()) / every,
        "interval": None if interval is None else list(interval),
    }


def _search(
    score: Callable[[dict[str, Any]], float], aim: Aim, seed: int, start: dict[str, Any] | None = None
) -> dict[str, Any]:
    """Return the best settings found, at least as good as none at all, and as those to start from."""
    import optuna

    optuna.logging.set_verbosity(optuna.logging.ERROR)
    sampler = optuna.samplers.TPESampler(seed=seed)
    study = optuna.create_study(direction="maximize", sampler=sampler)
    for known in (_START, start):
        if known is not None:
            study.enqueue_trial(known, skip_if_exists=True)

    def objective(trial: optuna.Trial) -> float:
        return score(
            {
                "smoothing": trial.suggest_int("smoothing", 0, len(_WIDTHS) - 1),
                "continues": trial.suggest_float("continues", _LEAST_SHARE, 1.0),
                "gap": trial.suggest_int("gap", 0, _LONGEST),
                "shortest": trial.suggest_int("shortest", 0, _LONGEST),
                "shift": trial.suggest_float("shift", -_FARTHEST, _FARTHEST),
            }
        )

    study.optimize(objective, n_trials=aim.trials)
    return study.best_params


def _between(shared: dict[str, Any], own: dict[str, Any], events: int) -> dict[str, Any]:
    """Return settings between those of all classes and a class's own: these count the more, the more events it has."""
    weight = events / (events + HALFWAY)
    return {name: (1 - weight) * shared[name] + weight * own[name] for name in shared}


def _settled(chosen: list[dict[str, Any]], steadied: dict[int, NDArray], clips: Neighbours) -> PostProcessing:
    """Return settings as they are saved, thresholds steadied for each class's smoothing."""
    widths = [round(given["smoothing"]) for given in chosen]
    return PostProcessing(
        thresholds=np.array(
            [_moved(steadied[width][column], chosen[column]["shift"]) for column, width in enumerate(widths)]
        ),
        continues=np.array([given["continues"] for given in chosen]),
        smoothing=np.array([_WIDTHS[width] * clips.spacing for width in widths]),
        gap=np.array([_seconds(given["gap"], clips) for given in chosen]),
        shortest=np.array([_seconds(given["shortest"], clips) for given in chosen]),
    )


def _smoothed(probability: NDArray[np.floating], clips: Neighbours, width: int) -> NDArray[np.float64]:
    found = np.empty(probability.shape)
    for column, values in enumerate(probability[clips.order].T):
        found[clips.order, column] = smooth(values, clips, _WIDTHS[width] * clips.spacing)
    return found


def _moved(threshold: float, shift: float) -> float:
    return float(expit(logit(threshold) + shift)) if shift else float(threshold)


def _seconds(clips: float, among: Neighbours) -> float:
    """Return a length that lies between that many clips and one more; 0 for none."""
    return (round(clips) + 0.5) * among.spacing if round(clips) else 0.0
