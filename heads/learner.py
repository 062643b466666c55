"""One training step after the other: a network, its loss, its optimiser and its data (Sections 4.2, 4.3, 5.3)."""

import math
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from extract.prefetch import prefetch
from heads.averaging import Average
from heads.clips import Clips
from heads.labels import Labels
from heads.network import Network
from heads.objective import learned_labels, system_loss
from heads.sampling import Example, Targets, epoch_order, examples, repeat_factors
from heads.settings import Settings, System

_AHEAD = 4  # batches prepared while one is learned from
_SETTLING = 256  # training clips that batch-norm statistics are estimated on
_PREDICTED_AT_ONCE = 64
_COSINE_ENDS_AT = 0.01  # of the learning rate


@dataclass(frozen=True)
class Task:
    """What is to be learned.

    Parameters
    ----------
    clips : Clips
        All clips.
    labels : Labels
        Of the same clips.
    training, validation : ndarray of int
        Clips to learn from and to watch; without any to watch, training lasts for all its epochs.
    mirrored : ndarray of int, shape (classes,)
        The class that each becomes in a flipped picture.
    """

    clips: Clips
    labels: Labels
    training: NDArray[np.intp]
    validation: NDArray[np.intp]
    mirrored: NDArray[np.intp]


class Learner:
    """A network that learns a task.

    Everything random is drawn anew for each epoch from the seed and the epoch's number, so that a training that
    was stopped goes on to the same result.

    Parameters
    ----------
    network : Network
        As it begins; it is changed.
    system : System
        Loss and targets.
    settings : Settings
        How to train.
    task : Task
        What to learn.
    device : torch.device
        Where to.
    trained : bool
        Whether the network has been trained before.

    Attributes
    ----------
    begins_fitted : bool
        Whether the network begins as a trained one, or as a fitted regression; else at random.
    """

    def __init__(
        self,
        network: Network,
        system: System,
        settings: Settings,
        task: Task,
        device: torch.device,
        trained: bool = False,
    ):
        self.begins_fitted = trained or bool(network.architecture.linear)
        self.settings, self.task, self.device = settings, task, device
        self._network = network.to(device)
        self._learned = task.clips.only(*network.architecture.learned_from)
        in_3d = any(isinstance(module, nn.Conv3d) for module in network.modules())
        self._in_16_bits = device.type != "cpu" or (settings.tune == "conv5" and not in_3d and _knows_bfloat16())
        positive = task.labels.positive
        self._targets = Targets(learned_labels(task.labels, system), positive, task.mirrored)
        self._factors = repeat_factors(positive[task.training], settings.sampler)
        self._loss = system_loss(task.labels, task.training, system, settings)
        optimiser = {"adamw": torch.optim.AdamW, "adam": torch.optim.Adam}[settings.optimiser]
        learning = [parameter for parameter in network.parameters() if parameter.requires_grad]
        self._optimiser = optimiser(learning, lr=settings.learning_rate, weight_decay=settings.weight_decay, fused=True)
        self._average = Average(network, settings.average) if settings.average else None
        self._scaler = torch.amp.GradScaler(device.type, enabled=device.type == "cuda")

    def epoch(self, number: int) -> float:
        """Go once through the training clips; return the mean loss.

        Parameters
        ----------
        number : int
            Of the epoch, from 1.
        """
        settings, task, batch = self.settings, self.task, self.settings.batch
        random = np.random.default_rng([settings.seed, number])
        torch.manual_seed(int(random.integers(2**63)))
        order = epoch_order(task.training, self._factors, task.clips.blocks, random)
        prepared = examples(self._learned, self._targets, order, batch, settings.mixup, random)
        steps = math.ceil(len(order) / batch)
        losses = []
        self._network.train()
        for step, example in enumerate(prefetch(prepared, _AHEAD)):
            self._set_learning_rate(number - 1 + (step + 1) / steps)
            losses.append(self._step(example))
        return float(torch.stack(losses).mean())

    @contextmanager
    def evaluated(self) -> Iterator[None]:
        """Give the network, for a while, the weights and statistics that are to be judged and kept."""
        with self._average.applied() if self._average else nullcontext():
            if self.settings.settle:
                self._settle()
            yield

    def probabilities(self, index: NDArray[np.intp]) -> NDArray[np.float64]:
        """Return the probability of each class in some clips, (len(index), classes)."""
        return predict_network(self._network, self.task.clips, index)

    def weights(self) -> dict[str, Tensor]:
        """Return a copy of the network's weights."""
        return {name: values.detach().cpu().clone() for name, values in self._network.state_dict().items()}

    def finished(self, weights: dict[str, Tensor]) -> Network:
        """Return the network with those weights, ready to predict."""
        self._network.load_state_dict(weights)
        return self._network.cpu().eval()

    def state(self) -> dict[str, Any]:
        """Return all that the next epoch depends on."""
        return {
            "network": self._network.state_dict(),
            "optimiser": self._optimiser.state_dict(),
            "scaler": self._scaler.state_dict(),
            "average": None if self._average is None else self._average.state(),
        }

    def load_state(self, state: dict[str, Any]) -> None:
        """Go on from there."""
        self._network.load_state_dict(state["network"])
        self._optimiser.load_state_dict(state["optimiser"])
        self._scaler.load_state_dict(state["scaler"])
        if self._average is not None:
            self._average.load_state(state["average"])

    def _step(self, example: Example) -> Tensor:
        inputs = {name: values.to(self.device) for name, values in example.inputs.items()}
        target, positive = example.target.to(self.device), example.positive.to(self.device)
        with torch.autocast(self.device.type, enabled=self._in_16_bits):
            outputs = self._network.outputs(inputs)
        first, *others = (self._loss(torch.sigmoid(logits.float()), target, positive) for logits in outputs)
        loss = first + self.settings.auxiliary * sum(others) if others else first
        self._optimiser.zero_grad()
        self._scaler.scale(loss).backward()
        self._scaler.step(self._optimiser)
        self._scaler.update()
        if self._average is not None:
            self._average.update()
        return loss.detach()

    def _set_learning_rate(self, epochs: float) -> None:
        rate = self.settings.learning_rate
        if self.settings.schedule == "cosine":
            progress = max(epochs - 1, 0) / max(self.settings.epochs - 1, 1)
            rate *= min(epochs, 1) * (_COSINE_ENDS_AT + (1 - _COSINE_ENDS_AT) * (1 + math.cos(math.pi * progress)) / 2)
        for group in self._optimiser.param_groups:
            group["lr"] = rate

    def _settle(self) -> None:
        """Estimate batch-norm statistics anew, on training clips.

        Each batch has clips from all of them, as in training: clips next to each other vary less.
        """
        norms = [module for module in self._network.modules() if isinstance(module, nn.BatchNorm2d | nn.BatchNorm3d)]
        if not norms:
            return
        momenta = [norm.momentum for norm in norms]
        for norm in norms:
            norm.reset_running_stats()
            norm.momentum = None  # a plain mean over all batches
        training = self.task.training
        chosen = training[:: math.ceil(len(training) / _SETTLING)]
        batches = math.ceil(len(chosen) / self.settings.batch)
        self._network.train()
        with torch.no_grad(), torch.autocast(self.device.type, enabled=self.device.type != "cpu"):
            for number in range(batches):
                inputs = self._learned.batch(chosen[number::batches])
                self._network.outputs({name: values.to(self.device) for name, values in inputs.items()})
        for norm, momentum in zip(norms, momenta, strict=True):
            norm.momentum = momentum


def predict_network(network: Network, clips: Clips, index: NDArray[np.intp]) -> NDArray[np.float64]:
    """Return the probability of each class in some clips, (len(index), classes)."""
    device = next(network.parameters()).device
    network.eval()
    found = [np.empty((0, network.architecture.classes))]
    with torch.inference_mode(), torch.autocast(device.type, enabled=device.type != "cpu"):
        for at in range(0, len(index), _PREDICTED_AT_ONCE):
            batch = clips.batch(index[at : at + _PREDICTED_AT_ONCE])
            logits = network({name: values.to(device) for name, values in batch.items()})
            found.append(torch.sigmoid(logits.float()).cpu().double().numpy())
    return np.concatenate(found)


def _knows_bfloat16() -> bool:
    """Return whether the processor has instructions for bfloat16: with them conv5 learns in two thirds of the time.

    Not where it has three dimensions: gradients of such convolutions come out wrong (oneDNN in torch 2.14).
    """
    capable = torch.cpu.get_capabilities()
    return bool(capable.get("avx512_bf16") or capable.get("amx_bf16"))
