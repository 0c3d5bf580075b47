"""Checks of constructor arguments and input shapes, with errors that say what to write instead."""

from __future__ import annotations

from collections.abc import Sequence
from numbers import Integral
from typing import Any

import numpy as np

from chainrule.base.errors import ShapeError, describe
from chainrule.base.types import Shape
from chainrule.formulas.primitives.edges import MODES
from chainrule.formulas.primitives.grid import Pads, Pair, Sizes

# The kernels count in 32 bits; sums and products of a few window sizes stay below that too.
LARGEST, LARGEST_WINDOW = 2**31 - 1, 2**24


def whole(value: Any, argument: str, minimum: int = 1, maximum: int = LARGEST) -> int:
    """`value` as an int from `minimum` to `maximum`; bools and floats are refused."""
    integer = isinstance(value, Integral) and not isinstance(value, bool)
    if integer and minimum <= int(value) <= maximum:
        return int(value)
    kind = "a positive integer" if minimum == 1 else f"an integer of at least {minimum}"
    kind += f", at most {maximum}" if integer and int(value) > maximum else ""
    raise ShapeError(f"{argument} must be {kind}, received {describe(value)}")


# Of what has so many axes: what it is called, and sizes of all of them.
KINDS = {1: "a sequence", 2: "an image", 3: "a volume"}
_PLACES = {2: "(rows, columns)", 3: "(planes, rows, columns)"}
_SIZES = {1: "an integer", 2: "an integer or a pair (rows, columns)", 3: f"an integer or {_PLACES[3]}"}
PADS = {
    1: "(before, after)",
    2: "(rows, columns) or ((top, bottom), (left, right))",
    3: "(planes, rows, columns) or ((front, back), (top, bottom), (left, right))",
}


def listed(value: Any) -> Any:
    """An array of NumPy as lists, or as its number; anything else as it is."""
    return value.tolist() if isinstance(value, np.ndarray) else value


def size(value: Any, argument: str, axes: int = 2, minimum: int = 1) -> int | Sizes:
    """A size as given, an int or (for several axes) as many integers: (rows, columns)."""
    value = listed(value)
    if isinstance(value, Sequence) and not isinstance(value, str):
        if axes == 1 and len(value) == 1:
            return whole(value[0], argument, minimum, LARGEST_WINDOW)
        if axes == 1 or len(value) != axes:
            raise ShapeError(f"{argument} must be {_SIZES[axes]}, received {describe(value)}")
        return tuple(whole(value[i], f"{argument}[{i}]", minimum, LARGEST_WINDOW) for i in range(axes))
    return whole(value, argument, minimum, LARGEST_WINDOW)


def each(value: int | Sizes, axes: int) -> Sizes:
    """A size for every axis: (rows, columns), (length,), or (planes, rows, columns)."""
    return (value,) * axes if isinstance(value, int) else value


def padding(value: Any, extent: Sizes) -> tuple[Any, str | Pads]:
    """(the padding as given, the same for a Grid).

    Accepted: "valid", "same", an integer, (rows, columns), ((top, bottom), (left, right)), and three of them
    of a volume; for one axis "valid", "same", an integer, (before, after).
    """
    value, axes = listed(value), len(extent)
    if isinstance(value, str) and value == "same":
        return value, value
    if isinstance(value, str) and value == "valid":
        return value, ((0, 0),) * axes
    if isinstance(value, str) or not isinstance(value, (Integral, Sequence)):
        advice = ""
        if isinstance(value, str) and value in ("zeros", *MODES):
            advice = f": write padding='same', padding_mode={value!r}"
        elif isinstance(value, str) and value == "causal" and axes == 1:
            advice = f": write padding=({extent[0] - 1}, 0), which lets no step see what comes later"
        raise ShapeError(
            f"padding must be 'valid', 'same', an integer or pairs of integers, received {describe(value)}"
            f"{advice}"
        )
    given: Pads
    if axes == 1:
        inner = value[0] if isinstance(value, Sequence) and len(value) == 1 else value
        given = (_pads(inner, value, axes),)
    else:
        if axes == 3 and isinstance(value, Sequence) and len(value) != 3:
            raise ShapeError(
                f"padding must be 'valid', 'same', an integer, {PADS[3]}, received {describe(value)}"
            )
        of_axes = value if isinstance(value, Sequence) and len(value) == axes else (value,) * axes
        given = tuple(_pads(of_axis, value, axes) for of_axis in of_axes)
    for (before, after), length in zip(given, extent, strict=True):
        if max(before, after) >= length:
            shown = extent if axes > 1 else extent[0]
            raise ShapeError(
                f"padding must be smaller than the kernel {shown}, received {describe(value)}: "
                f"a window would see nothing but zeros; write at most {length - 1}, or a Pad layer in front"
            )
    return (_tuples(value), given)


def _pads(value: Any, whole_value: Any, axes: int) -> Pair:
    before, after = value if isinstance(value, Sequence) and len(value) == 2 else (value, value)
    try:
        return whole(before, "padding", 0), whole(after, "padding", 0)
    except ShapeError:
        raise ShapeError(
            f"padding must be 'valid', 'same', an integer, {PADS[axes]} "
            f"with integers of at least 0, received {describe(whole_value)}"
        ) from None


def _tuples(value: Any) -> Any:
    return tuple(map(_tuples, value)) if isinstance(value, Sequence) else int(value)


def spatial_shape(input_shape: Shape, layer: str, axes: int = 2) -> Shape:
    """`input_shape` if it is (rows, columns, channels), (length, channels) of one axis, or (planes, rows,
    columns, channels) of three.
    """
    if len(input_shape) == axes + 1:
        return input_shape
    if len(input_shape) == axes:
        kind = {1: "plain series", 2: "grey image", 3: "grey volume"}[axes]
        advice = f"a {kind} has one channel: write {(*input_shape, 1)}"
    elif axes == 2:
        advice = (
            "give the network an image as input_shape, such as (28, 28, 1), and Flatten() after this layer"
        )
    elif axes == 3:
        advice = (
            "give the network a volume as input_shape, such as (16, 28, 28, 1), and Flatten() after this "
            "layer"
        )
    else:
        advice = "give the network a sequence as input_shape, such as (100, 3)"
    sizes = {1: "length", 2: "rows, columns", 3: "planes, rows, columns"}[axes]
    what = f"{KINDS[axes]} ({sizes}, channels)"
    raise ShapeError(f"{layer} needs {what} per sample, received {input_shape}; {advice}")
