"""Labels of frames and clips, and Equation 6, against values worked out by hand."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from heads.targets import clip_labels, temporal_smoothing
from store.timeline import clip_times, frame_labels, frames_within, to_clips

WHOLE = 136  # 1 + 2 + ... + 16


def clip(*positive_frames: int, frames: int = 16) -> np.ndarray:
    """Return one clip of one class with these frames positive, counted from 1."""
    labels = np.zeros((1, frames, 1), bool)
    labels[0, [number - 1 for number in positive_frames], 0] = True
    return labels


@pytest.mark.parametrize(
    ("positive", "majority", "any_frame"),
    [(0, False, False), (1, False, True), (7, False, True), (8, True, True), (9, True, True), (16, True, True)],
)
def test_a_clip_is_positive_when_half_its_frames_are(positive: int, majority: bool, any_frame: bool) -> None:
    for frames in (range(1, positive + 1), range(17 - positive, 17)):
        assert clip_labels(clip(*frames)).tolist() == [[majority]]
        assert clip_labels(clip(*frames), "majority").tolist() == [[majority]]
        assert clip_labels(clip(*frames), "any").tolist() == [[any_frame]]


def test_clip_labels_by_class() -> None:
    labels = np.concatenate([clip(*range(1, 9)), clip(*range(1, 8))], axis=2)
    positive = clip_labels(labels)
    assert positive.dtype == bool
    assert positive.tolist() == [[True, False]]


def test_unknown_rule() -> None:
    with pytest.raises(ValueError, match="unknown clip rule 'most'"):
        clip_labels(clip(1), "most")


@pytest.mark.parametrize(
    ("frames", "numerator"),
    [
        ([], 0),
        ([1], 1),
        ([16], 16),
        ([1, 16], 17),
        (range(1, 9), 36),
        (range(9, 17), 100),
        (range(1, 17), 136),
        ([2, 3, 5, 7, 11, 13], 41),
    ],
)
def test_equation_6(frames: list[int], numerator: int) -> None:
    assert temporal_smoothing(clip(*frames))[0, 0] == pytest.approx(numerator / WHOLE, abs=1e-15)


def test_equation_6_of_a_short_clip() -> None:
    assert temporal_smoothing(clip(2, 4, frames=4))[0, 0] == pytest.approx(6 / 10)


@given(arrays.arrays(bool, st.tuples(st.integers(0, 5), st.integers(1, 16), st.integers(1, 4))))
def test_equation_6_literally(labels: np.ndarray) -> None:
    clips, frames, classes = labels.shape
    smoothed = temporal_smoothing(labels)
    assert smoothed.shape == (clips, classes)
    assert smoothed.dtype == np.float64
    for number in range(clips):
        for column in range(classes):
            above = below = 0
            for i in range(frames, 0, -1):
                above += i * int(labels[number, i - 1, column])
                below += i
            assert smoothed[number, column] == pytest.approx(above / below, abs=1e-12)


def labelled(frame_times: list[float], end: float, intervals: list[tuple[float, float]]) -> tuple[list, list]:
    frames = to_clips(frame_labels(np.array(frame_times), end, intervals)[:, None])
    return clip_labels(frames)[:, 0].tolist(), (temporal_smoothing(frames)[:, 0] * WHOLE).round(9).tolist()


QUARTERS = [number * 0.25 for number in range(48)]  # 4 frames a second: three clips of 4 s


@pytest.mark.parametrize(
    ("intervals", "hard", "smoothed"),
    [
        # On the border: frames 1 to 8 are [0, 2).
        ([(0.0, 2.0)], [True, False, False], [36, 0, 0]),
        # A little beyond it: frame 9 as well.
        ([(0.0, 2.001)], [True, False, False], [45, 0, 0]),
        # One frame less.
        ([(0.0, 1.75)], [False, False, False], [28, 0, 0]),
        # From inside frame 16 of the first clip to inside frame 1 of the second.
        ([(3.999, 4.001)], [False, False, False], [16, 1, 0]),
        # Touching borders only: frame 16 of the first, no more.
        ([(3.75, 4.0)], [False, False, False], [16, 0, 0]),
        # Two that overlap count once: frames 5 to 12, 5 + ... + 12 = 68.
        ([(1.0, 2.5), (2.0, 3.0)], [True, False, False], [68, 0, 0]),
        # A short one inside a single frame still makes it positive.
        ([(8.1, 8.11)], [False, False, False], [0, 0, 1]),
        # Across two clips: frames 9 to 16 (100) and 1 to 7 (28).
        ([(2.0, 5.75)], [True, False, False], [100, 28, 0]),
        # To the end and beyond.
        ([(10.0, 13.0)], [False, False, True], [0, 0, 100]),
    ],
)
def test_from_intervals_to_targets(intervals: list, hard: list, smoothed: list) -> None:
    assert labelled(QUARTERS, 12.0, intervals) == (hard, smoothed)


def test_from_intervals_to_targets_at_variable_rate() -> None:
    # Clip 1: eight frames of 0.1 s, then eight of 1 s (0.8 to 8.8). Clip 2: sixteen of 0.5 s, to 16.8.
    times = [number * 0.1 for number in range(8)] + [0.8 + number for number in range(8)]
    times += [8.8 + number * 0.5 for number in range(16)]
    assert clip_times(np.array(times), 16.8).round(9).tolist() == [[0.0, 8.8], [8.8, 16.8]]
    # 0.05 to 0.75 s: 8 of 16 frames, though less than a tenth of the time.
    assert labelled(times, 16.8, [(0.05, 0.75)]) == ([True, False], [36, 0])
    # 1.9 to 8.8 s: seven of 16 frames (10 to 16: 91), though nearly four fifths of the time.
    assert labelled(times, 16.8, [(1.9, 8.8)]) == ([False, False], [91, 0])
    # By index at the mean rate this would be elsewhere: 12.9 s is in frame 9 of clip 2 (12.8 to 13.3).
    assert labelled(times, 16.8, [(12.9, 13.0)]) == ([False, False], [0, 9])


def test_the_incomplete_tail_is_dropped() -> None:
    times = [number * 0.25 for number in range(31)]
    assert labelled(times, 7.75, [(0.0, 7.75)]) == ([True], [136])


def test_a_clip_is_known_when_all_of_it_was_annotated() -> None:
    within = frames_within(np.array(QUARTERS), 12.0, [(0.0, 4.0), (8.1, 12.0)])
    assert to_clips(within).all(axis=1).tolist() == [True, False, False]
    within = frames_within(np.array(QUARTERS), 12.0, [(4.0, 12.0)])
    assert to_clips(within).all(axis=1).tolist() == [False, True, True]
