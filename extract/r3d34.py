"""3D-ResNet34, the backbone of the paper (Section 5.2, Figure 3b).

Architecture and key names after K. Hara, H. Kataoka, Y. Satoh, "Can Spatiotemporal 3D CNNs Retrace the
History of 2D CNNs and ImageNet?", CVPR 2018, and H. Kataoka et al., "Would Mega-scale Datasets Further
Enhance Spatiotemporal 3D CNNs?", 2020, so that their published weights load by name.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional

BLOCKS = (3, 4, 6, 3)  # basic blocks of conv2_x to conv5_x
WIDTHS = (64, 128, 256, 512)


class ShortcutA(nn.Module):
    """Shortcut without parameters: strided subsample, missing channels zero (2018, "type A")."""

    def __init__(self, channels: int):
        super().__init__()
        self.channels = channels

    def forward(self, x: Tensor) -> Tensor:
        """Subsample x (N, C, T, H, W) by two in time and space and pad its channels."""
        x = x[:, :, ::2, ::2, ::2]
        return functional.pad(x, (0, 0, 0, 0, 0, 0, 0, self.channels - x.shape[1]))


def shortcut_b(channels_in: int, channels: int) -> nn.Sequential:
    """Shortcut with a 1x1x1 convolution, stride 2, and batch norm (2020, "type B")."""
    return nn.Sequential(
        nn.Conv3d(channels_in, channels, kernel_size=1, stride=2, bias=False), nn.BatchNorm3d(channels)
    )


class BasicBlock(nn.Module):
    """Two 3x3x3 convolutions and a shortcut (Figure 3a)."""

    def __init__(self, channels_in: int, channels: int, stride: int, downsample: nn.Module | None):
        super().__init__()
        self.conv1 = nn.Conv3d(channels_in, channels, kernel_size=3, stride=stride, padding=1, bias=False)
        self.bn1 = nn.BatchNorm3d(channels)
        self.conv2 = nn.Conv3d(channels, channels, kernel_size=3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm3d(channels)
        self.downsample = downsample

    def forward(self, x: Tensor) -> Tensor:
        """Map x (N, C_in, T, H, W) to (N, C, T/stride, H/stride, W/stride)."""
        shortcut = x if self.downsample is None else self.downsample(x)
        x = functional.relu(self.bn1(self.conv1(x)))
        return functional.relu(self.bn2(self.conv2(x)) + shortcut)


def _stage(index: int, shortcut: str) -> nn.Sequential:
    """Return conv{index + 2}_x; all but the first halve time and space in their first block."""
    channels_in, channels = WIDTHS[max(index - 1, 0)], WIDTHS[index]
    stride = 1 if index == 0 else 2
    downsample = None
    if stride == 2:
        downsample = ShortcutA(channels) if shortcut == "A" else shortcut_b(channels_in, channels)
    first = BasicBlock(channels_in, channels, stride, downsample)
    return nn.Sequential(first, *(BasicBlock(channels, channels, 1, None) for _ in range(BLOCKS[index] - 1)))


class R3D34(nn.Module):
    """The whole network; `trunk` is the frozen part, conv5 and fc are the tail that stage two trains.

    Parameters
    ----------
    shortcut : {"A", "B"}
        A for the weights of 2018, B for those of 2020.
    outputs : int
        Size of fc: 400 (2018), 700 or 1039 (2020).
    """

    def __init__(self, shortcut: str = "A", outputs: int = 400):
        super().__init__()
        self.conv1 = nn.Conv3d(3, 64, kernel_size=7, stride=(1, 2, 2), padding=3, bias=False)
        self.bn1 = nn.BatchNorm3d(64)
        self.maxpool = nn.MaxPool3d(kernel_size=3, stride=2, padding=1)
        self.layer1, self.layer2, self.layer3, self.layer4 = (_stage(i, shortcut) for i in range(4))
        self.fc = nn.Linear(512, outputs)

    def trunk(self, clips: Tensor) -> Tensor:
        """Return conv4's activations: (N, 3, 16, 112, 112) -> (N, 256, 2, 7, 7)."""
        x = self.maxpool(functional.relu(self.bn1(self.conv1(clips))))  # (N, 64, 8, 28, 28)
        return self.layer3(self.layer2(self.layer1(x)))

    def forward(self, clips: Tensor) -> Tensor:
        """Return the outputs of fc: (N, 3, 16, 112, 112) -> (N, outputs)."""
        return self.fc(self.layer4(self.trunk(clips)).mean(dim=(2, 3, 4)))


def initialise(network: R3D34, seed: int) -> None:
    """Fill a network with random weights, the same for the same seed, as Hara et al. initialise theirs.

    Convolutions get He's normal initialisation over their outputs, batch norm starts as the identity,
    fc uniformly in 1/sqrt(512). The global random state is left alone.
    """
    generator = torch.Generator().manual_seed(seed)
    for module in network.modules():
        if isinstance(module, nn.Conv3d):
            nn.init.kaiming_normal_(module.weight, mode="fan_out", generator=generator)
        elif isinstance(module, nn.Linear):
            bound = module.in_features**-0.5
            nn.init.uniform_(module.weight, -bound, bound, generator=generator)
            nn.init.uniform_(module.bias, -bound, bound, generator=generator)
