"""What to extract, and with what: small frozen descriptions that also travel to other processes."""

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from extract.audio import AUDIO
from extract.regions import Region
from store.files import require_file, sha256
from store.spec import Spec
from store.timeline import CLIP_LENGTH


@dataclass(frozen=True)
class Settings:
    """What decides features besides the backbone and the recording; part of a store's spec.

    Parameters
    ----------
    precision : {"float16", "float32"}
        Type of the stored activations.
    stride : int
        Frames from one clip's start to the next, 1 to 16; less than 16 gives overlapping clips.
    fps : float or None
        Frames a second at which videos are sampled; None takes every frame.
    tail : {"drop", "loop"}
        What becomes of the frames behind the last whole clip.
    resize : {"crop", "squash"} or None
        How frames get the network's size; None as belongs to the weights.
    audio : {"paper", "lab"}
        Which audio features.
    """

    precision: str = "float16"
    stride: int = CLIP_LENGTH
    fps: float | None = None
    tail: str = "drop"
    resize: str | None = None
    audio: str = "paper"


@dataclass(frozen=True)
class Machine:
    """What computes; it decides no feature beyond rounding.

    Parameters
    ----------
    device : {"auto", "cpu", "cuda"}
        Where the network runs.
    runtime : {"auto", "torch", "onnxruntime"}
        What runs it.
    compute : {"auto", "float32", "tf32", "float16"}
        Precision of the arithmetic.
    """

    device: str = "auto"
    runtime: str = "auto"
    compute: str = "auto"


@dataclass(frozen=True)
class Job:
    """One recording to extract.

    Parameters
    ----------
    video : Path
        The video file.
    name : str, optional
        The recording's id; the file's stem if not given.
    audio : Path, optional
        A sound file that belongs to the video and replaces its own sound.
    audio_offset : float
        Where that file's start lies on the video's clock, in seconds.
    roi : (x, y, width, height), optional
        The part of the picture that is looked at, in pixels of the picture as displayed.
    """

    video: Path
    name: str | None = None
    audio: Path | None = None
    audio_offset: float = 0.0
    roi: Region | None = None

    @property
    def recording(self) -> str:
        """The recording's id."""
        return self.video.stem if self.name is None else self.name

    def require_files(self) -> None:
        """Refuse a job of which a file is missing or empty.

        Raises
        ------
        InputError
            If so.
        """
        require_file(self.video)
        if self.audio is not None:
            require_file(self.audio)

    @cached_property
    def source(self) -> dict[str, Any]:
        """Facts on the files, by which a recording's content is recognised, JSON-ready; hashed once.

        Raises
        ------
        InputError
            If a file is missing or empty.
        """
        self.require_files()
        return {
            "source_name": self.video.name,
            "source_sha256": sha256(self.video),
            "source_size": self.video.stat().st_size,
            "audio_name": self.audio and self.audio.name,
            "audio_sha256": self.audio and sha256(self.audio),
            "audio_offset": self.audio and self.audio_offset,
            "roi": self.roi and list(self.roi),
        }


@dataclass(frozen=True)
class Outcome:
    """What became of one video.

    Parameters
    ----------
    video : str
        The file.
    recording : str
        Its id in the store: of the same content, that by which the store has it already.
    status : {"extracted", "views added", "already there", "failed"}
    clips : int
        Number of clips in the store.
    seconds : float
        Time it took.
    error : str or None
        Why it failed, one line.
    """

    video: str
    recording: str
    status: str
    clips: int = 0
    seconds: float = 0.0
    error: str | None = None


def settings_of(spec: Spec) -> Settings:
    """Return the settings that a spec was made with."""
    parameters = {name: vars(each) for name, each in AUDIO.items()}
    (audio,) = [name for name, each in parameters.items() if each == spec.audio] or ["paper"]
    return Settings(spec.precision, spec.stride, spec.fps, spec.tail, spec.preprocessing["resize"], audio)
