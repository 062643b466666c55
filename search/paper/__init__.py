"""The paper's own tables, to stand beside what this program finds.

They are Simistira Liwicki et al., "Deep Neural Network approaches for Analysing Videos of Music Performances":
a CSV file for each table, its first column the name of the row, the others named as in the table. An empty field
is a figure that the text we have does not give:

* Tables A2 and A3 (7 classes, class by class) are not in it, so there is no file for them.
* In A1 the text repeats some figures of a row, 20 standing where 16 belong. Without the repetitions there are
  four for each system, and Table 7 follows from them; only the recall of "Nodding" under SM + BB + TS can be
  read in more than one way.
* In A5 there are two figures for each recording where precision and recall, in training and test, would be four.
  Which two were left out cannot be told; they are kept under ``train`` and ``test``.
"""

import csv
from functools import cache
from importlib import resources

SYSTEMS = {"sm": "SM", "sm+bb": "SM + BB", "sm+bb+ts": "SM + BB + TS", "bimodal": "Bimodal + SM + BB + TS"}
FIRST, ALL = "first", "all"
RECORDINGS = ("video-1", "video-2", "video-3", "video-4")
Figures = dict[tuple[str, str], float]


@cache
def paper_table(name: str) -> Figures:
    """Return the figures of one of the paper's tables.

    Parameters
    ----------
    name : str
        ``2``, ``3``, ``5``, ``6``, ``7``, ``8``, ``a1``, ``a4`` or ``a5``; of another, nothing is known.

    Returns
    -------
    dict
        By the names of row and column; what the text does not give is left out.
    """
    file = resources.files(__name__) / f"table-{name}.csv"
    if not file.is_file():
        return {}
    head, *rows = csv.reader(file.read_text("utf-8").splitlines())
    return {
        (row[0], column): float(figure)
        for row in rows
        for column, figure in zip(head[1:], row[1:], strict=True)
        if figure
    }
