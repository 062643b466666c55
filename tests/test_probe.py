"""The linear probe, the baseline of every score."""

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression
from synthetic import planted

from heads.metrics import always_f1, macro_f1
from heads.probe import fit_probe, pooled_features


@pytest.fixture(scope="module")
def case():
    return planted(clips=120)


def test_features_are_means_standardised_by_recording(case) -> None:
    clips, _ = case
    features = pooled_features(clips)
    assert features.shape == (120, 256 * 2 * 3 * 3)
    assert features.dtype == np.float32
    for recording in range(2):
        mine = features[clips.recording == recording]
        np.testing.assert_allclose(mine.mean(axis=0), 0, atol=1e-4)
        np.testing.assert_allclose(mine.std(axis=0), 1, atol=1e-3)
    # 7 positions to 3 overlapping bins: 0 to 2, 2 to 4, 4 to 6. One feature by hand: channel 5, frame 1,
    # rows 2 to 4, columns 4 to 6 of the first recording.
    raw = clips.activations[clips.recording == 0].astype(np.float64)[:, 5, 1, 2:5, 4:7].mean(axis=(1, 2))
    expected = (raw - raw.mean()) / raw.std()
    np.testing.assert_allclose(features.reshape(120, 256, 2, 3, 3)[:60, 5, 1, 1, 2], expected, atol=1e-3)


def test_features_of_a_recording_do_not_depend_on_the_others(case) -> None:
    clips, _ = case
    alone = pooled_features(
        type(clips)(clips.activations[:60], clips.recording[:60], clips.mean[:1], clips.std[:1]),
    )
    np.testing.assert_allclose(alone, pooled_features(clips)[:60], atol=1e-5)


def test_a_constant_feature_is_0(case) -> None:
    clips, _ = case
    still = np.zeros_like(clips.activations)
    assert (pooled_features(type(clips)(still, clips.recording, clips.mean, clips.std)) == 0).all()


def test_learns_and_gives_what_scikit_learn_gives(case) -> None:
    clips, labels = case
    training, held_out = np.arange(0, 120, 2), np.arange(1, 120, 2)
    probe = fit_probe(clips, training, labels.positive)
    probability = probe.predict(clips)
    assert probability.shape == (120, 3)
    features = pooled_features(clips)
    reference = LogisticRegression(C=0.01, max_iter=1000, class_weight="balanced")
    reference.fit(features[training], labels.positive[training, 0])
    np.testing.assert_allclose(probability[:, 0], reference.predict_proba(features)[:, 1], atol=1e-4)
    true = labels.positive[held_out]
    assert macro_f1(true, probability[held_out] >= 0.5) > always_f1(true) + 0.2


def test_a_class_in_all_clips_or_in_none_is_certain(case) -> None:
    clips, labels = case
    positive = labels.positive.copy()
    positive[:, 0], positive[:, 1] = True, False
    probability = fit_probe(clips, np.arange(120), positive).predict(clips)
    assert (probability[:, 0] > 0.999).all()
    assert (probability[:, 1] < 0.001).all()
