"""Class weights: a weight for every label, turned into one for every sample, of several outputs for each."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from chainrule.base.errors import ArgumentError, DataError, describe
from chainrule.base.scalars import finite_number
from chainrule.base.types import Array
from chainrule.networks.model import Model

_FORMS = "class_weight must be 'balanced' or a dict such as {0: 1.0, 1: 5.0}"


def class_weights(value: Any, ids: Array | None, classes: Array | None) -> NDArray[np.float64]:
    """One weight per sample.

    value: {label: weight}, labels that are not named weigh 1; or "balanced": N / (K · samples of the class)
    with K the classes that occur, so that every class weighs the same (King, Zeng 2001; scikit-learn).
    ids: the class number of every sample, None where the targets are no classes. classes: their labels.
    """
    if not isinstance(value, Mapping) and not (isinstance(value, str) and value == "balanced"):
        shown = repr(value) if isinstance(value, str) else describe(value)
        raise TypeError(f"{_FORMS}, received {shown}")
    if ids is None:
        raise DataError("class_weight needs one class per sample; for other targets write sample_weight=w")
    numbers = ids.astype(np.int64)
    count = int(numbers.max()) + 1
    labels = list(range(count)) if classes is None else classes.tolist()
    if isinstance(value, str):
        sizes = np.bincount(numbers, minlength=count)
        weights = len(numbers) / ((sizes > 0).sum() * np.maximum(sizes, 1))
        return np.asarray(weights[numbers], dtype=np.float64)
    weights = np.ones(max(count, len(labels)))
    for label, weight in value.items():
        key = label.item() if isinstance(label, np.generic) else label
        if key not in labels:
            known = ", ".join(map(repr, labels[:12]))
            raise DataError(f"class_weight has the label {describe(key)}, and the classes are {known}")
        if isinstance(weight, bool) or not isinstance(weight, (int, float, np.integer, np.floating)):
            raise DataError(f"class_weight of {key!r} must be a number, received {describe(weight)}")
        if not finite_number(weight) or weight < 0:
            raise DataError(
                f"class_weight of {key!r} must be finite and at least 0, received {describe(weight)}"
            )
        weights[labels.index(key)] = weight
    return weights[numbers]


def weights_by_class(
    value: Any, targets: Array, network: Model, classes: Array | None
) -> NDArray[np.float64]:
    """What `class_weight` makes of targets: (N,), of several outputs (N, outputs), by their names.

    classes: the labels of a single output. Of several outputs targets lie side by side, labels one-hot.
    """
    heads = network.heads
    if heads is None:
        return class_weights(value, class_labels(targets), classes)
    if not isinstance(value, Mapping) or not set(value) <= set(heads.names):
        form = f"{{{heads.names[0]!r}: 'balanced'}}"
        raise ArgumentError(f"class_weight of several outputs is by their names, {form}, received {value!r}")
    made = np.ones((len(targets), len(heads.names)))
    for place, (name, shape, (start, stop)) in enumerate(
        zip(heads.names, heads.shapes, heads.places, strict=True)
    ):
        if name not in value:
            continue
        ids = class_labels(targets[:, start:stop]) if len(shape) == 1 else None
        labels = network.output_labels.get(name)
        if labels is None:
            labels = np.arange(max(shape[-1], 2))
        try:
            made[:, place] = class_weights(value[name], ids, labels)
        except (DataError, TypeError) as error:
            raise type(error)(f"output {name!r}: {error}") from None
    return made


def class_labels(targets: Array) -> Array | None:
    """One label per sample if the targets are classes: integers, one-hot rows, or one column of 0 and 1."""
    if targets.dtype.kind in "iu" and targets.ndim == 1:
        return targets
    if targets.ndim != 2 or not np.isin(targets, (0, 1)).all():
        return None
    if targets.shape[1] == 1:
        return targets[:, 0]
    return targets.argmax(axis=1) if (targets.sum(axis=1) == 1).all() else None
