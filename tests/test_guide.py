"""The guide's code is run as it stands, block by block, in one folder."""

import re
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow

DOCS = Path(__file__).resolve().parents[1] / "docs"


def blocks(page: Path) -> list[tuple[int, str]]:
    """The Python blocks of a page, each with the line that it begins on."""
    text = page.read_text(encoding="utf-8")
    return [
        (text.count("\n", 0, found.start(1)), found[1])
        for found in re.finditer(r"^```python\n(.*?)^```$", text, re.M | re.S)
    ]


def test_the_guide_runs(tmp_path: Path, monkeypatch, one_thread) -> None:
    monkeypatch.chdir(tmp_path)
    page, names = DOCS / "guide.md", {}
    for line, code in blocks(page):
        exec(compile("\n" * line + code, str(page), "exec"), names)  # the line, for the traceback
    assert (tmp_path / "found.csv").is_file()
