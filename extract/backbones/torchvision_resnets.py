"""torchvision's 18-layer video networks with its official Kinetics-400 weights.

After D. Tran et al., "A Closer Look at Spatiotemporal Convolutions for Action Recognition", CVPR 2018. Unlike
3D-ResNet34 they do not pool after their first convolution, so their layer3 gives twice as many rows and columns.

torchvision takes more than a second to import, so it is asked only when a network is built; what its weights
are and how their frames were prepared stands here, and a test compares it with torchvision's own tables.
"""

from functools import partial

from torch import nn

from extract.backbones.design import Design, Preprocessing
from extract.download import Published


def _build(name: str, outputs: int) -> nn.Module:
    from torchvision.models import video

    return getattr(video, name)(weights=None, num_classes=outputs)


def _design(name: str, sha256: str, frames: int) -> Design:
    file = f"{name}-{sha256}.pth"
    return Design(
        name=name,
        kind="kinetics400",
        build=partial(_build, name),
        outputs=(400,),
        trunk=("stem", "layer1", "layer2", "layer3"),
        conv5=("layer4", "avgpool"),
        feature_shape=(256, frames, 14, 14),
        preprocessing=Preprocessing(
            (0.43216, 0.394666, 0.37645), (0.22803, 0.22145, 0.216989), 255.0, before_crop=(128, 171)
        ),
        published=(Published(file, f"https://download.pytorch.org/models/{file}", sha256),),
    )


DESIGNS = (
    _design("r3d_18", "b3b3357e", frames=4),
    _design("mc3_18", "a90a0ba3", frames=16),  # its convolutions keep all frames from layer2 on
    _design("r2plus1d_18", "91a641e6", frames=4),
)
