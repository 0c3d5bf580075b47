"""The folder of a training's checkpoints: the last few are kept, and the newest that is whole is taken.

Files are numbered as they are written, also where a training begins anew, so that the largest number is the
newest whatever its epoch.
"""

from __future__ import annotations

import os
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from chainrule.base.errors import FileError
from chainrule.base.files.series import numbered, numbered_name, remove, set_aside
from chainrule.base.keywords import depth_of_caller
from chainrule.networks.forms.places import CHECKPOINT, SUFFIX
from chainrule.networks.model import Model
from chainrule.training.checkpoints.schema import NewerError, Saved, read, write

DAMAGED = ".damaged"

# What a caller can do instead; a command line says it in words of its own.
ANEW = "fit(..., resume=False) begins anew and replaces the checkpoints"


class Folder:
    """Checkpoints in a folder, `keep` of them."""

    def __init__(self, path: str, keep: int) -> None:
        self.path, self.keep = Path(path), keep
        files = self.files()
        self.number = files[0][0] if files else 0  # of the newest
        self.own: list[Path] = []  # of this training, the oldest first

    def files(self) -> list[tuple[int, Path]]:
        """(number, file), the newest first."""
        if os.path.exists(self.path) and not os.path.isdir(self.path):
            raise FileError(
                f"{self.path}: is a file, and checkpoint takes a folder, in which the last few checkpoints "
                "are: name another one"
            )
        return numbered(self.path, CHECKPOINT, SUFFIX)

    def newest(self) -> Saved | None:
        """The newest checkpoint that can be read; None where there is none at all.

        A damaged one is set aside, and a warning says so.  FileError where none can be read, or where the
        newest is of another version of the format.
        """
        damaged: list[tuple[Path, str]] = []
        for _, path in self.files():
            try:
                saved = read(path)
            except NewerError:
                raise
            except FileError as error:
                damaged.append((path, str(error)))
                continue
            self.own = [file for _, file in reversed(self.files()) if file not in dict(damaged)]
            for broken, said in damaged:
                set_aside(broken, DAMAGED)
                warnings.warn(
                    f"{said}: training goes on from the one before, {path.name}, and this one is now called "
                    f"{broken.name}{DAMAGED}",
                    stacklevel=depth_of_caller(),
                )
            return saved
        if damaged:
            raise FileError(
                f"no checkpoint in {self.path} can be read: {'; '.join(said for _, said in damaged)}. {ANEW}"
            )
        return None

    def write(self, network: Model, state: Mapping[str, Any]) -> Path:
        """Write the next one; then those that are not kept any more are removed."""
        if not os.path.isdir(self.path):
            try:
                self.path.mkdir(parents=True, exist_ok=True)
            except OSError as error:
                raise FileError(f"{self.path}: cannot be made ({error.strerror})") from error
        before = self.files()
        if before and before[0][0] > self.number:
            raise FileError(
                f"{before[0][1]}: has been written by another training since; each needs a folder of its own"
            )
        path = numbered_name(self.path, CHECKPOINT, SUFFIX, self.number + 1)
        write(path, network, state)
        self.number += 1
        self.own = [*self.own, path][-self.keep :]
        remove(file for _, file in before if file not in self.own)
        return path
