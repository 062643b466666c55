"""What runs the trunk computes what the plain network computes."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn

from extract.backbones import design
from extract.backbones.design import initialise
from extract.backbones.r3d34 import R3D34
from extract.runtimes import normalise, prepare
from extract.weights import Backbone
from store.errors import InputError


def trained_looking(shortcut: str) -> R3D34:
    """A network whose batch norms do something, as trained ones do."""
    network = R3D34(shortcut, 400)
    initialise(network, 0)
    generator = torch.Generator().manual_seed(1)
    for module in network.modules():
        if isinstance(module, nn.BatchNorm3d):
            for values, low, high in (
                (module.weight, 0.5, 1.5),
                (module.bias, -0.5, 0.5),
                (module.running_mean, -1, 1),
                (module.running_var, 0.3, 3),
            ):
                nn.init.uniform_(values, low, high, generator=generator)
    return network.eval()


@pytest.fixture(scope="module", params=[("A", "2018"), ("B", "2020")], ids=["A", "B"])
def backbone(request) -> Backbone:
    shortcut, kind = request.param
    return Backbone(trained_looking(shortcut), design("r3d34", kind), "made.pth", "0" * 64)


@pytest.fixture(scope="module")
def clips() -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (2, 16, 112, 112, 3), np.uint8)


def test_folded_equals_plain(backbone, clips):
    before = {name: value.clone() for name, value in backbone.network.layer2.state_dict().items()}
    runtime = prepare(backbone, "cpu")
    # The plain network on an input prepared here: (value / scale - mean) / std, channels first.
    preprocessing = backbone.preprocessing
    x = (clips / preprocessing.scale - np.array(preprocessing.mean)) / np.array(preprocessing.std)
    with torch.no_grad():
        expected = backbone.trunk(torch.from_numpy(np.moveaxis(x, -1, 1)).float()).numpy()
    assert expected.std() > 0.1
    found = runtime.run(clips)
    assert (found.shape, found.dtype) == ((2, 256, 2, 7, 7), np.float32)
    np.testing.assert_allclose(found, expected, atol=1e-5 * np.abs(expected).max(), rtol=0)
    np.testing.assert_allclose(runtime.reference(clips), expected, atol=1e-5 * np.abs(expected).max(), rtol=0)
    assert 0 < runtime.check(clips[:1]) <= 1e-5 * np.abs(expected).max()
    assert (runtime.name, runtime.version, runtime.device) == ("torch", torch.__version__, "cpu")
    # The network itself is as it was.
    assert all(torch.equal(value, before[name]) for name, value in backbone.network.layer2.state_dict().items())


def test_a_runtime_that_computes_something_else_is_refused(backbone, clips):
    runtime = prepare(backbone, "cpu")
    right = runtime.run(clips[:1])
    for wrong in (right * 1.01, right * np.float32(np.nan), np.zeros_like(right), right[:, ::-1]):
        broken = replace(runtime, run=lambda _, wrong=wrong: wrong, reference=lambda _: right)
        with pytest.raises(InputError, match=r"torch .* on cpu: computes .*; choose another --device"):
            broken.check(clips[:1])


def test_normalise_by_hand():
    clips = np.zeros((1, 16, 2, 2, 3), np.uint8)
    clips[0, 3, 1, 0] = (255, 100, 51)
    x = normalise(clips, design("r3d34", "2018").preprocessing)
    assert x.shape == (1, 3, 16, 2, 2)
    np.testing.assert_allclose(x[0, :, 3, 1, 0], [255 - 114.7748, 100 - 107.7354, 51 - 99.475], rtol=1e-6)
    np.testing.assert_allclose(x[0, :, 0, 0, 0], [-114.7748, -107.7354, -99.475], rtol=1e-6)
    x = normalise(clips, design("r3d34", "2020").preprocessing)
    # (1 - .4345) / .2768, (100 / 255 - .4051) / .2713, (.2 - .3775) / .2737
    np.testing.assert_allclose(x[0, :, 3, 1, 0], [2.0429913, -0.0477072, -0.6485203], rtol=1e-4)


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_no_gpu():
    backbone = Backbone(R3D34("A", 400), design("r3d34", "2018"), "made.pth", "0" * 64)
    with pytest.raises(InputError, match=r"--device cuda: .*; use --device cpu"):
        prepare(backbone, "cuda")
