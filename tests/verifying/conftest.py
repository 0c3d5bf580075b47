"""Fixtures of the tests of verify."""

from __future__ import annotations

import pytest

from chainrule.verifying.source import named

# Where the source is what is tested, or nothing may be named wrongly, it is searched as it is for users.
WHOLE_SEARCH = (
    *("test_source.py", "test_patched.py", "test_museum.py", "test_two_at_once.py"),
    "test_a_cause_is_never_invented",
)
FEW_LINES = 200_000


@pytest.fixture(autouse=True)
def shorter_search(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """A tenth of the lines for the search of the source: most mistakes without a cause here have none; and
    none where the cause is known.
    """
    if not any(name in request.node.nodeid for name in WHOLE_SEARCH):
        monkeypatch.setattr(named, "MOST_LINES", FEW_LINES)
        monkeypatch.setattr(named, "LINES_OF_NAMED", 0)
