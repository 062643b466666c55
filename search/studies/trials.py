"""One trial of a study: a system with some settings, scored by blocked cross-validation.

Trials see the training and validation part of a split alone; its test part is for the comparison at the end.
"""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from heads.settings import Settings
from heads.training import AstrayError
from search.evaluation import MODEL, Scored, evaluation
from search.fitting import Workbench
from search.folds import fit_fold
from search.shelf import Shelf
from search.splits import Split, make_folds
from search.studies.space import Space
from search.tracking import tracked
from store.errors import InputError
from store.vocabulary import Vocabulary

if TYPE_CHECKING:
    from optuna import Trial

_WHOLE = 100  # steps of a fold
PARENT, NAMED, RUN = "tracking_run", "setting", "tracking_run"  # attributes of a study, of a trial


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
        What is to be high: a score of `search.evaluation.evaluation`, levels apart by slashes, as ``macro_f1`` or
        ``event/0.5/macro_f1``; the mean over the folds counts.
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

    Raises
    ------
    InputError
        If too little is annotated for so many folds.
    """

    def __init__(self, shelf: Shelf, vocabulary: Vocabulary, question: Question, device: str, beside: Path):
        self._shelf, self._vocabulary, self._device = shelf, vocabulary, device
        self._question, self._beside = question, beside
        known = np.zeros(len(shelf.data.labels.known), bool)
        known[np.concatenate([question.split.training, question.split.validation])] = True
        timeline = replace(shelf.data.timeline, known=known)
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
        parent = trial.study.user_attrs.get(PARENT)
        name = trial.user_attrs.get(NAMED, f"trial {trial.number}")
        chosen = {"system": system, **asdict(settings)}
        with tracked("trial", name, chosen, beside=self._beside, parent=parent) as record:
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
            except (AstrayError, optuna.TrialPruned) as error:
                given_up = str(error) or "others were better by then"
                record.tags({"given up": given_up})  # no failure
            else:
                record.metrics({"score": float(np.mean(scores))})
                return float(np.mean(scores))
        raise optuna.TrialPruned(given_up)

    def score(self, scored: Scored) -> float:
        """Return the metric of some scored clips.

        Raises
        ------
        InputError
            If there is no such metric.
        """
        if self._question.metric == "macro_f1":  # what needs no intervals needs no second
            return float(scored.counts[MODEL].scores()[2].mean())
        found: Any = evaluation(self._vocabulary.classes, scored)
        for name in self._question.metric.split("/"):
            found = found.get(name) if isinstance(found, dict) else None
        if isinstance(found, bool) or not isinstance(found, int | float):
            raise InputError(
                f"--metric {self._question.metric}: no such score; take macro_f1, frame/macro_f1, event/0.5/macro_f1, "
                "mean_average_precision or another that evaluate --json prints"
            )
        return float(found)


class _Watch:
    """Tells the study after each epoch how a trial is doing, and gives up where others were better by then.

    What is compared is the mean of the best validation scores of the folds so far; a step is a hundredth of a fold.
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
