"""The figures of a measurement as a JSON file, where one is asked for."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from chainrule.base.files.disk import check_writable, write_text


def reserve(json_file: str | Path | None) -> None:
    """Raise FileError for a name that cannot be written: that is known before the work, not after."""
    if json_file is not None:
        check_writable(json_file)


def write(json_file: str | Path | None, results: dict[str, Any]) -> None:
    """Everything that was measured."""
    if json_file is not None:
        write_text(json_file, json.dumps(results, indent=1, ensure_ascii=False) + "\n")
