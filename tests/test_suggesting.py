"""What is worth looking at next: told from planted reasons, kept out of truth, in ELAN and in text."""

from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from lxml import etree
from recordings import write_video

from heads.suggesting import LASTING, Outlook, fewer, ranked, suggest
from store.annotations import SUGGESTED_TIER, Interval, predicted_tier, read, write
from store.matching import match
from store.predicted import write_predicted
from store.vocabulary import Vocabulary

CLIP = 0.64
VOCABULARY = Vocabulary("two", ("nod", "frown"))


def outlook(clips: int = 200, seed: int = 0, **changed) -> Outlook:
    """A recording of which the first fifth is annotated, all sure and all alike."""
    begin = CLIP * np.arange(clips)
    random = np.random.default_rng(seed)
    plain = Outlook(
        classes=("nod", "frown"),
        probability=np.tile([0.99, 0.01], (clips, 1)),
        thresholds=np.array([0.4, 0.4]),
        frequency=np.array([0.3, 0.3]),
        times=np.column_stack([begin, begin + CLIP]),
        features=random.normal(0, 1, (clips, 8)).astype(np.float32),
        known=np.arange(clips) < clips // 5,
    )
    return replace(plain, **changed)


def test_each_reason_is_found_and_said() -> None:
    plain = outlook()
    probability, features = plain.probability.copy(), plain.features.copy()
    probability[60:65, 0] = 0.4
    probability[100:105, 1] = 0.99
    features[150:155] += 30
    found = suggest(replace(plain, probability=probability, features=features, frequency=np.array([0.3, 0.0])), 3)
    why = {each.value: each for each in found}
    assert why["unsure: nod 0.40, found from 0.40"].begin == pytest.approx(60 * CLIP, abs=2 * CLIP)
    assert why["perhaps frown, of which little is annotated"].begin == pytest.approx(100 * CLIP, abs=2 * CLIP)
    assert why["unlike anything annotated so far"].begin == pytest.approx(150 * CLIP, abs=2 * CLIP)
    assert {each.tier for each in found} == {SUGGESTED_TIER}


@given(st.integers(0, 60), st.integers(1, 30), st.integers(0, 1000))
def test_never_annotated_never_neighbours_whatever_the_recording(clips, count, seed) -> None:
    random = np.random.default_rng(seed)
    given_ = outlook(
        clips,
        seed,
        probability=random.random((clips, 2)),
        known=np.repeat(random.random(clips // 5 + 1) < 0.4, 5)[:clips],
    )
    found = suggest(given_, count)
    assert len(found) <= count
    worth = [much for much, _ in ranked(given_, count)]
    assert worth == sorted(worth, reverse=True)
    assert all(0 <= much <= 3 for much in worth)
    for each in found:
        inside = (given_.times[:, 0] < each.end - 1e-6) & (given_.times[:, 1] > each.begin + 1e-6)
        assert inside.any()
        assert not given_.known[inside].any()
        assert each.end - each.begin <= LASTING + CLIP
    ordered = sorted(found)
    for one, other in pairwise(ordered):
        assert other.begin - one.end >= LASTING / 2


def test_it_is_said_why_there_are_fewer() -> None:
    short = outlook(30)
    found = len(suggest(short, 9))
    assert 0 < found < 9
    assert fewer(short, found, found, marked=True) == []
    (note,) = fewer(short, 9, found, marked=True)
    assert note == f"{found} of 9 stretches: no more lie apart from what is annotated and from each other"
    whole = replace(short, known=np.ones(30, bool))
    assert fewer(whole, 9, 0, marked=True) == ["nothing to suggest: the whole recording is annotated"]
    assert "mark what is complete on a tier 'annotated'" in fewer(whole, 9, 0, marked=False)[0]
    assert fewer(outlook(0), 9, 0, marked=False)[0].startswith("0 of 9")


@pytest.mark.parametrize("ending", ["eaf", "csv", "txt", "TextGrid", "vtt", "rttm"])
def test_it_is_no_truth_and_gone_with_the_next_run(tmp_path: Path, ending: str) -> None:
    video = write_video(tmp_path / "video.mp4", 50)
    out = tmp_path / f"video.{ending}"
    write(out, [Interval(0, 1, "nod", "nod"), Interval(0, 1, "annotated", "x")])
    found = [
        Interval(1.2, 1.5, predicted_tier("nod"), "nod", 0.9),
        Interval(1.1, 1.4, SUGGESTED_TIER, "unsure: nod 0.40, found from 0.40"),
    ]
    write_predicted(out, out, video, found, ["nod", "frown"], "chironomy")
    first = read(out)
    assert [each.begin for each in first.intervals if each.tier == SUGGESTED_TIER] == [1.1]
    whole = [replace(each, end=2.0) if each.tier == "annotated" else each for each in first.intervals]
    write(out, whole, tiers=first.tiers)  # its stretch has been reviewed
    matched = match(read(out), VOCABULARY)
    assert matched.gestures == {"nod": [(0, 1), (1.2, 1.5)], "frown": []}
    assert not matched.ignored
    assert not matched.near_misses
    write_predicted(out, out, video, found[:1], ["nod", "frown"], "chironomy")
    assert SUGGESTED_TIER not in read(out).tiers
    assert [each for each in read(out).intervals if each.tier == predicted_tier("nod")]


def test_in_elan_it_has_no_vocabulary_of_gestures(tmp_path: Path) -> None:
    video = write_video(tmp_path / "video.mp4", 50)
    out = tmp_path / "video.eaf"
    found = [Interval(1.1, 1.4, SUGGESTED_TIER, "unlike anything annotated so far")]
    for _ in range(2):
        write_predicted(out if out.exists() else None, out, video, found, ["nod"], "chironomy")
        root = etree.parse(out).getroot()
        tier = root.find(f"TIER[@TIER_ID='{SUGGESTED_TIER}']")
        kind = root.find(f"LINGUISTIC_TYPE[@LINGUISTIC_TYPE_ID='{tier.get('LINGUISTIC_TYPE_REF')}']")
        assert kind.get("CONTROLLED_VOCABULARY_REF") is None
        entries = [element.text for element in root.iter("CVE_VALUE")]
        assert entries == ["nod"]
        assert len(root.findall("LINGUISTIC_TYPE")) == len(
            {each.get("LINGUISTIC_TYPE_ID") for each in root.iter("LINGUISTIC_TYPE")}
        )
        assert (
            sum(
                each.get("LINGUISTIC_TYPE_ID").startswith("chironomy suggestion")
                for each in root.iter("LINGUISTIC_TYPE")
            )
            == 1
        )
