"""How a system is trained: which parts it has, and with which settings (Sections 4 and 5.3, Table 6)."""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any, Self


@dataclass(frozen=True)
class System:
    """A system, as parts switched on.

    Parameters
    ----------
    balance : bool
        Dynamic Batch Balance instead of the plain mean of errors.
    smoothing : bool
        Temporally smoothed targets instead of hard ones.
    fusion : {"concatenated", "gated"}, optional
        How sound is joined to the picture; without it there is none.
    per_gesture : bool
        A network for each gesture instead of one for all.
    """

    balance: bool = False
    smoothing: bool = False
    fusion: str | None = None
    per_gesture: bool = False


PROBE = "probe"  # the baseline; no network, so no parts
SYSTEMS = {
    "mm": System(per_gesture=True),
    "sm": System(),
    "sm+bb": System(balance=True),
    "sm+bb+ts": System(balance=True, smoothing=True),
    "bimodal": System(balance=True, smoothing=True, fusion="concatenated"),
    "bimodal-gated": System(balance=True, smoothing=True, fusion="gated"),
}
NAMES = (PROBE, *SYSTEMS)
CHOICES: Mapping[str, tuple[str, ...]] = {  # what settings that are words may be
    "optimiser": ("adamw", "adam"),
    "schedule": ("cosine", "constant"),
    "loss": ("mse", "bce", "asl"),
    "clip_rule": ("majority", "any"),
    "standardise": ("recording", "training", "none"),
    "tune": ("conv5", "fc"),
}


@dataclass(frozen=True)
class Settings:
    """How to train. The defaults are ours (docs/ablation.md); those for ``tune="fc"`` has `settings_for`.

    Parameters
    ----------
    epochs : int
        At most.
    patience : int
        Epochs without a better validation score after which training stops.
    batch : int
        Clips in a batch.
    learning_rate, weight_decay : float
        Of the optimiser.
    optimiser : {"adamw", "adam"}
        ``adam`` couples the decay into the gradient, as the paper's L2.
    schedule : {"cosine", "constant"}
        How the learning rate goes on: cosine rises over the first epoch, then falls to a hundredth over `epochs`.
    average : float
        Decay of the moving average of the weights, which is what is evaluated and kept; 0: the weights themselves.
    settle : bool
        Estimate conv5's batch-norm statistics anew before each evaluation. The running ones lag behind the weights,
        and scores swing from epoch to epoch with them.
    regression : bool
        Add to the network's logits those of a logistic regression on pooled activations (`heads.network`).
    views : bool
        Learn from all versions of the picture that are stored, a random one of each clip in each epoch.
    mixup : float
        Alpha of the Beta distribution by which clips are mixed (Zhang et al. 2018, on activations); 0: not.
    sampler : float
        Clips with a class that is in a smaller share of them than this come more often (repeat-factor sampling,
        Gupta et al. 2019); 0: all alike.
    loss : {"mse", "bce", "asl"}
        Error of one clip and class.
    focus, margin : float
        Of the asymmetric loss (`heads.losses.asymmetric`).
    class_weights : bool
        Weigh positives by Equation 5.
    absent : bool
        Under Dynamic Batch Balance, let a class without positives in a batch learn from its negatives all the same.
    auxiliary : float
        Weight of each modality's own loss in the gated fusion.
    clip_rule : {"majority", "any"}
        Which clips are positive.
    standardise : {"recording", "training", "none"}
        By which statistics inputs are standardised.
    tune : {"conv5", "fc"}
        ``conv5``: conv5, fc and the classifier learn; ``fc``: conv5 stays as it is.
    context : bool
        Let a small temporal network look at neighbouring clips too.
    dropout : float
        Share of hidden units dropped.
    widths, audio_widths : tuple of int
        Units of the hidden layers of the classifier and of the sound.
    seed : int
        Of everything random.
    """

    epochs: int = 10
    patience: int = 5
    batch: int = 32
    learning_rate: float = 1e-4
    weight_decay: float = 1e-2
    optimiser: str = "adamw"
    schedule: str = "cosine"
    average: float = 0.96
    settle: bool = True
    regression: bool = True
    views: bool = True
    mixup: float = 0.0
    sampler: float = 0.0
    loss: str = "mse"
    focus: float = 4.0
    margin: float = 0.05
    class_weights: bool = False
    absent: bool = False
    auxiliary: float = 0.3
    clip_rule: str = "majority"
    standardise: str = "recording"
    tune: str = "conv5"
    context: bool = False
    dropout: float = 0.1
    widths: tuple[int, ...] = (128, 128, 128)
    audio_widths: tuple[int, ...] = (512, 256, 256)
    seed: int = 0

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Self:
        """Return the settings in JSON-ready data, whatever else that holds.

        Raises
        ------
        ValueError
            If one of them is a word that it cannot be.
        """
        known = {field.name for field in fields(cls)} & {*data}
        values: dict[str, Any] = {
            name: tuple(data[name]) if isinstance(data[name], list) else data[name] for name in known
        }
        for name, choices in CHOICES.items():
            if name in values and values[name] not in choices:
                raise ValueError(f"{name}: {values[name]!r} is none of {', '.join(choices)}")
        return cls(**values)


PAPER: Mapping[str, Any] = {
    "epochs": 3000,
    "patience": 3000,
    "batch": 32,
    "learning_rate": 1e-3,
    "weight_decay": 1e-2,
    "optimiser": "adam",
    "schedule": "constant",
    "average": 0.0,
    "settle": False,
    "regression": False,
    "views": False,
    "standardise": "none",
}
PRESETS: Mapping[str, Mapping[str, Any]] = {"default": {}, "paper": PAPER}
# A network on conv5's pooled output is small: it takes larger steps, and more of them.
_FC: Mapping[str, Any] = {"epochs": 40, "patience": 15, "batch": 256, "learning_rate": 5e-4}


def settings_for(preset: str = "default", tune: str = "conv5", **chosen: Any) -> Settings:
    """Return settings: what is chosen, else the preset's, else the defaults for what learns.

    Parameters
    ----------
    preset : {"default", "paper"}
        Settings to begin with.
    tune : {"conv5", "fc"}
        The first layer that learns.
    **chosen
        Of `Settings`.
    """
    defaults = _FC if tune == "fc" else {}
    return Settings(tune=tune, **{**defaults, **PRESETS[preset], **chosen})
