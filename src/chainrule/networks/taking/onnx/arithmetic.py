"""Products with matrices, sums, factors and what is put one after the other."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np

from chainrule.base.types import Array
from chainrule.networks.taking.onnx.reading import Attributes, Known, Reading, constant_of, refuse, value_of
from chainrule.networks.taking.values import Flags, Value


def _gemm(r: Reading, name: str, at: Attributes, x: Known, W: Known, b: Known = None) -> Value:
    value = value_of(name, x)
    if at.get("transA", 0):
        if r.lead or len(value.theirs) != 2:
            raise refuse(name, "transA=1, which turns samples and features about,")
        value = r.building.permuted(f"{name}_transA", value, (1, 0))
    matrix, alpha = constant_of(name, W, "matrix"), at.get("alpha", 1.0)
    matrix = matrix if alpha == 1 else matrix * alpha  # the same memory: another node may have it
    matrix = matrix if at.get("transB", 0) else matrix.T
    if b is None:
        return r.building.dense(name, value, matrix, None)
    bias, beta = constant_of(name, b, "bias"), at.get("beta", 1.0)
    bias = bias if beta == 1 else bias * beta
    if bias.shape in ((), (1,), (len(matrix),), (1, 1), (1, len(matrix))):
        return r.building.dense(name, value, matrix, np.broadcast_to(bias, (1, len(matrix)))[0])
    made = r.building.dense(name, value, matrix, None)
    return r.building.plus(f"{name}_bias", made, r.of_sample(name, made, bias))


def _matmul(r: Reading, name: str, at: Attributes, x: Known, W: Known) -> Value:
    value, matrix = value_of(name, x), constant_of(name, W, "matrix")
    if matrix.ndim == 1:
        made = _matmul(r, name, at, value, matrix[:, None])
        return r.building.reshaped(f"{name}_axes", made, made.theirs[:-1])
    if matrix.ndim != 2:
        return _products(r, name, value, matrix)
    if len(value.theirs) > 2:
        *front, features = value.theirs
        rows = r.building.reshaped(f"{name}_rows", value, (int(np.prod(front)), features))
        made = r.building.dense(name, rows, matrix.T, None)
        return r.building.reshaped(f"{name}_axes", made, (*front, matrix.shape[1]))
    return r.building.dense(name, value, matrix.T, None)


def _products(r: Reading, name: str, x: Value, matrices: Array) -> Value:
    """A matrix of its own for every place of the axes in front: branches side by side."""
    matrices = (
        matrices[0] if r.lead and matrices.ndim == len(x.theirs) + 1 and len(matrices) == 1 else matrices
    )
    front, inner = matrices.shape[:-2], matrices.shape[-2:]
    rows = x.theirs if len(x.theirs) > 1 else (1, *x.theirs)
    try:
        fits = np.broadcast_shapes(front, rows[:-2]) and matrices.ndim <= len(rows) + (not r.lead)
    except ValueError:
        fits = False
    if not fits or rows[-1] != inner[0] or (r.lead and matrices.ndim > len(rows)):
        raise refuse(name, f"a product by an array of the shape {matrices.shape}")
    places = np.broadcast_shapes(front, rows[:-2])
    count, (steps, features) = int(np.prod(places)), rows[-2:]
    numbers = np.broadcast_to(np.arange(int(np.prod(rows[:-2]))).reshape(rows[:-2]), places).ravel()
    every = np.broadcast_to(matrices, (*places, *inner)).reshape(count, *inner)
    flat = r.building.reshaped(f"{name}_rows", x, (int(np.prod(rows[:-2])) * steps, features))
    made = []
    for place, (number, matrix) in enumerate(zip(numbers, every, strict=True)):
        taps = tuple(((int(number) * steps + step, 1.0),) for step in range(steps))
        part = r.building.along(f"{name}_part_{place}", flat, 0, taps)
        made.append(r.building.dense(f"{name}_{place}", part, matrix.T, None))
    joined = r.building.join(f"{name}_joined", made, "concat", 0) if len(made) > 1 else made[0]
    shape = (*places, *(rows[-2:-1] if len(x.theirs) > 1 else ()), inner[1])
    return r.building.reshaped(f"{name}_axes", joined, shape)


def _add(r: Reading, name: str, at: Attributes, *given: Known) -> Value:
    values = [value for value in given if isinstance(value, Value)]
    if not values:
        raise refuse(name, "a sum of constants")
    made = r.building.join(name, values, "sum") if len(values) > 1 else values[0]
    for number, value in enumerate(given):
        if not isinstance(value, Value):
            value = constant_of(name, value, "summand")
            read = next(place for place, held in enumerate(given) if held is values[0])
            alone = len(values) == 1 and r.readers[r.node.input[read]] == 1
            made = r.building.shifted(
                f"{name}_{number}" if len(given) > 2 else name, made, r.of_sample(name, made, value), alone
            )
    return made


def _subtract(r: Reading, name: str, at: Attributes, a: Known, b: Known) -> Value:
    if isinstance(a, Value) and isinstance(b, Value):
        return r.building.difference(name, a, b)
    if isinstance(a, Value):
        return _add(r, name, at, a, np.asarray(-constant_of(name, b, "constant").astype(np.float64)))
    value = value_of(name, b)
    made = r.building.times(f"{name}_negative", value, np.array(-1.0))
    return r.building.plus(name, made, r.of_sample(name, made, constant_of(name, a, "constant")))


def _times(r: Reading, name: str, at: Attributes, a: Known, b: Known) -> Value:
    value, constant = (a, b) if isinstance(a, Value) else (b, a)
    held = value_of(name, value)
    if isinstance(constant, Value):
        return r.building.join(name, [held, constant], "product")
    return r.building.times(name, held, r.of_sample(name, held, constant_of(name, constant, "constant")))


def _divided(r: Reading, name: str, at: Attributes, a: Known, b: Known) -> Value:
    if not isinstance(b, Value) and not r.whole(r.node.output[0]):
        return _times(r, name, at, a, np.asarray(1 / constant_of(name, b, "constant").astype(np.float64)))
    return r.building.join(name, _beside(r, name, a, b), "quotient")


def _power(r: Reading, name: str, at: Attributes, x: Known, exponent: Known) -> Value:
    if isinstance(x, Value) and not isinstance(exponent, Value):
        powers = set(constant_of(name, exponent, "exponent").ravel().tolist())
        if len(powers) == 1:
            return r.building.power(name, x, powers.pop())
    return r.building.join(name, _beside(r, name, x, exponent), "power")


def _beside(r: Reading, name: str, *given: Known) -> list[Value]:
    """Values and constants as values, of which one at least is one."""

    def array_of(value: Value, other: Known) -> Array:
        return r.of_sample(name, value, constant_of(name, other, "constant"))

    return r.building.beside_each_other(name, given, array_of)


def _bounded(largest: bool) -> Callable[..., Value]:
    """Max and Min: of a value and numbers its ends, of several values and arrays the join of them all."""

    def read(r: Reading, name: str, at: Attributes, *given: Known) -> Value:
        values = [value for value in given if isinstance(value, Value)]
        numbers = [value for value in given if isinstance(value, np.ndarray) and value.size == 1]
        others = [value for value in given if not any(value is number for number in numbers)]
        made = values[0]
        if len(others) > 1:
            how = "maximum" if largest else "minimum"
            made = r.building.join(name, _beside(r, name, *others), how)
        if not numbers:
            return made
        limits = [float(number.ravel()[0]) for number in numbers]
        low, high = (max(limits), np.inf) if largest else (-np.inf, min(limits))
        return r.building.clipped(name, made, low, high, r.dtype)

    return read


def _concat(r: Reading, name: str, at: Attributes, *given: Known) -> Value:
    values = [value for value in given if isinstance(value, Value)]
    if not values:
        raise refuse(name, "constants one after the other")
    axis = r.place(name, values[0], at["axis"])
    made = [
        value if isinstance(value, Value) else _after_others(r, f"{name}_{number}", values[0], value, axis)
        for number, value in enumerate(given)
    ]
    joined = r.building.join(name, made, "concat", axis) if len(made) > 1 else made[0]
    r.joined[joined] = axis, made
    return joined


def _after_others(r: Reading, name: str, like: Value, constant: Known, axis: int) -> Value:
    """A constant as a value to stand behind others along an axis: nothing of one of them, with a bias."""
    array = constant_of(name, constant, "value")
    if r.lead and array.ndim == len(like.theirs) + 1 and array.shape[0] == 1:
        array = array[0]
    if array.ndim != len(like.theirs) or 0 in array.shape:
        raise refuse(name, f"a constant of the shape {array.shape} beside samples of {like.theirs}")
    nothing = r.building.along(f"{name}_nothing", like, axis, ((),) * array.shape[axis])
    return r.building.plus(name, nothing, r.of_sample(name, nothing, array))


def _equal(r: Reading, name: str, at: Attributes, a: Known, b: Known) -> Any:
    """Where ids of an input are one of them: what padding masks are made of."""
    value, number = (a, b) if isinstance(a, Value) else (b, a)
    of, read = value_of(name, value), constant_of(name, number, "id")
    whole = read.dtype.kind in "iu" and r.whole(r.node.input[a is not value])
    if of.node is not None or read.size != 1 or not whole:
        raise refuse(name, "Equal of anything but ids of an input and a whole number")
    return Flags(of, int(read.ravel()[0]), equal=True)


def _not(r: Reading, name: str, at: Attributes, x: Known | Flags) -> Flags:
    if not isinstance(x, Flags):
        raise refuse(name, "Not of anything but a comparison of ids")
    return x.turned()


def _flags_behind(r: Reading, name: str, at: Attributes, x: Flags, axes: Known = None) -> Flags:
    """Unsqueeze: with axes of one entry behind the steps."""
    given = at["axes"] if axes is None else constant_of(name, axes, "axes").tolist()
    rank = len(x.of.theirs) + x.axes + r.lead
    if sorted(axis % (rank + len(given)) for axis in given) != [*range(rank, rank + len(given))]:
        raise refuse(name, "a comparison of ids with a new axis that is not behind the others")
    return replace(x, axes=x.axes + len(given))


def _flags_as(r: Reading, name: str, at: Attributes, x: Flags) -> Flags | Value:
    """Cast: 1 where the comparison holds, and 0."""
    return x if at["to"] == r.onnx.TensorProto.BOOL else _told(r, name, x)


def _told(r: Reading, name: str, flags: Flags) -> Value:
    """The numbers 1 and 0, nothing of which is learned."""
    root = flags.of.root
    if len(flags.of.theirs) != 1 or not r.embedded(root):
        raise refuse(name, "a comparison as numbers of anything but a sequence of ids of an embedding")
    made = r.building.told(name, flags)
    if not flags.axes:
        return made
    return r.building.reshaped(f"{name}_axes", made, (*made.theirs, *(1,) * flags.axes))


def _where(r: Reading, name: str, at: Attributes, flags: Known | Flags, yes: Known, no: Known) -> Value:
    """One value where ids are one of them, the other elsewhere; a number may be either."""
    if not isinstance(flags, Flags):
        raise refuse(name, "Where of anything but a comparison of ids")
    parts = []
    for number, (mask, given) in enumerate(((flags, yes), (flags.turned(), no))):
        if isinstance(given, Value):
            parts.append(_times(r, f"{name}_{number}", at, given, _told(r, f"{name}_{number}_there", mask)))
            continue
        constant = constant_of(name, given, "value")
        if constant.size != 1 or not np.isfinite(constant).all():
            raise refuse(name, "Where with a constant that is no finite number")
        if constant.any():
            there = _told(r, f"{name}_{number}_there", mask)
            parts.append(r.building.times(f"{name}_{number}", there, constant.reshape(())))
    if not parts:
        raise refuse(name, "Where of two zeros")
    return r.building.join(name, parts, "sum") if len(parts) > 1 else parts[0]


# What makes a comparison of ids, which is no layer by itself, and what is made of one.
FLAGS: dict[str, Callable[..., Any]] = {"Equal": _equal, "Not": _not, "Where": _where}
OF_FLAGS: dict[str, Callable[..., Any]] = {
    **FLAGS,
    "Unsqueeze": _flags_behind,
    "Cast": _flags_as,
    "Identity": lambda r, name, at, x: x,
}
NODES: dict[str, Callable[..., Any]] = {
    "Gemm": _gemm,
    "MatMul": _matmul,
    "Add": _add,
    "Sum": _add,
    "Sub": _subtract,
    "Mul": _times,
    "Div": _divided,
    "Pow": _power,
    "Sqrt": lambda r, name, at, x: r.building.power(name, value_of(name, x), 0.5),
    "Reciprocal": lambda r, name, at, x: r.building.power(name, value_of(name, x), -1),
    "Max": _bounded(largest=True),
    "Min": _bounded(largest=False),
    "Neg": lambda r, name, at, x: r.building.times(name, value_of(name, x), np.array(-1.0)),
    "Concat": _concat,
}
