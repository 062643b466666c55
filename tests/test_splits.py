"""Which clips are learned from, tuned on and reported on."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from search import splits
from search.blocks import BLOCK, GAP, SHORTEST_BLOCK, near
from search.dealing import deal
from store.errors import InputError
from store.timeline import clip_frames, clip_times

CLIP = 0.64


def clips(*lengths: int) -> tuple[np.ndarray, np.ndarray]:
    """Return times and recordings of clips without gaps between them."""
    bounds = [np.arange(length + 1) * CLIP for length in lengths]
    times = np.concatenate([np.column_stack([each[:-1], each[1:]]) for each in bounds])
    return times, np.repeat(np.arange(len(lengths)), lengths)


def timeline_of(
    times: np.ndarray,
    recording: np.ndarray,
    known: np.ndarray | None = None,
    positive: np.ndarray | None = None,
    videos: tuple[str, ...] | None = None,
) -> splits.Timeline:
    """Recordings a, b, c... of a video each, if not told otherwise."""
    names = tuple("abcdefghijkl"[: int(recording.max(initial=0)) + 1])
    return splits.Timeline(
        times=times,
        recording=recording,
        known=np.ones(len(times), bool) if known is None else known,
        positive=np.zeros((len(times), 2), bool) if positive is None else positive,
        names=names,
        videos=names if videos is None else videos,
    )


def random(times: np.ndarray, recording: np.ndarray, known: np.ndarray, seed: int) -> splits.Split:
    (fold,) = splits.make_folds("random", timeline_of(times, recording, known), seed)
    return fold.split


def blocked(
    times: np.ndarray, recording: np.ndarray, known: np.ndarray, positive: np.ndarray, seed: int
) -> splits.Split:
    (fold,) = splits.make_folds("blocked", timeline_of(times, recording, known, positive), seed)
    return fold.split


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
            assert (apart[same] >= GAP - 1e-9).all()


def test_random_gives_the_papers_shares() -> None:
    known = np.ones(1000, bool)
    known[::10] = False
    split = random(*clips(400, 600), known, seed=1)
    check_exclusive(split, known)
    assert [len(part) for part in parts_of(split)] == [720, 90, 90]
    assert len(np.flatnonzero(np.diff(split.test) == 1)) < 30  # drawn clip by clip


def test_random_depends_on_the_seed_alone() -> None:
    known = np.ones(200, bool)
    first, again, other = (random(*clips(200), known, seed) for seed in (3, 3, 4))
    assert all((a == b).all() for a, b in zip(parts_of(first), parts_of(again), strict=True))
    assert not np.array_equal(first.test, other.test)


@pytest.mark.parametrize("count", [0, 1, 2])
def test_too_few_clips_for_a_random_split(count: int) -> None:
    with pytest.raises(InputError, match="too little is annotated"):
        random(*clips(10), np.arange(10) < count, seed=0)


@pytest.mark.parametrize("seed", range(20))
def test_clips_that_do_not_overlap_are_drawn_one_by_one(seed: int) -> None:
    """The first tenth of a permutation of the annotated clips validates, the second tests."""
    known = np.random.default_rng(seed).random(500) < 0.8
    split = random(*clips(200, 300), known, seed)
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
        blocked(times, recording, known, np.zeros((200, 2), bool), seed=0)


@pytest.mark.parametrize("seed", range(5))
def test_blocks_of_four_recordings(seed: int) -> None:
    times, recording = clips(800, 900, 700, 1000)  # 36 minutes: 72 blocks of 30 s
    draw = np.random.default_rng(seed)
    positive = draw.random((3400, 7)) < [0.5, 0.3, 0.2, 0.1, 0.05, 0.02, 0.01]
    known = np.ones(3400, bool)
    split = blocked(times, recording, known, positive, seed)
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
    split = blocked(times, recording, np.ones(938, bool), np.ones((938, 1), bool), seed=0)
    for part in (split.validation, split.test):
        stretches = np.split(part, np.flatnonzero(np.diff(part) > 1) + 1)
        lengths = [times[stretch[-1], 1] - times[stretch[0], 0] for stretch in stretches]
        assert len(lengths) <= 2
        # 30 s, or 60 s where two are neighbours; less at most a gap on both sides and the clips on the borders.
        assert min(lengths) > BLOCK - 2 * GAP - 4 * CLIP
        assert max(lengths) < 2 * BLOCK + 2 * CLIP


def test_short_recordings_have_shorter_blocks() -> None:
    times, recording = clips(144)  # 92 s: twelve blocks of 7.7 s
    split = blocked(times, recording, np.ones(144, bool), np.ones((144, 1), bool), seed=0)
    assert 5 < times[split.test[-1], 1] - times[split.test[0], 0] < 92.16 / 12 + 2 * CLIP


def test_a_class_in_one_block_is_learned_and_one_in_two_also_tested() -> None:
    times, recording = clips(600)
    positive = np.zeros((600, 3), bool)
    positive[:, 0] = True
    positive[100:104, 1] = True
    positive[[200, 201, 500, 501], 2] = True
    for seed in range(5):
        split = blocked(times, recording, np.ones(600, bool), positive, seed)
        present = [positive[part].any(axis=0).tolist() for part in parts_of(split)]
        assert present[0] == [True, True, True]
        assert present[2][2]


def test_blocked_depends_on_the_seed_alone() -> None:
    times, recording = clips(500)
    known, positive = np.ones(500, bool), np.ones((500, 2), bool)
    drawn = [blocked(times, recording, known, positive, seed) for seed in (3, 3, *range(4, 10))]
    assert all((a == b).all() for a, b in zip(parts_of(drawn[0]), parts_of(drawn[1]), strict=True))
    assert len({split.test.tobytes() for split in drawn}) > 3


def test_a_recording_annotated_up_to_a_time() -> None:
    times, recording = clips(400, 400)
    known = (recording == 0) | (times[:, 1] <= 60)
    positive = np.zeros((800, 1), bool)
    split = blocked(times, recording, known, positive, seed=0)
    check_exclusive(split, known)
    check_gaps(split, times, recording)


def test_clips_at_variable_rate() -> None:
    draw = np.random.default_rng(0)
    bounds = np.concatenate([[0.0], np.cumsum(draw.uniform(0.3, 2.5, 400))])
    times = np.column_stack([bounds[:-1], bounds[1:]])
    recording, known = np.zeros(400, np.intp), np.ones(400, bool)
    split = blocked(times, recording, known, draw.random((400, 2)) < 0.2, seed=0)
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
@settings(max_examples=40)
def test_blocked_on_anything(case: tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray], seed: int) -> None:
    times, recording, known, positive = case
    try:
        split = blocked(times, recording, known, positive, seed)
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
            split = random(times, recording, known, seed)
        else:
            split = blocked(times, recording, known, positive, seed)
            check_gaps(split, times, recording)
        check_exclusive(split, known)
        check_no_frame_shared(split, index)


@pytest.mark.parametrize("stride", STRIDES)
def test_overlapping_clips_are_drawn_together(stride: int) -> None:
    """As many drawn pieces as there are whole clips, and as much of them kept as the overlaps allow."""
    times, recording, _ = cut_recordings([25 * 16 * 40], 25, stride)
    split = random(times, recording, np.ones(len(times), bool), seed=0)
    pieces = np.split(split.test, np.flatnonzero(np.diff(split.test) > 1) + 1)
    assert {len(piece) % (16 // stride) for piece in pieces} == {0}
    assert len(split.test) / len(times) == pytest.approx(0.1, abs=0.002)
    assert len(split.training) / len(times) > 0.8 * 0.6
    assert len(split.validation) / len(times) > 0.1 * 0.6


@pytest.mark.parametrize("stride", STRIDES)
def test_blocks_last_as_long_whatever_the_stride(stride: int) -> None:
    times, recording, _ = cut_recordings([15000], 25, stride)  # ten minutes: 20 blocks of 30 s
    split = blocked(times, recording, np.ones(len(times), bool), np.ones((len(times), 1), bool), seed=0)
    for part in (split.validation, split.test):
        lengths = [
            times[stretch[-1], 1] - times[stretch[0], 0]
            for stretch in np.split(part, np.flatnonzero(np.diff(part) > 1) + 1)
        ]
        assert min(lengths) > BLOCK - 2 * GAP - 4 * CLIP
        assert max(lengths) < 2 * BLOCK + 2 * CLIP


@given(
    frames=st.lists(st.integers(16, 1200), min_size=1, max_size=3),
    rate=st.sampled_from([0.5, 1.0, 3.0, 7.5, 8.1, 12.0, 25.0, 29.97, 60.0]),
    stride=st.integers(1, 16),
    tail=st.sampled_from(["drop", "loop"]),
    seed=st.integers(0, 2**32 - 1),
)
@settings(max_examples=60)
def test_no_moment_is_in_two_parts_at_any_rate(
    frames: list[int], rate: float, stride: int, tail: str, seed: int
) -> None:
    """At 0.5 frames a second a clip lasts 32 s: longer than the gap, and than a block."""
    times, recording, index = cut_recordings(frames, rate, stride, tail)
    known = np.random.default_rng(seed).random(len(times)) < 0.9
    positive = np.random.default_rng(seed).random((len(times), 2)) < 0.3
    for divide in (
        lambda: random(times, recording, known, seed),
        lambda: blocked(times, recording, known, positive, seed),
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


def folds_of(name: str, timeline: splits.Timeline, seed: int = 0) -> list[splits.Split]:
    return [fold.split for fold in splits.make_folds(name, timeline, seed)]


def check_division(split: splits.Split, timeline: splits.Timeline, gap: float) -> None:
    """Nothing unknown, nothing twice, and clips of one video the gap apart, whichever its regions."""
    check_exclusive(split, timeline.known)
    part = np.full(len(timeline.times), -1)
    for number, index in enumerate(parts_of(split)):
        part[index] = number
    held = np.flatnonzero(part >= 0)
    video = np.array([timeline.videos[number] for number in timeline.recording])
    for one in held:
        others = held[(video[held] == video[one]) & (part[held] != part[one])]
        ahead, behind = (
            timeline.times[others, 0] - timeline.times[one, 1],
            timeline.times[one, 0] - timeline.times[others, 1],
        )
        assert (np.maximum(ahead, behind) >= gap - 1e-9).all()


GAPS = {
    "blocked": GAP,
    "random": 0,
    "paper-v1test": 0,
    "leave-out:a": 0,
    "leave-one-out": GAP,
    "cv:3": GAP,
    "cv:4": GAP,
}


@st.composite
def timelines(draw: st.DrawFn) -> splits.Timeline:
    """One to four recordings, some of one video, each annotated in given regions, clips overlapping or not."""
    count = draw(st.integers(1, 4))
    frames = {video: draw(st.integers(700, 2200)) for video in "vwx"}
    videos = tuple(draw(st.lists(st.sampled_from("vwx"), min_size=count, max_size=count)))
    times, recording, _ = cut_recordings([frames[video] for video in videos], 25, draw(st.sampled_from([8, 16])))
    known = np.zeros(len(times), bool)
    for number in range(count):
        mine = np.flatnonzero(recording == number)
        borders = sorted(draw(st.lists(st.integers(0, len(mine)), max_size=3)))
        for first, stop in pairwise([0, *borders, len(mine)]):
            known[mine[first:stop]] = draw(st.sampled_from([True, True, False]))
    positive = np.random.default_rng(draw(st.integers(0, 99))).random((len(times), 3)) < [0.4, 0.1, 0.01]
    return timeline_of(times, recording, known, positive, videos)


@given(timelines(), st.sampled_from(sorted(GAPS)), st.integers(0, 2**32 - 1))
@settings(max_examples=80)
def test_every_split_of_anything(timeline: splits.Timeline, name: str, seed: int) -> None:
    try:
        folds = splits.make_folds(name, timeline, seed)
    except InputError:
        return  # what must not be refused has tests of its own
    again = splits.make_folds(name, timeline, seed)
    assert [fold.name for fold in folds] == [fold.name for fold in again]
    assert len({fold.name for fold in folds}) == len(folds)
    for fold, same in zip(folds, again, strict=True):
        check_division(fold.split, timeline, GAPS[name])
        assert all((a == b).all() for a, b in zip(parts_of(fold.split), parts_of(same.split), strict=True))
    if name.startswith(("cv", "leave-one-out")):
        tested = np.concatenate([fold.split.test for fold in folds])
        assert np.sort(tested).tolist() == np.flatnonzero(timeline.known).tolist()


@given(timelines())
@settings(max_examples=60)
def test_blocks_of_anything(timeline: splits.Timeline) -> None:
    block = timeline.block
    assert ((block >= 0) == timeline.known).all()
    assert np.unique(block[timeline.known]).tolist() == list(range(block.max() + 1))
    instants = {}  # video -> moments of annotated time, 40 ms each -> block
    for (start, end), number, recording in zip(timeline.times, block, timeline.recording, strict=True):
        if number >= 0:
            of_video = instants.setdefault(timeline.videos[recording], {})
            for moment in range(round(start * 25), round(end * 25)):
                of_video.setdefault(moment, set()).add(number)
    annotated = sum(map(len, instants.values())) / 25
    length = min(max(annotated / 12, SHORTEST_BLOCK), BLOCK)
    for of_video in instants.values():
        in_order = [min(of_video[moment]) for moment in sorted(of_video)]
        assert in_order == sorted(in_order)
        lasting = np.unique(in_order, return_counts=True)[1] / 25
        if len(of_video) / 25 >= SHORTEST_BLOCK:
            assert lasting.min() >= SHORTEST_BLOCK - 2 * CLIP  # cut where clips start
        assert lasting.max() <= 2 * length + 2 * CLIP
        assert all(max(numbers) - min(numbers) <= 1 for numbers in of_video.values())


def test_regions_of_one_video_are_one_thing_in_every_split() -> None:
    """Two performers, annotated in different stretches of 80 s, and two other videos."""
    times, recording = clips(125, 125, 125, 125)
    known = (recording > 1) | (recording == 0) & (times[:, 0] < 50) | (recording == 1) & (times[:, 0] > 30)
    timeline = timeline_of(times, recording, known, videos=("v", "v", "w", "x"))
    for name in GAPS:
        for split in folds_of(name, timeline):
            check_division(split, timeline, GAPS[name])
    (left_out,) = folds_of("leave-out:b", timeline)
    assert left_out.test.tolist() == np.flatnonzero(known & (recording < 2)).tolist()
    folds = splits.make_folds("leave-one-out", timeline, seed=0)
    assert [fold.name for fold in folds] == ["leave-out:a+b", "leave-out:c", "leave-out:d"]
    assert [np.unique(recording[fold.split.test]).tolist() for fold in folds] == [[0, 1], [2], [3]]
    assert [np.unique(recording[fold.split.validation]).tolist() for fold in folds] == [[2], [3], [0, 1]]
    block = timeline.block
    both = (times[:125, 0] > 30) & (times[:125, 0] < 50)
    assert (block[:125][both] == block[125:250][both]).all()


def test_the_papers_test_clips_are_of_the_first_recording() -> None:
    times, recording = clips(900, 100, 300)
    timeline = splits.Timeline(
        times,
        recording,
        np.ones(1300, bool),
        np.zeros((1300, 1), bool),
        ("video-2", "video-1", "video-3"),
        ("w", "v", "x"),
    )
    (split,) = folds_of("paper-v1test", timeline)
    assert len(split.test) == 50  # a tenth of all would be 130, more than half of the first
    assert (recording[split.test] == 1).all()
    assert [len(split.validation), len(split.training)] == [125, 1125]
    assert np.unique(recording[split.validation]).tolist() == [0, 1, 2]
    (split,) = folds_of("paper-v1test", timeline_of(*clips(900, 400)))
    assert len(split.test) == 130


def test_leave_out_is_the_papers() -> None:
    times, recording = clips(200, 300, 400)
    known = recording * 1000 + np.arange(900) % 7 != 1003
    timeline = timeline_of(times, recording, known)
    (split,) = folds_of("leave-out:b", timeline)
    assert split.test.tolist() == np.flatnonzero(known & (recording == 1)).tolist()
    assert len(split.validation) == 60
    assert len(split.training) == 540
    assert np.unique(recording[split.validation]).tolist() == [0, 2]
    assert len(np.flatnonzero(np.diff(split.validation) == 1)) < 20  # drawn clip by clip
    assert not np.array_equal(split.validation, folds_of("leave-out:b", timeline, seed=1)[0].validation)


def test_leave_one_out_validates_on_a_whole_other_recording() -> None:
    times, recording = clips(100, 120, 140, 160)
    for number, split in enumerate(folds_of("leave-one-out", timeline_of(times, recording))):
        assert split.test.tolist() == np.flatnonzero(recording == number).tolist()
        assert split.validation.tolist() == np.flatnonzero(recording == (number + 1) % 4).tolist()
        assert len(split.training) == 520 - len(split.test) - len(split.validation)


def test_leave_one_out_of_two_validates_on_a_block() -> None:
    timeline = timeline_of(*clips(300, 300), positive=np.ones((600, 1), bool))
    first, second = folds_of("leave-one-out", timeline)
    for split, other in ((first, 1), (second, 0)):
        check_division(split, timeline, GAP)
        assert (timeline.recording[split.test] != other).all()
        assert (np.diff(split.validation) == 1).all()  # 192 s: one block of 16 s
        assert 300 * 0.8 < len(split.training) < 300 * 0.92
        assert 10 <= len(split.validation) <= 26


@pytest.mark.parametrize("folds", [3, 5, 10])
@pytest.mark.parametrize("seed", range(3))
def test_groups_are_even(folds: int, seed: int) -> None:
    """Ten minutes each, 40 blocks, of which some are rich in a class and most lack the last."""
    times, recording = clips(938, 938)
    draw = np.random.default_rng(seed)
    rates = draw.beta(0.5, 1.5, size=(40, 3))
    positive = draw.random((1876, 4)) < np.column_stack([rates, np.zeros(40)])[np.arange(1876) * 40 // 1876]
    positive[np.arange(0, 1876, 1876 // folds)[:folds], 3] = True  # once for each group
    split = folds_of(f"cv:{folds}", timeline_of(times, recording, positive=positive), seed)
    tested = [len(each.test) for each in split]
    assert max(tested) <= 1.4 * min(tested)
    for each, following in pairwise(split):
        assert set(each.validation) <= set(following.test)
    held = np.array([positive[each.test].sum(axis=0) for each in split])
    assert (held[:, :3] > 0).all()
    assert (held.std(axis=0)[:3] < 0.3 * held.mean(axis=0)[:3]).all()
    assert (held[:, 3] > 0).sum() >= folds - 1


def test_groups_differ_by_seed() -> None:
    timeline = timeline_of(*clips(500, 600))
    assert len({folds_of("cv:5", timeline, seed)[0].test.tobytes() for seed in range(6)}) > 3


@pytest.mark.parametrize("name", [*GAPS, "leave-out:b"])
def test_annotated_in_part(name: str) -> None:
    """One recording up to a minute, one in three regions of ten seconds, one not at all, one wholly."""
    times, recording = clips(300, 300, 300, 300)
    start = times[:, 0]
    regions = (start > 20) & (start < 30) | (start > 90) & (start < 100) | (start > 150) & (start < 160)
    known = (recording == 0) & (times[:, 1] < 60) | (recording == 1) & regions | (recording == 3)
    timeline = timeline_of(times, recording, known)
    for split in folds_of(name, timeline):
        check_division(split, timeline, GAPS.get(name, 0))
        assert sum(map(len, parts_of(split))) > 0.7 * known.sum()


def test_regions_are_cut_into_no_stumps() -> None:
    """Blocks last equally long in annotated time, wherever the regions are."""
    times, recording = clips(1000)
    known = (np.arange(1000) % 250 < 40) & (np.arange(1000) % 7 != 0)
    block = timeline_of(times, recording, known).block
    assert np.bincount(block[known]).tolist() == pytest.approx([known.sum() / 12] * 12, abs=1)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("blokced", "no split is called 'blokced': there are blocked, random,"),
        ("cv", "no split is called 'cv'.*cv:K"),
        ("leave-out", "no split is called 'leave-out'.*leave-out:RECORDING"),
        ("random:3", "no split is called 'random:3'"),
        ("leave-out:z", "'z'.*there are a, b$"),
        ("leave-out:c", "'c'.*there are a, b$"),  # known, but not annotated
        ("cv:x", "cv:x: the number of folds is 3 or more"),
        ("cv:2", "cv:2: the number of folds is 3 or more"),
        ("cv:-4", "cv:-4: the number of folds is 3 or more"),
        ("cv:", "the number of folds is 3 or more"),
        ("cv:99", "cv:99: there are only 12 blocks of annotated time: take fewer folds or annotate more"),
    ],
)
def test_a_split_that_there_is_not(name: str, message: str) -> None:
    times, recording = clips(200, 200, 200)
    with pytest.raises(InputError, match=message):
        splits.make_folds(name, timeline_of(times, recording, recording < 2), seed=0)


@pytest.mark.parametrize(
    ("name", "message"),
    [("leave-one-out", "only one video is annotated"), ("leave-out:a", "only the video of a is annotated")],
)
def test_one_video_alone_is_not_left_out(name: str, message: str) -> None:
    times, recording = clips(200, 200, 200)
    timeline = timeline_of(times, recording, recording < 2, videos=("v", "v", "w"))
    with pytest.raises(InputError, match=message):
        splits.make_folds(name, timeline, seed=0)


@pytest.mark.parametrize("name", [*GAPS])
def test_nothing_annotated(name: str) -> None:
    times, recording = clips(200, 200)
    timeline = timeline_of(times, recording, np.zeros(400, bool))
    with pytest.raises(InputError):
        splits.make_folds(name, timeline, seed=0)
    assert (timeline.block == -1).all()


def test_a_fold_that_would_lose_a_part_names_the_remedy() -> None:
    """Clips of 4 s: the gap takes all of a block between two others."""
    bounds = np.arange(0, 21, 4.0)
    times = np.column_stack([bounds[:-1], bounds[1:]])
    with pytest.raises(InputError, match=r"cv:4: too little is annotated.*, or take fewer folds"):
        splits.make_folds("cv:4", timeline_of(times, np.zeros(5, np.intp)), seed=0)


@given(
    st.lists(st.tuples(st.integers(0, 40), st.integers(1, 30), st.integers(0, 2), st.booleans()), max_size=12),
    st.integers(0, 5),
)
@settings(max_examples=60)
def test_near_is_near_however_long_the_clips(drawn: list[tuple[int, int, int, bool]], gap: int) -> None:
    """Every clip compared with every other, two regions of one video and another video."""
    starts, lasting, recording, chosen = np.array(drawn, int).reshape(-1, 4).T
    times = np.column_stack([starts, starts + lasting]).astype(float)
    timeline = timeline_of(times, recording, videos=("v", "v", "w"))
    expected = [
        any(
            other_chosen and (other == 2) == (mine == 2) and begin < start + length + gap and start < begin + long + gap
            for begin, long, other, other_chosen in drawn
        )
        for start, length, mine, _ in drawn
    ]
    assert near(timeline, chosen.astype(bool), gap).tolist() == expected


@pytest.mark.parametrize(("seconds", "blocks"), [(4, 1), (9.5, 1), (14, 2), (44, 8), (59, 11), (70, 12), (600, 20)])
def test_how_many_blocks(seconds: float, blocks: int) -> None:
    """At least 5 s each, twelve where there can be, 30 s at most."""
    times = np.arange(0, seconds, 0.5)[:, None] + [0, 0.5]
    assert timeline_of(times, np.zeros(len(times), np.intp)).blocks == blocks


def test_a_long_clip_is_annotated_time_whatever_lies_in_it() -> None:
    times = np.array([[0.0, 100.0], [50.0, 51.0], [90.0, 91.0]])
    timeline = timeline_of(times, np.array([0, 1, 1]), videos=("v", "v"))
    assert timeline.block.tolist() == [0, 1, 2]  # of twelve of 8.3 s


def test_no_group_is_left_empty() -> None:
    whole = np.array([[1, 0], [1, 0], [1, 0], [900, 5], [1000, 9]])
    for seed in range(5):
        assert np.unique(deal(whole, 4, seed)).tolist() == [0, 1, 2, 3]
        assert np.unique(deal(np.zeros_like(whole), 5, seed)).tolist() == [0, 1, 2, 3, 4]
