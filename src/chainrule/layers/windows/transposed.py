r"""Transposed convolution: the δ of a convolution as a forward pass (Theano's convolution arithmetic).

A convolution of an image Y gives X; this layer goes from X back to an image of the size of Y, with the same
W_{m,n} (C x K, C the channels of X, K those of Y):
    z_{u,v} = Σ_{m,n} W_{m,n}ᵀ X_{(u+p-dm)/s, (v+q-dn)/s} + b̂     X is zero off its grid
    ∂J/∂X_{i,j} = Σ_{m,n} W_{m,n} δ_{si+dm-p, sj+dn-q}            an ordinary convolution
    ∂J/∂W_{m,n} = Σ_{i,j} X_{i,j} δ_{si+dm-p, sj+dn-q}ᵀ
    ∂J/∂b = Σ_{u,v} δ_{u,v} 1
"""

from __future__ import annotations

import math

from chainrule.base.errors import ShapeError, describe
from chainrule.base.keywords import teach
from chainrule.formulas import (
    broadcast_samples,
    canvas,
    correlate,
    diagonal_blocks,
    place,
    stack_over,
    sum_over,
    sum_positions,
    sum_samples,
    window,
)
from chainrule.formulas.primitives.grid import Grid, Pads, Sizes
from chainrule.layers import checks
from chainrule.layers.base import Parameter, Shape, Value, Values, weights_and_bias
from chainrule.layers.initializers import InitializerLike
from chainrule.layers.windows.convolution import Convolution

BY_POSITION = "the number of filters and the size of the kernel: {name}(8, 3, stride=2, padding=1)"


class ConvTranspose(Convolution):
    """What transposed convolutions share: the windows of the convolution are the pixels of the input."""

    family = "transposed conv"

    @teach(BY_POSITION)
    def __init__(
        self,
        filters: int,
        kernel_size: int | Sizes,
        *,
        stride: int | Sizes = 1,
        padding: str | int | Sizes | Pads = "valid",
        output_padding: int | Sizes = 0,
        dilation: int | Sizes = 1,
        groups: int = 1,
        bias: bool = True,
        initializer: InitializerLike = None,
        bias_initializer: InitializerLike = None,
        name: str | None = None,
    ) -> None:
        self.filters = checks.whole(filters, f"{type(self).__name__} filters")
        self.groups = checks.whole(groups, "groups")
        self._slide(kernel_size, stride, padding, dilation)
        self.output_padding = checks.size(output_padding, "output_padding", self.axes, 0)
        more, g = checks.each(self.output_padding, self.axes), self.grid
        if any(a >= s for a, s in zip(more, g.stride, strict=True)) or (self.padding == "same" and any(more)):
            limit = "0 with padding='same'" if self.padding == "same" else f"smaller than the stride {stride}"
            raise ShapeError(f"output_padding must be {limit}, received {describe(output_padding)}")
        self.grid = Grid(g.kernel, g.stride, g.padding, g.dilation, more)
        self._start(bias, initializer, bias_initializer, name)

    def forward(self, x: Value, W: Value, b: Value = None) -> Value:
        g = self.grid
        y = canvas(x, grid=g, features=self.filters)
        z = sum_over(g.letters, g.kernel, lambda *at: place(self.matrix(W, y, *at).T @ x, y, *at, grid=g))
        return z + broadcast_samples(b) if self.bias else z

    def delta(self, d: Value, W: Value, x: Value = None) -> Value:
        g = self.grid
        return sum_over(g.letters, g.kernel, lambda *at: self.matrix(W, d, *at) @ window(d, *at, grid=g))

    def gradients(self, d: Value, x: Value, W: Value = None) -> Values:
        g = self.grid

        def of(*offset: Value) -> Value:
            full = correlate(x, window(d, *offset, grid=g))
            return full if self.groups == 1 else diagonal_blocks(full, W)

        dW = stack_over(g.letters, g.kernel, of)
        return {"W": dW, "b": sum_samples(sum_positions(d))} if self.bias else {"W": dW}

    def parameters(self, input_shape: Shape) -> dict[str, Parameter]:
        channels = checks.spatial_shape(input_shape, type(self).__name__, self.axes)[-1]
        groups, size = self.groups_of(channels), math.prod(self.grid.kernel)
        # a pixel of the output meets every s-th tap of the kernel only
        fan_in = max(size * channels // groups // math.prod(self.grid.stride), 1)
        shape = (channels, *self.grid.kernel, self.filters // groups)
        fans = fan_in, size * self.filters // groups
        W = Parameter(shape, *fans, self.initializer, unit_groups=groups)
        return weights_and_bias(W, self.filters, self.bias, self.bias_initializer)

    def output_shape(self, input_shape: Shape) -> Shape:
        *size, channels = checks.spatial_shape(input_shape, type(self).__name__, self.axes)
        self.groups_of(channels)
        image = self.grid.image(tuple(size))
        if min(image) < 1:
            raise ShapeError(f"{self!r} makes nothing of an input of shape {input_shape}; use less padding")
        return *image, self.filters


class ConvTranspose2D(ConvTranspose):
    """Every pixel spreads K kernels: X (H, W, C, m) -> z (H', W', K, m), W (C, k1, k2, K/groups), b (K,).

    H' = stride·(H - 1) + dilation·(k1 - 1) + 1 - top - bottom + output_padding; padding="same": stride·H.
    output_padding, smaller than the stride, adds rows and columns at the bottom and right.
    """

    kind = "convtranspose"


class ConvTranspose1D(ConvTranspose):
    """Every step spreads K kernels: X (T, C, m) -> z (T', K, m), W (C, k, K/groups), b (K,)."""

    kind = "convtranspose"
    spatial = "sequence"
    axes = 1


class ConvTranspose3D(ConvTranspose):
    """Every place of a volume spreads K kernels: X (D, H, W, C, m) -> z (D', H', W', K, m).

    W (C, k1, k2, k3, K/groups); sizes as of ConvTranspose2D, along three axes.
    """

    kind = "convtranspose"
    spatial = "volume"
    axes = 3
