"""Targets as scikit-learn takes them: classes and what a network's outputs say about them, weights, seeds."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any

import numpy as np
from scipy import sparse
from sklearn.utils import check_random_state, compute_class_weight, compute_sample_weight
from sklearn.utils.multiclass import check_classification_targets, type_of_target, unique_labels
from sklearn.utils.validation import _check_sample_weight

from chainrule.base.errors import ArgumentError, DataError, describe
from chainrule.base.scalars import check_number
from chainrule.base.types import Array
from chainrule.data.frames import says_nothing
from chainrule.networks.network import Network

BINARY, MULTICLASS, MULTILABEL = "binary", "multiclass", "multilabel"
# What to write for several columns of classes, each with its own.
SEVERAL = "a network for every column is sklearn.multioutput.MultiOutputClassifier(...)"
_KINDS = ("binary", "multiclass", "multiclass-multioutput", "multilabel-indicator")  # of type_of_target


@dataclass(frozen=True, eq=False)
class Labels:
    """The classes of a target, and how outputs stand for them.

    kind: "binary" is one output, the probability of the second class (a target with one class alone is
    binary, too); "multiclass" one output per class, of which the largest counts; "multilabel" one per column
    of 0 and 1, each by itself.  sparse: whether y was a sparse matrix, as predictions are then.  pair: two
    classes are two outputs, of which the larger counts.
    """

    kind: str
    classes: Array
    sparse: bool = False
    pair: bool = False

    @classmethod
    def learn(cls, y: Any, classes: Any = None, *, pair: bool = False) -> Labels:
        """Of a target; classes: all there are, of which y may lack some (as of `partial_fit`).

        Raises ValueError, in scikit-learn's words, where y holds no classes or several per sample.
        """
        kind = type_of_target(y, input_name="y")
        if kind == "unknown":
            first = describe(np.asarray(y).flat[0])
            raise ValueError(f"Unknown label type: objects such as {first}: write y.astype(int), or str")
        if kind not in _KINDS:
            check_labels(y)  # which refuses it
        if "multioutput" in kind:
            raise ValueError(f"Multioutput target data is not supported with label binarization: {SEVERAL}")
        if kind == "multilabel-indicator":
            return cls(MULTILABEL, unique_labels(y), sparse.issparse(y))
        known = _labels(y if classes is None else classes)
        several = MULTICLASS if len(known) > 2 else BINARY
        return cls(several, known, pair=pair and several == BINARY)

    @property
    def outputs(self) -> int:
        """How many outputs a network needs."""
        return int(self.pair) + 1 if self.kind == BINARY else len(self.classes)

    @property
    def largest_counts(self) -> bool:
        """Whether the largest output says the class, and targets are numbers of classes."""
        return self.pair or self.kind == MULTICLASS

    def encode(self, y: Any) -> Array:
        """Targets as `chainrule.fit` takes them: class numbers (N,) int64; (N, outputs) of 0 and 1 else."""
        if self.kind == MULTILABEL:
            rows = y.toarray() if sparse.issparse(y) else np.asarray(y)
            return np.asarray(rows, dtype=np.float64)
        ids = np.searchsorted(self.classes, np.asarray(y).ravel())
        return ids.astype(np.int64) if self.largest_counts else ids.astype(np.float64)[:, np.newaxis]

    def decode(self, outputs: Array, middle: float = 0.5) -> Array:
        """Labels (N,), or rows of 0 and 1, from outputs (N, outputs); `middle` divides yes from no."""
        if self.largest_counts:
            return np.asarray(self.classes[np.minimum(outputs.argmax(axis=1), len(self.classes) - 1)])
        yes = outputs > middle
        if self.kind == MULTILABEL:
            return yes.astype(np.int64)
        return np.asarray(self.classes[np.minimum(yes[:, 0], len(self.classes) - 1)])

    def probabilities(self, outputs: Array) -> Array:
        """(N, classes) from the outputs of Sigmoid or Softmax."""
        if len(self.classes) == 1 and self.kind == BINARY:
            return np.ones((len(outputs), 1), dtype=outputs.dtype)
        if self.kind != BINARY or self.pair:
            return outputs
        return np.hstack([1 - outputs, outputs])

    def name(self, network: Network) -> None:
        """Have a network say these labels, where it knows their kind and every output has one."""
        if self.kind != MULTILABEL and len(self.classes) > 1 and self.classes.dtype.kind in "iubUO":
            with suppress(DataError):  # labels of mixed kinds, which scikit-learn takes
                network.classes = self.classes


def _labels(y: Any) -> Array:
    """The labels there are, ascending; `unique_labels` asks once more what kind they are: 0.3 ms."""
    if isinstance(y, np.ndarray) and y.dtype.kind in "biufU":
        return np.unique(y)
    return np.asarray(unique_labels(y))


def check_labels(y: Any) -> None:
    """scikit-learn's ValueError for what are no labels, with what to write where they are."""
    try:
        check_classification_targets(y)
    except ValueError as error:
        said = "Where they are classes write y.astype(str)"
        raise ValueError(f"{error} {said}; for quantities take a regressor") from None


def plain_labels(y: Any) -> Any:
    """Labels of an array of objects as what they are, numbers, truth values or texts; y else.

    Raises ValueError where one is missing, and where texts stand beside what is none.
    """
    if not isinstance(y, np.ndarray) or y.dtype != object or not y.size:
        return y
    missing = [row for row, label in enumerate(y.flat) if says_nothing(label)]
    if missing:
        row = missing[0] // (y.size // len(y))
        raise ValueError(
            f"y has {len(missing)} missing labels, the first in row {row}: leave these rows out, or write a "
            "label of its own for them"
        )
    texts = [isinstance(label, str) for label in y.flat]
    if any(texts) and not all(texts):
        text, other = y.flat[texts.index(True)], y.flat[texts.index(False)]
        raise ValueError(f"y holds both {describe(other)} and {describe(text)}: write y.astype(str)")
    plain = y if any(texts) else np.array(y.tolist())
    return plain if plain.dtype.kind in "biuf" and plain.shape == y.shape else y


def numbers_of(y: Any) -> Array:
    """Targets of a regression in float64, in the shape that they have.

    Raises ValueError for what would become a number without being one: dates, in whatever unit they are kept
    in, texts, and complex numbers.
    """
    values = np.asarray(y)
    first = values.flat[0] if values.size else None
    dates = values.dtype.kind in "Mm" or isinstance(first, (date, timedelta))
    if dates or values.dtype.kind in "USc" or isinstance(first, (str, complex)):
        what = "dates or durations" if dates else "no real numbers"
        advice = "the days since one of them, as numbers" if dates else "y.astype(float), where they are such"
        raise ValueError(f"y holds {what}, such as {first}: a regression takes numbers. Write {advice}")
    return np.asarray(y, dtype=np.float64)


def check_class_weight(class_weight: Any, y: Any) -> None:
    """ValueError, with what to write, for weights that are none, and for those of no label of y."""
    several = np.asarray(y).ndim == 2
    if isinstance(class_weight, str) and class_weight == "balanced":
        return
    if several and isinstance(class_weight, (list, tuple)):
        return  # scikit-learn's own, one for every column
    labels = [] if several else np.unique(y).tolist()
    shown = ", ".join(f"{label!r}: 1.0" for label in (labels or [0, 1])[:3])
    shown += ", ..." if len(labels) > 3 else ""
    if not isinstance(class_weight, Mapping):
        raise ArgumentError(
            f"class_weight must be None, 'balanced' or {{label: weight}}, received {describe(class_weight)}: "
            f"write {{{shown}}}"
        )
    for label, weight in class_weight.items():
        check_number(f"class_weight[{label!r}]", weight, include_low=True)
    if labels and not any(label in class_weight for label in labels):
        given = ", ".join(map(repr, [*class_weight][:5]))
        raise ArgumentError(f"class_weight has the labels {given}, of which y has none: write {{{shown}}}")


def weights_of(y: Any, sample_weight: Any, class_weight: Any, X: Any) -> Array | None:
    """One weight per sample, not scaled, in float64: sample weights times those of the classes; None where
    neither is given.  class_weight: "balanced", or {label: weight}, for several labels a list of such.
    """
    weights = None
    if sample_weight is not None:
        weights = np.asarray(_check_sample_weight(sample_weight, X, dtype=np.float64))
    if class_weight is not None:
        check_class_weight(class_weight, y)
        balanced = isinstance(class_weight, str) and class_weight == "balanced" and np.ndim(y) == 1
        if (
            balanced and weights is not None
        ):  # samples that are repeated count as those of twice the weight do
            counted, by_class = weights > 0, np.zeros(len(weights))
            labels, ids = np.unique(y[counted], return_inverse=True)
            given = {"classes": labels, "y": y[counted], "sample_weight": weights[counted]}
            by_class[counted] = compute_class_weight("balanced", **given)[ids]
        else:
            by_class = compute_sample_weight(class_weight, y)
        weights = by_class if weights is None else weights * by_class
    return weights


def seed_from(random_state: Any) -> int:
    """A seed as chainrule takes it: a number as it is, so that an estimator and `Network(..., seed=0)` start
    alike; of a RandomState the next that it draws; None: another each time.
    """
    if isinstance(random_state, (int, np.integer)) and not isinstance(random_state, bool):
        check_random_state(random_state)  # refuses what is no seed
        return int(random_state)
    return int(check_random_state(random_state).randint(np.iinfo(np.int32).max))
