"""The trunk run by torch: as it is, on a CPU, and on a GPU."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from extract.runtimes import onednn
from extract.runtimes.folding import fold
from extract.runtimes.inputs import BATCH, Run, normalise
from extract.weights import Backbone


def as_it_is(backbone: Backbone) -> Run:
    """Return the reference: the unchanged float32 network on the CPU."""
    trunk, preprocessing = backbone.trunk, backbone.preprocessing

    def run(clips: NDArray[np.uint8]) -> NDArray[np.float32]:
        with torch.inference_mode():
            return trunk(normalise(torch.from_numpy(clips), preprocessing)).contiguous().numpy()

    return run


def on_cpu(backbone: Backbone) -> Run:
    """Return the fastest float32 way here: oneDNN's fused steps, or where they fail the folded network."""
    size = backbone.preprocessing.size
    clip = np.zeros((1, 16, size, size, 3), np.uint8)
    try:
        with torch.inference_mode():
            example = normalise(torch.from_numpy(clip), backbone.preprocessing)
            run = _in_stages(backbone, onednn.stages(fold(backbone.trunk), example))
        run(clip)
    except (AttributeError, NotImplementedError, RuntimeError, TypeError):
        folded = fold(backbone.trunk).to(memory_format=torch.channels_last_3d)
        run = _in_stages(backbone, [(BATCH, folded)])
    return run


def _in_stages(backbone: Backbone, stages: Sequence[onednn.Stage]) -> Run:
    (at_once, first), *later = stages

    def run(clips: NDArray[np.uint8]) -> NDArray[np.float32]:
        with torch.inference_mode():
            pieces = torch.from_numpy(clips).split(at_once)
            x = torch.cat([first(normalise(piece, backbone.preprocessing)) for piece in pieces])
            for count, stage in later:
                x = torch.cat([stage(piece) for piece in x.split(count)])
            return x.contiguous().numpy()

    return run


def on_cuda(backbone: Backbone, compute: str) -> Run:
    """Return the folded network on the GPU; pixels go there as bytes.

    Parameters
    ----------
    backbone : Backbone
        The network.
    compute : {"float32", "tf32", "float16"}
        What convolutions are computed in.
    """
    dtype = torch.float16 if compute == "float16" else torch.float32
    trunk = fold(backbone.trunk).to("cuda", dtype, memory_format=torch.channels_last_3d)  # type: ignore[call-overload]

    def run(clips: NDArray[np.uint8]) -> NDArray[np.float32]:
        with torch.inference_mode(), _convolutions("tf32" if compute == "tf32" else "ieee"):
            pieces = [
                trunk(normalise(piece.to("cuda"), backbone.preprocessing).to(dtype)).float()
                for piece in torch.from_numpy(clips).split(BATCH)
            ]
            return torch.cat(pieces).contiguous().cpu().numpy()

    return run


@contextmanager
def _convolutions(float32: str) -> Iterator[None]:
    """Set cuDNN's way of computing convolutions, and set it back: training must not inherit it.

    Parameters
    ----------
    float32 : {"tf32", "ieee"}
        What float32 convolutions are computed in. The same kernel every time, or a resumed recording would
        differ from an uninterrupted one.
    """
    cudnn: Any = torch.backends.cudnn
    before = cudnn.conv.fp32_precision, cudnn.deterministic, cudnn.benchmark
    try:
        cudnn.conv.fp32_precision, cudnn.deterministic, cudnn.benchmark = float32, True, False
        yield
    finally:
        cudnn.conv.fp32_precision, cudnn.deterministic, cudnn.benchmark = before
