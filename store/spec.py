"""What a store's features were computed with: one spec per store, fixed when it is made."""

from dataclasses import asdict, dataclass, fields
from typing import Any

# 1: no digests of the chunks; no `fps`, `tail` and `time` of the audio; colours up to 2 grey levels darker.
FORMAT_VERSION = 2
_NESTED = ("preprocessing", "audio")
UNTRAINED = "The backbone is untrained (random weights): these scores show that the path works, not how well it can."


@dataclass(frozen=True)
class Spec:
    """Everything that decides a feature's value, besides the recording itself.

    Parameters
    ----------
    backbone : str
        Name of the network, ``r3d34``.
    kind : str
        Family of weights: ``2018`` (shortcut A) or ``2020`` (shortcut B).
    weights : str
        Where the weights came from: ``random:SEED`` (untrained) or a file's name.
    weights_sha256 : str
        Hash of the weights file, or of the tensors of random weights.
    clip_length, stride : int
        Frames in a clip, and from one clip's start to the next.
    preprocessing : dict
        Size, resizing, scale, mean and standard deviation of the frames as the network sees them.
    precision : str
        Type of the stored activations, ``float16`` or ``float32``.
    audio : dict
        Parameters of the audio features.
    fps : float or None
        Frames a second at which videos were sampled; None is each video's own frames.
    tail : str
        What became of frames at the end that no whole clip covers: ``drop`` or ``loop``.
    format_version : int
        Version of the store's layout, and of how pictures become the network's input.
    """

    backbone: str
    kind: str
    weights: str
    weights_sha256: str
    clip_length: int
    stride: int
    preprocessing: dict[str, Any]
    precision: str
    audio: dict[str, Any]
    fps: float | None = None
    tail: str = "drop"
    format_version: int = FORMAT_VERSION

    def to_dict(self) -> dict[str, Any]:
        """Return the spec as JSON-ready data."""
        return asdict(self)

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> "Spec":
        """Return the spec from `to_dict`'s data, in this format or the first, which had the defaults of today."""
        known = {field.name: data[field.name] for field in fields(cls) if field.name in data}
        if known["format_version"] == 1:
            known["audio"] = {"time": False} | known["audio"]
        return cls(**known)

    @property
    def untrained(self) -> bool:
        """Whether the backbone's weights are random."""
        return self.weights.startswith("random:")

    def differences(self, other: "Spec") -> list[str]:
        """Return what differs from another spec, as ``name: this one's, not other's``.

        The name of a weights file does not count, its hash does. The format version does: pictures were made
        a little differently in format 1.
        """
        mine, theirs = self._described(), other._described()
        names = list(mine | theirs)
        different = [name for name in names if mine.get(name) != theirs.get(name)]
        if self.weights_sha256 == other.weights_sha256 and "weights" in different:
            different.remove("weights")
        return [f"{name}: {_shown(mine.get(name))}, not {_shown(theirs.get(name))}" for name in different]

    def _described(self) -> dict[str, Any]:
        described = self.to_dict()
        sha256 = described.pop("weights_sha256")
        described["weights"] += f" ({sha256[:12]})"
        for name in _NESTED:
            described |= {f"{name} {key}": value for key, value in described.pop(name).items()}
        return described


def _shown(value: Any) -> str:
    return "none" if value is None else str(value)
