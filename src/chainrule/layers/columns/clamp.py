r"""Clamp: predictions stay within a range; training is not touched by it.

training: z = x, ∂J/∂x = δ        prediction: z = min(max(x, low), high)
"""

from __future__ import annotations

import math
from typing import ClassVar

from chainrule.base.errors import ArgumentError
from chainrule.base.keywords import teach
from chainrule.base.scalars import check_number
from chainrule.formulas import maximum, minimum
from chainrule.layers.base import Layer, Value


class Clamp(Layer):
    """A prediction below `low` is `low`, one above `high` is `high`; a training pass is the identity.

    At the end of a network that predicts a quantity it keeps predictions within what the training data had.
    """

    kind = "clamp"
    family = "clamp"
    output: ClassVar[str] = "output"

    @teach("Clamp(-1.0, 1.0)")
    def __init__(self, low: float, high: float, *, name: str | None = None) -> None:
        check_number("Clamp low", low, -math.inf)
        check_number("Clamp high", high, -math.inf)
        self.low, self.high = float(low), float(high)
        if self.low > self.high:
            raise ArgumentError(f"Clamp low must be at most high={high}, received {low}")
        self.name = name

    def forward(self, x: Value) -> Value:
        return x

    def delta(self, d: Value) -> Value:
        return d

    def infer(self, x: Value) -> Value:
        return minimum(maximum(x, self.low), self.high)
