"""Gesture vocabularies: which gestures there are, and which classes a model tells apart.

A vocabulary is a TOML file: `name`; `gestures`, a list; optionally `background`, the class of frames that
show no other (the paper's "Normal play"); `[superclasses]`, name = list of gestures, which then are the
classes (Table 4 of the paper); `[mirror]`, gesture = the gesture that it becomes in a flipped picture.
`guitar-18` (Table 2) and `guitar-7` (Table 4) are built in.
"""

import difflib
import tomllib
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib import resources
from pathlib import Path
from typing import Any

from store.annotations import ANNOTATED_TIER, is_predicted
from store.errors import InputError
from store.files import require_file

_KEYS = ("name", "gestures", "background", "superclasses", "mirror")


def canonical(name: str) -> str:
    """Return a name as it is compared: without case, surrounding or repeated white space."""
    return " ".join(name.split()).casefold()


@dataclass(frozen=True)
class Vocabulary:
    """The gestures that annotations may name, and the classes made of them.

    Parameters
    ----------
    name : str
        What it is called in reports.
    gestures : tuple of str
        All gestures that are annotated.
    background : str or None
        The class of what shows no other class; it is never annotated.
    superclasses : mapping of str to tuple of str
        Classes as unions of gestures, in their order; empty if the gestures themselves are the classes.
    mirror : mapping of str to str
        The gesture that each of these becomes when left and right are swapped, in both directions.
    """

    name: str
    gestures: tuple[str, ...]
    background: str | None = None
    superclasses: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    mirror: Mapping[str, str] = field(default_factory=dict)

    @property
    def classes(self) -> tuple[str, ...]:
        """What a model tells apart: super-classes if there are any, else gestures; background last."""
        foreground = tuple(self.superclasses) or self.gestures
        return foreground if self.background is None else (*foreground, self.background)

    @property
    def mirrored(self) -> tuple[int, ...]:
        """For each class, the index of the class that it becomes in a flipped picture.

        A gesture becomes what `mirror` says, else itself; a super-class the one that holds the mirrored
        gestures of its own; the background stays. So the labels of flipped clips are
        ``labels[:, mirrored]``.

        Raises
        ------
        InputError
            If the mirrored gestures of a super-class are those of none.
        """
        members = class_members(self)
        place = {frozenset(gestures): index for index, gestures in enumerate(members.values())}
        found = []
        for index, (name, gestures) in enumerate(members.items()):
            flipped = frozenset(self.mirror.get(gesture, gesture) for gesture in gestures)
            if flipped not in place:
                raise InputError(
                    f"mirror: flipped, super-class {name!r} would be of {', '.join(sorted(flipped))}, which no "
                    "super-class is; put both gestures of a pair into one, or make another super-class of them"
                )
            found.append(index if flipped == frozenset(gestures) else place[flipped])
        return (*found, *range(len(found), len(self.classes)))

    def to_dict(self) -> dict[str, Any]:
        """Return it as a dictionary for JSON, with the keys of the TOML file.

        The order of `superclasses` is the order of the classes: a writer must not sort keys.
        """
        content: dict[str, Any] = {"name": self.name, "gestures": list(self.gestures)}
        if self.background is not None:
            content["background"] = self.background
        if self.superclasses:
            content["superclasses"] = {name: list(members) for name, members in self.superclasses.items()}
        if self.mirror:
            content["mirror"] = dict(self.mirror)
        return content

    @classmethod
    def from_dict(cls, content: Mapping[str, Any], source: str) -> "Vocabulary":
        """Make a vocabulary from the keys of a TOML file, and check it.

        Parameters
        ----------
        content : mapping
            As returned by `to_dict`, or read from TOML.
        source : str
            The file it comes from, for error messages.

        Raises
        ------
        InputError
            If a key is unknown or missing, a value has the wrong type, or names contradict each other.
        """
        try:
            return _checked(content)
        except InputError as error:
            raise InputError(f"{source}: {error}") from None


def load_vocabulary(name_or_path: str | Path) -> Vocabulary:
    """Load a built-in vocabulary by its name, or one's own from a TOML file.

    Parameters
    ----------
    name_or_path : str or Path
        ``guitar-18``, ``guitar-7``, or the path of a file.

    Raises
    ------
    InputError
        If there is no such vocabulary (the message lists those built in), or it cannot be used.
    """
    built_in = {Path(file.name).stem: file for file in _built_in_files()}
    if str(name_or_path) in built_in:
        source, content = str(name_or_path), built_in[str(name_or_path)].read_bytes()
    else:
        path = Path(name_or_path)
        if not path.exists():
            raise InputError(f"{path}: no such vocabulary; use {' or '.join(sorted(built_in))}, or name a TOML file")
        source, content = str(path), require_file(path).read_bytes()
    try:
        return Vocabulary.from_dict(tomllib.loads(content.decode("utf-8-sig")), source)
    except UnicodeDecodeError:
        raise InputError(f"{source}: not UTF-8 text; save it as UTF-8") from None
    except tomllib.TOMLDecodeError as error:
        raise InputError(f"{source}: not a TOML file: {error}; see the built-in vocabularies") from None


def class_members(vocabulary: Vocabulary) -> dict[str, tuple[str, ...]]:
    """Return, for each class but the background, the gestures of which it is the union."""
    if vocabulary.superclasses:
        return dict(vocabulary.superclasses)
    return {gesture: (gesture,) for gesture in vocabulary.gestures}


def _built_in_files() -> list[Any]:
    folder = resources.files("store.vocabularies")
    return [file for file in folder.iterdir() if file.name.endswith(".toml")]


def _checked(content: Mapping[str, Any]) -> Vocabulary:
    for key in content:
        if key not in _KEYS:
            raise InputError(f"unknown key {key!r}{_hint(key, _KEYS)}; the keys are {', '.join(_KEYS)}")
    name = _name(content.get("name"), "name")
    gestures = _names(content.get("gestures"), "gestures")
    background = None if content.get("background") is None else _name(content["background"], "background")
    superclasses = {
        _name(key, "superclasses"): _names(members, f"superclasses.{key}")
        for key, members in _table(content, "superclasses").items()
    }
    _check_names(gestures, superclasses, background)
    superclasses = {key: _known(members, gestures, key) for key, members in superclasses.items()}
    mirror = _mirror(_table(content, "mirror"), gestures)
    vocabulary = Vocabulary(name, gestures, background, superclasses, mirror)
    _ = vocabulary.mirrored  # refuses a super-class that a flip would tear apart
    return vocabulary


def _check_names(gestures: tuple[str, ...], superclasses: dict[str, tuple[str, ...]], background: str | None) -> None:
    _refuse_repeated(gestures, "gestures")
    _refuse_repeated(tuple(superclasses), "superclasses")
    taken = {canonical(name) for name in (*gestures, *superclasses)}
    if background is not None and canonical(background) in taken:
        raise InputError(f"background {background!r} is a gesture or super-class too; name it differently")
    for name, members in superclasses.items():
        _refuse_repeated(members, f"superclasses.{name}")
        elsewhere = {canonical(gesture) for gesture in gestures} - {canonical(member) for member in members}
        if canonical(name) in elsewhere:
            raise InputError(f"super-class {name!r} has the name of a gesture outside it; name it differently")


def _mirror(table: Mapping[str, Any], gestures: tuple[str, ...]) -> dict[str, str]:
    """Return the table in both directions, so that half of it may be given."""
    mirror: dict[str, str] = {}
    for left, right in table.items():
        pair = _known((left, _name(right, f"mirror.{left}")), gestures, "mirror")
        for gesture, image in (pair, pair[::-1]):
            if mirror.setdefault(gesture, image) != image:
                raise InputError(
                    f"mirror: {gesture!r} becomes both {mirror[gesture]!r} and {image!r}; keep one of them"
                )
    return mirror


def _known(names: tuple[str, ...], gestures: tuple[str, ...], where: str) -> tuple[str, ...]:
    """Return names as the list of gestures spells them."""
    spelling = {canonical(gesture): gesture for gesture in gestures}
    for name in names:
        if canonical(name) not in spelling:
            raise InputError(f"{where}: {name!r} is not among the gestures{_hint(name, gestures)}; add or correct it")
    return tuple(spelling[canonical(name)] for name in names)


def _refuse_repeated(names: tuple[str, ...], where: str) -> None:
    name, count = Counter(canonical(name) for name in names).most_common(1)[0] if names else ("", 0)
    if count > 1:
        raise InputError(f"{where}: {name!r} stands there {count} times (case is ignored); keep one")


def _table(content: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    table = content.get(key, {})
    if not isinstance(table, Mapping):
        raise InputError(f"{key!r} must be a table; write [{key}] above its lines")
    return table


def _names(value: Any, where: str) -> tuple[str, ...]:
    if not isinstance(value, (list, tuple)) or not value:
        raise InputError(f"{where!r} must be a list of at least one gesture")
    return tuple(_name(name, where) for name in value)


def _name(value: Any, where: str) -> str:
    if not isinstance(value, str) or not value.strip():
        raise InputError(f"{where!r} must be given as text in quotes")
    if canonical(value) == ANNOTATED_TIER or is_predicted(value):
        raise InputError(f"{where}: {value!r} has a meaning of its own in annotation files; name it differently")
    return " ".join(value.split())


def _hint(name: str, known: tuple[str, ...]) -> str:
    close = difflib.get_close_matches(canonical(name), [canonical(other) for other in known], n=1)
    return next((f", did you mean {other!r}?" for other in known if [canonical(other)] == close), "")
