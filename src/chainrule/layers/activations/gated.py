r"""Gated linear units: one half of the features times a gate that the other half opens.

a = z_1 ⊙ g(z_2)        ∂J/∂z_1 = δ ⊙ g(z_2)        ∂J/∂z_2 = δ ⊙ z_1 ⊙ g'(z_2)
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

from chainrule.base.errors import ShapeError
from chainrule.base.keywords import teach
from chainrule.base.scalars import check_choice
from chainrule.formulas import beside, gate, named
from chainrule.layers.activations.rectifiers import ReLU
from chainrule.layers.activations.smooth import GELU, Activation, Identity, Sigmoid, SiLU
from chainrule.layers.base import Layer, Shape, Value
from chainrule.layers.initializers import Glorot

GATES: Mapping[str, Activation] = {
    "sigmoid": Sigmoid(),
    "silu": SiLU(),
    "gelu": GELU(),
    "relu": ReLU(),
    "identity": Identity(),
}


class GLU(Layer):
    """z_1 ⊙ σ(z_2): the first half of the features, times the gate of the second (Dauphin et al. 2017).

    (…, 2n) -> (…, n): Dense(2 * n) in front of it has both. gate: what opens it, "sigmoid", "silu" (SwiGLU),
    "gelu" (GEGLU), "relu" (ReGLU) or "identity" (bilinear; Shazeer 2020). ShapeError for an odd number of
    features.
    """

    kind = "glu"
    passage = "activation"
    family = "gated"
    output = "activation"
    roles: ClassVar = {"x": "preactivation"}
    suits = Glorot()

    @teach()
    def __init__(self, gate: str = "sigmoid", *, name: str | None = None) -> None:
        self.gate, self.name = check_choice("GLU gate", gate, GATES), name

    @property
    def _g(self) -> Activation:
        return GATES[self.gate]

    def output_shape(self, input_shape: Shape) -> Shape:
        if input_shape[-1] % 2:
            raise ShapeError(
                f"{self!r} takes an even number of features, one half and its gates, received "
                f"{input_shape}: write "
                f"Dense({input_shape[-1] + 1}) before it, say"
            )
        return (*input_shape[:-1], input_shape[-1] // 2)

    def forward(self, x: Value) -> Value:
        return self._half(x, "1") * self._g.f(self._half(x, "2"))

    def delta(self, d: Value, x: Value) -> Value:
        opened = named("g", self._g.f(self._half(x, "2")))
        return beside(d * opened, d * self._half(x, "1") * self._g.df(self._half(x, "2")))

    def branches(self, x: Value) -> Value:
        return self._g.branches(self._half(x, "2"))

    def traits(self) -> set[str]:
        return super().traits() | {"activation"} | ({"kinks"} if self._g.kinks else set())

    def _half(self, x: Value, which: str) -> Value:
        return gate(x, gate=which, gates="12")


class SwiGLU(GLU):
    """z_1 ⊙ z_2 σ(z_2): GLU with SiLU as its gate (Shazeer 2020)."""

    kind = "swiglu"

    @teach("nothing in the parentheses, or name='...'")
    def __init__(self, *, name: str | None = None) -> None:
        super().__init__("silu", name=name)
