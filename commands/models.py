"""Stage two: train, evaluate and label."""

from pathlib import Path
from typing import Any

from commands.learning import add_postprocess, learning, settings_of
from commands.scores import show_evaluation, show_training
from commands.shared import (
    Arguments,
    add_annotated_store,
    add_csv,
    add_device,
    add_json,
    add_offset,
    add_seed,
    add_source,
    add_store,
    add_thresholds,
    add_vocabulary,
    add_weights,
    command,
    positive,
    show,
    split,
)
from commands.tables import interval, make_table, print_table, show_notes, show_untrained
from heads.settings import CHOICES, NAMES, PRESETS
from search.split_names import SPLITS


def add_train(commands: Any) -> None:
    """Add the command."""
    parser = command(commands, "train", _run_train, "Learn from the annotated part of a store's recordings.")
    parser.set_defaults(when_stopped="what was kept of it is gone on with by the same command")
    add_annotated_store(parser)
    add_vocabulary(parser, required=True)
    parser.add_argument("--out", type=Path, required=True, metavar="MODEL", help="folder for the model")
    what = parser.add_argument_group("what learns")
    what.add_argument(
        "--system",
        choices=NAMES,
        default="sm+bb+ts",
        help="single model (sm), with Dynamic Batch Balance (bb) and Temporal Smoothing (ts), with sound (bimodal, "
        "bimodal-gated), a network per gesture (mm), or the linear probe alone (default sm+bb+ts)",
    )
    what.add_argument(
        "--tune", choices=CHOICES["tune"], help="the first layer that learns: fc takes seconds (default conv5)"
    )
    what.add_argument("--context", action="store_true", default=None, help="look at neighbouring clips too")
    what.add_argument(
        "--standardise",
        choices=CHOICES["standardise"],
        help="by whose statistics features are standardised (default recording: each by its own)",
    )
    how = parser.add_argument_group("how")
    how.add_argument("--preset", choices=tuple(PRESETS), default="default", help="settings to begin with")
    how.add_argument("--loss", choices=CHOICES["loss"], help="error of a clip (default mse, the paper's)")
    how.add_argument(
        "--class-weights", action="store_true", default=None, help="weigh rare gestures' positives (Equation 5)"
    )
    how.add_argument(
        "--epochs", type=positive, metavar="N", help="at most (default 10; 40 with --tune fc; 3000 with --preset paper)"
    )
    add_seed(how)
    add_device(how, "where to train")
    scored = parser.add_argument_group("how it is scored")
    scored.add_argument(
        "--split",
        type=split,
        default="blocked",
        help=f"{', '.join(SPLITS)} (default blocked)",
    )
    scored.add_argument(
        "--clip-rule", choices=CHOICES["clip_rule"], help="which clips are positive: half of the frames, or one"
    )
    add_csv(scored)
    add_postprocess(parser)
    add_json(parser)


def _run_train(arguments: Arguments) -> None:
    from search.runs import train

    result = train(
        arguments.store,
        arguments.annotations,
        arguments.vocabulary,
        arguments.out,
        system=arguments.system,
        split=arguments.split,
        settings=settings_of(arguments),
        csv=arguments.csv,
        **learning(arguments),
    )
    show(arguments, result, show_training)


def add_update(commands: Any) -> None:
    """Add the command."""
    text = "Go on with a model: learn what has been corrected and annotated since, and tell what that changed."
    parser = command(commands, "update", _run_update, text)
    parser.set_defaults(when_stopped="the earlier model is as it was; the same command goes on", seed=0)
    parser.add_argument("model", type=Path, metavar="MODEL", help="folder of the earlier model")
    add_annotated_store(parser)
    add_vocabulary(parser, required=False)
    parser.add_argument(
        "--out", type=Path, required=True, metavar="MODEL", help="folder for the model; may be the earlier one's"
    )
    add_csv(parser)
    add_device(parser, "where to train")
    add_postprocess(parser)
    add_json(parser)


def _run_update(arguments: Arguments) -> None:
    from search.updating import update

    result = update(
        arguments.model,
        arguments.store,
        arguments.annotations,
        arguments.out,
        vocabulary=arguments.vocabulary,
        csv=arguments.csv,
        **learning(arguments),
    )
    show(arguments, result, show_update)


def show_update(result: dict[str, Any]) -> None:
    """Print what `search.updating.update` returned."""
    show_training(result)
    changes = result["changes"]
    clips = changes["clips"]
    print(f"since {changes['from']}: {clips['known']} clips newly annotated, {clips['dropped']} no longer")
    if changes["annotations"] is None:
        print("The earlier model does not remember its annotations: which of them changed is not known.")
    else:
        table = make_table("Annotations since then", "gesture", ("before", "now", "added", "removed", "moved"))
        for name, counts in changes["annotations"].items():
            table.add_row(name, *map(str, counts.values()))
        print_table(table)
    scores = changes["scores"]
    if scores is not None:
        before, after = scores["before"]["macro_f1"], scores["after"]["macro_f1"]
        print(
            f"On the same {scores['clips']} held-out clips: macro-F1 {before:.2f} before, {after:.2f} now, "
            f"{scores['difference']:+.3f}{interval(scores['interval'], '+', 3)}"
        )


def add_evaluate(commands: Any) -> None:
    """Add the command."""
    text = "Score a model; of recordings it was trained on, only their test part."
    parser = command(commands, "evaluate", _run_evaluate, text)
    parser.add_argument("model", type=Path, metavar="MODEL")
    add_annotated_store(parser)
    parser.add_argument("--against", type=Path, metavar="MODEL", help="compare with another model, clip by clip")
    add_csv(parser, "write all scores as a table")
    add_thresholds(parser)
    add_json(parser)


def _run_evaluate(arguments: Arguments) -> None:
    from search.runs import evaluate

    result = evaluate(
        arguments.model,
        arguments.store,
        arguments.annotations,
        against=arguments.against,
        csv=arguments.csv,
        thresholds=dict(arguments.threshold),
        offset=arguments.offset,
    )
    show(arguments, result, show_evaluation)


def add_label(commands: Any) -> None:
    """Add the command."""
    parser = command(commands, "label", _run_label, "Label a video with a model, into an ELAN file or another format.")
    parser.add_argument("video", type=Path, metavar="VIDEO")
    parser.add_argument("--model", type=Path, required=True, help="folder of the model")
    add_store(parser, "--store", help="take the features from here, and keep new ones here")
    add_source(parser)
    parser.add_argument("--annotations", type=Path, metavar="EXISTING", help="file whose annotations are kept")
    add_offset(parser)
    parser.add_argument(
        "--out",
        type=Path,
        required=True,
        metavar="FILE",
        help=".eaf, .csv, .TextGrid ... (as convert); added to if there",
    )
    parser.add_argument(
        "--suggest",
        type=positive,
        default=0,
        metavar="N",
        help="point out up to N stretches worth looking at next, on a tier of their own, 'worth a look [chironomy]'",
    )
    add_thresholds(parser)
    add_weights(parser, None)
    add_device(parser)
    add_json(parser)


def _run_label(arguments: Arguments) -> None:
    from extract.regions import regions_of
    from heads.labelling import label

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
        thresholds=dict(arguments.threshold),
        offset=arguments.offset,
        suggestions=arguments.suggest,
    )
    show(arguments, result, show_labelling)


def show_labelling(result: dict[str, Any]) -> None:
    """Print what `heads.labelling.label` returned."""
    show_notes(result)
    title = f"{result['recording']}: {result['clips']} clips labelled"
    table = make_table(title, "gesture", ("intervals", "seconds"))
    for gesture, found in result["gestures"].items():
        table.add_row(gesture, str(found["intervals"]), f"{found['seconds']:.1f}")
    print_table(table)
    for each in result["suggestions"]:
        print(f"worth a look: {each['begin']:7.1f} to {each['end']:.1f} s  {each['why']}")
    show_untrained(result)
    print(f"written: {result['out']}")
