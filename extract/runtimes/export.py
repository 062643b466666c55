"""The trunk as an ONNX file, kept in the cache so that it is exported once."""

import hashlib
import warnings
from pathlib import Path

import torch
from filelock import FileLock
from torch import Tensor, nn

from extract.runtimes.folding import fold
from extract.weights import Backbone, cache_folder
from store.errors import InputError
from store.files import sha256, write_atomically

EXPORT = 1  # raised when other code here makes another file of the same weights
INPUT, OUTPUT = "clips", "activations"
# The padding of later opsets is computed on the CPU by many versions of ONNX Runtime's CUDA provider.
_OPSET = 18


class _Half(nn.Module):
    """Computes in float16 between a float32 input and a float32 output."""

    def __init__(self, trunk: nn.Module):
        super().__init__()
        self.trunk = trunk.half()

    def forward(self, clips: Tensor) -> Tensor:
        return self.trunk(clips.half()).float()


def exported(backbone: Backbone, compute: str, batch: int) -> Path:
    """Return an ONNX file of a backbone's trunk, with batch norm folded; made if the cache has no sound one.

    Of several processes one exports, the others wait. A file that is not what was written is exported again.

    Parameters
    ----------
    backbone : Backbone
        The network.
    compute : {"float32", "tf32", "float16"}
        With ``float16`` the file computes in float16; input and output are float32 all the same.
    batch : int
        Number of clips that it takes: input ``clips`` (batch, 3, 16, size, size), normalised, output
        ``activations`` (batch, *feature_shape).

    Raises
    ------
    InputError
        If the cache folder cannot be written to.
    """
    precision = "float16" if compute == "float16" else "float32"
    folder = cache_folder().parent / "onnx"
    # All that decides what the file holds.
    name = f"{backbone.name}-{backbone.sha256[:16]}-{precision}-{batch}-torch-{torch.__version__}-{EXPORT}.onnx"
    file, digest = folder / name, folder / f"{name}.sha256"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with FileLock(folder / f"{name}.lock"):
            if not _sound(file, digest):
                content = _export(backbone, precision, batch)
                write_atomically(file, content)
                # Last, so that a file without it, left by a kill, counts as damaged.
                write_atomically(digest, f"{hashlib.sha256(content).hexdigest()}  {name}\n".encode())
    except OSError as error:
        raise InputError(f"{folder}: cannot be used ({error.strerror}); set CHIRONOMY_CACHE to another") from error
    return file


def _sound(file: Path, digest: Path) -> bool:
    return file.is_file() and digest.is_file() and digest.read_bytes()[:64] == sha256(file).encode()


def _export(backbone: Backbone, precision: str, batch: int) -> bytes:
    size = backbone.preprocessing.size
    trunk = fold(backbone.trunk)
    example = torch.zeros(batch, 3, 16, size, size)
    with warnings.catch_warnings(action="ignore"):  # the exporter's, of its own parts
        program = torch.onnx.export(
            _Half(trunk).eval() if precision == "float16" else trunk.eval(),
            (example,),
            dynamo=True,
            verbose=False,
            opset_version=_OPSET,
            input_names=[INPUT],
            output_names=[OUTPUT],
        )
    assert program is not None
    return program.model_proto.SerializeToString()
