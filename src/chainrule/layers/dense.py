r"""Dense: z = W x + b̂, in the NTK parametrisation z = W x / √n + b̂ with n inputs.

With δ = ∂J/∂z (Tutorial FC ①②③, Matrix notes §5-7), 1/m being in δ:
    ∂J/∂x = Wᵀ δ        ∂J/∂W = δ xᵀ        ∂J/∂b = δ 1
The factor 1/√n stands before both products where it stands before W x.

DenseTranspose: z = Wᵀ x + b̂, the way back of a dense layer with the same W.
    ∂J/∂x = W δ         ∂J/∂W = x δᵀ        ∂J/∂b = δ 1
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, ClassVar

from chainrule.base.errors import ShapeError, describe
from chainrule.base.keywords import teach
from chainrule.base.scalars import check_flag
from chainrule.formulas import broadcast_samples, correlate, count_features, sum_positions, sum_samples
from chainrule.layers.base import Layer, Parameter, Shape, Value, Values, weights_and_bias
from chainrule.layers.checks import whole
from chainrule.layers.initializers import InitializerLike, Normal, given_initializer


class _Product(Layer):
    """What both share: units, a bias, and a W that may be that of another layer."""

    passage = "weights"
    title: ClassVar[str]
    lenders: ClassVar[str]  # whose weights it may take

    def _take(
        self,
        units: int,
        bias: bool,
        initializer: InitializerLike,
        bias_initializer: InitializerLike,
        tied: Layer | str | None,
        name: str | None,
    ) -> None:
        self.units = whole(units, f"{self.title} units")
        if not (tied is None or isinstance(tied, (str, Layer))):
            raise TypeError(
                f"{self.title} tied must be {self.lenders} whose weights it takes, received {describe(tied)}"
            )
        self.tied = tied
        self.bias = check_flag(f"{self.title} bias", bias)
        self.initializer = given_initializer(initializer)
        self.bias_initializer = given_initializer(bias_initializer, "bias_initializer")
        self.name = name

    def config(self) -> dict[str, Any]:
        held = super().config()
        return held if self.tied is None else {**held, "tied": getattr(self.tied, "name", self.tied)}

    def output_shape(self, input_shape: Shape) -> Shape:
        if len(input_shape) > 2:
            raise ShapeError(
                f"{self.title} needs a vector or a sequence (steps, features) per sample, received "
                f"{input_shape}; put Flatten() before it"
            )
        return (*input_shape[:-1], self.units)


class Dense(_Product):
    """Every output sees every input: x (n_in, m) -> z (units, m), W (units, n_in), b (units,).

    On a sequence (T, n_in) it acts on every step alike, -> (T, units); its gradients are sums over the steps.

    ntk: divide W x by √n_in instead of starting with weights so small: W starts as N(0, 1), and one learning
    rate suits layers of every width (Jacot, Gabriel & Hongler, Neural Tangent Kernel, 2018).

    tied: an `Embedding` or a `Dense` of the same network, or its name, whose E or W is W here: one array, its
    gradient the sum over both; b is its own. Of an Embedding units is the vocabulary: z = E x + b, logits of
    the words (Press & Wolf, Using the Output Embedding, 2017).
    """

    kind = "dense"
    family = "dense"
    title, lenders = "Dense", "the Embedding or Dense"

    @teach("the number of outputs only, Dense(10): the layer finds out its inputs")
    def __init__(
        self,
        units: int,
        *,
        bias: bool = True,
        ntk: bool = False,
        initializer: InitializerLike = None,
        bias_initializer: InitializerLike = None,
        tied: Layer | str | None = None,
        name: str | None = None,
    ) -> None:
        self._take(units, bias, initializer, bias_initializer, tied, name)
        self.ntk = check_flag("Dense ntk", ntk)

    @property
    def ties(self) -> Mapping[str, str]:
        if self.tied is None:
            return {}
        return {"W": "E" if isinstance(self.tied, Layer) and "embedding" in self.tied.families else "W"}

    def forward(self, x: Value, W: Value, b: Value = None) -> Value:
        z = self._scaled(W @ x, W)
        return z + broadcast_samples(b) if self.bias else z

    def delta(self, d: Value, W: Value) -> Value:
        return self._scaled(W.T @ d, W)

    def divisor(self, input_shape: Shape) -> float:
        """What W x is divided by: √n of `ntk`, else 1."""
        return math.sqrt(input_shape[-1]) if self.ntk else 1.0

    def _scaled(self, product: Value, W: Value) -> Value:
        return product / count_features(W.T) ** 0.5 if self.ntk else product

    def gradients(self, d: Value, x: Value, W: Value = None) -> Values:
        W = self._scaled(correlate(d, x), W)
        return {"W": W, "b": sum_samples(sum_positions(d))} if self.bias else {"W": W}

    def parameters(self, input_shape: Shape) -> dict[str, Parameter]:
        inputs = input_shape[-1]
        start = self.initializer or (Normal(1.0) if self.ntk else None)
        W = Parameter((self.units, inputs), inputs, self.units, start)
        return weights_and_bias(W, self.units, self.bias, self.bias_initializer)


class DenseTranspose(_Product):
    """x (n_in, m) -> z (units, m) with W (n_in, units), b (units,): the decoder of an autoencoder.

        encoder = cr.Dense(32, name="encoder")
        cr.Network([encoder, cr.Tanh(), cr.DenseTranspose(784, tied=encoder)], input_shape=784)

    tied: a `Dense` of the same network, or its name, whose W (its units, its inputs) is W here: one array,
    its gradient the sum over both; units are the inputs of that layer, and b is its own. Without it W is its
    own. On a sequence (T, n_in) it acts on every step alike.
    """

    kind = "densetranspose"
    family = "transposed dense"
    title, lenders = "DenseTranspose", "the Dense"

    @teach("the number of outputs, DenseTranspose(784, tied=encoder)")
    def __init__(
        self,
        units: int,
        *,
        tied: Layer | str | None = None,
        bias: bool = True,
        initializer: InitializerLike = None,
        bias_initializer: InitializerLike = None,
        name: str | None = None,
    ) -> None:
        self._take(units, bias, initializer, bias_initializer, tied, name)

    @property
    def ties(self) -> Mapping[str, str]:
        return {} if self.tied is None else {"W": "W"}

    def forward(self, x: Value, W: Value, b: Value = None) -> Value:
        z = W.T @ x
        return z + broadcast_samples(b) if self.bias else z

    def delta(self, d: Value, W: Value) -> Value:
        return W @ d

    def gradients(self, d: Value, x: Value) -> Values:
        W = correlate(x, d)
        return {"W": W, "b": sum_samples(sum_positions(d))} if self.bias else {"W": W}

    def parameters(self, input_shape: Shape) -> dict[str, Parameter]:
        inputs = input_shape[-1]
        W = Parameter((inputs, self.units), inputs, self.units, self.initializer, unit_groups=1)
        return weights_and_bias(W, self.units, self.bias, self.bias_initializer)
