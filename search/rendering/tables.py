"""Tables, before it is decided how they are written."""

from collections.abc import Mapping
from dataclasses import dataclass, field

BASELINES = {"probe": "probe", "always": "always", "chance": "chance"}  # as results name them: as tables do


@dataclass(frozen=True)
class Cell:
    """A score, beside all that it has to be read with.

    Parameters
    ----------
    value : float, optional
        The score of this run; None where there is none, with a reason.
    interval : tuple of float, optional
        Its 95 % interval; None where it is of one block of time alone.
    paper : float, optional
        The paper's figure.
    baselines : mapping
        The same score of what needs no network, by name.
    reason : str
        Why there is no value.
    """

    value: float | None
    interval: tuple[float, float] | None = None
    paper: float | None = None
    baselines: Mapping[str, float] = field(default_factory=dict)
    reason: str = ""

    def lines(self) -> list[str]:
        """Return the cell as text, the score first, then what stands under it."""
        if self.value is None:
            return ["–", self.reason, *self._paper()]
        interval = ["no interval" if self.interval is None else "[{:.2f}, {:.2f}]".format(*self.interval)]
        beside = [f"{name} {value:.2f}" for name, value in self.baselines.items()]
        return [f"{self.value:.2f}", *interval, *self._paper(), *beside]

    def _paper(self) -> list[str]:
        return [] if self.paper is None else [f"paper {self.paper:.2f}"]


Entry = Cell | str | int | float | None
Row = tuple[Entry, ...]


@dataclass(frozen=True)
class Table:
    """A table.

    Parameters
    ----------
    name : str
        Of its files, as ``table-7``.
    title : str
        What it shows.
    columns : tuple of str
        Heads; the first is that of the rows' names.
    rows : tuple of tuple
        A name, and an entry for each further column.
    notes : tuple of str
        What a reader has to know.
    """

    name: str
    title: str
    columns: tuple[str, ...]
    rows: tuple[Row, ...]
    notes: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if any(len(row) != len(self.columns) for row in self.rows):
            raise ValueError(f"{self.name}: a row has not as many entries as there are columns")


def plain(entry: Entry) -> str:
    """Return an entry that is no cell as text."""
    if entry is None:
        return ""
    return f"{entry:.2f}" if isinstance(entry, float) else str(entry)
