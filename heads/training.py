"""Training a network: epochs, the best of them, when to stop, and how to go on after that (Section 5.3)."""

from collections.abc import Callable
from dataclasses import astuple, dataclass, field
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from heads.checkpoint import Checkpoint
from heads.learner import Learner, Task
from heads.network import Network
from heads.settings import Settings, System
from store.errors import InputError
from store.progress import Advance

Scorer = Callable[[NDArray[np.bool_], NDArray[np.float64]], float]


@dataclass(frozen=True)
class Epoch:
    """What one epoch gave.

    Parameters
    ----------
    loss : float
        Mean training loss over batches; 0 before the first.
    score : float
        Validation score, higher is better; 0 without validation.
    """

    loss: float
    score: float


@dataclass(frozen=True)
class Trained:
    """A trained network.

    Parameters
    ----------
    network : Network
        With the weights of the best epoch, in evaluation mode.
    history : tuple of Epoch
        All epochs run; number 0 is the start.
    best : int
        Number of the best epoch.
    """

    network: Network
    history: tuple[Epoch, ...]
    best: int


@dataclass
class _Run:
    """How far a training has come."""

    number: int = 0
    best: int = 0
    best_weights: dict[str, Tensor] = field(default_factory=dict)
    history: list[Epoch] = field(default_factory=list)

    def state(self) -> dict[str, Any]:
        """Return it as `torch.load` may read it."""
        return vars(self) | {"history": [astuple(epoch) for epoch in self.history]}

    @classmethod
    def of(cls, state: dict[str, Any]) -> "_Run":
        """Return it from its `state`."""
        return cls(**state | {"history": [Epoch(*each) for each in state["history"]]})


def train_network(
    network: Network,
    system: System,
    settings: Settings,
    task: Task,
    score: Scorer,
    advance: Advance,
    epochs: int | None = None,
    device: str = "auto",
    checkpoint: Checkpoint | None = None,
) -> Trained:
    """Train a network, keep its best epoch, stop when it no longer improves.

    Parameters
    ----------
    network : Network
        As it begins, which is a candidate too; it is changed.
    system : System
        Loss and targets.
    settings : Settings
        How to train.
    task : Task
        What to learn.
    score : callable
        Maps hard labels and probabilities of the validation clips, (clips, classes) each, to a number.
    advance : Advance
        Called after each epoch.
    epochs : int, optional
        At most, in place of the settings'; the learning rate goes its way as if there were all.
    device : {"auto", "cpu", "cuda"}
        Where to train.
    checkpoint : Checkpoint, optional
        Where the state is kept while training, and taken from if a training was stopped.

    Raises
    ------
    InputError
        If there is no such device.
    """
    with torch.random.fork_rng(devices=[]):
        learner = Learner(network, system, settings, task, choose_device(device))
        kept = checkpoint.load() if checkpoint is not None else None
        if kept is None:
            run = _Run()
            _judge(learner, task, score, run, loss=0.0)
        else:
            run = _Run.of(kept["run"])
            learner.load_state(kept["learner"])
            advance(run.number)
        last = settings.epochs if epochs is None else epochs
        while run.number < last and run.number - run.best < settings.patience:
            run.number += 1
            _judge(learner, task, score, run, learner.epoch(run.number))
            if checkpoint is not None:
                checkpoint.save({"run": run.state(), "learner": learner.state()})
            advance(1, note=_describe(run, watched=len(task.validation) > 0))
    return Trained(learner.finished(run.best_weights), tuple(run.history), run.best)


def choose_device(device: str) -> torch.device:
    """Return where to train.

    Raises
    ------
    InputError
        If a GPU is asked for, and there is none.
    """
    if device == "cuda" and not torch.cuda.is_available():
        raise InputError("--device cuda: PyTorch finds no such GPU; check the driver or take --device cpu")
    return torch.device("cuda" if device != "cpu" and torch.cuda.is_available() else "cpu")


def _judge(learner: Learner, task: Task, score: Scorer, run: _Run, loss: float) -> None:
    """Score an epoch, and keep its weights if they are the best so far."""
    with learner.evaluated():
        value = 0.0
        if len(task.validation):
            value = score(task.labels.positive[task.validation], learner.probabilities(task.validation))
        run.history.append(Epoch(loss, value))
        if run.number == 0 or not len(task.validation) or value > run.history[run.best].score:
            run.best, run.best_weights = run.number, learner.weights()


def _describe(run: _Run, watched: bool) -> str:
    loss, score = astuple(run.history[-1])
    seen = f", validation {score:.3f} (best {run.history[run.best].score:.3f})" if watched else ""
    return f"loss {loss:.3f}{seen}"
