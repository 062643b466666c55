"""The documentation's Python, run as it stands on its pages."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

DOCS = Path(__file__).resolve().parents[1] / "docs"


def blocks(page: Path) -> list[tuple[int, str]]:
    """The Python blocks of a page, each with the line that it begins on."""
    text = page.read_text(encoding="utf-8")
    return [
        (text.count("\n", 0, found.start(1)), found[1])
        for found in re.finditer(r"^```python\n(.*?)^```$", text, re.M | re.S)
    ]


def run(name: str, instead: Mapping[str, object] | None = None) -> dict[str, Any]:
    """Run a page's blocks one after the other, with other words in place of some; return all names they leave."""
    page, names = DOCS / name, {}
    for line, code in blocks(page):
        for there, here in (instead or {}).items():
            assert there in code
            code = code.replace(there, str(here))
        exec(compile("\n" * line + code, str(page), "exec"), names)  # the line, for the traceback
    return names
