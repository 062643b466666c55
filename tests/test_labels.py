"""Labels of a recording's clips, as the store's spec says that frames make clips."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from small_store import SPEC

from heads.labels import Labels, label_clips
from store.matching import Matched
from store.vocabulary import Vocabulary

VOCABULARY = Vocabulary("two", ("nod", "freeze"), background="play")


class Recorded:
    """A recording of frames at 10 a second, as far as labelling looks at one."""

    id = "a"

    def __init__(self, frames: int) -> None:
        self.times = np.arange(frames) / 10
        self.attributes = {"frames_end": frames / 10}

    def read(self, array: str) -> np.ndarray:
        return {"frame_times": self.times}[array]


def labels(frames: int, matched: Matched, **spec: Any) -> Labels:
    return label_clips(Recorded(frames), replace(SPEC, **spec), matched, VOCABULARY)  # type: ignore[arg-type]


def matched(annotated: list[tuple[float, float]] | None = None, **gestures: list[tuple[float, float]]) -> Matched:
    return Matched({"nod": [], "freeze": []} | gestures, {}, annotated, {}, {})


@pytest.mark.parametrize(
    ("stride", "tail", "positive", "known"),
    [  # 40 frames; nod in 10 to 19, annotated up to frame 31
        (16, "drop", "00", "11"),
        (16, "loop", "000", "110"),
        (8, "drop", "0100", "1110"),
        (8, "loop", "0100", "1110"),  # nothing is left over
        (4, "drop", "0111000", "1111100"),
        (12, "drop", "010", "110"),
        (7, "drop", "0100", "1110"),
        (7, "loop", "01000", "11100"),
    ],
)
def test_stride_and_tail(stride, tail, positive, known):
    found = labels(40, matched([(0.0, 3.2)], nod=[(1.0, 2.0)]), stride=stride, tail=tail)
    assert found.known.tolist() == [mark == "1" for mark in known]
    assert found.positive[:, 0].tolist() == [mark == "1" for mark in positive]
    assert not found.positive[:, 1].any()
    assert found.frames.shape == (len(known), 16, 3)
    np.testing.assert_array_equal(found.frames[..., 2], ~found.frames[..., 0])  # the background


def test_a_looped_clip_counts_its_frames_as_often_as_it_shows_them():
    """20 frames: the last clip shows 16, 17, 18, 19 four times."""
    found = labels(20, matched(nod=[(1.8, 2.0)]), tail="loop")
    assert found.frames[1, :, 0].tolist() == [False, False, True, True] * 4
    assert found.positive[:, 0].tolist() == [False, True]


def test_hard_labels_are_made_once():
    found = labels(40, matched(nod=[(0.0, 1.0)]))
    assert found.positive is found.positive
