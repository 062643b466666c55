"""Training a head on stored activations (Sections 4.2, 4.3 and 5.3)."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from heads.clips import Clips
from heads.labels import Labels
from heads.losses import dynamic_batch_balance, mean_squared_error
from heads.network import Architecture, GestureNetwork
from heads.targets import temporal_smoothing
from store.progress import Advance


@dataclass(frozen=True)
class System:
    """One of the paper's systems (Table 6), as parts switched on.

    Parameters
    ----------
    balance : bool
        Dynamic Batch Balance instead of the plain mean squared error.
    smoothing : bool
        Temporally smoothed targets instead of hard ones.
    """

    balance: bool
    smoothing: bool


SYSTEMS = {
    "sm": System(balance=False, smoothing=False),
    "sm+bb": System(balance=True, smoothing=False),
    "sm+bb+ts": System(balance=True, smoothing=True),
}


@dataclass(frozen=True)
class Settings:
    """How to train. The defaults are ours, not the paper's.

    The paper: Adam, learning rate 1e-3, coupled L2 of 1e-2, batches of 32, 3000 epochs. That L2 flattens a
    single model to a constant within a few epochs, so the decay here is decoupled (AdamW).

    Parameters
    ----------
    epochs : int
        At most.
    patience : int
        Epochs without a better validation score after which training stops.
    batch : int
        Clips in a batch.
    learning_rate, weight_decay : float
        Of AdamW.
    tune : {"conv5", "fc"}
        ``conv5``: conv5, fc and the classifier learn; ``fc``: conv5 stays as it is.
    seed : int
        Of everything random.
    """

    epochs: int = 30
    patience: int = 8
    batch: int = 32
    learning_rate: float = 1e-4
    weight_decay: float = 1e-2
    tune: str = "conv5"
    seed: int = 0


@dataclass(frozen=True)
class Epoch:
    """What one epoch gave.

    Parameters
    ----------
    loss : float
        Mean training loss over batches.
    score : float
        Validation score, higher is better.
    """

    loss: float
    score: float


@dataclass(frozen=True)
class Trained:
    """A trained network.

    Parameters
    ----------
    network : GestureNetwork
        With the weights of the best epoch, in evaluation mode.
    history : tuple of Epoch
        All epochs run.
    best : int
        Number of the best epoch, from 1.
    """

    network: GestureNetwork
    history: tuple[Epoch, ...]
    best: int


Scorer = Callable[[NDArray[np.bool_], NDArray[np.float64]], float]


def train_network(
    tail: dict[str, NDArray[np.float32]],
    architecture: Architecture,
    system: System,
    settings: Settings,
    clips: Clips,
    labels: Labels,
    training: NDArray[np.intp],
    validation: NDArray[np.intp],
    score: Scorer,
    advance: Advance,
) -> Trained:
    """Train a head, keep its best epoch, stop when it no longer improves.

    Parameters
    ----------
    tail : dict of ndarray
        Weights of conv5 and fc to start from.
    architecture : Architecture
        Shape of the classifier.
    system : System
        Loss and targets.
    settings : Settings
        How to train.
    clips : Clips
        Activations of all clips.
    labels : Labels
        Labels of the same clips.
    training, validation : ndarray of int
        Indices of the clips to learn from and to watch.
    score : callable
        Maps hard labels and probabilities of the validation clips, (clips, classes) each, to a number.
    advance : Advance
        Called after each epoch.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(settings.seed)
        network = GestureNetwork(tail, architecture)
        inputs = _Inputs(network, clips, frozen=settings.tune == "fc")
        learner = _Learner(network, inputs, system, settings, labels)
        history: list[Epoch] = []
        best, best_weights = 0, network.state_dict()
        for number in range(1, settings.epochs + 1):
            loss = learner.epoch(training)
            inputs.settle(training, settings.batch)
            value = score(labels.positive[validation], inputs.probabilities(validation))
            history.append(Epoch(loss, value))
            if best == 0 or value > history[best - 1].score:
                best, best_weights = (
                    number,
                    {name: tensor.clone() for name, tensor in network.state_dict().items()},
                )
            advance(1, note=f"loss {loss:.3f}, validation F1 {value:.2f} (best {history[best - 1].score:.2f})")
            if number - best >= settings.patience:
                break
        network.load_state_dict(best_weights)
    return Trained(network.eval(), tuple(history), best)


def predict_network(network: GestureNetwork, clips: Clips, batch: int = 64) -> NDArray[np.float64]:
    """Return the probability of each class in each clip, (clips, classes)."""
    network.eval()
    return _Inputs(network, clips, frozen=False).probabilities(np.arange(len(clips)), batch)


class _Inputs:
    """What the trainable part sees of a clip: activations, or with conv5 frozen its pooled features."""

    def __init__(self, network: GestureNetwork, clips: Clips, frozen: bool):
        self._network, self._clips = network, clips
        self._pooled: Tensor | None = None
        if frozen:
            with torch.inference_mode():
                network.eval()
                every = np.array_split(np.arange(len(clips)), max(1, len(clips) // 64))
                pooled = torch.cat([network.conv5(clips.standardised(index)) for index in every])
            self._pooled = pooled.clone()

    @property
    def trainable(self) -> list[nn.Parameter]:
        if self._pooled is None:
            return list(self._network.parameters())
        return [*self._network.fc.parameters(), *self._network.classifier.parameters()]

    def logits(self, index: NDArray[np.intp]) -> Tensor:
        if self._pooled is None:
            return self._network(self._clips.standardised(index))
        return self._network.head(self._pooled[torch.from_numpy(index)])

    def probabilities(self, index: NDArray[np.intp], batch: int = 64) -> NDArray[np.float64]:
        self._network.eval()
        with torch.inference_mode():
            parts = [torch.sigmoid(self.logits(index[at : at + batch])) for at in range(0, len(index), batch)]
            return torch.cat(parts).double().numpy()

    def settle(self, index: NDArray[np.intp], batch: int) -> None:
        """Re-estimate conv5's batch-norm statistics on the training clips.

        The running ones lag behind the weights, and scores swing from epoch to epoch with them.
        """
        if self._pooled is not None:
            return
        norms = [module for module in self._network.modules() if isinstance(module, nn.BatchNorm2d | nn.BatchNorm3d)]
        momenta = [norm.momentum for norm in norms]
        for norm in norms:
            norm.reset_running_stats()
            norm.momentum = None  # a plain mean over all batches
        self._network.train()
        with torch.no_grad():
            for at in range(0, len(index), batch):
                self._network.conv5(self._clips.standardised(index[at : at + batch]))
        for norm, momentum in zip(norms, momenta, strict=True):
            norm.momentum = momentum


class _Learner:
    """The optimiser's side of training."""

    def __init__(self, network: GestureNetwork, inputs: _Inputs, system: System, settings: Settings, labels: Labels):
        self._network, self._inputs, self._batch = network, inputs, settings.batch
        self._loss = dynamic_batch_balance if system.balance else mean_squared_error
        self._positive = torch.from_numpy(labels.positive)
        soft = temporal_smoothing(labels.frames) if system.smoothing else labels.positive
        self._target = torch.from_numpy(soft.astype(np.float32))
        self._optimiser = torch.optim.AdamW(
            inputs.trainable, lr=settings.learning_rate, weight_decay=settings.weight_decay
        )
        self._order = np.random.default_rng(settings.seed)

    def epoch(self, training: NDArray[np.intp]) -> float:
        """Go once through the training clips in random order; return the mean loss."""
        self._network.train()
        losses = []
        shuffled = self._order.permutation(training)
        for at in range(0, len(shuffled), self._batch):
            index = shuffled[at : at + self._batch]
            rows = torch.from_numpy(index)
            prediction = torch.sigmoid(self._inputs.logits(index))
            loss = self._loss(prediction, self._target[rows], self._positive[rows])
            self._optimiser.zero_grad()
            loss.backward()
            self._optimiser.step()
            losses.append(float(loss.detach()))
        return float(np.mean(losses))
