r"""Activations, entry by entry: each is f and its derivative f', and nothing else.

    a = f(z)        ∂J/∂z = ∂J/∂a ⊙ f'(z)        (the Hadamard factor of Tutorial FC ③ and ④)

Here are the base and the smooth ones. At a kink the derivative is a stated value: see rectifiers.py, hard.py
and shrinks.py.
"""

from __future__ import annotations

import math
from typing import Any, ClassVar

import numpy as np

from chainrule.base.keywords import teach
from chainrule.base.scalars import check_choice, check_number
from chainrule.formulas import erf, exp, greater, log1p, maximum, named, ones_like, tanh, where
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
    kinks: tuple[float, ...] = ()  # of the class as it is made without options
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


class LogSigmoid(Activation):
    """log σ(z) = min(z, 0) - log(1 + e^-|z|), finite however small σ(z) is."""

    suits = He()

    def f(self, z: Value) -> Value:
        return -(maximum(-z, 0) + log1p(exp(-abs(z))))

    def df(self, z: Value) -> Value:
        return 1 / (1 + exp(z))


class Softplus(Activation):
    """log(1 + e^{βz}) / β, computed as max(z, 0) + log(1 + e^{-β|z|}) / β, which neither overflows nor
    cancels.

    threshold: z itself where βz is beyond it, as PyTorch has it with 20; None: the formula everywhere, which
    differs from z there by less than e^-20 / β and needs no such help.
    """

    suits = He()

    @teach()
    def __init__(self, beta: float = 1.0, threshold: float | None = None, *, name: str | None = None) -> None:
        check_number("Softplus beta", beta)
        if threshold is not None:
            check_number("Softplus threshold", threshold, hint="None has the formula everywhere")
            self.kinks = (float(threshold) / float(beta),)
        self.beta, self.name = float(beta), name
        self.threshold = None if threshold is None else float(threshold)

    def f(self, z: Value) -> Value:
        soft = log1p(exp(-self._steep(abs(z))))
        return self._linear(z, z, maximum(z, 0) + (soft if self.beta == 1 else soft / self.beta))

    def df(self, z: Value) -> Value:
        return self._linear(z, 1, 1 / (1 + exp(-self._steep(z))))

    def _steep(self, z: Value) -> Value:
        return z if self.beta == 1 else self.beta * z

    def _linear(self, z: Value, beyond: Value, formula: Value) -> Value:
        if self.threshold is None:
            return formula
        return where(greater(z, self.threshold / self.beta), beyond, formula)


# tanh(√(2/π) (z + c z³)) is 2Φ(z) - 1 to 5e-4 (Hendrycks, Gimpel 2016).
GELU_CUBE = 0.044715


class GELU(Activation):
    """z Φ(z), Φ the normal distribution function by erf; approximate="tanh": ½ (1 + tanh(√(2/π) (z + 0.044715
    z³))) in place of Φ (Hendrycks, Gimpel 2016), as GPT-2 has it.
    """

    suits = He()

    @teach("nothing in the parentheses, or approximate='tanh'")
    def __init__(self, *, approximate: str | bool = "none", name: str | None = None) -> None:
        if isinstance(approximate, bool | np.bool_):  # Keras and JAX
            approximate = "tanh" if approximate else "none"
        self.approximate = check_choice("GELU approximate", approximate, ("none", "tanh"))
        self.name = name

    def _normal(self, z: Value) -> Value:
        if self.approximate == "tanh":
            return named("Φ", 0.5 * (1 + self._tanh(z)))
        return named("Φ", 0.5 * (1 + erf(z / math.sqrt(2))))

    def _tanh(self, z: Value) -> Value:
        return named("t", tanh(math.sqrt(2 / math.pi) * (z + GELU_CUBE * z**3)))

    def f(self, z: Value) -> Value:
        return z * self._normal(z)

    def df(self, z: Value) -> Value:
        if self.approximate == "tanh":
            bell = named("s", z * (1 - self._tanh(z) ** 2))  # 0 far out, where z² would be infinite
            return self._normal(z) + math.sqrt(1 / (2 * math.pi)) * (bell + 3 * GELU_CUBE * bell * z * z)
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
