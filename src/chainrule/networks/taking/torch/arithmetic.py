"""Sums, factors, means, and what is put one after the other."""

from __future__ import annotations

import operator
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from chainrule.base.errors import ArgumentError
from chainrule.networks.taking.torch.reading import Reading, axis_of
from chainrule.networks.taking.values import Value


def _sum(r: Reading, name: str, a: Any, b: Any) -> Value:
    if isinstance(a, Value) != isinstance(b, Value):
        value, number = (a, b) if isinstance(a, Value) else (b, a)
        if isinstance(number, int | float):
            return r.building.plus(name, value, np.array(float(number)))
    if not (isinstance(a, Value) and isinstance(b, Value)):
        raise ArgumentError(f"{name}: a tensor added to a value has no layer in chainrule")
    return r.building.join(name, [a, b], "sum")


def _cat(r: Reading, name: str, tensors: Sequence[Value], dim: int = 0) -> Value:
    return r.building.join(name, list(tensors), "concat", axis_of(name, tensors[0], dim))


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


def _product(r: Reading, name: str, a: Any, b: Any) -> Value:
    if isinstance(a, Value) and isinstance(b, Value):
        return r.building.join(name, [a, b], "product")
    value, number = (a, b) if isinstance(a, Value) else (b, a)
    if not isinstance(value, Value) or not isinstance(number, int | float):
        raise ArgumentError(f"{name}: a product with a tensor has no layer in chainrule")
    return r.building.times(name, value, np.array(float(number)))


def _quotient(r: Reading, name: str, a: Any, b: Any) -> Value:
    if not isinstance(a, Value) or not isinstance(b, int | float):
        raise ArgumentError(f"{name}: a quotient is taken of a value by a number")
    return r.building.times(name, a, np.array(1.0 / b))


def _difference(r: Reading, name: str, a: Any, b: Any) -> Value:
    if isinstance(a, Value) and isinstance(b, int | float):
        return r.building.plus(name, a, np.array(-float(b)))
    if isinstance(b, Value) and isinstance(a, int | float):
        return r.building.plus(
            name, r.building.times(f"{name}_negative", b, np.array(-1.0)), np.array(float(a))
        )
    if isinstance(a, Value) and isinstance(b, Value):
        return r.building.join(name, [a, r.building.times(f"{name}_negative", b, np.array(-1.0))], "sum")
    raise ArgumentError(f"{name}: a difference with a tensor has no layer in chainrule")


FUNCTIONS: dict[str, Callable[..., Any]] = {
    **dict.fromkeys((operator.add.__name__, operator.iadd.__name__, "add", "add_"), _sum),
    **dict.fromkeys(("cat", "concat"), _cat),
    "mean": _reduce(mean=True),
    "sum": _reduce(mean=False),
    **dict.fromkeys(("mul", "mul_", "multiply", "imul"), _product),
    **dict.fromkeys(("truediv", "div", "divide"), _quotient),
    **dict.fromkeys(("sub", "subtract"), _difference),
    "neg": lambda r, name, x: r.building.times(name, x, np.array(-1.0)),
}
