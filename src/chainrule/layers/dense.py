r"""Dense: z = W x + b̂.

With δ = ∂J/∂z (Tutorial FC ①②③, Matrix notes §5-7), 1/m being in δ:
    ∂J/∂x = Wᵀ δ        ∂J/∂W = δ xᵀ        ∂J/∂b = δ 1
"""

from __future__ import annotations

from chainrule.base.errors import ShapeError
from chainrule.base.keywords import teach
from chainrule.base.scalars import check_flag
from chainrule.formulas import broadcast_samples, correlate, sum_positions, sum_samples
from chainrule.layers.base import Layer, Parameter, Shape, Value, Values, weights_and_bias
from chainrule.layers.checks import whole
from chainrule.layers.initializers import InitializerLike, given_initializer


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
        initializer: InitializerLike = None,
        bias_initializer: InitializerLike = None,
        name: str | None = None,
    ) -> None:
        self.units = whole(units, "Dense units")
        self.bias = check_flag("Dense bias", bias)
        self.initializer = given_initializer(initializer)
        self.bias_initializer = given_initializer(bias_initializer, "bias_initializer")
        self.name = name

    def forward(self, x: Value, W: Value, b: Value = None) -> Value:
        return W @ x + broadcast_samples(b) if self.bias else W @ x

    def delta(self, d: Value, W: Value) -> Value:
        return W.T @ d

    def gradients(self, d: Value, x: Value) -> Values:
        W = correlate(d, x)
        return {"W": W, "b": sum_samples(sum_positions(d))} if self.bias else {"W": W}

    def parameters(self, input_shape: Shape) -> dict[str, Parameter]:
        inputs = input_shape[-1]
        W = Parameter((self.units, inputs), inputs, self.units, self.initializer)
        return weights_and_bias(W, self.units, self.bias, self.bias_initializer)

    def output_shape(self, input_shape: Shape) -> Shape:
        if len(input_shape) > 2:
            raise ShapeError(
                "Dense needs a vector or a sequence (steps, features) per sample, "
                f"received {input_shape}; put Flatten() before it"
            )
        return (*input_shape[:-1], self.units)
