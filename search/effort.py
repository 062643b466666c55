"""What it costs an expert to correct predictions, and how much of the work that saves.

The expert has what was predicted and wants what is true. A predicted annotation is kept, with its boundaries moved
and its gesture changed where they are wrong, or deleted; what is missing is added. Which becomes which is chosen so
that all together costs least; one can only become another that it overlaps.
"""

import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import astuple, dataclass, fields, replace
from importlib.resources import files
from pathlib import Path
from typing import Self

import numpy as np
from numpy.typing import NDArray

from store.errors import InputError

Events = Mapping[str, Sequence[Sequence[float]]]  # begin and end in seconds, by gesture

_SLACK = 1e-6  # seconds: times are not exact in binary


@dataclass(frozen=True)
class Costs:
    """What an expert's work costs, in the work of adding one annotation (``search/effort.toml``).

    Parameters
    ----------
    add, delete, relabel : float
        Of an annotation.
    move : float
        Of one boundary.
    watch : float
        Of a second of video.
    tolerance : float
        Seconds by which a boundary may be off without being moved.
    """

    add: float
    delete: float
    relabel: float
    move: float
    watch: float
    tolerance: float

    def times(self, name: str, factor: float) -> Self:
        """Return the same with one of them multiplied."""
        return replace(self, **{name: getattr(self, name) * factor})


def load_costs(path: Path | None = None) -> Costs:
    """Read the costs from a TOML file; those of the package if none is given.

    Raises
    ------
    InputError
        If the file cannot be read, or is no such file.
    """
    source = files("search").joinpath("effort.toml") if path is None else path
    names = [field.name for field in fields(Costs)]
    try:
        read = tomllib.loads(source.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise InputError(f"{path}: cannot be read ({error}); give a TOML file as search/effort.toml") from None
    numbers = {name: value for name, value in read.items() if isinstance(value, int | float) and value >= 0}
    if sorted(numbers) != sorted(names) or len(read) != len(names):
        raise InputError(f"{path}: costs are {', '.join(names)}, each a number from 0 on, and nothing else")
    return Costs(**numbers)


@dataclass(frozen=True)
class Operations:
    """What an expert does to predictions.

    Parameters
    ----------
    kept : int
        Annotations that stay as they are.
    changed : int
        Annotations that stay with a boundary moved or another gesture.
    moved : int
        Boundaries moved.
    relabelled, deleted, added : int
        Annotations.
    """

    kept: int = 0
    changed: int = 0
    moved: int = 0
    relabelled: int = 0
    deleted: int = 0
    added: int = 0

    def __add__(self, other: "Operations") -> "Operations":
        return Operations(*(mine + theirs for mine, theirs in zip(astuple(self), astuple(other), strict=True)))

    def cost(self, costs: Costs) -> float:
        """Return what all that costs, the watching aside."""
        return (
            costs.move * self.moved
            + costs.relabel * self.relabelled
            + costs.delete * self.deleted
            + costs.add * self.added
        )


def operations(true: Events, predicted: Events, costs: Costs) -> Operations:
    """Return what turns predictions into the truth at the least cost.

    Parameters
    ----------
    true, predicted : mapping of str to sequence of (float, float)
        Begin and end of the annotations, in seconds, by gesture.
    costs : Costs
        What is chosen by.
    """
    want, wanted = _listed(true)
    have, had = _listed(predicted)
    if not (len(want) and len(have)):
        return Operations(deleted=len(have), added=len(want))
    moves = (np.abs(have[:, None] - want[None]) > costs.tolerance + _SLACK).sum(axis=2)
    other = had[:, None] != wanted[None]
    # What is gained over deleting the one and adding the other; nothing where they do not overlap.
    gained = costs.delete + costs.add - costs.move * moves - costs.relabel * other
    apart = (have[:, None, 0] >= want[None, :, 1]) | (want[None, :, 0] >= have[:, None, 1])
    same = (have[:, None] == want[None]).all(axis=2)  # of no length, say
    gained = np.where(apart & ~same, 0.0, gained)
    pairs = _best_pairs(np.maximum(gained, 0.0))
    rows, columns = np.array([pair for pair in pairs if gained[pair] > 0], np.intp).reshape(-1, 2).T
    changed = (moves[rows, columns] > 0) | other[rows, columns]
    return Operations(
        kept=int((~changed).sum()),
        changed=int(changed.sum()),
        moved=int(moves[rows, columns].sum()),
        relabelled=int(other[rows, columns].sum()),
        deleted=len(have) - len(rows),
        added=len(want) - len(rows),
    )


def saved(
    labelled: Events, rest: Events, predicted: Events, seconds: tuple[float, float], costs: Costs
) -> dict[str, float]:
    """Return how much of the work of annotating a recording is saved by annotating a part and correcting the rest.

    Parameters
    ----------
    labelled, rest : mapping of str to sequence of (float, float)
        What is true in the part that is annotated by hand, and in the rest.
    predicted : mapping of str to sequence of (float, float)
        In the rest.
    seconds : (float, float)
        How long the part and the rest last.
    costs : Costs
        What the work costs.

    Returns
    -------
    dict
        ``label``, ``review`` and ``correction``; ``manual``, the work without predictions; and ``saved``, the share
        of that, below 0 where predictions make more work than they save.
    """
    by_hand, to_add = (costs.add * sum(map(len, events.values())) for events in (labelled, rest))
    label, review = by_hand + costs.watch * seconds[0], costs.watch * seconds[1]
    correction = operations(rest, predicted, costs).cost(costs)
    manual = label + review + to_add
    share = 1 - (label + review + correction) / manual if manual else 0.0
    return {"label": label, "review": review, "correction": correction, "manual": manual, "saved": share}


def _best_pairs(gained: NDArray[np.float64]) -> list[tuple[int, int]]:
    from scipy.optimize import linear_sum_assignment

    rows, columns = linear_sum_assignment(gained, maximize=True)
    return [(int(row), int(column)) for row, column in zip(rows, columns, strict=True)]


def _listed(events: Events) -> tuple[NDArray[np.float64], NDArray[np.str_]]:
    """Return all events, (events, 2), and the gesture of each."""
    listed = [(stretch, name) for name, stretches in events.items() for stretch in stretches]
    return (
        np.array([stretch for stretch, _ in listed], np.float64).reshape(-1, 2),
        np.array([name for _, name in listed], np.str_),
    )
