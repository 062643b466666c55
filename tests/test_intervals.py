"""From clips to intervals."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from heads.intervals import clips_to_intervals
from heads.targets import clip_labels
from store.timeline import clip_times, frame_labels, to_clips

TIMES = np.array([[0.0, 0.6], [0.6, 1.3], [1.3, 1.9], [1.9, 2.5]])


def test_by_hand() -> None:
    present = np.array([[1, 0, 1], [1, 0, 1], [0, 1, 1], [1, 0, 1]], bool)
    probability = np.array([[0.9, 0.1, 0.5], [0.7, 0.2, 0.5], [0.1, 0.6, 0.5], [0.5, 0.3, 0.5]])
    found = clips_to_intervals(probability, present, TIMES, ["nod", "freeze"])  # the third is the background
    assert [(each.begin, each.end) for each in found] == [
        # Its height is 0.8; between the middles 0.95, 0.7, and 1.6, 0.1, half of that is reached at half of the way.
        (0.0, pytest.approx(1.3)),
        (pytest.approx(1.6 + 0.15 / 0.4 * 0.6), 2.5),  # 0.25 between 0.1 and 0.5
        (pytest.approx(0.95 + 0.1 / 0.4 * 2 * 0.35), pytest.approx(2.2)),  # 0.3 between 0.2, 0.6 and 0.3
    ]
    assert [(each.tier, each.value) for each in found] == [
        ("nod [chironomy]", "nod"),
        ("nod [chironomy]", "nod"),
        ("freeze [chironomy]", "freeze"),
    ]
    assert [each.confidence for each in found] == pytest.approx([0.8, 0.5, 0.6])


def test_overlapping_clips_meet_halfway() -> None:
    """At stride 4 of 16 frames: the clip from 4 to 20 answers for 10 to 14."""
    times = np.array([[0, 16], [4, 20], [8, 24], [12, 28], [16, 32]]) / 25
    for present, borders in (
        ("01100", [(10, 18)]),
        ("11000", [(0, 14)]),
        ("00011", [(18, 32)]),
        ("10101", [(0, 10), (14, 18), (22, 32)]),
    ):
        column = np.array([[mark == "1"] for mark in present])
        found = clips_to_intervals(np.ones((5, 1)), column, times, ["nod"])
        assert [(each.begin, each.end) for each in found] == [
            (pytest.approx(begin / 25), pytest.approx(end / 25)) for begin, end in borders
        ]


@pytest.mark.parametrize("stride", [1, 4, 8, 16])
def test_clips_of_true_labels_give_back_the_borders(stride: int) -> None:
    """A long gesture comes back with both ends at most half a stride off."""
    draw = np.random.default_rng(stride)
    frame_times = np.arange(400) / 25
    times = clip_times(frame_times, 16.0, 16, stride)
    for begin, end in draw.uniform([2, 8], [6, 14], (20, 2)).tolist():
        labels = frame_labels(frame_times, 16.0, [(begin, end)])[:, None]
        present = clip_labels(to_clips(labels, 16, stride))
        (found,) = clips_to_intervals(present.astype(float), present, times, ["nod"])
        # One frame more: any overlap counts for a frame, and half of them for a clip.
        assert abs(found.begin - begin) <= (stride / 2 + 1) / 25 + 1e-9
        assert abs(found.end - end) <= (stride / 2 + 1) / 25 + 1e-9


@pytest.mark.parametrize("clips", [0, 4])
def test_nothing_present(clips: int) -> None:
    assert clips_to_intervals(np.zeros((clips, 1)), np.zeros((clips, 1), bool), TIMES[:clips], ["nod"]) == []


@given(arrays.arrays(bool, st.tuples(st.integers(0, 30), st.integers(1, 4))), st.integers(0, 99))
def test_the_intervals_are_the_present_clips(present: np.ndarray, seed: int) -> None:
    """Where probabilities are 0 or 1."""
    random = np.random.default_rng(seed)
    bounds = np.concatenate([[0.3], 0.3 + np.cumsum(random.uniform(0.1, 2, len(present)))])
    times = np.column_stack([bounds[:-1], bounds[1:]])
    probability = present.astype(float)
    classes = [f"class {number}" for number in range(present.shape[1])]
    found = clips_to_intervals(probability, present, times, classes)
    for column, name in enumerate(classes):
        mine = [each for each in found if each.value == name]
        middles = times.mean(axis=1)
        covered = [any(each.begin < middle < each.end for each in mine) for middle in middles]
        assert covered == present[:, column].tolist()
        assert all(one.end < other.begin for one, other in pairwise(mine))  # joined where they touch
        assert sum(each.end - each.begin for each in mine) == pytest.approx(
            (times[:, 1] - times[:, 0])[present[:, column]].sum()
        )
        assert all(each.confidence == 1 for each in mine)


@given(arrays.arrays(np.float64, st.tuples(st.integers(0, 30), st.just(1)), elements=st.floats(0, 1)), st.floats(0, 1))
def test_borders_move_outwards_by_half_a_clip_at_most_and_never_over_each_other(probability, threshold) -> None:
    times = 0.64 * np.column_stack([np.arange(len(probability)), np.arange(1, len(probability) + 1)])
    present = probability >= threshold
    found = clips_to_intervals(probability, present, times, ["nod"])
    by_clips = clips_to_intervals(present.astype(float), present, times, ["nod"])
    assert len(found) <= len(by_clips)
    joined = 0
    for fine in found:
        mine = [each for each in by_clips if each.begin < fine.end and each.end > fine.begin]
        joined += len(mine)
        assert mine[0].begin - 0.32 - 1e-9 <= fine.begin <= fine.end <= mine[-1].end + 0.32 + 1e-9
        assert all(other.begin - one.end < 0.64 + 1e-9 for one, other in pairwise(mine))  # a single clip
    assert joined == len(by_clips)
    assert all(one.end < other.begin for one, other in pairwise(found))


def test_two_events_with_no_gap_between_them_are_one() -> None:
    times = 0.64 * np.column_stack([np.arange(7), np.arange(1, 8)])
    said = np.array([[0.0, 0.9, 0.9, 0.5, 0.8, 0.9, 0.0]]).T
    (found,) = clips_to_intervals(said, said >= 0.6, times, ["nod"])  # 0.5 is more than half of what both reach
    assert (found.begin, found.end) == pytest.approx((0.64, 3.84), abs=0.1)
    assert found.confidence == pytest.approx(said[1:6].mean())
    apart = clips_to_intervals(np.where(said == 0.5, 0.3, said), said >= 0.6, times, ["nod"])
    assert len(apart) == 2
    assert apart[0].end < apart[1].begin


@pytest.mark.parametrize("stride", [4, 8, 16])
def test_shares_of_presence_give_back_the_borders(stride: int) -> None:
    """Probabilities that are the share of a clip's frames: borders are far finer than half a clip."""
    draw = np.random.default_rng(stride)
    frame_times = np.arange(400) / 25
    times = clip_times(frame_times, 16.0, 16, stride)
    errors, by_clips = [], []
    for begin, end in draw.uniform([2, 8], [6, 14], (60, 2)).tolist():
        labels = to_clips(frame_labels(frame_times, 16.0, [(begin, end)])[:, None], 16, stride)
        present, share = clip_labels(labels), labels.mean(axis=1)
        (fine,) = clips_to_intervals(share, present, times, ["nod"])
        (coarse,) = clips_to_intervals(present.astype(float), present, times, ["nod"])
        errors += [abs(fine.begin - begin), abs(fine.end - end)]
        by_clips += [abs(coarse.begin - begin), abs(coarse.end - end)]
    assert np.median(errors) < 0.05
    if stride == 16:
        assert np.median(errors) < 0.6 * np.median(by_clips)
