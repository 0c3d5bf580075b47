r"""Softmax: a_k = e^{z_k} / Σ_j e^{z_j}, over the features of a vector or the channels of a pixel.

It is not elementwise: Tutorial FC ④ with a Hadamard factor is wrong here, the Jacobian diag(a) - a aᵀ is
full.
    ∂J/∂z = a ⊙ (∂J/∂a - Σ_k a_k ∂J/∂a_k)
Its logarithm has  ∂J/∂z = ∂J/∂a - e^a Σ_k ∂J/∂a_k.
"""

from __future__ import annotations

from typing import ClassVar

from chainrule.formulas import exp, largest_feature, log1p, max_features, named, sum_features
from chainrule.layers.base import Layer, Shape, Value
from chainrule.layers.initializers import Glorot


class Softmax(Layer):
    """Positive outputs that sum to 1.  The largest z is subtracted first, against overflow.

    ShapeError for a single feature or channel, which would always be 1.
    """

    kind = "softmax"
    passage = "activation"
    family = "softmax"
    output = "activation"
    roles: ClassVar = {"x": "preactivation"}
    suits = Glorot()

    def forward(self, x: Value) -> Value:
        t = named("t", exp(x - max_features(x)))
        return t / sum_features(t)

    def delta(self, d: Value, a: Value) -> Value:
        return a * (d - sum_features(a * d))

    def constant(self, input_shape: Shape) -> str | None:
        if input_shape[-1] > 1:
            return None
        return (
            f"{self!r} over the one value in the last axis of its input {input_shape} is always 1, whatever "
            "the input, and hands no δ down; for two classes write Sigmoid(), or Dense(2) before it"
        )


class LogSoftmax(Layer):
    """The logarithm of Softmax, z - log Σ_j e^{z_j}, finite however small a probability is.

    As there the largest z is subtracted first, and its e^0 = 1 stays out of the sum, which would swallow a
    small rest. ShapeError for a single feature or channel, which would always be 0.
    """

    kind = "logsoftmax"
    passage = "activation"
    family = "log softmax"
    output = "activation"
    roles: ClassVar = {"x": "preactivation"}
    suits = Glorot()

    def forward(self, x: Value) -> Value:
        s = named("s", x - max_features(x))
        return s - log1p(sum_features((1 - largest_feature(x)) * exp(s)))

    def delta(self, d: Value, a: Value) -> Value:
        return d - exp(a) * sum_features(d)

    def constant(self, input_shape: Shape) -> str | None:
        if input_shape[-1] > 1:
            return None
        return (
            f"{self!r} over the one value in the last axis of its input {input_shape} is always 0, whatever "
            "the input, and hands no δ down; for two classes write Sigmoid(), or Dense(2) before it"
        )
