r"""Images that grow: every pixel becomes a block, or r² channels become the pixels of one.

UpSample    z_{u,v} = Σ_{m,n} X_{(u-m)/s, (v-n)/s}        ∂J/∂X_{i,j} = Σ_{m,n} δ_{si+m, sj+n}
    between pixels    z_{u,v} = Σ_{m,n} w_m w_n P_{(u+p-m)/s, (v+p-n)/s}, P the image with its edge once more
PixelShuffle    z_{ri+a, rj+b, c} = X_{i, j, cr²+ar+b}    ∂J/∂X is δ put back

Of the first sum one term is not zero, that whose indices are whole: the pixel again in all places of its
block. Of the second it is two along every axis, whose weights w are by their distances and add up to 1.
"""

from __future__ import annotations

import functools
import math
import operator
from typing import ClassVar, Literal

from chainrule.base.errors import ShapeError
from chainrule.base.keywords import teach
from chainrule.base.scalars import check_choice
from chainrule.formulas import (
    Grid,
    canvas,
    framed,
    named,
    place,
    shuffled,
    sum_over,
    tent,
    unframed,
    unshuffled,
    window,
)
from chainrule.formulas.primitives.edges import tent_length
from chainrule.formulas.primitives.grid import Pads, Sizes
from chainrule.layers import checks
from chainrule.layers.base import Layer, Shape, Value


class UpSample2D(Layer):
    """An image `size` times as large: (H, W, C) -> (size · H, size · W, C).

    size: an integer or (rows, columns). mode: "nearest", every pixel again in all places of its block; or
    "bilinear", in between in a straight line from pixel to pixel, each in the middle of its block (PyTorch's
    align_corners=False, Keras's "bilinear").
    """

    kind = "upsample"
    family = "upsample"
    spatial: ClassVar[bool | Literal["sequence", "volume"]] = True
    axes: ClassVar[int] = 2

    @teach("how many times larger: {name}(2)")
    def __init__(self, size: int | Sizes = 2, *, mode: str = "nearest", name: str | None = None) -> None:
        self.size = checks.size(size, "size", self.axes)
        between = {1: "linear", 2: "bilinear", 3: "trilinear"}[self.axes]
        self.mode = check_choice(f"{type(self).__name__} mode", mode, ("nearest", between))
        self.name = name

    @property
    def factors(self) -> Sizes:
        """How many times larger along every axis."""
        return checks.each(self.size, self.axes)

    @property
    def grid(self) -> Grid:
        """Blocks beside each other; between pixels, tents on an image that has its edge once more."""
        if self.mode == "nearest":
            return Grid(self.factors, self.factors)
        beyond = tuple(((3 * s - s % 2) // 2,) * 2 for s in self.factors)
        return Grid(tuple(map(tent_length, self.factors)), self.factors, beyond)

    def forward(self, x: Value) -> Value:
        g = self.grid
        x = x if self.mode == "nearest" else named("p", framed(x, pads=self._edge, mode="replicate"))
        z = canvas(x, grid=g, features=1)
        return sum_over(g.letters, g.kernel, lambda *at: self._weighted(place(x, z, *at, grid=g), at))

    def delta(self, d: Value, x: Value = None) -> Value:
        g = self.grid
        below = sum_over(g.letters, g.kernel, lambda *at: self._weighted(window(d, *at, grid=g), at))
        return below if self.mode == "nearest" else unframed(below, x, pads=self._edge, mode="replicate")

    @property
    def _edge(self) -> Pads:
        return ((1, 1),) * self.axes

    def _weighted(self, value: Value, at: tuple[Value, ...]) -> Value:
        if self.mode == "nearest":
            return value
        weights = [tent(m, size=s) for m, s in zip(at, self.factors, strict=True)]
        return functools.reduce(operator.mul, weights) * value

    def sources(self, axis: int, size: int) -> list[int]:
        """Along an axis of so many pixels, which stands in each place; between pixels the first of two."""
        factor = self.factors[axis]
        if self.mode == "nearest":
            return [place // factor for place in range(size * factor)]
        return [max(math.floor((place + 0.5) / factor - 0.5), 0) for place in range(size * factor)]

    def shares(self, axis: int, size: int) -> list[tuple[int, float]]:
        """Between pixels: the other pixel that each place is made of, and its share."""
        factor, made = self.factors[axis], []
        for place_, first in enumerate(self.sources(axis, size)):
            at = min(max((place_ + 0.5) / factor - 0.5, 0), size - 1)
            made.append((min(first + 1, size - 1), at - first))
        return made

    def output_shape(self, input_shape: Shape) -> Shape:
        *size, channels = checks.spatial_shape(input_shape, type(self).__name__, self.axes)
        return *(n * s for n, s in zip(size, self.factors, strict=True)), channels


class UpSample1D(UpSample2D):
    """Every step `size` times: (T, C) -> (size · T, C), or with mode="linear" what lies between. A mask ends
    here.
    """

    kind = "upsample"
    spatial = "sequence"
    axes = 1


class UpSample3D(UpSample2D):
    """A volume `size` times as large along its three axes: (D, H, W, C) -> (size · D, size · H, size · W, C).

    mode: "nearest", or "trilinear", in between.
    """

    kind = "upsample"
    spatial = "volume"
    axes = 3


class PixelShuffle(Layer):
    """Blocks of pixels from channels: (H, W, block² · C) -> (block · H, block · W, C).

    The channels of one that comes out lie side by side, its block row by row, as PyTorch's. ShapeError where
    block² does not divide the channels. Source: Shi et al., Real-time single image and video
    super-resolution using an efficient sub-pixel convolutional neural network, 2016.
    """

    kind = "pixelshuffle"
    family = "pixelshuffle"
    spatial = True

    @teach("the side of a block: PixelShuffle(2)")
    def __init__(self, block: int, *, name: str | None = None) -> None:
        self.block = checks.whole(block, "PixelShuffle block", maximum=checks.LARGEST_WINDOW)
        self.name = name

    def forward(self, x: Value) -> Value:
        return shuffled(x, block=self.block)

    def delta(self, d: Value) -> Value:
        return unshuffled(d, block=self.block)

    def output_shape(self, input_shape: Shape) -> Shape:
        height, width, channels = checks.spatial_shape(input_shape, "PixelShuffle")
        if channels % self.block**2:
            below = channels // self.block**2 * self.block**2
            raise ShapeError(
                f"{self!r} needs a number of channels that {self.block}² = {self.block**2} divides, received "
                f"{input_shape}; write {below or self.block**2} filters in the convolution in front of it"
            )
        return height * self.block, width * self.block, channels // self.block**2
