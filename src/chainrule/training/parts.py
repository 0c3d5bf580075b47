"""The data of a fit: validated once, the training and the validation part told apart."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from chainrule.base.errors import ArgumentError, DataError, describe
from chainrule.base.memory import machine_memory
from chainrule.base.scalars import check_number
from chainrule.base.types import Array
from chainrule.data.door import check_inputs, check_weights, encode_targets
from chainrule.data.split import stratified_choice
from chainrule.losses import Loss
from chainrule.networks.batch import Batch
from chainrule.networks.network import Network
from chainrule.training.class_weights import class_weights

Rows = NDArray[np.int64]

# A larger copy of X in the network's type is not made: a share of the machine's memory, and of what lies in a
# file, bytes. On a 1 GB map of float64 one epoch batch by batch took 1.4 s, with the copy 5.2 s.
LARGEST_COPY = 1 / 8
LARGEST_COPY_OF_A_FILE = 2**26

# A fraction, arrays, or batches as `fit` takes them.
Validation = Any


@dataclass(frozen=True, eq=False)
class FitData:
    """What a fit trains and validates on.

    rows: the samples of `training` that are trained on, ascending; all of them unless a fraction is held out,
    so that the training part is never copied. classes: the labels, None where the targets are numbers.
    """

    training: Batch
    rows: Rows
    validation: Batch | None
    classes: Array | None


def prepare(
    network: Network,
    loss: Loss,
    X: Any,
    y: Any,
    sample_weight: Any,
    validation: Validation,
    seed: int,
    class_weight: Any = None,
) -> FitData:
    """Validate and encode everything; nothing of the network is changed. Raises DataError and ShapeError.

    A fraction f as validation holds out round(N·f) samples by the seed, of every class in its proportion. A
    class weight multiplies the sample weights in training; validation measures the data as they are.
    """
    form: dict[str, Any] = {"dtype": network.dtype, "vocabulary": network.vocabulary}
    X = _as(network.dtype, check_inputs(X, network.input_shape, **form))
    targets, classes = encode_targets(y, network, loss, len(X))
    targets = _as(network.dtype, targets)
    weights = None if sample_weight is None else check_weights(sample_weight, len(X))
    training = weights
    if class_weight is not None:
        by_class = class_weights(class_weight, class_labels(targets), classes)
        training = check_weights(by_class if weights is None else by_class * weights, len(X), "class_weight")
    rows = np.arange(len(X), dtype=np.int64)
    held_out: Batch | None = None
    if isinstance(validation, (tuple, list)):
        held_out = given_validation(network, loss, validation, classes)
    elif validation is not None:
        chosen = _choose(targets, validation, seed)
        kept = np.ones(len(X), dtype=bool)
        kept[chosen] = False
        rows = np.flatnonzero(kept).astype(np.int64)
        own = None if weights is None else _mean_one(weights, chosen)[chosen]
        held_out = Batch(X[chosen], targets[chosen], own)
        training = None if training is None else _mean_one(training, rows)
    return FitData(Batch(X, targets, training), rows, held_out, classes)


def given_validation(network: Network, loss: Loss, validation: Sequence[Any], classes: Array | None) -> Batch:
    if len(validation) not in (2, 3):
        raise ArgumentError(f"validation must be (X, y) or (X, y, weights), received {len(validation)} parts")
    form: dict[str, Any] = {"dtype": network.dtype, "vocabulary": network.vocabulary}
    X = check_inputs(validation[0], network.input_shape, argument="validation X", **form)
    X = _as(network.dtype, X)
    targets, _ = encode_targets(
        validation[1], network, loss, len(X), argument="validation y", classes=classes
    )
    targets = _as(network.dtype, targets)
    if len(validation) == 2:
        return Batch(X, targets)
    return Batch(X, targets, check_weights(validation[2], len(X), argument="validation weights"))


def _choose(targets: Array, fraction: Any, seed: int) -> Rows:
    """The rows to hold out, ascending."""
    if isinstance(fraction, bool) or not isinstance(fraction, (int, float)):
        forms = "(X_val, y_val), (X_val, y_val, weights) or a fraction such as 0.1"
        raise TypeError(f"validation must be {forms}, received {describe(fraction)}")
    check_number("validation", fraction, high=1.0, hint="0.1 holds out a tenth of the samples")
    count = len(targets)
    if count < 2:
        raise DataError(f"validation={fraction} needs at least 2 samples to divide, X has {count}")
    held_out = min(max(round(count * fraction), 1), count - 1)
    rng = random_stream(seed, "held out")
    labels = class_labels(targets)
    if labels is not None and len(np.unique(labels)) < count:
        chosen = stratified_choice(labels, held_out, rng)
    else:
        chosen = rng.permutation(count)[:held_out]
    return np.sort(chosen).astype(np.int64)


def as_type(dtype: Any, array: Array) -> Array:
    """Floats in the network's type; integers as they are."""
    return np.ascontiguousarray(array, dtype=dtype) if array.dtype.kind == "f" else array


def _as(dtype: Any, array: Array) -> Array:
    """Floats in the network's type, converted once and not in every epoch; integers, and arrays whose copy
    would take too much of the memory, as they are: those are converted batch by batch.
    """
    most = LARGEST_COPY_OF_A_FILE if _mapped(array) else LARGEST_COPY * machine_memory()
    return as_type(dtype, array) if array.size * np.dtype(dtype).itemsize <= most else array


def _mapped(array: Any) -> bool:
    """Whether an array is a view of a memory map."""
    while isinstance(array, np.ndarray):
        if isinstance(array, np.memmap):
            return True
        array = array.base
    return False


def random_stream(seed: int, purpose: str) -> np.random.Generator:
    """A generator of its own for each purpose; the network drew its parameters with keys of one number."""
    key = (0, {"order": 0, "held out": 1}[purpose])
    return np.random.Generator(np.random.PCG64(np.random.SeedSequence(seed, spawn_key=key)))


def class_labels(targets: Array) -> Array | None:
    """One label per sample if the targets are classes: integers, one-hot rows, or one column of 0 and 1."""
    if targets.dtype.kind in "iu" and targets.ndim == 1:
        return targets
    if targets.ndim != 2 or not np.isin(targets, (0, 1)).all():
        return None
    if targets.shape[1] == 1:
        return targets[:, 0]
    return targets.argmax(axis=1) if (targets.sum(axis=1) == 1).all() else None


def _mean_one(weights: NDArray[np.float64], rows: Rows) -> NDArray[np.float64]:
    """All weights, scaled to mean 1 over some rows."""
    mean = float(weights[rows].mean())
    if mean == 0:
        raise DataError(
            f"sample_weight is 0 for all {len(rows)} samples of a part when a fraction is held out: give the "
            "validation data as (X_val, y_val, weights)"
        )
    return weights / mean
