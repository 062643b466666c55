"""Which clips are learned from, tuned on and reported on."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from search import splits
from store.errors import InputError
from store.timeline import clip_frames, clip_times

CLIP = 0.64


def clips(*lengths: int) -> tuple[np.ndarray, np.ndarray]:
    """Return times and recordings of clips without gaps between them."""
    bounds = [np.arange(length + 1) * CLIP for length in lengths]
    times = np.concatenate([np.column_stack([each[:-1], each[1:]]) for each in bounds])
    return times, np.repeat(np.arange(len(lengths)), lengths)


def parts_of(split: splits.Split) -> list[np.ndarray]:
    return [split.training, split.validation, split.test]


def check_exclusive(split: splits.Split, known: np.ndarray) -> None:
    together = np.concatenate(parts_of(split))
    assert len(np.unique(together)) == len(together)
    assert known[together].all()
    for part in parts_of(split):
        assert len(part) > 0
        assert (np.diff(part) > 0).all()


def check_gaps(split: splits.Split, times: np.ndarray, recording: np.ndarray) -> None:
    """Compare every clip with every clip of the other parts."""
    for number, one in enumerate(parts_of(split)):
        for other in parts_of(split)[number + 1 :]:
            apart = np.maximum(
                times[other][None, :, 0] - times[one][:, None, 1], times[one][:, None, 0] - times[other][None, :, 1]
            )
            same = recording[one][:, None] == recording[other][None, :]
            assert (apart[same] >= splits.GAP - 1e-9).all()


def test_random_gives_the_papers_shares() -> None:
    known = np.ones(1000, bool)
    known[::10] = False
    split = splits.random(*clips(400, 600), known, seed=1)
    check_exclusive(split, known)
    assert [len(part) for part in parts_of(split)] == [720, 90, 90]
    assert len(np.flatnonzero(np.diff(split.test) == 1)) < 30  # drawn clip by clip


def test_random_depends_on_the_seed_alone() -> None:
    known = np.ones(200, bool)
    first, again, other = (splits.random(*clips(200), known, seed) for seed in (3, 3, 4))
    assert all((a == b).all() for a, b in zip(parts_of(first), parts_of(again), strict=True))
    assert not np.array_equal(first.test, other.test)


@pytest.mark.parametrize("count", [0, 1, 2])
def test_too_few_clips_for_a_random_split(count: int) -> None:
    with pytest.raises(InputError, match="too little is annotated"):
        splits.random(*clips(10), np.arange(10) < count, seed=0)


@pytest.mark.parametrize("seed", range(20))
def test_clips_that_do_not_overlap_are_drawn_one_by_one(seed: int) -> None:
    """The first tenth of a permutation of the annotated clips validates, the second tests."""
    known = np.random.default_rng(seed).random(500) < 0.8
    split = splits.random(*clips(200, 300), known, seed)
    drawn = np.random.default_rng(seed).permutation(np.flatnonzero(known)).tolist()
    tenth = round(len(drawn) / 10)
    assert split.validation.tolist() == sorted(drawn[:tenth])
    assert split.test.tolist() == sorted(drawn[tenth : 2 * tenth])
    assert split.training.tolist() == sorted(drawn[2 * tenth :])


@pytest.mark.parametrize("seconds", [0, 0.64, 5, 9])
def test_too_short_for_blocks(seconds: float) -> None:
    times, recording = clips(200)
    known = times[:, 1] <= seconds
    with pytest.raises(InputError, match="too little is annotated"):
        splits.blocked(times, recording, known, np.zeros((200, 2), bool), seed=0)


@pytest.mark.parametrize("seed", range(5))
def test_blocks_of_four_recordings(seed: int) -> None:
    times, recording = clips(800, 900, 700, 1000)  # 36 minutes: 72 blocks of 30 s
    draw = np.random.default_rng(seed)
    positive = draw.random((3400, 7)) < [0.5, 0.3, 0.2, 0.1, 0.05, 0.02, 0.01]
    known = np.ones(3400, bool)
    split = splits.blocked(times, recording, known, positive, seed)
    check_exclusive(split, known)
    check_gaps(split, times, recording)
    used = sum(map(len, parts_of(split)))
    assert used > 0.85 * 3400  # a gap costs three or four clips
    shares = [len(part) / used for part in parts_of(split)]
    assert shares == pytest.approx(splits.SHARES, abs=0.04)
    for part in parts_of(split):
        assert positive[part].any(axis=0).all()


def test_blocks_are_contiguous_and_as_long_as_promised() -> None:
    times, recording = clips(938)  # ten minutes: 20 blocks of 30 s
    split = splits.blocked(times, recording, np.ones(938, bool), np.ones((938, 1), bool), seed=0)
    for part in (split.validation, split.test):
        stretches = np.split(part, np.flatnonzero(np.diff(part) > 1) + 1)
        lengths = [times[stretch[-1], 1] - times[stretch[0], 0] for stretch in stretches]
        assert len(lengths) <= 2
        # 30 s, or 60 s where two are neighbours; less at most a gap on both sides and the clips on the borders.
        assert min(lengths) > splits.BLOCK - 2 * splits.GAP - 4 * CLIP
        assert max(lengths) < 2 * splits.BLOCK + 2 * CLIP


def test_short_recordings_have_shorter_blocks() -> None:
    times, recording = clips(144)  # 92 s: twelve blocks of 7.7 s
    split = splits.blocked(times, recording, np.ones(144, bool), np.ones((144, 1), bool), seed=0)
    assert 5 < times[split.test[-1], 1] - times[split.test[0], 0] < 92.16 / 12 + 2 * CLIP


def test_a_class_in_one_block_is_learned_and_one_in_two_also_tested() -> None:
    times, recording = clips(600)
    positive = np.zeros((600, 3), bool)
    positive[:, 0] = True
    positive[100:104, 1] = True
    positive[[200, 201, 500, 501], 2] = True
    for seed in range(5):
        split = splits.blocked(times, recording, np.ones(600, bool), positive, seed)
        present = [positive[part].any(axis=0).tolist() for part in parts_of(split)]
        assert present[0] == [True, True, True]
        assert present[2][2]


def test_blocked_depends_on_the_seed_alone() -> None:
    times, recording = clips(500)
    known, positive = np.ones(500, bool), np.ones((500, 2), bool)
    drawn = [splits.blocked(times, recording, known, positive, seed) for seed in (3, 3, *range(4, 10))]
    assert all((a == b).all() for a, b in zip(parts_of(drawn[0]), parts_of(drawn[1]), strict=True))
    assert len({split.test.tobytes() for split in drawn}) > 3


def test_a_recording_annotated_up_to_a_time() -> None:
    times, recording = clips(400, 400)
    known = (recording == 0) | (times[:, 1] <= 60)
    positive = np.zeros((800, 1), bool)
    split = splits.blocked(times, recording, known, positive, seed=0)
    check_exclusive(split, known)
    check_gaps(split, times, recording)


def test_clips_at_variable_rate() -> None:
    draw = np.random.default_rng(0)
    bounds = np.concatenate([[0.0], np.cumsum(draw.uniform(0.3, 2.5, 400))])
    times = np.column_stack([bounds[:-1], bounds[1:]])
    recording, known = np.zeros(400, np.intp), np.ones(400, bool)
    split = splits.blocked(times, recording, known, draw.random((400, 2)) < 0.2, seed=0)
    check_exclusive(split, known)
    check_gaps(split, times, recording)


@st.composite
def annotated_recordings(draw: st.DrawFn) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    times, recording = clips(*draw(st.lists(st.integers(60, 200), min_size=1, max_size=3)))
    known = np.zeros(len(times), bool)
    for number in np.unique(recording):
        mine = np.flatnonzero(recording == number)
        borders = sorted(draw(st.lists(st.integers(0, len(mine)), min_size=2, max_size=4)))
        for first, stop in pairwise(borders):
            known[mine[first:stop]] = draw(st.booleans())
    positive = np.random.default_rng(draw(st.integers(0, 99))).random((len(times), 3)) < [0.4, 0.1, 0.01]
    return times, recording, known, positive


@given(annotated_recordings(), st.integers(0, 2**32 - 1))
@settings(max_examples=40, deadline=None)
def test_blocked_on_anything(case: tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray], seed: int) -> None:
    times, recording, known, positive = case
    try:
        split = splits.blocked(times, recording, known, positive, seed)
    except InputError:
        assert known.sum() * CLIP < 30  # half a minute in whatever pieces is enough
        return
    check_exclusive(split, known)
    check_gaps(split, times, recording)


STRIDES = (1, 4, 8, 16)


def cut_recordings(frames: list[int], rate: float, stride: int, tail: str = "drop") -> tuple[np.ndarray, ...]:
    """Return times and recordings of clips, and which frames, over all recordings, each is made of."""
    first = np.concatenate([[0], np.cumsum(frames)])
    index = [clip_frames(count, 16, stride, tail) for count in frames]
    times = [clip_times(np.arange(count) / rate, count / rate, 16, stride, tail) for count in frames]
    recording = np.repeat(np.arange(len(frames)), [len(each) for each in index])
    return np.concatenate(times), recording, np.concatenate([f + each for f, each in zip(first, index, strict=False)])


def check_no_frame_shared(split: splits.Split, index: np.ndarray) -> None:
    training, validation, test = (set(index[part].ravel().tolist()) for part in parts_of(split))
    assert len(training | validation | test) == len(training) + len(validation) + len(test)


@pytest.mark.parametrize("stride", STRIDES)
@pytest.mark.parametrize("name", ["random", "blocked"])
def test_no_frame_is_in_two_parts(name: str, stride: int) -> None:
    times, recording, index = cut_recordings([1500, 2000], 25, stride)
    draw = np.random.default_rng(stride)
    known, positive = draw.random(len(times)) < 0.95, draw.random((len(times), 2)) < 0.3
    for seed in range(5):
        if name == "random":
            split = splits.random(times, recording, known, seed)
        else:
            split = splits.blocked(times, recording, known, positive, seed)
            check_gaps(split, times, recording)
        check_exclusive(split, known)
        check_no_frame_shared(split, index)


@pytest.mark.parametrize("stride", STRIDES)
def test_overlapping_clips_are_drawn_together(stride: int) -> None:
    """As many drawn pieces as there are whole clips, and as much of them kept as the overlaps allow."""
    times, recording, _ = cut_recordings([25 * 16 * 40], 25, stride)
    split = splits.random(times, recording, np.ones(len(times), bool), seed=0)
    pieces = np.split(split.test, np.flatnonzero(np.diff(split.test) > 1) + 1)
    assert {len(piece) % (16 // stride) for piece in pieces} == {0}
    assert len(split.test) / len(times) == pytest.approx(0.1, abs=0.002)
    assert len(split.training) / len(times) > 0.8 * 0.6
    assert len(split.validation) / len(times) > 0.1 * 0.6


@pytest.mark.parametrize("stride", STRIDES)
def test_blocks_last_as_long_whatever_the_stride(stride: int) -> None:
    times, recording, _ = cut_recordings([15000], 25, stride)  # ten minutes: 20 blocks of 30 s
    split = splits.blocked(times, recording, np.ones(len(times), bool), np.ones((len(times), 1), bool), seed=0)
    for part in (split.validation, split.test):
        lengths = [
            times[stretch[-1], 1] - times[stretch[0], 0]
            for stretch in np.split(part, np.flatnonzero(np.diff(part) > 1) + 1)
        ]
        assert min(lengths) > splits.BLOCK - 2 * splits.GAP - 4 * CLIP
        assert max(lengths) < 2 * splits.BLOCK + 2 * CLIP


@given(
    frames=st.lists(st.integers(16, 1200), min_size=1, max_size=3),
    rate=st.sampled_from([0.5, 1.0, 3.0, 7.5, 8.1, 12.0, 25.0, 29.97, 60.0]),
    stride=st.integers(1, 16),
    tail=st.sampled_from(["drop", "loop"]),
    seed=st.integers(0, 2**32 - 1),
)
@settings(max_examples=60, deadline=None)
def test_no_moment_is_in_two_parts_at_any_rate(
    frames: list[int], rate: float, stride: int, tail: str, seed: int
) -> None:
    """At 0.5 frames a second a clip lasts 32 s: longer than the gap, and than a block."""
    times, recording, index = cut_recordings(frames, rate, stride, tail)
    known = np.random.default_rng(seed).random(len(times)) < 0.9
    positive = np.random.default_rng(seed).random((len(times), 2)) < 0.3
    for divide in (
        lambda: splits.random(times, recording, known, seed),
        lambda: splits.blocked(times, recording, known, positive, seed),
    ):
        try:
            split = divide()
        except InputError:
            continue  # too little for three parts
        check_exclusive(split, known)
        check_no_frame_shared(split, index)
        held = [times[part] for part in parts_of(split)]
        where = [recording[part] for part in parts_of(split)]
        for one, other in ((0, 1), (0, 2), (1, 2)):
            shared = np.minimum(held[one][:, None, 1], held[other][None, :, 1]) - np.maximum(
                held[one][:, None, 0], held[other][None, :, 0]
            )
            assert (shared[where[one][:, None] == where[other][None, :]] <= 0).all()
