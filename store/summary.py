"""What a store holds, in brief."""

from pathlib import Path
from typing import Any

from store.arrays import METADATA
from store.errors import InputError
from store.features import FeatureStore, occupied
from store.places import Place, PlaceError, folders
from store.recording import TAIL_GROUP, Recording
from store.workspace import unfinished

_FACTS = ("source_name", "duration", "frame_rate", "runtime", "largest_difference")


def inspect_store(path: Place, verify: bool = False) -> dict[str, Any]:
    """Return what a store holds.

    Parameters
    ----------
    path : Place
        The store.
    verify : bool
        Read everything and check it; all recordings are looked at, damaged or not.

    Returns
    -------
    dict
        JSON-ready: the spec; ``recordings``, per recording its clips, views, facts on its source, and
        ``damage``: None, or what is wrong with it (of one that cannot be opened, all but the damage is None);
        ``damage``, a list of what is wrong with the store besides; ``foreign``, the folders in it that are no
        recordings; ``unfinished``, the clips done of recordings that were begun, by id.

    Raises
    ------
    InputError
        If there is no store, or its own metadata are damaged.
    """
    if not occupied(path) and (begun := unfinished(path)):
        done = ", ".join(f"{name} ({clips} clips done)" for name, clips in begun.items())
        raise InputError(f"{path}: no recording in it is whole yet, begun is {done}; extract the same videos to go on")
    store = FeatureStore(path)
    there = folders(path)  # before the recordings: one that arrives meanwhile is no stranger
    recordings = {name: _describe(store, name, verify) for name in store.ids}
    if verify:
        for name, description in recordings.items():
            description["damage"] = description["damage"] or _unmarked(store, name)
    strangers = [name for name in there if name not in recordings and name != TAIL_GROUP]
    halves = [name for name in strangers if _is_half(path, name)]
    return {
        "store": str(path),
        "verified": verify,
        "spec": store.spec.to_dict(),
        "recordings": recordings,
        "damage": [_half(path, name) for name in halves] + (_tail_damage(path) if verify else []),
        "foreign": [name for name in strangers if name not in halves],
        "unfinished": unfinished(path),
    }


def _describe(store: FeatureStore, name: str, verify: bool) -> dict[str, Any]:
    description = dict.fromkeys(("clips", "views", "sound", *_FACTS, "damage"))
    try:
        recording = Recording.open(store.path, name)
        description |= {fact: recording.attributes.get(fact) for fact in _FACTS}
        description |= {"clips": recording.clips, "sound": recording.has_sound, "views": recording.views}
        if verify:
            recording.verify()
    except PlaceError:
        raise
    except InputError as error:
        description["damage"] = str(error)
    return description


def _unmarked(store: FeatureStore, name: str) -> str | None:
    """Return what is wrong where activations lie that no marker lists: their view has been lost."""
    lying = {*folders(store.path / name / "conv4")}
    if name in unfinished(store.path):
        return None  # being added, or by a run that was stopped
    lost = sorted(lying - {*store[name].views})  # looked at last: what has been added meanwhile has its marker
    if not lost:
        return None
    return (
        f"{store.path}: {name}/conv4/{lost[0]} is damaged (its marker is missing); extract the video again with "
        f"--views {','.join(['plain', *lost])}"
    )


def _tail_damage(path: Place) -> list[str]:
    try:
        Recording.open(path, TAIL_GROUP).verify()
    except PlaceError:
        raise
    except InputError as error:
        return [str(error)]
    return []


def _is_half(path: Place, name: str) -> bool:
    """Return whether a folder holds arrays but no marker; on object storage that is an upload under way."""
    return isinstance(path, Path) and any((path / name).rglob(METADATA))


def _half(path: Place, name: str) -> str:
    return f"{path}: {name} is damaged (its {METADATA} is missing); delete the folder {path / name} and extract again"
