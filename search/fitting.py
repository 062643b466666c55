"""Fitting one system, and the linear probe beside it, to some of the annotated clips."""

import hashlib
from copy import deepcopy
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from extract.views import PLAIN
from heads.checkpoint import Checkpoint
from heads.clips import Clips
from heads.context import Context, fit_context
from heads.learner import Learner, Task
from heads.metrics import average_precision
from heads.model import Head
from heads.neighbours import in_order
from heads.network import Architecture, Network, make_network
from heads.objective import learned_labels, regression_inputs, system_loss
from heads.postprocessing import PostProcessing
from heads.probe import LinearProbe
from heads.scale import AUDIO, GRID, Scale
from heads.settings import PROBE, SYSTEMS, Settings
from heads.training import Epoch, Trained, Watch, choose_device, train
from search.data import Data
from search.shelf import Shelf
from search.thresholds import UNTUNED, steady
from store.progress import progress
from store.vocabulary import Vocabulary, class_members


@dataclass(frozen=True)
class Fitted:
    """What came of it.

    Parameters
    ----------
    head, probe : Head
        The system and the linear probe.
    scales : dict of Scale
        By input, where inputs are standardised by the training clips' statistics.
    trained : Trained, optional
        How training went; None for the probe.
    """

    head: Head
    probe: Head
    scales: dict[str, Scale]
    trained: Trained | None

    @property
    def history(self) -> tuple[Epoch, ...]:
        """The epochs of the training; none for the probe."""
        return () if self.trained is None else self.trained.history


class Workbench:
    """A system with its settings, to be fitted to annotated recordings as often as wanted.

    Parameters
    ----------
    shelf : Shelf
        The recordings; several workbenches may stand at one.
    vocabulary : Vocabulary
        The classes.
    system : str
        Name of a system.
    settings : Settings
        How to train.
    device : {"auto", "cpu", "cuda"}
        Where to.

    Raises
    ------
    InputError
        If an array of the store is missing or damaged, the system needs a sound that is not there, or there is no
        such device.
    """

    def __init__(
        self,
        shelf: Shelf,
        vocabulary: Vocabulary,
        system: str,
        settings: Settings,
        device: str = "auto",
    ):
        self._shelf, self._data = shelf, shelf.data
        self.settings = settings
        self._system, self._device = system, choose_device(device)
        self.gestures = len(class_members(vocabulary))  # the classes that come before the background
        self._mirrored = np.array(vocabulary.mirrored, np.intp)
        inputs = {GRID}
        views: tuple[str, ...] = (PLAIN,)
        self._architecture: Architecture | None = None
        if system != PROBE:
            self._architecture = _architecture(system, settings, shelf.data, shelf.store.spec.backbone)
            inputs |= {*self._architecture.inputs, *(regression_inputs(settings) if settings.context else ())}
            if settings.views:
                views = shelf.views
        self._clips = shelf.clips(sorted(inputs), settings.standardise, views)

    def fit(
        self,
        training: NDArray[np.intp],
        validation: NDArray[np.intp],
        *,
        epochs: int | None = None,
        checkpoint: Path | None = None,
        name: str = "",
        watch: Watch | None = None,
        start: Network | None = None,
    ) -> Fitted:
        """Fit the system and the probe to the training clips, and tune thresholds on the validation clips.

        Parameters
        ----------
        training, validation : ndarray of int
            Clips; without any for validation, training lasts for all its epochs, and thresholds stay at 0.5.
        epochs : int, optional
            At most, in place of the settings'.
        checkpoint : Path, optional
            Where the state is kept while training.
        name : str
            What is fitted, for the progress shown.
        watch : callable, optional
            Called after each epoch with its number and the best validation score so far; may raise to give up.
        start : Network, optional
            A trained one, of the same architecture, to begin with; it stays as it is. One of another is left alone.
        """
        clips, scales = self._clips, {}
        if self.settings.standardise == "training":
            clips = clips.scaled_over(training)
            scales = {name: clips.scales[name, PLAIN] for name in clips.inputs}
        probe = self._tuned(self._fit_probe(clips, training, (GRID,)), clips, validation)
        if self._architecture is None:
            return Fitted(probe, probe, scales, None)
        trained = self._train(clips, training, validation, epochs, checkpoint, name, watch, self._usable(start))
        context = self._fit_context(clips, training) if self.settings.context else None
        return Fitted(self._tuned(trained.network, clips, validation, context), probe, scales, trained)

    def predict(self, fitted: Fitted, index: NDArray[np.intp]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Return the probabilities of the system and of the probe in some clips, (len(index), classes) each."""
        clips = self._clips
        if fitted.scales:
            clips = clips.scaled({(name, PLAIN): scale for name, scale in fitted.scales.items()})
        return fitted.head.predict(clips, index), fitted.probe.predict(clips, index)

    def _fit_probe(self, clips: Clips, training: NDArray[np.intp], inputs: tuple[str, ...]) -> LinearProbe:
        settings = self.settings
        return self._shelf.regression(clips, training, inputs, settings.standardise, settings.seed)

    def _train(
        self,
        clips: Clips,
        training: NDArray[np.intp],
        validation: NDArray[np.intp],
        epochs: int | None,
        checkpoint: Path | None,
        name: str,
        watch: Watch | None,
        start: Network | None,
    ) -> Trained:
        assert self._architecture is not None
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(self.settings.seed)
            network = make_network(self._shelf.tail, self._architecture) if start is None else deepcopy(start)
        if self._architecture.linear:
            network.add_regression(self._fit_probe(clips, training, self._architecture.linear))
        inputs = clips.only(*self._architecture.inputs)
        task = Task(inputs, self._data.labels, training, validation, self._mirrored)
        learner = Learner(network, SYSTEMS[self._system], self.settings, task, self._device, start is not None)
        last = self.settings.epochs if epochs is None else epochs
        kept = None if checkpoint is None else Checkpoint(checkpoint, [*self._identity(task, last), _digest(start)])
        with progress(f"training {name or self._system}", last, "epochs") as advance:
            return train(learner, _ranking, advance, last, kept, watch)

    def _identity(self, task: Task, epochs: int) -> Any:
        """Return all that decides the result of a training, JSON-ready."""
        learned = np.concatenate([task.training, task.validation])
        arrays = [f"conv4/{view}" for view in self._clips.views] + [AUDIO] * (AUDIO in task.clips.inputs)
        return [
            self._system,
            asdict(self.settings),
            epochs,
            self._device.type,
            self._shelf.store.spec.to_dict(),
            [each.fingerprint(name) for each in self._data.recordings for name in arrays if name in each.arrays],
            self._mirrored.tolist(),
            task.training.tolist(),
            task.validation.tolist(),
            np.packbits(self._data.labels.frames[learned]).tobytes().hex(),
        ]

    def _usable(self, start: Network | None) -> Network | None:
        """Return a network to begin with, if this system is put together as it is."""
        return start if start is not None and start.architecture == self._architecture else None

    def _fit_context(self, clips: Clips, training: NDArray[np.intp]) -> Context:
        labels, parts = self._data.labels, SYSTEMS[self._system]
        soft, loss = learned_labels(labels, parts), system_loss(labels, training, parts, self.settings)
        regression = self._fit_probe(clips, training, regression_inputs(self.settings))
        return fit_context(clips, soft, labels.positive, training, loss, self.settings.seed, regression)

    def _tuned(
        self,
        predictor: Network | LinearProbe,
        clips: Clips,
        validation: NDArray[np.intp],
        context: Context | None = None,
    ) -> Head:
        untuned = np.full(self._data.labels.frames.shape[2], UNTUNED)
        head = Head(predictor, PostProcessing.plain(untuned), context)
        if not len(validation):
            return head
        timeline = self._data.timeline
        neighbours = in_order(timeline.times[validation], timeline.recording[validation])
        thresholds = steady(head.predict(clips, validation), self._data.labels.positive[validation], neighbours)
        return replace(head, postprocessing=PostProcessing.plain(thresholds))


def _architecture(system: str, settings: Settings, data: Data, backbone: str) -> Architecture:
    parts = SYSTEMS[system]
    sounding = next((recording for recording in data.recordings if recording.has_sound), None)
    sound = sounding.rows(AUDIO).shape[1:] if parts.fusion and sounding else Architecture.sound
    return Architecture(
        classes=data.labels.frames.shape[2],
        widths=settings.widths,
        dropout=settings.dropout,
        backbone=backbone,
        tune=settings.tune,
        fusion=parts.fusion,
        sound=sound,
        audio_widths=settings.audio_widths,
        per_gesture=parts.per_gesture,
        linear=regression_inputs(settings) if settings.regression else (),
    )


def _digest(start: Network | None) -> str | None:
    """Return what tells a network's weights from others'."""
    if start is None:
        return None
    weights = sorted(start.state_dict().items())
    return hashlib.sha256(b"".join(values.numpy().tobytes() for _, values in weights)).hexdigest()


def _ranking(true: NDArray[np.bool_], probability: NDArray[np.float64]) -> float:
    """Return the mean average precision over the classes that are there: it needs no threshold, and varies less."""
    there = true.any(axis=0)
    return float(average_precision(true, probability)[there].mean()) if there.any() else 0.0
