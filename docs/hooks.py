"""What the site has beside the pages of this folder: the README and the changes, which stand above it."""

import re
from pathlib import Path
from typing import Any

from mkdocs.structure.files import File, Files

ROOT = Path(__file__).resolve().parents[1]
ABOVE = {"README.md": "readme.md", "CHANGELOG.md": "changelog.md"}


def on_files(files: Files, config: Any) -> Files:
    """Add the pages from above, with the links that they have there."""
    for name, page in ABOVE.items():
        text = (ROOT / name).read_text(encoding="utf-8")
        text = re.sub(r"\]\((?:docs/|(?=README|CHANGELOG))([^)]*)\)", lambda link: f"]({_here(link[1])})", text)
        text = re.sub(r"\[([^\]]*)\]\(LICENSE\)", r"\1", text)
        files.append(File.generated(config, page, content=text))
    return files


def on_page_markdown(markdown: str, **_: Any) -> str:
    """Let links that lead above the folder lead to the pages made of what is there."""
    return re.sub(r"\]\(\.\./([^)#]*)", lambda link: f"]({_here(link[1])}", markdown)


def _here(target: str) -> str:
    name, mark, rest = target.partition("#")
    return ABOVE.get(name, name) + mark + rest
