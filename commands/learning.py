"""What the commands that learn have in common: train, update and search."""

from typing import Any

from commands.shared import Arguments


def add_postprocess(parser: Any) -> None:
    """Add ``--postprocess`` and ``--per-class``."""
    group = parser.add_argument_group("how gestures are told from probabilities")
    group.add_argument(
        "--postprocess",
        choices=("clip", "frame", "event", "effort"),
        help="tune smoothing, gaps and shortest gestures too: for this F1, or for the effort of correcting what is "
        "labelled; on more trainings that leave clips out",
    )
    group.add_argument("--per-class", action="store_true", help="with --postprocess: for each class by itself")


def learning(arguments: Arguments) -> dict[str, Any]:
    """Return what all of them take alike: where to train, the aim of post-processing, the annotations' offset."""
    return {"device": arguments.device, "aim": _aim(arguments), "offset": arguments.offset}


def settings_of(arguments: Arguments) -> Any:
    """Return the settings that arguments of a training stand for; what is not given keeps its default."""
    from heads.settings import settings_for

    names = ("tune", "context", "standardise", "loss", "class_weights", "epochs", "seed", "clip_rule")
    chosen = {name: getattr(arguments, name) for name in names if getattr(arguments, name, None) is not None}
    return settings_for(getattr(arguments, "preset", "default"), **chosen)


def _aim(arguments: Arguments) -> Any:
    if arguments.postprocess is None:
        if arguments.per_class:
            arguments.parser.error("--per-class goes with --postprocess")
        return None
    from search.tuning import Aim

    return Aim(arguments.postprocess, arguments.per_class, seed=arguments.seed)
