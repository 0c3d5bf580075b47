r"""A sample's axes: made one, turned, cut anew, or mixed along one of them.

Flatten     (H, W, C) -> H·W·C in row-major order, the channel running fastest
Permute     z_{j,k,i} = x_{i,j,k}             ∂J/∂x is δ with the axes put back
Reshape     z = x, row by row in another shape    ∂J/∂x is δ in that of x
Resample    z_u = Σ_i A_{u,i} x_i along an axis    ∂J/∂x_i = Σ_u A_{u,i} δ_u, with A fixed
"""

from __future__ import annotations

import math
import operator
from collections.abc import Sequence
from numbers import Integral
from typing import Any, ClassVar

import numpy as np

from chainrule.base.errors import ArgumentError, ShapeError, describe
from chainrule.base.keywords import teach
from chainrule.base.scalars import entries
from chainrule.formulas import along, flatten, permuted, reshaped, unflatten
from chainrule.formulas.primitives.axes import Taps, inverse, transposed
from chainrule.layers.base import Layer, Shape, Value
from chainrule.layers.checks import whole


class Flatten(Layer):
    """An image as a vector: entry (i, j, c) becomes entry (i·W + j)·C + c."""

    kind = "flatten"
    family = "flatten"
    output = "output"
    roles: ClassVar = {"x": "image"}

    def forward(self, x: Value) -> Value:
        return flatten(x)

    def delta(self, d: Value, x: Value) -> Value:
        return unflatten(d, like=x)

    def output_shape(self, input_shape: Shape) -> Shape:
        return (math.prod(input_shape),)


class Permute(Layer):
    """The axes of a sample in another order: axis n of what comes out is axis order[n] of the input, from 0.

    Permute((1, 0)) turns steps and features about, Permute((2, 0, 1)) brings channels to the front.
    ShapeError for an input of another number of axes. A mask of steps ends here.
    """

    kind = "permute"
    family = "permute"
    output = "output"

    @teach("the axes in their new order, from 0: Permute((1, 0))")
    def __init__(self, order: Sequence[int], *, name: str | None = None) -> None:
        self.order = _whole_numbers(order, "Permute order", "(1, 0)", 0)
        if sorted(self.order) != list(range(len(self.order))):
            every = ", ".join(map(str, range(len(self.order))))
            raise ArgumentError(
                f"Permute order must have each of {every} once, the axes of a sample from 0, received "
                f"{describe(order)}"
            )
        self.name = name

    def forward(self, x: Value) -> Value:
        return permuted(x, order=self.order)

    def delta(self, d: Value) -> Value:
        return permuted(d, order=inverse(self.order))

    def output_shape(self, input_shape: Shape) -> Shape:
        if len(input_shape) != len(self.order):
            raise ShapeError(
                f"{self!r} needs a sample of {len(self.order)} axes, received {input_shape}; write the order "
                f"of its {len(input_shape)}"
            )
        return tuple(input_shape[axis] for axis in self.order)


class Reshape(Layer):
    """A sample's entries, row by row, in another shape of as many: Reshape((4, 4, 2)) of a vector of 32.

    One size may be -1: what is left over. ShapeError where the entries are more or fewer. A mask ends here.
    """

    kind = "reshape"
    family = "reshape"
    output = "output"

    @teach("the shape of a sample: Reshape((4, 4, 2))")
    def __init__(self, shape: Sequence[int], *, name: str | None = None) -> None:
        self.shape = _whole_numbers(shape, "Reshape shape", "(4, 4, 2)", -1)
        if any(size < 1 and size != -1 for size in self.shape) or self.shape.count(-1) > 1:
            raise ArgumentError(
                "Reshape shape must have sizes of at least 1, one of which may be -1, received "
                f"{describe(shape)}"
            )
        self.name = name

    def forward(self, x: Value) -> Value:
        return reshaped(x, shape=self.shape)

    def delta(self, d: Value, x: Value) -> Value:
        return unflatten(flatten(d), like=x)

    def output_shape(self, input_shape: Shape) -> Shape:
        count, known = math.prod(input_shape), abs(math.prod(self.shape))
        if count != known if -1 not in self.shape else count % known:
            raise ShapeError(
                f"{self!r} does not fit the {count} entries of its input {input_shape}; write sizes whose "
                f"product is {count}"
            )
        return tuple(count // known if size == -1 else size for size in self.shape)


class Resample(Layer):
    """Every place along an axis as a fixed sum of others: z_u = Σ_i A_{u,i} x_i, what comes between pixels.

    axis: of a sample, from 0: the last one is that of features.
    weights: A, (places made, places there are), or for every place made the pairs (i, A_{u,i}) not 0.
    size: how many places there are, where pairs are given.
    ArgumentError for weights that are no such numbers, ShapeError for an axis of another size.
    """

    kind = "resample"
    family = "resample"
    output = "output"

    @teach("an axis and a matrix (places made, places there are): Resample(0, [[0.5, 0.5]])")
    def __init__(self, axis: int, weights: Any, size: int | None = None, *, name: str | None = None) -> None:
        self.axis = whole(axis, "Resample axis", 0)
        self.weights, self.size = _taps(weights, size)
        self.name = name

    def forward(self, x: Value) -> Value:
        return along(x, axis=self.axis, taps=self.weights, size=self.size)

    def delta(self, d: Value) -> Value:
        taps = transposed(self.weights, self.size)
        return along(d, axis=self.axis, taps=taps, size=len(self.weights), back=True)

    def output_shape(self, input_shape: Shape) -> Shape:
        if self.axis >= len(input_shape) or input_shape[self.axis] != self.size:
            raise ShapeError(
                f"Resample(axis={self.axis}) with weights of {self.size} places needs as many along that "
                f"axis, received {input_shape}"
            )
        sizes = list(input_shape)
        sizes[self.axis] = len(self.weights)
        return tuple(sizes)

    def __repr__(self) -> str:
        return f"Resample({self.axis}, ..., {self.size} -> {len(self.weights)})"


def _whole_numbers(value: Any, argument: str, example: str, minimum: int) -> tuple[int, ...]:
    """A sequence of integers, at least one; a single one stands for itself."""
    single = isinstance(value, Integral) and not isinstance(value, bool)
    given = [value] if single else entries(value)
    if not given:
        raise ArgumentError(f"{argument} must be integers such as {example}, received {describe(value)}")
    return tuple(whole(n, f"{argument}[{place}]", minimum) for place, n in enumerate(given))


def _taps(weights: Any, size: int | None) -> tuple[Taps, int]:
    """(for every place made the pairs that are not 0, how many places there are)."""
    try:
        if size is None:
            matrix = np.asarray(weights, np.float64)
            table = matrix.reshape(len(matrix), -1)
            rows = [[(int(i), float(row[i])) for i in np.flatnonzero(row)] for row in table]
            there = matrix.shape[1] if matrix.ndim == 2 else 0
        else:
            rows = [[(operator.index(place), float(weight)) for place, weight in row] for row in weights]
            there = whole(size, "Resample size")
    except (TypeError, ValueError, OverflowError) as error:
        if isinstance(error, ShapeError):
            raise
        rows, there = [], 0
    taps = tuple(tuple((int(place), float(weight)) for place, weight in row) for row in rows)
    right = all(0 <= place < there and math.isfinite(weight) for row in taps for place, weight in row)
    if not taps or not there or not right:
        raise ArgumentError(
            "Resample weights must be a matrix of finite numbers, (places made, places there are), or for "
            f"every place made its pairs (place, weight) beside size=, received {describe(weights)}"
        )
    return taps, there
