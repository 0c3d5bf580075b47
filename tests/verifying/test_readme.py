"""What the two READMEs show of `chainrule verify` is what it prints."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize("name", ["README.md", "README.zh-CN.md"])
def test_the_block_of_verify_is_all_that_is_printed(name: str, tmp_path: Path) -> None:
    text = (ROOT / name).read_text(encoding="utf-8")
    written = re.search(r"```python\n(import numpy as np\n\ndef forward.*?)```", text, re.DOTALL)
    shown = re.search(r"```console\n\$ chainrule (verify softmax\.py[^\n]*)\n(.*?)```", text, re.DOTALL)
    assert written
    assert shown
    (tmp_path / "softmax.py").write_text(written[1], encoding="utf-8")
    command = [sys.executable, "-m", "chainrule", *shlex.split(shown[1])]
    wide = {**os.environ, "COLUMNS": "100", "PYTHONIOENCODING": "utf-8"}
    result = subprocess.run(command, cwd=tmp_path, env=wide, capture_output=True, encoding="utf-8")
    assert result.returncode == 1, result.stderr
    assert result.stdout.strip() == shown[2].strip()
