"""A moving average of a network's weights: what is evaluated and kept (Polyak and Juditsky 1992)."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn


class Average:
    """The exponential moving average of a network's parameters.

    Parameters
    ----------
    network : Module
        Whose.
    decay : float
        Share that is kept at each update, once there have been some; less at first.
    """

    def __init__(self, network: nn.Module, decay: float):
        self._parameters: list[Tensor] = list(network.parameters())
        self._decay = decay
        self._updates = 0
        self._values: list[Tensor] = [parameter.detach().clone() for parameter in self._parameters]

    def update(self) -> None:
        """Take in the parameters as they are now."""
        self._updates += 1
        decay = min(self._decay, self._updates / (9 + self._updates))  # the start is forgotten sooner
        with torch.no_grad():
            torch._foreach_lerp_(self._values, self._parameters, 1 - decay)

    def state(self) -> dict[str, Any]:
        """Return what `load_state` needs."""
        return {"updates": self._updates, "values": self._values}

    def load_state(self, state: dict[str, Any]) -> None:
        """Go on from there."""
        self._updates = state["updates"]
        for value, kept in zip(self._values, state["values"], strict=True):
            value.copy_(kept)

    @contextmanager
    def applied(self) -> Iterator[None]:
        """Give the network the average in place of its own parameters, for a while."""
        own = [parameter.data for parameter in self._parameters]
        for parameter, value in zip(self._parameters, self._values, strict=True):
            parameter.data = value
        try:
            yield
        finally:
            for parameter, value in zip(self._parameters, own, strict=True):
                parameter.data = value
