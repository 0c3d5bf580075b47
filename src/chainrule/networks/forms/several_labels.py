"""Several labels per sample: outputs that each say yes or no, and rows of 0 and 1 as targets."""

from __future__ import annotations

from typing import Any

import numpy as np

from chainrule.base.errors import DataError
from chainrule.base.types import Array
from chainrule.data.arrays import plain_array
from chainrule.layers import Layer, Sigmoid
from chainrule.losses import BinaryCrossEntropy, Loss
from chainrule.networks.model import Model


def say_several(last: Layer, targets: Any) -> bool:
    """Whether targets (N, ..., K) of a network that ends in `last` are rows of labels: several Sigmoids, 0s
    and 1s, and a row that has none or more than one 1.  Rows of exactly one 1 are classes, one-hot.
    """
    if not isinstance(last, Sigmoid):
        return False
    rows = plain_array(targets, "y")
    if rows.ndim < 2 or rows.shape[-1] < 2 or rows.dtype.kind not in "fiub":
        return False
    return bool(((rows == 0) | (rows == 1)).all() and (rows.sum(axis=-1) != 1).any())


def remember(network: Model, loss: Loss | None, targets: Array) -> None:
    """Let the network know that it is trained on several labels per sample; it is not forgotten by itself."""
    if isinstance(loss, BinaryCrossEntropy) and say_several(network.layers[-1], targets):
        network.several_labels = True


def chosen(outputs: Array) -> Array:
    """The labels that outputs of Sigmoids say, int64 of their shape: 1 above ½."""
    return np.asarray(outputs > 0.5, dtype=np.int64)


def rows_right(outputs: Array, targets: Array) -> Array:
    """Which rows (N, ...) have all labels right; DataError where targets are not 0 and 1, (N, ..., K)."""
    if targets.shape != outputs.shape or not ((targets == 0) | (targets == 1)).all():
        shape = ", ".join(map(str, ("N", *outputs.shape[1:])))
        raise DataError(
            f"y must be rows of 0 and 1, ({shape}), a column per label: the network has been trained on "
            "several labels per sample; network.several_labels = False goes back to one class each, the "
            "largest output"
        )
    return np.asarray((chosen(outputs) == targets).all(axis=-1))
