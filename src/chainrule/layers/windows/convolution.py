r"""Convolution: z_{i,j} = Σ_{m,n} W_{m,n} X_{si+dm-p, sj+dn-q} + b̂, a cross-correlation (Tutorial).

W_{m,n} is the K x C matrix of the weights w_k(m, n, c) at one offset of the kernel, s the stride, d the
dilation.  With δ = ∂J/∂z, conv ①, ② and ③ are:
    ∂J/∂X_{u,v} = Σ_{m,n} W_{m,n}ᵀ δ_{(u+p-dm)/s, (v+q-dn)/s}     ①, δ is zero off its grid: full convolution
    ∂J/∂W_{m,n} = Σ_{i,j} δ_{i,j} X_{si+dm-p, sj+dn-q}ᵀ           ②, valid cross-correlation, no flip
    ∂J/∂b = Σ_{i,j} δ_{i,j} 1                                     ③
With G groups W_{m,n} is block-diagonal: group g of the filters sees group g of the channels only.  One group
per channel is the depthwise convolution.  A sequence is an image with one axis, a volume one with three: of
X_{h,i,j} and W_{r,m,n}.
"""

from __future__ import annotations

import copy
import math
from typing import ClassVar, Literal

from chainrule.base.errors import ShapeError
from chainrule.base.keywords import teach
from chainrule.base.scalars import check_choice, check_flag
from chainrule.formulas import (
    Grid,
    block_diagonal,
    broadcast_samples,
    correlate,
    diagonal_blocks,
    kernel_at,
    place,
    stack_over,
    sum_over,
    sum_positions,
    sum_samples,
    window,
)
from chainrule.formulas.primitives.grid import Pads, Sizes
from chainrule.layers import checks
from chainrule.layers.base import Layer, Parameter, Shape, Value, Values, weights_and_bias
from chainrule.layers.initializers import InitializerLike, given_initializer
from chainrule.layers.windows.edges import PADDINGS, Pad1D, Pad2D, Pad3D

BY_POSITION = "the number of filters and the size of the kernel: {name}(8, 3, stride=1, padding='same')"


class Convolution(Layer):
    """What convolutions share: kernel, stride, padding, dilation, groups, and the formulas."""

    passage = "weights"
    family = "conv"
    spatial: ClassVar[bool | Literal["sequence", "volume"]] = True
    axes: ClassVar[int] = 2
    grid: Grid  # the same as numbers per axis
    padding_mode: str = "zeros"

    @teach(BY_POSITION)
    def __init__(
        self,
        filters: int,
        kernel_size: int | Sizes,
        *,
        stride: int | Sizes = 1,
        padding: str | int | Sizes | Pads = "valid",
        padding_mode: str = "zeros",
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
        self._frame(padding_mode)
        self._start(bias, initializer, bias_initializer, name)

    def _frame(self, mode: str) -> None:
        """Keep what stands in the padding."""
        self.padding_mode = check_choice(f"{type(self).__name__} padding_mode", mode, PADDINGS)
        if mode != "zeros" and self.padding == "same" and max(self.grid.stride) > 1:
            raise ShapeError(
                f"{type(self).__name__} padding='same' with a stride depends on the size of the image; for "
                f"padding_mode={mode!r} write it in numbers, padding=1"
            )

    def unfolded(self) -> tuple[Layer, ...]:
        if self.padding_mode == "zeros" or not self.grid.padded:
            return (self,)
        pad = {1: Pad1D, 2: Pad2D, 3: Pad3D}[self.axes]
        inside = copy.copy(self)
        inside.name, inside.padding_mode, inside.padding = None, "zeros", "valid"
        inside.grid = Grid(self.grid.kernel, self.grid.stride, (), self.grid.dilation)
        frame = self.grid.pads(self.grid.extent)
        sides = {side for pair in frame for side in pair}
        return pad(sides.pop() if len(sides) == 1 else frame, mode=self.padding_mode), inside

    def _slide(
        self,
        kernel_size: int | Sizes,
        stride: int | Sizes,
        padding: str | int | Sizes | Pads,
        dilation: int | Sizes,
    ) -> None:
        """Keep how the kernel slides."""
        self.kernel_size = checks.size(kernel_size, "kernel_size", self.axes)
        self.stride = checks.size(stride, "stride", self.axes)
        self.dilation = checks.size(dilation, "dilation", self.axes)
        sizes = (self.kernel_size, self.stride, self.dilation)
        kernel, step, apart = (checks.each(size, self.axes) for size in sizes)
        extent = Grid(kernel, dilation=apart).extent
        checks.whole(max(extent), "the kernel with its dilation", maximum=checks.LARGEST_WINDOW)
        self.padding, frame = checks.padding(padding, extent)
        self.grid = Grid(kernel, step, frame, apart)

    def _start(
        self, bias: bool, initializer: InitializerLike, bias_initializer: InitializerLike, name: str | None
    ) -> None:
        """Keep what the parameters start from."""
        self.bias = check_flag(f"{type(self).__name__} bias", bias)
        self.initializer = given_initializer(initializer)
        self.bias_initializer = given_initializer(bias_initializer, "bias_initializer")
        self.name = name

    def groups_of(self, channels: int) -> int:
        """How many groups the channels fall into; ShapeError where they do not fit."""
        for count, what in ((channels, "channels of its input"), (self.filters, "filters")):
            if count % self.groups:
                raise ShapeError(
                    f"{self!r}: {self.groups} groups do not divide the {count} {what}; "
                    "write a number of groups that divides both"
                )
        return self.groups

    def filters_of(self, channels: int) -> int:
        """How many channels the output has."""
        return self.filters

    def matrix(self, W: Value, x: Value, *offset: Value) -> Value:
        """W_{m,n}, (K, C)."""
        w = kernel_at(W, *offset)
        return w if self.groups == 1 else block_diagonal(w, x)

    def forward(self, x: Value, W: Value, b: Value = None) -> Value:
        g = self.grid
        z = sum_over(g.letters, g.kernel, lambda *at: self.matrix(W, x, *at) @ window(x, *at, grid=g))
        return z + broadcast_samples(b) if self.bias else z

    def delta(self, d: Value, W: Value, x: Value) -> Value:
        g = self.grid
        return sum_over(g.letters, g.kernel, lambda *at: place(self.matrix(W, x, *at).T @ d, x, *at, grid=g))

    def gradients(self, d: Value, x: Value, W: Value = None) -> Values:
        g = self.grid

        def of(*offset: Value) -> Value:
            full = correlate(d, window(x, *offset, grid=g))
            return full if self.groups == 1 else diagonal_blocks(full, W)

        dW = stack_over(g.letters, g.kernel, of)
        return {"W": dW, "b": sum_samples(sum_positions(d))} if self.bias else {"W": dW}

    def parameters(self, input_shape: Shape) -> dict[str, Parameter]:
        channels = checks.spatial_shape(input_shape, type(self).__name__, self.axes)[-1]
        filters, groups = self.filters_of(channels), self.groups_of(channels)
        size = math.prod(self.grid.kernel)
        fans = size * channels // groups, size * filters // groups
        W = Parameter((filters, *self.grid.kernel, channels // groups), *fans, self.initializer)
        return weights_and_bias(W, filters, self.bias, self.bias_initializer)

    def output_shape(self, input_shape: Shape) -> Shape:
        *size, channels = checks.spatial_shape(input_shape, type(self).__name__, self.axes)
        self.groups_of(channels)
        positions = self.grid.positions(tuple(size))
        if min(positions) < 1:
            spans = "" if set(self.grid.dilation) == {1} else f" (with its dilation {self.grid.extent})"
            what, shown = checks.KINDS[self.axes], self.grid.kernel if self.axes > 1 else self.grid.kernel[0]
            raise ShapeError(
                f"{self!r} needs {what} at least as large as its kernel {shown}{spans}, "
                f"received {input_shape}; use a smaller kernel_size or padding='same'"
            )
        return *positions, self.filters_of(channels)

    def traits(self) -> set[str]:
        traits, g = super().traits(), self.grid
        if g.padded or max(*g.stride, *g.dilation, self.groups) > 1:
            traits.add("beyond stride 1")
        return traits | {"padding"} if g.padded else traits

    def pads(self, input_shape: Shape) -> Pads:
        """Zeros around the image: ((top, bottom), (left, right)), or ((before, after),)."""
        return self.grid.pads(tuple(input_shape[:-1]))


class Conv2D(Convolution):
    """K kernels slide over an image: X (H, W, C, m) -> z (H', W', K, m), W (K, k1, k2, C/groups), b (K,).

    stride, dilation: an integer or (rows, columns).  padding: "valid", "same", an integer, (rows, columns) or
    ((top, bottom), (left, right)).  groups divides channels and filters.  Raises ShapeError.
    padding_mode: "zeros", or "reflect", "replicate" or "circular": a network takes a Pad2D and this layer
    without padding in its place.
    """

    kind = "conv"


class Conv1D(Convolution):
    """K kernels slide along a sequence: X (T, C, m) -> z (T', K, m), W (K, k, C/groups), b (K,).

    padding: "valid", "same", an integer or (before, after): (k - 1, 0) lets no output see what comes later.
    padding_mode as of Conv2D.
    """

    kind = "conv"
    spatial = "sequence"
    axes = 1


class Conv3D(Convolution):
    """K kernels slide through a volume: X (D, H, W, C, m) -> z (D', H', W', K, m).

    W (K, k1, k2, k3, C/groups), b (K,).  stride, dilation: an integer or (planes, rows, columns).  padding:
    "valid", "same", an integer, (planes, rows, columns) or ((front, back), (top, bottom), (left, right)).
    padding_mode as of Conv2D.
    """

    kind = "conv"
    spatial = "volume"
    axes = 3


class DepthwiseConv2D(Convolution):
    """Every channel has `multiplier` kernels of its own: X (H, W, C, m) -> z (H', W', C·multiplier, m).

    W (C·multiplier, k1, k2, 1), b (C·multiplier,); output c·multiplier + q is kernel q of channel c.
    """

    kind = "depthwise"

    @teach("the size of the kernel: DepthwiseConv2D(3, padding='same')")
    def __init__(
        self,
        kernel_size: int | Sizes,
        *,
        multiplier: int = 1,
        stride: int | Sizes = 1,
        padding: str | int | Sizes | Pads = "valid",
        padding_mode: str = "zeros",
        dilation: int | Sizes = 1,
        bias: bool = True,
        initializer: InitializerLike = None,
        bias_initializer: InitializerLike = None,
        name: str | None = None,
    ) -> None:
        self.multiplier = checks.whole(multiplier, "multiplier")
        self.groups = 0  # as many as the input has channels
        self._slide(kernel_size, stride, padding, dilation)
        self._frame(padding_mode)
        self._start(bias, initializer, bias_initializer, name)

    def groups_of(self, channels: int) -> int:
        return channels

    def filters_of(self, channels: int) -> int:
        return channels * self.multiplier
