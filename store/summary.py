"""What a store holds, in brief."""

from pathlib import Path
from typing import Any

from store.errors import InputError
from store.features import FeatureStore, Recording

_FACTS = ("source_name", "duration", "frame_rate", "runtime", "largest_difference")


def inspect_store(path: Path, verify: bool = False) -> dict[str, Any]:
    """Return what a store holds.

    Parameters
    ----------
    path : Path
        The store.
    verify : bool
        Read every array of every recording and check it; all recordings are looked at, damaged or not.

    Returns
    -------
    dict
        JSON-ready: spec, and per recording its clips, views, facts on its source, and ``damage``: None, or
        what is wrong with it.

    Raises
    ------
    InputError
        If there is no store.
    """
    store = FeatureStore(path)
    return {
        "store": str(path),
        "verified": verify,
        "spec": store.spec.to_dict(),
        "recordings": {name: _describe(store[name], verify) for name in store.ids},
    }


def _describe(recording: Recording, verify: bool) -> dict[str, Any]:
    damage = None
    if verify:
        try:
            recording.verify()
        except InputError as error:
            damage = str(error)
    attributes = recording.attributes
    return {
        "clips": recording.clips,
        "views": recording.views,
        "sound": recording.has_sound,
        **{name: attributes.get(name) for name in _FACTS},
        "damage": damage,
    }
