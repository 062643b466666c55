"""Tables as Markdown, CSV and LaTeX."""

import csv
import io
import re
from collections.abc import Iterable

from search.rendering.tables import Cell, Entry, Table, plain

_ESCAPES = {
    "\\": r"\textbackslash{}",
    "&": r"\&",
    "%": r"\%",
    "$": r"\$",
    "#": r"\#",
    "_": r"\_",
    "{": r"\{",
    "}": r"\}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "–": "--",
    "×": r"$\times$",
    "→": r"$\rightarrow$",
    "…": r"\ldots{}",
}
# Makes what is wider or higher than a page as small as it has to be.
LATEX_PREAMBLE = r"""\newsavebox{\fitted}
\newcommand{\fit}[1]{\sbox{\fitted}{#1}%
\ifdim\wd\fitted>\linewidth\sbox{\fitted}{\resizebox{\linewidth}{!}{\usebox{\fitted}}}\fi
\ifdim\dimexpr\ht\fitted+\dp\fitted\relax>.85\textheight\resizebox*{!}{.85\textheight}{\usebox{\fitted}}\else
\usebox{\fitted}\fi}"""
_SCORES = ("value", "low", "high", "paper", "probe", "always", "chance", "reason")


def markdown(table: Table) -> str:
    """Return a table as Markdown, with its title and notes."""
    lines = [
        f"### {table.title}",
        "",
        _pipes(map(_escaped, table.columns)),
        "|---|" + "---:|" * (len(table.columns) - 1),
    ]
    lines += [_pipes([_markdown_entry(entry) for entry in row]) for row in table.rows]
    for note in table.notes:
        lines += ["", f"*{_escaped(note)}*"]
    return "\n".join(lines) + "\n"


def csv_text(table: Table) -> str:
    """Return a table as CSV: as it stands, or where it has scores a line for each of them."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    if not any(isinstance(entry, Cell) for row in table.rows for entry in row):
        writer.writerow(table.columns)
        writer.writerows([["" if entry is None else entry for entry in row] for row in table.rows])
        return text.getvalue()
    writer.writerow(["row", "column", *_SCORES])
    for name, *entries in table.rows:
        for column, entry in zip(table.columns[1:], entries, strict=True):
            if isinstance(entry, Cell):
                low, high = entry.interval or (None, None)
                named = [entry.baselines.get(each) for each in ("probe", "always", "chance")]
                scores = [_rounded(each) for each in (entry.value, low, high, entry.paper, *named)]
                writer.writerow([name, column, *scores, entry.reason])
            else:
                writer.writerow([name, column, entry, *[""] * (len(_SCORES) - 1)])
    return text.getvalue()


def latex(table: Table) -> str:
    """Return a table as a LaTeX float; it needs the packages booktabs and graphicx, and `LATEX_PREAMBLE`."""
    body = [
        r"\begin{table}[p]",
        r"\centering",
        rf"\caption{{{latex_text(table.title)}}}",
        rf"\label{{tab:{table.name}}}",
        r"\fit{%",
        rf"\begin{{tabular}}{{l{'r' * (len(table.columns) - 1)}}}",
        r"\toprule",
        " & ".join(latex_text(column) for column in table.columns) + r" \\",
        r"\midrule",
        *(" & ".join(_latex_entry(entry) for entry in row) + r" \\" for row in table.rows),
        r"\bottomrule",
        r"\end{tabular}}",
    ]
    body += [rf"\par\smallskip{{\footnotesize {latex_text(note)}\par}}" for note in table.notes]
    return "\n".join([*body, r"\end{table}"]) + "\n"


def latex_text(text: str) -> str:
    """Return text with what has a meaning in LaTeX escaped."""
    escaped = "".join(_ESCAPES.get(sign, sign) for sign in text)
    return re.sub(r"\*\*(.+?)\*\*", r"\\textbf{\1}", escaped)


def _pipes(entries: Iterable[str]) -> str:
    return "| " + " | ".join(entries) + " |"


def _markdown_entry(entry: Entry) -> str:
    if not isinstance(entry, Cell):
        return _escaped(plain(entry))
    first, *others = map(_escaped, entry.lines())
    return "<br>".join([f"**{first}**", *others])


def _escaped(text: str) -> str:
    return text.replace("|", r"\|").replace("*", r"\*").replace("<", "&lt;")


def _latex_entry(entry: Entry) -> str:
    if not isinstance(entry, Cell):
        return latex_text(plain(entry))
    first, *others = map(latex_text, entry.lines())
    # In braces: a line that begins with a bracket is no argument of the break before it.
    return r"\shortstack[r]{" + r"\\".join([first, *(rf"{{\tiny {other}}}" for other in others)]) + "}"


def _rounded(value: float | None) -> float | str:
    return "" if value is None else round(value, 4)
