"""Weights of a backbone: random ones for a trial, or a published file; told apart by their content."""

import hashlib
import os
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from extract import checkpoints, onnx_weights
from extract.backbones import Design, Preprocessing, designs
from extract.download import DownloadError, download
from store import places
from store.errors import InputError
from store.files import require_file, sha256
from store.spec import Spec

_ENDINGS = (".pth", ".onnx")  # of the files that `find_backbone` looks through


@dataclass(frozen=True)
class Backbone:
    """A network with its weights, in evaluation mode.

    Parameters
    ----------
    network : nn.Module
        The whole network.
    design : Design
        What is known of it.
    source : str
        ``random:SEED`` or the file's name.
    sha256 : str
        Hash of the file, or of the random tensors.
    """

    network: nn.Module
    design: Design
    source: str
    sha256: str

    @property
    def name(self) -> str:
        """The network's, as in ``--backbone``."""
        return self.design.name

    @property
    def kind(self) -> str:
        """Family of the weights."""
        return self.design.kind

    @property
    def feature_shape(self) -> tuple[int, int, int, int]:
        """Of a clip's stored activations: channels, time, height, width."""
        return self.design.feature_shape

    @property
    def preprocessing(self) -> Preprocessing:
        """What belongs to the weights' kind."""
        return self.design.preprocessing

    @property
    def trunk(self) -> nn.Sequential:
        """The frozen part: (N, 3, 16, size, size) float32 -> (N, *feature_shape)."""
        return self.design.trunk_of(self.network).eval()

    def tail(self) -> dict[str, NDArray[np.float32]]:
        """Return the weights of conv5, by their names in the network, and of fc, as ``fc.``."""
        parts = {"": self.design.conv5_of(self.network), "fc.": self.network.get_submodule(self.design.fc)}
        return {
            prefix + name: value.numpy()
            for prefix, part in parts.items()
            for name, value in part.state_dict().items()
            if value.is_floating_point()
        }

    def spec(
        self,
        precision: str,
        stride: int,
        clip_length: int,
        audio: dict[str, Any],
        fps: float | None = None,
        tail: str = "drop",
        resize: str | None = None,
    ) -> Spec:
        """Return the spec of a store of this backbone's features; `resize` stands in for the design's own."""
        return Spec(
            backbone=self.name,
            kind=self.kind,
            weights=self.source,
            weights_sha256=self.sha256,
            clip_length=clip_length,
            stride=stride,
            preprocessing=self.preprocessing.resized(resize).to_dict(),
            precision=precision,
            audio=audio,
            fps=fps,
            tail=tail,
        )


def load_backbone(weights: str, backbone: str = "r3d34") -> Backbone:
    """Return a backbone with the weights that a user names.

    Parameters
    ----------
    weights : str
        ``random:SEED``: untrained, of the backbone's first kind; ``auto``: a published file in the cache
        folder, downloaded into it if there is none; else a checkpoint file, or an ONNX file of the network.
    backbone : str
        Its name.

    Raises
    ------
    InputError
        If there is no such backbone, or the file is missing, not one of its weights, or cannot be downloaded.
    """
    if weights.startswith("random:"):
        return _random(weights, backbone)
    if weights == "auto":
        return _from_file(_automatic(backbone), backbone)
    return _from_file(Path(weights), backbone)


def find_backbone(spec: Spec, store: object, weights: str | None) -> Backbone:
    """Return the backbone that a spec was made with, to extract one more recording alike.

    Parameters
    ----------
    spec : Spec
        Names the backbone, and the weights by their hash.
    store : path or None
        A store whose folder, if it is one of this machine, may hold the file inside or beside it.
    weights : str or None
        A user's ``--weights``, tried first; ``auto`` is as none.

    Raises
    ------
    InputError
        If no file with that hash is found.
    """
    if weights in (None, "auto") and spec.untrained:
        weights = spec.weights
    if weights is not None and weights != "auto":
        backbone = load_backbone(weights, spec.backbone)
        if backbone.sha256 != spec.weights_sha256:
            raise InputError(
                f"{weights}: not the weights that were used, {_wanted(spec)}; give that file with --weights"
            )
        return backbone
    # A store on object storage is no pathlib.Path; weights are not looked for there.
    folders = [cache_folder(), *([store, store.parent] if isinstance(store, Path) else [])]
    for folder in folders:
        for file in sorted(folder.glob("*")):
            usable = file.suffix.lower() in _ENDINGS and file.is_file() and os.access(file, os.R_OK)
            if usable and sha256(file) == spec.weights_sha256:
                return _from_file(file, spec.backbone)
    raise InputError(f"{spec.weights}: weights not found ({_wanted(spec)}); give the file with --weights")


def cache_folder() -> Path:
    """Return where weight files are looked for, in ``CHIRONOMY_CACHE`` or else the user's cache folder."""
    return places.cache_folder() / "weights"


def _wanted(spec: Spec) -> str:
    return f"{spec.weights} with SHA-256 {spec.weights_sha256[:12]}..."


def _automatic(backbone: str) -> Path:
    """Return a published file of a backbone: one in the cache, else from the published places in turn."""
    folder = cache_folder()
    cached = _cached(folder, designs(backbone))
    if cached is not None:
        return cached
    tried = []
    for published in [each for design in designs(backbone) for each in design.published]:
        try:
            return download(published, folder)
        except DownloadError as error:
            tried.append(f"{published.url} {error}")
    manuals = [each for design in designs(backbone) for each in design.by_hand]
    others = "".join(f", or {' or '.join(each.names)} from {each.url}" for each in manuals)
    raise InputError(
        f"no weights of {backbone} in {folder}, and none can be downloaded: {', '.join(tried)}; fetch one of them "
        f"on another machine{others}, and put it into {folder} under its name, or try out with --weights random:0"
    )


def _cached(folder: Path, candidates: tuple[Design, ...]) -> Path | None:
    for design in candidates:
        for name in [name for manual in design.by_hand for name in manual.names]:
            if (folder / name).is_file():
                return folder / name
        for published in design.published:
            file = folder / published.name
            if file.is_file():
                try:
                    published.verify(require_file(file))
                except DownloadError as error:
                    raise InputError(f"{file}: {error}; delete it and run again") from error
                return file
    return None


def _random(weights: str, backbone: str) -> Backbone:
    design = designs(backbone)[0]
    try:
        seed = int(weights.removeprefix("random:"))
        with torch.random.fork_rng(devices=[]):  # torch fills new layers from the global random state
            network = design.build(design.outputs[0])
        design.initialise(network, seed)
    except (ValueError, RuntimeError) as error:
        raise InputError(f"{weights}: the seed of random weights is a whole number, as in random:0") from error
    digest = hashlib.sha256()
    for name, value in sorted(network.state_dict().items()):
        digest.update(name.encode())
        digest.update(value.numpy().tobytes())
    return Backbone(network.eval(), design, f"random:{seed}", digest.hexdigest())


def _from_file(file: Path, backbone: str) -> Backbone:
    require_file(file)
    if file.suffix.lower() == ".onnx":
        design, network = checkpoints.fit(
            file, backbone, partial(onnx_weights.name_layers, onnx_weights.read_layers(file))
        )
        onnx_weights.check(file, network, design.preprocessing)
    else:
        state = checkpoints.read_state(file)
        design, network = checkpoints.fit(file, backbone, lambda _: state)
    return Backbone(network, design, file.name, sha256(file))
