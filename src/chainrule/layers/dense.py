r"""Dense: z = W x + b̂.

With δ = ∂J/∂z (seed 000 FC ①②③, seed 004 §5-7), 1/m being in δ:
    ∂J/∂x = Wᵀ δ        ∂J/∂W = δ xᵀ        ∂J/∂b = δ 1
"""

from __future__ import annotations

from typing import Any

from chainrule.base.errors import ShapeError
from chainrule.base.keywords import teach
from chainrule.base.scalars import check_flag
from chainrule.formulas import broadcast_samples, correlate, sum_positions, sum_samples
from chainrule.layers.base import Layer, Parameter, Shape
from chainrule.layers.checks import whole
from chainrule.layers.initializers import Zeros, initializer_from


class Dense(Layer):
    """Every output sees every input: x (n_in, m) -> z (units, m), W (units, n_in), b (units,).

    On a sequence (T, n_in) it acts on every step alike, -> (T, units); its gradients are sums over the steps.
    """

    kind = "dense"
    passage = "weights"
    family = "dense"

    @teach("the number of outputs only, Dense(10): the layer finds out its inputs")
    def __init__(
        self,
        units: int,
        *,
        bias: bool = True,
        initializer: Any = None,
        bias_initializer: Any = None,
        name: str | None = None,
    ) -> None:
        self.units = whole(units, "Dense units")
        self.bias = check_flag("Dense bias", bias)
        self.initializer = None if initializer is None else initializer_from(initializer)
        self.bias_initializer = (
            None if bias_initializer is None else initializer_from(bias_initializer, "bias_initializer")
        )
        self.name = name

    def forward(self, x: Any, W: Any, b: Any = None) -> Any:
        return W @ x + broadcast_samples(b) if self.bias else W @ x

    def delta(self, d: Any, W: Any) -> Any:
        return W.T @ d

    def gradients(self, d: Any, x: Any) -> dict[str, Any]:
        W = correlate(d, x)
        return {"W": W, "b": sum_samples(sum_positions(d))} if self.bias else {"W": W}

    def parameters(self, input_shape: Shape) -> dict[str, Parameter]:
        inputs = input_shape[-1]
        specs = {"W": Parameter((self.units, inputs), inputs, self.units, self.initializer)}
        if self.bias:
            start = self.bias_initializer or Zeros()
            specs["b"] = Parameter((self.units,), inputs, self.units, start, penalised=False)
        return specs

    def output_shape(self, input_shape: Shape) -> Shape:
        if len(input_shape) > 2:
            raise ShapeError(
                "Dense needs a vector or a sequence (steps, features) per sample, "
                f"received {input_shape}; put Flatten() before it"
            )
        return (*input_shape[:-1], self.units)
