"""The door for batches: each is checked as arrays are, and what the first one fixed holds for the others."""

from __future__ import annotations

from typing import Any

import numpy as np

from chainrule.base.errors import ArgumentError, DataError, ShapeError, describe
from chainrule.base.types import Array
from chainrule.data.arrays import plain_array
from chainrule.data.door import (
    check_weights,
    classes_array,
    inputs_of,
    learned_preparation,
    one_column,
    targets_of,
)
from chainrule.data.mapped import joined
from chainrule.data.preparation import Preparation
from chainrule.losses import Loss
from chainrule.networks.batch import Batch
from chainrule.networks.forms.several_ends import joined_inputs, joined_targets, joined_weights
from chainrule.networks.network import Network
from chainrule.training.class_weights import weights_by_class
from chainrule.training.parts import as_type, product, with_parts

_FORM = "a batch must be (X, y) or (X, y, weights)"


class BatchDoor:
    """Batches as the engine takes them.

    classes: the labels in the order of the outputs: those named, else those of the network, else of the first
    batch; new ones are added behind them while the network has outputs left.  preparation: how the inputs
    are made, as the first batch says where the network does not.
    """

    def __init__(
        self,
        network: Network,
        loss: Loss,
        class_weight: Any = None,
        classes: Array | None = None,
        preparation: Preparation | None = None,
    ) -> None:
        named = class_weight.values() if isinstance(class_weight, dict) else [class_weight]
        if any(isinstance(weights, str) for weights in named):
            raise ArgumentError(
                "class_weight='balanced' counts the samples of every class, which batches do not tell "
                "beforehand: write {label: weight}"
            )
        self.network, self.loss, self.class_weight = network, loss, class_weight
        self.classes: Array | None = network.classes if classes is None else classes
        self.named = self.classes is not None  # before the first batch
        self.grows = True  # whether labels may be new
        self.preparation, self.learned = preparation, preparation is not None

    def goes_on(self, classes: Any, preparation: Preparation | None) -> None:
        """Know what the batches before these have told."""
        if classes is not None:
            self.classes = classes_array(classes, self.network.output_shape)
        if self.network.preparation is None and preparation is not None:
            self.preparation = preparation
            self.learned = preparation.inputs is not None or bool(preparation.parts)

    def __call__(self, entry: Any, place: str) -> Batch:
        """A batch that has passed; DataError, ShapeError and TypeError begin with its place."""
        try:
            return self._checked(entry)
        except (DataError, ShapeError, TypeError) as error:
            said = f"{place}: {error}"
            if isinstance(error, ShapeError) and np.shape(entry[0]) == self.network.input_shape:
                said = (
                    f"{place}: X is a single sample, of shape {np.shape(entry[0])}: give batches of several, "
                    "such as torch.utils.data.DataLoader(dataset, batch_size=32) makes of a data set"
                )
            raise type(error)(said) from None

    def _checked(self, entry: Any) -> Batch:
        if not isinstance(entry, (tuple, list)) or len(entry) not in (2, 3):
            length = f" of {len(entry)}" if isinstance(entry, (tuple, list)) else ""
            received = getattr(entry, "shape", None)
            shape = f" of shape {tuple(received)}" if received is not None else ""
            raise TypeError(f"{_FORM}, received {describe(entry)}{length}{shape}")
        network = self.network
        seen: dict[str, Preparation] = {}
        given = joined_inputs(entry[0], network, "X", self.preparation, None if self.learned else seen)
        X = inputs_of(given, network, "X", self.preparation)
        if seen:
            self.preparation, self.learned = with_parts(network.preparation, seen), True
        elif self.learned:
            self.preparation = joined(self.preparation, X)
        else:
            self.preparation = learned_preparation(given, X, network)
            self.learned = self.preparation is not None and self.preparation.inputs is not None
        labels: dict[str, Array] | None = {} if self.grows else None  # of several outputs, which may be new
        y = joined_targets(entry[1], network, self.loss, learned=labels)
        if labels:
            network.output_labels = {**network.output_labels, **labels}
        targets = self._targets(y, len(X))
        given_weights = None if len(entry) == 2 else entry[2]
        weights = (
            None
            if given_weights is None
            else joined_weights(given_weights, network, len(X), "weights", _as_they_are)
        )
        if self.class_weight is not None:
            weights = product(weights_by_class(self.class_weight, targets, network, self.classes), weights)
        return Batch(as_type(network.dtype, X), as_type(network.dtype, targets), weights)

    def _targets(self, y: Any, n: int) -> Array:
        given = (y, self.network, self.loss, n)
        if self.classes is not None:
            try:  # no new label, as a rule, and to look for one takes half of the time of a small step
                return targets_of(*given, classes=self.classes)[0]
            except DataError:
                if not self.grows:
                    raise
        try:
            targets, classes = targets_of(*given, classes=self.classes, grow=self.grows)
        except DataError as error:
            if self.named or np.asarray(y).dtype.kind == "f":
                raise
            raise DataError(
                f"{error}; the first batch has numbered the classes: name them all, fit(classes=[...])"
            ) from None
        self.classes = self.classes if classes is None else classes
        return targets


def _as_they_are(weights: Any, n: int, argument: str) -> Array:
    """(n,) float64, checked, not scaled: the mean over an epoch is not known."""
    given = plain_array(one_column(weights), argument)
    if given.shape != (n,) or np.any(given != 0):
        check_weights(given, n, argument)
    return given.astype(np.float64)
