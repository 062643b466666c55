"""What a store holds, in brief."""

from pathlib import Path
from typing import Any

from store.errors import InputError
from store.features import FeatureStore

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
        what is wrong with it. Of one that cannot be opened, all but the damage is None.

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
        "recordings": {name: _describe(store, name, verify) for name in store.ids},
    }


def _describe(store: FeatureStore, name: str, verify: bool) -> dict[str, Any]:
    description = dict.fromkeys(("clips", "views", "sound", *_FACTS, "damage"))
    try:
        recording = store[name]
        description |= {fact: recording.attributes.get(fact) for fact in _FACTS}
        description |= {"views": recording.views, "sound": recording.has_sound, "clips": recording.clips}
        if verify:
            recording.verify()
    except InputError as error:
        description["damage"] = str(error)
    return description
