"""What runs the frozen trunk, fast, and equal to the plain float32 network to rounding."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from extract.runtimes import with_onnxruntime, with_torch
from extract.runtimes.inputs import Run
from extract.weights import Backbone
from store.errors import InputError

# Largest difference from the reference that rounding can explain, as a share of the largest activation. Over the
# four networks, with random weights and with batch norms that do something, oneDNN's and ONNX Runtime's float32
# come to 3e-6; other kernels (Winograd, FFT) may lose some ten times as much. With every factor rounded to TF32 it
# is 0.8e-3 to 1.5e-3, with every intermediate result rounded to float16 1.2e-3 to 1.6e-3.
_TOLERANCES = {"float32": 1e-4, "tf32": 5e-3, "float16": 5e-3}


@dataclass(frozen=True)
class Runtime:
    """A trunk ready to run.

    Parameters
    ----------
    name, version, device, precision : str
        What computes, as recorded with each recording; `precision` is what convolutions are computed in.
    run : callable
        Maps frames (clips, 16, size, size, 3) uint8 to activations (clips, *feature_shape) float32.
    reference : callable
        The same by the unchanged float32 network on the CPU.
    """

    name: str
    version: str
    device: str
    precision: str
    run: Run
    reference: Run

    def describe(self) -> dict[str, str]:
        """Return what computes, JSON-ready; activations of two that differ in it are not mixed."""
        return {
            "runtime": self.name,
            "runtime_version": self.version,
            "runtime_device": self.device,
            "runtime_precision": self.precision,
        }

    def check(self, clips: NDArray[np.uint8]) -> float:
        """Return the largest absolute difference from the reference on real clips.

        Raises
        ------
        InputError
            If rounding cannot explain it.
        """
        expected = self.reference(clips)
        difference = float(np.abs(self.run(clips) - expected).max())
        if not difference <= _TOLERANCES[self.precision] * float(np.abs(expected).max()):
            raise InputError(
                f"{self.name} {self.version} on {self.device}: computes activations that are off by "
                f"{difference:.3g} from the reference; choose another --runtime or --device"
            )
        return difference


def prepare(
    backbone: Backbone,
    device: str = "auto",
    runtime: str = "auto",
    compute: str = "auto",
    providers: Sequence[with_onnxruntime.Provider] = (),
) -> Runtime:
    """Return the trunk of a backbone, ready to run on this machine.

    Parameters
    ----------
    backbone : Backbone
        The network; it is left as it is.
    device : {"auto", "cpu", "cuda"}
        ``auto`` takes the GPU if torch can use one.
    runtime : {"auto", "torch", "onnxruntime"}
        ``auto`` takes torch on a CPU, about twice as fast as ONNX Runtime, whose 3-D convolutions go through
        copies (``make bench`` measures it). On a GPU it takes ONNX Runtime with CUDA, and torch where that
        does not run; which of the two is faster has not been measured.
    compute : {"auto", "float32", "tf32", "float16"}
        What convolutions are computed in; on a CPU it is always float32. On a GPU ``auto`` is TF32: tensor
        cores several times as fast as float32, its range, and ten bits of each factor, as many as a store of
        float16 keeps of each result. ``float16`` is faster still, but overflows beyond 65,504.
    providers : sequence
        Only for ONNX Runtime: execution providers to be tried before its own, names or (name, options), as
        ``[("TensorrtExecutionProvider", {"trt_engine_cache_enable": "1"})]``.

    Raises
    ------
    InputError
        If what is asked for cannot be had here, or not together.
    """
    device = _choose("device", device, ("cpu", "cuda"), "cuda" if torch.cuda.is_available() else "cpu")
    if device == "cuda" and not torch.cuda.is_available():
        raise InputError("--device cuda: torch finds no GPU here; use --device cpu")
    compute = _choose("compute", compute, tuple(_TOLERANCES), "tf32" if device == "cuda" else "float32")
    if device == "cpu" and compute != "float32":
        raise InputError(f"compute {compute}: only a GPU computes in it; use float32 on a CPU")
    if runtime == "auto" and device == "cuda":
        try:
            return _onnxruntime(backbone, device, compute, providers)
        except InputError:
            if providers:
                raise
    runtime = _choose("runtime", runtime, ("torch", "onnxruntime"), "onnxruntime" if providers else "torch")
    if runtime == "onnxruntime":
        return _onnxruntime(backbone, device, compute, providers)
    if providers:
        raise InputError("--runtime torch: has no execution providers; leave them out, or use --runtime onnxruntime")
    run = with_torch.on_cpu(backbone) if device == "cpu" else with_torch.on_cuda(backbone, compute)
    return Runtime("torch", torch.__version__, _describe(device), compute, run, with_torch.as_it_is(backbone))


def _choose(name: str, value: str, choices: Sequence[str], automatic: str) -> str:
    if value == "auto":
        return automatic
    if value not in choices:
        raise InputError(f"{name} {value}: there is none of that name; use auto or one of {', '.join(choices)}")
    return value


def _describe(device: str) -> str:
    return device if device == "cpu" else torch.cuda.get_device_name()


def _onnxruntime(
    backbone: Backbone, device: str, compute: str, providers: Sequence[with_onnxruntime.Provider]
) -> Runtime:
    run = with_onnxruntime.prepared(backbone, device, compute, providers)
    return Runtime(
        name="onnxruntime",
        version=with_onnxruntime.version(),
        device=", ".join([_describe(device), *map(with_onnxruntime.name, providers)]),
        precision=compute,
        run=run,
        reference=with_torch.as_it_is(backbone),
    )
