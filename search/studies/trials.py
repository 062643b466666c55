"""One trial of a study: a system with some settings, scored by blocked cross-validation.

Trials see the training and validation part of a split alone; its test part is for the comparison at the end.
"""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from heads.settings import Settings
from heads.training import AstrayError
from search.evaluation import MODEL, OVERLAPS, Scored, evaluation
from search.fitting import Workbench
from search.folds import fit_fold
from search.parts import Split
from search.shelf import Shelf
from search.splits import make_folds
from search.studies.space import Space
from search.tracking import tracked
from store.errors import InputError
from store.vocabulary import Vocabulary

if TYPE_CHECKING:
    from optuna import Trial

_WHOLE = 100  # steps of a fold
NAMED, RUN, RAISED = "setting", "tracking_run", "raised"  # attributes of a trial
_HIGH = ("macro_f1", "supported_macro_f1", "micro_f1")  # scores of every level, better if higher
_HIGH_OF_CLIPS = ("mean_average_precision", "batch_averaged_f1")


@dataclass(frozen=True)
class Question:
    """What a study looks for, and on what.

    Parameters
    ----------
    space : Space
        What is tried.
    system : str
        Where the space says nothing of it.
    settings : Settings
        Where the space says nothing of them.
    metric : str
        What is to be high: a score of `search.evaluation.evaluation` for which that is good, levels apart by slashes,
        as ``macro_f1`` or ``event/0.5/macro_f1``; the mean over the folds counts.
    folds : int
        Of the cross-validation.
    split : Split
        Its test part is left alone.
    """

    space: Space
    system: str
    settings: Settings
    metric: str
    folds: int
    split: Split


class Trials:
    """Carries out trials on annotated recordings.

    Parameters
    ----------
    shelf : Shelf
        The recordings.
    vocabulary : Vocabulary
        The classes.
    question : Question
        What is looked for.
    device : {"auto", "cpu", "cuda"}
        Where to train.
    beside : Path
        Where runs are recorded, if nowhere else.
    parent : str, optional
        Recorded run that the trials belong to, in another process than that one.

    Raises
    ------
    InputError
        If too little is annotated for so many folds, or there is no such metric.
    """

    def __init__(
        self,
        shelf: Shelf,
        vocabulary: Vocabulary,
        question: Question,
        device: str,
        beside: Path,
        parent: str | None = None,
    ):
        self._shelf, self._vocabulary, self._device = shelf, vocabulary, device
        self._question, self._beside, self._parent = question, beside, parent
        _check_metric(question.metric)
        timeline = shelf.data.timeline.only(np.concatenate([question.split.training, question.split.validation]))
        self._folds = make_folds(f"cv:{question.folds}", timeline, question.settings.seed)

    @property
    def identity(self) -> str:
        """Digest of all that trials of one study must have in common."""
        question, data = self._question, self._shelf.data
        whole = [
            self._shelf.store.spec.to_dict(),
            [recording.fingerprint("times") for recording in data.recordings],
            [recording.attributes["source_sha256"] for recording in data.recordings],
            hashlib.sha256(np.packbits(data.labels.frames).tobytes() + data.labels.known.tobytes()).hexdigest(),
            self._vocabulary.to_dict(),
            question.space.text,
            [question.system, asdict(question.settings), question.metric, question.folds],
            [part.tolist() for part in (question.split.training, question.split.validation)],
        ]
        return hashlib.sha256(json.dumps(whole, sort_keys=True).encode()).hexdigest()

    def __call__(self, trial: "Trial") -> float:
        """Return a trial's score, the mean over the folds.

        Raises
        ------
        TrialPruned
            If it is given up, since others were better at this point, or its loss is no number any more.
        """
        import optuna

        system, settings = self._question.space.ask(trial, self._question.system, self._question.settings)
        name = trial.user_attrs.get(NAMED, f"trial {trial.number}")
        chosen = {"system": system, **asdict(settings)}
        with tracked("trial", name, chosen, beside=self._beside, parent=self._parent) as record:
            trial.set_user_attr(RUN, record.id)
            bench = Workbench(self._shelf, self._vocabulary, system, settings, self._device)
            scores: list[float] = []
            watched: list[float] = []
            try:
                for number, fold in enumerate(self._folds):
                    watch = _Watch(trial, number, settings.epochs, watched)
                    result = fit_fold(bench, self._shelf.data, fold, watch=watch)[1]
                    watched.append(watch.best)
                    scores.append(self.score(result.scored["test"]))
                    record.epochs(result.history, fold.name)
                    record.metrics({self._question.metric: scores[-1]}, step=number)
            except (AstrayError, MemoryError, torch.OutOfMemoryError, optuna.TrialPruned) as error:
                short = isinstance(error, MemoryError | torch.OutOfMemoryError)
                given_up = "memory was too short for it" if short else str(error) or "others were better by then"
                record.tags({"given up": given_up})  # no failure
            except Exception as error:
                trial.set_user_attr(RAISED, repr(error)[:500])
                raise
            else:
                record.metrics({"score": float(np.mean(scores))})
                return float(np.mean(scores))
        raise optuna.TrialPruned(given_up)

    def score(self, scored: Scored) -> float:
        """Return the metric of some scored clips."""
        if self._question.metric == "macro_f1":  # what needs no intervals needs no second
            return float(scored.counts[MODEL].scores()[2].mean())
        found: Any = evaluation(self._vocabulary.classes, scored)
        for name in self._question.metric.split("/"):
            found = found[name]
        return float(found)


def _check_metric(metric: str) -> None:
    levels = ("", "frame/", *(f"event/{overlap}/" for overlap in OVERLAPS))
    known = [*(level + name for level in levels for name in _HIGH), *_HIGH_OF_CLIPS]
    if metric not in known:
        raise InputError(f"--metric {metric}: no such score; there are {', '.join(known)}")


class _Watch:
    """Tells the study after each epoch how a trial is doing, and gives up where others were better by then.

    What is told is the mean, over the folds so far, of the best score on what is watched (mean average precision);
    a step is a hundredth of a fold. Of a trial, Optuna compares the highest that was told.
    """

    def __init__(self, trial: "Trial", fold: int, epochs: int, before: Sequence[float]):
        self._trial, self._fold, self._epochs, self._before = trial, fold, epochs, before
        self._last, self.best = -1, 0.0

    def __call__(self, epoch: int, best: float) -> None:
        import optuna

        self.best = best
        step = self._fold * _WHOLE + _WHOLE * epoch // self._epochs
        if step == self._last:
            return
        self._last = step
        self._trial.report(float(np.mean([*self._before, best])), step)
        if NAMED not in self._trial.user_attrs and self._trial.should_prune():
            raise optuna.TrialPruned
