"""A further backbone is one further module: nothing else knows any of them by name."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from moving import annotate, write_video
from tiny_backbone import added
from torch.nn import functional

from extract import backbones
from extract.jobs import Job
from extract.pipeline import Extractor
from extract.weights import load_backbone
from heads.labelling import label
from heads.model import load_model
from heads.settings import Settings
from search import runs
from store.errors import InputError
from store.features import FeatureStore


@pytest.fixture(autouse=True)
def tiny(tmp_path: Path, monkeypatch) -> Iterator[None]:
    monkeypatch.setenv("CHIRONOMY_CACHE", str(tmp_path / "cache"))
    (tmp_path / "family").mkdir()
    with added(tmp_path / "family"):
        yield


def test_it_is_known_by_its_name(tmp_path: Path) -> None:
    assert backbones.names() == ("mc3_18", "r2plus1d_18", "r3d34", "r3d_18", "tiny")
    for weights in ("auto", str(tmp_path / "none.pth")):
        with pytest.raises(InputError, match=r"tiny\.pth|no such file"):
            load_backbone(weights, "tiny")
    random = load_backbone("random:1", "tiny")
    torch.save(random.network.state_dict(), tmp_path / "tiny.pth")
    loaded = load_backbone(str(tmp_path / "tiny.pth"), "tiny")
    assert loaded.kind == "made-up"
    assert torch.equal(loaded.network.last_linear.weight, random.network.last_linear.weight)
    with pytest.raises(InputError, match="weights of tiny, not of r3d34; add --backbone tiny"):
        load_backbone(str(tmp_path / "tiny.pth"))


@pytest.mark.parametrize("tune", ["conv5", "fc"])
def test_from_a_video_to_labels(tmp_path: Path, tune: str) -> None:
    backbone, store, out = load_backbone("random:0", "tiny"), tmp_path / "S", tmp_path / "model"
    Extractor(store, backbone).extract(Job(write_video(tmp_path / "long.mov", 40)))
    recording = FeatureStore(store)["long"]
    assert recording.read("conv4/plain").shape == (40, 12, 4, 12, 12)
    assert FeatureStore(store).spec.preprocessing["size"] == 48
    annotated, vocabulary = annotate(tmp_path / "long.csv", 40)
    settings = Settings(epochs=15, patience=15, batch=8, tune=tune, learning_rate=3e-3, regression=False)
    result = runs.train(store, [annotated], vocabulary, out, system="sm", split="random", settings=settings)
    assert result["architecture"]["backbone"] == "tiny"
    # It has learned what moves: with an untrained trunk, and above what knows nothing of the picture.
    losses = [epoch["loss"] for epoch in result["training"]["history"][1:]]
    assert losses[-1] < 0.5 * losses[0]

    model = load_model(out)
    clips = model.clips([recording])
    weights = model.head.predictor.weights()
    assert {name.split(".")[0] for name in weights} == {"fc", "classifier"} | ({"high"} if tune == "conv5" else set())
    every = np.arange(40)
    if tune == "conv5":
        assert weights["high.1.running_mean"].any()
        pooled = conv5_by_hand(weights, torch.from_numpy(clips.take("conv4", every)))
    else:
        pooled = torch.from_numpy(clips.take("conv5", every))
        raw = torch.from_numpy(recording.read("conv4/plain").astype(np.float32))
        by_hand = conv5_by_hand(FeatureStore(store).tail(), raw).numpy()
        np.testing.assert_allclose(pooled, (by_hand - by_hand.mean(axis=0)) / by_hand.std(axis=0), rtol=1e-3, atol=1e-4)
    np.testing.assert_allclose(model.head.predict(clips), head_by_hand(weights, pooled), rtol=1e-4, atol=1e-5)

    found = label(write_video(tmp_path / "short.mov", 4), out, tmp_path / "short.csv", device="cpu")
    assert found["clips"] == 4
    assert not model.spec.differences(backbone.spec("float16", 16, 16, model.spec.audio))
    assert model.spec.differences(replace(model.spec, backbone="r3d34"))


def conv5_by_hand(weights: dict[str, np.ndarray], x: torch.Tensor) -> torch.Tensor:
    value = {name: torch.tensor(array) for name, array in weights.items()}
    x = functional.conv3d(x, value["high.0.weight"], stride=2, padding=1)
    norm = (value[f"high.1.{part}"] for part in ("running_mean", "running_var", "weight", "bias"))
    return functional.relu(functional.batch_norm(x, *norm)).amax(dim=(2, 3, 4))


def head_by_hand(weights: dict[str, np.ndarray], x: torch.Tensor) -> np.ndarray:
    value = {name: torch.tensor(array) for name, array in weights.items()}
    x = functional.linear(x, value["fc.weight"], value["fc.bias"])
    for layer in (0, 3, 6):
        x = functional.relu(
            functional.linear(x, value[f"classifier.{layer}.weight"], value[f"classifier.{layer}.bias"])
        )
    x = functional.linear(x, value["classifier.9.weight"], value["classifier.9.bias"])
    return torch.sigmoid(x).numpy()
