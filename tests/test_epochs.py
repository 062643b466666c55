"""In which order an epoch sees the clips, and as what."""

from collections import Counter

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from synthetic import planted

from heads.sampling import BLOCKS_TOGETHER, Targets, epoch_order, examples, repeat_factors
from store.streams import CLIPS_PER_CHUNK

seeds = st.integers(0, 2**32 - 1)


@given(arrays.arrays(bool, st.tuples(st.integers(1, 40), st.integers(1, 5))), st.floats(0, 1))
def test_repeat_factors_are_those_of_lvis(positive: np.ndarray, threshold: float) -> None:
    """Section 5.1 of arXiv:1908.03195: r(c) = max(1, sqrt(t / f(c))), and r(i) the largest of its classes."""
    clips, classes = positive.shape
    factors = repeat_factors(positive, threshold)
    assert factors.shape == (clips,)
    for i in range(clips):
        r = 1.0
        for c in range(classes):
            if positive[i, c]:
                f = sum(bool(row[c]) for row in positive) / clips
                r = max(r, max(1.0, (threshold / f) ** 0.5))
        assert factors[i] == pytest.approx(r, rel=1e-12)


def test_repeat_factors_by_hand() -> None:
    positive = np.zeros((100, 2), bool)
    positive[0, 0] = True  # in a hundredth
    positive[:50, 1] = True  # in a half
    assert repeat_factors(positive, 0.04).tolist() == [2.0] + 99 * [1.0]
    assert repeat_factors(positive, 0.0).tolist() == 100 * [1.0]


@given(st.integers(1, 200), seeds)
def test_without_a_sampler_every_clip_comes_once(clips: int, seed: int) -> None:
    training = np.random.default_rng(seed).permutation(1000)[:clips]
    order = epoch_order(training, np.ones(clips), None, np.random.default_rng(seed))
    assert sorted(order.tolist()) == sorted(training.tolist())


def test_the_order_is_random_and_comes_from_the_seed() -> None:
    training = np.arange(300)
    first, again, other = (epoch_order(training, np.ones(300), None, np.random.default_rng(seed)) for seed in (1, 1, 2))
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)
    assert not np.array_equal(first, training)


@given(arrays.arrays(float, st.integers(1, 60), elements=st.floats(1, 6)), st.booleans(), seeds)
def test_every_clip_comes_as_often_as_its_factor_says(factors: np.ndarray, streamed: bool, seed: int) -> None:
    """A fraction is drawn: 2.3 is 2 or 3 times."""
    training = np.arange(10, 10 + len(factors))
    blocks = np.arange(100) // 3 if streamed else None
    order = epoch_order(training, factors, blocks, np.random.default_rng(seed))
    times = Counter(order.tolist())
    assert {*times} == {*training.tolist()}
    for clip, factor in zip(training.tolist(), factors, strict=True):
        assert np.floor(factor) <= times[clip] <= np.ceil(factor)


def test_factors_hold_on_average() -> None:
    random = np.random.default_rng(0)
    factors = np.array([1.0, 1.25, 2.5])
    counts = np.zeros(3)
    for _ in range(2000):
        counts += np.bincount(epoch_order(np.arange(3), factors, None, random), minlength=3)
    np.testing.assert_allclose(counts / 2000, factors, atol=0.05)


@given(st.integers(1, 400), st.sampled_from([1.0, 1.5, 3.0]), seeds)
def test_streamed_blocks_are_read_once(clips: int, factor: float, seed: int) -> None:
    """Clips of a block come within one group of blocks, and groups one after the other."""
    random = np.random.default_rng(seed)
    blocks = np.arange(800) // 2
    training = np.sort(random.permutation(800)[:clips])
    order = epoch_order(training, np.full(clips, factor), blocks, random)
    there = len(np.unique(blocks[training]))
    groups = -(-there // BLOCKS_TOGETHER)
    seen = [int(block) for block in blocks[order]]
    first = {block: seen.index(block) for block in seen}
    last = {block: place for place, block in enumerate(seen)}
    assert len(first) == there
    # Cut where everything begun is finished: each piece has the blocks of one group, or of several small ones.
    borders = [at for at in range(len(seen)) if not any(first[b] < at <= last[b] for b in first)]
    pieces = [{*seen[a:b]} for a, b in zip(borders, [*borders[1:], len(seen)], strict=True)]
    assert sum(map(len, pieces)) == there
    assert max(map(len, pieces)) <= BLOCKS_TOGETHER
    assert len(pieces) >= groups


def test_streamed_clips_are_shuffled_across_blocks() -> None:
    blocks = np.arange(40 * CLIPS_PER_CHUNK) // CLIPS_PER_CHUNK
    training = np.arange(len(blocks))
    order = epoch_order(training, np.ones(len(blocks)), blocks, np.random.default_rng(0))
    batches = blocks[order][: 32 * CLIPS_PER_CHUNK].reshape(-1, 32)
    assert np.mean([len(np.unique(batch)) for batch in batches]) > 15  # of 32 blocks, 32 clips at random: 20


@pytest.fixture(scope="module")
def case():
    clips, labels = planted(clips=64, more=("audio",), views=("plain", "flip"))
    soft = (0.8 * labels.positive + 0.1).astype(np.float32)
    return clips, Targets(soft, labels.positive, np.array([1, 0, 2]))


def collected(case, batch: int = 10, mixup: float = 0.0, seed: int = 3, times: int = 1):
    clips, targets = case
    order = np.tile(np.random.default_rng(seed).permutation(64), times)
    return order, list(examples(clips, targets, order, batch, mixup, np.random.default_rng(seed)))


def test_batches_are_the_order_cut_up(case) -> None:
    order, found = collected(case)
    assert [len(example.target) for example in found] == 6 * [10] + [4]
    audio = torch.cat([example.inputs["audio"] for example in found])
    assert torch.equal(audio, case[0].batch(order)["audio"])
    for example in found:
        assert example.target.dtype == torch.float32
        assert example.positive.dtype == torch.bool
        assert all(values.dtype == torch.float32 for values in example.inputs.values())
        assert {len(values) for values in example.inputs.values()} == {len(example.target)}


def test_labels_of_a_flipped_clip_are_mirrored(case) -> None:
    clips, targets = case
    order, found = collected(case, times=4)
    inputs = torch.cat([example.inputs["grid"] for example in found]).numpy()
    soft = torch.cat([example.target for example in found]).numpy()
    positive = torch.cat([example.positive for example in found]).numpy()
    plain, flipped = clips.take("grid", order), clips.take("grid", order, "flip")
    as_plain, as_flipped = ((inputs == values).all(axis=1) for values in (plain, flipped))
    assert (as_plain != as_flipped).all()
    assert 0.3 < as_flipped.mean() < 0.7
    for got, wanted in ((soft, targets.soft[order]), (positive, targets.positive[order])):
        assert np.array_equal(got[as_plain], wanted[as_plain])
        assert np.array_equal(got[as_flipped], wanted[as_flipped][:, [1, 0, 2]])


def test_targets_are_left_as_they_are(case) -> None:
    _, targets = case
    before = targets.soft.copy(), targets.positive.copy()
    collected(case, mixup=0.4)
    assert np.array_equal(targets.soft, before[0])
    assert np.array_equal(targets.positive, before[1])


def test_same_seed_same_examples(case) -> None:
    first, again, other = (collected(case, mixup=0.4, seed=seed)[1] for seed in (3, 3, 4))
    for one, two in zip(first, again, strict=True):
        assert torch.equal(one.target, two.target)
        assert all(torch.equal(one.inputs[name], two.inputs[name]) for name in one.inputs)
    assert not torch.equal(first[0].target, other[0].target)


@pytest.mark.parametrize("alpha", [0.2, 1.0])
def test_mixup_keeps_the_larger_share_of_each_clip(alpha: float) -> None:
    """Inputs and targets are between two clips of the batch, in the same proportion; hard labels are the nearer's."""
    clips, labels = planted(clips=32, recordings=1)
    clips = clips.only("grid")
    targets = Targets(labels.positive.astype(np.float32), labels.positive, np.arange(3))
    order = np.arange(32)
    shares = []
    for seed in range(20):
        (example,) = examples(clips, targets, order, 32, alpha, np.random.default_rng(seed))
        plain = clips.batch(order)["grid"].double()
        mixed = example.inputs["grid"].double()
        # Where each clip lies between itself and each other one; the other is the one whose line it is on.
        found = []
        for i in range(32):
            directions = plain - plain[i]
            along = (mixed[i] - plain[i]) @ directions.T / directions.square().sum(dim=1).clamp(min=1e-9)
            rest = (mixed[i] - plain[i] - along[:, None] * directions).norm(dim=1)
            other = int(rest.argmin())
            assert rest[other] < 1e-2
            share = float(along[other]) if other != i else None
            if share is not None and share > 1e-3:
                found.append(share)
                expected = (1 - share) * targets.soft[i] + share * targets.soft[other]
                np.testing.assert_allclose(example.target[i].numpy(), expected, atol=1e-3)
        assert np.ptp(found) < 1e-3 if found else True  # one share for the whole batch
        shares += found[:1]
        assert np.array_equal(example.positive.numpy(), targets.positive)
    assert 0 < min(shares) < 0.3
    assert max(shares) <= 0.5 + 1e-6
