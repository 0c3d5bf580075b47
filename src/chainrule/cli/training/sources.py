"""What `chainrule train` learns from: digits, MNIST, a CSV or an NPZ file, split and brought to one scale."""

from __future__ import annotations

import argparse
import os
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from chainrule.base.errors import DataError, FileError
from chainrule.base.types import Array
from chainrule.cli.output import tell
from chainrule.data import Standardizer, load_digits, load_mnist, load_npz, split
from chainrule.data.arrays import all_finite, first_nonfinite
from chainrule.data.readers.table import is_number, listed, read_table
from chainrule.data.sets.mnist import mnist_url
from chainrule.data.task import task_of


@dataclass(eq=False)
class Problem:
    """Inputs as the network gets them, targets, and what is needed to treat new inputs in the same way.

    y is labels (N,), each one of `classes`, or float targets (N, outputs) where `classes` is None; `why` says
    how the target was understood, "" where there was nothing to decide.
    """

    name: str
    X_train: Array
    y_train: Array
    X_test: Array
    y_test: Array
    classes: Array | None
    feature_names: tuple[str, ...] | None = None
    target_name: str | None = None
    inputs: Standardizer | None = None
    targets: Standardizer | None = None
    why: str = ""  # what the target was taken for

    @property
    def input_shape(self) -> tuple[int, ...]:
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


def load_problem(arguments: argparse.Namespace) -> Problem:
    """The problem that the arguments of `chainrule train` name."""
    source = arguments.source
    if source == "digits":
        X, y = load_digits()
        return Problem("digits", *parts(X, y, arguments, stratify=True), np.arange(10))
    if source == "mnist":
        return mnist(arguments)
    path = Path(source)
    suffix = path.suffix.lower()
    if suffix == ".csv":
        return csv_problem(path, arguments)
    if suffix == ".npz":
        inputs, target = load_npz(path, arguments.x, arguments.target or "y")
        assert target is not None  # it was asked for
        problem = array_problem(path.stem, inputs, target, arguments)
        problem.target_name = arguments.target or "y"
        return problem
    raise FileError(
        f"'{source}' is nothing to train on: write digits, mnist, or a file that ends in .csv or .npz"
    )


def mnist(arguments: argparse.Namespace) -> Problem:
    """MNIST's own division into training and test set."""
    X_train, y_train, X_test, y_test = load_mnist(
        Path(arguments.data) if arguments.data else mnist_folder(),
        download=not arguments.no_download,
        url=arguments.url or mnist_url,
        report=tell,
    )
    return Problem("mnist", X_train, y_train, X_test, y_test, np.arange(10))


def mnist_folder() -> Path:
    """Where MNIST is downloaded to. Raises FileError where this user has no home."""
    try:
        cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    except RuntimeError:  # the user has no home directory
        raise FileError("there is no home directory to keep MNIST in: write --data DIR") from None
    return cache / "chainrule" / "mnist"


def csv_problem(path: Path, arguments: argparse.Namespace) -> Problem:
    def choose(cells: list[str]) -> str | int:
        if arguments.target is None:
            raise FileError(f"{path}: {which_target(cells, arguments.header)}")
        return csv_target(cells, arguments.target)

    table = read_table(path, choose, header={"auto": None, "yes": True, "no": False}[arguments.header])
    assert table.target is not None  # a target was asked for
    problem = array_problem(path.stem, table.features, table.target, arguments)
    problem.feature_names, problem.target_name = table.names, table.target_name
    return problem


def which_target(cells: list[str], header: str) -> str:
    """What to write for --target, from the first line of the file."""
    say = "say which column to learn: --target NAME, or --target -1 for the last"
    if header == "no" or (header == "auto" and any(is_number(cell) for cell in cells)):
        return f"{say}; it has {len(cells)} columns, 0 to {len(cells) - 1}"
    return f"{say}; its columns are {listed([cell for cell in cells if cell])}"


def csv_target(cells: list[str], text: str) -> str | int:
    """A column's name if the first line has it, else its index."""
    try:
        index = int(text)
    except ValueError:
        return text
    return text if text in cells and not all(is_number(cell) for cell in cells) else index


def array_problem(name: str, X: Array, y: Array, arguments: argparse.Namespace) -> Problem:
    """Inputs and targets from a file: classes or numbers, images or features."""
    X = check_features(X)
    try:
        task = task_of(y, images=X.ndim == 4, asked=arguments.task)
    except DataError as error:
        raise DataError(f"{name}: {error}") from None
    if task.labels is not None:
        problem = Problem(name, *parts(X, task.labels, arguments, stratify=True), task.classes)
    else:
        assert task.numbers is not None  # the other kind
        problem = Problem(name, *parts(X, task.numbers, arguments, stratify=False), None)
        problem.targets = Standardizer.learn(problem.y_train)
        problem.y_train, problem.y_test = problem.targets(problem.y_train), problem.targets(problem.y_test)
    problem.why = task.why
    if problem.X_train.dtype != np.uint8:  # uint8 is pixels, which the network takes as they are
        problem.inputs = Standardizer.learn(problem.X_train)
        problem.X_train, problem.X_test = problem.inputs(problem.X_train), problem.inputs(problem.X_test)
    return problem


def check_features(X: Array) -> Array:
    """X (N, features) or images (N, H, W, C), (N, H, W) with the channel axis added; finite numbers."""
    if X.dtype.kind not in "fiub":
        raise DataError(f"the inputs are of type {X.dtype}: give numbers")
    if X.ndim == 1:
        X = X[:, np.newaxis]
    if X.ndim == 3:
        X = X[..., np.newaxis]
    if X.ndim not in (2, 4):
        raise DataError(f"the inputs have shape {X.shape}: give (N, features) or images (N, H, W, C)")
    if X.dtype != np.uint8:
        X = X.astype(np.float64)
        if not all_finite(X):
            raise DataError(f"the inputs hold NaN or infinity in sample {first_nonfinite(X)}")
    return X


def parts(
    X: Array, y: Array, arguments: argparse.Namespace, *, stratify: bool
) -> tuple[Array, Array, Array, Array]:
    """X_train, y_train, X_test, y_test in Problem's order."""
    if arguments.test == 0:
        raise DataError("--test 0 leaves nothing to test on: write a number above 0, such as 0.2")
    X_train, X_test, y_train, y_test = split(X, y, arguments.test, seed=arguments.seed, stratify=stratify)
    return X_train, y_train, X_test, y_test
