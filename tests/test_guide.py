"""The code of the documentation's pages is run as it stands; that of docs/tracking.md in test_tracking.py."""

from pathlib import Path

import numpy as np
import pages
import pytest
import small_store


@pytest.mark.slow
def test_the_guide_runs(tmp_path: Path, monkeypatch, one_thread) -> None:
    monkeypatch.chdir(tmp_path)
    pages.run("guide.md")
    assert (tmp_path / "found.csv").is_file()


def test_the_page_on_the_store_reads_one(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    small_store.write(tmp_path / "STORE", "concert")
    found = pages.run("store.md")["activations"]
    assert np.array_equal(found[:], small_store.arrays()["conv4/plain"])


def test_no_other_page_has_code_that_nothing_runs() -> None:
    assert {page.name for page in pages.DOCS.glob("*.md") if pages.blocks(page)} == {
        "guide.md",
        "store.md",
        "tracking.md",
    }
