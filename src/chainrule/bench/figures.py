"""The figures of a measurement as a JSON file, where one is asked for."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any


def reserve(json_file: str | Path | None) -> None:
    """Touch the file: a name that cannot be written is known before the work, not after."""
    if json_file is not None:
        Path(json_file).touch()


def write(json_file: str | Path | None, results: dict[str, Any]) -> None:
    """Everything that was measured."""
    if json_file is not None:
        Path(json_file).write_text(json.dumps(results, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
