"""Tables as Markdown, CSV, LaTeX and HTML: well-formed whatever stands in them, and nothing lost."""

import csv
import io
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st
from lxml import html

from search.rendering.html import page, table_html
from search.rendering.tables import Cell, Table
from search.rendering.text import csv_text, latex, markdown

CELL = Cell(0.641, (0.5, 0.75), 0.53, {"probe": 0.6, "always": 0.35, "chance": 0.22})
SCORES = Table("t", "Title_1 & 50 %", ("row", "a|b", "c"), (("x", CELL, Cell(None, paper=0.7, reason="no sound")),))
TEXT = st.text(st.characters(codec="utf-8", exclude_categories=("Cc", "Cs")), max_size=12)


def test_a_row_that_does_not_fit_is_refused() -> None:
    with pytest.raises(ValueError, match="as many entries"):
        Table("t", "T", ("a", "b"), (("x",),))


def test_a_cell_has_all_that_belongs_to_it() -> None:
    assert CELL.lines() == ["0.64", "[0.50, 0.75]", "paper 0.53", "probe 0.60", "always 0.35", "chance 0.22"]
    for text in (markdown(SCORES), latex(SCORES), table_html(SCORES)):
        for piece in (*CELL.lines(), "paper 0.70", "no sound"):
            assert piece in text


def test_csv_has_a_line_for_each_score() -> None:
    first, second = csv.DictReader(io.StringIO(csv_text(SCORES)))
    assert first == {
        "row": "x", "column": "a|b", "value": "0.641", "low": "0.5", "high": "0.75", "paper": "0.53",
        "probe": "0.6", "always": "0.35", "chance": "0.22", "reason": "",
    }  # fmt: skip
    assert (second["value"], second["paper"], second["reason"]) == ("", "0.7", "no sound")


@given(st.lists(st.tuples(TEXT, TEXT, st.integers() | st.none()), max_size=4))
def test_plain_tables_are_read_back_from_csv(rows) -> None:
    table = Table("t", "T", ("a", "b", "c"), tuple(rows))
    read = list(csv.reader(io.StringIO(csv_text(table), newline="")))
    assert read == [["a", "b", "c"], *([a, b, "" if c is None else str(c)] for a, b, c in rows)]


@given(TEXT, TEXT)
def test_any_text_leaves_a_table_whole(name, entry) -> None:
    table = Table("t", entry, ("a", name), ((name, entry), (entry, CELL)))
    lines = markdown(table).splitlines()
    rows = [line for line in lines if line.startswith("| ")]
    assert {len(re.findall(r"(?<!\\)\|", row)) for row in rows[:3]} == {3}
    body = latex(table)
    assert body.count(r"\begin") == body.count(r"\end") == 2
    body = body.replace("\\\\", "")  # line breaks
    assert len(re.findall(r"(?<!\\)\{", body)) == len(re.findall(r"(?<!\\)\}", body))
    found = html.document_fromstring(page("T", [("A", table_html(table))]))
    assert [len(row) for row in found.iter("tr")] == [2, 2, 2]


def test_a_page_asks_for_nothing() -> None:
    text = page("T", [("A", table_html(SCORES))])
    assert "default-src 'none'" in text
    assert not re.search(r"""\b(src|href)\s*=\s*(?!["']?#)|url\(|@import""", text)
