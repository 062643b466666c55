"""Writing it all down: a page, Markdown, LaTeX, and each table and figure as a file of its own."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from search.figures.style import save, svg
from search.rendering.html import figure_html, page, paragraph, table_html
from search.rendering.tables import Table
from search.rendering.text import LATEX_PREAMBLE, csv_text, latex, latex_text, markdown
from search.reproduction.drawing import Drawn
from store.files import write_atomically

TITLE = "The experiments of the paper, on these recordings"
_PAPER = (
    "Simistira Liwicki et al., “Deep Neural Network approaches for Analysing Videos of Music Performances”. Each score "
    "stands with its 95 % interval, the paper's figure, and what needs no network: a linear probe on the same "
    "features, every class always, and by chance. The paper's recordings are others than these: its figures are "
    "there to see how the systems compare, not to be met."
)
_SECTIONS = ("The recordings", "The experiments", "Class by class", "Figures")


@dataclass(frozen=True)
class Reproduction:
    """All that is written.

    Parameters
    ----------
    recordings, averages, classes : sequence of Table
        Tables 1 to 6, Tables 7 and 8, and those of the appendix.
    figures : sequence of Drawn
        The figures.
    warnings : sequence of str
        What has to be known before any score is read.
    notes : sequence of str
        How it was done, and what the annotations were found to be.
    """

    recordings: Sequence[Table]
    averages: Sequence[Table]
    classes: Sequence[Table]
    figures: Sequence[Drawn]
    warnings: Sequence[str]
    notes: Sequence[str]

    @property
    def tables(self) -> list[Table]:
        """All tables."""
        return [*self.recordings, *self.averages, *self.classes]


def write_all(found: Reproduction, folder: Path) -> dict[str, str]:
    """Write everything into a folder.

    Parameters
    ----------
    found : Reproduction
        What there is.
    folder : Path
        Where to.

    Returns
    -------
    dict of str
        The files to open, by what they are.
    """
    tables, figures = folder / "tables", folder / "figures"
    for each in (tables, figures):
        each.mkdir(exist_ok=True)
    for table in found.tables:
        write_atomically(tables / f"{_file(table.name)}.csv", csv_text(table).encode())
    for drawn in found.figures:
        if drawn.figure is not None:
            save(drawn.figure, figures / _file(drawn.name))
    texts = {"html": _html(found), "md": _markdown(found), "tex": _latex(found)}
    for ending, text in texts.items():
        write_atomically(folder / f"reproduction.{ending}", text.encode())
    return {
        "page": str(folder / "reproduction.html"),
        "Markdown": str(folder / "reproduction.md"),
        "LaTeX": str(folder / "reproduction.tex"),
        "tables": str(tables),
        "figures": str(figures),
    }


def _html(found: Reproduction) -> str:
    introduction = paragraph(_PAPER) + "".join(paragraph(each, "warning") for each in found.warnings)
    introduction += "".join(paragraph(each, "note") for each in found.notes)
    drawn = "".join(
        paragraph(each.caption) if each.figure is None else figure_html(svg(each.figure), each.caption)
        for each in found.figures
    )
    bodies = [
        *("".join(map(table_html, tables)) for tables in (found.recordings, found.averages, found.classes)),
        f'<div class="figures">{drawn}</div>',
    ]
    return page(TITLE, list(zip(_SECTIONS, bodies, strict=True)), introduction)


def _markdown(found: Reproduction) -> str:
    pieces = [f"# {TITLE}", _PAPER, *(f"**{each}**" for each in found.warnings), *(f"- {each}" for each in found.notes)]
    for heading, tables in zip(_SECTIONS, (found.recordings, found.averages, found.classes), strict=False):
        pieces += [f"## {heading}", *map(markdown, tables)]
    pieces.append(f"## {_SECTIONS[-1]}")
    for each in found.figures:
        pieces += (
            [each.caption]
            if each.figure is None
            else [f"![{each.caption}](figures/{_file(each.name)}.png)", each.caption]
        )
    return "\n\n".join(pieces) + "\n"


def _latex(found: Reproduction) -> str:
    pieces = [
        r"\documentclass[10pt,a4paper]{article}",
        r"\usepackage[T1]{fontenc}",
        r"\usepackage[utf8]{inputenc}",
        r"\usepackage[margin=2cm]{geometry}",
        r"\usepackage{booktabs}",
        r"\usepackage{graphicx}",
        LATEX_PREAMBLE,
        rf"\title{{{latex_text(TITLE)}}}",
        r"\date{}",
        r"\extrafloats{100}",
        r"\begin{document}",
        r"\maketitle",
        latex_text(_PAPER),
        *(rf"\par\medskip\noindent\textbf{{{latex_text(each)}}}" for each in found.warnings),
        *(rf"\par\medskip\noindent {latex_text(each)}" for each in found.notes),
    ]
    for heading, tables in zip(_SECTIONS, (found.recordings, found.averages, found.classes), strict=False):
        pieces += [r"\clearpage", rf"\section{{{heading}}}", *map(latex, tables)]
    pieces += [r"\clearpage", rf"\section{{{_SECTIONS[-1]}}}"]
    for each in found.figures:
        drawing = (
            "" if each.figure is None else rf"\includegraphics[width=.8\linewidth]{{figures/{_file(each.name)}.pdf}}"
        )
        pieces += [r"\begin{figure}[p]\centering", drawing, rf"\caption{{{latex_text(each.caption)}}}", r"\end{figure}"]
    return "\n".join([*pieces, r"\end{document}"]) + "\n"


def _file(name: str) -> str:
    """Return a name as that of a file, which LaTeX may include too."""
    return "".join(sign if sign.isalnum() or sign in "-." else "-" for sign in name).replace(".", "-")
