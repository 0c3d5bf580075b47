"""Checks of constructor arguments and input shapes, with errors that say what to write instead."""

from __future__ import annotations

from collections.abc import Sequence
from numbers import Integral
from typing import Any

from chainrule.errors import ShapeError, describe
from chainrule.formulas.grid import Pads, Pair
from chainrule.keywords import by_name

Shape = tuple[int, ...]

# What the layers of Keras and PyTorch take, and what to write here.
KEYWORDS = by_name(
    {
        "the activation as a layer of its own, behind this one: ReLU()": ("activation",),
        "bias=False or True": ("use_bias",),
        "initializer='he'": ("kernel_initializer", "weight_init", "init"),
        "only what the layer puts out: it finds out its inputs": ("in_features", "in_channels", "input_dim"),
        "units=10": ("out_features", "n_units", "output_dim"),
        "filters=8": ("out_channels", "kernels"),
        "stride=2": ("strides",),
        "window=2": ("pool_size", "size", "kernel_size"),
        "padding='same' or 'valid'": ("pad", "border_mode"),
        "input_shape in Network([...], input_shape=784)": ("input_shape",),
        "penalty=L2(1e-4) in fit": ("kernel_regularizer",),
        "slope=0.01": ("alpha", "negative_slope"),
    }
)


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


def size(value: Any, argument: str) -> int | Pair:
    """A size as given, an int or a (rows, columns) pair of positive integers."""
    if isinstance(value, Sequence) and not isinstance(value, str):
        if len(value) != 2:
            raise ShapeError(f"{argument} must be an integer or a pair (rows, columns), received {value!r}")
        rows, columns = (whole(value[i], f"{argument}[{i}]", maximum=LARGEST_WINDOW) for i in (0, 1))
        return rows, columns
    return whole(value, argument, maximum=LARGEST_WINDOW)


def pair(value: int | Pair) -> Pair:
    """(rows, columns) of a size."""
    return (value, value) if isinstance(value, int) else value


def padding(value: Any, kernel: Pair) -> tuple[Any, str | Pads]:
    """(the padding as given, the same for a Grid).

    Accepted: "valid", "same", an integer, (rows, columns), ((top, bottom), (left, right)).
    """
    if value == "same":
        return value, value
    if value == "valid":
        return value, ((0, 0), (0, 0))
    if isinstance(value, str) or not isinstance(value, (Integral, Sequence)):
        raise ShapeError(
            f"padding must be 'valid', 'same', an integer or pairs of integers, received {value!r}"
        )
    rows, columns = value if isinstance(value, Sequence) and len(value) == 2 else (value, value)
    given = (_pads(rows, value), _pads(columns, value))
    for (before, after), length in zip(given, kernel, strict=True):
        if max(before, after) >= length:
            raise ShapeError(
                f"padding must be smaller than the kernel {kernel}, received {value!r}: "
                f"a window would see nothing but zeros; write at most {length - 1}"
            )
    return (_tuples(value), given)


def _pads(value: Any, whole_value: Any) -> Pair:
    before, after = value if isinstance(value, Sequence) and len(value) == 2 else (value, value)
    try:
        return whole(before, "padding", 0), whole(after, "padding", 0)
    except ShapeError:
        raise ShapeError(
            "padding must be 'valid', 'same', an integer, (rows, columns) or ((top, bottom), (left, right)) "
            f"with integers of at least 0, received {whole_value!r}"
        ) from None


def _tuples(value: Any) -> Any:
    return tuple(map(_tuples, value)) if isinstance(value, Sequence) else int(value)


def image_shape(input_shape: Shape, layer: str) -> Shape:
    """`input_shape` if it is (rows, columns, channels); otherwise a ShapeError."""
    if len(input_shape) == 3:
        return input_shape
    if len(input_shape) == 2:
        advice = f"a grey image has one channel: write {(*input_shape, 1)}"
    else:
        advice = (
            "give the network an image as input_shape, such as (28, 28, 1), and Flatten() after this layer"
        )
    raise ShapeError(
        f"{layer} needs an image (rows, columns, channels) per sample, received {input_shape}; {advice}"
    )
