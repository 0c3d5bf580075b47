"""What `chainrule train` learns from: digits, MNIST, a table, arrays, IDX files or a folder of images, split and
prepared.
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from chainrule.base.errors import DataError, FileError
from chainrule.base.types import Array, Shape
from chainrule.cli.output import remark, tell
from chainrule.cli.training.rows import Rows, divided_rows
from chainrule.data import Preparation, Standardizer, load_digits, load_mnist
from chainrule.data.frames import Frame
from chainrule.data.preparation import Pixels
from chainrule.data.sets.mnist import mnist_url
from chainrule.data.task import Task, task_of


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
    preparation: Preparation
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
    """What an earlier training on the same source fixed: the model's preparation and classes, and its rows."""

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
    from chainrule.cli.training.raw import raw_of

    raw = raw_of(arguments, known.sequential if known else sequential)
    try:
        asked = arguments.task if known is None else ("regress" if known.classes is None else "classify")
        task = task_of(raw.y, images=raw.kind == "images", asked=asked)
    except DataError as error:
        raise DataError(f"{raw.name}: {error}") from None
    y = task.labels if task.labels is not None else task.numbers
    assert y is not None  # one of both
    test: tuple[Any, Array] | None = None
    if raw.X_test is not None and raw.y_test is not None:
        of_test = task_of(raw.y_test, images=raw.kind == "images", asked=task.kind)
        labels = of_test.labels if of_test.labels is not None else of_test.numbers
        assert labels is not None
        test = raw.X_test, labels
    rows: Rows | None = None
    if test is not None:
        (X_train, y_train), (X_test, y_test) = (raw.X, y), test
    else:
        rows = Rows.of(raw.X, raw.y)
        rows = rows.divided(arguments, y, task) if known is None else rows.as_in(known.rows, arguments, y, task)
        X_train, y_train, X_test, y_test = raw.X[rows.train], y[rows.train], raw.X[rows.test], y[rows.test]
    problem = Problem(raw.name, X_train, y_train, X_test, y_test, task.classes, Preparation())
    problem.why, problem.notes, problem.rows, problem.files = task.why, raw.notes, rows, raw.files
    if rows is not None and rows.told:
        remark(rows.told)
    prepare(problem, raw, task, arguments, known)
    return problem


def prepare(problem: Problem, raw: Any, task: Task, arguments: argparse.Namespace, known: Known | None) -> None:
    """Learn the preparation from the training part, unless it is known, and apply it to both parts."""
    if known is not None:
        problem.preparation, problem.classes = known.preparation, known.classes
    else:
        targets = None if task.numbers is None else Standardizer.learn(problem.y_train)
        problem.preparation = learned(problem.X_train, raw, arguments)
        problem.preparation.targets, problem.preparation.target_name = targets, raw.target_name
    made = problem.preparation
    problem.X_train = made(problem.X_train, problem.name)
    problem.X_test = made(problem.X_test, problem.name)
    problem.y_train, problem.y_test = made.target(problem.y_train), made.target(problem.y_test)
    if raw.kind == "ids":
        problem.vocabulary = int(max(problem.X_train.max(), problem.X_test.max())) + 1


def learned(X: Frame | Array, raw: Any, arguments: argparse.Namespace) -> Preparation:
    """The preparation of a training part: a table's columns, pixels, or features and channels on one scale."""
    if isinstance(X, Frame):
        kinds, levels = told_columns(arguments.kind, "kind"), told_columns(arguments.levels, "levels")
        ordered = {name: text.split("<") for name, text in levels.items()}
        try:
            made = Preparation.learn(X, kinds=kinds, levels=ordered)
        except (DataError, ValueError) as error:
            raise DataError(f"{raw.name}: {error}") from None
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
