"""Look at annotations and predictions on a page, and correct them."""

from pathlib import Path
from typing import Any

from commands.shared import Arguments, add_device, add_store, add_weights, command, port


def add_review(commands: Any) -> None:
    """Add the command."""
    text = "Open a page on which a video's annotations and predictions are looked at and corrected."
    parser = command(commands, "review", _run_review, text)
    parser.set_defaults(when_stopped="what was not saved is there when you open it again")
    parser.add_argument("video", type=Path, metavar="VIDEO")
    parser.add_argument(
        "--annotations", type=Path, required=True, metavar="FILE.eaf", help="its ELAN file; made if there is none"
    )
    parser.add_argument("--model", type=Path, help="folder of a model: shows its probabilities and predictions")
    parser.add_argument("--vocabulary", metavar="NAME|FILE", help="gestures to show, where no model says so")
    add_store(parser, "--store", help="take the video's features from here; needed to learn from corrections")
    text = "annotation files of the store's other recordings, to learn from as well"
    parser.add_argument("--others", nargs="+", action="extend", type=Path, default=[], metavar="PATH", help=text)
    add_weights(parser, None)
    add_device(parser, "where networks run")
    page = parser.add_argument_group("the page")
    page.add_argument("--host", default="127.0.0.1", help="name or address to serve on (default: this machine alone)")
    page.add_argument("--port", type=port, default=0, help="default: one that is free")
    page.add_argument("--no-browser", action="store_true", help="print the address alone")


def _run_review(arguments: Arguments) -> None:
    if arguments.model is not None and arguments.vocabulary is not None:
        arguments.parser.error("a model has its own vocabulary; give --model or --vocabulary")
    if arguments.others and arguments.store is None:
        arguments.parser.error("--others goes with --store, where the features of those recordings are")
    import webbrowser

    from review.desk import Sources
    from review.serve import review
    from store.vocabulary import load_vocabulary

    def opened(address: str) -> None:
        print(f"{arguments.video.name} is open at {address}\nCtrl-C ends it.", flush=True)
        if not arguments.no_browser:
            webbrowser.open(address)

    review(
        arguments.video,
        arguments.annotations,
        vocabulary=None if arguments.vocabulary is None else load_vocabulary(arguments.vocabulary),
        sources=Sources(arguments.model, arguments.store, tuple(arguments.others), arguments.weights, arguments.device),
        host=arguments.host,
        port=arguments.port,
        opened=opened,
    )
