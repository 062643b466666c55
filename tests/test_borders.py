"""How far borders are off: a case reckoned by hand, and what labelling writes."""

from dataclasses import replace

import numpy as np
import pytest

from search.borders import border_errors
from search.evaluation import Scored

CLIP, FRAMES = 0.64, 16


def scored(events: list[tuple[int, int]], probability: list[float], threshold: float = 0.5) -> Scored:
    """Return clips of one class; events in frames."""
    clips = len(probability)
    frames = np.zeros((clips * FRAMES, 1), bool)
    for begin, end in events:
        frames[begin:end] = True
    said = np.array(probability)[:, None]
    start = CLIP * np.arange(clips)
    return Scored(
        true=frames.reshape(clips, FRAMES, 1).mean(axis=1) >= 0.5,
        frames=frames.reshape(clips, FRAMES, 1),
        probability=said,
        present=said >= threshold,
        probe_probability=said,
        probe=said >= threshold,
        frequency=np.full((clips, 1), 0.5),
        times=np.column_stack([start, start + CLIP]),
        recording=np.zeros(clips, np.intp),
        block=np.zeros(clips, np.intp),
    )


def test_by_hand() -> None:
    # From frame 28 to 80: 1.12 s to 3.2 s. The second clip shows it in a quarter of its frames.
    case = scored([(28, 80)], [0.0, 0.25, 1.0, 1.0, 1.0, 0.0])
    found = border_errors(case)
    assert found["borders"] == 2
    # Half is reached a third of the way from 0.96 to 1.6, stretched so that half of the way is at the clips' border.
    crossing = 0.96 + 2 / 3 * 0.32
    assert found["begin"] == pytest.approx(crossing - 1.12)
    assert found["end"] == pytest.approx(0)
    assert found["median_of_clips"] == pytest.approx((1.28 - 1.12) / 2)
    assert found["median"] == pytest.approx(abs(crossing - 1.12) / 2)


def test_borders_of_what_is_scored_are_none() -> None:
    found = border_errors(scored([(0, 48)], [1.0, 1.0, 1.0, 0.0]))
    assert found["borders"] == 1
    both = replace(scored([(0, 64)], [1.0] * 4), recording=np.array([0, 0, 1, 1]))
    assert border_errors(both)["median"] is None
    assert border_errors(scored([], [0.0] * 4))["borders"] == 0
