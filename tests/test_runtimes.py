"""Whatever runs the trunk computes what the plain network computes, or is refused."""

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import onnxruntime
import pytest
import torch
from networks import FAMILIES, by_hand, moving_pictures, trained_looking

from extract.backbones import design
from extract.runtimes import Runtime, onednn, prepare, with_onnxruntime, with_torch
from extract.runtimes.export import exported
from extract.runtimes.folding import fold
from extract.runtimes.inputs import normalise
from extract.weights import Backbone
from store.errors import InputError

# How far each precision may be off, as a share of the largest activation.
ALLOWED = {"float32": 1e-5, "tf32": 5e-3, "float16": 5e-3}
no_gpu = pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
gpu = pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no GPU")
WAYS = [
    ("torch", "cpu", "float32"),
    ("onnxruntime", "cpu", "float32"),
    *(
        pytest.param(runtime, "cuda", compute, marks=gpu)
        for runtime in ("torch", "onnxruntime")
        for compute in ("float32", "tf32", "float16")
    ),
]


@pytest.fixture(scope="module")
def cache(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("CHIRONOMY_CACHE", str(tmp_path_factory.mktemp("cache")))
        yield


@pytest.fixture(scope="module", params=FAMILIES, ids="-".join)
def family(request, cache) -> Iterator[tuple[Backbone, np.ndarray, np.ndarray]]:
    """A backbone, clips, and what the plain network makes of them.

    How clips become batches does not depend on the network: of the first there are more than fit into one, of the
    others, some of which take ten times as long, two, in batches of two.
    """
    backbone = trained_looking(*request.param)
    with pytest.MonkeyPatch.context() as patch:
        if request.param != FAMILIES[0]:
            patch.setattr(with_onnxruntime, "BATCH", 2)
        clips = moving_pictures(11 if request.param == FAMILIES[0] else 2)
        yield backbone, clips, by_hand(backbone, clips)


@pytest.fixture(scope="module")
def small(cache) -> tuple[Backbone, np.ndarray, np.ndarray]:
    backbone, clips = trained_looking("r3d34", "2018"), moving_pictures(2)
    return backbone, clips, by_hand(backbone, clips)


@pytest.mark.slow
@pytest.mark.parametrize(("name", "device", "compute"), WAYS)
def test_equals_the_plain_network(family, name, device, compute):
    backbone, clips, expected = family
    before = {key: value.clone() for key, value in backbone.network.state_dict().items()}
    given = clips.copy()
    runtime = prepare(backbone, device, name, compute)
    assert expected.std() > 0.1
    allowed = ALLOWED[compute] * np.abs(expected).max()
    for count in (1, 8, 11) if len(clips) == 11 else (2,):
        found = runtime.run(clips[:count])
        assert (found.shape, found.dtype) == ((count, *backbone.feature_shape), np.float32)
        assert found.flags.c_contiguous
        np.testing.assert_allclose(found, expected[:count], atol=allowed, rtol=0)
    np.testing.assert_allclose(runtime.reference(clips), expected, atol=1e-5 * np.abs(expected).max(), rtol=0)
    assert 0 < runtime.check(clips[:1]) <= allowed
    # What was given is as it was.
    assert all(torch.equal(value, before[key]) for key, value in backbone.network.state_dict().items())
    assert np.array_equal(clips, given)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["torch", "onnxruntime"])
def test_prepared_twice_gives_the_same_bytes(small, name):
    """Or a resumed recording would differ from an uninterrupted one."""
    backbone, clips, _ = small
    assert prepare(backbone, "cpu", name).run(clips).tobytes() == prepare(backbone, "cpu", name).run(clips).tobytes()


@no_gpu
def test_auto_without_a_gpu_is_torch(small):
    runtime = prepare(small[0])
    assert runtime.describe() == {
        "runtime": "torch",
        "runtime_version": torch.__version__,
        "runtime_device": "cpu",
        "runtime_precision": "float32",
    }


@pytest.mark.slow
def test_onnxruntime_says_what_it_is_and_is_silent(small, capfd):
    runtime = prepare(small[0], "cpu", "onnxruntime")
    runtime.run(small[1])
    assert tuple(runtime.describe().values()) == ("onnxruntime", onnxruntime.__version__, "cpu", "float32")
    assert capfd.readouterr() == ("", "")


@pytest.mark.slow
def test_the_float16_export_computes_in_float16(small):
    """Here on the CPU, where ONNX Runtime computes it, too; `prepare` takes it to a GPU."""
    backbone, clips, expected = small
    found = with_onnxruntime.prepared(backbone, "cpu", "float16", ())(clips)
    difference = np.abs(found - expected).max() / np.abs(expected).max()
    assert 1e-5 < difference < ALLOWED["float16"]


def test_without_the_private_operators_the_folded_network_runs(small, monkeypatch):
    backbone, clips, expected = small
    monkeypatch.setattr(torch.ops, "mkldnn", object())
    with pytest.raises(AttributeError):
        onednn.stages(fold(backbone.trunk), torch.zeros(1, 3, 16, 112, 112))
    found = prepare(backbone, "cpu", "torch").run(clips)
    np.testing.assert_allclose(found, expected, atol=1e-5 * np.abs(expected).max(), rtol=0)


@pytest.mark.parametrize("precision", ["float32", "tf32", "float16"])
def test_a_runtime_that_computes_something_else_is_refused(precision):
    right = np.random.default_rng(0).normal(0, 1, (1, 256, 2, 7, 7)).astype(np.float32)
    clips = np.zeros((1, 16, 112, 112, 3), np.uint8)
    wrong = [right * 1.01, right * np.float32(np.nan), np.zeros_like(right), right[:, ::-1], right[:, :, ::-1]]
    for values in wrong:
        broken = Runtime("torch", "0", "cpu", precision, lambda _, values=values: values, lambda _: right)
        with pytest.raises(InputError, match=r"^torch 0 on cpu: computes .*; choose another --runtime or --device$"):
            broken.check(clips)
    assert replace(broken, run=lambda _: right).check(clips) == 0


@no_gpu
@pytest.mark.parametrize("runtime", ["auto", "torch", "onnxruntime"])
def test_no_gpu(runtime):
    backbone = Backbone(torch.nn.Identity(), design("r3d34", "2018"), "made.pth", "0" * 64)
    with pytest.raises(InputError, match=r"^--device cuda: torch finds no GPU here; use --device cpu$"):
        prepare(backbone, "cuda", runtime)
    for compute in ("tf32", "float16"):
        with pytest.raises(InputError, match=rf"^compute {compute}: only a GPU .*; use float32 on a CPU$"):
            prepare(backbone, "auto", runtime, compute)


def test_names_that_do_not_exist():
    backbone = Backbone(torch.nn.Identity(), design("r3d34", "2018"), "made.pth", "0" * 64)
    for wrong in ({"device": "gpu"}, {"runtime": "tensorflow"}, {"compute": "bfloat16"}, {"device": ""}):
        [(name, value)] = wrong.items()
        with pytest.raises(InputError, match=rf"^{name} {value}: there is none of that name; use auto or one of \w+, "):
            prepare(backbone, **wrong)
    with pytest.raises(InputError, match=r"^--runtime torch: has no execution providers; .*--runtime onnxruntime$"):
        prepare(backbone, "cpu", "torch", providers=["TensorrtExecutionProvider"])


@pytest.mark.slow
@no_gpu
@pytest.mark.parametrize("runtime", ["auto", "onnxruntime"])
@pytest.mark.parametrize(
    "provider", ["CUDAExecutionProvider", ("CUDAExecutionProvider", {"use_tf32": "0"}), "NoSuchExecutionProvider"]
)
def test_a_provider_that_does_not_run_is_refused(small, runtime, provider, capfd):
    name = provider if isinstance(provider, str) else provider[0]
    with pytest.raises(InputError, match=rf"^--runtime onnxruntime: {name} of .*, or use --runtime torch$") as refusal:
        prepare(small[0], "cpu", runtime, providers=[provider])
    assert "\n" not in str(refusal.value)
    assert capfd.readouterr() == ("", "")


@pytest.mark.slow
@no_gpu
def test_a_session_for_the_gpu_never_falls_back(small):
    file = exported(small[0], "float32", 8)
    with pytest.raises(InputError, match=r"^--runtime onnxruntime: CUDAExecutionProvider of [^\n]*$"):
        with_onnxruntime._session(file, [("CUDAExecutionProvider", {"use_tf32": "1"})])


def settings() -> dict[str, object]:
    cudnn, cuda = torch.backends.cudnn, torch.backends.cuda
    return {
        "convolution": cudnn.conv.fp32_precision,
        "cudnn": cudnn.fp32_precision,
        "allow": cudnn.allow_tf32,
        "product": cuda.matmul.fp32_precision,
        "generic": torch.backends.fp32_precision,
        "deterministic": cudnn.deterministic,
        "benchmark": cudnn.benchmark,
        "matmul": torch.get_float32_matmul_precision(),
        "threads": torch.get_num_threads(),
        "gradients": torch.is_grad_enabled(),
        "random": torch.get_rng_state().tolist(),
    }


def test_precision_is_set_only_while_it_computes():
    """Training in the same process must not compute in TF32 because extraction did."""
    before = settings()
    for precision in ("tf32", "ieee"):
        with with_torch._convolutions(precision):
            assert torch.backends.cudnn.conv.fp32_precision == precision
            assert torch.backends.cudnn.deterministic
            assert torch.backends.cuda.matmul.fp32_precision == before["product"]
        assert settings() == before
        with pytest.raises(KeyboardInterrupt), with_torch._convolutions(precision):
            raise KeyboardInterrupt
        assert settings() == before


@pytest.mark.slow
@pytest.mark.parametrize(("name", "device", "compute"), WAYS)
def test_preparing_and_running_leave_no_setting_behind(small, name, device, compute):
    before = settings()
    prepare(small[0], device, name, compute).run(small[1])
    assert settings() == before


def test_normalise_by_hand():
    clips = torch.zeros((1, 16, 2, 2, 3), dtype=torch.uint8)
    clips[0, 3, 1, 0] = torch.tensor((255, 100, 51))
    x = normalise(clips, design("r3d34", "2018").preprocessing)
    assert x.shape == (1, 3, 16, 2, 2)
    np.testing.assert_allclose(x[0, :, 3, 1, 0], [255 - 114.7748, 100 - 107.7354, 51 - 99.475], rtol=1e-6)
    np.testing.assert_allclose(x[0, :, 0, 0, 0], [-114.7748, -107.7354, -99.475], rtol=1e-6)
    x = normalise(clips, design("r3d34", "2020").preprocessing)
    # (1 - .4345) / .2768, (100 / 255 - .4051) / .2713, (.2 - .3775) / .2737
    np.testing.assert_allclose(x[0, :, 3, 1, 0], [2.0429913, -0.0477072, -0.6485203], rtol=1e-4)
