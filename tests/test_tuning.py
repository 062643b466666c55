"""Post-processing tuned on data it sees, and what that gives on data it does not."""

from dataclasses import replace

import numpy as np
import pytest

from heads.intervals import clips_to_intervals
from heads.neighbours import in_order
from heads.postprocessing import PostProcessing
from heads.targets import clip_labels
from search.effort import load_costs, operations
from search.evaluation import OVERLAPS, Scored, evaluation, select
from search.judging import LEVELS, Judge
from search.thresholds import UNTUNED, best_f1, steady
from search.tuning import Aim, gain, tune

CLIP, FRAMES = 0.64, 16
CLASSES = ("nod", "sway", "never")


def performance(seed: int, clips: int = 400, lasting: int = 6, noise: float = 0.5) -> Scored:
    """Gestures that last for several clips, and probabilities with noise that knows nothing of time."""
    random = np.random.default_rng(seed)
    switches = random.random((clips * FRAMES, 3)) < [1 / (lasting * FRAMES), 0.5 / (lasting * FRAMES), 0]
    frames = (np.cumsum(switches, axis=0) % 2 == 1).reshape(clips, FRAMES, 3)
    true = clip_labels(frames)
    probability = 1 / (1 + np.exp(-(2 * true - 1) / noise + random.normal(0, 1.2 / noise, true.shape)))
    begin = CLIP * np.arange(clips)
    return Scored(
        true=true,
        frames=frames,
        probability=probability,
        present=probability >= 0.5,
        probe_probability=probability,
        probe=probability >= 0.7,
        frequency=np.broadcast_to(true.mean(axis=0), true.shape),
        times=np.column_stack([begin, begin + CLIP]),
        recording=np.zeros(clips, np.intp),
        block=(begin // 12).astype(np.intp),
    )


def macro(scored: Scored, processing: PostProcessing, level: str) -> float:
    present = processing.present(scored.probability, scored.times, scored.recording)
    judge = Judge(scored, level)
    return float(np.mean([judge.value(column, present[:, column]) for column in range(3)]))


def test_judges_as_an_evaluation_does() -> None:
    scored = replace(performance(0), block=np.zeros(400, np.intp))  # else events are cut
    found = evaluation(CLASSES, scored)
    of_events = np.mean([found["event"][str(overlap)]["macro_f1"] for overlap in OVERLAPS])
    expected = {"clip": found["macro_f1"], "frame": found["frame"]["macro_f1"], "event": of_events}
    for level, value in expected.items():  # effort has a test of its own
        judge = Judge(scored, level)
        each = [judge.value(column, scored.present[:, column]) for column in range(3)]
        assert np.mean(each) == pytest.approx(value)
        assert judge.counts(scored.present).scores()[2].mean() == pytest.approx(value)


@pytest.mark.parametrize("level", ["clip", "frame", "event"])
def test_counts_by_block_add_up(level: str) -> None:
    scored = performance(1, clips=120)
    judge = Judge(scored, level)
    counts = judge.counts(scored.present)
    parts = [select(scored, scored.block == block) for block in counts.block]
    each = [Judge(part, level).counts(part.present) for part in parts]
    for name in ("hits", "predicted", "true"):
        np.testing.assert_array_equal(getattr(counts, name), np.concatenate([getattr(one, name) for one in each]))


def test_effort_is_what_correcting_event_by_event_takes() -> None:
    """As reckoned from the intervals that labelling writes; blocks cut nothing here."""
    scored = replace(performance(1, clips=120), block=np.zeros(120, np.intp))
    found = clips_to_intervals(scored.probability, scored.present, scored.times, CLASSES[:2])
    said = {name: [(each.begin, each.end) for each in found if each.value == name] for name in CLASSES[:2]}
    labels = scored.answered.labels(scored.frames)
    true = {name: scored.answered.events(labels[:, column]).tolist() for column, name in enumerate(CLASSES[:2])}
    costs = load_costs()
    each = [operations({name: true[name]}, {name: said[name]}, costs).cost(costs) for name in CLASSES[:2]]
    every = sum(map(len, true.values()))
    judge = Judge(scored, "effort")
    values = [judge.value(column, scored.present[:, column]) for column in range(2)]
    assert np.mean(values) == pytest.approx(1 - sum(each) / every)
    corrected, added = judge.efforts(scored.present[:, :2])
    assert (corrected.tolist(), added.tolist()) == ([pytest.approx(sum(each))], [every])
    assert judge.value(2, scored.present[:, 2]) == 0


@pytest.mark.parametrize("per_class", [False, True])
@pytest.mark.parametrize("level", LEVELS)
def test_on_what_it_sees_it_is_no_worse_and_elsewhere_better_where_gestures_last(level: str, per_class: bool) -> None:
    seen, other = performance(2), performance(3)
    aim = Aim(level, per_class, trials=40)
    tuned = tune(seen, aim)
    exact = PostProcessing.plain(best_f1(seen.probability, seen.true))
    assert macro(seen, tuned, level) >= macro(seen, exact, level)
    plain = PostProcessing.plain(steady(seen.probability, seen.true, in_order(seen.times, seen.recording)))
    assert macro(other, tuned, level) > macro(other, plain, level) + 0.02
    gained = gain(seen, aim)
    assert gained["difference"] == pytest.approx(gained["tuned"] - gained["plain"])
    low, high = gained["interval"]
    assert gained["difference"] > 0
    assert low <= gained["difference"] <= high


def test_where_nothing_lasts_the_gain_is_told_as_it_is() -> None:
    found = [gain(performance(seed, clips=120, lasting=1), Aim("clip", per_class=True, trials=20)) for seed in range(4)]
    assert min(gained["difference"] for gained in found) < 0
    assert all(gained["interval"][0] <= 0 for gained in found)


@pytest.mark.parametrize("per_class", [False, True])
def test_on_what_it_sees_it_is_never_worse_than_thresholds_alone(per_class: bool) -> None:
    for seed in range(6):
        scored = performance(seed, clips=100, lasting=1 + seed % 2)
        for level in LEVELS:
            tuned = tune(scored, Aim(level, per_class, trials=10, seed=seed))
            plain = PostProcessing.plain(
                steady(scored.probability, scored.true, in_order(scored.times, scored.recording))
            )
            assert macro(scored, tuned, level) >= macro(scored, plain, level)


def test_before_it_is_drawn_towards_the_others_it_is_never_below_the_exact_optimum(monkeypatch) -> None:
    monkeypatch.setattr("search.tuning.steady", lambda said, true, clips: best_f1(said, true))
    for seed in range(6):
        scored = performance(seed, clips=100, lasting=1 + seed % 2)
        exact = PostProcessing.plain(best_f1(scored.probability, scored.true))
        for level in LEVELS:
            tuned = tune(scored, Aim(level, trials=10, seed=seed))
            assert macro(scored, tuned, level) >= macro(scored, exact, level)


def test_a_class_that_is_not_there_keeps_its_threshold() -> None:
    for level in LEVELS:
        assert tune(performance(8), Aim(level, per_class=True, trials=20)).thresholds[2] == UNTUNED


def test_classes_with_few_events_go_with_the_others_and_those_with_many_their_own_way() -> None:
    scored = performance(5, clips=600)
    frames, random = scored.frames.copy(), np.random.default_rng(0)
    frames[:, :, 1] = False
    frames[200:204, :, 1] = True  # one event
    frames[:, :, 2] = np.repeat(random.random(600) < 0.3, FRAMES).reshape(600, FRAMES)  # many, as short as can be
    true = clip_labels(frames)
    noise = 0.5
    probability = scored.probability.copy()
    probability[:, 2] = 1 / (1 + np.exp(-(2 * true[:, 2] - 1) / noise + random.normal(0, 0.8 / noise, 600)))
    scored = replace(scored, frames=frames, true=true, probability=probability)
    own = tune(scored, Aim("clip", per_class=True, trials=60))
    shared = tune(scored, Aim("clip", trials=60))
    assert abs(own.smoothing[1] - shared.smoothing[1]) <= 0.5 * CLIP
    reach = own.smoothing + own.gap + own.shortest
    assert reach[0] > reach[2]  # one lasts, the other does not


def test_nothing_to_tune_on() -> None:
    scored = performance(6, clips=20)
    empty = replace(scored, true=np.zeros_like(scored.true), frames=np.zeros_like(scored.frames))
    assert tune(empty, Aim()).is_plain
    one = replace(scored, block=np.zeros(20, np.intp))
    assert gain(one, Aim())["difference"] is None


def test_the_same_seed_finds_the_same() -> None:
    scored = performance(7, clips=100)
    first, again = (tune(scored, Aim("frame", per_class=True, trials=15)) for _ in range(2))
    assert first.to_dict(CLASSES) == again.to_dict(CLASSES)
    assert np.array_equal(first.thresholds, again.thresholds)
