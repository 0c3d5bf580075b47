"""The documentation builds without a warning, and its examples give what they show."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("sphinx")
docs = Path(__file__).parents[2] / "docs"


@pytest.fixture(scope="module")
def read(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the first builder leaves what it has read, for the other."""
    return tmp_path_factory.mktemp("read")


@pytest.mark.parametrize("builder", ["doctest", "html"])
def test_documentation(tmp_path: Path, read: Path, builder: str) -> None:
    pytest.importorskip("sklearn")
    command = [sys.executable, "-m", "sphinx", "-q", "-W", "--keep-going", "-b", builder, "-d", read]
    wide = {**os.environ, "COLUMNS": "100"}
    result = subprocess.run([*command, docs, tmp_path / "built"], capture_output=True, text=True, env=wide)
    assert result.returncode == 0, result.stdout + result.stderr


def test_every_decision_is_in_the_guide() -> None:
    page = (docs / "guide" / "decisions.rst").read_text(encoding="utf-8")
    for decision in docs.glob("decisions/0*.md"):
        assert f"../decisions/{decision.name}\n" in page


@pytest.mark.parametrize("name", ["README.md", "README.zh-CN.md"])
def test_first_program(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("sklearn")
    pytest.importorskip("safetensors")
    monkeypatch.chdir(tmp_path)
    text = (docs.parent / name).read_text(encoding="utf-8")
    program = re.findall(r"```python\n(.*?)```", text, re.DOTALL)[0]
    names: dict[str, Any] = {}
    exec(program.replace("epochs=15", "epochs=1"), names)
    assert names["step"].deltas["conv1"].shape == (32, 8, 8, 16)
    assert names["step"].gradients["conv1.W"].shape == (16, 3, 3, 1)
    assert Path("digits.safetensors").is_file()
