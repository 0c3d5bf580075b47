"""Shrinks: what lies near 0 becomes 0, or smaller; the derivative at the end of that band is 0.

hard    z where |z| > λ, else 0        soft    z ∓ λ where |z| > λ, else 0        tanh    z - tanh z
"""

from __future__ import annotations

from chainrule.base.keywords import teach
from chainrule.base.scalars import check_number
from chainrule.formulas import Expression, Named, Number, greater, maximum, minimum, tanh, where
from chainrule.layers.activations.smooth import Activation
from chainrule.layers.base import Value


def _width(lam: float, z: Value) -> Value:
    """λ, which prints by its letter."""
    return Named("λ", Number(lam)) if isinstance(z, Expression) else lam


class HardShrink(Activation):
    """z where |z| > λ, 0 elsewhere; f'(±λ) = 0"""

    kinks = (-0.5, 0.5)

    @teach()
    def __init__(self, lam: float = 0.5, *, name: str | None = None) -> None:
        check_number("HardShrink lam", lam, include_low=True)
        self.lam, self.name = float(lam), name
        self.kinks = (-self.lam, self.lam)

    def f(self, z: Value) -> Value:
        return where(greater(abs(z), _width(self.lam, z)), z, 0)

    def df(self, z: Value) -> Value:
        return greater(abs(z), _width(self.lam, z))


class SoftShrink(Activation):
    """z - λ where z > λ, z + λ where z < -λ, 0 between: what L1 of weight λ makes of z; f'(±λ) = 0"""

    kinks = (-0.5, 0.5)

    @teach()
    def __init__(self, lam: float = 0.5, *, name: str | None = None) -> None:
        check_number("SoftShrink lam", lam, include_low=True)
        self.lam, self.name = float(lam), name
        self.kinks = (-self.lam, self.lam)

    def f(self, z: Value) -> Value:
        width = _width(self.lam, z)
        return z - minimum(maximum(z, -width), width)

    def df(self, z: Value) -> Value:
        return greater(abs(z), _width(self.lam, z))


class TanhShrink(Activation):
    """z - tanh z"""

    def f(self, z: Value) -> Value:
        return z - tanh(z)

    def df(self, z: Value) -> Value:
        return tanh(z) ** 2
