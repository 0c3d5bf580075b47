"""Which rows of a source a run was trained on and which it held out: kept, and recognised in changed data."""

from __future__ import annotations

import argparse
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from chainrule.base.errors import DataError, FileError
from chainrule.base.files.disk import write_whole
from chainrule.base.types import Array
from chainrule.data import split
from chainrule.data.fingerprints import Prints, row_prints
from chainrule.data.frames import Frame
from chainrule.data.readers.npz import open_npz
from chainrule.data.task import Task

rows_name = "rows.npz"


@dataclass(frozen=True, eq=False)
class Rows:
    """prints (N,): of all rows of a source.  train, test: their numbers in the source, in the order taken.

    told: a line about rows that have changed since the run.
    """

    prints: Prints
    train: Array
    test: Array
    told: str = ""

    @classmethod
    def of(cls, X: Frame | Array, y: Array) -> Rows:
        """The rows of a source, which are not divided yet."""
        none = np.empty(0, dtype=np.int64)
        return cls(row_prints(X, y), none, none)

    def divided(self, arguments: argparse.Namespace, task: Task) -> Rows:
        """Divided by the seed; of classes in their proportions."""
        train, test = divided_rows(arguments, task.values, stratify=task.labels is not None)
        return replace(self, train=train, test=test)

    def as_in(self, earlier: Rows | None, arguments: argparse.Namespace, task: Task) -> Rows:
        """Divided as the run was: its held-out rows are found again wherever they are now.

        Raises DataError where none of them is there any more. Without rows that a run has kept they are
        divided by its seed, which is right as long as the source is the same.
        """
        if earlier is None:
            return self.divided(arguments, task)
        if np.array_equal(self.prints, earlier.prints):
            return replace(self, train=earlier.train, test=earlier.test)
        trained = np.isin(self.prints, earlier.prints[earlier.train])
        held_out = np.isin(self.prints, earlier.prints[earlier.test]) & ~trained
        if not held_out.any():
            raise DataError(
                "none of the rows that the run held out is in the data any more, so there is nothing to "
                "judge it by"
            )
        new = int((~trained & ~held_out).sum())
        gone = len(earlier.test) - int(held_out.sum())
        told = f"the data have changed since the run: {len(self.prints):,} rows, then {len(earlier.prints):,}"
        told += f"; {int(held_out.sum()):,} of the rows held out are recognised"
        told += f", {gone:,} are gone or were changed" if gone > 0 else ""
        told += f"; {new:,} new rows are not looked at" if new else ""
        return replace(self, train=np.flatnonzero(trained), test=np.flatnonzero(held_out), told=told)

    def save(self, folder: Path) -> None:
        """Write rows.npz beside the model."""

        def write(stream: object) -> None:
            np.savez(stream, prints=self.prints, train=self.train, test=self.test)  # type: ignore[arg-type]

        write_whole(folder / rows_name, write)

    @classmethod
    def load(cls, folder: Path) -> Rows | None:
        """The rows of a run, None where it has kept none. Raises FileError where they are damaged."""
        path = folder / rows_name
        if not path.is_file():
            return None
        with open_npz(path) as archive:
            prints, train, test = (archive.read(name) for name in ("prints", "train", "test"))
        whole = prints.dtype == np.uint64 and prints.ndim == 1
        for numbers in (train, test):
            whole = whole and numbers.dtype == np.int64 and numbers.ndim == 1
            whole = whole and bool(((numbers >= 0) & (numbers < len(prints))).all())
        if not whole or np.isin(train, test).any():
            raise FileError(f"{path}: is damaged, it does not say which rows were trained on or held out")
        return cls(prints, train, test)


def divided_rows(arguments: argparse.Namespace, y: Array, *, stratify: bool) -> tuple[Array, Array]:
    """The numbers of the rows to train on and of those held out, by --test and --seed."""
    if arguments.test == 0:
        raise DataError("--test 0 leaves nothing to test on: write a number above 0, such as 0.2")
    if stratify and len(np.unique(y)) == len(y):
        raise DataError(
            "every class has a single sample, so none can be held out to test on: name another target, or "
            "add samples"
        )
    train, test, _, _ = split(np.arange(len(y)), y, arguments.test, seed=arguments.seed, stratify=stratify)
    return train, test
