"""From clips to intervals."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from heads.intervals import clips_to_intervals

TIMES = np.array([[0.0, 0.6], [0.6, 1.3], [1.3, 1.9], [1.9, 2.5]])


def test_by_hand() -> None:
    present = np.array([[1, 0, 1], [1, 0, 1], [0, 1, 1], [1, 0, 1]], bool)
    probability = np.array([[0.9, 0.1, 0.5], [0.7, 0.2, 0.5], [0.1, 0.6, 0.5], [0.5, 0.3, 0.5]])
    found = clips_to_intervals(probability, present, TIMES, ["nod", "freeze"])  # the third is the background
    assert [(each.begin, each.end, each.tier, each.value) for each in found] == [
        (0.0, 1.3, "nod [chironomy]", "nod"),
        (1.9, 2.5, "nod [chironomy]", "nod"),
        (1.3, 1.9, "freeze [chironomy]", "freeze"),
    ]
    assert [each.confidence for each in found] == pytest.approx([0.8, 0.5, 0.6])


@pytest.mark.parametrize("clips", [0, 4])
def test_nothing_present(clips: int) -> None:
    assert clips_to_intervals(np.zeros((clips, 1)), np.zeros((clips, 1), bool), TIMES[:clips], ["nod"]) == []


@given(arrays.arrays(bool, st.tuples(st.integers(0, 30), st.integers(1, 4))), st.integers(0, 99))
@settings(deadline=None)
def test_the_intervals_are_the_present_clips(present: np.ndarray, seed: int) -> None:
    random = np.random.default_rng(seed)
    bounds = np.concatenate([[0.3], 0.3 + np.cumsum(random.uniform(0.1, 2, len(present)))])
    times = np.column_stack([bounds[:-1], bounds[1:]])
    probability = random.random(present.shape)
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
        assert all(0 <= each.confidence <= 1 for each in mine)
