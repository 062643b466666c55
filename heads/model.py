"""A trained model on disk: a folder with ``model.safetensors`` and ``model.json``."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.numpy import load_file, save

from extract.views import PLAIN
from heads.clips import Clips, load_clips
from heads.context import Context
from heads.learner import predict_network
from heads.model_folder import DESCRIPTION, WEIGHTS, recover, replace_folder
from heads.network import Architecture, Network, load_network
from heads.objective import regression_inputs
from heads.postprocessing import PostProcessing
from heads.probe import LinearProbe
from heads.scale import AUDIO, Scale
from heads.settings import Settings
from store.errors import InputError
from store.files import require_file
from store.recording import Recording
from store.spec import Spec
from store.vocabulary import Vocabulary, canonical

# 1: of r3d34, without saying so; 2: with conv5 always, standardised by recording; 3: thresholds alone
FORMAT_VERSION = 4
_PROBE, _SCALE = "probe.", "scale."


@dataclass(frozen=True)
class Head:
    """Something that gives probabilities, and how presence is told from them.

    Parameters
    ----------
    predictor : Network or LinearProbe
        What computes.
    postprocessing : PostProcessing
        Thresholds, and what neighbouring clips say about each other.
    context : Context, optional
        What is made of neighbouring clips.
    """

    predictor: Network | LinearProbe
    postprocessing: PostProcessing
    context: Context | None = None

    @property
    def thresholds(self) -> NDArray[np.float64]:
        """The probability from which each class is found, (classes,)."""
        return self.postprocessing.thresholds

    @property
    def inputs(self) -> tuple[str, ...]:
        """Names of the inputs it needs, as `heads.clips` has them."""
        own = self.predictor.inputs if isinstance(self.predictor, LinearProbe) else self.predictor.architecture.inputs
        return own if self.context is None else tuple(dict.fromkeys([*own, *self.context.regression.inputs]))

    def predict(self, clips: Clips, index: NDArray[np.intp] | None = None) -> NDArray[np.float64]:
        """Return the probability of each class in some clips, or in all, (len(index), classes)."""
        index = np.arange(len(clips)) if index is None else index
        if isinstance(self.predictor, LinearProbe):
            return self.predictor.predict(clips, index)
        inputs = self.predictor.architecture.inputs
        probability = predict_network(self.predictor, clips.only(*inputs), index)
        return probability if self.context is None else self.context.apply(probability, clips, index)


@dataclass(frozen=True)
class GestureModel:
    """A model as saved and loaded.

    Parameters
    ----------
    system : str
        Name of the system it was trained as.
    vocabulary : Vocabulary
        Its classes.
    spec : Spec
        What a store's features must have been computed with.
    head : Head
        The model proper; for the system ``probe`` the probe itself.
    probe : Head
        The linear probe trained on the same clips, to stand beside every score.
    settings : Settings
        How it was trained.
    scales : dict of Scale
        By input, where inputs are standardised by the training clips' statistics.
    training : dict
        JSON-ready: split, and which recordings' clips were used for what.
    scores : dict
        JSON-ready: scores at the end of training.
    """

    system: str
    vocabulary: Vocabulary
    spec: Spec
    head: Head
    probe: Head
    settings: Settings
    scales: dict[str, Scale]
    training: dict[str, Any]
    scores: dict[str, Any]

    def clips(self, recordings: Sequence[Recording], probe: bool = False) -> Clips:
        """Open the clips of recordings as the model needs them, and as its probe does if that is asked for.

        Where no recording has sound, a model that knows sound goes by the picture alone.
        """
        inputs = {*self.head.inputs, *(self.probe.inputs if probe else ())}
        if not any(recording.has_sound for recording in recordings):
            inputs.discard(AUDIO)
        clips = load_clips(recordings, sorted(inputs), self.settings.standardise)
        if self.settings.standardise == "training":
            return clips.scaled({(name, PLAIN): self.scales[name] for name in inputs})
        return clips

    def with_thresholds(self, thresholds: Mapping[str, float]) -> "GestureModel":
        """Return the same model with other thresholds for some classes.

        Raises
        ------
        InputError
            If there is no such class.
        """
        classes = self.vocabulary.classes
        chosen = {classes.index(name): value for name, value in self.by_own_names(thresholds).items()}
        head = replace(self.head, postprocessing=self.head.postprocessing.with_thresholds(chosen))
        return replace(self, head=head)

    def by_own_names(self, thresholds: Mapping[str, float]) -> dict[str, float]:
        """Return thresholds under the classes' own names, however these were typed.

        Raises
        ------
        InputError
            If there is no such class.
        """
        known = {canonical(name): name for name in self.vocabulary.classes}
        for name in thresholds:
            if canonical(name) not in known:
                there = ", ".join(self.vocabulary.classes)
                raise InputError(f"--threshold {name}: the model knows no such class; there are {there}")
        return {known[canonical(name)]: value for name, value in thresholds.items()}

    def describe(self) -> dict[str, Any]:
        """Return what ``model.json`` holds."""
        predictor = self.head.predictor
        architecture = None if isinstance(predictor, LinearProbe) else asdict(predictor.architecture)
        return {
            "format_version": FORMAT_VERSION,
            "system": self.system,
            "vocabulary": self.vocabulary.to_dict(),
            "spec": self.spec.to_dict(),
            "architecture": architecture,
            "thresholds": self._by_class(self.head.thresholds),
            "postprocessing": self.head.postprocessing.to_dict(self.vocabulary.classes),
            "probe_thresholds": self._by_class(self.probe.thresholds),
            "settings": asdict(self.settings),
            "training": self.training,
            "scores": self.scores,
        }

    def save(self, folder: Path) -> None:
        """Write the model; an earlier model in the same folder is replaced.

        Raises
        ------
        InputError
            If the folder holds something else, or cannot be written; an earlier model is then still there.
        """
        probe = self.probe.predictor
        assert isinstance(probe, LinearProbe)
        weights = {f"{_PROBE}weight": probe.weight, f"{_PROBE}bias": probe.bias}
        for name, scale in self.scales.items():
            weights |= {f"{_SCALE}{name}.mean": scale.mean, f"{_SCALE}{name}.divisor": scale.divisor}
        if not isinstance(self.head.predictor, LinearProbe):
            weights |= self.head.predictor.weights()
        if self.head.context is not None:
            weights |= self.head.context.weights()
        contiguous = {name: np.ascontiguousarray(values) for name, values in weights.items()}
        description = json.dumps(self.describe(), indent=2, ensure_ascii=False)
        replace_folder(folder, save(contiguous), description.encode())

    def _by_class(self, values: NDArray[np.float64]) -> dict[str, float]:
        return dict(zip(self.vocabulary.classes, values.tolist(), strict=True))


def load_model(folder: Path) -> GestureModel:
    """Read a model.

    Raises
    ------
    InputError
        If there is none, or it is incomplete or damaged.
    """
    recover(folder)
    for name in (DESCRIPTION, WEIGHTS):
        if not (folder / name).is_file():
            raise InputError(f"{folder}: no model there ({name} is missing); make one with chironomy train")
        require_file(folder / name)
    try:
        described = json.loads((folder / DESCRIPTION).read_text(encoding="utf-8"))
        if described["format_version"] > FORMAT_VERSION:
            raise InputError(f"{folder}: made by a newer chironomy; update this one")
        weights = load_file(folder / WEIGHTS)
        vocabulary = Vocabulary.from_dict(described["vocabulary"], str(folder / DESCRIPTION))
        probe = LinearProbe(weights.pop(f"{_PROBE}weight"), weights.pop(f"{_PROBE}bias"))
        scales = {
            name: Scale(weights.pop(f"{_SCALE}{name}.mean"), weights.pop(f"{_SCALE}{name}.divisor"))
            for name in [name.split(".")[1] for name in weights if name.startswith(_SCALE) and name.endswith(".mean")]
        }
        settings = Settings.from_dict(described.get("settings", described["training"]))
        if settings.standardise == "training" and not scales:
            raise ValueError("nothing to standardise by")
        context = Context.from_weights(weights, regression_inputs(settings)) if settings.context else None
        predictor: Network | LinearProbe = probe
        if described["architecture"] is not None:
            predictor = load_network(weights, Architecture.from_dict(described["architecture"]))
        return GestureModel(
            system=described["system"],
            vocabulary=vocabulary,
            spec=Spec.from_dict(described["spec"]),
            head=Head(predictor, _postprocessing(described, vocabulary), context),
            probe=Head(probe, PostProcessing.plain(_in_order(described["probe_thresholds"], vocabulary))),
            settings=settings,
            scales=scales,
            training=_checked(described["training"], vocabulary),
            scores=described["scores"],
        )
    except InputError:
        raise
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RuntimeError, SafetensorError) as error:
        raise InputError(f"{folder}: the model is damaged ({error!r:.80}); train it again") from error


def _checked(training: dict[str, Any], vocabulary: Vocabulary) -> dict[str, Any]:
    """Return what a model remembers of its training, if an evaluation can use it."""
    if len(training["frequency"]) != len(vocabulary.classes):
        raise ValueError("frequencies of other classes")
    for each in training["recordings"].values():
        _ = each["source_sha256"], [(int(first), int(stop)) for first, stop in each["test"]]
    return training


def _postprocessing(described: dict[str, Any], vocabulary: Vocabulary) -> PostProcessing:
    thresholds = _in_order(described["thresholds"], vocabulary)
    if described["format_version"] < 4:
        return PostProcessing.plain(thresholds)
    return PostProcessing.from_dict(thresholds, described["postprocessing"], vocabulary.classes)


def _in_order(by_class: dict[str, float], vocabulary: Vocabulary) -> NDArray[np.float64]:
    return np.array([float(by_class[name]) for name in vocabulary.classes])
