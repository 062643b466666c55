"""How fast the frozen trunk runs on the CPU: against this machine's limit, plain torch and ONNX Runtime.

Run with ``make bench``.

The limit is the machine's float32 matrix-multiply peak, measured in the same run, over the work that a clip
needs: 24.14 GFLOP nominally, 20.60 without the temporal taps that meet only zero padding. torch multiplies
matrices with MKL, which is slow on AMD processors, and convolves with oneDNN; so the best that oneDNN does here,
on a product and on a convolution that suit it, is measured too. A trunk can pass that a little, since its
kernels also leave out the taps that meet zeros above, below and beside the picture. The variants take turns, so
that a machine that slows down slows all of them.
"""

import math
import statistics
import time
from collections.abc import Callable

import numpy as np
import onnxruntime
import torch

from extract.runtimes import prepare
from extract.runtimes.export import INPUT, exported
from extract.runtimes.inputs import BATCH, normalise
from extract.weights import load_backbone

ROUNDS = 9
NEEDED = 20.60e9  # floating-point operations per clip
SIDE = 2048  # of the multiplied matrices
# The same product as a convolution of single pixels, and the trunk's kind of convolution with many channels.
PIXELS, POINTS = (1, SIDE, SIDE // 64, 64), (SIDE, SIDE, 1, 1)
VOLUME, CUBES = (2, 256, 8, 28, 28), (256, 256, 3, 3, 3)
# What the second needs, without the taps that meet only zero padding.
VOLUME_NEEDED = 2 * VOLUME[0] * CUBES[0] * CUBES[1] * math.prod(3 * side - 2 for side in VOLUME[2:])


def seconds(function: Callable[[], object]) -> float:
    """Return the time that a call takes."""
    began = time.perf_counter()
    function()
    return time.perf_counter() - began


def medians(variants: dict[str, Callable[[], object]], rounds: int) -> dict[str, float]:
    """Return each variant's median time; they take turns, and the first turn only warms up."""
    turns = [{name: seconds(function) for name, function in variants.items()} for _ in range(rounds + 1)]
    return {name: statistics.median(turn[name] for turn in turns[1:]) for name in variants}


def main() -> dict[str, float]:
    """Measure, print, and return the ratios by what the trunk is compared with; more is better."""
    backbone = load_backbone("random:0")
    runtime = prepare(backbone, "cpu", "torch")
    clips = np.random.default_rng(0).integers(0, 256, (BATCH, 16, 112, 112, 3), dtype=np.uint8)
    session = onnxruntime.InferenceSession(exported(backbone, "float32", BATCH), providers=["CPUExecutionProvider"])
    x = normalise(torch.from_numpy(clips), backbone.preprocessing).contiguous().numpy()
    matrix = torch.rand(SIDE, SIDE)
    pixels, points = (torch.rand(shape).to(memory_format=torch.channels_last) for shape in (PIXELS, POINTS))
    volume, cubes = (torch.rand(shape).to(memory_format=torch.channels_last_3d) for shape in (VOLUME, CUBES))
    with torch.inference_mode():
        median = medians(
            {
                "runtime": lambda: runtime.run(clips),
                "torch": lambda: runtime.reference(clips),
                "onnxruntime": lambda: session.run(None, {INPUT: x}),
                "matrix product": lambda: matrix @ matrix,
                "oneDNN product": lambda: torch.conv2d(pixels, points),
                "oneDNN convolution": lambda: torch.conv3d(volume, cubes, padding=1),
            },
            ROUNDS,
        )
    peak = 2 * SIDE**3 / median["matrix product"]
    onednn = max(2 * SIDE**3 / median["oneDNN product"], VOLUME_NEEDED / median["oneDNN convolution"])
    speed = BATCH / median["runtime"]
    ratios = {
        "limit": speed * NEEDED / peak,
        "oneDNN": speed * NEEDED / onednn,
        "torch": median["torch"] / median["runtime"],
        "onnxruntime": median["onnxruntime"] / median["runtime"],
    }
    print(f"trunk on the CPU: {speed:.1f} clips/s, {speed * NEEDED / 1e9:.0f} GFLOP/s (medians of {ROUNDS} turns)")
    print(
        f"  {ratios['limit']:.2f} of the limit, {peak / NEEDED:.1f} clips/s, by torch's matrix product (wanted: 0.90)"
    )
    print(f"  {ratios['oneDNN']:.2f} of {onednn / NEEDED:.1f} clips/s, by the best that oneDNN does here")
    print(f"  {ratios['torch']:.2f} x plain torch (wanted: 1.25)")
    print(f"  {ratios['onnxruntime']:.2f} x ONNX Runtime as it comes, its input made beforehand (wanted: 1.60)")
    print(f"  largest difference from plain torch: {runtime.check(clips[:1]):.2g}")
    return ratios


if __name__ == "__main__":
    main()
