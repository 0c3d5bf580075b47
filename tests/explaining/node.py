"""The page's scripts under Node: jobs in, answers out, one process for a whole batch.

Without Node the tests that ask for it are skipped, and pytest's summary says why.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import tempfile
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import chainrule

ENGINE = Path(chainrule.__file__).parent / "explaining" / "page" / "engine"
DRIVER = Path(__file__).with_name("engine_driver.js")
SECONDS = 120  # of a batch: they take two


def run(jobs: Iterable[dict[str, Any]]) -> list[Any]:
    """The answer to every job {"do": ...}; an AssertionError with the stack of the first that fails."""
    node = shutil.which("node")
    if node is None:
        pytest.skip("the page's engine runs under Node.js, and there is no `node` on the path")
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "jobs.jsonl"
        with file.open("w", encoding="utf-8") as lines:
            lines.writelines(json.dumps(job, allow_nan=False) + "\n" for job in jobs)
        command = [node, str(DRIVER), str(ENGINE), str(file)]
        done = subprocess.run(command, capture_output=True, timeout=SECONDS, check=False)
    assert done.returncode == 0, done.stderr.decode()
    answers = [json.loads(line) for line in done.stdout.decode().splitlines()]
    for answer in answers:
        assert "error" not in answer, answer["error"]
    return [answer["result"] for answer in answers]


def array(answer: Any) -> np.ndarray[Any, np.dtype[np.float64]]:
    """An array of an answer."""
    values = [float(value.replace("Infinity", "inf")) for value in answer["data"]]
    return np.array(values, np.float64).reshape(answer["shape"])
