"""Stage two: train, evaluate and label."""

from pathlib import Path
from typing import Any

from commands.shared import (
    Arguments,
    add_annotation_paths,
    add_device,
    add_json,
    add_source,
    add_store,
    add_vocabulary,
    add_weights,
    command,
    positive,
    seed,
    show,
)


def add_train(commands: Any) -> None:
    """Add the command."""
    parser = command(commands, "train", _run_train, "Learn from the annotated part of a store's recordings.")
    add_store(parser, "store", metavar="STORE")
    add_annotation_paths(parser)
    add_vocabulary(parser, required=True)
    parser.add_argument(
        "--system",
        choices=("probe", "sm", "sm+bb", "sm+bb+ts"),
        default="sm+bb+ts",
        help="single model (sm), with Dynamic Batch Balance (bb) and Temporal Smoothing (ts), or the linear probe "
        "(default sm+bb+ts)",
    )
    parser.add_argument(
        "--split", choices=("blocked", "random"), default="blocked", help="how clips are held out (default blocked)"
    )
    parser.add_argument(
        "--tune", choices=("conv5", "fc"), default="conv5", help="the first layer that learns (default conv5)"
    )
    parser.add_argument("--epochs", type=positive, metavar="N", help="at most (default 30)")
    parser.add_argument("--seed", type=seed, default=0, metavar="N", help="of everything random (default 0)")
    parser.add_argument("--out", type=Path, required=True, metavar="MODEL", help="folder for the model")
    add_json(parser)


def _run_train(arguments: Arguments) -> None:
    from heads.training import Settings
    from search.runs import train
    from search.tables import show_training

    given = {"tune": arguments.tune, "seed": arguments.seed}
    if arguments.epochs is not None:
        given["epochs"] = arguments.epochs
    result = train(
        arguments.store,
        arguments.annotations,
        arguments.vocabulary,
        arguments.out,
        system=arguments.system,
        split=arguments.split,
        settings=Settings(**given),
    )
    show(arguments, result, show_training)


def add_evaluate(commands: Any) -> None:
    """Add the command."""
    text = "Score a model; of recordings it was trained on, only their test part."
    parser = command(commands, "evaluate", _run_evaluate, text)
    parser.add_argument("model", type=Path, metavar="MODEL")
    add_store(parser, "store", metavar="STORE")
    add_annotation_paths(parser)
    add_json(parser)


def _run_evaluate(arguments: Arguments) -> None:
    from search.runs import evaluate
    from search.tables import show_evaluation

    show(arguments, evaluate(arguments.model, arguments.store, arguments.annotations), show_evaluation)


def add_label(commands: Any) -> None:
    """Add the command."""
    parser = command(commands, "label", _run_label, "Label a video with a model, into an ELAN file, text or CSV.")
    parser.add_argument("video", type=Path, metavar="VIDEO")
    parser.add_argument("--model", type=Path, required=True, help="folder of the model")
    add_store(parser, "--store", help="take the features from here, and keep new ones here")
    add_source(parser)
    parser.add_argument("--annotations", type=Path, metavar="EXISTING", help="file whose annotations are kept")
    parser.add_argument("--out", type=Path, required=True, metavar="FILE", help=".eaf, .txt or .csv; added to if there")
    add_weights(parser, None)
    add_device(parser)
    add_json(parser)


def _run_label(arguments: Arguments) -> None:
    from extract.regions import regions_of
    from heads.labelling import label
    from search.tables import show_labelling

    result = label(
        arguments.video,
        arguments.model,
        arguments.out,
        store=arguments.store,
        name=arguments.name,
        roi=regions_of([arguments.video], arguments.roi).get(arguments.video),
        annotations=arguments.annotations,
        weights=arguments.weights,
        device=arguments.device,
    )
    show(arguments, result, show_labelling)
