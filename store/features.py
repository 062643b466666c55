"""The feature store: one Zarr v3 group per recording, whole or not there.

Layout of a store::

    <id>/conv4/<view>            (clips, 256, 2, 7, 7)  activations of the frozen trunk
    <id>/audio                   (clips, 28, 108)       float32, absent without sound
    <id>/times                   (clips, 2)             float64, start and end in seconds
    <id>/frame_times             (frames,)              float64, start of each frame in seconds
    <id>/statistics/<array>/mean, /std                  over the recording's clips, float32
    chironomy-tail/<parameter>                          weights of conv5 and fc

Every chunk ends in a CRC32C and the metadata are sealed (`store.seal`), so a flipped bit is an error and
never a number. `store.writing` has the other half: how a recording comes in.
"""

from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import zarr
from numpy.typing import NDArray
from zarr.errors import GroupNotFoundError

from store.errors import InputError
from store.files import sha256
from store.seal import METADATA, sealed_attributes
from store.spec import Spec

TAIL_GROUP = "chironomy-tail"
SPEC_ATTRIBUTE = "chironomy"
# What zarr may raise where a bit has flipped, in JSON or in a chunk.
_UNREADABLE = (ValueError, KeyError, TypeError, AttributeError, RuntimeError, OSError)


@dataclass(frozen=True)
class Recording:
    """One recording of a store, read-only; `open` makes it.

    Parameters
    ----------
    store : Path
        The store it is in.
    id : str
        Its name there.
    group : zarr.Group
        Its arrays.
    attributes : dict
        What is known of the source and of how its features were computed; under ``arrays`` the SHA-256 of
        the metadata of each array, by its path inside the recording.
    """

    store: Path
    id: str
    group: zarr.Group
    attributes: dict[str, Any]

    @classmethod
    def open(cls, store: Path, recording: str) -> "Recording":
        """Open the recording of that id.

        Raises
        ------
        InputError
            If its metadata are missing or damaged.
        """
        try:
            group = zarr.open_group(store / recording, mode="r", zarr_format=3)
            return cls(store, recording, group, sealed_attributes(group))
        except _UNREADABLE as error:
            raise _damaged(store, recording, "", "its metadata cannot be read") from error

    @property
    def arrays(self) -> list[str]:
        """Paths of all arrays inside the recording."""
        return list(self.attributes["arrays"])

    @property
    def clips(self) -> int:
        """Number of clips."""
        return self._find("times").shape[0]

    @property
    def views(self) -> list[str]:
        """Names of the views whose activations are stored, ``plain`` among them."""
        return [name.removeprefix("conv4/") for name in self.arrays if name.startswith("conv4/")]

    @property
    def has_sound(self) -> bool:
        """Whether audio features are stored."""
        return "audio" in self.arrays

    def read(self, array: str) -> NDArray:
        """Return a whole array, its checksums verified.

        Parameters
        ----------
        array : str
            Path inside the recording, as ``conv4/plain`` or ``times``.

        Raises
        ------
        InputError
            If the array is not there, or a chunk of it is missing or damaged.
        """
        found = self._find(array)
        missing = found.nchunks - found.nchunks_initialized
        if missing:
            # zarr would read a missing chunk as its fill value.
            raise _damaged(self.store, self.id, array, f"{missing} of {found.nchunks} chunks are missing")
        try:
            return np.asarray(found[...])
        except _UNREADABLE as error:
            reason = "a checksum does not match" if "checksum" in str(error) else "a chunk cannot be read"
            raise _damaged(self.store, self.id, array, reason) from error

    def verify(self) -> None:
        """Read every array once.

        Raises
        ------
        InputError
            If one is damaged or incomplete.
        """
        for name in self.arrays:
            self.read(name)

    def _find(self, array: str) -> zarr.Array:
        if array not in self.arrays:
            raise InputError(f"{self.store}: recording {self.id} has no {array}; extract the video again")
        try:
            if sha256(self.store / self.id / array / METADATA) == self.attributes["arrays"][array]:
                return self.group[array]  # type: ignore[return-value]
        except _UNREADABLE as error:
            raise _damaged(self.store, self.id, array, "its metadata are missing") from error
        raise _damaged(self.store, self.id, array, "its metadata have changed")


def _damaged(store: Path, recording: str, array: str, reason: str) -> InputError:
    name = f"{recording}/{array}".removesuffix("/")
    if recording == TAIL_GROUP:
        return InputError(f"{store}: {name} is damaged ({reason}); extract all videos again into a new store")
    return InputError(
        f"{store}: {name} is damaged ({reason}); delete the folder {store / recording} and extract the video again"
    )


def occupied(path: Path) -> bool:
    """Return whether something is where a store is wanted; an empty folder is nothing."""
    return path.exists() and not (path.is_dir() and next(path.iterdir(), None) is None)


class FeatureStore:
    """A store that exists, opened for reading.

    Parameters
    ----------
    path : Path
        Its folder.

    Raises
    ------
    InputError
        If there is none, or it is not a feature store of this program.
    """

    def __init__(self, path: Path):
        self.path = path
        if not occupied(path):
            raise InputError(f"{path}: no feature store there; make one with chironomy extract")
        try:
            self.root = zarr.open_group(path, mode="r", zarr_format=3)
            attributes = self.root.attrs.asdict()
            if SPEC_ATTRIBUTE not in attributes:
                raise GroupNotFoundError(path)
        except (GroupNotFoundError, NotADirectoryError):
            raise InputError(f"{path}: not a feature store of chironomy; name another folder") from None
        except _UNREADABLE as error:
            raise InputError(f"{path}: {METADATA} in it is damaged; extract again into a new store") from error
        try:
            self.spec = Spec.from_dict(sealed_attributes(self.root)[SPEC_ATTRIBUTE])
        except _UNREADABLE as error:
            raise InputError(f"{path}: {METADATA} in it is damaged; extract again into a new store") from error

    @property
    def ids(self) -> list[str]:
        """Names of all recordings, sorted."""
        return sorted(entry.name for entry in self.path.iterdir() if entry.name in self)

    def __contains__(self, recording: str) -> bool:
        return recording != TAIL_GROUP and not recording.startswith(".") and (self.path / recording).is_dir()

    def __getitem__(self, recording: str) -> Recording:
        if recording not in self:
            raise InputError(f"{self.path}: no recording {recording}; it has {', '.join(self.ids) or 'none'}")
        return Recording.open(self.path, recording)

    def with_source(self, sha256: str) -> Recording | None:
        """Return the recording made from the video of that hash, if there is one; damaged ones are passed over."""
        for name in self.ids:
            with suppress(InputError):
                recording = self[name]
                if recording.attributes["source_sha256"] == sha256:
                    return recording
        return None

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
