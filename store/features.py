"""The feature store: one Zarr v3 group per recording, whole or not there.

Layout of a store::

    <id>/conv4/<view>            (clips, 256, 2, 7, 7)  activations of the frozen trunk
    <id>/audio                   (clips, 28, 108)       float32, absent without sound
    <id>/times                   (clips, 2)             float64, start and end in seconds
    <id>/frame_times             (frames,)              float64, start of each frame in seconds
    <id>/statistics/<array>/mean, /std                  over the recording's clips, float32
    <id>/parts/<view>            marks a view that was added later as whole
    chironomy-tail/<parameter>                          weights of conv5 and fc

A recording, or a view added to one, is there once its marker is: the metadata file of its group, which
arrives last. Every chunk ends in a CRC32C, and the marker seals what the arrays hold (`store.seal`), so a
flipped bit is an error and never a number. `store.writing` has the other half: how a recording comes in.
"""

import json
import os
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from store.arrays import METADATA
from store.errors import InputError
from store.places import Place, folders, read_all
from store.recording import TAIL_GROUP, Recording, group_metadata
from store.seal import sealed_attributes
from store.spec import FORMAT_VERSION, Spec

SPEC_ATTRIBUTE = "chironomy"
# What a recording was made from: two with the same of these have the same features.
CONTENT = ("source_sha256", "audio_sha256", "audio_offset", "roi")


def occupied(where: Place) -> bool:
    """Return whether something is where a store is wanted; an empty folder is nothing.

    Nor is what a first upload to object storage leaves when it is stopped.
    """
    if not isinstance(where, Path):
        return read_all(where, [METADATA]) != [None] or bool({*folders(where)} - {TAIL_GROUP})
    if not where.is_dir():
        return where.exists()
    with os.scandir(where) as entries:
        return next(entries, None) is not None


class FeatureStore:
    """A store that exists, opened for reading.

    Parameters
    ----------
    path : Place
        Where it is.

    Raises
    ------
    InputError
        If there is none, it is not a feature store of this program, or one of a later version.
    """

    def __init__(self, path: Place):
        self.path = path
        damaged = InputError(f"{path}: {METADATA} in it is damaged; extract again into a new store")
        try:
            (metadata,) = read_all(path, [METADATA])
            if metadata is None:
                raise _no_store(path)
            found = json.loads(metadata)["attributes"]
            if SPEC_ATTRIBUTE not in found:
                raise _no_store(path)
            version = found[SPEC_ATTRIBUTE]["format_version"]
            if version > FORMAT_VERSION:
                raise InputError(
                    f"{path}: has format version {version}, and this chironomy knows them up to {FORMAT_VERSION}; "
                    "upgrade chironomy"
                )
            self.spec = Spec.from_dict(sealed_attributes(metadata)[SPEC_ATTRIBUTE])
        except InputError:
            raise
        except (ValueError, KeyError, TypeError, OSError) as error:
            raise damaged from error

    @property
    def ids(self) -> list[str]:
        """Names of all recordings, sorted."""
        return [name for name, _ in self._markers()]

    def __contains__(self, recording: str) -> bool:
        if not _may_be_recording(recording):
            return False
        return group_metadata(self.path, [recording]) != [None]

    def __getitem__(self, recording: str) -> Recording:
        if recording not in self:
            raise InputError(f"{self.path}: no recording {recording}; it has {', '.join(self.ids) or 'none'}")
        return Recording.open(self.path, recording)

    def attributes(self) -> dict[str, dict[str, Any]]:
        """Return the attributes of all recordings by id; damaged ones are left out."""
        found = {}
        for name, metadata in self._markers():
            with suppress(ValueError):
                found[name] = sealed_attributes(metadata)
        return found

    def find(self, content: Mapping[str, Any]) -> Recording | None:
        """Return the recording made from the same content, whatever its id; damaged ones are passed over.

        Parameters
        ----------
        content : mapping
            JSON-ready; of it `CONTENT` counts, and what is absent there is None.
        """
        wanted = json.loads(json.dumps([content.get(name) for name in CONTENT]))
        candidates = self.made_from(content["source_sha256"])
        return next((each for each in candidates if [each.attributes.get(name) for name in CONTENT] == wanted), None)

    def made_from(self, sha256: str) -> Iterator[Recording]:
        """Yield the recordings made from the video of that hash, whichever their regions and sounds."""
        for name, metadata in self._markers():
            if sha256.encode() in metadata:  # much faster than to decode them all
                with suppress(ValueError):
                    attributes = sealed_attributes(metadata)
                    if attributes.get("source_sha256") == sha256:
                        yield Recording(self.path, name, attributes)

    def _markers(self) -> list[tuple[str, bytes]]:
        """Return the names of all recordings, sorted, with their metadata; nothing where they cannot be read."""
        names = [name for name in folders(self.path) if _may_be_recording(name)]
        found = group_metadata(self.path, names)
        return [(name, metadata) for name, metadata in zip(names, found, strict=True) if metadata is not None]

    def tail(self) -> dict[str, NDArray]:
        """Return the weights of conv5 and fc, by their names in the backbone."""
        tail = Recording.open(self.path, TAIL_GROUP)
        return {name: tail.read(name) for name in tail.arrays}

    def require(self, spec: Spec, who: str) -> None:
        """Check that the store's features are those that somebody needs.

        Parameters
        ----------
        spec : Spec
            What is needed.
        who : str
            Who needs it and what to do, for the message.

        Raises
        ------
        InputError
            If they differ; the message names both sides.
        """
        differences = self.spec.differences(spec)
        if differences:
            raise InputError(f"{self.path}: the store has {'; '.join(differences)}; {who}")


def _may_be_recording(name: str) -> bool:
    return bool(name) and name != TAIL_GROUP and not name.startswith(".") and not {*name} & {*"/\\"}


def _no_store(path: Place) -> InputError:
    if not occupied(path):
        return InputError(f"{path}: no feature store there; make one with chironomy extract")
    return InputError(f"{path}: not a feature store of chironomy; name another folder")
