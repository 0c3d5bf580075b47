"""Targets: labels, one-hot rows or numbers, encoded as the loss needs them."""

from __future__ import annotations

import warnings
from typing import Any, Protocol

import numpy as np

from chainrule.base.errors import DataError, ShapeError, describe
from chainrule.base.keywords import depth_of_caller
from chainrule.base.types import Array, Shape
from chainrule.data.arrays import finite, numbers, plain_array, representable
from chainrule.losses import BinaryCrossEntropy, CrossEntropy, Loss, Losses

Encoded = tuple[Array, Array | None]
_LEFT_OUT = -100  # ignore_index of PyTorch's CrossEntropyLoss
_SUM_ERROR = 1e-4  # how far a row of probabilities may be from sum 1: ten thousand float32 roundings of 1e-8


class Outputs(Protocol):
    """What the door needs to know of a network."""

    @property
    def output_shape(self) -> Shape: ...

    @property
    def classes(self) -> Array | None: ...

    @property
    def dtype(self) -> Any: ...


def encode_targets(
    y: Any,
    network: Outputs,
    loss: Loss,
    n: int,
    argument: str = "y",
    classes: Array | None = None,
    *,
    grow: bool = False,
) -> Encoded:
    """(targets, classes) of n samples for a network that ends in output_shape = (..., K).

    Labels become int64 class numbers (N, ...), with one sigmoid output the numbers 0 and 1; anything else is
    numbers (N, ..., K), for CrossEntropy probabilities that sum to 1, for Hinge 0 and 1 (-1 becomes 0; the
    loss prepares them). Labels are integers or strings; they are numbered by `classes`, else by the
    network's, else integers 0..K-1 by themselves and anything else in sorted order. `classes` returned is
    None where the targets are plain numbers.

    grow: for training. Labels that are new take outputs that are still free, behind the known ones, so that
    no output changes its meaning; and integers 1..n, fewer than K, are numbered as any other labels: a
    part of 1..K would be taken for 0..K-1. That is told by a warning; where the inputs are as many ids the
    labels are ids, too, and number themselves.

    Raises DataError and ShapeError: wrong length or shape, NaN, unknown labels, too many labels, not
    probabilities.
    """
    array = _array(y, n, argument)
    if isinstance(loss, Losses):
        return _side_by_side(array, network, argument), None
    known = network.classes if classes is None else classes
    shape, outputs = network.output_shape, network.output_shape[-1]
    if known is None and getattr(network, "vocabulary", None) == outputs:
        grow = False
    if loss.takes == "sequences":
        return _sequences(array, n, shape, loss, argument), None
    if loss.takes in ("probabilities", "classes"):
        if outputs == 1:
            raise ShapeError(_needs_two_outputs(loss))
        if array.shape == (n, *shape):
            rows = _probabilities(array, argument, empty=loss.ignored is not None)
            return _one_hot(rows, argument, loss) if loss.takes == "classes" else rows, known
        labels = _expect(array, n, shape, argument)
        if loss.ignored is not None:
            return _rows_that_count(labels, loss, outputs, known, argument, grow=grow)
        return _ids(labels, outputs, known, argument, grow=grow)
    if loss.outputs_per_target > 1:
        return _repeated(array, n, shape, loss, argument, network.dtype), None
    binary, signs = loss.takes == "levels", loss.takes == "signs"
    if array.shape == (n, *shape) and not (signs and outputs == 1):
        given = _without_signs(array) if signs else array
        values = _plain_numbers(given, argument, loss, network.dtype)
        return _whole(values, argument, loss) if signs else values, known if binary or outputs > 1 else None
    labels = array[..., 0] if array.shape == (n, *shape) else _expect(array, n, shape, argument)
    if outputs > 1:
        return _ids(labels, outputs, known, argument, grow=grow)
    if binary or signs:
        values, seen = (
            _two_signs(labels, known, argument, loss) if signs else _two_labels(labels, known, argument)
        )
        return values[..., None], seen
    return _plain_numbers(labels, argument, loss, network.dtype)[..., None], None


def _side_by_side(array: Array, network: Outputs, argument: str) -> Array:
    """The targets of several outputs, which have been joined."""
    if array.shape[1:] != network.output_shape:
        raise ShapeError(
            f"{argument} of several outputs is {{name: targets, ...}}, or a row of {network.output_shape[0]} "
            f"numbers for every sample; received {array.shape}"
        )
    values = numbers(array, argument).astype(network.dtype, copy=False)
    finite(values, argument)
    return np.ascontiguousarray(values)


def class_ids(y: Any, network: Outputs, n: int, argument: str = "y") -> Array:
    """The class number of every sample from labels, one-hot rows or probabilities; what an accuracy
    compares.
    """
    array = _array(y, n, argument)
    shape, outputs = network.output_shape, network.output_shape[-1]
    if outputs == 1:
        values, _ = encode_targets(array, network, BinaryCrossEntropy(), n, argument)
        return (values[..., 0] > 0.5).astype(np.int64)
    if array.shape == (n, *shape):
        return np.asarray(_probabilities(array, argument).argmax(axis=-1))
    return _ids(_expect(array, n, shape, argument), outputs, network.classes, argument)[0]


def classes_array(labels: Any, output_shape: Shape, argument: str = "classes") -> Array:
    """Labels of the outputs: different integers, bools or strings; two for a single output, else at most one
    each.
    """
    array = _labels(plain_array(labels, argument), argument)
    outputs = output_shape[-1]
    if array.ndim != 1:
        raise ShapeError(f"{argument} must be a list of labels, received the shape {array.shape}")
    if len(np.unique(array)) != len(array):
        raise DataError(f"{argument} must be different from each other, received {_some(array)}")
    if outputs == 1 and len(array) != 2:
        raise DataError(f"{argument} must be two labels for a network with one output, received {len(array)}")
    if outputs > 1 and not 1 <= len(array) <= outputs:
        raise DataError(f"{argument} has {len(array)} labels for {outputs} outputs")
    return array.copy()


def _array(y: Any, n: int, argument: str) -> Array:
    array = plain_array(y, argument)
    length = len(array) if array.ndim else 0
    if array.ndim == 0 or length != n:
        single = array.ndim == 0
        received = f"is the single value {describe(array.item())}" if single else f"has {length:,}"
        raise DataError(f"X has {n:,} samples but {argument} {received}: every sample needs a target")
    return array


def _expect(array: Array, n: int, shape: Shape, argument: str) -> Array:
    """`array` if it has one entry per output position: (n,), or (n, H, W) for image outputs."""
    expected = (n, *shape[:-1])
    if array.shape == expected:
        return array
    hint = ""
    if array.size == n:
        hint = f"; write {argument}.ravel()"
    elif array.ndim == 2 and len(shape) == 1:
        hint = f"; the network has {shape[0]} outputs, {argument} has {array.shape[1]} columns"
    raise ShapeError(
        f"{argument} must have the shape {expected} (one label or number each) or {(n, *shape)}, "
        f"received {array.shape}{hint}"
    )


def _rows_that_count(
    labels: Array, loss: Loss, outputs: int, known: Array | None, argument: str, *, grow: bool
) -> Encoded:
    """(one-hot rows, zeros where the label is that of what does not count; classes)"""
    there = labels != loss.ignored
    if not np.any(there):
        raise DataError(
            f"{argument} holds nothing but {loss.ignored!r}, the ignore_index of {type(loss).__name__}: "
            "nothing counts"
        )
    ids, classes = _ids(labels[there], outputs, known, argument, grow=grow)
    rows = np.zeros((*labels.shape, outputs))
    rows[(*np.nonzero(there), ids)] = 1
    return rows, classes


def _repeated(array: Array, n: int, shape: Shape, loss: Loss, argument: str, dtype: Any) -> Array:
    """Numbers for a loss with several outputs for each, as many times beside each other."""
    times, outputs = loss.outputs_per_target, shape[-1]
    if outputs % times:
        raise ShapeError(
            f"{type(loss).__name__} takes {times} outputs for every number of {argument}, and the "
            f"network has {outputs}: "
            f"write Dense({outputs + times - outputs % times}), say, as its last layer"
        )
    targets = (*shape[:-1], outputs // times)
    if array.shape != (n, *targets):
        if targets[-1] != 1 or array.shape != (n, *targets[:-1]):
            raise ShapeError(
                f"{argument} must have the shape {(n, *targets)}, one number for every {times} outputs "
                "of the network, "
                f"received {array.shape}"
            )
        array = array[..., None]
    values = _plain_numbers(array, argument, loss, dtype)
    return np.concatenate([values] * times, axis=-1)


def _sequences(array: Array, n: int, shape: Shape, loss: Loss, argument: str) -> Array:
    """Rows of labels as (N, T, K) of 0 and 1, or what is that already."""
    if array.shape == (n, *shape):
        values = _plain_numbers(array, argument, loss)
        return _whole(values, argument, loss)
    if array.ndim != 2 or array.dtype.kind not in "iu":
        raise ShapeError(
            f"{argument} of {loss!r} must be integers (N, labels), negative behind the last label, or what "
            f"{type(loss).__name__}().rows makes of labels and lengths, {(n, *shape)}; received "
            f"{array.dtype} of the shape {array.shape}"
        )
    rows: Array = loss.rows(array, shape)  # type: ignore[attr-defined]
    return rows


def _needs_two_outputs(loss: Loss) -> str:
    if isinstance(loss, CrossEntropy):
        advice = "a softmax over one is always 1: write Dense(2), Softmax() or Dense(1), Sigmoid()"
    elif loss.takes == "probabilities":
        advice = "a softmax over one is always 1: write Dense(2), LogSoftmax()"
    else:
        advice = "it compares classes: write Dense(2), or Hinge() for one output"
    return f"{type(loss).__name__} needs at least two outputs, {advice}"


def _without_signs(array: Array) -> Array:
    """-1 and +1 as 0 and 1; anything else as it is."""
    if array.dtype.kind in "if" and (array == -1).any() and np.isin(array, (-1, 1)).all():
        return np.asarray((array + 1) / 2)
    return array


def _two_signs(array: Array, known: Array | None, argument: str, loss: Loss) -> Encoded:
    """(0 and 1, classes) of two labels, which may be -1 and +1."""
    if known is None and _without_signs(array) is not array:
        known = np.array([-1, 1])
    values, classes = _two_labels(array, known, argument, signs=True)
    return _whole(values, argument, loss), classes


def _one_hot(rows: Array, argument: str, loss: Loss) -> Array:
    wrong = ~np.isin(rows, (0, 1))
    if wrong.any():
        index, value = _first(wrong, rows)
        raise DataError(
            f"{argument} must be labels or one-hot rows for {type(loss).__name__}, which compares one "
            "class with "
            f"the others: entry {index} is {value}"
        )
    return rows


def _whole(values: Array, argument: str, loss: Loss) -> Array:
    wrong = ~np.isin(values, (0, 1))
    if wrong.any():
        index, value = _first(wrong, values)
        raise DataError(
            f"{argument} must be labels, -1 and 1 or 0 and 1, for {type(loss).__name__}: entry {index} "
            f"is {value}"
        )
    return values


def _plain_numbers(array: Array, argument: str, loss: Loss | None = None, dtype: Any = "float64") -> Array:
    """`array` as floats that `dtype` holds and `loss` is defined for."""
    array = numbers(array, argument)
    values = array if array.dtype == np.float32 else array.astype(np.float64)
    finite(values, argument)
    representable(values, argument, dtype)
    low, high = (-np.inf, np.inf) if loss is None else loss.targets
    wrong = ~((values >= low) & (values <= high))
    if wrong.any():
        index, value = _first(wrong, values)
        limits = f"lie in [{low:g}, {high:g}]" if np.isfinite(high) else f"be at least {low:g}"
        raise DataError(f"{argument} must {limits} for {type(loss).__name__}, entry {index} is {value}")
    return values


def _probabilities(array: Array, argument: str, *, empty: bool = False) -> Array:
    """Rows that sum to 1; with `empty` also rows of zeros, of what does not count."""
    values = _plain_numbers(array, argument)
    if (values < 0).any():
        index, value = _first(values < 0, values)
        raise DataError(f"{argument} must be one-hot rows or probabilities, entry {index} is {value}")
    sums = values.sum(axis=-1)
    wrong = ~((np.abs(sums - 1) <= _SUM_ERROR) | (empty & (sums == 0)))
    if wrong.any():
        index, value = _first(wrong, sums)
        raise DataError(
            f"the rows of {argument} must sum to 1 (one-hot or probabilities), row {index} sums to "
            f"{value:g}; for several labels at once end the network in Sigmoid()"
        )
    return values


def _labels(array: Array, argument: str) -> Array:
    """Labels as int64, bool or str; floats that are whole numbers count as integers."""
    if array.dtype.kind == "O":
        kinds = {type(entry) for entry in array.ravel()}
        if kinds and all(issubclass(kind, str) for kind in kinds):
            return array.astype(str)
        if kinds and all(issubclass(kind, int | np.integer) and kind is not bool for kind in kinds):
            return _int64(array, argument)
        else:
            index, entry = _first(
                np.array([not isinstance(e, str) for e in array.ravel()]).reshape(array.shape), array
            )
            raise DataError(
                f"{argument} must hold labels of one kind, all strings or all integers: entry {index} is "
                f"{describe(entry)}"
            )
    if array.dtype.kind == "f":
        finite(array, argument)
        if (array != np.floor(array)).any():
            index, value = _first(array != np.floor(array), array)
            raise DataError(f"{argument} must hold labels, integers or strings: entry {index} is {value}")
        return _int64(array, argument)
    if array.dtype.kind in "iu":
        return _int64(array, argument)
    if array.dtype.kind in "bU":
        return array
    also = f", or numpy.char.decode({argument}, 'utf-8') where it is not ASCII"
    hint = f": write {argument}.astype(str){also}" if array.dtype.kind == "S" else ""
    raise DataError(f"{argument} must hold labels, integers or strings, received dtype {array.dtype}{hint}")


def _int64(array: Array, argument: str) -> Array:
    """Whole numbers as int64; DataError where one is too large, which a cast would not tell."""
    with np.errstate(over="ignore"):  # 2**63 is infinite in float16
        wrong = np.asarray((array < -(2**63)) | (array >= 2**63), dtype=bool)
    if wrong.any():
        index, value = _first(wrong, array)
        raise DataError(
            f"{argument} must hold labels, integers of at most 64 bits or strings: entry {index} is "
            f"{describe(value)}"
        )
    return array.astype(np.int64)


def _ids(
    array: Array, outputs: int, known: Array | None, argument: str, *, grow: bool = False
) -> tuple[Array, Array]:
    """(class numbers, classes)."""
    labels = _labels(array, argument)
    if known is not None:
        known = _grown(labels, known, outputs, argument) if grow else known
        return _look_up(labels, known, argument), known
    if labels.ndim > 1 and labels.dtype.kind == "i":
        left_out = labels == _LEFT_OUT
        if left_out.any():
            raise DataError(
                f"{argument} holds {_LEFT_OUT} at {_first(left_out, labels)[0]}, PyTorch's mark for what "
                "does not count; as a label it would be a class: write "
                f"loss=CrossEntropy(ignore_index={_LEFT_OUT})"
            )
    within = labels.dtype.kind == "i" and labels.min() >= 0 and labels.max() < outputs
    counted = within and grow and np.array_equal(np.unique(labels), np.arange(1, labels.max() + 1))
    if within and not counted:
        return labels, np.arange(outputs)
    if within:
        warnings.warn(
            f"{argument} holds {_some(np.unique(labels))} and the network has {outputs} outputs: they stand "
            "for these labels in this order, and for others once they are seen. Where the classes are 0 to "
            f"{outputs - 1}, write fit(..., classes=range({outputs}))",
            stacklevel=depth_of_caller(),
        )
    distinct, ids = np.unique(labels, return_inverse=True)
    if len(distinct) > outputs:
        raise DataError(
            f"{argument} has {len(distinct)} different labels ({_some(distinct)}) but the network has "
            f"{outputs} outputs: let its last layer with weights have {len(distinct)}"
        )
    return ids.reshape(labels.shape).astype(np.int64), distinct


def _grown(labels: Array, known: Array, outputs: int, argument: str) -> Array:
    """The known classes, and behind them those of `labels` that are new, as far as outputs are free."""
    if (known.dtype.kind == "U") != (labels.dtype.kind == "U"):
        return known  # which looking them up refuses
    if known.dtype.kind == "b" and labels.dtype.kind == "i":
        known = known.astype(np.int64)  # False and True are 0 and 1
    new = np.setdiff1d(labels, known)
    if not 0 < len(new) <= outputs - len(known):
        return known
    return np.concatenate([known, new.astype(known.dtype) if known.dtype.kind != "U" else new])


def _two_labels(array: Array, known: Array | None, argument: str, *, signs: bool = False) -> Encoded:
    """(0 and 1, or probabilities; classes) for a single output that tells two classes apart: by its sign, or
    as a sigmoid.
    """
    numeric = array.dtype.kind in "fiub"
    if numeric and (known is None or known.tolist() in ([0, 1], [False, True])):
        finite(array, argument)
        if ((array >= 0) & (array <= 1)).all():
            values = _plain_numbers(array, argument)
            if known is None and np.isin(values, (0, 1)).all():
                known = np.array([False, True]) if array.dtype.kind == "b" else np.arange(2)
            return values, known
    labels = _labels(array, argument)
    if known is None:
        known = np.unique(labels)
        if len(known) != 2:
            raise DataError(_not_two(known, argument, signs))
    return _look_up(labels, known, argument).astype(np.float64), known


def _not_two(labels: Array, argument: str, signs: bool) -> str:
    kind, also = ("Hinge and one output", "") if signs else ("one sigmoid output", ", or numbers in [0, 1]")
    count, shown = len(labels), _some(labels)
    message = f"{argument} must have two different labels for {kind}{also}; it has {count}: {shown}"
    if count < 3:
        return message
    end = f"Dense({count}) with CategoricalHinge()" if signs else f"Dense({count}), Softmax()"
    return f"{message}; for {count} classes end the network in {end}"


def _look_up(labels: Array, known: Array, argument: str) -> Array:
    if (known.dtype.kind == "U") != (labels.dtype.kind == "U"):
        kinds = {"U": "strings", "b": "bools", "i": "integers"}
        raise DataError(
            f"{argument} holds {kinds[labels.dtype.kind]} but the network's classes are "
            f"{kinds[known.dtype.kind]}: {_some(known)}"
        )
    order = np.argsort(known)
    places = np.searchsorted(known, labels, sorter=order).clip(max=len(known) - 1)
    ids = order[places]
    unknown = known[ids] != labels
    if unknown.any():
        index, label = _first(unknown, labels)
        count = int(unknown.sum())
        also = f" ({count:,} such labels)" if count > 1 else ""
        raise DataError(
            f"{argument} must hold the classes {_some(known)}: entry {index} is {describe(label)}{also}"
        )
    return np.asarray(ids, dtype=np.int64)


def _first(wrong: Array, values: Array) -> tuple[str, Any]:
    """Position and value of the first entry that is wrong."""
    index = tuple(int(i) for i in np.unravel_index(int(wrong.argmax()), wrong.shape))
    entry = values[index]
    return f"[{', '.join(map(str, index))}]", entry.item() if isinstance(entry, np.generic) else entry


def _some(labels: Array) -> str:
    shown = [repr(label) for label in labels.tolist()]
    return ", ".join(shown) if len(shown) <= 12 else f"{', '.join(shown[:5])}, ... {shown[-1]}"
