"""The data of a fit: validated once, the training and the validation part told apart."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from chainrule.base.errors import ArgumentError, DataError, describe
from chainrule.base.memory import machine_memory
from chainrule.base.scalars import check_number
from chainrule.base.types import Array
from chainrule.data.door import check_pairs, classes_array, inputs_of, targets_of
from chainrule.data.mapped import training_inputs
from chainrule.data.preparation import Preparation
from chainrule.data.split import stratified_choice
from chainrule.losses import Loss
from chainrule.networks.batch import Batch
from chainrule.networks.forms.several_ends import (
    joined_inputs,
    joined_targets,
    joined_weights,
    output_labels,
)
from chainrule.networks.network import Network
from chainrule.training.class_weights import class_labels, weights_by_class

Rows = NDArray[np.int64]

# Of the machine's memory: a larger copy of X in the network's type is not made.
LARGEST_COPY = 1 / 8

# A fraction, arrays, or batches as `fit` takes them.
Validation = Any


@dataclass(frozen=True, eq=False)
class FitData:
    """What a fit trains and validates on.

    rows: the samples of `training` that are trained on, ascending; all of them unless a fraction is held out,
    so that the training part is never copied. classes: the labels, None where the targets are numbers.
    preparation: how the inputs were made, as the network is to remember it. make: what makes a batch's inputs
    of rows of `training`, whose copy as a whole would be too large; None: they are such already.
    """

    training: Batch
    rows: Rows
    validation: Batch | None
    classes: Array | None
    preparation: Preparation | None
    make: Callable[[Array], Array] | None = None


def prepare(
    network: Network,
    loss: Loss,
    X: Any,
    y: Any,
    sample_weight: Any,
    validation: Validation,
    seed: int,
    class_weight: Any = None,
    classes: Any = None,
) -> FitData:
    """Validate and encode everything; nothing of the network is changed. Raises DataError and ShapeError.

    A fraction f as validation holds out round(N·f) samples by the seed, of every class in its proportion. A
    class weight multiplies the sample weights in training; validation measures the data as they are.
    """
    told = told_classes(classes, network)
    check_pairs(X, y)
    inputs = training_inputs(X, network)
    X, make, preparation = inputs.array, inputs.make, inputs.preparation
    samples = X.shape[0]
    if make is None:
        X = _as(network.dtype, X)
        make = None if X.dtype in (network.dtype, np.uint8) else partial(as_type, network.dtype)
    targets, known = targets_of(y, network, loss, samples, classes=told, grow=True)
    targets = _as(network.dtype, targets)
    weights = None if sample_weight is None else joined_weights(sample_weight, network, samples)
    training = weights
    if class_weight is not None:
        by_class = weights_by_class(class_weight, targets, network, known)
        of_both = product(by_class, weights)
        training = joined_weights(of_both, network, samples, "class_weight")
    rows = np.arange(samples, dtype=np.int64)
    held_out: Batch | None = None
    if isinstance(validation, (tuple, list)):
        held_out, known = given_validation(network, loss, validation, known, preparation)
    elif validation is not None:
        chosen = _choose(targets, validation, seed)
        kept = np.ones(samples, dtype=bool)
        kept[chosen] = False
        rows = np.flatnonzero(kept).astype(np.int64)
        held_weights = None if weights is None else _mean_one(weights, chosen)[chosen]
        held_out = Batch(X[chosen] if make is None else make(X[chosen]), targets[chosen], held_weights)
        training = None if training is None else _mean_one(training, rows)
    return FitData(Batch(X, targets, training), rows, held_out, known, preparation, make)


def by_name(
    network: Network, loss: Loss, X: Any, y: Any, validation: Any, classes: Any = None
) -> tuple[Any, Any, Any]:
    """X, y and validation of several inputs or outputs as the layers read them, in a row of numbers each; the
    network remembers the labels of its outputs, and what classes={"kind": [...]} has told of them.
    """
    if isinstance(classes, Mapping) and network.heads:
        network.output_labels = {**network.output_labels, **output_labels(classes, network.outputs)}
    if not (network.input_parts or network.heads):
        return X, y, validation
    learned: dict[str, Array] = {}
    seen: dict[str, Preparation] = {}
    if y is not None:  # else X are batches
        X, y = joined_inputs(X, network, learned=seen), joined_targets(y, network, loss, learned=learned)
    if learned:
        network.output_labels = {**network.output_labels, **learned}
    if seen:
        network.preparation = with_parts(network.preparation, seen)
    if isinstance(validation, (tuple, list)) and len(validation) in (2, 3):
        inputs = joined_inputs(validation[0], network, "validation X")
        targets = joined_targets(validation[1], network, loss, "validation y")
        validation = (inputs, targets, *validation[2:])
    return X, y, validation


def with_parts(known: Preparation | None, parts: Mapping[str, Preparation]) -> Preparation:
    """A preparation that knows those of several inputs."""
    known = known or Preparation()
    return replace(known, parts={**parts, **{n: p for n, p in known.parts.items() if n not in parts}})


def told_classes(classes: Any, network: Network) -> Array | None:
    """The labels that fit(classes=...) names; they must begin with those the network knows."""
    if classes is None:
        return None
    if isinstance(classes, Mapping) and network.heads:
        return None  # `by_name` has told the network
    told = classes_array([*classes] if isinstance(classes, range) else classes, network.output_shape)
    known = network.classes
    if known is not None and told[: len(known)].tolist() != known.tolist():
        raise ArgumentError(
            f"classes is {told.tolist()}, but the network's outputs stand for {known.tolist()}: leave it "
            "out, or write network.classes = None to number them anew, which changes what its outputs mean"
        )
    return told


def given_validation(
    network: Network,
    loss: Loss,
    validation: Sequence[Any],
    classes: Array | None,
    preparation: Preparation | None,
) -> tuple[Batch, Array | None]:
    """The validation part, prepared as the training part, and the classes with those seen there alone."""
    if len(validation) not in (2, 3):
        raise ArgumentError(f"validation must be (X, y) or (X, y, weights), received {len(validation)} parts")
    check_pairs(validation[0], validation[1], "validation y")
    X = _as(network.dtype, inputs_of(validation[0], network, "validation X", preparation))
    targets, known = targets_of(validation[1], network, loss, len(X), "validation y", classes, grow=True)
    targets = _as(network.dtype, targets)
    if len(validation) == 2:
        return Batch(X, targets), known
    return Batch(X, targets, joined_weights(validation[2], network, len(X), "validation weights")), known


def product(weights: NDArray[np.float64], others: NDArray[np.float64] | None) -> NDArray[np.float64]:
    """Of weights (N,) or (N, outputs), by output where one of them is."""
    if others is None or weights.ndim == others.ndim:
        return weights if others is None else weights * others
    return np.asarray((weights.T * others.T).T, dtype=np.float64)


def _choose(targets: Array, fraction: Any, seed: int) -> Rows:
    """The rows to hold out, ascending."""
    if isinstance(fraction, bool) or not isinstance(fraction, (int, float)):
        forms = "(X_val, y_val), (X_val, y_val, weights) or a fraction such as 0.1"
        raise TypeError(f"validation must be {forms}, received {describe(fraction)}")
    check_number("validation", fraction, high=1.0, hint="0.1 holds out a tenth of the samples")
    count = len(targets)
    if count < 2:
        raise DataError(f"validation={fraction} needs at least 2 samples to divide, X has {count} sample")
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
    small = array.size * np.dtype(dtype).itemsize <= LARGEST_COPY * machine_memory()
    return as_type(dtype, array) if small else array


def random_stream(seed: int, purpose: str) -> np.random.Generator:
    """A generator of its own for each purpose; the network drew its parameters with keys of one number."""
    key = (0, {"order": 0, "held out": 1}[purpose])
    return np.random.Generator(np.random.PCG64(np.random.SeedSequence(seed, spawn_key=key)))


def _mean_one(weights: NDArray[np.float64], rows: Rows) -> NDArray[np.float64]:
    """All weights, scaled to mean 1 over some rows."""
    mean: NDArray[np.float64] = np.asarray(weights[rows].mean(axis=0))
    if not np.all(mean):
        raise DataError(
            f"sample_weight is 0 for all {len(rows)} samples of a part when a fraction is held out: give the "
            "validation data as (X_val, y_val, weights)"
        )
    return np.asarray(weights / mean, dtype=np.float64)
