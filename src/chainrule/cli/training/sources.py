"""What `chainrule train` learns from: digits, MNIST, a table, arrays, IDX files or a folder of images, split
and prepared.
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from chainrule.base.errors import DataError, FileError
from chainrule.base.types import Array, Shape
from chainrule.cli.output import remark, tell
from chainrule.cli.training.networks import is_tabular
from chainrule.cli.training.rows import Rows, divided_rows
from chainrule.data import Preparation, Standardizer, load_digits, load_mnist
from chainrule.data.frames import Frame, listed
from chainrule.data.preparation import Pixels
from chainrule.data.preparation.preparation import READING
from chainrule.data.sets.mnist import mnist_url
from chainrule.data.task import Asked, Task, known_labels, task_of

if TYPE_CHECKING:
    from chainrule.cli.training.raw import Raw

Part = tuple[Frame | Array, Array]  # inputs as the source holds them, and targets


@dataclass(eq=False)
class Problem:
    """Inputs as the network gets them, targets, and what is needed to treat new inputs in the same way.

    y is labels (N,), each one of `classes`, or float targets (N, outputs) where `classes` is None, scaled by
    `preparation.targets`. Where a preparation was learned, inputs and scaled targets are `Prepared`. rows:
    which rows of the source are which, of a source that may change; why: how the target was understood;
    notes: what else was.
    """

    name: str
    X_train: Array
    y_train: Array
    X_test: Array
    y_test: Array
    classes: Array | None
    preparation: Preparation = field(default_factory=Preparation)
    why: str = ""
    notes: tuple[str, ...] = ()
    rows: Rows | None = None
    files: tuple[Path, ...] = ()
    vocabulary: int | None = None  # of inputs that are ids: how many there may be

    @property
    def input_shape(self) -> Shape:
        return tuple(self.X_train.shape[1:])

    @property
    def outputs(self) -> int:
        return len(self.classes) if self.classes is not None else int(self.y_train.shape[1])

    def describe(self, seed: int) -> str:
        """One line for the terminal."""
        shape = "x".join(str(size) for size in self.input_shape)
        kind = f"{self.outputs} classes" if self.classes is not None else "regression"
        total = len(self.X_train) + len(self.X_test)
        return (
            f"{self.name}: {total} samples of {shape}, {kind}; "
            f"{len(self.X_train)} to train, {len(self.X_test)} held out (seed {seed})"
        )


@dataclass(frozen=True, eq=False)
class Known:
    """What an earlier training on the same source fixed: the model's preparation, its classes and rows."""

    preparation: Preparation
    classes: Array | None
    rows: Rows | None
    sequential: str | None = None


def load_problem(
    arguments: argparse.Namespace, known: Known | None = None, sequential: str | None = None
) -> Problem:
    """The problem that the arguments of `chainrule train` name.

    known: of a run whose data are loaded again: its own preparation is applied, none is learned, and its rows
    are told apart as they were. sequential: "sequences" or "ids", where the network reads these.
    """
    if arguments.source == "digits":
        X, y = load_digits()
        train, test = divided_rows(arguments, y, stratify=True)
        return Problem("digits", X[train], y[train], X[test], y[test], np.arange(10), Preparation())
    if arguments.source == "mnist":
        return mnist(arguments)
    from chainrule.cli.training.raw import known_columns, raw_of

    if known is None:
        raw = raw_of(arguments, sequential)
    else:
        raw = raw_of(arguments, known.sequential, known_columns(known.preparation))
        raw = replace(raw, X=as_named(raw.X, known.preparation))
    asked: Asked = arguments.task
    if known is not None:
        asked = "regress" if known.classes is None else "classify"
    task = target_of(raw, raw.y, asked)
    rows: Rows | None = None
    if raw.X_test is not None and raw.y_test is not None:
        training: Part = raw.X, task.values
        held_out: Part = raw.X_test, test_target(raw, task)
    else:
        rows = Rows.of(raw.X, raw.y)
        rows = rows.divided(arguments, task) if known is None else rows.as_in(known.rows, arguments, task)
        training, held_out = ((raw.X[part], task.values[part]) for part in (rows.train, rows.test))
        if rows.told:
            remark(rows.told)
    if known is None:
        targets = None if task.numbers is None else Standardizer.learn(training[1])
        in_order = raw.X if rows is None else raw.X[np.sort(rows.train)]  # a column may number the rows
        made = learned(in_order, raw, arguments)
        made.targets, made.target_name = targets, raw.target_name
        known = Known(made, task.classes, rows)
    made = known.preparation
    X_train, X_test = made(training[0], raw.name), made(held_out[0], raw.name)
    y_train, y_test = made.target(training[1]), made.target(held_out[1])
    return Problem(
        raw.name, X_train, y_train, X_test, y_test, known.classes, made,
        why=task.why,
        notes=raw.notes,
        rows=rows,
        files=raw.files,
        vocabulary=int(max(X_train.max(), X_test.max())) + 1 if raw.kind == "ids" else None,
    )  # fmt: skip


def as_named(X: Frame | Array, preparation: Preparation) -> Frame | Array:
    """A table with the columns of the training, in its order, where all are there: others may have come."""
    names = preparation.feature_names
    if not isinstance(X, Frame) or names is None or not set(names) <= set(X.names):
        return X
    return X.select(names)


def target_of(raw: Raw, y: Array, asked: Asked) -> Task:
    """What a source's target is; errors name the source."""
    try:
        return task_of(y, images=raw.kind == "images", asked=asked)
    except DataError as error:
        remark = f" (column {raw.target_name}: {raw.target_remark})" if raw.target_remark else ""
        raise DataError(f"{raw.name}: {error}{remark}") from None


def test_target(raw: Raw, task: Task) -> Array:
    """The target of a source's own test part, as the training part's was understood.

    Raises DataError for a class that is not among those to train on.
    """
    assert raw.y_test is not None  # asked for only where it is
    if task.classes is None:
        columns = np.asarray(raw.y_test).reshape(len(raw.y_test), -1)
        if columns.dtype.kind not in "fiub" or columns.shape[1:] != task.values.shape[1:]:
            raise DataError(f"{raw.name}: the target of the test part is unlike that of the training part")
        return columns.astype(np.float64)
    try:
        labels = known_labels(raw.y_test, task.classes)
    except DataError as error:
        raise DataError(f"{raw.name}: in the test part {error}") from None
    unknown = [] if labels is None else [label for label in np.unique(labels) if label not in task.classes]
    if labels is None or unknown:
        told = f"the class {unknown[0]}" if unknown else "numbers that are no classes"
        raise DataError(
            f"{raw.name}: the test part holds {told}, which is none of the classes to train on "
            f"({listed([str(label) for label in task.classes])}): leave it out there, or train on it"
        )
    return labels


def learned(X: Frame | Array, raw: Raw, arguments: argparse.Namespace) -> Preparation:
    """The preparation of a training part: a table's columns, pixels, or features brought to one scale."""
    robust = is_tabular(arguments, X)
    if isinstance(X, Frame):
        kinds, levels = told_columns(arguments.kind, "kind"), told_columns(arguments.levels, "levels")
        ordered = {name: text.split("<") for name, text in levels.items()}
        try:
            made = Preparation.learn(X, kinds=kinds, levels=ordered, robust=robust)
        except (DataError, ValueError) as error:
            raise DataError(f"{raw.name}: {error}") from None
        told = {name: getattr(arguments, name, None) for name in READING}
        made.reading = {name: value for name, value in told.items() if value not in (None, "auto")}
        return made
    if raw.kind == "ids":
        return Preparation()
    if raw.kind == "images" and X.dtype == np.uint8:
        return Preparation(inputs=Pixels())
    return Preparation(inputs=Standardizer.learn(X))


def told_columns(given: list[str] | None, option: str) -> Mapping[str, str]:
    """{column: value} of `--option COLUMN=VALUE`, which may be given several times."""
    told = {}
    for text in given or ():
        name, sign, value = text.rpartition("=")
        if not (name and sign and value):
            form = "size=small<medium<large" if option == "levels" else "zip=levels"
            raise DataError(f"--{option} {text}: write COLUMN=VALUE, such as --{option} '{form}'")
        told[name] = value
    return told


def mnist(arguments: argparse.Namespace) -> Problem:
    """MNIST's own division into training and test set."""
    X_train, y_train, X_test, y_test = load_mnist(
        Path(arguments.data) if arguments.data else mnist_folder(),
        download=not arguments.no_download,
        url=arguments.url or mnist_url,
        report=tell,
    )
    pixels = Preparation(inputs=Pixels())
    return Problem("mnist", X_train, y_train, X_test, y_test, np.arange(10), pixels)


def mnist_folder() -> Path:
    """Where MNIST is downloaded to. Raises FileError where this user has no home."""
    try:
        cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    except RuntimeError:  # the user has no home directory
        raise FileError("there is no home directory to keep MNIST in: write --data DIR") from None
    return cache / "chainrule" / "mnist"
