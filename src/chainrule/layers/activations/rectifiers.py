"""Rectifiers: z where z > 0, something small elsewhere.

The derivative at 0 is that of z < 0: ReLU'(0) = 0, LeakyReLU'(0) = slope, ELU'(0) = α, SELU'(0) = λ α,
PReLU'(0) = α, CELU'(0) = 1; Threshold' is 0 at its threshold.
"""

from __future__ import annotations

import math
from typing import Any, ClassVar

from chainrule.base.keywords import teach
from chainrule.base.scalars import check_flag, check_number
from chainrule.formulas import (
    broadcast_samples,
    exp,
    expm1,
    greater,
    maximum,
    sum_features,
    sum_positions,
    sum_samples,
    where,
)
from chainrule.layers.activations.smooth import Activation
from chainrule.layers.base import Layer, Parameter, Shape, Value, Values
from chainrule.layers.initializers import Constant, He, ScaledNormal


class ReLU(Activation):
    """max(z, 0); f'(0) = 0"""

    family = "relu"
    kinks = (0.0,)
    suits = He()

    def f(self, z: Value) -> Value:
        return maximum(z, 0)

    def df(self, z: Value) -> Value:
        return greater(z, 0)


class LeakyReLU(Activation):
    """z where z > 0, slope · z elsewhere; f'(0) = slope"""

    kinks = (0.0,)
    suits = He()

    @teach()
    def __init__(self, slope: float = 0.01, *, name: str | None = None) -> None:
        self.slope = _finite(slope, "LeakyReLU slope")
        self.name = name

    def f(self, z: Value) -> Value:
        return where(greater(z, 0), z, self.slope * z)

    def df(self, z: Value) -> Value:
        return where(greater(z, 0), 1, self.slope)


class PReLU(Layer):
    """z where z > 0, α z elsewhere, with a learned α for every channel (He et al. 2015); f'(0) = α.

    initial: where every α starts. They are never penalised: a penalty would pull PReLU to ReLU.
    shared=True: one α for all channels.
    """

    passage = "activation"
    output = "activation"
    roles: ClassVar = {"x": "preactivation"}
    suits = He()

    @teach()
    def __init__(self, initial: float = 0.25, *, shared: bool = False, name: str | None = None) -> None:
        self.initial = _finite(initial, "PReLU initial")
        self.shared = check_flag("PReLU shared", shared)
        self.name = name

    def parameters(self, input_shape: Shape) -> dict[str, Parameter]:
        shape = (1,) if self.shared else input_shape[-1:]
        return {"alpha": Parameter(shape, initializer=Constant(self.initial), penalised=False)}

    def forward(self, x: Value, alpha: Value) -> Value:
        return where(greater(x, 0), x, broadcast_samples(alpha) * x)

    def delta(self, d: Value, x: Value, alpha: Value) -> Value:
        return d * where(greater(x, 0), 1, broadcast_samples(alpha))

    def gradients(self, d: Value, x: Value) -> Values:
        terms = d * where(greater(x, 0), 0, x)
        return {"alpha": sum_samples(sum_positions(sum_features(terms) if self.shared else terms))}

    def branches(self, x: Value) -> Value:
        return x > 0

    def traits(self) -> set[str]:
        return super().traits() | {"activation", "kinks"}


class ELU(Activation):
    """z where z > 0, α (e^z - 1) elsewhere (Clevert, Unterthiner, Hochreiter 2016); f'(0) = α"""

    kinks = (0.0,)  # f' has no jump where α = 1, but f'' has
    suits = He()

    @teach()
    def __init__(self, alpha: float = 1.0, *, name: str | None = None) -> None:
        self.alpha = _finite(alpha, "ELU alpha")
        self.name = name

    def _scaled(self, value: Value) -> Value:
        return value if self.alpha == 1 else self.alpha * value

    def f(self, z: Value) -> Value:
        return where(greater(z, 0), z, self._scaled(expm1(z)))

    def df(self, z: Value) -> Value:
        return where(greater(z, 0), 1, self._scaled(exp(z)))


class CELU(Activation):
    """z where z > 0, α (e^{z/α} - 1) elsewhere, whose derivative has no jump (Barron 2017)"""

    kinks = (0.0,)  # f' has no jump there, but f'' has
    suits = He()

    @teach()
    def __init__(self, alpha: float = 1.0, *, name: str | None = None) -> None:
        check_number("CELU alpha", alpha)
        self.alpha, self.name = float(alpha), name

    def f(self, z: Value) -> Value:
        return where(greater(z, 0), z, expm1(z) if self.alpha == 1 else self.alpha * expm1(z / self.alpha))

    def df(self, z: Value) -> Value:
        return where(greater(z, 0), 1, exp(z if self.alpha == 1 else z / self.alpha))


class Threshold(Activation):
    """z where z > threshold, `value` elsewhere; f'(threshold) = 0"""

    kinks = (0.0,)
    suits = He()

    @teach("the threshold, and the value below it")
    def __init__(self, threshold: float = 0.0, value: float = 0.0, *, name: str | None = None) -> None:
        check_number("Threshold threshold", threshold, -math.inf)
        check_number("Threshold value", value, -math.inf)
        self.threshold, self.value, self.name = float(threshold), float(value), name
        self.kinks = (self.threshold,)

    def f(self, z: Value) -> Value:
        return where(greater(z, self.threshold), z, self.value)

    def df(self, z: Value) -> Value:
        return greater(z, self.threshold)


# The fixed point of mean 0 and variance 1 (Klambauer et al. 2017, appendix).
SELU_ALPHA, SELU_SCALE = 1.6732632423543772, 1.0507009873554805


class SELU(Activation):
    """λ z where z > 0, λ α (e^z - 1) elsewhere, λ = 1.0507, α = 1.6733 (Klambauer et al. 2017); f'(0) = λ α

    Weights start as N(0, 1/n_in), which the derivation of λ and α takes for granted. Other `alpha` and
    `scale` have another fixed point, or none.
    """

    kinks = (0.0,)
    suits = ScaledNormal()

    @teach()
    def __init__(
        self, alpha: float = SELU_ALPHA, scale: float = SELU_SCALE, *, name: str | None = None
    ) -> None:
        self.alpha, self.scale = _finite(alpha, "SELU alpha"), _finite(scale, "SELU scale")
        self.name = name

    def f(self, z: Value) -> Value:
        return self.scale * where(greater(z, 0), z, self.alpha * expm1(z))

    def df(self, z: Value) -> Value:
        return self.scale * where(greater(z, 0), 1, self.alpha * exp(z))


def _finite(value: Any, argument: str) -> float:
    check_number(argument, value, -math.inf)
    return value if isinstance(value, int) and abs(value) < 2**53 else float(value)
