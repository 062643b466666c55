"""Folding and fusing keep any network's function, also where it is not built as ours are."""

import pytest
import torch
from networks import FAMILIES, trained_looking
from torch import nn
from torch.nn import functional

from extract.runtimes import onednn
from extract.runtimes.folding import fold
from extract.runtimes.inputs import BATCH

pytestmark = pytest.mark.skipif(not torch.backends.mkldnn.is_available(), reason="torch without oneDNN")


def convolution(channels_in: int = 8, channels: int = 8, **settings) -> nn.Conv3d:
    return nn.Conv3d(channels_in, channels, 3, **({"padding": 1} | settings))


class Net(nn.Module):
    """Two convolutions, two norms, and a forward to be given."""

    def __init__(self, **settings):
        super().__init__()
        self.first = convolution(3)
        self.one, self.two = convolution(**settings), convolution(**settings)
        self.norm, self.other_norm = nn.BatchNorm3d(8), nn.BatchNorm3d(8)
        self.relu = nn.ReLU(inplace=True)


class SumOfTwo(Net):
    def forward(self, x):
        x = self.first(x)
        return functional.relu(self.norm(self.one(x)) + self.other_norm(self.two(x)))


class InPlace(Net):
    def forward(self, x):
        x = self.relu(self.first(x))
        out = self.norm(self.one(x))
        out += x
        return self.relu(out)


class SumLast(Net):
    def forward(self, x):
        x = self.first(x)
        return x + self.one(x).relu()


class NoRelu(Net):
    def forward(self, x):
        x = self.first(x)
        return torch.add(self.one(x), x)


class Scaled(Net):
    """A sum that does more than add."""

    def forward(self, x):
        x = self.first(x)
        return torch.relu(torch.add(self.one(x), x, alpha=3))


class Constant(Net):
    def forward(self, x):
        return functional.relu(self.first(x) + 1)


class Broadcast(Net):
    def forward(self, x):
        x = self.first(x)
        return functional.relu(x.mean(dim=(2, 3, 4), keepdim=True) + self.one(x))


class BroadcastResult(Net):
    """A convolution whose result is the smaller term."""

    def forward(self, x):
        x = self.first(x)
        return functional.relu(self.one(x.mean(dim=(2, 3, 4), keepdim=True)) + x)


class Doubled(Net):
    """A sum with itself."""

    def forward(self, x):
        x = self.one(functional.relu(self.first(x)))
        return functional.relu(x + x)


class Twice(Net):
    """A result that is used before its norm, and by two norms."""

    def forward(self, x):
        y = self.one(self.first(x))
        return functional.relu(self.norm(y) + self.other_norm(y))


class LongShortcut(Net):
    """What comes after the pooling needs what was before it."""

    def forward(self, x):
        x = self.relu(self.first(x))
        small = functional.max_pool3d(x, 2)
        return self.relu(self.norm(self.one(small)) + functional.avg_pool3d(x, 2))


class Shared(Net):
    """One convolution under two norms."""

    def forward(self, x):
        x = self.first(x)
        return self.other_norm(self.one(functional.relu(self.norm(self.one(x)))))


class NormFirst(Net):
    def forward(self, x):
        return self.one(self.relu(self.norm(self.first(x)))) + self.two(self.relu(self.other_norm(self.first(x))))


def filled(network: nn.Module) -> nn.Module:
    generator = torch.Generator().manual_seed(0)
    for module in network.modules():
        if isinstance(module, nn.BatchNorm3d):
            for values in (module.weight, module.bias, module.running_mean):
                nn.init.uniform_(values, -1, 1, generator=generator)
            nn.init.uniform_(module.running_var, 0.3, 3, generator=generator)
        elif isinstance(module, nn.Conv3d):
            nn.init.normal_(module.weight, 0, 0.2, generator=generator)
            if module.bias is not None:
                nn.init.uniform_(module.bias, -1, 1, generator=generator)
    return network.eval()


def in_stages(network: nn.Module, x: torch.Tensor) -> torch.Tensor:
    for at_once, stage in onednn.stages(fold(network), x[:1]):
        x = torch.cat([stage(piece) for piece in x.split(at_once)])
    return x


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"bias": False},
        {"groups": 4},
        {"padding": 2, "dilation": 2},
        {"padding": "same"},
        {"padding_mode": "circular"},
    ],
    ids=str,
)
@pytest.mark.parametrize(
    "kind",
    [
        SumOfTwo,
        InPlace,
        SumLast,
        NoRelu,
        Scaled,
        Constant,
        Broadcast,
        BroadcastResult,
        Doubled,
        Twice,
        LongShortcut,
        Shared,
        NormFirst,
    ],
)
@pytest.mark.parametrize("kept", [1 << 10, 50_000, 32 << 20])  # clip by clip, cut after pooling, all at once
def test_any_network_keeps_its_function(kind, settings, kept, monkeypatch):
    monkeypatch.setattr(onednn, "_KEPT", kept)
    network = filled(kind(**settings))
    before = {name: value.clone() for name, value in network.state_dict().items()}
    x = torch.randn((11, 3, 4, 10, 10), generator=torch.Generator().manual_seed(1))
    given = x.clone()
    with torch.inference_mode():
        expected = network(x.clone())
        assert expected.std() > 0.1
        tolerance = {"atol": 1e-5 * float(expected.abs().max()), "rtol": 0}
        torch.testing.assert_close(fold(network)(x.clone()), expected, **tolerance)
        torch.testing.assert_close(in_stages(network, x), expected, **tolerance)
    assert torch.equal(x, given)
    assert all(torch.equal(value, before[name]) for name, value in network.state_dict().items())


@pytest.mark.parametrize("family", FAMILIES, ids="-".join)
def test_the_backbones_are_fused_throughout(family):
    backbone = trained_looking(*family)
    folded = fold(backbone.trunk)
    kinds = {type(module) for module in folded.modules()}
    assert not [kind for kind in kinds if issubclass(kind, nn.BatchNorm3d)]
    convolutions = len([module for module in folded.modules() if isinstance(module, nn.Conv3d)])
    with torch.inference_mode():
        stages = onednn.stages(folded, torch.zeros(1, 3, 16, 112, 112))
    left = [module for _, stage in stages for module in stage.modules() if not list(module.children())]
    assert len([module for module in left if isinstance(module, onednn._Convolution)]) == convolutions
    assert not [module for module in left if isinstance(module, (nn.Conv3d, nn.BatchNorm3d, nn.ReLU))]
    sums = [node for _, stage in stages for node in stage.graph.nodes if node.target in onednn._SUMS]
    assert sums == []


def test_only_the_large_activations_are_computed_for_few_clips():
    """conv1 gives 64 x 16 x 56 x 56 floats, 12.8 MB a clip: two fit into 32 MiB; after the pooling eight do."""
    with torch.inference_mode():
        stages = onednn.stages(fold(trained_looking("r3d34", "2018").trunk), torch.zeros(1, 3, 16, 112, 112))
        assert [at_once for at_once, _ in stages] == [2, BATCH]
        assert stages[0][1](torch.zeros(2, 3, 16, 112, 112)).shape == (2, 64, 8, 28, 28)
