"""The trunk run by ONNX Runtime, on a CPU or on a GPU."""

import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray

from extract.runtimes.export import INPUT, OUTPUT, exported
from extract.runtimes.inputs import BATCH, Run, normalise
from extract.weights import Backbone
from store.errors import InputError

if TYPE_CHECKING:
    from onnxruntime import InferenceSession

Provider = str | tuple[str, dict[str, Any]]
_SILENT = 4  # severity from which ONNX Runtime writes to stderr: fatal


def version() -> str:
    """Return ONNX Runtime's version."""
    import onnxruntime

    return onnxruntime.__version__


def name(provider: Provider) -> str:
    """Return a provider's name, given with options or without."""
    return provider if isinstance(provider, str) else provider[0]


def prepared(backbone: Backbone, device: str, compute: str, providers: Sequence[Provider]) -> Run:
    """Return the exported trunk on a device; batches are padded to a fixed size.

    Parameters
    ----------
    backbone : Backbone
        The network.
    device : {"cpu", "cuda"}
        Where it runs.
    compute : {"float32", "tf32", "float16"}
        What convolutions are computed in.
    providers : sequence
        Execution providers that come before the device's own: names, or names with options.

    Raises
    ------
    InputError
        If one of the providers does not run here.
    """
    own = ("CUDAExecutionProvider", _cuda_options(compute)) if device == "cuda" else "CPUExecutionProvider"
    session = _session(exported(backbone, compute, BATCH), [*providers, own])
    compute_batch = _on_cuda if device == "cuda" else _on_cpu

    def run(clips: NDArray[np.uint8]) -> NDArray[np.float32]:
        found = np.empty((len(clips), *backbone.feature_shape), np.float32)
        with torch.inference_mode():
            for start in range(0, len(clips), BATCH):
                batch = clips[start : start + BATCH]
                found[start : start + BATCH] = compute_batch(session, backbone, _padded(batch))[: len(batch)]
        return found

    return run


def _padded(clips: NDArray[np.uint8]) -> NDArray[np.uint8]:
    return np.concatenate([clips, np.zeros((BATCH - len(clips), *clips.shape[1:]), np.uint8)])


def _cuda_options(compute: str) -> dict[str, str]:
    return {
        "device_id": str(torch.cuda.current_device()),
        "use_tf32": "1" if compute == "tf32" else "0",
        # Not the default, a race between kernels: another winner tomorrow would round differently, and a
        # resumed recording would differ from an uninterrupted one.
        "cudnn_conv_algo_search": "HEURISTIC",
    }


def _session(model: Path, providers: Sequence[Provider]) -> "InferenceSession":
    """Open a session that runs on the first of the providers or not at all."""
    import onnxruntime

    onnxruntime.set_default_logger_severity(_SILENT)
    options = onnxruntime.SessionOptions()
    options.log_severity_level = _SILENT
    options.use_deterministic_compute = True
    wanted = set(map(name, providers))
    if "CPUExecutionProvider" not in wanted:
        options.add_session_config_entry("session.disable_cpu_ep_fallback", "1")
    problem = ""
    try:
        with warnings.catch_warnings(action="ignore", category=UserWarning):  # of providers it was built without
            session = onnxruntime.InferenceSession(model, options, providers=list(providers), enable_fallback=0)
        missing = wanted - set(session.get_providers())
    except Exception as error:  # ONNX Runtime's own have no base in common
        missing, problem = wanted - {"CPUExecutionProvider"} or wanted, f" ({str(error).splitlines()[0]})"
    if missing:
        raise InputError(
            f"--runtime onnxruntime: {', '.join(sorted(missing))} of ONNX Runtime {onnxruntime.__version__} does not "
            f"run here{problem}; install what it needs, or use --runtime torch"
        )
    return session


def _on_cpu(session: "InferenceSession", backbone: Backbone, clips: NDArray[np.uint8]) -> NDArray[np.float32]:
    x = normalise(torch.from_numpy(clips), backbone.preprocessing).contiguous()
    return session.run([OUTPUT], {INPUT: x.numpy()})[0]


def _on_cuda(session: "InferenceSession", backbone: Backbone, clips: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Let the session read and write torch's memory of the GPU: pixels go there as bytes, nothing twice."""
    x = normalise(torch.from_numpy(clips).to("cuda"), backbone.preprocessing).contiguous()
    y = torch.empty((len(clips), *backbone.feature_shape), device="cuda")
    binding = session.io_binding()
    for bind, name, tensor in ((binding.bind_input, INPUT, x), (binding.bind_output, OUTPUT, y)):
        bind(name, "cuda", tensor.device.index, np.float32, tuple(tensor.shape), tensor.data_ptr())
    torch.cuda.current_stream().synchronize()  # the session has a stream of its own
    session.run_with_iobinding(binding)
    binding.synchronize_outputs()
    return y.cpu().numpy()
