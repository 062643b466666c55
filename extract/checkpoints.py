"""Files of weights: read, and told apart by the names and shapes that they hold."""

import warnings
from collections.abc import Callable, Iterator
from pathlib import Path

import torch
from torch import Tensor, nn

from extract.backbones import Design, designs, names
from store.errors import InputError

Reader = Callable[[nn.Module], dict[str, Tensor]]


def read_state(file: Path) -> dict[str, Tensor]:
    """Return a checkpoint's bare state dict, whether it was saved wrapped, from DataParallel, or as it is.

    Raises
    ------
    InputError
        If it is no checkpoint, or holds anything but plain data.
    """
    try:
        with warnings.catch_warnings(action="ignore", category=UserWarning):  # of a pickle it may refuse
            content = torch.load(file, map_location="cpu", weights_only=True)
    except Exception as error:  # torch leaves it to chance which one a damaged file raises
        raise InputError(f"{file}: not a PyTorch checkpoint of plain weights; name another file") from error
    if isinstance(content, dict) and isinstance(content.get("state_dict"), dict):
        content = content["state_dict"]
    if not isinstance(content, dict) or not all(
        isinstance(name, str) and isinstance(value, Tensor) for name, value in content.items()
    ):
        raise InputError(f"{file}: holds no state dict; name another file")
    return {name.removeprefix("module."): value for name, value in content.items()}


def fit(file: Path, backbone: str, read: Reader) -> tuple[Design, nn.Module]:
    """Return the design whose names, shapes and number of outputs a file has, and the network filled from it.

    Parameters
    ----------
    file : Path
        The file, for messages.
    backbone : str
        Whose weights are asked for.
    read : callable
        Gives the file's tensors as a network would name them; the network has no memory for weights.

    Raises
    ------
    InputError
        If no kind of the backbone's weights looks like that; another backbone's are named.
    """
    nearest: list[str] = []
    for design, network in _skeletons(backbone):
        state = read(network)
        problems = _differences(network, state)
        if not problems:
            return design, _fill(file, network, state)
        nearest = problems if not nearest or len(problems) < len(nearest) else nearest
    for other in names():
        if not all(_differences(network, read(network)) for _, network in _skeletons(other)):
            raise InputError(f"{file}: weights of {other}, not of {backbone}; add --backbone {other}")
    raise InputError(f"{file}: not weights of {backbone} ({nearest[0]}); name another file")


def _skeletons(backbone: str) -> Iterator[tuple[Design, nn.Module]]:
    """Yield the networks that published weights of a backbone belong to, without memory for the weights."""
    for design in designs(backbone):
        for outputs in design.outputs:
            with torch.device("meta"):
                network = design.build(outputs)
            yield design, network


def _differences(network: nn.Module, state: dict[str, Tensor]) -> list[str]:
    """Return what is wrong with tensors as a network's."""
    expected = {name: tuple(value.shape) for name, value in network.state_dict().items()}
    found = {name: tuple(value.shape) for name, value in state.items()}
    wrong = [
        f"no {name}" if name not in found else f"{name} is {_by(found[name])}, not {_by(shape)}"
        for name, shape in expected.items()
        if found.get(name) != shape and not name.endswith(".num_batches_tracked")  # not in files of 2018
    ]
    return wrong + [f"unknown {name}" for name in found if name not in expected]


def _by(shape: tuple[int, ...]) -> str:
    return "x".join(map(str, shape)) or "a number"


def _fill(file: Path, network: nn.Module, state: dict[str, Tensor]) -> nn.Module:
    """Return a network without memory filled with tensors of its shapes, in evaluation mode."""
    try:
        plain = {name: value.float() if value.is_floating_point() else value for name, value in state.items()}
        network.load_state_dict({name: value.contiguous() for name, value in plain.items()}, assign=True)
    except RuntimeError as error:  # sparse or quantised ones, say
        raise InputError(f"{file}: its tensors are not plain numbers; name another file") from error
    return network.eval()
