"""Sampling at a regular rate, compared with a search through all frames."""

from fractions import Fraction
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from test_video import greys, numbers, write

from extract.sampling import check_rate, resample
from extract.video import frames
from store.errors import InputError
from store.timeline import clip_times


def timed(bounds: list[Fraction]) -> list[tuple[Fraction, Fraction, int]]:
    return [(begin, end, number) for number, (begin, end) in enumerate(pairwise(bounds))]


def searched(bounds: list[Fraction], rate: Fraction) -> list[int]:
    """The rule in words: of all frames that begin less than half a step later, the nearest; else the earlier."""
    half = 1 / rate / 2
    found = []
    while not found or bounds[0] + len(found) / rate + half <= bounds[-1]:
        moment = bounds[0] + len(found) / rate
        allowed = [number for number, begin in enumerate(bounds[:-1]) if begin - moment < half]
        found.append(min(allowed, key=lambda number: (abs(bounds[number] - moment), number)))
    return found


rates = st.sampled_from([Fraction(1), Fraction(25), Fraction(30000, 1001), Fraction("12.5"), Fraction(240)])


@given(st.lists(st.integers(1, 400), min_size=1, max_size=40), st.integers(-1000, 1000), rates)
def test_any_frames_agree_with_a_search(steps, start, rate):
    """Frames of any milliseconds, some much longer than the step and some much shorter."""
    bounds = [Fraction(int(ms), 1000) for ms in start + np.cumsum([0, *steps])]
    found = list(resample(iter(timed(bounds)), rate))
    assert [number for _, _, number in found] == searched(bounds, rate)
    assert [begin for begin, _, _ in found] == [bounds[0] + k / rate for k in range(len(found))]
    assert [end for _, end, _ in found[:-1]] == [begin for begin, _, _ in found[1:]]
    assert found[-1][1] == min(found[-1][0] + 1 / rate, bounds[-1])
    assert abs(found[-1][1] - bounds[-1]) <= 1 / rate / 2 or len(found) == 1


@given(st.lists(st.integers(20, 40), min_size=1, max_size=40), st.sampled_from([10, 20, 25]))
def test_where_frames_are_no_longer_than_the_step_the_nearest_is_taken(steps, rate):
    """Without any exception: as in thinning out 30 or 50 frames a second to 25."""
    bounds = [Fraction(int(ms), 1000) for ms in np.cumsum([0, *steps])]
    for begin, _, number in resample(timed(bounds), Fraction(rate)):
        assert number == int(np.argmin([abs(each - begin) for each in bounds[:-1]]))


def test_by_hand():
    fifty = timed([Fraction(k, 50) for k in range(9)])  # 0.16 s
    assert [n for *_, n in resample(fifty, Fraction(25))] == [0, 2, 4, 6]
    assert [n for *_, n in resample(fifty, Fraction(100))] == [0, 0, 1, 1, 2, 2, 3, 3, 4, 4, 5, 5, 6, 6, 7, 7]
    thirty = timed([Fraction(k, 30) for k in range(7)])  # 0.2 s
    assert [n for *_, n in resample(thirty, Fraction(25))] == [0, 1, 2, 4, 5]


def test_what_comes_after_a_pause_is_not_shown_early():
    """Frames at 0, 10 and 10.04 s: for ten seconds the picture stands still."""
    found = list(resample(timed([Fraction(0), Fraction(10), Fraction("10.04"), Fraction("10.08")]), Fraction(25)))
    assert [float(begin) for begin, _, number in found if number == 1] == [10.0]
    assert [number for *_, number in found] == [0] * 250 + [1, 2]


def test_nothing_gives_nothing():
    assert list(resample([], Fraction(25))) == []


def test_frames_are_taken_as_they_are_needed():
    taken = []
    source = (taken.append(0) or each for each in timed([Fraction(k, 25) for k in range(1001)]))
    found = resample(source, Fraction(25))
    for _ in range(10):
        next(found)
    assert len(taken) == 11


@pytest.mark.parametrize("rate", [0, -25, float("nan"), float("inf"), -float("inf"), 1000.5])
def test_a_rate_that_makes_no_sense_is_refused(tmp_path, rate):
    with pytest.raises(InputError, match="frames a second cannot be sampled") as error:
        next(frames(tmp_path / "a.mp4", fps=rate))
    assert "\n" not in str(error.value)


def test_a_rate_is_taken_as_written():
    assert check_rate(29.97) == Fraction(2997, 100)
    assert check_rate(25) == 25
    assert check_rate(np.float64(12.5)) == Fraction(25, 2)


# --- videos ---


@pytest.mark.parametrize("rate", [25, 30, 50])
@pytest.mark.parametrize("ending", ["mp4", "mkv", "avi"])
def test_recordings_of_any_rate_give_the_same_times(tmp_path, rate, ending):
    """Four seconds, as 100, 120 and 200 frames; Matroska rounds their times to milliseconds."""
    count = 4 * rate
    base = Fraction(1, 1000) if ending == "mkv" else Fraction(1, rate)
    stamps = [round(Fraction(k, rate) / base) for k in range(count)]
    path = write(tmp_path / f"a.{ending}", greys(count), stamps, base, rate=rate)
    found = list(frames(path, fps=25))
    assert [frame.time for frame in found] == [k / 25 for k in range(100)]
    assert [frame.end for frame in found[:-1]] == [frame.time for frame in found[1:]]
    assert found[-1].end == pytest.approx(4, abs=0.011)  # as long as the file gives its last frame
    times = clip_times(np.array([frame.time for frame in found]), found[-1].end)
    np.testing.assert_allclose(times, [[0.64 * k, 0.64 * (k + 1)] for k in range(6)], atol=1e-12)
    nearest = [int(np.argmin(np.abs(np.arange(count) / rate - k / 25))) for k in range(100)]
    assert numbers(found) == [number % 40 for number in nearest]


@settings(max_examples=15, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(steps=st.lists(st.integers(1, 300), min_size=2, max_size=30), rate=st.sampled_from([5.0, 12.5, 25.0, 60.0]))
def test_variable_rate(tmp_path, steps, rate):
    stamps = np.cumsum([0, *steps]).tolist()
    path = write(tmp_path / "a.mp4", greys(len(stamps)), stamps, Fraction(1, 1000), codec="libx264")
    own = list(frames(path, size=16))
    bounds = [*(Fraction(stamp, 1000) for stamp in stamps), Fraction(own[-1].end).limit_denominator(100_000)]
    found = list(frames(path, size=16, fps=rate))
    assert numbers(found) == searched(bounds, Fraction(rate))
    assert [frame.time for frame in found] == [float(k / Fraction(rate)) for k in range(len(found))]


def test_a_frame_that_is_taken_twice_is_shaped_once_and_one_left_out_never(tmp_path, monkeypatch):
    from extract import pictures

    path = write(tmp_path / "a.mp4", greys(50))
    shaped = []
    shape = pictures.Shaper.shape
    monkeypatch.setattr(pictures.Shaper, "shape", lambda *given: shaped.append(0) or shape(*given))
    for rate, count in ((100, 50), (5, 10)):
        found = list(frames(path, fps=rate))
        assert not shaped
        assert len({id(frame.picture) for frame in found}) == count
        assert len(shaped) == count
        shaped.clear()


def test_real_recording_at_25(shared_data):
    """97.5 s at 30 frames a second."""
    found = [(frame.time, frame.end) for frame in frames(shared_data / "video/pianist.avi", fps=25)]
    assert len(found) == 2438
    assert found[-1] == (97.48, 97.5)
    assert found[:-1] == [(k / 25, (k + 1) / 25) for k in range(2437)]
