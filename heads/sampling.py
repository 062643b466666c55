"""In which order a training epoch sees the clips, and as what: repeated, in other views, mixed."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from heads.clips import Batch, Clips

BLOCKS_TOGETHER = 32  # stored blocks whose clips are shuffled together, where they are too many for memory


@dataclass(frozen=True)
class Targets:
    """What is to be learned of all clips, each (clips, classes).

    Parameters
    ----------
    soft : ndarray of float32
        What to regress on: hard or smoothed labels.
    positive : ndarray of bool
        Hard labels.
    mirrored : ndarray of int, shape (classes,)
        The class that each becomes in a flipped picture.
    """

    soft: NDArray[np.float32]
    positive: NDArray[np.bool_]
    mirrored: NDArray[np.intp]


@dataclass(frozen=True)
class Example:
    """A batch to learn from.

    Parameters
    ----------
    inputs : dict of Tensor
        As `Clips.batch` gives them.
    target, positive : Tensor, shape (batch, classes)
        Soft and hard labels.
    """

    inputs: Batch
    target: Tensor
    positive: Tensor


def repeat_factors(positive: NDArray[np.bool_], threshold: float) -> NDArray[np.float64]:
    """Return how often each training clip comes in an epoch (Gupta et al., arXiv:1908.03195, Section 5.1).

    Parameters
    ----------
    positive : ndarray of bool, shape (clips, classes)
        Hard labels of the training clips.
    threshold : float
        Share of the clips below which a class is rare.

    Returns
    -------
    ndarray of float, shape (clips,)
        From 1 on: sqrt(threshold / share) of the clip's rarest class.
    """
    share = np.maximum(positive.mean(axis=0), 1 / max(len(positive), 1))
    return np.where(positive, np.maximum(1, np.sqrt(threshold / share)), 1).max(axis=1, initial=1)


def epoch_order(
    training: NDArray[np.intp],
    factors: NDArray[np.float64],
    blocks: NDArray[np.intp] | None,
    random: np.random.Generator,
) -> NDArray[np.intp]:
    """Return the clips of an epoch in random order.

    Parameters
    ----------
    training : ndarray of int, shape (clips,)
        The training clips.
    factors : ndarray of float, shape (clips,)
        How often each is to come, on average.
    blocks : ndarray of int, optional
        Stored block of every clip. If given, blocks come in random order, and clips are shuffled among
        `BLOCKS_TOGETHER` of them at a time, so that each block is read once.
    random : Generator
        Draws.
    """
    times = np.floor(factors + random.random(len(factors))).astype(np.intp)
    drawn = np.repeat(training, times)
    drawn = drawn[random.permutation(len(drawn))]
    if blocks is None:
        return drawn
    place = np.empty(int(blocks.max()) + 1, np.intp)
    there = np.unique(blocks[training])
    place[there] = random.permutation(len(there)) // BLOCKS_TOGETHER
    return drawn[np.argsort(place[blocks[drawn]], kind="stable")]


def examples(
    clips: Clips, targets: Targets, order: NDArray[np.intp], batch: int, mixup: float, random: np.random.Generator
) -> Iterator[Example]:
    """Yield the batches of an epoch.

    Parameters
    ----------
    clips : Clips
        All clips; if they are there in several views, one is drawn for each.
    targets : Targets
        What to learn of them.
    order : ndarray of int
        The clips of the epoch.
    batch : int
        Clips in a batch; the last may have fewer.
    mixup : float
        Alpha of the mixing, 0 for none.
    random : Generator
        Draws.
    """
    flip = clips.views.index("flip") if "flip" in clips.views else -1
    for at in range(0, len(order), batch):
        index = order[at : at + batch]
        view = random.integers(len(clips.views), size=len(index))
        target, positive = targets.soft[index], targets.positive[index]
        flipped = view == flip
        target[flipped], positive[flipped] = (values[flipped][:, targets.mirrored] for values in (target, positive))
        example = Example(clips.batch(index, view), torch.from_numpy(target), torch.from_numpy(positive))
        yield _mixed(example, mixup, random) if mixup else example


def _mixed(example: Example, alpha: float, random: np.random.Generator) -> Example:
    """Mix each clip with another of its batch (Zhang et al., arXiv:1710.09412); hard labels are the nearer one's."""
    drawn = float(random.beta(alpha, alpha))
    share = max(drawn, 1 - drawn)
    other = torch.from_numpy(random.permutation(len(example.target)))
    inputs = {name: values.lerp(values[other], 1 - share) for name, values in example.inputs.items()}
    return Example(inputs, example.target.lerp(example.target[other], 1 - share), example.positive)
