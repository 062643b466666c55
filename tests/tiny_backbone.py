"""A family of backbones with one small member, ``tiny``, as somebody else might add it."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from extract import backbones

SIZE = 48  # of its pictures
MODULE = """
from torch import nn
from extract.backbones.design import Design, Preprocessing
from extract.download import Published


def block(channels_in, channels):
    convolution = nn.Conv3d(channels_in, channels, kernel_size=3, stride=2, padding=1, bias=False)
    return nn.Sequential(convolution, nn.BatchNorm3d(channels), nn.ReLU())


class Tiny(nn.Module):
    def __init__(self, outputs):
        super().__init__()
        self.low, self.middle, self.high = block(3, 8), block(8, 12), block(12, 20)
        self.pool = nn.AdaptiveMaxPool3d(1)
        self.last_linear = nn.Linear(20, outputs)

    def forward(self, x):
        return self.last_linear(self.pool(self.high(self.middle(self.low(x)))).flatten(1))


DESIGNS = (
    Design(
        name="tiny",
        kind="made-up",
        build=Tiny,
        outputs=(30,),
        trunk=("low", "middle"),
        conv5=("high", "pool"),
        fc="last_linear",
        feature_shape=(12, 4, 12, 12),
        preprocessing=Preprocessing((0.5, 0.4, 0.3), (0.2, 0.2, 0.2), 255.0, size=48),
        published=(Published("tiny.pth", "http://127.0.0.1:9/tiny.pth", "00112233"),),
    ),
)
"""


@contextmanager
def added(folder: Path) -> Iterator[None]:
    """Make ``tiny`` known from a module in an empty folder, for a while."""
    (folder / "tiny_family.py").write_text(MODULE)
    backbones.__path__.append(str(folder))
    backbones._by_name.cache_clear()
    yield
    backbones.__path__.remove(str(folder))
    backbones._by_name.cache_clear()
