r"""Periodic embeddings of numbers: beside every number x_i some features made of waves of it.

With the weights of every number in blocks, diag(W) and diag(V):
    h = cos(2π diag(W) x + b̂)        z = (x ; diag(V) h + ĉ)
and δ = (δ_1 ; δ_2) as z:
    ∂J/∂V = the blocks of δ_2 hᵀ        ∂J/∂c = δ_2 1        δ_h = diag(V)ᵀ δ_2 ⊙ -sin(2π diag(W) x + b̂)
    ∂J/∂W = 2π times the blocks of δ_h xᵀ        ∂J/∂b = δ_h 1        ∂J/∂x = δ_1 + 2π diag(W)ᵀ δ_h
"""

from __future__ import annotations

import math

from chainrule.base.errors import ShapeError
from chainrule.base.keywords import teach
from chainrule.base.scalars import check_number
from chainrule.formulas import (
    beside,
    block_diagonal,
    broadcast_samples,
    correlate,
    cos,
    diagonal_blocks,
    first_features,
    named,
    other_features,
    sin,
    sum_samples,
)
from chainrule.layers.base import Layer, Parameter, Shape, Value, Values
from chainrule.layers.checks import whole
from chainrule.layers.initializers import Normal, Uniform

TURN = 2 * math.pi


class PeriodicEmbedding(Layer):
    """Numbers (n,) -> (n · features,): the numbers themselves, then features - 1 of every one.

    These are linear in `hidden` cosines of the number, whose frequencies and phases are learned, so that the
    layers behind see steps and bends that a straight line through the number would not show. sigma: the
    frequencies W (n · hidden, 1) start as N(0, sigma²), phases b within ±π, V and c within ±1/√hidden.
    Source: PBLD of Holzmüller, Grinsztajn & Steinwart, Better by Default, 2024, after Gorishniy, Rubachev &
    Babenko, On Embeddings for Numerical Features, 2022.
    """

    kind = "periodic"
    family = "periodic"

    @teach("PeriodicEmbedding(), and hidden=16, features=4, sigma=0.1 by name")
    def __init__(
        self, *, hidden: int = 16, features: int = 4, sigma: float = 0.1, name: str | None = None
    ) -> None:
        self.hidden = whole(hidden, "PeriodicEmbedding hidden")
        self.features = whole(features, "PeriodicEmbedding features", 2)
        check_number("PeriodicEmbedding sigma", sigma)
        self.sigma = float(sigma)
        self.name = name

    def parameters(self, input_shape: Shape) -> dict[str, Parameter]:
        n, hidden, made = input_shape[-1], self.hidden, self.features - 1
        small = Uniform(1 / math.sqrt(hidden))
        return {
            "W": Parameter((n * hidden, 1), 1, hidden, Normal(self.sigma)),
            "b": Parameter((n * hidden,), 1, hidden, Uniform(math.pi), penalised=False),
            "V": Parameter((n * made, hidden), hidden, made, small),
            "c": Parameter((n * made,), hidden, made, small, penalised=False),
        }

    def _angle(self, x: Value, W: Value, b: Value) -> Value:
        return named("u", TURN * (block_diagonal(W, x) @ x) + broadcast_samples(b))

    def forward(self, x: Value, W: Value, b: Value, V: Value, c: Value) -> Value:
        h = named("h", cos(self._angle(x, W, b)))
        return beside(x, block_diagonal(V, h) @ h + broadcast_samples(c))

    def _inner(self, d: Value, x: Value, W: Value, b: Value, V: Value) -> Value:
        """δ of the angles."""
        u = self._angle(x, W, b)
        return named("δ_u", -(block_diagonal(V, u).T @ other_features(d, x)) * sin(u))

    def delta(self, d: Value, x: Value, W: Value, b: Value, V: Value) -> Value:
        inner = self._inner(d, x, W, b, V)
        return first_features(d, x) + TURN * (block_diagonal(W, x).T @ inner)

    def gradients(self, d: Value, x: Value, W: Value, b: Value, V: Value) -> Values:
        inner, rest = self._inner(d, x, W, b, V), other_features(d, x)
        h = named("h", cos(self._angle(x, W, b)))
        return {
            "W": TURN * diagonal_blocks(correlate(inner, x), W),
            "b": sum_samples(inner),
            "V": diagonal_blocks(correlate(rest, h), V),
            "c": sum_samples(rest),
        }

    def output_shape(self, input_shape: Shape) -> Shape:
        if len(input_shape) != 1:
            raise ShapeError(
                f"PeriodicEmbedding needs numbers (n,) per sample, received {input_shape}: put it first, on "
                "the columns of a table"
            )
        return (input_shape[0] * self.features,)
