"""Weights out of an ONNX file of the whole network, whatever its tensors are called.

Exporters name tensors as they please and fold batch norm into the convolutions or not, but all keep the order of
the layers. So layers are matched by their order and their shapes, and then the file's own graph is run on one
clip: what does not compute the same is refused.
"""

import logging
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from extract.backbones import Preprocessing
from store.errors import InputError

# Largest difference that rounding can explain, as a share of the largest output.
_TOLERANCE = 1e-3
_EPSILON = 1e-5  # of batch norm where a file does not say

_log = logging.getLogger(__name__)


@dataclass
class Layer:
    """A convolution or linear layer of the file.

    Parameters
    ----------
    weight : ndarray
        As torch shapes it.
    bias : ndarray or None
        One number per output.
    norm : tuple of ndarray, optional
        Scale, bias, mean and variance of the batch norm behind it.
    epsilon : float
        What that batch norm adds to the variance.
    """

    weight: NDArray[np.float32]
    bias: NDArray[np.float32] | None
    norm: tuple[NDArray[np.float32], ...] | None = None
    epsilon: float = 0.0


def read_layers(file: Path) -> list[Layer]:
    """Return the layers of an ONNX file, in the order in which it computes them.

    Where batch norm is folded into the convolutions a warning is logged: stage two, which trains with it, then
    starts from less than the checkpoint has.

    Raises
    ------
    InputError
        If it is not an ONNX file, or keeps its weights in other files, which are never read.
    """
    import onnx
    from google.protobuf.message import DecodeError

    try:
        model = onnx.load(file, load_external_data=False)
    except (DecodeError, ValueError) as error:
        raise InputError(f"{file}: not an ONNX file, or a damaged one; name another file") from error
    if _any_external(model):
        raise InputError(f"{file}: keeps its weights in another file; export it again as a single one")
    try:
        layers = list(_layers(model.graph))
    except (ValueError, TypeError, IndexError) as error:
        raise InputError(f"{file}: its weights cannot be read ({error!s:.80}); name another file") from error
    if all(layer.norm is None for layer in layers):
        _log.warning(
            "%s: its batch norm is folded into the convolutions, so training conv5 starts without its statistics; "
            "take the checkpoint file instead if you have it",
            file,
        )
    return layers


def name_layers(layers: list[Layer], network: nn.Module) -> dict[str, Tensor]:
    """Return a file's layers as a state dict of a network, whose layers they become one after the other.

    Neither shapes nor their number are looked at. Batch norm that was folded into the convolutions becomes one
    that only adds the bias.
    """
    modules = [
        (name, module)
        for name, module in network.named_modules()
        if isinstance(module, nn.Conv3d | nn.BatchNorm3d | nn.Linear)
    ]
    behind = {name: follower for (name, _), follower in pairwise(modules)}
    own = [name for name, module in modules if not isinstance(module, nn.BatchNorm3d)]
    surplus = [f"layer {number}" for number in range(len(own), len(layers))]
    state: dict[str, NDArray[np.float32] | None] = {}
    for name, layer in zip([*own, *surplus], layers, strict=False):
        state[f"{name}.weight"] = layer.weight
        norm_name, norm = behind.get(name, ("", None))
        if isinstance(norm, nn.BatchNorm3d):
            state |= {f"{norm_name}.{part}": value for part, value in _norm(layer, norm.eps).items()}
        else:
            state[f"{name}.bias"] = layer.bias
    return {name: torch.from_numpy(np.array(value)) for name, value in state.items() if value is not None}


def check(file: Path, network: nn.Module, preprocessing: Preprocessing) -> None:
    """Run the file's own graph and the network made from it on a clip of noise.

    Raises
    ------
    InputError
        If the graph cannot be run, or the outputs differ by more than rounding.
    """
    import onnxruntime

    size = preprocessing.size
    noise = np.random.default_rng(0).uniform(0, 255 / preprocessing.scale, (1, 16, size, size, 3))
    clip = ((noise - preprocessing.mean) / preprocessing.std).transpose(0, 4, 1, 2, 3).astype(np.float32)
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4  # what goes wrong is said below, once
    try:
        session = onnxruntime.InferenceSession(file, options, providers=["CPUExecutionProvider"], enable_fallback=0)
        (outputs,) = session.run(None, {session.get_inputs()[0].name: clip})
    except Exception as error:  # its exceptions share no other base
        reason = " ".join(str(error).split())
        raise InputError(f"{file}: its graph cannot be run ({reason:.120}); name another file") from error
    with torch.inference_mode():
        expected = network(torch.from_numpy(clip)).numpy()
    if outputs.shape != expected.shape or not (np.abs(outputs - expected).max() <= _TOLERANCE * np.abs(expected).max()):
        raise InputError(f"{file}: computes something else than the backbone with its weights; name another file")


def _norm(layer: Layer, eps: float) -> dict[str, NDArray[np.float32]]:
    channels = len(layer.weight)
    bias = np.zeros(channels, np.float32) if layer.bias is None else layer.bias
    one = np.ones(channels, np.float32)
    scale, shift, mean, variance = layer.norm or (one, bias, bias, one)
    spread = variance + (np.float32(layer.epsilon) - np.float32(eps))  # 0 is added where both add the same
    return {"weight": scale, "bias": shift, "running_mean": mean - bias, "running_var": spread}


def _layers(graph: Any) -> Iterator[Layer]:
    constants = _Constants(graph)
    makers: dict[str, Layer] = {}  # by the name of what they give
    for node in graph.node:
        given, attributes = list(node.input), {each.name: each for each in node.attribute}
        if node.op_type == "Conv":
            makers[node.output[0]] = Layer(constants[given[1]], constants.get(given, 2))
        elif node.op_type == "Gemm":
            weight = constants[given[1]]
            turned = "transB" in attributes and attributes["transB"].i
            makers[node.output[0]] = Layer(weight if turned else weight.T, constants.get(given, 2))
        elif node.op_type == "MatMul" and given[1] in constants:
            makers[node.output[0]] = Layer(constants[given[1]].T, None)
        elif node.op_type == "BatchNormalization" and given[0] in makers:
            makers[given[0]].norm = tuple(constants[name] for name in given[1:5])
            makers[given[0]].epsilon = attributes["epsilon"].f if "epsilon" in attributes else _EPSILON
        elif node.op_type == "Add":
            for maker, value in (given, given[::-1]):
                if maker in makers and value in constants and makers[maker].weight.ndim == 2:
                    makers[maker].bias = constants[value]
    yield from makers.values()


class _Constants:
    """The constant tensors of a graph by name: initialisers, and what is made from them alone."""

    def __init__(self, graph: Any):
        from onnx import numpy_helper

        self._read = numpy_helper.to_array
        self._tensors = {tensor.name: tensor for tensor in graph.initializer}
        self._sources: dict[str, str] = {}
        self._turned: set[str] = set()
        for node in graph.node:
            if node.op_type == "Constant" and node.attribute and node.attribute[0].HasField("t"):
                self._tensors[node.output[0]] = node.attribute[0].t
            elif node.op_type in ("Identity", "Transpose") and node.input[0] in self:
                self._sources[node.output[0]] = node.input[0]
                if node.op_type == "Transpose":
                    self._turned.add(node.output[0])

    def __contains__(self, name: str) -> bool:
        return name in self._tensors or name in self._sources

    def __getitem__(self, name: str) -> NDArray[np.float32]:
        if name in self._sources:
            value = self[self._sources[name]]
            return value.T if name in self._turned else value
        if name not in self._tensors:
            raise ValueError(f"{name} is computed, not stored")
        return np.asarray(self._read(self._tensors[name]), np.float32)

    def get(self, names: list[str], index: int) -> NDArray[np.float32] | None:
        return self[names[index]] if index < len(names) and names[index] else None


def _any_external(message: Any) -> bool:
    """Return whether any tensor, however deep in a model, is kept in another file."""
    from google.protobuf.message import Message
    from onnx import TensorProto

    if isinstance(message, TensorProto):
        return message.data_location == TensorProto.EXTERNAL or len(message.external_data) > 0
    parts: Iterable[Any] = (value for field, value in message.ListFields() if field.message_type)
    return any(_any_external(each) for value in parts for each in ([value] if isinstance(value, Message) else value))
