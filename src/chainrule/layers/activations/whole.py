r"""Whole numbers, and numbers that go round: steps of derivative 0, and a saw of derivative 1.

floor   ⌊z⌋, or without its fraction to 0        f′ = 0
wrap    z - n ⌊(z - low) / n⌋, n = high - low     f′ = 1; not beyond [low, high) where z has no such digits
At the jumps the derivative is what it is beside them.
"""

from __future__ import annotations

import math

from chainrule.base.errors import ArgumentError
from chainrule.base.keywords import teach
from chainrule.base.scalars import check_flag, check_number
from chainrule.formulas import floor, greater, maximum, minimum, named, ones_like, where, zeros_like
from chainrule.layers.activations.smooth import Activation
from chainrule.layers.base import Value


class Floor(Activation):
    """⌊z⌋, the whole number at or below z; f′ = 0: nothing below it learns.

    toward_zero=True: z without its fraction, as C and ONNX divide whole numbers.
    """

    kinks = (-1.0, 0.0, 1.0)  # and all other whole numbers

    @teach()
    def __init__(self, *, toward_zero: bool = False, name: str | None = None) -> None:
        self.toward_zero, self.name = check_flag("Floor toward_zero", toward_zero), name

    def f(self, z: Value) -> Value:
        return where(greater(z, 0), floor(z), -floor(-z)) if self.toward_zero else floor(z)

    def df(self, z: Value) -> Value:
        return zeros_like(z)

    def branches(self, x: Value) -> Value:
        return self.f(x)


class Wrap(Activation):
    """z brought into [low, high) by steps of high - low: angles, hours of a day, whole numbers of so many
    bits; f′ = 1.
    """

    kinks = (-math.pi, math.pi)  # and all others of their distance

    @teach()
    def __init__(self, low: float = -math.pi, high: float = math.pi, *, name: str | None = None) -> None:
        check_number("Wrap low", low, -math.inf)
        check_number("Wrap high", high, -math.inf)
        self.low, self.high, self.name = float(low), float(high), name
        if self.low >= self.high:
            raise ArgumentError(f"Wrap high must be above low={low}, received {high}")
        self.kinks = (self.low, self.high)

    def _turns(self, z: Value) -> Value:
        return floor((z - self.low if self.low else z) / (self.high - self.low))

    def f(self, z: Value) -> Value:
        n = self.high - self.low
        r = named("r", z - n * self._turns(z))
        return maximum(where(greater(self.high, r), r, minimum(r, self.high) - n), self.low)

    def df(self, z: Value) -> Value:
        return ones_like(z)

    def branches(self, x: Value) -> Value:
        return self._turns(x)
