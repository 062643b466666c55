"""Seals: a group's attributes and the metadata of its arrays, kept with their hash.

Zarr gives each chunk a checksum but its JSON files none: a flipped bit there could shorten an array or
change a number among the attributes unseen.
"""

import hashlib
import json
from pathlib import Path
from typing import Any

import zarr

from store.files import sha256

METADATA = "zarr.json"  # the name that Zarr gives it
_SEAL = "seal"


def seal(group: zarr.Group, folder: Path) -> None:
    """Add to a group's attributes ``arrays``, the hash of each array's metadata, and a hash of them all.

    Parameters
    ----------
    group : zarr.Group
        A group whose arrays and attributes are complete.
    folder : Path
        Where it is.
    """
    members = sorted(group.members(max_depth=None))
    arrays = {name: sha256(folder / name / METADATA) for name, member in members if isinstance(member, zarr.Array)}
    content = {**group.attrs.asdict(), "arrays": arrays}
    group.attrs.put({**content, _SEAL: _digest(content)})


def sealed_attributes(group: zarr.Group) -> dict[str, Any]:
    """Return a sealed group's attributes.

    Raises
    ------
    ValueError
        If they are not as they were sealed.
    """
    content = group.attrs.asdict()
    if content.pop(_SEAL, None) != _digest(content):
        raise ValueError("the attributes do not match their seal")
    return content


def _digest(content: dict[str, Any]) -> str:
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()
