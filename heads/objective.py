"""What a system learns, put together from its parts and settings: targets, loss, and what regressions see."""

import numpy as np
import torch
from numpy.typing import NDArray

from heads.labels import Labels
from heads.losses import Loss, class_weights
from heads.scale import ENERGY, GRID
from heads.settings import Settings, System
from heads.targets import temporal_smoothing


def learned_labels(labels: Labels, system: System) -> NDArray[np.float32]:
    """Return what a system regresses on, (clips, classes): hard or temporally smoothed labels."""
    return (temporal_smoothing(labels.frames) if system.smoothing else labels.positive).astype(np.float32)


def system_loss(labels: Labels, training: NDArray[np.intp], system: System, settings: Settings) -> Loss:
    """Return a system's loss; class weights, where asked for, are those of the training clips."""
    weight = None
    if settings.class_weights:
        weight = torch.from_numpy(class_weights(labels.positive[training])).float()
    return Loss(settings.loss, system.balance, weight, settings.absent, settings.focus, settings.margin)


def regression_inputs(settings: Settings) -> tuple[str, ...]:
    """Return what regressions see: without a recording's own mean there is no distance from it."""
    return (GRID, ENERGY) if settings.standardise == "recording" else (GRID,)
