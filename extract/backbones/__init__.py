"""The networks that stage one can run, one module per family.

A family is a module of this package that declares ``DESIGNS``; being there is all it takes to be found.
"""

import importlib
import pkgutil
from functools import cache

from extract.backbones.design import ByHand, Design, Preprocessing
from store.errors import InputError

__all__ = ["ByHand", "Design", "Preprocessing", "design", "designs", "names"]


@cache
def _by_name() -> dict[str, tuple[Design, ...]]:
    found: dict[str, tuple[Design, ...]] = {}
    for module in pkgutil.iter_modules(__path__, f"{__name__}."):
        for each in getattr(importlib.import_module(module.name), "DESIGNS", ()):
            found[each.name] = (*found.get(each.name, ()), each)
    return found


def names() -> tuple[str, ...]:
    """Return the names that ``--backbone`` takes, sorted."""
    return tuple(sorted(_by_name()))


def designs(name: str) -> tuple[Design, ...]:
    """Return a backbone's designs, one for each kind of its weights; random weights are of the first.

    Raises
    ------
    InputError
        If there is no backbone of that name.
    """
    if name not in _by_name():
        raise InputError(f"{name}: no such backbone; choose one of {', '.join(names())}")
    return _by_name()[name]


def design(name: str, kind: str) -> Design:
    """Return a backbone's design for one kind of weights.

    Raises
    ------
    InputError
        If there is no such backbone or kind.
    """
    for each in designs(name):
        if each.kind == kind:
            return each
    raise InputError(f"{name}: has no kind {kind}; choose one of {', '.join(each.kind for each in designs(name))}")
