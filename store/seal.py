"""Seals: what is known of a group and what its arrays hold, kept with its hash.

Zarr gives each chunk a checksum but its JSON files none: a flipped bit there could shorten an array or
change a number among the attributes unseen. Nor would it see a chunk that is whole but of another place
or another run: the digests tell.
"""

import hashlib
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from store.arrays import StoredArray

ARRAYS = "arrays"  # SHA-256 of the metadata of each array
DIGESTS = "digests"  # of the chunks of each array; not in a store of format 1
_SEAL = "seal"
_GROUP = {"zarr_format": 3, "node_type": "group"}


def seal(folder: Path, marker: str, arrays: Sequence[str], attributes: dict[str, Any]) -> None:
    """Write a group's metadata with ``arrays`` and ``digests`` among its attributes, and a hash of them all.

    Every chunk is read for it, so what has been written wrong is not sealed.

    Parameters
    ----------
    folder : Path
        Where the arrays are.
    marker : str
        The file to write, from there.
    arrays : sequence of str
        Paths of the arrays, which are complete.
    attributes : dict
        JSON-ready facts.

    Raises
    ------
    DamageError
        If what has been written does not read back.
    """
    opened = {name: StoredArray.open(folder, name) for name in sorted(arrays)}
    content = {
        **attributes,
        ARRAYS: {name: array.metadata_sha256 for name, array in opened.items()},
        DIGESTS: {name: array.digest() for name, array in opened.items()},
    }
    (folder / marker).parent.mkdir(parents=True, exist_ok=True)
    (folder / marker).write_bytes(group_document({**content, _SEAL: _hash(content)}))


def group_document(attributes: dict[str, Any]) -> bytes:
    """Return the metadata file of a Zarr group with those attributes."""
    return json.dumps({"attributes": attributes, **_GROUP}, indent=2).encode()


def sealed_attributes(metadata: bytes | None) -> dict[str, Any]:
    """Return the attributes in the metadata file of a sealed group.

    Parameters
    ----------
    metadata : bytes or None
        The file's content; None where there is none.

    Raises
    ------
    ValueError
        If they are not as they were sealed.
    """
    try:
        document = json.loads(metadata or b"")
        content = document.pop("attributes")
        if document != _GROUP or content.pop(_SEAL, None) != _hash(content):
            raise ValueError("the attributes do not match their seal")
    except (AttributeError, KeyError, TypeError) as error:
        raise ValueError("not the metadata of a group") from error
    return content


def is_plain_group(metadata: bytes | None) -> bool:
    """Return whether that is the metadata file of a group that says nothing of its own, or none."""
    try:
        return metadata is None or json.loads(metadata) == {"attributes": {}, **_GROUP}
    except ValueError:
        return False


def _hash(content: dict[str, Any]) -> str:
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()
