"""The documentation builds without a warning, and its examples give what they show."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("sphinx")
docs = Path(__file__).parents[2] / "docs"


@pytest.mark.parametrize("builder", ["doctest", "html"])
def test_documentation(tmp_path: Path, builder: str) -> None:
    pytest.importorskip("sklearn")
    command = [sys.executable, "-m", "sphinx", "-q", "-W", "--keep-going", "-b", builder]
    result = subprocess.run([*command, docs, tmp_path / "built"], capture_output=True, text=True)
    assert result.returncode == 0, result.stdout + result.stderr
