"""What a report is made of, and how it is written: as a page, or as Markdown with its pictures beside it."""

import base64
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING

from search.figures.style import png, save, svg
from search.rendering.html import figure_html, page, paragraph, table_html
from search.rendering.tables import Table
from search.rendering.text import markdown
from store.files import write_atomically

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_VECTOR_AT_MOST = 350_000  # bytes: a figure of more is a picture on the page


@dataclass(frozen=True)
class Text:
    """A paragraph; `warning` sets it apart."""

    text: str
    warning: bool = False


@dataclass(frozen=True)
class Drawing:
    """A figure: its file's name, what it shows, and itself."""

    name: str
    caption: str
    figure: "Figure"


@dataclass(frozen=True)
class Shot:
    """A clip as pictures.

    Parameters
    ----------
    name : str
        Of its file.
    caption : str
        What it shows, and when.
    moving, still : bytes
        WebP: the clip in a loop, and its middle, for whoever wants nothing to move.
    """

    name: str
    caption: str
    moving: bytes
    still: bytes


@dataclass(frozen=True)
class Gallery:
    """Clips side by side."""

    shots: tuple[Shot, ...]


Piece = Text | Drawing | Gallery | Table


@dataclass(frozen=True)
class Report:
    """A title, paragraphs to begin with, and sections: heading, pieces."""

    title: str
    introduction: Sequence[Text]
    sections: Sequence[tuple[str, Sequence[Piece]]]

    def write(self, out: Path) -> None:
        """Write it as one page, or where the file ends in ``.md`` as Markdown with a folder of figures beside it."""
        if out.suffix.lower() == ".md":
            write_atomically(out, self._markdown(out).encode())
            return
        introduction = "".join(map(_html, self.introduction))
        sections = [(heading, "".join(map(_html, pieces))) for heading, pieces in self.sections if pieces]
        write_atomically(out, page(self.title, sections, introduction).encode())

    def _markdown(self, out: Path) -> str:
        beside = out.with_name(f"{out.stem}-files")
        beside.mkdir(exist_ok=True)
        lines = [f"# {self.title}", *(_markdown(piece, beside) for piece in self.introduction)]
        for heading, pieces in self.sections:
            if pieces:
                lines += [f"## {heading}", *(_markdown(piece, beside) for piece in pieces)]
        return "\n\n".join(lines) + "\n"


def _html(piece: Piece) -> str:
    if isinstance(piece, Text):
        return paragraph(piece.text, "warning" if piece.warning else "")
    if isinstance(piece, Table):
        return table_html(piece)
    if isinstance(piece, Gallery):
        return f'<div class="gallery">{"".join(map(_shot_html, piece.shots))}</div>'
    vector = svg(piece.figure)
    if len(vector) > _VECTOR_AT_MOST:
        # On white paper also where the page is dark: a picture cannot change its ink.
        vector = f'<img class="paper" alt="" src="{_data(png(piece.figure), "png")}">'
    return figure_html(vector, piece.caption)


def _shot_html(shot: Shot) -> str:
    still, moving = _data(shot.still, "webp"), _data(shot.moving, "webp")
    return (
        f'<figure><picture><source media="(prefers-reduced-motion: reduce)" srcset="{still}">'
        f'<img src="{moving}" alt="{escape(shot.caption)}" width="112" height="112"></picture>'
        f"<figcaption>{escape(shot.caption)}</figcaption></figure>"
    )


def _markdown(piece: Piece, beside: Path) -> str:
    if isinstance(piece, Text):
        return f"**{piece.text}**" if piece.warning else piece.text
    if isinstance(piece, Table):
        return markdown(piece)
    if isinstance(piece, Gallery):
        for shot in piece.shots:
            write_atomically(beside / f"{shot.name}.webp", shot.moving)
        return "\n".join(f"![{shot.caption}]({beside.name}/{shot.name}.webp) {shot.caption}\n" for shot in piece.shots)
    save(piece.figure, beside / piece.name)
    return f"![{piece.caption}]({beside.name}/{piece.name}.png)\n\n{piece.caption}"


def _data(content: bytes, kind: str) -> str:
    return f"data:image/{kind};base64,{base64.b64encode(content).decode()}"
