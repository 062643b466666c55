"""The feature store: one Zarr v3 group per recording, whole or not there.

Layout of a store::

    <id>/conv4/<view>            (clips, 256, 2, 7, 7)  activations of the frozen trunk
    <id>/audio                   (clips, 28, 108)       float32, absent without sound
    <id>/times                   (clips, 2)             float64, start and end in seconds
    <id>/frame_times             (frames,)              float64, start of each frame in seconds
    <id>/statistics/<array>/mean, /std                  over the recording's clips, float32
    chironomy-tail/<parameter>                          weights of conv5 and fc

Every chunk ends in a CRC32C, so a flipped bit is an error and never a number. `store.writing` has the
other half: how a recording comes in.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import zarr
from numpy.typing import NDArray
from zarr.errors import GroupNotFoundError

from store.errors import InputError
from store.spec import Spec

TAIL_GROUP = "chironomy-tail"
SPEC_ATTRIBUTE = "chironomy"


@dataclass(frozen=True)
class Recording:
    """One recording of a store, read-only.

    Parameters
    ----------
    store : Path
        The store it is in.
    id : str
        Its name there.
    group : zarr.Group
        Its arrays.
    """

    store: Path
    id: str
    group: zarr.Group

    @property
    def attributes(self) -> dict[str, Any]:
        """What is known of the source and of how its features were computed."""
        return dict(self.group.attrs)

    @property
    def clips(self) -> int:
        """Number of clips."""
        return self._find("times").shape[0]

    @property
    def views(self) -> list[str]:
        """Names of the views whose activations are stored, ``plain`` among them."""
        return sorted(name for name, _ in self.group["conv4"].arrays())  # type: ignore[union-attr]

    @property
    def has_sound(self) -> bool:
        """Whether audio features are stored."""
        return "audio" in self.group

    @property
    def arrays(self) -> dict[str, zarr.Array]:
        """All arrays by their path inside the recording."""
        members = self.group.members(max_depth=None)
        return {name: member for name, member in sorted(members) if isinstance(member, zarr.Array)}

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
            # zarr would read a missing chunk as zeros.
            raise self._damaged(array, f"{missing} of {found.nchunks} chunks are missing")
        try:
            return np.asarray(found[...])
        except (ValueError, RuntimeError, OSError) as error:
            reason = "a checksum does not match" if "checksum" in str(error) else "a chunk cannot be read"
            raise self._damaged(array, reason) from error

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
        found = self.group.get(array)
        if not isinstance(found, zarr.Array):
            raise InputError(f"{self.store}: recording {self.id} has no {array}; extract the video again")
        return found

    def _damaged(self, array: str, reason: str) -> InputError:
        return InputError(
            f"{self.store}: {self.id}/{array} is damaged ({reason}); "
            f"delete the folder {self.store / self.id} and extract the video again"
        )


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
        try:
            self.root = zarr.open_group(path, mode="r", zarr_format=3)
            self.spec = Spec.from_dict(self.root.attrs[SPEC_ATTRIBUTE])  # type: ignore[arg-type]
        except (GroupNotFoundError, FileNotFoundError, NotADirectoryError):
            raise InputError(f"{path}: no feature store there; make one with chironomy extract") from None
        except (KeyError, TypeError, ValueError):
            raise InputError(f"{path}: not a feature store of chironomy; name another folder") from None

    @property
    def ids(self) -> list[str]:
        """Names of all recordings, sorted."""
        return sorted(name for name, _ in self.root.groups() if name != TAIL_GROUP)

    def __contains__(self, recording: str) -> bool:
        return recording != TAIL_GROUP and isinstance(self.root.get(recording), zarr.Group)

    def __getitem__(self, recording: str) -> Recording:
        if recording not in self:
            raise InputError(f"{self.path}: no recording {recording}; it has {', '.join(self.ids) or 'none'}")
        return Recording(self.path, recording, self.root[recording])  # type: ignore[arg-type]

    def tail(self) -> dict[str, NDArray]:
        """Return the weights of conv5 and fc, by their names in the backbone."""
        tail = Recording(self.path, TAIL_GROUP, self.root[TAIL_GROUP])  # type: ignore[arg-type]
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
