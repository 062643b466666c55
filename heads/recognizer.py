"""ELAN's Recognizers tab: parameters on standard input, a file of tiers out, lines of progress between.

The protocol is that of the AVATecH project (interface specification of 2014), as ELAN's LocalRecognizer speaks it:
``PROGRESS: 0.5 what is being done``, and at the end ``RESULT: DONE.`` or ``RESULT: FAILED.``. All other lines stand
in the report that ELAN shows; it reads standard error together with standard output.
"""

import locale
import sys
import tempfile
import traceback
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO
from urllib.parse import unquote

from lxml import etree

from store import annotations
from store.annotations import ANNOTATED_TIER, Interval, predicted_tier
from store.annotations.avatech import avatech_tiers, read_avatech_spans
from store.annotations.elan_tree import parse_xml
from store.errors import InputError
from store.files import write_atomically
from store.places import Place
from store.progress import listen
from store.vocabulary import class_members

PARAMETERS = ("video", "model", "store", "annotated", "tiers")

_SOURCE = Path("the parameters from ELAN")
_END = b"</PARAM>"
_MAX_BYTES = 2**20
_BEFORE, _AFTER = 0.02, 0.95  # of the bar: what loading the model takes, and where labelling begins to write

Say = Callable[[str], None]


def recognize(stream: BinaryIO, say: Say, model: Path | None = None, store: "Place | None" = None) -> None:
    """Label a video as ELAN asks for it, and write the tiers found for ELAN to take.

    Parameters
    ----------
    stream : binary file
        Where ELAN writes the parameters.
    say : callable
        Prints a line for ELAN to read.
    model : Path, optional
        Where ELAN names none.
    store : Path or UPath, optional
        Likewise.

    Raises
    ------
    InputError
        If something given cannot be used; no tiers are written then.
    """
    given = read_parameters(stream)
    for name in ("video", "tiers"):
        if name not in given:
            raise InputError(f"no {name} was chosen; choose it in ELAN's Recognizers tab")
    video, out = _existing(given["video"]), Path(given["tiers"])
    chosen = _existing(given["model"]) if "model" in given else model
    if chosen is None:
        raise InputError("no model was chosen; choose its folder in ELAN's Recognizers tab")
    folder = chosen.parent if chosen.is_file() else chosen  # a file in it may be chosen as well
    place = _existing(given["store"]) if "store" in given else store
    spans = read_avatech_spans(_existing(given["annotated"])) if "annotated" in given else []
    if not out.parent.is_dir():
        raise InputError(f"{out}: there is no folder {out.parent}; choose another place for the tiers")
    from heads.labelling import label  # only now: what was chosen wrongly is said at once
    from heads.model import load_model

    gestures = list(class_members(load_model(folder).vocabulary))
    say(f"PROGRESS: {_BEFORE} looking at {video.name}")
    listen(_reporter(say))
    with tempfile.TemporaryDirectory(prefix="chironomy-") as scratch:
        base, labelled = Path(scratch) / "annotated.csv", Path(scratch) / "labelled.csv"
        annotations.write(base, [Interval(begin, end, ANNOTATED_TIER) for begin, end in spans])
        result = label(video, folder, labelled, store=place, annotations=base if spans else None)
        say(f"PROGRESS: {_AFTER} writing the tiers")
        found = annotations.read(labelled).intervals if labelled.stat().st_size else ()
        tiers = [predicted_tier(gesture) for gesture in gestures]
        write_atomically(out, avatech_tiers({tier: [each for each in found if each.tier == tier] for tier in tiers}))
    for gesture, summary in result["gestures"].items():
        say(f"INFO: {gesture}: {summary['intervals']} intervals, {summary['seconds']:.1f} s")
    if result["untrained_backbone"]:
        say("INFO: the backbone is untrained (random weights): this shows that the path works, not how well it can")


def read_parameters(stream: BinaryIO) -> dict[str, str]:
    """Return the parameters that ELAN sends, by name; those that were left empty are left out.

    Raises
    ------
    InputError
        If they are not what ELAN sends.
    """
    content = b""
    for line in stream:
        content += line
        if _END in line or len(content) > _MAX_BYTES:
            break
    root = parse_xml(_as_declared(content), _SOURCE, "PARAM document", "start this from ELAN")
    if root.tag != "PARAM":
        raise InputError(f"{_SOURCE}: are in {etree.QName(root).localname}, not in PARAM; start this from ELAN")
    values = {element.get("name"): (element.text or "").strip() for element in root.iterfind("param")}
    return {name: value for name, value in values.items() if name in PARAMETERS and value}


def _as_declared(content: bytes) -> bytes:
    """Return the parameters in UTF-8: older versions of ELAN declare that, but write as the system does."""
    try:
        content.decode()
        return content
    except UnicodeDecodeError:
        return content.decode(locale.getencoding(), "replace").encode()


def _existing(text: str) -> Path:
    """Return the path of what was chosen; ELAN may give it as a part of a URL."""
    for name in (text, unquote(text)):
        with suppress(OSError, ValueError):
            if Path(name).exists():
                return Path(name)
    raise InputError(f"{text}: no such file or folder; choose it again")


def _reporter(say: Say) -> Callable[[str, int, int | None], None]:
    """Return what prints a line of progress at each new hundredth."""
    last = -1

    def report(description: str, done: int, total: int | None) -> None:
        nonlocal last
        if total:
            percent = round(100 * (_BEFORE + (_AFTER - _BEFORE) * min(done / total, 1)))
            if percent > last:
                last = percent
                say(f"PROGRESS: {percent / 100:.2f} {description}")

    return report


def answer(model: Path | None = None, store: "Place | None" = None) -> bool:
    """Do what ELAN asks for on standard input, and tell it on standard output how it went.

    `model` and `store` are as in `recognize`. Returns whether the tiers are there.
    """

    def say(line: str) -> None:
        print(line, flush=True)  # noqa: T201 - to ELAN

    try:
        recognize(sys.stdin.buffer, say, model, store)
    except BaseException as problem:
        if isinstance(problem, InputError):
            say(f"ERROR: {problem}")
        elif isinstance(problem, KeyboardInterrupt):
            say("INFO: stopped")
        else:
            traceback.print_exc()  # a fault of ours, for the report
        say("RESULT: FAILED.")
        return False
    say("PROGRESS: 1.0")
    say("RESULT: DONE.")
    return True
