"""Several inputs and outputs: given and returned by name, and within side by side in a row of numbers.

A network with one input and one output takes and returns its arrays as they are.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from chainrule.base.errors import ArgumentError, DataError, ShapeError, describe
from chainrule.base.scalars import finite_number
from chainrule.base.types import Array, Shape
from chainrule.data.arrays import plain_array, prepared
from chainrule.data.door import (
    check_weights,
    classes_array,
    inputs_of,
    learned_preparation,
    targets_of,
)
from chainrule.data.preparation import Preparation
from chainrule.layers import Sigmoid
from chainrule.layers.activations.softmax import LogSoftmax, Softmax
from chainrule.losses.base import Loss
from chainrule.losses.several import Losses
from chainrule.networks.model import Model
from chainrule.networks.names import meant


def joined_inputs(
    X: Any,
    network: Model,
    argument: str = "X",
    preparation: Preparation | None = None,
    learned: dict[str, Preparation] | None = None,
) -> Any:
    """X as the network's layers read it: of several inputs one row of numbers per sample.

    X: {name: array} of all inputs, or a tuple of the arrays in their order; an array (N, numbers of all) is
    taken as it is. preparation: of each by its name, in place of the network's own; without a word images
    and volumes of uint8 are divided by 255. learned: takes what each was, for training. Raises DataError and
    ShapeError that name the input.
    """
    inputs = network.input_parts
    if not inputs or (isinstance(X, np.ndarray) and X.shape[1:] == network.input_shape):
        return X
    given = _by_name(X, list(inputs), network.inputs, argument, "input")
    known = preparation or network.preparation or Preparation()
    rows = []
    for name, (shape, vocabulary) in inputs.items():
        what, values = f"{argument}[{name!r}]", given[name]
        if len(shape) == 1 and shape[0] == 1 and np.ndim(values) == 1:
            values = np.asarray(values)[:, None]
        end = _End(shape, network.dtype, None, known.parts.get(name), vocabulary)
        array = inputs_of(values, end, what)
        if learned is not None and (made := learned_preparation(values, array, end)) is not None:
            learned[name] = made
        numbers = array.astype(network.dtype, copy=False)
        rows.append((numbers / 255 if array.dtype == np.uint8 else numbers).reshape(len(array), -1))
    _check_lengths(dict(zip(inputs, rows, strict=True)), argument)
    return prepared(np.concatenate(rows, axis=1))


def joined_targets(
    y: Any, network: Model, loss: Loss, argument: str = "y", learned: dict[str, Array] | None = None
) -> Any:
    """y as the losses of several outputs read it: one row of numbers per sample, labels one-hot.

    y: {name: array} of all outputs, or a tuple in their order; an array (N, numbers of all) is taken as it
    is. Labels are numbered as those of a single output, by what the network knows of each. learned: takes
    the labels of the outputs, for training. Raises DataError and ShapeError that name the output.
    """
    heads = network.heads
    if heads is None or not isinstance(loss, Losses) or isinstance(y, np.ndarray):
        return y
    given = _by_name(y, list(heads.names), network.outputs, argument, "output")
    rows = []
    for name, shape, part in zip(heads.names, heads.shapes, loss.parts, strict=True):
        what = f"{argument}[{name!r}]"
        array = plain_array(given[name], what)
        _check_known(array, name, what)
        known = network.output_labels.get(name)
        scale = None if network.preparation is None else network.preparation.parts.get(name)
        receiver = _End(shape, network.dtype, known, scale)
        labels = known is not None or array.dtype.kind not in "biuf"
        if array.shape == (len(array), *shape[:-1]) and shape[-1] == 1 and not labels:
            array = array[..., None]
        targets, found = targets_of(array, receiver, part.loss, len(array), what, grow=learned is not None)
        if found is not None and found.tolist() != list(range(len(found))):
            if learned is not None:
                learned[name] = found
            elif known is None:
                raise DataError(
                    f"{what} has the labels {', '.join(map(repr, found.tolist()[:12]))}, and the network has "
                    f"been told none of {name!r}: train it on them, or write "
                    f"network.output_labels = {{{name!r}: [...]}}"
                )
        if targets.dtype.kind in "iu":
            targets = np.eye(shape[-1])[targets]
        rows.append(targets.astype(network.dtype, copy=False).reshape(len(targets), -1))
    _check_lengths(dict(zip(heads.names, rows, strict=True)), argument)
    return prepared(np.concatenate(rows, axis=1))


def joined_weights(
    given: Any,
    network: Model,
    n: int,
    argument: str = "sample_weight",
    check: Callable[[Any, int, str], Array] = check_weights,
) -> Array:
    """Weights (n,) as `check` has them; of several outputs also (n, outputs), a column for each.

    given: (n,), or by output {name: (n,)}, where what is not named weighs 1, a frame with their columns, or a
    tuple or list in their order.
    """
    heads = network.heads
    if isinstance(given, np.ndarray) and given.ndim == 2 and given.shape[1] > 1:
        given = tuple(given.T)
    listed = isinstance(given, (tuple, list)) and not all(map(finite_number, given))
    if heads is None or not (isinstance(given, Mapping) or listed or hasattr(given, "columns")):
        return check(given, n, argument)
    if not isinstance(given, Mapping):
        given = _by_name(given, heads.names, network.outputs, argument, "output")
    for name in given:
        if name not in heads.names:
            told = f"{', '.join(map(repr, heads.names))}{meant(str(name), heads.names)}"
            raise ArgumentError(f"{argument} has {name!r}, and the outputs are {told}")
    columns = [
        np.ones(n) if given.get(name) is None else check(given[name], n, f"{argument}[{name!r}]")
        for name in heads.names
    ]
    return np.stack(columns, axis=1)


def split_outputs(a: Array, network: Model) -> dict[str, Array]:
    """Outputs by name, each of its own shape, from those of all side by side."""
    heads = network.heads
    assert heads is not None
    parts = zip(heads.names, heads.shapes, heads.places, strict=True)
    return {name: a[:, start:stop].reshape(len(a), *shape) for name, shape, (start, stop) in parts}


def unscaled_outputs(a: Array, network: Model) -> dict[str, Array]:
    """Outputs by name, each in its target's own unit where the network has scaled it."""
    known = network.preparation or Preparation()
    return {name: known.part(name).unscaled(part) for name, part in split_outputs(a, network).items()}


def split_labels(a: Array, network: Model) -> dict[str, Array]:
    """The labels of the outputs that tell classes apart, by name: of Softmax the largest, a Sigmoid by ½.

    Raises DataError where none does.
    """
    heads = network.heads
    assert heads is not None
    labels: dict[str, Array] = {}
    for (name, part), f in zip(split_outputs(a, network).items(), heads.activations, strict=True):
        known = network.output_labels.get(name)
        if isinstance(f, (Softmax, LogSoftmax)):
            ids = part[..., : None if known is None else len(known)].argmax(axis=-1)
            labels[name] = ids if known is None else known[ids]
        elif isinstance(f, Sigmoid):
            yes = (part > 0.5).astype(np.int64)
            labels[name] = yes[..., 0] if part.shape[-1] == 1 else yes
            if part.shape[-1] == 1 and known is not None:
                labels[name] = known[labels[name]]
    if not labels:
        raise DataError(
            "classify needs an output with Softmax or Sigmoid at its end; these are numbers: predict"
        )
    return labels


def labels_right(
    labels: Mapping[str, Array],
    y: Any,
    weights: Array | None,
    told: Mapping[str, Array],
    names: Sequence[str],
) -> dict[str, float]:
    """The share of right labels of every output that has some, by name; y: labels or one-hot rows by name.
    weights: (N,), or (N, outputs). told: the labels of the outputs. names: of all of them.
    """
    shares: dict[str, float] = {}
    if isinstance(y, (tuple, list)) and len(y) == len(names):
        y = dict(zip(names, y, strict=True))
    for name, found in labels.items():
        frame = hasattr(y, "columns") and name in y.columns
        if not frame and (not isinstance(y, Mapping) or name not in y):
            raise ShapeError(f"accuracy takes y by output, {{{name!r}: labels, ...}}; received {describe(y)}")
        true = plain_array(y[name], f"y[{name!r}]")
        if true.ndim > found.ndim and true.shape[-1] > 1:
            true = true.argmax(axis=-1)
            true = told[name][true] if name in told else true
        right = (true.reshape(found.shape) == found).reshape(len(found), -1).mean(axis=1)
        of_output = weights if weights is None or weights.ndim == 1 else weights[:, names.index(name)]
        shares[name] = float(np.average(right, weights=of_output))
    return shares


def output_labels(given: Any, outputs: Mapping[str, Shape]) -> dict[str, Array]:
    """The labels of outputs by name, checked."""
    if not isinstance(given, Mapping):
        form = f"{{{next(iter(outputs))!r}: [...]}}"
        raise TypeError(f"labels of several outputs are by name, {form}, received {describe(given)}")
    for name in given:
        if name not in outputs:
            known = ", ".join(map(repr, outputs))
            raise ArgumentError(f"labels are of {describe(name)}, and the outputs are {known}")
    held = {name: [*labels] if isinstance(labels, range) else labels for name, labels in given.items()}
    return {name: classes_array(labels, outputs[name], f"labels[{name!r}]") for name, labels in held.items()}


@dataclass(frozen=True)
class _End:
    """One input or output, as the door asks for it."""

    shape: Shape
    dtype: Any
    classes: Array | None = None
    preparation: Preparation | None = None
    vocabulary: int | None = None

    @property
    def input_shape(self) -> Shape:
        return self.shape

    @property
    def output_shape(self) -> Shape:
        return self.shape


def _by_name(
    given: Any, names: Sequence[str], shapes: Mapping[str, Shape], argument: str, what: str
) -> dict[str, Any]:
    told = ", ".join(f"{name!r} {shapes[name]}" for name in names)
    form = f"{{{names[0]!r}: ..., {names[1]!r}: ...}}" if len(names) > 1 else f"{{{names[0]!r}: ...}}"
    if hasattr(given, "columns") and not isinstance(given, Mapping):  # a frame, of which each is a column
        given = {str(name): given[name] for name in given.columns}
    if isinstance(given, (tuple, list)):
        if len(given) != len(names):
            raise ShapeError(
                f"{argument} has {len(given)} arrays, and the {what}s are {told}: write {argument}={form}"
            )
        return dict(zip(names, given, strict=True))
    if not isinstance(given, Mapping):
        raise TypeError(f"{argument} is by {what}, {form}, of {told}; received {describe(given)}")
    for name in given:
        if name not in names:
            close = meant(str(name), names)
            raise ShapeError(f"{argument} has {name!r}, and the {what}s are {told}{close}")
    missing = [name for name in names if name not in given]
    if missing:
        raise ShapeError(f"{argument} lacks {missing[0]!r}: the {what}s are {told}")
    return dict(given)


def _check_known(array: Array, name: str, what: str) -> None:
    """DataError where targets of one output are not known, with what says so."""
    if array.dtype.kind != "f" or not (missing := np.isnan(array)).any():
        return
    raise DataError(
        f"{what} has {int(missing.sum()):,} NaN among its {array.size:,} entries, the first at "
        f"{list(map(int, np.argwhere(missing)[0]))}: drop these samples or fill them in; where {name!r} "
        f"alone is not known of some, write 0 there and sample_weight={{{name!r}: known}}, 0 for those and 1 "
        "for the others"
    )


def _check_lengths(rows: Mapping[str, Array], argument: str) -> None:
    first = next(iter(rows))
    for name, array in rows.items():
        if len(array) != len(rows[first]):
            raise ShapeError(
                f"{argument}[{first!r}] has {len(rows[first])} samples, and {argument}[{name!r}] has "
                f"{len(array)}"
            )
