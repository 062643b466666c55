"""3D-ResNet34, the backbone of the paper (Section 5.2, Figure 3b).

Architecture and key names after K. Hara, H. Kataoka, Y. Satoh, "Can Spatiotemporal 3D CNNs Retrace the
History of 2D CNNs and ImageNet?", CVPR 2018, and H. Kataoka et al., "Would Mega-scale Datasets Further
Enhance Spatiotemporal 3D CNNs?", 2020, so that their published weights load by name.
"""

from functools import partial

from torch import Tensor, nn
from torch.nn import functional

from extract.backbones.design import ByHand, Design, Preprocessing
from extract.download import Published

BLOCKS = (3, 4, 6, 3)  # basic blocks of conv2_x to conv5_x
WIDTHS = (64, 128, 256, 512)


class ShortcutA(nn.Module):
    """Shortcut without parameters: strided subsample, missing channels zero (2018, "type A")."""

    def __init__(self, channels_in: int, channels: int):
        super().__init__()
        self.missing = channels - channels_in

    def forward(self, x: Tensor) -> Tensor:
        """Subsample x (N, C_in, T, H, W) by two in time and space and pad its channels."""
        return functional.pad(x[:, :, ::2, ::2, ::2], (0, 0, 0, 0, 0, 0, 0, self.missing))


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
        y = self.bn2(self.conv2(functional.relu(self.bn1(self.conv1(x)))))
        # The shortcut last, as in the authors' code: the layers of an exported file come in this order.
        return functional.relu(y + (x if self.downsample is None else self.downsample(x)))


def _stage(index: int, shortcut: str) -> nn.Sequential:
    """Return conv{index + 2}_x; all but the first halve time and space in their first block."""
    channels_in, channels = WIDTHS[max(index - 1, 0)], WIDTHS[index]
    stride = 1 if index == 0 else 2
    downsample = None
    if stride == 2:
        downsample = ShortcutA(channels_in, channels) if shortcut == "A" else shortcut_b(channels_in, channels)
    first = BasicBlock(channels_in, channels, stride, downsample)
    return nn.Sequential(first, *(BasicBlock(channels, channels, 1, None) for _ in range(BLOCKS[index] - 1)))


class R3D34(nn.Module):
    """The whole network; layer1 to layer4 are the paper's conv2 to conv5.

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
        self.relu = nn.ReLU()
        self.maxpool = nn.MaxPool3d(kernel_size=3, stride=2, padding=1)
        self.layer1, self.layer2, self.layer3, self.layer4 = (_stage(i, shortcut) for i in range(4))
        self.avgpool = nn.AdaptiveAvgPool3d(1)
        self.fc = nn.Linear(512, outputs)

    def forward(self, clips: Tensor) -> Tensor:
        """Return the outputs of fc: (N, 3, 16, 112, 112) -> (N, outputs)."""
        x = self.maxpool(self.relu(self.bn1(self.conv1(clips))))  # (N, 64, 8, 28, 28)
        x = self.layer4(self.layer3(self.layer2(self.layer1(x))))
        return self.fc(self.avgpool(x).flatten(1))


_TRUNK = ("conv1", "bn1", "relu", "maxpool", "layer1", "layer2", "layer3")
_CONV5 = ("layer4", "avgpool")
_FEATURES = (256, 2, 7, 7)

DESIGNS = (
    Design(
        name="r3d34",
        kind="2018",
        build=partial(R3D34, "A"),
        outputs=(400,),
        trunk=_TRUNK,
        conv5=_CONV5,
        feature_shape=_FEATURES,
        preprocessing=Preprocessing((114.7748, 107.7354, 99.4750), (1.0, 1.0, 1.0), 1.0),
        published=(
            # The authors' weights as hosted with pretorched-x; the name ends in the start of its SHA-256.
            Published(
                "resnet3d34_kinetics-133ec9c4.pth",
                "https://pretorched-x.csail.mit.edu/models/resnet3d34_kinetics-133ec9c4.pth",
                "133ec9c4",
            ),
            # The same as OpenCV's samples use them; the SHA-1 is that of its download_models.py.
            Published(
                "resnet-34_kinetics.onnx",
                "https://www.dropbox.com/s/065l4vr8bptzohb/resnet-34_kinetics.onnx?dl=1",
                "88897629e4abb0fddef939f0c2d668a4edeb0788",
                "sha1",
            ),
        ),
        by_hand=(
            ByHand(
                "https://drive.google.com/drive/folders/1zvl89AgFAApbH0At-gMuZSeQB_LpNP-M",
                ("resnet-34-kinetics.pth", "resnet-34-kinetics-cpu.pth"),
            ),
        ),
    ),
    Design(
        name="r3d34",
        kind="2020",
        build=partial(R3D34, "B"),
        outputs=(700, 1039),
        trunk=_TRUNK,
        conv5=_CONV5,
        feature_shape=_FEATURES,
        preprocessing=Preprocessing((0.4345, 0.4051, 0.3775), (0.2768, 0.2713, 0.2737), 255.0),
        by_hand=(
            ByHand(
                "https://drive.google.com/drive/folders/1xbYbZ7rpyjftI_KCk6YuL-XrfQDz7Yd4",
                ("r3d34_K_200ep.pth", "r3d34_KM_200ep.pth"),
            ),
        ),
    ),
)
