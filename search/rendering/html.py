"""Results as one HTML page that needs nothing but itself: light and dark, on screen and on paper."""

import re
from collections.abc import Sequence
from html import escape

from search.rendering.tables import Cell, Entry, Table, plain

# No image, script, font or style comes from anywhere else; were one to be asked for, browsers would refuse.
_POLICY = "default-src 'none'; style-src 'unsafe-inline'; img-src data:; media-src data:"
_STYLE = """
:root { color-scheme: light dark; --ink: #1c1b1a; --faint: #6a6763; --paper: #fdfcfa; --line: #d8d4ce;
  --shade: #f3f0ea; --accent: #00578a; }
@media (prefers-color-scheme: dark) { :root { --ink: #ece9e4; --faint: #a8a39b; --paper: #191817; --line: #45413c;
  --shade: #232120; --accent: #7cc4f0; } }
* { box-sizing: border-box; }
body { margin: 0; background: var(--paper); color: var(--ink);
  font: 16px/1.55 system-ui, "Segoe UI", "Liberation Sans", "DejaVu Sans", sans-serif; }
main { max-width: 74rem; margin: 0 auto; padding: 2.5rem 1.25rem 5rem; }
h1 { font-size: 1.9rem; line-height: 1.2; margin: 0 0 .6rem; }
h2 { font-size: 1.3rem; margin: 3rem 0 .8rem; padding-top: .8rem; border-top: 1px solid var(--line); }
p, li { max-width: 46rem; }
a { color: var(--accent); }
:focus-visible { outline: 3px solid var(--accent); outline-offset: 2px; }
nav ul { columns: 20rem; padding-left: 1.2rem; }
.warning { border-left: 4px solid #d55e00; background: var(--shade); padding: .6rem 1rem; }
.scroll { overflow-x: auto; margin: 1.6rem 0 .4rem; }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; font-size: .88rem; }
caption { text-align: left; font-weight: 600; padding-bottom: .4rem; font-size: 1rem; }
th, td { padding: .3rem .7rem; text-align: right; vertical-align: top; border-bottom: 1px solid var(--line); }
th:first-child { text-align: left; font-weight: 500; }
thead th { border-bottom: 2px solid var(--ink); font-weight: 600; vertical-align: bottom; }
td small { display: block; color: var(--faint); font-size: .78em; line-height: 1.35; white-space: nowrap; }
td small.paper { color: var(--accent); }
td b { font-size: 1.05em; }
td.none small { white-space: normal; max-width: 9rem; margin-left: auto; }
.note { color: var(--faint); font-size: .88rem; margin: .2rem 0; }
figure { margin: 1.8rem 0; }
figure svg, figure img { max-width: 100%; height: auto; display: block; }
figcaption { font-size: .92rem; color: var(--faint); margin-top: .4rem; max-width: 46rem; }
.paper { background: #fff; }
.gallery { display: grid; grid-template-columns: repeat(auto-fill, minmax(9.5rem, 1fr)); gap: 1rem; }
.gallery figure { margin: 0; break-inside: avoid; }
.gallery img { width: 100%; border-radius: 4px; }
.gallery figcaption { font-size: .8rem; line-height: 1.35; }
.figures { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(100%, 30rem), 1fr)); gap: 1rem 2rem; }
@media print { :root { --ink: #000; --faint: #444; --paper: #fff; --line: #bbb; --shade: #f5f5f5; color-scheme: light; }
  body { font-size: 10pt; } main { max-width: none; padding: 0; } nav { display: none; } .scroll { overflow: visible; }
  table { font-size: 7.5pt; } th, td { padding: .15rem .35rem; } figure, tr { break-inside: avoid; }
  thead { display: table-header-group; } h2 { break-after: avoid; } }
"""


def page(title: str, sections: Sequence[tuple[str, str]], introduction: str = "") -> str:
    """Return a whole page.

    Parameters
    ----------
    title : str
        Its heading.
    sections : sequence of (str, str)
        Heading and HTML of each section.
    introduction : str
        HTML before them.
    """
    listed = "".join(f'<li><a href="#{_anchor(head)}">{escape(head)}</a></li>' for head, _ in sections)
    body = "".join(
        f'<section aria-labelledby="{_anchor(head)}"><h2 id="{_anchor(head)}">{escape(head)}</h2>{html}</section>\n'
        for head, html in sections
    )
    return (
        '<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}">'
        f"<title>{escape(title)}</title><style>{_STYLE}</style></head>\n<body><main>\n"
        f"<h1>{escape(title)}</h1>\n{introduction}\n"
        f'<nav aria-label="Contents"><ul>{listed}</ul></nav>\n{body}</main></body></html>\n'
    )


def table_html(table: Table) -> str:
    """Return a table, its title and its notes."""
    heads = "".join(f'<th scope="col">{escape(column)}</th>' for column in table.columns)
    rows = "".join(
        f'<tr><th scope="row">{escape(plain(name))}</th>{"".join(map(_entry, entries))}</tr>\n'
        for name, *entries in table.rows
    )
    return (
        f'<div class="scroll" tabindex="0" role="region" aria-label="{escape(table.title)}"><table id="{table.name}">'
        f"<caption>{escape(table.title)}</caption><thead><tr>{heads}</tr></thead>\n<tbody>{rows}</tbody></table></div>"
        + "".join(f'<p class="note">{escape(note)}</p>' for note in table.notes)
    )


def figure_html(svg: str, caption: str) -> str:
    """Return a figure and what it shows; SVG as `search.figures.style.svg` gives it."""
    return f'<figure role="img" aria-label="{escape(caption)}">{svg}<figcaption>{escape(caption)}</figcaption></figure>'


def paragraph(text: str, kind: str = "") -> str:
    """Return a paragraph of text, of a class if that is given."""
    return f"<p{f' class={chr(34)}{kind}{chr(34)}' if kind else ''}>{escape(text)}</p>"


def _entry(entry: Entry) -> str:
    if not isinstance(entry, Cell):
        return f"<td>{escape(plain(entry))}</td>"
    first, *others = entry.lines()
    small = "".join(
        f"<small{' class=paper' if other.startswith('paper ') else ''}>{escape(other)}</small>" for other in others
    )
    return f"<td{' class=none' if entry.value is None else ''}><b>{escape(first)}</b>{small}</td>"


def _anchor(heading: str) -> str:
    return re.sub(r"[^a-z0-9]+", "-", heading.lower()).strip("-")
