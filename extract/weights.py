"""Weights of the backbone: random ones for a trial, or a published file; told apart by their content.

Two families are published (see the module `extract.r3d34` for sources): that of 2018 has shortcut A and
400 outputs and takes frames of 0 to 255; that of 2020 has shortcut B, 700 or 1039 outputs and takes frames
of 0 to 1.
"""

import hashlib
import os
import pickle
import warnings
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from extract.download import Published, download
from extract.r3d34 import R3D34, initialise
from store.errors import InputError
from store.files import require_file, sha256
from store.spec import Spec

TAIL_PREFIXES = ("layer4.", "fc.")
# What `auto` looks for in the cache, in this order: the authors' files, then the copy that it can download.
AUTHORS_FILES = ("resnet-34-kinetics.pth", "r3d34_K_200ep.pth", "r3d34_KM_200ep.pth")
# The authors' weights of 2018 as hosted with pretorched-x; its name ends in the start of its SHA-256.
HOSTED = Published(
    "resnet3d34_kinetics-133ec9c4.pth",
    "https://pretorched-x.csail.mit.edu/models/resnet3d34_kinetics-133ec9c4.pth",
    "133ec9c4",
)


@dataclass(frozen=True)
class Preprocessing:
    """How frames become the network's input.

    Parameters
    ----------
    mean, std : tuple of float
        Per channel R, G, B, taken off and divided by after scaling.
    scale : float
        What 0-255 values are divided by first.
    size : int
        Side of the square picture, in pixels.
    resize : str
        ``crop``: the short side to `size`, then the centre.
    """

    mean: tuple[float, float, float]
    std: tuple[float, float, float]
    scale: float
    size: int = 112
    resize: str = "crop"


PREPROCESSING = {
    "2018": Preprocessing((114.7748, 107.7354, 99.4750), (1.0, 1.0, 1.0), 1.0),
    "2020": Preprocessing((0.4345, 0.4051, 0.3775), (0.2768, 0.2713, 0.2737), 255.0),
}


@dataclass(frozen=True)
class Backbone:
    """A network with its weights, in evaluation mode.

    Parameters
    ----------
    network : R3D34
        Its `trunk` gives the stored activations.
    kind : str
        ``2018`` or ``2020``.
    source : str
        ``random:SEED`` or the file's name.
    sha256 : str
        Hash of the file, or of the random tensors.
    """

    network: R3D34
    kind: str
    source: str
    sha256: str

    @property
    def preprocessing(self) -> Preprocessing:
        """What belongs to the weights' kind."""
        return PREPROCESSING[self.kind]

    def tail(self) -> dict[str, NDArray[np.float32]]:
        """Return the weights of conv5 and fc, by their names in the network."""
        state = self.network.state_dict()
        return {
            name: value.numpy()
            for name, value in state.items()
            if name.startswith(TAIL_PREFIXES) and value.is_floating_point()
        }

    def spec(self, precision: str, stride: int, clip_length: int, audio: dict[str, Any]) -> Spec:
        """Return the spec of a store of this backbone's features."""
        preprocessing = {
            name: list(value) if isinstance(value, tuple) else value
            for name, value in asdict(self.preprocessing).items()
        }
        return Spec(
            backbone="r3d34",
            kind=self.kind,
            weights=self.source,
            weights_sha256=self.sha256,
            clip_length=clip_length,
            stride=stride,
            preprocessing=preprocessing,
            precision=precision,
            audio=audio,
        )


def load_backbone(weights: str) -> Backbone:
    """Return the backbone with the weights that a user names.

    Parameters
    ----------
    weights : str
        ``random:SEED``: untrained, of the kind of 2018; ``auto``: a published file in the cache folder,
        downloaded into it if there is none; else a checkpoint file.

    Raises
    ------
    InputError
        If the file is missing, not a checkpoint of a 3D-ResNet34, or cannot be downloaded.
    """
    if weights.startswith("random:"):
        return _random(weights)
    if weights == "auto":
        return _from_file(_automatic())
    return _from_file(Path(weights))


def find_backbone(spec: Spec, store: Path | None, weights: str | None) -> Backbone:
    """Return the backbone that a spec was made with, to extract one more recording alike.

    Parameters
    ----------
    spec : Spec
        Names the weights by their hash.
    store : Path or None
        A store whose folder may hold the file beside it.
    weights : str or None
        A user's ``--weights``, tried first; ``auto`` is as none.

    Raises
    ------
    InputError
        If no file with that hash is found.
    """
    if weights in (None, "auto") and spec.untrained:
        weights = spec.weights
    if weights not in (None, "auto"):
        backbone = load_backbone(weights)
        if backbone.sha256 != spec.weights_sha256:
            raise InputError(
                f"{weights}: not the weights that were used, {_wanted(spec)}; give that file with --weights"
            )
        return backbone
    folders = [cache_folder(), *([store, store.parent] if store else [])]
    for folder in folders:
        for file in sorted(folder.glob("*.pth")):
            if sha256(file) == spec.weights_sha256:
                return _from_file(file)
    raise InputError(f"{spec.weights}: weights not found ({_wanted(spec)}); give the file with --weights")


def cache_folder() -> Path:
    """Return where weight files are looked for: ``CHIRONOMY_CACHE``, else the user's cache folder."""
    configured = os.environ.get("CHIRONOMY_CACHE")
    return (Path(configured) if configured else Path.home() / ".cache" / "chironomy") / "weights"


def _wanted(spec: Spec) -> str:
    return f"{spec.weights} with SHA-256 {spec.weights_sha256[:12]}..."


def _automatic() -> Path:
    for name in (*AUTHORS_FILES, HOSTED.name):
        if (cache_folder() / name).is_file():
            return cache_folder() / name
    try:
        return download(HOSTED, cache_folder())
    except InputError as error:
        raise InputError(
            f"{error}; or put {AUTHORS_FILES[0]} or {AUTHORS_FILES[1]} from the shared folders named at "
            f"github.com/kenshohara/3D-ResNets-PyTorch into {cache_folder()}, or try out with --weights random:0"
        ) from error


def _random(weights: str) -> Backbone:
    try:
        seed = int(weights.removeprefix("random:"))
        network = _build("2018", outputs=400)
        initialise(network, seed)
    except (ValueError, RuntimeError) as error:
        raise InputError(f"{weights}: the seed of random weights is a whole number, as in random:0") from error
    digest = hashlib.sha256()
    for name, value in sorted(network.state_dict().items()):
        digest.update(name.encode())
        digest.update(value.numpy().tobytes())
    return Backbone(network.eval(), "2018", f"random:{seed}", digest.hexdigest())


def _from_file(file: Path) -> Backbone:
    state = _read_state(require_file(file))
    kind = "2020" if "layer2.0.downsample.0.weight" in state else "2018"
    try:
        network = _build(kind, outputs=len(state["fc.bias"]))
        network.load_state_dict(state)
    except (KeyError, TypeError, RuntimeError) as error:
        missing = f"no {error}" if isinstance(error, KeyError) else str(error)
        problem = missing.splitlines()[-1].strip().rstrip(".")
        raise InputError(f"{file}: not weights of a 3D-ResNet34 ({problem}); name another file") from error
    return Backbone(network.eval(), kind, file.name, sha256(file))


def _build(kind: str, outputs: int) -> R3D34:
    with torch.random.fork_rng(devices=[]):  # torch fills new layers from the global random state
        return R3D34(shortcut="B" if kind == "2020" else "A", outputs=outputs)


def _read_state(file: Path) -> dict[str, Tensor]:
    """Return the bare state dict, whether it was saved wrapped, from DataParallel, or as it is."""
    try:
        with warnings.catch_warnings(action="ignore", category=UserWarning):  # of a pickle it may refuse
            content = torch.load(file, map_location="cpu", weights_only=True)
    except (pickle.UnpicklingError, RuntimeError, EOFError, ValueError, OSError, KeyError) as error:
        raise InputError(f"{file}: not a PyTorch checkpoint of plain weights; name another file") from error
    if isinstance(content, dict) and isinstance(content.get("state_dict"), dict):
        content = content["state_dict"]
    if not isinstance(content, dict) or not all(
        isinstance(name, str) and isinstance(value, Tensor) for name, value in content.items()
    ):
        raise InputError(f"{file}: holds no state dict; name another file")
    return {name.removeprefix("module."): value for name, value in content.items()}
