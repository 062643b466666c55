"""A report to look at: one page that needs nothing else, or the same as Markdown."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from heads.model import GestureModel, load_model
from heads.model_folder import DESCRIPTION
from search.report.described import learned_from, scores
from search.report.evidence import Evidence
from search.report.pieces import Report, Text
from search.report.study import RESULT, of_study
from store.errors import InputError
from store.files import write_atomically
from store.places import Place
from store.spec import UNTRAINED

_PAGES = {".html": "reproduction.html", ".md": "reproduction.md"}  # as `search.reproduction` writes them


def report(
    what: Path,
    out: Path,
    *,
    store: "Place | None" = None,
    annotations: Sequence[Path] = (),
    videos: Sequence[Path] = (),
    offset: float | None = None,
) -> dict[str, Any]:
    """Write a report of a model, of a search for settings, or of the paper's experiments.

    Parameters
    ----------
    what : Path
        A model's folder; that of a study, which `search.studies.searching.search` leaves beside its model; or that of
        `search.reproduction.reproduce`, whose page is taken as it is.
    out : Path
        ``.html``: one page that needs nothing but itself; ``.md``: Markdown, its figures in a folder beside it.
    store : Path or UPath, optional
        A feature store, to show with `annotations` what the model says of its recordings.
    annotations : sequence of Path
        Annotation files, or folders of them.
    videos : sequence of Path
        Videos, or folders of them, for pictures of clips; beside the annotations they are found by themselves.
    offset : float, optional
        Seconds to be added to the annotations' times.

    Returns
    -------
    dict
        JSON-ready: the file, what it shows, and notes.

    Raises
    ------
    InputError
        If something given cannot be used; nothing is written then.
    """
    if out.suffix.lower() not in _PAGES:
        raise InputError(f"{out}: a report is a .html or .md file; name it so")
    if not out.absolute().parent.is_dir():
        raise InputError(f"{out}: there is no folder {out.parent}; make it first or name another")
    if (what / DESCRIPTION).is_file():
        model = load_model(what)
        evidence = None if store is None else Evidence.of(model, what, store, annotations, videos, offset)
        notes = [] if evidence is None else [*evidence.data.notes, *evidence.notes]
        return _written(_of_model(what, model, evidence), out, notes)
    if (what / RESULT).is_file():
        return _written(of_study(what), out, [])
    page = what / _PAGES[out.suffix.lower()]
    if not page.is_file():
        raise InputError(f"{what}: no model, nor a finished folder of chironomy search or reproduce; name one")
    content = page.read_bytes()
    if out.suffix.lower() == ".md":
        content = content.replace(b"](figures/", f"]({(what / 'figures').absolute().as_posix()}/".encode())
    write_atomically(out, content)
    return {"out": str(out), "bytes": len(content), "sections": ["The experiments of the paper"], "notes": []}


def _written(made: Report, out: Path, notes: list[str]) -> dict[str, Any]:
    made.write(out)
    shown = [heading for heading, pieces in made.sections if pieces]
    return {"out": str(out), "bytes": out.stat().st_size, "sections": shown, "notes": notes}


def _of_model(folder: Path, model: GestureModel, evidence: Evidence | None) -> Report:
    introduction = [Text(f"What the model {folder.name} learned, how good it is, and where it errs.")]
    if model.spec.untrained:
        introduction.append(Text(UNTRAINED, warning=True))
    sections = [("What it learned from", learned_from(model)), ("How good it is", scores(model))]
    if evidence is None:
        introduction.append(Text("With --store and --annotations it shows what the model says of the recordings too."))
    else:
        sections += [
            ("What to annotate next", evidence.next()),
            ("The clips it got most wrong", evidence.worst()),
            ("Where it errs", evidence.errors()),
            ("What it says of each recording", evidence.timelines()),
            ("What the recordings hold", evidence.recordings()),
        ]
    return Report(f"{model.vocabulary.name}: {folder.name}", introduction, sections)
