r"""Activations, entry by entry: each is f and its derivative f', and nothing else.

    a = f(z)        ∂J/∂z = ∂J/∂a ⊙ f'(z)        (the Hadamard factor of seed 000 FC ③ and ④)

At a kink the derivative is a stated value: ReLU'(0) = 0, LeakyReLU'(0) = slope.
"""

from __future__ import annotations

import math
from typing import Any, ClassVar

import numpy as np

from chainrule.formulas import erf, exp, greater, log1p, maximum, named, ones_like, tanh, where
from chainrule.keywords import teach
from chainrule.layers.base import Layer
from chainrule.layers.checks import KEYWORDS


class Activation(Layer):
    """Base of the elementwise activations; a subclass supplies f(z) and df(z), and where f is not smooth."""

    output = "activation"
    roles: ClassVar = {"x": "preactivation"}
    kinks: ClassVar[tuple[float, ...]] = ()

    def f(self, z: Any) -> Any:
        raise NotImplementedError(f"{type(self).__name__} must define f(self, z)")

    def df(self, z: Any) -> Any:
        raise NotImplementedError(f"{type(self).__name__} must define df(self, z)")

    def forward(self, x: Any) -> Any:
        return self.f(x)

    def delta(self, d: Any, x: Any) -> Any:
        return d * self.df(x)

    def branches(self, x: Any) -> Any:
        return np.stack([x > kink for kink in self.kinks]) if self.kinks else None


class Identity(Activation):
    """f(z) = z"""

    def f(self, z: Any) -> Any:
        return z

    def df(self, z: Any) -> Any:
        return ones_like(z)


class Sigmoid(Activation):
    """σ(z) = 1 / (1 + e^-z), in (0, 1); no overflow: e^-z may be inf, and 1 / (1 + inf) is the limit 0."""

    def f(self, z: Any) -> Any:
        return 1 / (1 + exp(-z))

    def df(self, z: Any) -> Any:
        s = named("σ", self.f(z))
        return s * (1 - s)


class Tanh(Activation):
    """tanh z, in (-1, 1)"""

    def f(self, z: Any) -> Any:
        return tanh(z)

    def df(self, z: Any) -> Any:
        return 1 - tanh(z) ** 2


class ReLU(Activation):
    """max(z, 0); f'(0) = 0"""

    kinks = (0.0,)

    def f(self, z: Any) -> Any:
        return maximum(z, 0)

    def df(self, z: Any) -> Any:
        return greater(z, 0)


class LeakyReLU(Activation):
    """z where z > 0, slope · z elsewhere; f'(0) = slope"""

    kinks = (0.0,)

    @teach(KEYWORDS)
    def __init__(self, slope: float = 0.01, *, name: str | None = None) -> None:
        if isinstance(slope, bool) or not isinstance(slope, (int, float)) or not math.isfinite(slope):
            raise ValueError(f"LeakyReLU slope must be a finite number, received {slope!r}")
        self.slope = slope
        self.name = name

    def f(self, z: Any) -> Any:
        return where(greater(z, 0), z, self.slope * z)

    def df(self, z: Any) -> Any:
        return where(greater(z, 0), 1, self.slope)


class Softplus(Activation):
    """log(1 + e^z), computed as max(z, 0) + log(1 + e^-|z|), which neither overflows nor cancels."""

    def f(self, z: Any) -> Any:
        return maximum(z, 0) + log1p(exp(-abs(z)))

    def df(self, z: Any) -> Any:
        return 1 / (1 + exp(-z))


class GELU(Activation):
    """z Φ(z), Φ the normal distribution function by erf (exact, not the tanh approximation)."""

    def _normal(self, z: Any) -> Any:
        return named("Φ", 0.5 * (1 + erf(z / math.sqrt(2))))

    def f(self, z: Any) -> Any:
        return z * self._normal(z)

    def df(self, z: Any) -> Any:
        density = named("φ", exp(-(z**2 / 2)) / math.sqrt(2 * math.pi))
        return self._normal(z) + z * density
