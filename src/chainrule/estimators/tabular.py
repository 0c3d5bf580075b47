"""TabularClassifier and TabularRegressor: RealMLP on a table as it is, with the published figures.

A table is a data frame of any library, a file as `chainrule train` reads it, or rows of numbers and texts.
What becomes of its columns, the network and how it is trained are of `chainrule.training.methods.tabular`;
`network_` holds all of it.
"""

from __future__ import annotations

import os
from abc import abstractmethod
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
from sklearn.base import BaseEstimator, ClassifierMixin, RegressorMixin
from sklearn.utils import check_random_state
from sklearn.utils.validation import check_array, check_is_fitted, column_or_1d, validate_data

from chainrule.base.errors import ArgumentError, DataError, FileError, describe
from chainrule.base.keywords import teach
from chainrule.base.scalars import check_count, check_number
from chainrule.base.types import Array
from chainrule.data import Preparation, Standardizer, read_table, split
from chainrule.data.frames import Column, Frame, column_of, frame_of, listed
from chainrule.estimators.base import Answering
from chainrule.estimators.targets import SEVERAL, check_labels, numbers_of, plain_labels, weights_of
from chainrule.networks.network import Network
from chainrule.training.history import History
from chainrule.training.methods.tabular import EPOCHS, Tabular

FEWEST = 10  # rows, below which none are held out and the last epoch stays
VALIDATION = 0.2


@teach("all by name: TabularClassifier(epochs=256)")
class _Tabular(Answering, BaseEstimator):
    """What both are: a table, a part of it to choose the epoch by, a network and its history."""

    network_: Network
    history_: History
    _classify: bool

    def __init__(
        self,
        *,
        epochs: int = EPOCHS,
        validation_fraction: float = VALIDATION,
        kinds: dict[str, str] | None = None,
        random_state: Any = None,
        threads: int | None = None,
        verbose: bool = False,
    ) -> None:
        self.epochs = epochs
        self.validation_fraction = validation_fraction
        self.kinds = kinds
        self.random_state = random_state
        self.threads = threads
        self.verbose = verbose

    def _class_weight(self) -> Any:
        """What multiplies the weights of a class's rows."""
        return None

    @abstractmethod
    def _learned(self, y: Any) -> Array:
        """y as the network is trained on it; remembers the classes."""

    @teach()
    def fit(
        self, X: Any, y: Any = None, sample_weight: Any = None, *, X_val: Any = None, y_val: Any = None
    ) -> Any:
        """Train on a table X and its target y.

        X: a data frame, a mapping of columns, (N, features) numbers and texts, or the path of a file. y:
        (N,), or the name of the target's column in X; of a file, where it is None, the last column is.
        sample_weight: (N,), only ratios matter. X_val, y_val: by which the epoch is chosen, in place of
        `validation_fraction`; y_val may be None where X_val holds the target's column.
        """
        table, y = self._training_table(X, y)
        check_count("epochs", self.epochs)
        hint = f"{VALIDATION} holds out a fifth of the rows"
        check_number("validation_fraction", self.validation_fraction, high=1.0, hint=hint)
        kinds = check_kinds(self.kinds)
        targets = self._learned(y)
        if len(targets) != len(table):
            raise ValueError(
                f"Found input variables with inconsistent numbers of samples: {len(table)}, {len(targets)}"
            )
        weights = weights_of(y, sample_weight, self._class_weight(), np.empty((len(table), 1)))
        seed = int(check_random_state(self.random_state).randint(2**31 - 1))
        given = self._given(X_val, y_val)
        train, held = self._parts(targets, seed) if given is None else _all_rows(targets)
        if weights is not None:
            held = held[weights[held] > 0]  # an accuracy counts every row once
        tabular = Tabular(self._classify, self.epochs)
        kinds = {**self._told, **kinds}
        # Of all rows, or levels of those held out would be new; the target's scale is of those trained on.
        preparation = Preparation.learn(table, kinds=kinds or None, robust=True)
        if not self._classify:
            preparation.targets = Standardizer.learn(targets[train].reshape(len(train), -1))
        clamp = None
        if preparation.targets is not None:
            scaled = preparation.targets(targets[train].reshape(len(train), -1))
            clamp = float(scaled.min()), float(scaled.max())
        outputs = len(self.classes_) if self._classify else targets[0].size
        network = tabular.network(
            preparation,
            outputs,
            clamp=clamp,
            classes=range(outputs) if self._classify else None,
            seed=seed,
        )
        validation: Any = None
        if given is not None:
            validation = (preparation(given[0]), given[1])
        elif len(held):
            validation = (preparation(table[held]), targets[held])
            validation += () if weights is None else (weights[held],)
        self.history_ = tabular.fit(
            network,
            preparation(table[train]),
            targets[train],
            validation,
            seed=seed,
            sample_weight=None if weights is None else weights[train],
            threads=self.threads,
            progress=bool(self.verbose),
        )
        if self._classify:
            with suppress(DataError):  # labels of a kind that a network does not say
                network.classes = self.classes_
        self.network_ = network
        return self

    def _parts(self, targets: Array, seed: int) -> tuple[Array, Array]:
        """The rows to train on and those to choose the epoch by, none where they are too few."""
        if len(targets) < FEWEST:
            return _all_rows(targets)
        rows = np.arange(len(targets))
        stratify = self._classify and len(np.unique(targets)) < len(targets)
        train, held, _, _ = split(rows, targets, self.validation_fraction, seed=seed, stratify=stratify)
        return np.sort(train), np.sort(held)

    def _given(self, X_val: Any, y_val: Any) -> tuple[Frame, Array] | None:
        """The table and the targets to choose the epoch by, where they are given."""
        if X_val is None and y_val is None:
            return None
        table = None if X_val is None else _read(X_val, [] if self._source is None else [self._source])
        frame = None if table is None else frame_of(table, "X_val")
        if y_val is None and frame is not None and self._source in frame.names:
            y_val = frame.column(str(self._source)).labels()
        if table is None or y_val is None:
            raise ArgumentError("X_val and y_val belong together: give both")
        frame = self._table(table if frame is None else frame)
        targets = self._told_apart(y_val)
        if len(targets) != len(frame):
            raise ValueError(f"X_val has {len(frame)} rows, and y_val {len(targets)}: give one target a row")
        return frame, targets

    @abstractmethod
    def _told_apart(self, y: Any) -> Array:
        """Other targets as the network is trained on them, of what is known after `_learned`."""

    def _training_table(self, X: Any, y: Any) -> tuple[Frame, Any]:
        self._told: dict[str, str] = {}
        self._source: str | None = None
        file = isinstance(X, (str, os.PathLike))
        X = _read(X, [] if y is None else [str(y)])
        if file:
            y = X.names[-1] if y is None else str(y)
        frame = frame_of(X, "X")
        if frame is not None and isinstance(y, (list, tuple)) and len(y) < len(frame):
            names = [name for name in y if isinstance(name, str) and name in frame.names]
            if names and len(names) == len(y):
                instead = f"y={names[0]!r}" if len(names) == 1 else f"X.drop(columns={names}), X[{names}]"
                raise DataError(f"y={y!r} are names of columns: write {instead}")
        if frame is not None and isinstance(y, str):
            if y not in frame.names:
                raise DataError(f"y is {y!r}, but the columns of X are {listed(frame.names)}")
            if len(frame.names) == 1:
                raise DataError(f"X has no column but the target {y!r}: there is nothing to learn from")
            self._source = y
            frame, y = frame.without([y]), frame.column(y).labels()
        self._named = frame is not None and frame.named
        if frame is None and (frame := _of_cells(X)) is None:
            X = validate_data(self, X, dtype="numeric", ensure_all_finite="allow-nan", reset=True)
            self._told = {f"x{place}": "number" for place in range(X.shape[1])}
            return self._of_rows(X), y
        self.n_features_in_ = len(frame.columns)
        if self._named:
            self.feature_names_in_ = np.array(frame.names, dtype=object)
        elif hasattr(self, "feature_names_in_"):
            del self.feature_names_in_
        return frame, y

    def _table(self, X: Any) -> Frame:
        """A table to predict for."""
        X = _read(X, [])
        frame = frame_of(X, "X")
        if frame is not None:
            frame = frame if self._source is None else frame.without([self._source])
            return frame if self._named else replace(frame, named=False)
        if self._told:
            return self._of_rows(
                validate_data(self, X, dtype="numeric", ensure_all_finite="allow-nan", reset=False)
            )
        if not self._named:
            rows = _of_cells(X)
            return self._of_rows(check_array(X, ensure_all_finite="allow-nan")) if rows is None else rows
        if hasattr(X, "to_frame") and hasattr(X, "index"):
            raise DataError("X is one row or column: write X.to_frame().T, or frame.iloc[[0]] for one row")
        raise DataError(
            "X has no names of columns, but the table of the fit had: give a data frame with the columns "
            f"{', '.join(map(str, self.feature_names_in_[:8]))}"
        )

    @staticmethod
    def _of_rows(X: Array) -> Frame:
        values = np.asarray(X, dtype=np.float64)
        columns = (
            Column(f"x{place}", "number", part, np.isnan(part)) for place, part in enumerate(values.T)
        )
        return Frame(tuple(columns), named=False)

    def _outputs(self, X: Any) -> Array:
        check_is_fitted(self)
        outputs: Array = self.network_.predict(self._table(X))
        return outputs

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = True
        return tags


def _read(X: Any, asked: list[str]) -> Any:
    """The table of a file, of masked cells an array with NaN for them; any other as it is. asked: names that
    a file's first line holds if it is a header.
    """
    if isinstance(X, np.ma.MaskedArray):
        return np.ma.filled(X.astype(np.float64), np.nan)
    if not isinstance(X, (str, os.PathLike)):
        return X
    try:
        return read_table(Path(X), asked=asked).frame
    except FileError as error:
        if "--" not in str(error):
            raise
        how = f"chainrule.data.read_table({os.fspath(X)!r}, ...)"
        raise FileError(f"{error}. An option --NAME is NAME= here: fit({how}, y='NAME')") from None


def _all_rows(targets: Array) -> tuple[Array, Array]:
    rows = np.arange(len(targets))
    return rows, rows[:0]


def check_kinds(kinds: Any) -> dict[str, str]:
    """The kinds as a dict; TypeError for what is none."""
    if kinds is None or isinstance(kinds, Mapping):
        return {**(kinds or {})}
    names = [*kinds][:3] if isinstance(kinds, (list, tuple)) else ["zip"]
    written = ", ".join(f"{name!r}: 'levels'" for name in names)
    raise TypeError(f"kinds must be a dict, received {describe(kinds)}: write kinds={{{written}}}")


def _of_cells(X: Any) -> Frame | None:
    """Rows that hold texts or dates beside numbers, as steps of a pipeline give them; None for all others."""
    if not isinstance(X, (list, tuple, np.ndarray)):
        return None
    cells = X if isinstance(X, np.ndarray) else np.array(X, dtype=object)
    told = cells.dtype.kind in "UO" and any(isinstance(cell, (str, date)) for cell in cells.flat)
    if cells.ndim != 2 or not told:
        return None
    columns = (column_of(f"x{place}", part, "X") for place, part in enumerate(cells.T))
    return Frame(tuple(columns), named=False)


def _one_column(y: Any) -> Any:
    """Labels (N,) as what they are; ValueError for several columns."""
    shape = np.asarray(y).shape
    if len(shape) == 2 and shape[1] > 1:
        raise ValueError(
            f"y should be a 1d array, got an array of shape {shape} instead: {SEVERAL}, and of rows of 0 "
            "with a single 1 write y.argmax(axis=1)"
        )
    return plain_labels(column_or_1d(y, warn=True))


@teach("all by name: TabularClassifier(epochs=256)")
class TabularClassifier(ClassifierMixin, _Tabular):
    """RealMLP for classes (Holzmüller et al., Better by Default, 2024) on a table as it is.

    Numbers, texts, truth values, dates and what is missing are prepared by `Preparation.learn(robust=True)`.

    epochs: 256 as published. validation_fraction: of the rows, by whose accuracy the epoch is chosen.
    kinds: {column: "number", "levels", "date" or "drop"}, for columns that are not what they look like.
    class_weight: {label: weight}, or "balanced", by which the weights of every class sum to the same; it
    multiplies sample_weight.
    random_state: of the held-out rows, the start, the order and the dropout. threads: None leaves the choice.

    After `fit`: `classes_`, `network_` with its preparation, `history_`.
    """

    _classify = True
    classes_: Array

    def __init__(
        self,
        *,
        epochs: int = EPOCHS,
        validation_fraction: float = VALIDATION,
        kinds: dict[str, str] | None = None,
        class_weight: Any = None,
        random_state: Any = None,
        threads: int | None = None,
        verbose: bool = False,
    ) -> None:
        super().__init__(
            epochs=epochs,
            validation_fraction=validation_fraction,
            kinds=kinds,
            random_state=random_state,
            threads=threads,
            verbose=verbose,
        )
        self.class_weight = class_weight

    def _class_weight(self) -> Any:
        return self.class_weight

    def _learned(self, y: Any) -> Array:
        if y is None:
            raise ValueError("requires y to be passed, but the target y is None")
        y = _one_column(y)
        check_labels(y)
        self.classes_, ids = np.unique(y, return_inverse=True)
        if len(self.classes_) < 2:
            raise ArgumentError(
                f"y holds one class only, {self.classes_[0]}: there is nothing to tell apart"
            )
        return np.asarray(ids, dtype=np.int64)

    def _told_apart(self, y: Any) -> Array:
        y = _one_column(y)
        new = [label for label in np.unique(y).tolist() if label not in self.classes_]
        if new:
            known = f"the classes of y are {self.classes_}"
            raise ValueError(f"y_val holds {describe(new[0])}, and {known}: leave such rows out")
        return np.asarray(np.searchsorted(self.classes_, y), dtype=np.int64)

    def predict(self, X: Any) -> Array:
        """The class of every row (N,)."""
        chosen = self._outputs(X).argmax(axis=1)
        return np.asarray(self.classes_[chosen])

    def predict_proba(self, X: Any) -> Array:
        """The probability of every class, (N, classes) in the order of `classes_`."""
        return self._outputs(X)

    def predict_log_proba(self, X: Any) -> Array:
        """Their logarithms."""
        with np.errstate(divide="ignore"):
            return np.asarray(np.log(self.predict_proba(X)))


class TabularRegressor(RegressorMixin, _Tabular):
    """RealMLP for quantities (Holzmüller et al., Better by Default, 2024) on a table as it is.

    As `TabularClassifier`; the target is brought to one scale, and predictions stay within what the training
    rows had.
    """

    _classify = False

    def _learned(self, y: Any) -> Array:
        if y is None:
            raise ValueError("requires y to be passed, but the target y is None")
        values = self._told_apart(y)
        self._flat = values.ndim == 1
        return values

    def _told_apart(self, y: Any) -> Array:
        values = numbers_of(y)
        if values.ndim not in (1, 2) or not values.size:
            raise ValueError(f"y should be a 1d or 2d array, got an array of shape {values.shape} instead.")
        if not np.isfinite(values).all():
            raise ValueError("Input y contains NaN or infinity.")
        return values

    def predict(self, X: Any) -> Array:
        """(N,), of several targets (N, targets), float64."""
        outputs = np.asarray(self._outputs(X), dtype=np.float64)
        return outputs[:, 0] if self._flat else outputs

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.target_tags.multi_output = True
        return tags
