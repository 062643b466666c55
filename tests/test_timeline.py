"""Labels of frames and clips, at borders, with overlaps and at variable rate, worked out by hand."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from store.timeline import clip_count, clip_frames, clip_times, cut, frame_labels, frames_within, to_clips

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
    assert clip_times(UNEVEN, UNEVEN_END, 2, 2).tolist() == [[1.0, 2.25], [2.25, 4.5]]
    # The last frame's end is the last clip's, too.
    assert clip_times(UNEVEN[:4], 4.5, 2, 2).tolist() == [[1.0, 2.25], [2.25, 4.5]]
    assert clip_times(UNEVEN, UNEVEN_END, 5, 5).tolist() == [[1.0, 5.0]]


@pytest.mark.parametrize(("frames", "clips"), [(0, 0), (15, 0), (16, 1), (31, 1), (32, 2), (2936, 183)])
def test_clip_count(frames, clips):
    assert clip_count(frames) == clips
    assert clip_times(np.arange(frames) / 25, frames / 25).shape == (clips, 2)


def test_to_clips():
    assert to_clips(np.arange(7), length=3, stride=3).tolist() == [[0, 1, 2], [3, 4, 5]]
    assert to_clips(np.zeros((40, 5))).shape == (2, 16, 5)
    assert to_clips(np.zeros((15, 5))).shape == (0, 16, 5)


def test_overlapping_clips_by_hand():
    assert clip_frames(7, length=4, stride=2).tolist() == [[0, 1, 2, 3], [2, 3, 4, 5]]
    assert clip_times(UNEVEN, UNEVEN_END, length=3, stride=1).tolist() == [[1.0, 2.5], [1.25, 4.5], [2.25, 5.0]]
    assert clip_count(100, stride=1) == 85


@pytest.mark.parametrize(
    ("frames", "stride", "last"),
    [
        (7, 4, [4, 5, 6, 4]),
        (5, 4, [4, 4, 4, 4]),
        (8, 4, [4, 5, 6, 7]),  # nothing is left over
        (7, 2, [4, 5, 6, 4]),  # the clip from 2 ends at 5
        (6, 2, [2, 3, 4, 5]),  # nothing is left over
        (3, 2, [0, 1, 2, 0]),  # shorter than a clip
        (1, 1, [0, 0, 0, 0]),
    ],
)
def test_loop_fills_the_last_clip_with_its_own_frames(frames, stride, last):
    assert clip_frames(frames, length=4, stride=stride, tail="loop")[-1].tolist() == last


def test_a_looped_clip_ends_with_the_last_real_frame():
    assert clip_times(UNEVEN, UNEVEN_END, 4, 4, "loop").tolist() == [[1.0, 4.5], [4.5, 5.0]]
    assert clip_times(UNEVEN, UNEVEN_END, 16, 16, "loop").tolist() == [[1.0, 5.0]]
    assert clip_times(np.empty(0), 0.0, 16, 16, "loop").shape == (0, 2)


@given(st.integers(0, 120), st.integers(1, 20), st.data())
def test_clips_are_what_they_are_said_to_be(frames, length, data):
    """Against the rule in words, clip by clip."""
    stride = data.draw(st.integers(1, length))
    whole = [list(range(first, first + length)) for first in range(0, frames - length + 1, stride)]
    assert clip_frames(frames, length, stride).tolist() == whole
    covered = {frame for clip in whole for frame in clip}
    looped = clip_frames(frames, length, stride, "loop").tolist()
    if len(covered) == frames:
        assert looped == whole
    else:
        *before, last = looped
        assert before == whole
        own = list(range(len(whole) * stride, frames))
        assert set(range(frames)) - covered <= set(own)  # so no frame is lost
        assert last == (own * length)[:length]


@given(st.lists(st.integers(1, 40), max_size=120), st.integers(1, 20), st.sampled_from(["drop", "loop"]), st.data())
def test_all_ways_to_clips_agree(steps, length, tail, data):
    """Indices, times, arrays, counts and the stream of one recording of any frame times."""
    stride = data.draw(st.integers(1, length))
    rule = (length, stride, tail)
    bounds = np.concatenate([[0], np.cumsum(steps)]) / 8
    starts, end = bounds[:-1], float(bounds[-1])
    index = clip_frames(len(starts), *rule)
    assert index.shape == (clip_count(len(starts), *rule), length)
    assert index.dtype == np.intp
    np.testing.assert_array_equal(to_clips(starts, *rule), starts[index])
    assert list(cut(iter(starts.tolist()), *rule)) == starts[index].tolist()
    ends = bounds[1:]
    times = clip_times(starts, end, *rule)
    assert times.tolist() == [[starts[clip].min(), ends[clip].max()] for clip in index]
    assert (np.diff(times[:, 0]) > 0).all()
    if stride == length:
        np.testing.assert_array_equal(times[1:, 0], times[:-1, 1])


def test_cut_takes_no_more_frames_than_it_needs():
    frames = iter(range(100))
    clips = cut(frames, 16, 4)
    assert next(clips) == list(range(16))
    assert next(frames) == 16
    assert next(clips) == [*range(4, 16), *range(17, 21)]


@pytest.mark.parametrize("stride", [0, -1, 17])
@pytest.mark.parametrize("action", [clip_count, clip_frames, lambda *rule: next(cut(iter([]), *rule[1:]))])
def test_a_stride_that_makes_no_sense_is_a_mistake_of_the_caller(action, stride):
    with pytest.raises(ValueError, match=f"from 1 to 16 frames, not {stride}"):
        action(40, 16, stride)


def test_an_unknown_tail_is_a_mistake_of_the_caller():
    with pytest.raises(ValueError, match="drop, loop"):
        clip_count(40, tail="pad")


def marks(labels: np.ndarray) -> str:
    assert labels.dtype == bool
    return "".join("x" if label else "." for label in labels)
