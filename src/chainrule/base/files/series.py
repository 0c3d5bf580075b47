"""Numbered files of one folder, NAME-00012.npz: the newest has the largest number."""

from __future__ import annotations

import re
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

DIGITS = 5  # at least; a longer number is read as well


def numbered(folder: Path, name: str, suffix: str) -> list[tuple[int, Path]]:
    """(number, file) of all, the newest first; none where there is no such folder."""
    form = re.compile(rf"{re.escape(name)}-(\d{{{DIGITS},18}}){re.escape(suffix)}")
    with suppress(FileNotFoundError, NotADirectoryError):
        found = [(form.fullmatch(path.name), path) for path in folder.iterdir()]
        return sorted(((int(match[1]), path) for match, path in found if match), reverse=True)
    return []


def numbered_name(folder: Path, name: str, suffix: str, number: int) -> Path:
    """The file of a number."""
    return folder / f"{name}-{number:0{DIGITS}}{suffix}"


def set_aside(path: Path, ending: str) -> None:
    """Give a file a name that is not counted, if that can be done."""
    with suppress(OSError):
        path.replace(path.with_name(f"{path.name}{ending}"))


def remove(paths: Iterable[Path]) -> None:
    """Remove files, as far as that can be done; one that is gone already is gone."""
    for path in paths:
        with suppress(OSError):
            path.unlink()
