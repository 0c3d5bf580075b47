"""Flatten: (H, W, C) -> H·W·C in row-major order, the channel running fastest."""

from __future__ import annotations

import math
from typing import ClassVar

from chainrule.formulas import flatten, unflatten
from chainrule.layers.base import Layer, Shape, Value


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
