"""From probabilities to presence: against a literal transcription of the four steps, clip by clip."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from heads.neighbours import in_order
from heads.postprocessing import PostProcessing, decide, smooth

CLIP = 0.64


def after_each_other(count: int, start: float = 0.0) -> np.ndarray:
    begin = start + CLIP * np.arange(count)
    return np.column_stack([begin, begin + CLIP])


def literally(probability, pieces, upper, lower, gap, shortest) -> list[bool]:
    """Decide as the documentation says, with lists and loops; pieces are (first, stop) of the stretches."""
    found: list[bool] = []
    for first, stop in pieces:
        mine = [probability[at] >= upper for at in range(first, stop)]
        changed = True
        while changed:  # grow to both sides
            changed = False
            for at in range(len(mine)):
                near = (at > 0 and mine[at - 1]) or (at + 1 < len(mine) and mine[at + 1])
                if not mine[at] and near and probability[first + at] >= lower:
                    mine[at] = changed = True
        for value, least in ((False, gap), (True, shortest)):
            before = list(mine)
            at = 0
            while at < len(before):
                end = at
                while end < len(before) and before[end] == before[at]:
                    end += 1
                brief = (end - at) * CLIP < least - 1e-6
                inner = value or (at > 0 and end < len(before))
                if before[at] == value and brief and inner:
                    mine[at:end] = [not value] * (end - at)
                at = end
        found += mine
    return found


LEVELS = st.sampled_from([0.0, 0.1, 0.3, 0.5, 0.7, 0.9, 1.0])


@given(
    st.lists(st.lists(LEVELS, min_size=1, max_size=12), min_size=1, max_size=4),
    LEVELS,
    LEVELS,
    st.sampled_from([0.0, 0.64, 0.7, 1.28, 2.0]),
    st.sampled_from([0.0, 0.64, 0.7, 1.28, 2.0]),
    st.randoms(use_true_random=False),
)
@settings(max_examples=300)
def test_decides_as_it_says_in_any_order(stretches, one, other, gap, shortest, random) -> None:
    upper, lower = max(one, other), min(one, other)
    probability = np.concatenate(stretches)
    times = np.concatenate([after_each_other(len(each), 100.0 * number) for number, each in enumerate(stretches)])
    stops = np.cumsum([len(each) for each in stretches]).tolist()
    expected = literally(probability, list(zip([0, *stops[:-1]], stops, strict=True)), upper, lower, gap, shortest)
    shuffled = np.array(random.sample(range(len(times)), len(times)))
    share = lower / upper if upper else 1.0
    processing = PostProcessing(*np.array([[upper], [share], [0.0], [gap], [shortest]]))
    found = processing.present(probability[shuffled, None], times[shuffled])[:, 0]
    if upper * share == lower:  # a share of a threshold rounds
        assert found.tolist() == np.array(expected)[shuffled].tolist()
    clips = in_order(times)
    assert decide(probability, clips, (upper, lower), gap=gap, shortest=shortest).tolist() == expected


def test_recordings_are_apart() -> None:
    times = np.tile(after_each_other(3), (2, 1))
    probability = np.array([0.1, 0.1, 0.9, 0.6, 0.1, 0.9])[:, None]
    processing = PostProcessing(*np.array([[0.8], [0.5], [0.0], [0.7], [0.0]]))
    found = processing.present(probability, times, np.array([0, 0, 0, 1, 1, 1]))
    assert found[:, 0].tolist() == [False, False, True, False, False, True]


def test_smoothing_is_a_normalised_gaussian_within_a_stretch() -> None:
    clips = in_order(np.concatenate([after_each_other(41), after_each_other(5, 60.0)]))
    pulse = np.zeros(46)
    pulse[20] = 1.0
    smoothed = smooth(pulse, clips, 1.28)  # two clips
    expected = np.exp(-0.5 * (np.arange(-8, 9) / 2) ** 2)
    np.testing.assert_allclose(smoothed[12:29], expected / expected.sum(), atol=1e-12)
    assert smoothed.sum() == pytest.approx(1)
    edge = np.zeros(46)
    edge[40] = 1.0
    assert not smooth(edge, clips, 1.28)[41:].any()
    np.testing.assert_allclose(smooth(np.full(46, 0.3), clips, 3.0), 0.3)


def test_overlapping_clips_answer_for_their_middle() -> None:
    begin = 0.16 * np.arange(6)  # a stride of a quarter
    clips = in_order(np.column_stack([begin, begin + CLIP]))
    np.testing.assert_allclose(clips.end - clips.begin, [0.4, *[0.16] * 4, 0.4])
    present = decide(np.array([0, 0, 1, 1, 0, 0.0]), clips, (0.5, 0.5), shortest=0.33)
    assert not present.any()
    assert decide(np.array([0, 0, 1, 1, 0, 0.0]), clips, (0.5, 0.5), shortest=0.32).sum() == 2


def test_plain_thresholds_tell_each_clip_by_itself() -> None:
    probability = np.random.default_rng(0).random((20, 3))
    thresholds = np.array([0.2, 0.5, 0.9])
    processing = PostProcessing.plain(thresholds)
    assert processing.is_plain
    times = after_each_other(20)
    assert np.array_equal(processing.present(probability, times), probability >= thresholds)
    changed = processing.with_thresholds({1: 0.1})
    assert changed.thresholds.tolist() == [0.2, 0.1, 0.9]
    assert processing.thresholds.tolist() == [0.2, 0.5, 0.9]


@pytest.mark.parametrize("clips", [0, 1])
def test_hardly_any_clips(clips: int) -> None:
    processing = PostProcessing(*np.array([[0.5], [0.5], [0.5], [1.0], [1.0]]))
    assert processing.present(np.ones((clips, 1)), after_each_other(clips)).shape == (clips, 1)


def test_a_description_in_words_and_back() -> None:
    processing = PostProcessing(*np.random.default_rng(1).random((5, 2)))
    again = PostProcessing.from_dict(processing.thresholds, processing.to_dict(["a", "b"]), ["a", "b"])
    for name in ("thresholds", "continues", "smoothing", "gap", "shortest"):
        assert np.array_equal(getattr(again, name), getattr(processing, name))
