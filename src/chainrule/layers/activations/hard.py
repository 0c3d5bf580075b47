"""Hard activations: straight lines in place of sigmoid, tanh and SiLU; the derivative at a kink is stated.

hard sigmoid (z + 3) / 6 between -3 and 3, as PyTorch and Keras 3 have it (Keras 2: 0.2 z + 0.5)
"""

from __future__ import annotations

import math

from chainrule.base.errors import ArgumentError
from chainrule.base.keywords import teach
from chainrule.base.scalars import check_number
from chainrule.formulas import greater, maximum, minimum, where
from chainrule.layers.activations.smooth import Activation
from chainrule.layers.base import Value
from chainrule.layers.initializers import He

FLAT = 1e-12  # f' is 0 where it is cut off


class HardSigmoid(Activation):
    """z / 6 + ½, cut off at 0 and 1; f'(-3) = f'(3) = 0. With a slope and a shift of its own: slope · z +
    shift.
    """

    kinks = (-3.0, 3.0)
    saturated_below = FLAT

    @teach()
    def __init__(self, slope: float = 1 / 6, shift: float = 0.5, *, name: str | None = None) -> None:
        check_number("HardSigmoid slope", slope, hint="write 0.2 for Keras 2 and ONNX")
        check_number("HardSigmoid shift", shift, -math.inf)
        self.slope, self.shift, self.name = float(slope), float(shift), name
        if not self._plain:
            self.kinks = (-self.shift / self.slope, (1 - self.shift) / self.slope)

    @property
    def _plain(self) -> bool:
        return (self.slope, self.shift) == (1 / 6, 0.5)

    def f(self, z: Value) -> Value:
        line = z / 6 + 0.5 if self._plain else self.slope * z + self.shift
        return minimum(maximum(line, 0), 1)

    def df(self, z: Value) -> Value:
        if self._plain:
            return greater(3, abs(z)) / 6
        low, high = self.kinks
        return self.slope * (greater(z, low) * greater(high, z))


class HardTanh(Activation):
    """z, cut off at `low` and `high`, -1 and 1; f' = 0 at both"""

    kinks = (-1.0, 1.0)
    saturated_below = FLAT

    @teach()
    def __init__(self, low: float = -1.0, high: float = 1.0, *, name: str | None = None) -> None:
        check_number("HardTanh low", low, -math.inf)
        check_number("HardTanh high", high, -math.inf)
        if not low < high:
            raise ArgumentError(f"HardTanh low must be below high, received {low:g} and {high:g}")
        self.low, self.high, self.name = float(low), float(high), name
        self.kinks = (self.low, self.high)

    def f(self, z: Value) -> Value:
        return minimum(maximum(z, self.low), self.high)

    def df(self, z: Value) -> Value:
        if self.low == -self.high:
            return greater(self.high, abs(z))
        return greater(z, self.low) * greater(self.high, z)


class ReLU6(Activation):
    """min(max(z, 0), 6) (Krizhevsky 2010); f'(0) = f'(6) = 0"""

    kinks = (0.0, 6.0)
    suits = He()

    def f(self, z: Value) -> Value:
        return minimum(maximum(z, 0), 6)

    def df(self, z: Value) -> Value:
        return greater(z, 0) * greater(6, z)


class HardSwish(Activation):
    """z times the hard sigmoid of z (Howard et al. 2019); f'(-3) = 0, f'(3) = 1"""

    kinks = (-3.0, 3.0)
    suits = He()

    def f(self, z: Value) -> Value:
        return z * minimum(maximum(z / 6 + 0.5, 0), 1)

    def df(self, z: Value) -> Value:
        return where(greater(3, abs(z)), z / 3 + 0.5, greater(z, 0))
