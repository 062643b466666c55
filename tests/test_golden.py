"""Parity with the authors' published code: checkpoints, filled by formula, give the numbers it gives."""

from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

import av
import golden_weights
import numpy as np
import pytest
import torch
from golden_weights import GOLDEN, NORMALISED, OUTPUTS, STEP
from published import published_shapes

from extract.jobs import Job, Settings
from extract.pipeline import Extractor
from extract.weights import Backbone, load_backbone
from heads.conv5 import make_conv5
from store.features import FeatureStore


def state_dict(kind: str) -> dict[str, torch.Tensor]:
    shapes = published_shapes("A" if kind == "2018" else "B", OUTPUTS[kind])
    return {name: torch.from_numpy(golden_weights.weight(name, shape)) for name, shape in shapes.items()}


@pytest.fixture(scope="module", params=["2018", "2020"])
def backbone(request, tmp_path_factory) -> Iterator[Backbone]:
    """Loaded from files in the form in which each family is published."""
    state = state_dict(request.param)
    path = tmp_path_factory.mktemp("weights") / f"{request.param}.pth"
    if request.param == "2018":
        state = {f"module.{name}": value for name, value in state.items()}
        torch.save({"epoch": 200, "arch": "resnet-34", "state_dict": state, "optimizer": {}}, path)
    else:
        torch.save(state, path)
    yield load_backbone(str(path))
    path.unlink()  # a quarter of a gigabyte


def golden(name: str, kind: str) -> np.ndarray:
    return np.load(GOLDEN / f"{name}_{kind}.npy")


def assert_equal(found: np.ndarray, expected: np.ndarray, relative: float) -> None:
    """Each value to `relative` of itself; those near zero to a hundredth of that of the largest one."""
    np.testing.assert_allclose(found, expected, rtol=relative, atol=relative / 100 * np.abs(expected).max())


def test_conv4_and_outputs(backbone: Backbone) -> None:
    scale, mean, std = NORMALISED[backbone.kind]
    clip = ((golden_weights.clip() / scale - mean) / std).astype(np.float32).transpose(3, 0, 1, 2)[None]
    with torch.inference_mode():
        conv4 = backbone.trunk(torch.from_numpy(clip))
        outputs = backbone.network(torch.from_numpy(clip))[0]
        stage_two = make_conv5("r3d34", backbone.tail()).eval()(conv4)
        from_conv4 = torch.nn.functional.linear(
            stage_two, *(torch.tensor(backbone.tail()[f"fc.{part}"]) for part in ("weight", "bias"))
        )[0]
    assert conv4.shape == (1, 256, 2, 7, 7)
    assert_equal(conv4.numpy().ravel()[::STEP], golden("conv4", backbone.kind), 1e-3)
    for found in (outputs, from_conv4):
        assert_equal(found.numpy(), golden("outputs", backbone.kind), 1e-3)


@pytest.mark.parametrize(("precision", "relative"), [("float32", 1e-3), ("float16", 2**-11)])
def test_a_lossless_video_in_a_store(backbone: Backbone, precision: str, relative: float, tmp_path: Path) -> None:
    """The whole of stage one: file, decoder, preprocessing, runtime, store. The second clip is the first, turned."""
    frames = np.concatenate([golden_weights.clip(), golden_weights.clip()[::-1]])
    video = write_lossless(tmp_path / "video.mkv", frames)
    np.testing.assert_array_equal(decode(video), frames)  # else the numbers below mean nothing
    Extractor(tmp_path / "S", backbone, Settings(precision)).extract(Job(video))
    stored = FeatureStore(tmp_path / "S")["video"].read("conv4/plain")
    assert (stored.shape, stored.dtype) == ((2, 256, 2, 7, 7), precision)
    assert_equal(stored[0].astype(np.float32).ravel()[::STEP], golden("conv4", backbone.kind), relative)
    assert np.abs(stored[1].astype(np.float32) - stored[0]).max() > 0.1 * np.abs(stored[0]).max()


def write_lossless(path: Path, frames: np.ndarray) -> Path:
    with av.open(str(path), "w") as output:
        stream = output.add_stream("ffv1", rate=25)
        stream.height, stream.width = frames.shape[1:3]
        stream.pix_fmt = "bgr0"
        for index, picture in enumerate(frames):
            frame = av.VideoFrame.from_ndarray(picture).reformat(format="bgr0")
            frame.pts, frame.time_base = index, Fraction(1, 25)
            output.mux(stream.encode(frame))
        output.mux(stream.encode(None))
    return path


def decode(path: Path) -> np.ndarray:
    with av.open(str(path)) as container:
        return np.stack([frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)])
