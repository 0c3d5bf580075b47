"""Fixtures of all tests: a browser, started once, and pages of it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.browser.chromium import NAMES, Browser, find
from tests.browser.page import Page


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """Headless Chromium, one for all tests; without it the test is skipped, and the summary says so."""
    executable = find()
    if executable is None:
        pytest.skip(f"no browser: install {NAMES[0]}, or set CHROMIUM to its path (tests/browser/install.sh)")
    with Browser(executable) as running:
        yield running


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    """An empty page, 1000 x 800."""
    opened = browser.page()
    yield opened
    opened.close()
