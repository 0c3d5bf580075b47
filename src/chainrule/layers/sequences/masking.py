r"""Masking: which steps of a sequence are there, and which are padding.

z_t = x_t [x_t ≠ v]        ∂J/∂x_t = δ_t [x_t ≠ v]
"""

from __future__ import annotations

import math

import numpy as np

from chainrule.base.errors import ArgumentError, ShapeError, describe
from chainrule.base.keywords import teach
from chainrule.base.scalars import finite_number
from chainrule.formulas import absolute, greater, max_features
from chainrule.layers.base import Layer, Shape, Value

# Stands for a number of a masked step where a maximum or a softmax is taken: below every number there is.
UNSEEN = -math.inf


class Masking(Layer):
    """A step whose features all equal `value` is padding: (T, F) -> (T, F) with zeros in its place.

    The layers behind it that read sequences (RNN, LSTM, GRU) pass over such steps, wherever they stand. The
    mask goes on through every layer that keeps the steps.
    """

    kind = "masking"
    family = "masking"
    output = "output"

    @teach("the number that stands for padding only: Masking(value=0.0)")
    def __init__(self, value: float = 0.0, *, name: str | None = None) -> None:
        with np.errstate(over="ignore"):
            if not finite_number(value) or float(np.float32(value)) != value:
                raise ArgumentError(
                    "Masking value must be a number that float32 holds exactly, such as 0, -1 or 0.5, "
                    f"received {describe(value)}"
                )
        self.value = float(value)
        self.name = name

    def forward(self, x: Value) -> Value:
        return x * self.there(x)

    def delta(self, d: Value, x: Value) -> Value:
        return d * self.there(x)

    def there(self, x: Value) -> Value:
        """[some feature of the step is not `value`]: (T, 1, m)."""
        return max_features(greater(absolute(x - self.value), 0.0))

    def mask(self, x: Value) -> Value:
        return self.there(x)[:, 0, :]

    def branches(self, x: Value) -> Value:
        return self.there(x)

    def output_shape(self, input_shape: Shape) -> Shape:
        if len(input_shape) != 2:
            raise ShapeError(
                f"Masking needs a sequence (steps, features) per sample, received {input_shape}; give the "
                "network a sequence as input_shape, such as (100, 3)"
            )
        return input_shape
