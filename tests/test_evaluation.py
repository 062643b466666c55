"""Whole evaluations: levels, intervals, differences, tables and CSV."""

import csv
import json
from dataclasses import fields, replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import average_precision_score, precision_recall_fscore_support
from trivial import always_f1, chance_f1, majority_f1

from commands.scores import show_evaluation
from commands.trial import show_demo
from heads.intervals import clips_to_intervals
from heads.metrics import batch_averaged_f1, event_f1, macro_f1
from heads.targets import clip_labels
from search.bootstrap import count, draw_blocks, paired_difference, percentile_interval
from search.evaluation import Scored, evaluation, pool, select
from search.frames import in_time
from search.score_csv import write_csv
from store.errors import InputError
from store.timeline import clip_times, to_clips

CLASSES = ("nod", "sway", "freeze")
RATE = 25
BASELINES = ("probe_", "always_", "chance_", "majority_")


def draw(seed: int, recordings: int = 2, clips: int = 24, stride: int = 16, kept: float = 1.0) -> Scored:
    """Scored clips of drawn recordings: runs of labels, predictions that are right more often than not."""
    random = np.random.default_rng(seed)
    frames, times, recording = [], [], []
    length = 16 + stride * (clips - 1)
    for number in range(recordings):
        switches = random.random((length, 3)) < [0.03, 0.02, 0.0]
        labels = np.cumsum(switches, axis=0) % 2 == 1  # nobody freezes
        chosen = random.random(clips) < kept
        chosen[0] = True
        frames.append(to_clips(labels, 16, stride)[chosen])
        times.append(clip_times(np.arange(length) / RATE, length / RATE, 16, stride)[chosen])
        recording.append(np.full(chosen.sum(), number))
    frames, times, recording = (np.concatenate(each) for each in (frames, times, recording))
    true = clip_labels(frames)
    probability = np.clip(0.3 * true + 0.7 * random.random(true.shape), 0, 1)
    return Scored(
        true=true,
        frames=frames,
        probability=probability,
        present=probability >= 0.55,
        probe_probability=probability,
        probe=random.random(true.shape) < 0.4,
        frequency=np.broadcast_to([0.3, 0.6, 0.1], true.shape),
        times=times,
        recording=recording,
        block=recording * 100 + (times[:, 0] // 3).astype(int),
    )


def test_clip_level_equals_scikit_learn() -> None:
    scored = draw(1)
    found = evaluation(CLASSES, scored)
    expected = precision_recall_fscore_support(scored.true, scored.present, average=None, zero_division=0)
    for column, name in enumerate(CLASSES):
        row = found["classes"][name]
        assert [row[key] for key in ("precision", "recall", "f1", "support")] == pytest.approx(
            [values[column] for values in expected]
        )
    for average in ("macro", "micro"):
        for prefix, predicted in (("", scored.present), ("probe_", scored.probe), ("always_", scored.true | True)):
            score = precision_recall_fscore_support(scored.true, predicted, average=average, zero_division=0)[2]
            assert found[f"{prefix}{average}_f1"] == pytest.approx(score)
    assert found["supported_macro_f1"] == pytest.approx(expected[2][:2].mean())  # nobody freezes
    ranking = [average_precision_score(scored.true[:, c], scored.probability[:, c]) for c in range(2)]
    assert found["mean_average_precision"] == pytest.approx(sum(ranking) / 3)
    assert [found["classes"][name]["average_precision"] for name in CLASSES] == pytest.approx([*ranking, 0])
    frequency = scored.frequency[0]
    assert found["always_macro_f1"] == pytest.approx(always_f1(scored.true))
    assert found["chance_macro_f1"] == pytest.approx(chance_f1(scored.true, frequency))
    assert found["majority_macro_f1"] == pytest.approx(majority_f1(scored.true, frequency))
    assert found["batch_averaged_f1"] == batch_averaged_f1(scored.true, scored.present)
    assert found["clips"] == len(scored.true)
    assert json.loads(json.dumps(found, allow_nan=False)) == found


@pytest.mark.parametrize("seed", range(20))
def test_micro_f1_equals_scikit_learn(seed: int) -> None:
    random = np.random.default_rng(seed)
    true, predicted = (random.random((30, 4)) < random.choice([0, 0.05, 0.5, 1], 4) for _ in range(2))
    expected = precision_recall_fscore_support(true, predicted, average="micro", zero_division=0)[2]
    assert count(true, predicted, random.integers(0, 5, 30)).micro_f1() == pytest.approx(expected)


def test_intervals_equal_a_slow_bootstrap() -> None:
    """Clips put together block by block, as drawn, and scored anew each time."""
    scored = draw(2)
    blocks = np.unique(scored.block)
    f1, macro, difference = [], [], []
    for weights in draw_blocks(len(blocks)):
        drawn = np.concatenate([np.flatnonzero(scored.block == block) for block in np.repeat(blocks, weights)])
        true, present = scored.true[drawn], scored.present[drawn]
        hits, total = (true & present).sum(axis=0), true.sum(axis=0) + present.sum(axis=0)
        f1.append(2 * hits / np.maximum(total, 1))
        macro.append(f1[-1].mean())
        difference.append(macro[-1] - macro_f1(true, scored.probe[drawn]))
    found = evaluation(CLASSES, scored)
    assert found["blocks"] == len(blocks) == 10
    assert found["macro_f1_interval"] == pytest.approx(np.percentile(macro, [2.5, 97.5]))
    assert found["differences"]["probe"]["interval"] == pytest.approx(np.percentile(difference, [2.5, 97.5]))
    for column, name in enumerate(CLASSES):
        assert found["classes"][name]["f1_interval"] == pytest.approx(
            np.percentile(np.array(f1)[:, column], [2.5, 97.5])
        )


def test_the_best_trivial_baseline_is_found() -> None:
    scored = draw(3)
    found = evaluation(CLASSES, scored)
    best = max(("always", "chance", "majority"), key=lambda name: found[f"{name}_macro_f1"])
    assert list(found["differences"]) == ["probe", best]
    for name, difference in found["differences"].items():
        assert difference["mean"] == pytest.approx(found["macro_f1"] - found[f"{name}_macro_f1"])
        assert difference["interval"][0] <= difference["mean"] <= difference["interval"][1]


def test_one_block_gives_no_interval() -> None:
    scored = draw(4)
    found = evaluation(CLASSES, replace(scored, block=np.zeros_like(scored.block)))
    assert found["macro_f1_interval"] is None
    assert found["differences"]["probe"]["interval"] is None
    assert {row["f1_interval"] for row in found["classes"].values()} == {None}
    assert percentile_interval(np.array([0.5]), 1) is None


@pytest.mark.parametrize(("stride", "kept"), [(16, 1.0), (4, 1.0), (16, 0.7), (8, 0.7), (5, 1.0)])
def test_every_frame_is_answered_for_once(stride: int, kept: float) -> None:
    scored = draw(5, stride=stride, kept=kept)
    shuffled = np.random.default_rng(0).permutation(len(scored.true))
    answered = in_time(scored.times[shuffled], scored.recording[shuffled], 16)
    clip = shuffled[answered.clip]
    numbers = np.rint(scored.times[clip, 0] * RATE).astype(int) + answered.frame
    covered = {
        (recording, first + place)
        for recording, first in zip(scored.recording, np.rint(scored.times[:, 0] * RATE).astype(int), strict=True)
        for place in range(16)
    }
    pairs = list(zip(scored.recording[clip], numbers, strict=True))
    assert pairs == sorted(covered)
    np.testing.assert_allclose(answered.end - answered.begin, 1 / RATE)
    for (one, other), (first, second) in zip(pairwise(pairs), pairwise(answered.stretch), strict=True):
        assert (first == second) == (other == (one[0], one[1] + 1))
    # The middle of a clip with both neighbours is its own.
    if stride == 4:
        assert {tuple(answered.frame[answered.clip == number]) for number in range(len(shuffled))} >= {(6, 7, 8, 9)}


def frames_by_hand(scored: Scored, name: str) -> tuple[np.ndarray, np.ndarray]:
    """Labels and predictions of all frames, clips neither overlapping nor repeating any."""
    predicted = np.repeat(getattr(scored, name)[:, None], 16, axis=1)
    return scored.frames.reshape(-1, 3), predicted.reshape(-1, 3)


def test_frame_level_equals_scikit_learn() -> None:
    scored = draw(6, kept=0.8)
    found = evaluation(CLASSES, scored)["frame"]
    for prefix, name in (("", "present"), ("probe_", "probe")):
        true, predicted = frames_by_hand(scored, name)
        for average in ("macro", "micro"):
            score = precision_recall_fscore_support(true, predicted, average=average, zero_division=0)[2]
            assert found[f"{prefix}{average}_f1"] == pytest.approx(score)
    expected = precision_recall_fscore_support(true, predicted, average=None, zero_division=0)[3]
    assert [found["classes"][name]["support"] for name in CLASSES] == expected.tolist()
    assert found["always_macro_f1"] == pytest.approx(always_f1(true))
    assert found["chance_macro_f1"] == pytest.approx(chance_f1(true, scored.frequency[0]))


def runs_by_hand(frames: np.ndarray, times: np.ndarray) -> list[tuple[float, float]]:
    """Events of a class from its frames, (clips, length), clip by clip; a pause between clips ends them."""
    found, begin, last = [], None, None
    for labels, (start, end) in zip(frames, times, strict=True):
        if begin is not None and start > last + 1e-6:
            found.append((begin, last))
            begin = None
        step = (end - start) / len(labels)
        for place, label in enumerate(labels):
            if label and begin is None:
                begin = start + place * step
            if not label and begin is not None:
                found.append((begin, start + place * step))
                begin = None
        last = end
    return found if begin is None else [*found, (begin, last)]


@pytest.mark.parametrize("kept", [1.0, 0.8])
def test_event_level_equals_events_made_by_hand(kept: float) -> None:
    scored = draw(7, recordings=1, clips=60, kept=kept)
    found = evaluation(CLASSES, scored)["event"]
    assert list(found) == ["0.1", "0.25", "0.5"]
    for key, level in found.items():
        for prefix, name in (("", "present"), ("probe_", "probe")):
            said = np.repeat(getattr(scored, name)[:, None], 16, axis=1)
            for column, class_ in enumerate(CLASSES):
                true, predicted = (runs_by_hand(each[:, :, column], scored.times) for each in (scored.frames, said))
                row = level["classes"][class_]
                assert row[f"{prefix}f1"] == pytest.approx(event_f1(true, predicted, float(key)))
                assert row["support"] == len(true)
        assert level["macro_f1"] == pytest.approx(np.mean([level["classes"][name]["f1"] for name in CLASSES]))


def test_events_of_all_recordings_count_together() -> None:
    scored = draw(8, recordings=3)
    whole = evaluation(CLASSES, scored)["event"]["0.25"]["classes"]["sway"]
    hits = total = 0.0
    for number in range(3):
        one = select(scored, scored.recording == number)
        row = evaluation(CLASSES, one)["event"]["0.25"]["classes"]["sway"]
        hits += row["recall"] * row["support"]
        total += row["support"] + len(runs_by_hand(one.present[:, None, 1], one.times))
    assert hits > 0
    assert whole["f1"] == pytest.approx(2 * hits / total)


def test_a_coin_of_two_equal_sides_tosses_nothing() -> None:
    scored = draw(9)
    found = evaluation(CLASSES, replace(scored, frequency=np.broadcast_to([0.0, 1.0, 1.0], scored.true.shape)))
    for level in (found, found["frame"], *found["event"].values()):
        for row in level["classes"].values():
            assert row["chance_f1"] == row["majority_f1"]
    assert found["event"]["0.1"]["chance_macro_f1"] == found["event"]["0.1"]["majority_macro_f1"]
    assert found["frame"]["classes"]["sway"]["chance_f1"] == found["frame"]["classes"]["sway"]["always_f1"] > 0


@pytest.mark.parametrize("stride", [16, 8, 4])
def test_predicted_events_are_the_intervals_that_are_written(stride: int) -> None:
    scored = draw(9, recordings=1, stride=stride)
    certain = scored.present.astype(float)  # else borders are finer than what is scored (search/borders.py)
    written = clips_to_intervals(certain, scored.present, scored.times, CLASSES)
    answered = in_time(scored.times, scored.recording, 16)
    for column, name in enumerate(CLASSES):
        events = answered.events(scored.present[answered.clip, column])
        assert events.ravel() == pytest.approx(
            [end for each in written if each.value == name for end in (each.begin, each.end)]
        )


def scored_clips() -> st.SearchStrategy[Scored]:
    return st.builds(
        draw,
        seed=st.integers(0, 2**32 - 1),
        recordings=st.integers(1, 3),
        clips=st.integers(1, 12),
        stride=st.sampled_from([4, 16]),
        kept=st.sampled_from([0.5, 1.0]),
    )


def numbers(scores: object) -> list[float]:
    if isinstance(scores, dict):
        return [each for key, value in scores.items() if key not in ("clips", "blocks", "support", "differences")
                for each in numbers(value)]  # fmt: skip
    if isinstance(scores, list):
        return list(scores)
    return [] if scores is None else [scores]  # type: ignore[list-item]


@given(scored_clips(), st.randoms(use_true_random=False))
@settings(max_examples=40)
def test_invariants(scored: Scored, random) -> None:
    found = evaluation(CLASSES, scored)
    assert all(0 <= each <= 1 for each in numbers(found))
    order = list(range(len(scored.true)))
    random.shuffle(order)
    again = evaluation(CLASSES, select(scored, np.array(order)))
    # Only what goes by batches, and coins tossed clip by clip, depend on the order of the clips.
    for scores in (found, again):
        del scores["batch_averaged_f1"]
        for level in scores["event"].values():
            for each in (level, *level["classes"].values()):
                for key in [key for key in each if key.startswith("chance")]:
                    del each[key]
    assert numbers(again) == pytest.approx(numbers(found))
    for name, difference in again["differences"].items():
        assert difference["mean"] == pytest.approx(found["differences"][name]["mean"])


@given(scored_clips())
@settings(max_examples=40)
def test_what_is_all_right_scores_one(scored: Scored) -> None:
    # Frames labelled as their clips are: otherwise no prediction of clips can be right in each of them.
    frames = np.repeat(scored.true[:, None], 16, axis=1)
    right = {"probability": scored.true.astype(float), "present": scored.true, "probe": scored.true}
    found = evaluation(CLASSES, replace(scored, frames=frames, **right))
    assert found["ece"] == 0
    for level in (found, found["frame"], *found["event"].values()):
        for row in level["classes"].values():
            assert row["f1"] == row["probe_f1"] == (row["support"] > 0)
        occurs = any(row["support"] for row in level["classes"].values())
        assert level["supported_macro_f1"] == level["micro_f1"] == occurs
    assert found["differences"]["probe"] in (
        {"mean": 0, "interval": [0, 0]},
        {"mean": 0, "interval": None},
    )


@given(scored_clips())
@settings(max_examples=20)
def test_a_system_does_not_differ_from_itself(scored: Scored) -> None:
    counts = count(scored.true, scored.present, scored.block)
    found = paired_difference([counts, counts], [counts, counts])
    assert found.mean == 0
    assert found.runs == (0, 0)
    assert found.interval in (None, (0, 0))


def test_runs_are_drawn_together() -> None:
    """Two folds and a second seed of one of them, against a slow loop; the blocks of all are drawn at once."""
    scored = draw(10)
    other_seed = draw(11)
    runs = [
        (scored.true[mine], present[mine], scored.probe[mine], scored.block[mine])
        for mine, present in (
            (scored.recording == 0, scored.present),
            (scored.recording == 1, scored.present),
            (scored.recording == 0, other_seed.present),
        )
    ]
    blocks = np.unique(scored.block)
    drawn = []
    for weights in draw_blocks(len(blocks), 300, 5):
        repeated = np.repeat(blocks, weights)
        differences = []
        for true, one, other, block in runs:
            index = np.concatenate([np.flatnonzero(block == each) for each in repeated])
            if len(index):
                differences.append(macro_f1(true[index], one[index]) - macro_f1(true[index], other[index]))
        drawn.append(np.mean(differences))
    found = paired_difference(
        [count(true, one, block) for true, one, _, block in runs],
        [count(true, other, block) for true, _, other, block in runs],
        draws=300,
        seed=5,
    )
    expected = [macro_f1(true, one) - macro_f1(true, other) for true, one, other, _ in runs]
    assert found.runs == pytest.approx(expected)
    assert found.mean == pytest.approx(np.mean(expected))
    assert found.interval == pytest.approx(np.percentile(drawn, [2.5, 97.5]))


def test_a_run_that_a_draw_leaves_out_does_not_count_in_it() -> None:
    true = np.array([[1], [1]], bool)
    one = [count(true[[i]], true[[i]], np.array([i])) for i in (0, 1)]
    none = [count(true[[i]], ~true[[i]], np.array([i])) for i in (0, 1)]
    assert paired_difference(one, none).interval == (1, 1)


def test_only_the_same_clips_compare() -> None:
    scored = draw(12)
    one, other = (count(labels, scored.present, scored.block) for labels in (scored.true, ~scored.true))
    apart = count(scored.true, scored.present, scored.block + 1)
    for runs, against in (([one], [other]), ([one], [apart]), ([one], []), ([], [])):
        with pytest.raises(ValueError, match=r"same clips|as many runs"):
            paired_difference(runs, against)


def test_folds_are_scored_together() -> None:
    scored = draw(13)
    second = scored.recording == 1
    frequency = np.where(second[:, None], 0.7, scored.frequency)  # another fold learned from other clips
    whole = replace(scored, frequency=frequency)
    folds = [select(whole, second), select(whole, ~second)]
    joined, found = evaluation(CLASSES, pool(folds)), evaluation(CLASSES, whole)
    for key in ("macro_f1", "chance_macro_f1", "majority_macro_f1", "macro_f1_interval", "ece"):
        assert joined[key] == pytest.approx(found[key])
    assert joined["event"]["0.5"]["macro_f1"] == pytest.approx(found["event"]["0.5"]["macro_f1"])
    with pytest.raises(ValueError, match="twice"):
        evaluation(CLASSES, pool([whole, folds[0]]))


@pytest.mark.parametrize("name", [field.name for field in fields(Scored) if field.name != "true"])
def test_shapes_must_fit(name: str) -> None:
    scored = draw(14)
    with pytest.raises(ValueError, match=name):
        replace(scored, **{name: getattr(scored, name)[1:]})


def test_nothing_cannot_be_scored() -> None:
    with pytest.raises(ValueError, match="at least one clip"):
        select(draw(15), np.arange(0))


def test_csv_holds_every_number_once(tmp_path: Path) -> None:
    scores = evaluation(CLASSES, draw(16))
    write_csv(tmp_path / "scores.csv", scores)
    with (tmp_path / "scores.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    keys = [(row["level"], row["class"], row["metric"]) for row in rows]
    assert len(set(keys)) == len(keys)
    cells = [[float(row[name]) for name in ("value", "low", "high") if row[name]] for row in rows]
    found = dict(zip(keys, cells, strict=True))
    assert found["clip", "", "macro_f1"] == [scores["macro_f1"], *scores["macro_f1_interval"]]
    assert found["clip", "nod", "f1"] == [scores["classes"]["nod"]["f1"], *scores["classes"]["nod"]["f1_interval"]]
    assert found["frame", "", "probe_micro_f1"] == [scores["frame"]["probe_micro_f1"]]
    assert found["event 0.25", "sway", "support"] == [scores["event"]["0.25"]["classes"]["sway"]["support"]]
    difference = scores["differences"]["probe"]
    assert found["clip", "", "macro_f1 above probe"] == [difference["mean"], *difference["interval"]]
    assert {key[0] for key in keys} == {"clip", "frame", "event 0.1", "event 0.25", "event 0.5"}
    with pytest.raises(InputError, match="no folder"):
        write_csv(tmp_path / "nowhere" / "scores.csv", scores)


def test_csv_without_intervals(tmp_path: Path) -> None:
    scored = draw(17)
    write_csv(tmp_path / "scores.csv", evaluation(CLASSES, replace(scored, block=scored.recording * 0)))
    with (tmp_path / "scores.csv").open(newline="") as file:
        assert {(row["low"], row["high"]) for row in csv.DictReader(file)} == {("", "")}


def test_tables_show_scores_beside_their_baselines(capsys: pytest.CaptureFixture[str]) -> None:
    scores = evaluation(CLASSES, draw(18))
    single = evaluation(CLASSES, replace(draw(18), block=np.zeros(48, int)))
    show_evaluation(
        {"notes": [], "scored": {}, "system": "sm", "model": "m", "scores": scores, "untrained_backbone": False}
    )
    show_demo(
        {
            "scores": {"random": scores, "blocked": single, "never annotated": scores},
            "untrained_backbone": False,
            "files": {},
        }
    )
    printed = capsys.readouterr().out
    assert max(map(len, printed.splitlines())) <= 120
    low, high = scores["macro_f1_interval"]
    assert f"{scores['macro_f1']:.2f} [{low:.2f}, {high:.2f}]" in printed
    low, high = scores["differences"]["probe"]["interval"]
    assert f"{scores['differences']['probe']['mean']:+.2f} [{low:+.2f}, {high:+.2f}]" in printed
    for text in ("linear probe", "every class always", "calibration error", "frames", "events, overlap 0.25", "sway"):
        assert text in printed
    assert "…" not in printed  # nothing cut off
