"""A real browser, without a window: Debian's Chromium, which make test installs (make chromium)."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, sync_playwright

NAMES = ("chromium", "chromium-browser", "google-chrome")
KEPT = Path(".rehearsal/pages")  # the pictures, for people to look at


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """The machine's Chromium, or Playwright's own. Without either it fails: a page that nobody opened may not open."""
    found = next((path for name in NAMES if (path := shutil.which(name))), None)
    KEPT.mkdir(parents=True, exist_ok=True)
    with sync_playwright() as playwright:
        if not found and not Path(playwright.chromium.executable_path).exists():
            pytest.fail("no Chromium on this machine; run: make chromium")
        # --no-sandbox: CI is root in a container, and the page is our own file.
        browser = playwright.chromium.launch(executable_path=found, args=["--no-sandbox", "--disable-gpu"])
        yield browser
        browser.close()
