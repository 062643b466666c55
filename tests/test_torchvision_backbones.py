"""torchvision's backbones behind the seam: its tables, its arithmetic, and the way from a video to labels."""

from pathlib import Path

import numpy as np
import pytest
import torch
from moving import annotate, write_video
from safetensors.numpy import load_file
from torch import fx, nn
from torchvision.models import get_model, get_model_weights

from extract.backbones import Preprocessing, designs
from extract.jobs import Job
from extract.pipeline import Extractor
from extract.weights import Backbone, load_backbone
from heads.conv5 import make_conv5
from heads.labelling import label
from heads.model import load_model
from heads.settings import Settings
from search import runs
from store.errors import InputError
from store.features import FeatureStore

NAMES = ("r3d_18", "mc3_18", "r2plus1d_18")
each_backbone = pytest.mark.parametrize("name", NAMES)


def official(name: str) -> nn.Module:
    """torchvision's own network with weights that look trained."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        network = get_model(name, weights=None)
        for module in network.modules():
            if isinstance(module, nn.BatchNorm3d):
                nn.init.uniform_(module.weight, 0.5, 1.5)
                nn.init.uniform_(module.bias, -0.5, 0.5)
                nn.init.uniform_(module.running_mean, -0.5, 0.5)
                nn.init.uniform_(module.running_var, 0.5, 2)
    return network.eval()


def loaded(name: str, folder: Path) -> Backbone:
    """The same by way of a checkpoint file as torchvision publishes it."""
    path = folder / f"{name}.pth"
    torch.save(official(name).state_dict(), path)
    backbone = load_backbone(str(path), name)
    path.unlink()
    return backbone


@each_backbone
def test_what_torchvision_publishes(name: str) -> None:
    weights = get_model_weights(name).DEFAULT
    (design,) = designs(name)
    (published,) = design.published
    assert published.url == weights.url
    assert published.name == weights.url.rsplit("/", 1)[1]
    assert published.name.endswith(f"-{published.digest}.pth")
    assert design.outputs == (len(weights.meta["categories"]),)
    transforms, ours = weights.transforms(), design.preprocessing
    assert [ours.size, ours.size] == transforms.crop_size
    assert list(ours.before_crop) == transforms.resize_size
    assert (list(ours.mean), list(ours.std), ours.scale) == (transforms.mean, transforms.std, 255)
    # A picture that need not be stretched comes out as torchvision prepares it.
    picture = np.random.default_rng(0).integers(0, 256, (128, 171, 3), np.uint8)
    expected = transforms(torch.from_numpy(picture).permute(2, 0, 1)[None])[:, 0].permute(1, 2, 0).numpy()
    cropped = picture[8 : 8 + 112, 30 : 30 + 112]
    np.testing.assert_allclose((cropped / ours.scale - ours.mean) / ours.std, expected, rtol=1e-4, atol=1e-5)


@each_backbone
def test_trunk_and_tail_are_torchvisions_network(name: str, tmp_path: Path) -> None:
    backbone = loaded(name, tmp_path)
    assert (backbone.name, backbone.kind) == (name, "kinetics400")
    clips = torch.randn(1, 3, 16, 112, 112, generator=torch.Generator().manual_seed(0))
    tail = backbone.tail()
    with torch.inference_mode():
        expected = official(name)(clips)
        activations = backbone.trunk(clips)
        traced = fx.symbolic_trace(backbone.trunk)(clips)
        pooled = make_conv5(name, tail).eval()(activations)
        outputs = pooled @ torch.tensor(tail["fc.weight"]).T + torch.tensor(tail["fc.bias"])
    assert activations.shape == (1, *backbone.feature_shape)
    assert torch.equal(traced, activations)
    assert expected.std() > 0.1
    torch.testing.assert_close(outputs, expected, rtol=1e-4, atol=1e-5 * float(expected.abs().max()))


@each_backbone
def test_another_ones_weights(name: str, tmp_path: Path) -> None:
    """Two of the three have the same names; the shapes tell."""
    path = tmp_path / "weights.pth"
    torch.save(official(name).state_dict(), path)
    for other in {*NAMES, "r3d34"} - {name}:
        with pytest.raises(InputError) as caught:
            load_backbone(str(path), other)
        assert str(caught.value) == f"{path}: weights of {name}, not of {other}; add --backbone {name}"


@each_backbone
def test_random_weights(name: str) -> None:
    before = torch.get_rng_state()
    backbone = load_backbone("random:5", name)
    assert torch.equal(torch.get_rng_state(), before)
    torch.manual_seed(99)
    assert load_backbone("random:5", name).sha256 == backbone.sha256 != load_backbone("random:6", name).sha256
    assert backbone.network.fc.out_features == 400
    assert not backbone.network.training


@each_backbone
def test_conv5_learns_in_its_own_form(name: str) -> None:
    backbone = load_backbone("random:0", name)
    tail = backbone.tail()
    conv5 = make_conv5(name, tail).train()
    assert {key: values.tolist() for key, values in conv5.to_3d(tail).items() if values.ndim == 1} == {
        key: values.tolist() for key, values in tail.items() if values.ndim == 1 and not key.startswith("fc.")
    }
    channels, time, height, width = backbone.feature_shape
    conv5(torch.rand(2, channels, time, height // 2, width // 2)).sum().backward()
    assert all(parameter.grad is not None for parameter in conv5.parameters())
    with torch.no_grad():
        for parameter in conv5.parameters():
            parameter.add_(1)
    after = conv5.to_3d(tail)
    assert after.keys() == {key for key in tail if not key.startswith("fc.")}
    for key, values in after.items():
        if "running" not in key:
            np.testing.assert_allclose(values - tail[key], 1, atol=1e-6)
    np.testing.assert_array_equal(tail["fc.bias"], backbone.tail()["fc.bias"])


def test_resizing_is_part_of_the_spec() -> None:
    backbone = load_backbone("random:0", "r3d_18")
    own = backbone.spec("float16", 16, 16, {})
    assert own.preprocessing["before_crop"] == [128, 171]
    assert Preprocessing.from_dict(own.preprocessing) == backbone.preprocessing
    squashed = backbone.spec("float16", 16, 16, {}, resize="squash")
    assert squashed.preprocessing["resize"] == "squash"
    assert "before_crop" not in squashed.preprocessing
    assert backbone.spec("float16", 16, 16, {}, resize="crop") == own
    sampled = backbone.spec("float16", 8, 16, {}, fps=25.0, tail="loop")
    assert (sampled.fps, sampled.tail, sampled.stride) == (25.0, "loop", 8)


@pytest.mark.slow
def test_from_a_video_to_labels(tmp_path: Path) -> None:
    """Extract, train with conv5 and with fc alone, save, load, label another video."""
    backbone, store = load_backbone("random:0", "r3d_18"), tmp_path / "S"
    Extractor(store, backbone).extract(Job(write_video(tmp_path / "long.mov", 16)))
    stored = FeatureStore(store)
    assert stored["long"].read("conv4/plain").shape == (16, *backbone.feature_shape)
    assert (stored.spec.backbone, stored.spec.kind) == ("r3d_18", "kinetics400")
    annotated, vocabulary = annotate(tmp_path / "long.csv", 16)
    for tune in ("conv5", "fc"):
        out = tmp_path / tune
        settings = Settings(epochs=1, batch=8, tune=tune, regression=False)
        runs.train(store, [annotated], vocabulary, out, system="sm", split="random", settings=settings)
        assert load_model(out).head.predictor.architecture.backbone == "r3d_18"
        saved, before = load_file(out / "model.safetensors"), stored.tail()
        changed = {name for name in before.keys() & saved if not np.array_equal(saved[name], before[name])}
        assert changed == (before.keys() if tune == "conv5" else {"fc.weight", "fc.bias"})
        assert all(np.isfinite(values).all() for values in saved.values())
        # What is saved goes into torchvision's own layer.
        layer4 = get_model("r3d_18", weights=None).layer4
        own = {name.removeprefix("layer4."): torch.from_numpy(saved[name]) for name in saved if "layer4." in name}
        assert not layer4.load_state_dict(own, strict=False).unexpected_keys
    result = label(write_video(tmp_path / "short.mov", 2), tmp_path / "conv5", tmp_path / "short.csv", device="cpu")
    assert result["clips"] == 2
    assert result["gestures"].keys() == {"move"}
    assert (tmp_path / "short.csv").is_file()
