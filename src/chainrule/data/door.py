"""The door: inputs, targets and weights are prepared and validated once, here, with errors that say what to
write instead.

It knows losses and preparations, nothing of networks or the engine: both call it, and then trust their
arguments.  What a network's preparation says is applied here, whoever asks: `fit`, `predict`, the check, the
report.
"""

from __future__ import annotations

import math
import warnings
from dataclasses import replace
from types import NoneType
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from chainrule.base.errors import DataError, ShapeError
from chainrule.base.keywords import depth_of_caller
from chainrule.base.types import Array, Shape
from chainrule.data.arrays import (
    Prepared,
    all_finite,
    finite,
    is_sparse,
    numbers,
    one_column,
    plain_array,
    representable,
)
from chainrule.data.preparation import Numbers, Pixels, Preparation
from chainrule.data.preparation.scales import NO_PIXELS, PICTURES
from chainrule.data.targets import Encoded, Outputs, class_ids, classes_array, encode_targets
from chainrule.losses import Loss

__all__ = [
    "check_inputs",
    "check_pairs",
    "check_weights",
    "class_ids",
    "classes_array",
    "encode_targets",
    "inputs_of",
    "learned_preparation",
    "one_column",
    "targets_of",
]

_EXACT = {"float32": 2**24, "float64": 2**53}  # whole numbers up to here are exact


class Receiver(Outputs, Protocol):
    """What the door needs to know of a network, its inputs too."""

    @property
    def preparation(self) -> Preparation | None: ...

    @property
    def input_shape(self) -> Shape: ...

    @property
    def vocabulary(self) -> int | None: ...


def inputs_of(
    X: Any, network: Receiver, argument: str = "X", preparation: Preparation | None = None
) -> Array:
    """X as a batch of the network holds it: prepared as the network says, then as of `check_inputs`.

    preparation: in place of the network's own, in the fit that has learned it.
    Without a preparation numbers are taken as they are, and images and volumes of uint8 with a value above 1
    are pixels.
    Of a sparse matrix the whole is made; `data.mapped` divides what is too large for that.
    """
    if is_sparse(X):
        X = X.toarray()
    chosen = preparation or network.preparation or Preparation()
    made, scaled = chosen(X, argument), not isinstance(chosen.inputs, (Numbers, Pixels, NoneType))
    return check_inputs(made, network.input_shape, argument, network.dtype, network.vocabulary, scaled=scaled)


def targets_of(
    y: Any,
    network: Receiver,
    loss: Loss,
    n: int,
    argument: str = "y",
    classes: Array | None = None,
    *,
    grow: bool = False,
) -> Encoded:
    """(targets, classes) as of `encode_targets`, on the scale that the network has for targets, if any."""
    y = one_column(y)
    preparation = network.preparation
    made = y if preparation is None else preparation.target(y, argument)
    return encode_targets(made, network, loss, n, argument, classes, grow=grow)


def learned_preparation(X: Any, batch: Array, network: Receiver) -> Preparation | None:
    """What a fit on X, of which `batch` was made, has the network remember of its inputs.

    Warns of rows of uint8 that may be pixels.
    """
    known = network.preparation
    if isinstance(X, Prepared) or network.vocabulary is not None:
        return known
    names = _names_of(X) if known is None or known.feature_names is None else known.feature_names
    if known is not None and known.inputs is not None:
        if isinstance(known.inputs, Numbers) and known.inputs.low is not None:
            return replace(known, feature_names=names, inputs=known.inputs.joined(Numbers.learn(batch)))
        return known if names == known.feature_names else replace(known, feature_names=names)
    pictures = len(network.input_shape) in PICTURES
    if getattr(X, "dtype", None) == np.uint8 and pictures and not batch.any():
        return known if names is None else replace(known or Preparation(), feature_names=names)
    if batch.dtype == np.uint8:
        inputs: Pixels | Numbers = Pixels()
    else:
        inputs = Numbers.learn(batch)
        high = inputs.high or 0.0
        if getattr(X, "dtype", None) == np.uint8 and high > NO_PIXELS:
            warnings.warn(
                f"X is uint8, rows of numbers up to {high:g}, and they are taken as they are: only images "
                "(N, H, W, C) and volumes (N, D, H, W, C) are read as pixels. If these are pixels, write "
                "Network(..., preparation='pixels'), which divides them by 255; if not, X.astype('float32') "
                "says so",
                stacklevel=depth_of_caller(),
            )
    return replace(known or Preparation(), feature_names=names, inputs=inputs)


def _names_of(X: Any) -> tuple[str, ...] | None:
    from chainrule.data.frames import frame_of

    frame = frame_of(X[:1] if hasattr(X, "iloc") else X, "X")
    return frame.names if frame is not None and frame.named else None


def check_inputs(
    X: Any,
    input_shape: Shape,
    argument: str = "X",
    dtype: Any = "float32",
    vocabulary: int | None = None,
    *,
    scaled: bool = False,
) -> Array:
    """X as a C-contiguous array (N, *input_shape) of float32, float64 or uint8.

    float32 and float64 stay as they are, and so does uint8 that means pixels, which every pass divides by
    255: of images and volumes that have a value above 1, or prepared as such. float16, bools and other uint8
    become float32, other integers too where it is exact, else what `dtype` says. Grey images may come as
    (N, H, W), volumes as (N, D, H, W).
    dtype: of the network, whose range floats must not exceed. vocabulary: X holds ids, whole numbers below
    it, whatever their type; they become floats. scaled: a preparation has brought X to one scale, in float64,
    which becomes the network's type. Raises ShapeError and DataError: wrong shape, empty, NaN,
    infinite, not numbers, no ids.
    """
    array = numbers(plain_array(X, argument), argument)
    pixels = array.dtype == np.uint8 and (
        isinstance(X, Prepared) or (len(input_shape) in PICTURES and array.size > 0 and int(array.max()) > 1)
    )
    array = np.asarray(array)
    if array.ndim and array.size == 0:
        raise DataError(f"{argument} is empty: its shape is {array.shape}; at least one sample is needed")
    if array.ndim < 1 or array.shape[1:] != input_shape:
        if array.ndim == len(input_shape) in (3, 4) and (*array.shape[1:], 1) == input_shape:
            array = array[..., None]
        else:
            raise ShapeError(_shape_advice(array.shape, tuple(input_shape), argument))
    if vocabulary is not None:
        return _ids(array, vocabulary, argument)
    if not pixels:
        array = _floats(array, argument, np.dtype(dtype).name)
    finite(array, argument)
    representable(array, argument, dtype, scaled=scaled)
    if scaled and array.dtype == np.float64:  # once here, not in every pass
        array = array.astype(dtype, copy=False)
    return np.ascontiguousarray(array)


def check_pairs(X: Any, y: Any, argument: str = "y") -> None:
    """Warns where X and y are of pandas and have one index in two orders: rows are paired by their place."""
    first: Any = getattr(X, "index", None)
    second: Any = getattr(y, "index", None)
    if not (hasattr(first, "equals") and hasattr(second, "equals")) or len(first) != len(second):
        return
    if first.equals(second) or not first.isin(second).all() or not second.isin(first).all():
        return
    warnings.warn(
        f"{argument} has the index of X in another order, and rows are paired by their place: write "
        f"{argument}.loc[X.index] where the index says what belongs together, or {argument}.to_numpy() where "
        "the place does",
        stacklevel=depth_of_caller(),
    )


def check_weights(w: Any, n: int, argument: str = "sample_weight") -> NDArray[np.float64]:
    """Sample weights (n,) as float64, scaled to mean 1; they must be finite, not negative and not all 0."""
    if isinstance(w, dict):
        raise TypeError(
            f"{argument} is a number for every sample, ({n},): weights by name are of a Graph with several "
            "outputs"
        )
    array = numbers(plain_array(one_column(w), argument), argument)
    if array.shape != (n,):
        hint = f"; write {argument}.ravel()" if array.size == n else ""
        raise ShapeError(
            f"{argument} must have one weight per sample, shape ({n},), received {array.shape}{hint}"
        )
    weights = array.astype(np.float64)
    finite(weights, argument)
    if (weights < 0).any():
        index = int((weights < 0).argmax())
        raise DataError(f"{argument} must not be negative: entry {index} is {weights[index]:g}")
    with np.errstate(over="ignore"):
        mean = float(weights.mean())
    if not math.isfinite(mean):  # their sum overflows
        weights /= weights.max()
        mean = float(weights.mean())
    if mean == 0:
        raise DataError(f"{argument} is 0 for every sample: give at least one a positive weight")
    return weights / mean


def _ids(array: Array, vocabulary: int, argument: str) -> Array:
    """Whole numbers from 0 to vocabulary - 1, as floats: uint8 would be pixels further on."""
    finite(array, argument)
    wrong = np.asarray((array < 0) | (array >= vocabulary), dtype=bool)
    if array.dtype.kind == "f":
        wrong |= array != np.floor(array)
    if wrong.any():
        index = tuple(int(i) for i in np.unravel_index(int(wrong.argmax()), array.shape))
        place = f"sample {index[0]}" + (f", position {list(index[1:])}" if len(index) > 1 else "")
        count = int(wrong.sum())
        others = f" ({count:,} such entries)" if count > 1 else ""
        raise DataError(
            f"{argument} must hold ids, whole numbers from 0 to {vocabulary - 1} as the Embedding takes "
            f"them: {place} is {array[index]}{others}; give Embedding a larger vocabulary, or number the ids "
            "anew"
        )
    wide = array.dtype == np.float64
    return np.ascontiguousarray(array if wide else array.astype(np.float32, copy=False))


def _floats(array: Array, argument: str, dtype: str) -> Array:
    if array.dtype in (np.float32, np.float64):
        return array
    if array.dtype.kind in "iu":
        smallest, largest = int(array.min()), int(array.max())
        extreme = largest if largest >= -smallest else smallest
        if abs(extreme) > _EXACT[dtype]:
            wider = ", or build the network with dtype='float64'" if dtype == "float32" else ""
            raise DataError(
                f"{argument} holds the integer {extreme}, and {dtype} is exact for integers up to "
                f"{_EXACT[dtype]}: scale {argument} first{wider}; {argument}.astype('float64') has it "
                f"rounded to {dtype}"
            )
        if abs(extreme) > _EXACT["float32"]:
            return array.astype(np.float64)
    if array.dtype.kind == "f" and array.dtype.itemsize > 8:
        finite(array, argument)
        with np.errstate(over="ignore"):
            converted = array.astype(np.float64)
        if not all_finite(converted):
            raise DataError(f"{argument} holds {abs(array).max()}, which float64 cannot: scale it")
        return converted
    return array.astype(np.float32)


def _shape_advice(shape: Shape, expected: Shape, argument: str) -> str:
    wanted = f"(N, {', '.join(map(str, expected))})"
    base = f"{argument} must have the shape {wanted}, one row per sample, received {shape}"
    advice = _vector_advice(shape, expected) if len(expected) == 1 else _image_advice(shape, expected)
    return f"{base}; {advice.format(X=argument)}" if advice else base


def _vector_advice(shape: Shape, expected: Shape) -> str:
    (features,) = expected
    if shape == expected and features > 1:
        return "for a single sample write {X}[None]"
    if len(shape) == 1:
        return "for one feature per sample write {X}.reshape(-1, 1)" if features == 1 else ""
    if len(shape) == 2:
        if shape[0] == features:
            return "it looks transposed, with samples as columns: write {X}.T"
        return f"the network was built for {features} features per sample, this has {shape[1]}"
    if len(shape) > 2 and math.prod(shape[1:]) == features:
        return f"write {{X}}.reshape(len({{X}}), -1), or begin with Flatten() at input_shape={shape[1:]}"
    return ""


def _image_advice(shape: Shape, expected: Shape) -> str:
    """Of images (rows, columns, channels) and volumes (planes, rows, columns, channels)."""
    if len(expected) not in (3, 4):
        return "for a single sample write {X}[None]" if shape == expected else ""
    *sizes, channels = expected
    pixels, kind = tuple(sizes), "image" if len(expected) == 3 else "volume"
    if shape == expected or (channels == 1 and shape == pixels):
        return f"for a single {kind} write {{X}}[None]"
    flat = f".reshape(-1, {', '.join(map(str, expected))})"
    if len(shape) == 2 and shape[1] == math.prod(expected):
        return f"the {kind}s are flat: write {{X}}{flat}"
    if len(shape) == 2 and shape[0] == math.prod(expected):
        return f"flat {kind}s with samples as columns: write {{X}}.T{flat}"
    if shape[1:] == pixels:
        return f"the channel axis is missing: the network was built for {channels} channels"
    if len(shape) != len(expected) + 1:
        return ""
    if shape[1:] == (channels, *pixels):
        order = ", ".join(map(str, (0, *range(2, len(shape)), 1)))
        return f"the channels come first: write {{X}}.transpose({order})"
    if shape[:-1] == expected:
        return "the samples come last: write numpy.moveaxis({X}, -1, 0)"
    if shape[1:-1] == pixels:
        return f"the network was built for {channels} channels, these {kind}s have {shape[-1]}"
    shown = f"{' x '.join(map(str, pixels))} pixels and {channels} channels"
    return f"the network was built for {kind}s of {shown}"
