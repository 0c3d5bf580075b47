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
from chainrule.data.frames import listed
from chainrule.data.readers.table import column_name, numbers_of
from chainrule.data.sets.mnist import mnist_url
from chainrule.data.tables.reader import read_table
from chainrule.data.tables.understood import Reading

# A column of whole numbers is read as classes when it holds at most this many different ones.
most_numbered_classes = 20


@dataclass(eq=False)
class Problem:
    """Inputs as the network gets them, targets, and what is needed to treat new inputs in the same way.

    y is labels (N,), each one of `classes`, or float targets (N, outputs) where `classes` is None.
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
    told = {"auto": None, "yes": True, "no": False}[arguments.header]
    text = arguments.target
    reading = read_table(path, header=told, asked=() if text is None else (text,))
    if text is None:
        raise FileError(f"{path}: {which_target(reading)}")
    table = numbers_of(reading, column_name(reading, csv_target(reading, text)))
    assert table.target is not None  # a target was asked for
    problem = array_problem(path.stem, table.features, table.target, arguments)
    problem.feature_names, problem.target_name = table.names, table.target_name
    return problem


def which_target(reading: Reading) -> str:
    """What to write for --target."""
    say = "say which column to learn: --target NAME, or --target -1 for the last"
    names = reading.frame.names
    if not reading.frame.named:
        return f"{say}; it has {len(names)} columns, 0 to {len(names) - 1}"
    return f"{say}; its columns are {listed(names)}"


def csv_target(reading: Reading, text: str) -> str | int:
    """A column's name if there is such a one, else its number."""
    try:
        return text if reading.frame.named and text in reading.frame.names else int(text)
    except ValueError:
        return text


def array_problem(name: str, X: Array, y: Array, arguments: argparse.Namespace) -> Problem:
    """Inputs and targets from a file: classes or numbers, images or features."""
    X = check_features(X)
    if is_classification(y, arguments.task):
        labels = as_labels(y, name)
        classes = np.unique(labels)
        if len(classes) < 2:
            raise DataError(
                f"{name}: the target has a single class ({classes[0]}); there is nothing to tell apart"
            )
        problem = Problem(name, *parts(X, labels, arguments, stratify=True), classes)
    else:
        targets = y.reshape(len(y), -1).astype(np.float64)
        if not all_finite(targets):
            raise DataError(f"{name}: the target holds NaN or infinity in sample {first_nonfinite(targets)}")
        problem = Problem(name, *parts(X, targets, arguments, stratify=False), None)
        problem.targets = Standardizer.learn(problem.y_train)
        problem.y_train, problem.y_test = problem.targets(problem.y_train), problem.targets(problem.y_test)
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


def as_labels(y: Array, name: str) -> Array:
    """Classes as whole numbers or names, which is what a model file can hold."""
    if y.dtype.kind == "b":
        return y.astype(np.int64)
    if y.dtype.kind == "f":
        if not (all_finite(y) and (y == np.rint(y)).all()):
            raise DataError(
                f"{name}: classes are names or whole numbers, but the target has fractions: --task regress"
            )
        return y.astype(np.int64)
    return y.astype(np.int64) if y.dtype.kind in "iu" else y


def is_classification(y: Array, task: str) -> bool:
    """Whether the target is classes: names, truth values, or a few different whole numbers."""
    number = y.dtype.kind in "fiu"
    if task == "regress":
        if not number:
            raise DataError("--task regress needs a target of numbers, but it holds names")
        return False
    if not number and y.dtype.kind not in "US" and y.dtype.kind != "b":
        raise DataError(f"the target is of type {y.dtype}: give numbers or names")
    if y.ndim != 1:
        if task == "classify" or not number:
            raise DataError(f"the target has shape {y.shape}: give one class per sample, (N,)")
        return False
    return (
        task == "classify"
        or not number
        or (y.dtype.kind in "iu" and len(np.unique(y)) <= most_numbered_classes)
    )


def parts(
    X: Array, y: Array, arguments: argparse.Namespace, *, stratify: bool
) -> tuple[Array, Array, Array, Array]:
    """X_train, y_train, X_test, y_test in Problem's order."""
    if arguments.test == 0:
        raise DataError("--test 0 leaves nothing to test on: write a number above 0, such as 0.2")
    X_train, X_test, y_train, y_test = split(X, y, arguments.test, seed=arguments.seed, stratify=stratify)
    return X_train, y_train, X_test, y_test
