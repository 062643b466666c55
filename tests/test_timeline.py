"""Labels of frames and clips, at borders, with overlaps and at variable rate, worked out by hand."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from store.timeline import clip_count, clip_times, frame_labels, frames_within, to_clips

# Five frames of half a second, 0 to 2.5 s: all borders are exact in binary.
EVEN, EVEN_END = np.array([0.0, 0.5, 1.0, 1.5, 2.0]), 2.5
# Frames that last 0.25, 1, 0.25, 2 and 0.5 s, from 1 to 5 s.
UNEVEN, UNEVEN_END = np.array([1.0, 1.25, 2.25, 2.5, 4.5]), 5.0


@pytest.mark.parametrize(
    ("intervals", "expected"),
    [
        ([], "....."),
        ([(0.5, 1.0)], ".x..."),  # exactly one frame: its neighbours are only touched
        ([(0.5, 1.001)], ".xx.."),
        ([(0.499, 1.0)], "xx..."),
        ([(0.7, 0.8)], ".x..."),  # inside one frame
        ([(0.9, 1.6)], ".xxx."),
        ([(0.0, 2.5)], "xxxxx"),
        ([(-3.0, 0.0)], "....."),  # ends as the picture begins
        ([(-3.0, 0.1)], "x...."),
        ([(2.5, 9.0)], "....."),  # begins as the picture ends
        ([(2.499, 9.0)], "....x"),
        ([(0.2, 0.3), (1.1, 1.2)], "x.x.."),
        ([(0.2, 0.9), (0.6, 1.1)], "xxx.."),  # two that overlap
        ([(0.1, 2.4), (0.6, 0.7)], "xxxxx"),  # one inside the other
        ([(0.6, 0.6)], "....."),  # no duration, inside a frame
        ([(0.5, 0.5)], "....."),  # no duration, on a border
    ],
)
def test_frame_labels_at_even_rate(intervals, expected):
    assert marks(frame_labels(EVEN, EVEN_END, intervals)) == expected


@pytest.mark.parametrize(
    ("intervals", "expected"),
    [
        ([(0.0, 1.0)], "....."),
        ([(0.0, 1.1)], "x...."),
        ([(1.25, 2.25)], ".x..."),
        ([(2.0, 2.3)], ".xx.."),
        ([(2.4, 2.6)], "..xx."),
        ([(3.0, 3.1)], "...x."),
        ([(4.9, 4.95)], "....x"),  # the last frame lasts until the end ...
        ([(5.0, 5.1)], "....."),  # ... and no longer
        ([(1.0, 1.1), (4.4, 4.6)], "x..xx"),
    ],
)
def test_frame_labels_at_variable_rate(intervals, expected):
    assert marks(frame_labels(UNEVEN, UNEVEN_END, intervals)) == expected


@pytest.mark.parametrize(
    ("stretches", "expected"),
    [
        (None, "xxxxx"),
        ([], "....."),
        ([(1.0, 5.0)], "xxxxx"),
        ([(1.0, 2.25)], "xx..."),
        ([(1.0, 2.24)], "x...."),  # the second frame is not wholly inside
        ([(1.01, 2.5)], ".xx.."),
        ([(0.0, 1.25), (2.5, 9.0)], "x..xx"),
    ],
)
def test_frames_within(stretches, expected):
    assert marks(frames_within(UNEVEN, UNEVEN_END, stretches)) == expected


timelines = st.lists(st.integers(1, 40), min_size=1, max_size=60).map(np.cumsum)
spans = st.lists(st.tuples(st.integers(-10, 900), st.integers(0, 120)), max_size=8)


@given(timelines, spans)
def test_frame_labels_agree_with_the_definition(bounds, given_spans):
    """Frame by frame and annotation by annotation, on whole numbers: the shared part has a length."""
    intervals = [(begin, begin + length) for begin, length in given_spans]
    bounds = [0, *bounds.tolist()]
    naive = [
        any(min(stop, bounds[i + 1]) - max(begin, bounds[i]) > 0 for begin, stop in intervals)
        for i in range(len(bounds) - 1)
    ]
    seconds = [(begin / 8, stop / 8) for begin, stop in intervals]  # eighths are exact
    assert frame_labels(np.array(bounds[:-1]) / 8, bounds[-1] / 8, seconds).tolist() == naive


@given(timelines, spans)
def test_frames_within_agree_with_the_definition(bounds, given_spans):
    stretches = [(begin, begin + length) for begin, length in given_spans]
    bounds = [0, *bounds.tolist()]
    naive = [
        any(begin <= bounds[i] and bounds[i + 1] <= stop for begin, stop in stretches) for i in range(len(bounds) - 1)
    ]
    seconds = [(begin / 8, stop / 8) for begin, stop in stretches]
    assert frames_within(np.array(bounds[:-1]) / 8, bounds[-1] / 8, seconds).tolist() == naive


def test_clip_times():
    # 35 frames at 30 a second: two clips; the tail of three frames is dropped.
    times = clip_times(np.arange(35) / 30, 35 / 30)
    assert times.tolist() == [[0.0, 16 / 30], [16 / 30, 32 / 30]]


def test_clip_times_follow_the_frames():
    assert clip_times(UNEVEN, UNEVEN_END, length=2).tolist() == [[1.0, 2.25], [2.25, 4.5]]
    # The last frame's end is the last clip's, too.
    assert clip_times(UNEVEN[:4], 4.5, length=2).tolist() == [[1.0, 2.25], [2.25, 4.5]]
    assert clip_times(UNEVEN, UNEVEN_END, length=5).tolist() == [[1.0, 5.0]]


@pytest.mark.parametrize(("frames", "clips"), [(0, 0), (15, 0), (16, 1), (31, 1), (32, 2), (2936, 183)])
def test_clip_count(frames, clips):
    assert clip_count(frames) == clips
    assert clip_times(np.arange(frames) / 25, frames / 25).shape == (clips, 2)


def test_to_clips():
    assert to_clips(np.arange(7), length=3).tolist() == [[0, 1, 2], [3, 4, 5]]
    assert to_clips(np.zeros((40, 5))).shape == (2, 16, 5)
    assert to_clips(np.zeros((15, 5))).shape == (0, 16, 5)


def marks(labels: np.ndarray) -> str:
    assert labels.dtype == bool
    return "".join("x" if label else "." for label in labels)
