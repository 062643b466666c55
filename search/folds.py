"""A system fitted to each fold of a split, and what it predicts of the parts it was not fitted to."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from heads.model import Head
from heads.network import Network
from heads.postprocessing import PostProcessing
from heads.training import Epoch, Watch
from search.data import Data
from search.evaluation import Scored, pool
from search.fitting import Fitted, Workbench
from search.splits import Fold, left_out_in_turn, make_folds

UNLEARNED = ("validation", "test")
OUT_OF_FOLD = 5  # trainings for predictions of all clips


@dataclass(frozen=True)
class FoldResult:
    """What a fold gave.

    Parameters
    ----------
    fold : Fold
        Its clips.
    scored : dict of Scored
        By part that has clips: what was predicted, ready to be scored.
    history : tuple of Epoch
        All epochs run; none for the probe.
    best : int, optional
        Number of the best epoch; None for the probe.
    """

    fold: Fold
    scored: dict[str, Scored]
    history: tuple[Epoch, ...]
    best: int | None


def fit_fold(
    bench: Workbench,
    data: Data,
    fold: Fold,
    checkpoint: Path | None = None,
    postprocessing: PostProcessing | None = None,
    watch: Watch | None = None,
    start: Network | None = None,
    probe_postprocessing: PostProcessing | None = None,
) -> tuple[Fitted, FoldResult]:
    """Fit a system to a fold's training part; thresholds are tuned on its validation part, if it has any.

    Parameters
    ----------
    bench : Workbench
        What is fitted.
    data : Data
        To what.
    fold : Fold
        The parts.
    checkpoint : Path, optional
        Where the state is kept while training.
    postprocessing : PostProcessing, optional
        How presence is told, in place of thresholds tuned on the validation part.
    watch : callable, optional
        Called after each epoch with its number and the best validation score so far; may raise to give up.
    start : Network, optional
        As of `Workbench.fit`.
    probe_postprocessing : PostProcessing, optional
        The same for the probe.
    """
    split = fold.split
    fitted = bench.fit(
        split.training, split.validation, checkpoint=checkpoint, name=fold.name, watch=watch, start=start
    )
    if postprocessing is not None:
        fitted = replace(fitted, head=replace(fitted.head, postprocessing=postprocessing))
    if probe_postprocessing is not None:
        fitted = replace(fitted, probe=replace(fitted.probe, postprocessing=probe_postprocessing))
    frequency = data.labels.positive[split.training].mean(axis=0)
    scored = {}
    for part in UNLEARNED:
        index = getattr(split, part)
        if not len(index):
            continue
        probability, by_probe = bench.predict(fitted, index)
        scored[part] = to_score(data, index, (fitted.head, probability), (fitted.probe, by_probe), frequency)
    best = None if fitted.trained is None else fitted.trained.best
    return fitted, FoldResult(fold, scored, fitted.history, best)


def out_of_fold(bench: Workbench, data: Data, index: NDArray[np.intp], seed: int, folds: int = OUT_OF_FOLD) -> Scored:
    """Return what a system says of some clips when it has not learned from them or their neighbours.

    Parameters
    ----------
    bench : Workbench
        What is fitted, once for each fold.
    data : Data
        All clips.
    index : ndarray of int
        Those to be predicted, and learned from in the other folds.
    seed : int
        Of the draw of blocks.
    folds : int
        In how many groups the blocks are dealt.

    Raises
    ------
    InputError
        If there are too few blocks.
    """
    parts = make_folds(f"cv:{folds}", data.timeline.only(index), seed)
    return pool([fit_fold(bench, data, fold)[1].scored["test"] for fold in parts])


def left_out(bench: Workbench, data: Data, index: NDArray[np.intp]) -> list[FoldResult]:
    """Return what a system says of some clips when each stretch of them in turn is left out; for very few clips.

    Parameters
    ----------
    bench : Workbench
        What is fitted, once for each stretch.
    data : Data
        All clips.
    index : ndarray of int
        Those to be predicted, and learned from while others are. Some may be in no result (`left_out_in_turn`).
    """
    splits = left_out_in_turn(data.timeline.only(index), OUT_OF_FOLD)
    return [
        fit_fold(bench, data, Fold(f"without stretch {number + 1}", split))[1] for number, split in enumerate(splits)
    ]


def to_score(
    data: Data,
    index: NDArray[np.intp],
    model: tuple[Head, NDArray[np.float64]],
    probe: tuple[Head, NDArray[np.float64]],
    frequency: NDArray[np.float64],
) -> Scored:
    """Bring together what is known of some clips and what was predicted of them, row by row.

    Parameters
    ----------
    data : Data
        All clips.
    index : ndarray of int, shape (clips,)
        Those to score.
    model, probe : (Head, ndarray of float64, shape (clips, classes))
        Who tells presence, and from which probabilities.
    frequency : ndarray of float64, shape (classes,)
        Share of the training clips in which each class is present.
    """
    times, recording = data.timeline.times[index], data.timeline.recording[index]
    present, by_probe = (
        head.postprocessing.present(probability, times, recording) for head, probability in (model, probe)
    )
    return Scored(
        true=data.labels.positive[index],
        frames=data.labels.frames[index],
        probability=model[1],
        present=present,
        probe_probability=probe[1],
        probe=by_probe,
        frequency=np.broadcast_to(frequency, present.shape),
        times=times,
        recording=recording,
        block=data.timeline.block[index],
    )


def median_best(results: Sequence[FoldResult]) -> int | None:
    """Return the number of the best epoch in the median fold; None for the probe."""
    best = [result.best for result in results if result.best is not None]
    return int(np.median(best)) if best else None
