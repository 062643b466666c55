"""A real browser for the tests of pages: Chromium as the system has it, without a network of its own."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

QUIET = (
    *("--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking"),
    *("--disable-component-update", "--disable-sync", "--autoplay-policy=no-user-gesture-required"),
)


@contextmanager
def chromium() -> Iterator:
    """Start Chromium, or skip the test where there is none."""
    playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    path = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    if path is None:
        pytest.skip("no Chromium on this machine; .ci/run installs it")
    with playwright.sync_playwright() as started:
        browser = started.chromium.launch(executable_path=path, args=[*QUIET])
        yield browser
        browser.close()
