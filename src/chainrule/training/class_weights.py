"""Class weights: a weight for every label, turned into one for every sample; of several outputs into those of
their losses.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from chainrule.base.errors import ArgumentError, DataError, describe
from chainrule.base.scalars import finite_number
from chainrule.base.types import Array
from chainrule.losses import BinaryCrossEntropy, CrossEntropy, Losses
from chainrule.losses.several import LossPart
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


def weighted_outputs(value: Any, loss: Losses, network: Model, targets: Any) -> Losses:
    """The losses of several outputs with weights of their classes, which are of mean 1 over the samples.

    value: output -> what `class_weights` takes. targets: of all outputs side by side, labels one-hot, (N, K).
    """
    heads = network.heads
    assert heads is not None
    if not isinstance(value, Mapping) or not set(value) <= set(heads.names):
        form = f"{{{heads.names[0]!r}: 'balanced'}}"
        raise ArgumentError(f"class_weight of several outputs is by their names, {form}, received {value!r}")
    if not isinstance(targets, np.ndarray):
        raise ArgumentError("class_weight of several outputs counts samples, which batches do not tell")
    parts = dict(zip(heads.names, loss.parts, strict=True))
    for name, weights in value.items():
        parts[name] = _weighted(name, weights, parts[name], targets, network.output_labels.get(name))
    of = {name: part.loss for name, part in parts.items()}
    return replace(loss, losses=of, parts=tuple(parts.values()))


def _weighted(name: str, value: Any, part: LossPart, targets: Array, labels: Array | None) -> LossPart:
    rows = targets[:, part.start : part.stop]
    if len(part.shape) > 1 or not _unweighted(part):
        raise ArgumentError(
            f"class_weight[{name!r}] is of an output that ends in one Softmax or Sigmoid, trained by "
            f"CrossEntropy() or BinaryCrossEntropy() without weights; it has {part.loss!r}"
        )
    single = rows.shape[-1] == 1
    ids = (rows[:, 0] > 0.5).astype(np.int64) if single else rows.argmax(axis=-1)
    count = 2 if single else rows.shape[-1]
    if isinstance(value, str):
        of_class = np.ones(count)
        of_class[ids] = class_weights(value, ids, None)
    else:
        of_class = class_weights(value, np.arange(count), labels)
    of_class = of_class / of_class[ids].mean()
    loss: Any = part.loss
    if not single:
        return replace(part, loss=replace(loss, class_weight=tuple(of_class.tolist())))
    no, yes = of_class.tolist()
    if no == 0:
        raise ArgumentError(f"class_weight[{name!r}] gives the first of two classes no weight")
    return replace(part, loss=replace(loss, output_weight=(no,), pos_weight=yes / no))


def _unweighted(part: LossPart) -> bool:
    names = ("class_weight", "pos_weight", "output_weight")
    softmax = part.shape[-1] > 1
    return isinstance(part.loss, CrossEntropy if softmax else BinaryCrossEntropy) and all(
        getattr(part.loss, name, None) is None for name in names
    )
