"""Training a network: epochs, the best of them, when to stop, and how to go on after that (Section 5.3)."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import astuple, dataclass, field
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from extract.threads import torch_on_one_thread
from heads.checkpoint import Checkpoint
from heads.learner import Learner
from heads.network import Network
from store.errors import InputError
from store.progress import Advance


class AstrayError(InputError):
    """A training whose loss is no number any more; another seed, or other settings, may do better."""


Scorer = Callable[[NDArray[np.bool_], NDArray[np.float64]], float]
Watch = Callable[[int, float], None]


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


def train(
    learner: Learner,
    score: Scorer,
    advance: Advance,
    epochs: int | None = None,
    checkpoint: Checkpoint | None = None,
    watch: Watch | None = None,
) -> Trained:
    """Train a network, keep its best epoch, stop when it no longer improves.

    Parameters
    ----------
    learner : Learner
        Of the network as it begins, which is a candidate too if it begins fitted, and of its task.
    score : callable
        Maps hard labels and probabilities of the validation clips, (clips, classes) each, to a number.
    advance : Advance
        Called after each epoch.
    epochs : int, optional
        At most, in place of the settings'; the learning rate goes its way as if there were all.
    checkpoint : Checkpoint, optional
        Where the state is kept while training, and taken from if a training was stopped.
    watch : callable, optional
        Called after each epoch with its number and the best score so far; what it raises ends the training.

    Raises
    ------
    AstrayError
        If the loss, or what the network says, is no number any more.
    """
    settings = learner.settings
    small = settings.tune == "fc"
    with _repeatable(learner.device), torch_on_one_thread() if small else nullcontext():
        kept = checkpoint.load() if checkpoint is not None else None
        if kept is None:
            run = _Run()
            _judge(learner, score, run, loss=0.0)
        else:
            run = _Run.of(kept["run"])
            learner.load_state(kept["learner"])
            advance(run.number, note=_describe(run))
        last = settings.epochs if epochs is None else epochs
        while run.number < last and run.number - run.best < settings.patience:
            run.number += 1
            _judge(learner, score, run, learner.epoch(run.number))
            if checkpoint is not None:
                checkpoint.save({"run": run.state(), "learner": learner.state()})
            advance(1, note=_describe(run))
            if watch is not None:
                watch(run.number, run.history[run.best].score)
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


@contextmanager
def _repeatable(device: torch.device) -> Iterator[None]:
    """Leave the process its random numbers, and let a GPU compute so that the same comes out each time."""
    chosen = torch.backends.cudnn.deterministic
    with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
        torch.backends.cudnn.deterministic = True
        try:
            yield
        finally:
            torch.backends.cudnn.deterministic = chosen


def _judge(learner: Learner, score: Scorer, run: _Run, loss: float) -> None:
    """Score an epoch, and keep its weights if they are the best so far; the last are, where nothing is watched."""
    watched = learner.task.validation
    with learner.evaluated():
        probability = learner.probabilities(watched)
        if not (np.isfinite(loss) and np.isfinite(probability).all()):
            raise AstrayError(f"training went astray in epoch {run.number}: the loss is no number; take another --seed")
        value = score(learner.task.labels.positive[watched], probability) if len(watched) else 0.0
        run.history.append(Epoch(loss, value))
        at_random = run.best == 0 and not learner.begins_fitted
        if run.number == 0 or at_random or not len(watched) or value > run.history[run.best].score:
            run.best, run.best_weights = run.number, learner.weights()


def _describe(run: _Run) -> str:
    loss, score = astuple(run.history[-1])
    return f"loss {loss:.3f}, validation {score:.3f} (best {run.history[run.best].score:.3f})"
