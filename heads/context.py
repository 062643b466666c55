"""Temporal context: a small network over the sequence of clips, which knows what comes before and after.

A clip lasts 0.64 s, a gesture often longer, and what a clip alone leaves open its neighbours may tell. Dilated
convolutions over time (Farha and Gall, "MS-TCN", CVPR 2019) look at `REACH` clips to either side. They see only
logits: those of a logistic regression that has not learned from the clip in question, since logits of clips that
were learned by heart would teach it to trust them.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.special import expit, logit
from torch import Tensor, nn
from torch.nn import functional

from extract.threads import torch_on_one_thread
from heads.clips import Clips
from heads.losses import Loss
from heads.probe import LinearProbe, fit_probe

CHANNELS = 32
DILATIONS = (1, 2, 4)
REACH = sum(DILATIONS)  # clips
DROPOUT = 0.5
STEPS = 100  # more would learn the training clips by heart
LEARNING_RATE, WEIGHT_DECAY = 1e-3, 1e-1
FOLDS = 5  # of the training clips, to have each judged by a regression that has not learned from it
_CERTAIN = 1e-6  # probabilities are kept this far from 0 and 1
_REGRESSION, _NETWORK = "context.regression.", "context.network."


class ContextNetwork(nn.Module):
    """Maps a sequence of logits to what is to be added to them; at first nothing.

    Parameters
    ----------
    classes : int
        Number of classes.
    """

    def __init__(self, classes: int):
        super().__init__()
        self.first = nn.Conv1d(classes, CHANNELS, kernel_size=1)
        self.dilated = nn.ModuleList(
            nn.Conv1d(CHANNELS, CHANNELS, kernel_size=3, padding=dilation, dilation=dilation) for dilation in DILATIONS
        )
        self.mixed = nn.ModuleList(nn.Conv1d(CHANNELS, CHANNELS, kernel_size=1) for _ in DILATIONS)
        self.last = nn.Conv1d(CHANNELS, classes, kernel_size=1)
        for parameter in self.last.parameters():
            nn.init.zeros_(parameter)

    def forward(self, logits: Tensor) -> Tensor:
        """Map the logits of a recording's clips in order, (clips, classes), to their change, (clips, classes)."""
        x = self.first(logits.T[None])
        for dilated, mixed in zip(self.dilated, self.mixed, strict=True):
            x = x + functional.dropout(mixed(functional.relu(dilated(x))), DROPOUT, self.training)
        return self.last(x)[0].T

    def predict(self, logits: NDArray[np.float64], recording: NDArray[np.intp]) -> NDArray[np.float64]:
        """Return what is to be added to the logits of whole recordings, (clips, classes).

        Parameters
        ----------
        logits : ndarray of float, shape (clips, classes)
            Of a regression.
        recording : ndarray of int, shape (clips,)
            Index of each clip's recording.
        """
        self.eval()
        change = np.empty_like(logits)
        with torch.inference_mode():
            for number in np.unique(recording):
                mine = recording == number
                change[mine] = self(torch.from_numpy(logits[mine]).float()).double().numpy()
        return change


def train_context(
    logits: NDArray[np.float64],
    sequences: Sequence[NDArray[np.intp]],
    soft: NDArray[np.float32],
    positive: NDArray[np.bool_],
    training: NDArray[np.intp],
    loss: Loss,
    seed: int,
) -> ContextNetwork:
    """Train a context network.

    Parameters
    ----------
    logits : ndarray of float, shape (clips, classes)
        Of all clips, of a regression that has not learned from the clip in question.
    sequences : sequence of ndarray of int
        The clips of each recording, in order.
    soft, positive : ndarray, shape (clips, classes)
        Soft and hard labels.
    training : ndarray of int
        The clips that are learned from; the others are only neighbours.
    loss : Loss
        As the system's.
    seed : int
        Of everything random.
    """
    x, target, hard = (torch.from_numpy(values) for values in (logits.astype(np.float32), soft, positive))
    learned = torch.zeros(len(x), dtype=torch.bool)
    learned[torch.from_numpy(training)] = True
    order = [torch.from_numpy(sequence) for sequence in sequences]
    rows = torch.cat(order)
    with torch.random.fork_rng(devices=[]), torch_on_one_thread():
        torch.manual_seed(seed)
        network = ContextNetwork(x.shape[1])
        optimiser = torch.optim.AdamW(network.parameters(), lr=LEARNING_RATE, weight_decay=WEIGHT_DECAY)
        schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, STEPS)
        network.train()
        for _ in range(STEPS):
            changed = torch.cat([x[sequence] + network(x[sequence]) for sequence in order])
            chosen = rows[learned[rows]]
            value = loss(torch.sigmoid(changed[learned[rows]]), target[chosen], hard[chosen])
            optimiser.zero_grad()
            value.backward()
            optimiser.step()
            schedule.step()
    return network.eval()


@dataclass(frozen=True)
class Context:
    """What is made of a clip's neighbours: a regression that judges each clip, and a network over its logits.

    Parameters
    ----------
    regression : LinearProbe
        Fitted to the training clips.
    network : ContextNetwork
        Trained.
    """

    regression: LinearProbe
    network: ContextNetwork

    def apply(self, probability: NDArray[np.float64], clips: Clips, index: NDArray[np.intp]) -> NDArray[np.float64]:
        """Return probabilities, (len(index), classes), as their neighbours change them.

        Parameters
        ----------
        probability : ndarray of float, shape (len(index), classes)
            Of some clips, without context.
        clips : Clips
            All clips of their recordings.
        index : ndarray of int
            Which clips.
        """
        logits = _logits(self.regression.predict(clips, np.arange(len(clips))))
        return expit(_logits(probability) + self.network.predict(logits, clips.recording)[index])

    def weights(self) -> dict[str, NDArray[np.float32]]:
        """Return all weights for saving."""
        network = {f"{_NETWORK}{name}": values.numpy() for name, values in self.network.state_dict().items()}
        regression = {f"{_REGRESSION}weight": self.regression.weight, f"{_REGRESSION}bias": self.regression.bias}
        return network | regression

    @classmethod
    def from_weights(cls, weights: Mapping[str, NDArray[np.float32]], inputs: tuple[str, ...]) -> Self:
        """Return the context whose weights are among those saved; `inputs`: what its regression sees."""
        regression = LinearProbe(weights[f"{_REGRESSION}weight"], weights[f"{_REGRESSION}bias"], inputs)
        network = ContextNetwork(len(regression.bias))
        state = {name.removeprefix(_NETWORK): values for name, values in weights.items() if name.startswith(_NETWORK)}
        network.load_state_dict({name: torch.from_numpy(values) for name, values in state.items()})
        return cls(regression, network.eval())


def fit_context(
    clips: Clips,
    soft: NDArray[np.float32],
    positive: NDArray[np.bool_],
    training: NDArray[np.intp],
    loss: Loss,
    seed: int,
    regression: LinearProbe,
) -> Context:
    """Fit a context to training clips.

    Parameters
    ----------
    clips : Clips
        All clips of the recordings.
    soft, positive : ndarray, shape (clips, classes)
        Soft and hard labels.
    training : ndarray of int
        Those to learn from, sorted.
    loss : Loss
        As the system's.
    seed : int
        Of everything random.
    regression : LinearProbe
        Fitted to the training clips; it judges all others.
    """
    every = np.arange(len(clips))
    logits = _logits(regression.predict(clips, every))
    for held_out in np.array_split(training, min(FOLDS, len(training))):
        others = np.setdiff1d(training, held_out)
        if len(others):
            fitted = fit_probe(clips, others, positive, seed, regression.inputs)
            logits[held_out] = _logits(fitted.predict(clips, held_out))
    sequences = [every[clips.recording == number] for number in np.unique(clips.recording)]
    return Context(regression, train_context(logits, sequences, soft, positive, training, loss, seed))


def _logits(probability: NDArray[np.float64]) -> NDArray[np.float64]:
    return logit(np.clip(probability, _CERTAIN, 1 - _CERTAIN))
