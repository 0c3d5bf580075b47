r"""Activations, entry by entry: each is f and its derivative f', and nothing else.

    a = f(z)        ∂J/∂z = ∂J/∂a ⊙ f'(z)        (the Hadamard factor of Tutorial FC ③ and ④)

Here are the base and the smooth ones. At a kink the derivative is a stated value: see rectifiers.py and
hard.py.
"""

from __future__ import annotations

import math
from typing import Any, ClassVar

import numpy as np

from chainrule.formulas import erf, exp, log1p, maximum, named, ones_like, tanh
from chainrule.layers.base import Layer, Value
from chainrule.layers.initializers import Glorot, He, Initializer


class Activation(Layer):
    """Base of the elementwise activations; a subclass supplies f(z) and df(z), and where f is not smooth.

    Where f is bounded it says from which f' on an entry is saturated, and where Glorot does not suit it what
    does.
    """

    passage = "activation"
    family = "activation"
    output = "activation"
    roles: ClassVar = {"x": "preactivation"}
    kinks: ClassVar[tuple[float, ...]] = ()
    suits: ClassVar[Initializer] = Glorot()

    @staticmethod
    def _by_position(value: Any) -> str:
        """What to write for Activation("relu"), which is the base of all of them."""
        from chainrule.base.foreign.values import ACTIVATIONS

        return f"{ACTIVATIONS.get(str(value).lower(), 'ReLU')}(), a layer behind the one it belongs to"

    def f(self, z: Value) -> Value:
        raise NotImplementedError(f"{type(self).__name__} must define f(self, z)")

    def df(self, z: Value) -> Value:
        raise NotImplementedError(f"{type(self).__name__} must define df(self, z)")

    def forward(self, x: Value) -> Value:
        return self.f(x)

    def delta(self, d: Value, x: Value) -> Value:
        return d * self.df(x)

    def entry_derivative(self, x: Value) -> Value:
        return self.df(x)

    def branches(self, x: Value) -> Value:
        return np.stack([x > kink for kink in self.kinks]) if self.kinks else None

    def traits(self) -> set[str]:
        return super().traits() | ({"kinks"} if self.kinks else set())


class Identity(Activation):
    """f(z) = z"""

    def f(self, z: Value) -> Value:
        return z

    def df(self, z: Value) -> Value:
        return ones_like(z)


class Sigmoid(Activation):
    """σ(z) = 1 / (1 + e^-z), in (0, 1); no overflow: e^-z may be inf, and 1 / (1 + inf) is the limit 0."""

    family = "sigmoid"
    saturated_below = 0.01  # |z| > 4.59

    def f(self, z: Value) -> Value:
        return 1 / (1 + exp(-z))

    def df(self, z: Value) -> Value:
        s = named("σ", self.f(z))
        return s * (1 - s)


class Tanh(Activation):
    """tanh z, in (-1, 1)"""

    family = "tanh"
    saturated_below = 0.04  # |z| > 2.29

    def f(self, z: Value) -> Value:
        return tanh(z)

    def df(self, z: Value) -> Value:
        return 1 - tanh(z) ** 2


class Softsign(Activation):
    """z / (1 + |z|), in (-1, 1): slower than tanh to its ends (Turian, Bergstra, Bengio 2009)."""

    kinks = (0.0,)  # f' has no jump there, but f'' has
    saturated_below = 0.01  # |z| > 9

    def f(self, z: Value) -> Value:
        return z / (1 + abs(z))

    def df(self, z: Value) -> Value:
        return (1 / (1 + abs(z))) ** 2  # 1 / (1 + |z|)², whose square would overflow


class Softplus(Activation):
    """log(1 + e^z), computed as max(z, 0) + log(1 + e^-|z|), which neither overflows nor cancels."""

    suits = He()

    def f(self, z: Value) -> Value:
        return maximum(z, 0) + log1p(exp(-abs(z)))

    def df(self, z: Value) -> Value:
        return 1 / (1 + exp(-z))


class GELU(Activation):
    """z Φ(z), Φ the normal distribution function by erf (exact, not the tanh approximation)."""

    suits = He()

    def _normal(self, z: Value) -> Value:
        return named("Φ", 0.5 * (1 + erf(z / math.sqrt(2))))

    def f(self, z: Value) -> Value:
        return z * self._normal(z)

    def df(self, z: Value) -> Value:
        density = named("φ", exp(-(z**2 / 2)) / math.sqrt(2 * math.pi))
        return self._normal(z) + z * density


class SiLU(Activation):
    """z σ(z) (Elfwing, Uchibe, Doya 2018), also known as Swish with β = 1."""

    suits = He()

    def _gate(self, z: Value) -> Value:
        return named("σ", 1 / (1 + exp(-z)))

    def f(self, z: Value) -> Value:
        return z * self._gate(z)

    def df(self, z: Value) -> Value:
        s = self._gate(z)
        return s * (1 + z * (1 - s))


class Mish(Activation):
    """z tanh(log(1 + e^z)) (Misra 2019); the softplus as in `Softplus`, which does not overflow."""

    suits = He()

    def _gate(self, z: Value) -> Value:
        return named("t", tanh(maximum(z, 0) + log1p(exp(-abs(z)))))

    def f(self, z: Value) -> Value:
        return z * self._gate(z)

    def df(self, z: Value) -> Value:
        t = self._gate(z)
        return t + z * (1 - t**2) / (1 + exp(-z))
