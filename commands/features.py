"""Stage one: extract and inspect."""

from pathlib import Path
from typing import Any

from rich.table import Table

from commands.shared import (
    Arguments,
    add_device,
    add_json,
    add_source,
    add_store,
    add_weights,
    command,
    complain,
    finite,
    positive,
    rate,
    show,
    stride,
)
from commands.tables import print_table


def add_extract(commands: Any) -> None:
    """Add the command."""
    parser = command(commands, "extract", _run_extract, "Compute the features of videos, once, into a store.")
    parser.set_defaults(when_stopped="what is done is kept, and the same command goes on from there")
    parser.add_argument("videos", nargs="+", type=Path, metavar="VIDEO")
    add_store(parser, "--store", required=True, help="a folder, or a URL as s3://bucket/store; made if there is none")
    source = parser.add_argument_group("the recording")
    add_source(source)
    source.add_argument("--audio", type=Path, metavar="FILE", help="sound that replaces the video's own")
    source.add_argument(
        "--audio-offset",
        type=finite,
        default=0.0,
        metavar="SECONDS",
        help="when it starts on the video's clock",
    )
    features = parser.add_argument_group("the features (the same for all videos of a store)")
    features.add_argument(
        "--backbone", default="r3d34", metavar="NAME", help="r3d34 (default), r3d_18, mc3_18, r2plus1d_18"
    )
    add_weights(features, "auto")
    features.add_argument(
        "--resize",
        choices=("crop", "squash"),
        help="of the picture, to the network's size (default: as the weights were trained)",
    )
    features.add_argument("--fps", type=rate, metavar="RATE", help="frames a second to sample (default: all there are)")
    features.add_argument("--stride", type=stride, default=16, metavar="FRAMES", help="from clip to clip (default 16)")
    features.add_argument(
        "--tail",
        choices=("drop", "loop"),
        default="drop",
        help="what becomes of frames behind the last whole clip (default drop)",
    )
    features.add_argument(
        "--audio-features",
        choices=("paper", "lab"),
        default="paper",
        help="which features of the sound (default paper)",
    )
    features.add_argument("--precision", choices=("float16", "float32"), default="float16", help="of what is stored")
    features.add_argument(
        "--views", default="plain", metavar="plain,flip,...", help="versions of the picture; more can be added later"
    )
    machine = parser.add_argument_group("the machine")
    add_device(machine)
    machine.add_argument("--runtime", choices=("auto", "torch", "onnxruntime"), default="auto", help="what computes")
    machine.add_argument(
        "--compute", choices=("auto", "float32", "tf32", "float16"), default="auto", help="precision on a GPU"
    )
    machine.add_argument("--engine", choices=("local", "ray"), default="local", help="this machine, or a Ray cluster")
    machine.add_argument("--workers", type=positive, default=1, metavar="N", help="videos at a time (default 1)")


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
            complain(outcome.error)
    return int(failed)


def add_inspect(commands: Any) -> None:
    """Add the command."""
    parser = command(commands, "inspect", _run_inspect, "Show what a store holds.")
    add_store(parser, "store", metavar="STORE")
    parser.add_argument("--verify", action="store_true", help="read everything and check it")
    add_json(parser)


def _run_inspect(arguments: Arguments) -> int:
    from store.summary import inspect_store

    summary = inspect_store(arguments.store, verify=arguments.verify)
    show(arguments, summary, show_store)
    return int(bool(summary["damage"]) or any(recording["damage"] for recording in summary["recordings"].values()))


def show_store(summary: dict[str, Any]) -> None:
    """Print what `store.summary.inspect_store` returned."""
    spec = summary["spec"]
    print(f"{summary['store']}: {spec['backbone']}, weights {spec['weights']} ({spec['kind']}), {spec['precision']}")
    table = Table()
    for column in ("recording", "clips", "sound", "seconds", "frames/s", "source"):
        table.add_column(column, justify="right" if column in ("clips", "seconds", "frames/s") else "left")
    damages = {name: recording["damage"] for name, recording in summary["recordings"].items() if recording["damage"]}
    for name, recording in summary["recordings"].items():
        if name not in damages:
            sound = "yes" if recording["sound"] else "no"
            numbers = (f"{recording[key]:.2f}" for key in ("duration", "frame_rate"))
            table.add_row(name, str(recording["clips"]), sound, *numbers, recording["source_name"])
    print_table(table)
    for name, clips in summary["unfinished"].items():
        print(f"{name}: unfinished, {clips} clips so far; extract the video again to go on")
    for name in summary["foreign"]:
        print(f"{name}: a folder in the store that is no recording")
    for damage in (*damages.values(), *summary["damage"]):
        complain(damage)
    if summary["verified"]:
        whole = len(summary["recordings"]) - len(damages)
        print(f"verified: {whole} of {len(summary['recordings'])} recordings are whole")
