"""The temporal network over clips: what it may see, and what it must not."""

import numpy as np
import pytest
import torch
from sklearn.metrics import average_precision_score

from heads.context import REACH, ContextNetwork, train_context
from heads.losses import Loss

pytestmark = pytest.mark.usefixtures("one_thread")

LOSS = Loss("mse", balance=True)


def lasting(clips: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Return labels of gestures that last about eight clips, and logits that tell each clip but poorly."""
    random = np.random.default_rng(seed)
    positive = np.column_stack([np.convolve(random.normal(size=clips), np.ones(8), "same") > 1.5 for _ in range(3)])
    return positive, np.where(positive, 0.5, -0.5) + random.normal(size=positive.shape)


def trained(logits: np.ndarray, positive: np.ndarray, training: np.ndarray, seed: int = 0) -> ContextNetwork:
    sequences = [np.arange(0, len(logits) // 2), np.arange(len(logits) // 2, len(logits))]
    return train_context(logits, sequences, positive.astype(np.float32), positive, training, LOSS, seed)


def test_begins_by_changing_nothing_and_is_small() -> None:
    network = ContextNetwork(18)
    assert sum(parameter.numel() for parameter in network.parameters()) < 200_000
    logits = np.random.default_rng(0).normal(size=(40, 18))
    assert not network.predict(logits, np.zeros(40, int)).any()


def test_neighbours_tell_what_a_clip_leaves_open() -> None:
    positive, logits = lasting(600, seed=0)
    network = trained(logits, positive, np.arange(300))
    changed = logits + network.predict(logits, np.repeat([0, 1], 300))
    unseen = slice(300, 600)
    before, after = (
        average_precision_score(positive[unseen], values[unseen], average="macro") for values in (logits, changed)
    )
    assert after > before + 0.05


def test_looks_so_far_and_never_into_another_recording() -> None:
    positive, logits = lasting(120, seed=1)
    network = trained(logits, positive, np.arange(60))
    recording = np.repeat([0, 1], 60)
    before = network.predict(logits, recording)
    other = logits.copy()
    other[70] += 5
    moved = np.flatnonzero(np.abs(network.predict(other, recording) - before).max(axis=1) > 1e-6)
    assert moved.min() >= 60
    assert set(moved) <= set(range(70 - REACH, 70 + REACH + 1))
    assert 70 in moved


def test_labels_outside_training_do_not_matter() -> None:
    positive, logits = lasting(120, seed=2)
    training = np.arange(10, 50)
    other = positive.copy()
    other[np.setdiff1d(np.arange(120), training)] ^= True
    one, two = (trained(logits, labels, training).state_dict() for labels in (positive, other))
    assert all(torch.equal(one[name], two[name]) for name in one)


def test_same_seed_same_network() -> None:
    positive, logits = lasting(80, seed=3)
    state = torch.get_rng_state()
    one, two, three = (trained(logits, positive, np.arange(60), seed).state_dict() for seed in (4, 4, 5))
    assert torch.equal(torch.get_rng_state(), state)
    assert all(torch.equal(one[name], two[name]) for name in one)
    assert any(not torch.equal(one[name], three[name]) for name in one)
