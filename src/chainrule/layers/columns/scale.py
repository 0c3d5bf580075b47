r"""Scale: every feature times a number that is learned.  Bias: a number that is learned added to it.

Scale    z = ŝ ⊙ x        ∂J/∂x = ŝ ⊙ δ        ∂J/∂s = Σ δ ⊙ x
Bias     z = x + b̂        ∂J/∂x = δ             ∂J/∂b = Σ δ
"""

from __future__ import annotations

from chainrule.base.keywords import teach
from chainrule.formulas import broadcast_samples, sum_positions, sum_samples
from chainrule.layers.base import Layer, Parameter, Shape, Value, Values
from chainrule.layers.initializers import InitializerLike, Ones, Zeros, given_initializer


class Scale(Layer):
    """A factor for every feature (channel), s (features,), which starts as 1: how much a column counts.

    In front of the first Dense layer of a table it learns which columns matter (Holzmüller et al., Better by
    Default, 2024). s is never penalised.
    """

    kind = "scale"
    family = "scale"

    @teach("Scale(): it finds out the features")
    def __init__(self, *, initializer: InitializerLike = None, name: str | None = None) -> None:
        self.initializer = given_initializer(initializer)
        self.name = name

    def parameters(self, input_shape: Shape) -> dict[str, Parameter]:
        return {"s": Parameter(input_shape[-1:], initializer=self.initializer or Ones(), penalised=False)}

    def forward(self, x: Value, s: Value) -> Value:
        return broadcast_samples(s) * x

    def delta(self, d: Value, s: Value) -> Value:
        return broadcast_samples(s) * d

    def gradients(self, d: Value, x: Value) -> Values:
        return {"s": sum_samples(sum_positions(d * x))}


class Bias(Layer):
    """A number for every feature (channel), b (features,), added to it; it starts as 0, never penalised.

    Where a `Dense` or a convolution stands in front of it its own bias is the same.
    """

    kind = "bias"
    family = "bias"

    @teach("Bias(): it finds out the features")
    def __init__(self, *, initializer: InitializerLike = None, name: str | None = None) -> None:
        self.initializer = given_initializer(initializer)
        self.name = name

    def parameters(self, input_shape: Shape) -> dict[str, Parameter]:
        return {"b": Parameter(input_shape[-1:], initializer=self.initializer or Zeros(), penalised=False)}

    def forward(self, x: Value, b: Value) -> Value:
        return x + broadcast_samples(b)

    def delta(self, d: Value) -> Value:
        return d

    def gradients(self, d: Value) -> Values:
        return {"b": sum_samples(sum_positions(d))}
