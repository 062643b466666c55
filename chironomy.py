"""The command line: arguments in, one call down, result out."""

import argparse
import json
import math
import os
import signal
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from rich_argparse import RichHelpFormatter

from store.errors import InputError

Arguments = argparse.Namespace


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line.

    Parameters
    ----------
    argv : sequence of str, optional
        Arguments; those of the process if not given.

    Returns
    -------
    int
        Exit status: 0 done, 1 the input cannot be used, or stopped. Wrong arguments exit with 2.
    """
    arguments = _parser().parse_args(argv)
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # a request to stop is a Ctrl-C
    try:
        status = arguments.run(arguments) or 0
        sys.stdout.flush()
        return status
    except InputError as error:
        _complain(error)
    except KeyboardInterrupt:
        _complain("stopped; what is done is kept, and the same command goes on from there")
    except BrokenPipeError:
        # Whoever read the output has closed it, as head does; Python's own flush at exit must not fail again.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    except OSError as error:
        _complain(f"{error.filename or 'a file'}: {error.strerror or error}; check the place and its permissions")
    return 1


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="chironomy",
        description="Labels expressive gestures in videos of music performances: learns from the part that "
        "is annotated in ELAN and labels the rest.",
        epilog="Start with: chironomy demo",
        formatter_class=RichHelpFormatter,
    )
    parser.add_argument("--version", action=_Version, nargs=0, help="show the version and exit")
    commands = parser.add_subparsers(required=True, metavar="COMMAND", title="commands")
    for add in (_extract, _inspect, _annotations, _convert, _train, _evaluate, _label, _demo):
        add(commands)
    return parser


class _Version(argparse.Action):
    def __call__(self, parser: argparse.ArgumentParser, *_: Any) -> None:
        import importlib.metadata  # only now: it takes a third of the time of --help

        print(f"chironomy {importlib.metadata.version('chironomy')}")
        parser.exit()


def _command(commands: Any, name: str, run: Callable[[Arguments], int | None], text: str) -> argparse.ArgumentParser:
    parser = commands.add_parser(name, help=text, description=text, formatter_class=RichHelpFormatter)
    parser.set_defaults(run=run, parser=parser)
    return parser


def _extract(commands: Any) -> None:
    parser = _command(commands, "extract", _run_extract, "Compute the features of videos, once, into a store.")
    parser.add_argument("videos", nargs="+", type=Path, metavar="VIDEO")
    _add_store(parser, "--store", required=True, help="a folder, or a URL as s3://bucket/store; made if there is none")
    source = parser.add_argument_group("the recording")
    _add_source(source)
    source.add_argument("--audio", type=Path, metavar="FILE", help="sound that replaces the video's own")
    source.add_argument(
        "--audio-offset", type=_finite, default=0.0, metavar="SECONDS", help="when that sound starts on the video's clock"
    )
    features = parser.add_argument_group("the features (the same for all videos of a store)")
    features.add_argument(
        "--backbone", default="r3d34", metavar="NAME", help="r3d34 (default), r3d_18, mc3_18, r2plus1d_18"
    )
    _add_weights(features, "auto")
    features.add_argument(
        "--resize", choices=("crop", "squash"), help="to the network's size (default: as its weights)"
    )
    features.add_argument(
        "--fps", type=_rate, metavar="RATE", help="frames a second to sample (default: all there are)"
    )
    features.add_argument("--stride", type=_stride, default=16, metavar="FRAMES", help="from clip to clip (default 16)")
    features.add_argument("--tail", choices=("drop", "loop"), default="drop", help="of a video, less than a clip")
    features.add_argument("--audio-features", choices=("paper", "lab"), default="paper", help="(default paper)")
    features.add_argument("--precision", choices=("float16", "float32"), default="float16", help="of what is stored")
    features.add_argument(
        "--views", default="plain", metavar="plain,flip,...", help="versions of the picture; more can be added later"
    )
    machine = parser.add_argument_group("the machine")
    _add_device(machine)
    machine.add_argument("--runtime", choices=("auto", "torch", "onnxruntime"), default="auto", help="what computes")
    machine.add_argument(
        "--compute", choices=("auto", "float32", "tf32", "float16"), default="auto", help="precision on a GPU"
    )
    machine.add_argument("--engine", choices=("local", "ray"), default="local", help="this machine, or a Ray cluster")
    machine.add_argument("--workers", type=_positive, default=1, metavar="N", help="videos at a time (default 1)")


def _run_extract(arguments: Arguments) -> int:
    if len(arguments.videos) > 1 and (arguments.name or arguments.audio):
        arguments.parser.error("--name and --audio are for one video")
    if arguments.audio_offset and not arguments.audio:
        arguments.parser.error("--audio-offset goes with --audio")
    from extract.jobs import Job, Machine, Settings
    from extract.many import Recipe, extract_all
    from extract.regions import regions_of
    from extract.views import check_views

    recipe = Recipe(
        str(arguments.store),
        arguments.weights,
        arguments.backbone,
        Settings(
            precision=arguments.precision,
            stride=arguments.stride,
            fps=arguments.fps,
            tail=arguments.tail,
            resize=arguments.resize,
            audio=arguments.audio_features,
        ),
        Machine(arguments.device, arguments.runtime, arguments.compute),
        check_views(arguments.views),
    )
    roi = regions_of(arguments.videos, arguments.roi)
    jobs = [
        Job(video, arguments.name, arguments.audio, arguments.audio_offset, roi.get(video))
        for video in arguments.videos
    ]
    failed = False
    for outcome in extract_all(recipe, jobs, arguments.engine, arguments.workers):
        if outcome.error is None:
            counted = f"{outcome.clips} clips, in {outcome.seconds:.1f} s"
            print(f"{outcome.video}: {outcome.recording} {outcome.status}, {counted}", flush=True)
        else:
            failed = True
            _complain(outcome.error)
    return int(failed)


def _inspect(commands: Any) -> None:
    parser = _command(commands, "inspect", _run_inspect, "Show what a store holds.")
    _add_store(parser, "store", metavar="STORE")
    parser.add_argument("--verify", action="store_true", help="read everything and check it")
    _add_json(parser)


def _run_inspect(arguments: Arguments) -> int:
    from search.tables import show_store
    from store.summary import inspect_store

    summary = inspect_store(arguments.store, verify=arguments.verify)
    _show(arguments, summary, show_store)
    return int(bool(summary["damage"]) or any(recording["damage"] for recording in summary["recordings"].values()))


def _annotations(commands: Any) -> None:
    parser = _command(commands, "annotations", _run_annotations, "Show what annotation files hold.")
    parser.add_argument("files", nargs="+", type=Path, metavar="FILE")
    _add_vocabulary(parser, required=False)
    _add_json(parser)


def _run_annotations(arguments: Arguments) -> int:
    from search.tables import show_annotations
    from store.matching import summarise
    from store.vocabulary import load_vocabulary

    vocabulary = load_vocabulary(arguments.vocabulary) if arguments.vocabulary else None
    summaries = []
    for file in arguments.files:
        try:
            summaries.append(summarise(file, vocabulary))
        except InputError as error:
            _complain(error)
    _show(arguments, {"files": summaries}, show_annotations)
    return int(len(summaries) < len(arguments.files))


def _convert(commands: Any) -> None:
    text = "Convert an annotation file; the endings say from what to what."
    parser = _command(commands, "convert", _run_convert, text)
    parser.add_argument("file", type=Path, metavar="FILE", help=".eaf, .txt (tab-delimited) or .csv")
    parser.add_argument("out", type=Path, metavar="OUT", help="likewise")


def _run_convert(arguments: Arguments) -> None:
    from store.annotations import convert

    convert(arguments.file, arguments.out)
    print(arguments.out)


def _train(commands: Any) -> None:
    parser = _command(commands, "train", _run_train, "Learn from the annotated part of a store's recordings.")
    _add_store(parser, "store", metavar="STORE")
    _add_annotation_paths(parser)
    _add_vocabulary(parser, required=True)
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
    parser.add_argument("--epochs", type=_positive, metavar="N", help="at most (default 30)")
    parser.add_argument("--seed", type=_seed, default=0, metavar="N", help="of everything random (default 0)")
    parser.add_argument("--out", type=Path, required=True, metavar="MODEL", help="folder for the model")
    _add_json(parser)


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
    _show(arguments, result, show_training)


def _evaluate(commands: Any) -> None:
    text = "Score a model; of recordings it was trained on, only their test part."
    parser = _command(commands, "evaluate", _run_evaluate, text)
    parser.add_argument("model", type=Path, metavar="MODEL")
    _add_store(parser, "store", metavar="STORE")
    _add_annotation_paths(parser)
    _add_json(parser)


def _run_evaluate(arguments: Arguments) -> None:
    from search.runs import evaluate
    from search.tables import show_evaluation

    _show(arguments, evaluate(arguments.model, arguments.store, arguments.annotations), show_evaluation)


def _label(commands: Any) -> None:
    parser = _command(commands, "label", _run_label, "Label a video with a model, into an ELAN file, text or CSV.")
    parser.add_argument("video", type=Path, metavar="VIDEO")
    parser.add_argument("--model", type=Path, required=True, help="folder of the model")
    _add_store(parser, "--store", help="take the features from here, and keep new ones here")
    _add_source(parser)
    parser.add_argument("--annotations", type=Path, metavar="EXISTING", help="file whose annotations are kept")
    parser.add_argument("--out", type=Path, required=True, metavar="FILE", help=".eaf, .txt or .csv; added to if there")
    _add_weights(parser, None)
    _add_device(parser)
    _add_json(parser)


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
    _show(arguments, result, show_labelling)


def _demo(commands: Any) -> None:
    parser = _command(commands, "demo", _run_demo, "Draw four short performances, learn from them and label them.")
    parser.add_argument("folder", nargs="?", type=Path, default=Path("chironomy-demo"), metavar="DIR")
    parser.add_argument("--seconds", type=_seconds, default=45, metavar="N", help="length of each (default 45)")


def _run_demo(arguments: Arguments) -> None:
    from demo.run import run_demo
    from search.tables import show_demo

    show_demo(run_demo(arguments.folder, arguments.seconds))


def _add_annotation_paths(parser: argparse.ArgumentParser) -> None:
    text = "annotation files, or folders of them; video-1.eaf belongs to the recording video-1"
    parser.add_argument(
        "--annotations", nargs="+", action="extend", type=Path, required=True, metavar="PATH", help=text
    )


def _add_vocabulary(parser: argparse.ArgumentParser, required: bool) -> None:
    text = "guitar-18, guitar-7, or a TOML file of your own"
    parser.add_argument("--vocabulary", required=required, metavar="NAME|FILE", help=text)


def _add_store(parser: argparse.ArgumentParser, name: str, **given: Any) -> None:
    parser.add_argument(name, type=_place, **given)


def _add_source(parser: Any) -> None:
    parser.add_argument("--name", metavar="ID", help="name of the recording (default: the file's, without ending)")
    text = "part of the picture to look at, in pixels; or a CSV file with the columns video,x,y,w,h"
    parser.add_argument("--roi", metavar="x,y,w,h|FILE", help=text)


def _add_weights(parser: Any, default: str | None) -> None:
    text = "of the backbone: a file, a published one found or downloaded (auto), or random ones to try things out"
    parser.add_argument("--weights", default=default, metavar="auto|FILE|random:SEED", help=text)


def _add_device(parser: Any) -> None:
    parser.add_argument("--device", choices=("auto", "cpu", "cuda"), default="auto", help="where the backbone runs")


def _add_json(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--json", action="store_true", help="print one JSON object instead of text")


def _whole(text: str, smallest: int) -> int:
    if not text.isdecimal() or not smallest <= int(text) < 2**32:
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number from {smallest} on")
    return int(text)


def _place(text: str) -> Any:
    from store.places import place

    try:
        return place(text)
    except InputError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def _finite(text: str) -> float:
    try:
        number = float(text)
    except ValueError:
        number = math.nan
    if not math.isfinite(number):
        raise argparse.ArgumentTypeError(f"{text!r} is not a number")
    return number


def _rate(text: str) -> float:
    rate = _finite(text)
    if not 0 < rate <= 1000:
        raise argparse.ArgumentTypeError(f"{text} is not a rate: between 0 and 1000 frames a second")
    return rate


def _stride(text: str) -> int:
    stride = _whole(text, 1)
    if stride > 16:
        raise argparse.ArgumentTypeError(f"{text} is longer than a clip of 16 frames: some would be in no clip")
    return stride


def _positive(text: str) -> int:
    return _whole(text, 1)


def _seconds(text: str) -> int:
    return _whole(text, 12)  # of less, nothing can be held out


def _seed(text: str) -> int:
    return _whole(text, 0)


def _complain(problem: object) -> None:
    print(f"chironomy: {problem}", file=sys.stderr)


def _show(arguments: Arguments, result: Any, show: Callable[[Any], None]) -> None:
    if arguments.json:
        print(json.dumps(result, ensure_ascii=False))
    else:
        show(result)


if __name__ == "__main__":
    sys.exit(main())
