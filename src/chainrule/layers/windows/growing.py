r"""Images that grow: every pixel becomes a block, or r² channels become the pixels of one.

UpSample    z_{u,v} = Σ_{m,n} X_{(u-m)/s, (v-n)/s}        ∂J/∂X_{i,j} = Σ_{m,n} δ_{si+m, sj+n}
PixelShuffle    z_{ri+a, rj+b, c} = X_{i, j, cr²+ar+b}    ∂J/∂X is δ put back

Of the sum one term is not zero, that whose indices are whole: the pixel again in all places of its block.
"""

from __future__ import annotations

from typing import ClassVar, Literal

from chainrule.base.errors import ShapeError
from chainrule.base.keywords import teach
from chainrule.formulas import Grid, canvas, place, shuffled, sum_over, unshuffled, window
from chainrule.formulas.primitives.grid import Pair
from chainrule.layers import checks
from chainrule.layers.base import Layer, Shape, Value


class UpSample2D(Layer):
    """Every pixel as a block of size x size: (H, W, C) -> (size · H, size · W, C), "nearest" elsewhere.

    size: an integer or (rows, columns).
    """

    kind = "upsample"
    family = "upsample"
    spatial: ClassVar[bool | Literal["sequence"]] = True
    axes: ClassVar[int] = 2

    @teach("how many times larger: UpSample2D(2)")
    def __init__(self, size: int | Pair = 2, *, name: str | None = None) -> None:
        self.size = checks.size(size, "size", self.axes)
        self.name = name

    @property
    def grid(self) -> Grid:
        """Windows beside each other, as large as a block."""
        blocks = checks.each(self.size, self.axes)
        return Grid(blocks, blocks)

    def forward(self, x: Value) -> Value:
        g = self.grid
        z = canvas(x, grid=g, features=1)
        return sum_over(g.letters, g.kernel, lambda *at: place(x, z, *at, grid=g))

    def delta(self, d: Value) -> Value:
        g = self.grid
        return sum_over(g.letters, g.kernel, lambda *at: window(d, *at, grid=g))

    def sources(self, axis: int, size: int) -> list[int]:
        """Along an axis of so many pixels, which one stands in each place."""
        factor = self.grid.kernel[axis]
        return [place // factor for place in range(size * factor)]

    def output_shape(self, input_shape: Shape) -> Shape:
        *size, channels = checks.spatial_shape(input_shape, type(self).__name__, self.axes)
        return *self.grid.image(tuple(size)), channels


class UpSample1D(UpSample2D):
    """Every step `size` times: (T, C) -> (size · T, C). A mask ends here."""

    kind = "upsample"
    spatial = "sequence"
    axes = 1


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
