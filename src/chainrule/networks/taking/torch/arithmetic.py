"""Sums, factors, means, and what is put one after the other."""

from __future__ import annotations

import operator
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from chainrule.base.errors import ArgumentError, describe
from chainrule.base.types import Array
from chainrule.layers import Floor, ReLU
from chainrule.networks.taking.torch.reading import Reading, axis_of, constant_beside
from chainrule.networks.taking.values import Value


def _constant(name: str, a: Any, b: Any) -> tuple[Value, Any]:
    """The value among two, and the number or tensor beside it as an array; ArgumentError where there is none
    of each.
    """
    value, other = (a, b) if isinstance(a, Value) else (b, a)
    if not isinstance(value, Value) or not isinstance(other, int | float | np.ndarray):
        raise ArgumentError(f"{name}: {describe(a)} and {describe(b)} are combined, which no layer does")
    return value, constant_beside(name, value, np.asarray(other, np.float64))


def _both(how: str) -> Callable[..., Value]:
    """Sums and products of two values, or of one with a number or a tensor of the module."""

    def read(r: Reading, name: str, a: Any, b: Any) -> Value:
        if isinstance(a, Value) and isinstance(b, Value):
            return r.building.join(name, [a, b], how)
        value, constant = _constant(name, a, b)
        return (r.building.plus if how == "sum" else r.building.times)(name, value, constant)

    return read


def _cat(r: Reading, name: str, tensors: Sequence[Any], dim: int = 0) -> Value:
    """Values and tensors of the module, such as a class token, along an axis of a sample."""
    like = next((each for each in tensors if isinstance(each, Value)), None)
    if like is None:
        raise ArgumentError(f"{name}: tensors of the module alone are put together, which no layer does")
    axis = axis_of(name, like, dim)
    values = [
        each
        if isinstance(each, Value)
        else _rows(r, f"{name}_{number}", like, axis, np.asarray(each, np.float64))
        for number, each in enumerate(tensors)
    ]
    return values[0] if len(values) == 1 else r.building.join(name, values, "concat", axis)


def _rows(r: Reading, name: str, like: Value, axis: int, array: Array) -> Value:
    """A tensor of the module as a value of as many rows as it has, the same for every sample."""
    rows = array[0] if array.ndim == len(like.theirs) + 1 and array.shape[0] == 1 else array
    theirs = (*like.theirs[:axis], *rows.shape[axis : axis + 1], *like.theirs[axis + 1 :])
    if rows.shape != theirs:
        raise ArgumentError(
            f"{name}: a tensor of the shape {array.shape} is put beside samples of {like.theirs} along axis "
            f"{axis} of these: it must be (1, {', '.join(map(str, theirs))})"
        )
    return r.building.constant(name, like, rows, axis, rows.shape[axis])


def _mean(r: Reading, name: str, x: Value, dim: Any = None, keepdim: bool = False) -> Value:
    axes = len(x.theirs)
    given = sorted(d % (axes + 1) for d in (dim if isinstance(dim, tuple | list) else [dim]) if d is not None)
    if axes > 1 and given == [*range(2, axes + 1)] and x.layout.first is not False:
        return r.building.global_pool(name, x, "average", bool(keepdim))
    if axes == 2 and given == [1] and x.layout.first is not True and not keepdim:
        turned = r.building.transpose(name, x, (0, 2, 1))
        return r.building.global_pool(name, turned, "average", keep=False)
    raise ArgumentError(
        f"{name}: a mean is taken over all rows and columns, mean(dim=(2, 3)), or over the steps"
    )


def _reduce(mean: bool) -> Callable[..., Value]:
    """Sums and means over any axes but that of samples."""

    def read(r: Reading, name: str, x: Value, dim: Any = None, keepdim: bool = False) -> Value:
        if mean:
            try:
                return _mean(r, name, x, dim, keepdim)
            except ArgumentError:
                pass
        if dim is None:
            raise ArgumentError(f"{name}: a sum or a mean over all, samples too, has no layer in chainrule")
        axes = sorted(axis_of(name, x, d) for d in (dim if isinstance(dim, tuple | list) else [dim]))
        for axis in axes:
            size = x.theirs[axis]
            share = 1 / size if mean else 1.0
            x = r.building.along(f"{name}_{axis}", x, axis, (tuple((i, share) for i in range(size)),))
        if keepdim:
            return x
        kept = tuple(size for axis, size in enumerate(x.theirs) if axis not in axes)
        return r.building.reshaped(f"{name}axes_of", x, kept)

    return read


def _largest(r: Reading, name: str, x: Value, dim: Any = None, keepdim: bool = False) -> Any:
    """The largest over positions, max(dim=2) with its values, or amax."""
    given = [] if dim is None else dim if isinstance(dim, tuple | list) else [dim]
    told = sorted(axis_of(name, x, d) for d in given)
    axes = [*range(len(x.theirs))]
    if told == axes[1:] and told:
        return r.building.global_pool(name, x, "max", keepdim)
    if len(axes) == 2 and told == [0] and not keepdim:
        return r.building.global_pool(name, r.building.transpose(name, x, (0, 2, 1)), "max", keep=False)
    raise ArgumentError(f"{name}: a maximum is taken over all rows and columns, or over the steps")


def _absolute(r: Reading, name: str, x: Value) -> Value:
    """Above 0 as it is, and below turned about."""
    negative = r.building.times(f"{name}_negative", x, np.array(-1.0))
    halves = [r.building.entrywise(f"{name}_part", part, ReLU()) for part in (x, negative)]
    return r.building.join(name, halves, "sum")


def _beside(r: Reading, name: str, a: Any, b: Any) -> list[Value]:
    """Two values, or a value and a number or a tensor as one."""
    return r.building.beside_each_other(name, (a, b), lambda value, other: _constant(name, value, other)[1])


def _joined(how: str) -> Callable[..., Value]:
    return lambda r, name, a, b: r.building.join(name, _beside(r, name, a, b), how)


def _quotient(r: Reading, name: str, a: Any, b: Any, rounding_mode: str | None = None) -> Value:
    if rounding_mode is None and isinstance(a, Value) and not isinstance(b, Value):
        value, constant = _constant(name, a, b)
        return r.building.times(name, value, 1.0 / constant)
    made = r.building.join(name, _beside(r, name, a, b), "quotient")
    if rounding_mode is None:
        return made
    return r.building.entrywise(f"{name}_whole", made, Floor(toward_zero=rounding_mode == "trunc"))


def _power(r: Reading, name: str, x: Any, exponent: Any = 2) -> Value:
    if isinstance(x, Value) and isinstance(exponent, int | float):
        return r.building.power(name, x, exponent)
    return r.building.join(name, _beside(r, name, x, exponent), "power")


def _extreme(how: str, low: bool) -> Callable[..., Any]:
    """max and min: of two values, or as in max(dim=2) of one over positions."""

    def read(r: Reading, name: str, x: Value, other: Any = None, *more: Any, **options: Any) -> Any:
        if isinstance(other, Value | np.ndarray):
            return r.building.join(name, _beside(r, name, x, other), how)
        if low:
            raise ArgumentError(f"{name}: a minimum is taken of two values, min(a, b)")
        told = dict(zip(("dim", "keepdim"), (other, *more), strict=False)) | options
        return (_largest(r, name, x, **told), None)

    return read


def _difference(r: Reading, name: str, a: Any, b: Any) -> Value:
    if isinstance(a, Value) and isinstance(b, Value):
        return r.building.difference(name, a, b)
    value, constant = _constant(name, a, b)
    if value is a:
        return r.building.plus(name, a, -constant)
    return r.building.plus(name, r.building.times(f"{name}_negative", b, np.array(-1.0)), constant)


multiplied = _both("product")

FUNCTIONS: dict[str, Callable[..., Any]] = {
    **dict.fromkeys((operator.add.__name__, operator.iadd.__name__, "add", "add_"), _both("sum")),
    **dict.fromkeys(("cat", "concat"), _cat),
    "mean": _reduce(mean=True),
    "sum": _reduce(mean=False),
    **dict.fromkeys(("mul", "mul_", "multiply", "imul"), multiplied),
    **dict.fromkeys(("truediv", "div", "divide", "true_divide"), _quotient),
    **dict.fromkeys(
        ("floordiv", "floor_divide"), lambda r, name, a, b: _quotient(r, name, a, b, rounding_mode="floor")
    ),
    **dict.fromkeys(("maximum", "fmax"), _joined("maximum")),
    **dict.fromkeys(("minimum", "fmin"), _joined("minimum")),
    **{
        key: lambda r, name, x, exponent=exponent: r.building.power(name, x, exponent)
        for key, exponent in (("sqrt", 0.5), ("rsqrt", -0.5), ("reciprocal", -1))
    },
    "floor": lambda r, name, x: r.building.entrywise(name, x, Floor()),
    **dict.fromkeys(
        ("trunc", "fix"), lambda r, name, x: r.building.entrywise(name, x, Floor(toward_zero=True))
    ),
    **dict.fromkeys(("sub", "subtract"), _difference),
    **dict.fromkeys(("pow", "square", "float_power"), _power),
    "rsub": lambda r, name, a, b: _difference(r, name, b, a),
    **dict.fromkeys(("abs", "absolute"), _absolute),
    "amax": _largest,
    "max": _extreme("maximum", low=False),
    "min": _extreme("minimum", low=True),
    "neg": lambda r, name, x: r.building.times(name, x, np.array(-1.0)),
}
