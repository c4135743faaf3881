"""A real browser for tests: Debian's chromium or Google Chrome, driven headless."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

PATIENCE = 120_000.0
"""Milliseconds that an action may wait."""

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
REQUIRED = "INITADVISOR_REQUIRE_BROWSER"


@contextmanager
def launched() -> Iterator[Browser]:
    """The browser. Without one the test is skipped, or fails where the environment says that there has to be one."""
    executable = next((found for found in map(shutil.which, NAMES) if found), None)
    try:
        from playwright.sync_api import sync_playwright
    except ImportError:
        _missing("playwright is not installed")
    if executable is None:
        _missing(f"none of {', '.join(NAMES)} is on the PATH")
    with sync_playwright() as playwright:
        # Containers have no user namespaces for its sandbox; the pages are our own.
        browser = playwright.chromium.launch(executable_path=executable, args=["--no-sandbox"], timeout=PATIENCE)
        try:
            yield browser
        finally:
            browser.close()


def new_page(browser: Browser, **context: Any) -> Page:
    """A page in a context of its own; patient, for machines that do much else at the same time."""
    page = browser.new_context(**context).new_page()
    page.set_default_timeout(PATIENCE)
    return page


def _missing(why: str) -> None:
    if os.environ.get(REQUIRED) == "1":
        pytest.fail(f"{REQUIRED} is set, and {why}")
    pytest.skip(f"no browser: {why}")
