"""One thread: these networks are small, and scikit-learn's arithmetic beside them has its own."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

import chainrule as cr


@pytest.fixture(scope="package", autouse=True)
def one_thread() -> Iterator[None]:
    before = cr.threads()
    cr.set_threads(1)
    yield
    cr.set_threads(before)
