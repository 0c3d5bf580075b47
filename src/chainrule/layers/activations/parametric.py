r"""Parametric activations: a share of an activation for every unit, which is learned.

    a = (1 - α̂) ⊙ z + α̂ ⊙ f(z)        (z + α̂ ⊙ (f(z) - z) would cancel where |z| ≫ |f(z)|)
With ∂J/∂a = δ_a:
    ∂J/∂z = δ_a ⊙ (1 + α̂ ⊙ (f'(z) - 1))        ∂J/∂α = Σ δ_a ⊙ (f(z) - z)
"""

from __future__ import annotations

from typing import ClassVar

from chainrule.base.errors import describe
from chainrule.base.keywords import teach
from chainrule.base.scalars import check_choice
from chainrule.formulas import broadcast_samples, sum_positions, sum_samples
from chainrule.layers.activations.hard import HardSigmoid, HardSwish, HardTanh
from chainrule.layers.activations.rectifiers import ELU, SELU, LeakyReLU, ReLU
from chainrule.layers.activations.smooth import (
    GELU,
    Activation,
    Mish,
    Sigmoid,
    SiLU,
    Softplus,
    Softsign,
    Tanh,
)
from chainrule.layers.base import Layer, Parameter, Shape, Value, Values
from chainrule.layers.initializers import Initializer, Ones

ACTIVATIONS: dict[str, Activation] = {
    cls.kind: cls()
    for cls in (
        ReLU, LeakyReLU, ELU, SELU, Sigmoid, Tanh, Softsign, Softplus, GELU, SiLU, Mish,
        HardSigmoid, HardTanh, HardSwish,
    )
}  # fmt: skip


class ParametricActivation(Layer):
    """(1 - α) x + α f(x) with a learned α for every channel: f where α is 1, as at first, x where it is 0.

    activation: "selu", "mish", ... by name, with its default options. α is never penalised.
    Source: Holzmüller, Grinsztajn & Steinwart, Better by Default, 2024.
    """

    kind = "parametric"
    family = "parametric"
    passage = "activation"
    output = "activation"
    roles: ClassVar = {"x": "preactivation"}

    @teach("ParametricActivation('selu')")
    def __init__(self, activation: str, *, name: str | None = None) -> None:
        if isinstance(activation, Layer):
            kind = type(activation).kind
            raise TypeError(
                f"ParametricActivation takes the name of an activation, received {describe(activation)}: "
                f"write ParametricActivation({kind!r})"
            )
        self.activation = check_choice("ParametricActivation activation", activation, ACTIVATIONS)
        self.name = name

    @property
    def f(self) -> Activation:
        """The activation as a layer."""
        return ACTIVATIONS[self.activation]

    @property
    def kinks(self) -> tuple[float, ...]:
        return self.f.kinks

    @property
    def suits(self) -> Initializer:  # type: ignore[override]
        return self.f.suits

    def parameters(self, input_shape: Shape) -> dict[str, Parameter]:
        return {"alpha": Parameter(input_shape[-1:], initializer=Ones(), penalised=False)}

    def forward(self, x: Value, alpha: Value) -> Value:
        return broadcast_samples(1 - alpha) * x + broadcast_samples(alpha) * self.f.f(x)

    def delta(self, d: Value, x: Value, alpha: Value) -> Value:
        return d * (1 + broadcast_samples(alpha) * (self.f.df(x) - 1))

    def gradients(self, d: Value, x: Value) -> Values:
        return {"alpha": sum_samples(sum_positions(d * (self.f.f(x) - x)))}

    def entry_derivative(self, x: Value, alpha: Value) -> Value:
        return 1 + broadcast_samples(alpha) * (self.f.df(x) - 1)

    def branches(self, x: Value) -> Value:
        return self.f.branches(x)

    def traits(self) -> set[str]:
        return super().traits() | {"activation"} | ({"kinks"} if self.kinks else set())
