r"""Scale: every feature times a number that is learned.

z = ŝ ⊙ x        ∂J/∂x = ŝ ⊙ δ        ∂J/∂s = Σ δ ⊙ x
"""

from __future__ import annotations

from chainrule.base.keywords import teach
from chainrule.formulas import broadcast_samples, sum_positions, sum_samples
from chainrule.layers.base import Layer, Parameter, Shape, Value, Values
from chainrule.layers.initializers import InitializerLike, Ones, given_initializer


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
