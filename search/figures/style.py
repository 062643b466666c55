"""One look for all figures: told apart by colour-blind readers and in print, as PDF, PNG and SVG."""

import io
import re
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, Any

from store.files import write_atomically

if TYPE_CHECKING:
    from matplotlib.figure import Figure

# Okabe and Ito's palette ("Color Universal Design", 2008), the darker first: they also differ in grey.
BLUE, ORANGE, YELLOW, GREEN, PINK, SKY = "#0072B2", "#D55E00", "#E69F00", "#009E73", "#CC79A7", "#56B4E9"
SERIES = (BLUE, ORANGE, GREEN, YELLOW, PINK, SKY)
TRUE, PREDICTED, PROBABILITY = BLUE, ORANGE, YELLOW
DIVERGING = "RdBu_r"  # -1 blue, 0 white, 1 red
INK, FAINT = "#1c1b1a", "#76726d"
HATCHES = ("", "////", "....", "xxxx", "\\\\\\\\", "++")  # a second way to tell series apart
_RESOLUTION = 160  # dots per inch of a PNG
_STYLE: Any = {  # matplotlib wants the names of all its settings spelt out
    "font.family": "sans-serif",
    "font.sans-serif": ["Liberation Sans", "Arial", "Helvetica", "DejaVu Sans"],
    "font.size": 9,
    "axes.titlesize": 10,
    "axes.titlelocation": "left",
    "axes.titleweight": "bold",
    "axes.labelsize": 9,
    "axes.labelcolor": INK,
    "axes.edgecolor": INK,
    "axes.linewidth": 0.7,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "text.color": INK,
    "xtick.color": INK,
    "ytick.color": INK,
    "xtick.labelsize": 8,
    "ytick.labelsize": 8,
    "legend.frameon": False,
    "legend.fontsize": 8,
    "lines.linewidth": 1.6,
    "hatch.linewidth": 0.5,
    "figure.constrained_layout.use": True,
    "pdf.fonttype": 42,  # text stays text
    "svg.fonttype": "none",
}
_numbers = count()


@contextmanager
def look() -> Iterator[None]:
    """Draw, and save, in this look while the block runs."""
    import matplotlib

    with matplotlib.rc_context(_STYLE):
        yield


def save(figure: "Figure", stem: Path) -> None:
    """Write a figure as PDF and as PNG, atomically.

    Parameters
    ----------
    figure : Figure
        What.
    stem : Path
        Where, without an ending.

    Raises
    ------
    InputError
        If a file cannot be written.
    """
    for ending in ("pdf", "png"):
        write_atomically(stem.with_name(f"{stem.name}.{ending}"), _drawn(figure, ending))


def png(figure: "Figure") -> bytes:
    """Return a figure as PNG."""
    return _drawn(figure, "png")


def svg(figure: "Figure") -> str:
    """Return a figure as SVG to stand inside a page: its ink is the page's, its names are its own."""
    text = _drawn(figure, "svg").decode()
    text = text[text.index("<svg") :]
    text = re.sub(r"<metadata>.*?</metadata>", "", text, flags=re.DOTALL)
    own = f"f{next(_numbers)}-"
    text = re.sub(r'(?<=id=")|(?<=url\(#)|(?<=href="#)', own, text)
    for ink, role in ((INK, "currentColor"), (FAINT, "var(--faint, currentColor)")):
        text = text.replace(ink, role)
    # A figure is as wide as its page; its height follows.
    return re.sub(r'<svg ([^>]*?)height="[^"]*"([^>]*?)width="([\d.]+)pt"', r'<svg \1\2width="\3pt"', text, count=1)


def _drawn(figure: "Figure", ending: str) -> bytes:
    buffer = io.BytesIO()
    with look():
        if figure.get_layout_engine() is not None:  # laid out once, not for each format
            figure.draw_without_rendering()
            figure.set_layout_engine("none")
        # No date: the same figure is the same file.
        date = {"pdf": {"CreationDate": None}, "svg": {"Date": None}}.get(ending)
        figure.savefig(buffer, format=ending, dpi=_RESOLUTION, metadata=date, transparent=ending == "svg")
    return buffer.getvalue()
