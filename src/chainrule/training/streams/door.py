"""The door for batches: each is checked as arrays are, and what the first one fixed holds for the others."""

from __future__ import annotations

from typing import Any

import numpy as np

from chainrule.base.errors import ArgumentError, DataError, ShapeError, describe
from chainrule.base.types import Array
from chainrule.data.arrays import plain_array
from chainrule.data.door import check_inputs, check_weights, encode_targets
from chainrule.losses import Loss
from chainrule.networks.batch import Batch
from chainrule.networks.network import Network
from chainrule.training.class_weights import class_weights
from chainrule.training.parts import as_type, class_labels

_FORM = "a batch must be (X, y) or (X, y, weights)"


class BatchDoor:
    """Batches as the engine takes them.

    classes: the labels seen so far, in the order of the outputs: those of the network, else of the first
    batch; new ones are added behind them while the network has outputs left.
    """

    def __init__(
        self, network: Network, loss: Loss, class_weight: Any = None, classes: Array | None = None
    ) -> None:
        if isinstance(class_weight, str):
            raise ArgumentError(
                "class_weight='balanced' counts the samples of every class, which batches do not tell "
                "beforehand: write {label: weight}"
            )
        self.network, self.loss, self.class_weight = network, loss, class_weight
        self.classes: Array | None = network.classes if classes is None else classes
        self.given = self.classes is not None  # not by the batches
        self.pixels: bool | None = None

    def __call__(self, entry: Any, place: str) -> Batch:
        """A batch that has passed; DataError, ShapeError and TypeError begin with its place."""
        try:
            return self._checked(entry)
        except (DataError, ShapeError, TypeError) as error:
            said = f"{place}: {error}"
            raise type(error)(said) from None

    def _checked(self, entry: Any) -> Batch:
        if not isinstance(entry, (tuple, list)) or len(entry) not in (2, 3):
            length = f" of {len(entry)}" if isinstance(entry, (tuple, list)) else ""
            received = getattr(entry, "shape", None)
            shape = f" of shape {tuple(received)}" if received is not None else ""
            raise TypeError(f"{_FORM}, received {describe(entry)}{length}{shape}")
        network = self.network
        X = check_inputs(entry[0], network.input_shape, dtype=network.dtype, vocabulary=network.vocabulary)
        pixels = X.dtype == np.uint8
        if self.pixels is not None and pixels != self.pixels:
            kinds = ("uint8, which is divided by 255", f"{X.dtype}, which is taken as it is")
            before, now = (kinds[1], kinds[0]) if pixels else (kinds[0], kinds[1])
            before = before if self.pixels else "numbers, which are taken as they are"
            raise DataError(f"X is {now}, and the batches before were {before}: give all of one kind")
        self.pixels = pixels
        targets = self._targets(entry[1], len(X))
        weights = None if len(entry) == 2 or entry[2] is None else _as_they_are(entry[2], len(X))
        if self.class_weight is not None:
            by_class = class_weights(self.class_weight, class_labels(targets), self.classes)
            weights = by_class if weights is None else by_class * weights
        return Batch(as_type(network.dtype, X), as_type(network.dtype, targets), weights)

    def _targets(self, y: Any, n: int) -> Array:
        known = self.classes
        try:
            targets, classes = encode_targets(y, self.network, self.loss, n, classes=known)
        except DataError as error:
            grown = None if known is None else self._grown(y, known)
            if grown is None:
                raise DataError(f"{error}{self._advice(y)}") from None
            targets, classes = encode_targets(y, self.network, self.loss, n, classes=grown)
        self.classes = self.classes if classes is None else classes
        return targets

    def _grown(self, y: Any, known: Array) -> Array | None:
        """The classes with the new labels of y behind them; None where they do not fit."""
        labels = plain_array(y, "y")
        if labels.dtype.kind == "O" and all(isinstance(label, str) for label in labels.ravel()):
            labels = labels.astype(str)
        strings = known.dtype.kind == "U"
        if self.given or labels.dtype.kind not in ("U" if strings else "iu"):
            return None
        new = np.setdiff1d(labels, known)
        if not len(new) or len(known) + len(new) > self.network.output_shape[-1]:
            return None
        return np.concatenate([known, new])

    def _advice(self, y: Any) -> str:
        """What helps where the first batch lacks a class."""
        labels = np.asarray(y)
        if self.given or labels.dtype.kind == "f":
            return ""
        return "; classes are numbered by the first batch: name them all before, network.classes = [...]"


def _as_they_are(weights: Any, n: int) -> Array:
    """(n,) float64, checked, not scaled: the mean over an epoch is not known."""
    given = plain_array(weights, "weights")
    if given.shape != (n,) or np.any(given != 0):
        check_weights(given, n, "weights")
    return given.astype(np.float64)
