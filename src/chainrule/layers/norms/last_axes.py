"""Normalisation of every sample over its features, or over its last axes together."""

from __future__ import annotations

import math
from dataclasses import replace

from chainrule.base.errors import ShapeError
from chainrule.base.keywords import teach
from chainrule.formulas import broadcast_samples, mean_features, merged, named, sqrt, unflatten
from chainrule.layers.base import Parameter, Shape, Value, Values
from chainrule.layers.checks import whole
from chainrule.layers.norms.normalization import Normalization, always_beta


class OverLastAxes(Normalization):
    """What LayerNorm and RMSNorm share: the last `axes` axes of a sample as the features of its rows, with γ
    and β of their shape.
    """

    axes: int = 1

    def _keep_axes(self, axes: int) -> None:
        self.axes = whole(axes, f"{type(self).__name__} axes")

    def average(self, name: str, x: Value) -> Value:
        return named(name, mean_features(x))

    def rows(self, name: str, x: Value) -> Value:
        return x if self.axes == 1 else named(name, merged(x, axes=self.axes))

    def column(self, b: Value) -> Value:
        column = broadcast_samples(b)
        return column if self.axes == 1 else merged(column, axes=self.axes)

    def forward(self, x: Value, gamma: Value = None, beta: Value = None) -> Value:
        z = super().forward(self.rows("U", x), gamma, beta)
        return z if self.axes == 1 else unflatten(z, x)

    def delta(self, d: Value, x: Value, gamma: Value = None) -> Value:
        below = super().delta(self.rows("D", d), self.rows("U", x), gamma)
        return below if self.axes == 1 else unflatten(below, x)

    def gradients(self, d: Value, x: Value, gamma: Value = None, beta: Value = None) -> Values:
        by_name = super().gradients(self.rows("D", d), self.rows("U", x))
        if self.axes == 1:
            return by_name
        likes = {"gamma": gamma, "beta": beta}
        return {name: unflatten(gradient, likes[name]) for name, gradient in by_name.items()}

    def parameters(self, input_shape: Shape) -> dict[str, Parameter]:
        return {
            name: replace(parameter, shape=input_shape[-self.axes :])
            for name, parameter in super().parameters(input_shape).items()
        }

    def output_shape(self, input_shape: Shape) -> Shape:
        if self.axes > len(input_shape):
            raise ShapeError(
                f"{self!r} needs a sample of at least {self.axes} axes, received {input_shape}; write "
                f"axes={len(input_shape)} or fewer"
            )
        return input_shape

    def rows_of(self, input_shape: Shape) -> Shape:
        """(rows, features): what the norm is over."""
        return (
            *((math.prod(input_shape[: -self.axes]),) if len(input_shape) > self.axes else ()),
            math.prod(input_shape[-self.axes :]),
        )


class LayerNorm(OverLastAxes):
    """Every sample by its own features: of a vector, of each step of a sequence, of each pixel's channels.

    axes: how many of the last axes of a sample are normalised together, with γ and β of their shape: of an
    image (H, W, C) 1 takes the channels of every pixel, 3 everything. ShapeError for a single feature, whose
    variance is 0, and where a sample has fewer axes. Source: Ba, Kiros, Hinton, Layer Normalization, 2016.
    """

    kind = "layernorm"

    @teach("LayerNorm(), which normalises the last axis whatever its size, LayerNorm(axes=3) the last three")
    def __init__(
        self,
        *,
        axes: int = 1,
        epsilon: float = 1e-5,
        scale: bool = True,
        shift: bool = True,
        name: str | None = None,
    ) -> None:
        self._keep(epsilon, scale, shift, name)
        self._keep_axes(axes)

    def constant(self, input_shape: Shape) -> str | None:
        if math.prod(input_shape[-self.axes :]) > 1:
            return None
        advice = "write GroupNorm(1), which takes all positions together"
        return always_beta(self, input_shape, advice if math.prod(input_shape) > 1 else "leave it out")


class RMSNorm(OverLastAxes):
    """Every sample's features by their root mean square, without a mean and without β.

    As `LayerNorm`: of a vector, of each step, of each pixel, or over several axes. Of a single feature,
    x / √(x² + ε), hardly more than the sign is left. Source: Zhang & Sennrich 2019.
    """

    kind = "rmsnorm"

    @teach("RMSNorm(), which normalises the last axis whatever its size, RMSNorm(axes=3) the last three")
    def __init__(
        self, *, axes: int = 1, epsilon: float = 1e-5, scale: bool = True, name: str | None = None
    ) -> None:
        self._keep(epsilon, scale, False, name)
        self._keep_axes(axes)

    def normal(self, x: Value) -> tuple[Value, Value]:
        root = named("r", sqrt(self.average("v", x**2) + self.epsilon))
        return named("x̂", x / root), root

    def from_normal(self, e: Value, normal: Value, root: Value) -> Value:
        return (e - normal * self.average("t", e * normal)) / root
