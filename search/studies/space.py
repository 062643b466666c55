"""The space of a search: which settings are tried, between which ends, read from a TOML file and asked of Optuna."""

import importlib.resources
import json
import tomllib
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from heads.settings import CHOICES, SYSTEMS, Settings
from store.errors import InputError
from store.files import require_file

if TYPE_CHECKING:
    from optuna import Trial

SYSTEM = "system"
_DEFAULT = "default.toml"
_FIXED = ("seed", "tune", "clip_rule")  # said on the command line: trials with others could not be compared
_ALLOWED: Mapping[str, tuple[str, ...]] = {
    SYSTEM: tuple(SYSTEMS),
    **CHOICES,
}
_AT_MOST = {"dropout": 0.95, "average": 0.9999, "margin": 0.9, "sampler": 1.0}


@dataclass(frozen=True)
class Dimension:
    """One setting and the values it may have: between two ends, or some.

    Parameters
    ----------
    low, high : float, optional
        The ends, which are values too; whole numbers where the setting is one.
    log : bool
        Whether its order of magnitude is what counts.
    choices : tuple
        The values; empty where there are ends.
    """

    low: float | None = None
    high: float | None = None
    log: bool = False
    choices: tuple[Any, ...] = ()

    def holds(self, value: Any) -> bool:
        """Return whether a value is one of these."""
        if self.choices:
            return value in self.choices
        return self.low is not None and self.high is not None and self.low <= value <= self.high

    def ask(self, trial: "Trial", name: str) -> Any:
        """Return the value that a trial is to have."""
        if self.choices:
            words = [_word(value) for value in self.choices]
            return self.choices[words.index(trial.suggest_categorical(name, words))]
        assert self.low is not None
        assert self.high is not None
        if isinstance(getattr(Settings, name), int):
            return trial.suggest_int(name, int(self.low), int(self.high), log=self.log)
        return trial.suggest_float(name, self.low, self.high, log=self.log)


@dataclass(frozen=True)
class Space:
    """What is tried, by the setting's name.

    Parameters
    ----------
    dimensions : dict of Dimension
        By name, of `Settings` or ``system``.
    text : str
        The file, as it was written.
    """

    dimensions: dict[str, Dimension]
    text: str

    def without_sound(self) -> "Space":
        """Return the space for recordings of which none has sound.

        Raises
        ------
        InputError
            If no system is left.
        """
        systems = self.dimensions.get(SYSTEM)
        if systems is None:
            return self
        silent = tuple(name for name in systems.choices if SYSTEMS[name].fusion is None)
        if not silent:
            raise InputError("the search space has only systems that need sound, and none is stored; name others in it")
        return replace(self, dimensions={**self.dimensions, SYSTEM: Dimension(choices=silent)})

    def ask(self, trial: "Trial", system: str, settings: Settings) -> tuple[str, Settings]:
        """Return the system and settings of a trial: as given, but for what is in the space and matters."""
        found: dict[str, Any] = {SYSTEM: system}
        for name, dimension in self.dimensions.items():
            if _matters(name, found[SYSTEM], found.get("loss", settings.loss)):
                found[name] = dimension.ask(trial, name)
        return found.pop(SYSTEM), replace(settings, **found)

    def of(self, system: str, settings: Settings) -> dict[str, Any] | None:
        """Return certain settings as a trial's parameters, None where they lie outside."""
        values = asdict(settings) | {SYSTEM: system}
        chosen = {}
        for name, dimension in self.dimensions.items():
            if not _matters(name, system, settings.loss):
                continue
            if not dimension.holds(values[name]):
                return None
            chosen[name] = _word(values[name]) if dimension.choices else values[name]
        return chosen


def load_space(path: Path | None = None) -> Space:
    """Read a search space, the default one if no file is given.

    Raises
    ------
    InputError
        If the file cannot be read, or names what is no setting, or ends that are none.
    """
    if path is None:
        text = importlib.resources.files("search.studies").joinpath(_DEFAULT).read_text("utf-8")
        return Space(_dimensions(tomllib.loads(text), _DEFAULT), text)
    try:
        text = require_file(path).read_text("utf-8")
        return Space(_dimensions(tomllib.loads(text), path), text)
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise InputError(f"{path}: is no TOML file ({error}); correct it") from None


def _dimensions(tables: Mapping[str, Any], source: object) -> dict[str, Dimension]:
    known = [SYSTEM, *(field.name for field in fields(Settings) if field.name not in _FIXED)]
    for name in tables:
        if name not in known:
            raise InputError(f"{source}: {name} is no setting that can be searched for; there are {', '.join(known)}")
    if not tables:
        raise InputError(f"{source}: names no setting; give at least one, as [learning_rate]")
    # The system and the loss first: they decide what else matters.
    order = sorted(tables, key=lambda name: (name not in (SYSTEM, "loss"), name != SYSTEM))
    return {name: _dimension(name, tables[name], f"{source}: {name}") for name in order}


def _dimension(name: str, table: Any, where: str) -> Dimension:
    default = SYSTEM if name == SYSTEM else getattr(Settings, name)
    keys = {*table} if isinstance(table, dict) else set()
    if keys == {"choices"}:
        choices = table["choices"] if isinstance(table["choices"], list) else []
        values = tuple(tuple(each) if isinstance(each, list) else each for each in choices)
        if not values or not all(_fits(name, value, default) and _within(name, value, default) for value in values):
            allowed = f" among {', '.join(_ALLOWED[name])}" if name in _ALLOWED else f" like {_word(default)}"
            raise InputError(f"{where}: choices = [...] has to list values{allowed}")
        return Dimension(choices=values)
    if not {"from", "to"} <= keys <= {"from", "to", "log"}:
        raise InputError(f"{where}: give choices = [...], or from, to and perhaps log = true")
    low, high, log = table["from"], table["to"], table.get("log", False)
    if isinstance(default, bool | str | tuple) or not all(_fits(name, value, default) for value in (low, high)):
        raise InputError(f"{where}: from and to have to be numbers like {_word(default)}; or give choices = [...]")
    least, most = _ends(name, default)
    if not (least <= low < high <= most) or (log and low == 0):
        raise InputError(
            f"{where}: from {low} to {high} is no range; from {least}{' (log: above it)' if log else ''} to {most} is"
        )
    return Dimension(low, high, log is True)


def _ends(name: str, default: Any) -> tuple[float, float]:
    """Return between which ends a number makes sense."""
    return (1 if isinstance(default, int) else 0), _AT_MOST.get(name, float("inf"))


def _within(name: str, value: Any, default: Any) -> bool:
    least, most = _ends(name, default)
    return isinstance(value, bool | str | tuple) or bool(least <= value <= most)


def _fits(name: str, value: Any, default: Any) -> bool:
    """Return whether a value is of the kind of a setting."""
    if name in _ALLOWED:
        return value in _ALLOWED[name]
    if isinstance(default, tuple):
        return isinstance(value, tuple) and all(type(each) is int and each > 0 for each in value) and bool(value)
    if isinstance(default, float):
        return type(value) in (int, float)
    return type(value) is type(default)


def _matters(name: str, system: str, loss: str) -> bool:
    """Return whether a setting makes a difference to a system with a loss."""
    if name in ("focus", "margin"):
        return loss == "asl"
    if name == "absent":
        return SYSTEMS[system].balance
    if name == "audio_widths":
        return SYSTEMS[system].fusion is not None
    if name == "auxiliary":
        return SYSTEMS[system].fusion == "gated"
    return True


def _word(value: Any) -> Any:
    """Return a value as Optuna keeps it in a database: lists as text."""
    return json.dumps(value) if isinstance(value, tuple) else value
