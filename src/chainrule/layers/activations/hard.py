"""Hard activations: straight lines in place of sigmoid, tanh and SiLU; the derivative at a kink is stated.

hard sigmoid (z + 3) / 6 between -3 and 3, as PyTorch and Keras 3 have it (Keras 2: 0.2 z + 0.5)
"""

from __future__ import annotations

from chainrule.formulas import greater, maximum, minimum, where
from chainrule.layers.activations.smooth import Activation
from chainrule.layers.base import Value
from chainrule.layers.initializers import He

FLAT = 1e-12  # f' is 0 where it is cut off


class HardSigmoid(Activation):
    """z / 6 + ½, cut off at 0 and 1; f'(-3) = f'(3) = 0"""

    kinks = (-3.0, 3.0)
    saturated_below = FLAT

    def f(self, z: Value) -> Value:
        return minimum(maximum(z / 6 + 0.5, 0), 1)

    def df(self, z: Value) -> Value:
        return greater(3, abs(z)) / 6


class HardTanh(Activation):
    """z, cut off at -1 and 1; f'(-1) = f'(1) = 0"""

    kinks = (-1.0, 1.0)
    saturated_below = FLAT

    def f(self, z: Value) -> Value:
        return minimum(maximum(z, -1), 1)

    def df(self, z: Value) -> Value:
        return greater(1, abs(z))


class HardSwish(Activation):
    """z times the hard sigmoid of z (Howard et al. 2019); f'(-3) = 0, f'(3) = 1"""

    kinks = (-3.0, 3.0)
    suits = He()

    def f(self, z: Value) -> Value:
        return z * minimum(maximum(z / 6 + 0.5, 0), 1)

    def df(self, z: Value) -> Value:
        return where(greater(3, abs(z)), z / 3 + 0.5, greater(z, 0))
