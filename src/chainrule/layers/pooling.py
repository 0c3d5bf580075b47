r"""Max and average pooling over windows of any size and stride; they may overlap.

    max        X_{i,j} = max_{m,n} X_{si+m, sj+n}        δ_{u,v} = Σ_{m,n} δ_{i,j} [X_{i,j} came from X_{u,v}]
    average    X_{i,j} = 1/(k1 k2) Σ_{m,n} X_{si+m, sj+n}    δ_{u,v} = 1/(k1 k2) Σ_{m,n} δ_{i,j}

δ is ∂J/∂X here: pooling has no activation (seed 000).  A pixel in several windows collects the δ of all of
them; a pixel in none (ragged bottom and right borders) gets 0.  Where a window's maximum occurs twice the
first in row-major order wins.
"""

from __future__ import annotations

from typing import Any

from chainrule.errors import ShapeError
from chainrule.formulas import Grid, argmax_over, chosen, max_over, mean_over, named, place, sum_over, window
from chainrule.formulas.grid import Pair
from chainrule.keywords import teach
from chainrule.layers import checks
from chainrule.layers.base import Layer, Shape


class Pool2D(Layer):
    """What pooling layers share: the window, and its shape rule (H, W, C) -> (H', W', C)."""

    output = "output image"
    spatial = True

    @teach(checks.KEYWORDS, "the window and its stride: (2, 2)")
    def __init__(
        self, window: int | Pair = 2, stride: int | Pair | None = None, *, name: str | None = None
    ) -> None:
        self.window = checks.size(window, "window")
        self.stride = None if stride is None else checks.size(stride, "stride")
        kernel = checks.each(self.window, 2)
        self.grid = Grid(kernel, kernel if self.stride is None else checks.each(self.stride, 2))
        self.name = name

    def output_shape(self, input_shape: Shape) -> Shape:
        height, width, channels = checks.spatial_shape(input_shape, type(self).__name__)
        rows, columns = self.grid.positions((height, width))
        if min(rows, columns) < 1:
            raise ShapeError(
                f"{self!r} needs an image at least as large as its window {self.grid.kernel}, "
                f"received {input_shape}; use a smaller window or fewer pooling layers"
            )
        return rows, columns, channels


class MaxPool2D(Pool2D):
    """The largest value of every window."""

    kind = "maxpool"

    def forward(self, x: Any) -> Any:
        return max_over("mn", self.grid.kernel, lambda m, n: window(x, m, n, grid=self.grid))

    def delta(self, d: Any, x: Any) -> Any:
        g, w = self.grid, named("w", self.branches(x))
        return sum_over("mn", g.kernel, lambda m, n: place(d * chosen(w, m, n, grid=g), x, m, n, grid=g))

    def branches(self, x: Any) -> Any:
        """The winner of every window, as its row-major position in the window."""
        return argmax_over("mn", self.grid.kernel, lambda m, n: window(x, m, n, grid=self.grid))


class AveragePool2D(Pool2D):
    """The mean of every window."""

    kind = "avgpool"

    def forward(self, x: Any) -> Any:
        return mean_over("mn", self.grid.kernel, lambda m, n: window(x, m, n, grid=self.grid))

    def delta(self, d: Any, x: Any) -> Any:
        return mean_over("mn", self.grid.kernel, lambda m, n: place(d, x, m, n, grid=self.grid))
