r"""Conv2D: z_{i,j} = Σ_{m,n} W_{m,n} X_{si+m-p, sj+n-q} + b̂, a cross-correlation (seed 000).

W_{m,n} is the K x C matrix of the weights w_k(m, n, c) at one offset of the kernel.  With δ = ∂J/∂z (conv
①②③):
    ∂J/∂X_{u,v} = Σ_{m,n} W_{m,n}ᵀ δ_{(u+p-m)/s, (v+q-n)/s}     δ is zero off its grid: the full convolution
    ∂J/∂W_{m,n} = Σ_{i,j} δ_{i,j} X_{si+m-p, sj+n-q}ᵀ           valid cross-correlation, no flip
    ∂J/∂b = Σ_{i,j} δ_{i,j} 1
"""

from __future__ import annotations

from typing import Any

from chainrule.errors import ShapeError
from chainrule.formulas import (
    Grid,
    broadcast_samples,
    correlate,
    kernel_at,
    place,
    stack_over,
    sum_over,
    sum_positions,
    sum_samples,
    window,
)
from chainrule.formulas.grid import Pads, Pair
from chainrule.initializers import Zeros, initializer_from
from chainrule.keywords import teach
from chainrule.layers import checks
from chainrule.layers.base import Layer, Parameter, Shape


class Conv2D(Layer):
    """K kernels slide over an image: X (H, W, C, m) -> z (H', W', K, m), W (K, k1, k2, C), b (K,)."""

    kind = "conv"
    spatial = True

    @teach(checks.KEYWORDS, "Conv2D(filters, kernel_size, stride=1, padding='same')")
    def __init__(
        self,
        filters: int,
        kernel_size: int | Pair,
        *,
        stride: int | Pair = 1,
        padding: str | int | Pair | Pads = "valid",
        bias: bool = True,
        initializer: Any = None,
        bias_initializer: Any = None,
        name: str | None = None,
    ) -> None:
        self.filters = checks.whole(filters, "Conv2D filters")
        self.kernel_size = checks.size(kernel_size, "kernel_size")
        self.stride = checks.size(stride, "stride")
        kernel = checks.pair(self.kernel_size)
        self.padding, frame = checks.padding(padding, kernel)
        self.grid = Grid(kernel, checks.pair(self.stride), frame)
        self.bias = bool(bias)
        self.initializer = None if initializer is None else initializer_from(initializer)
        self.bias_initializer = (
            None if bias_initializer is None else initializer_from(bias_initializer, "bias_initializer")
        )
        self.name = name

    def forward(self, x: Any, W: Any, b: Any = None) -> Any:
        g = self.grid
        z = sum_over("mn", g.kernel, lambda m, n: kernel_at(W, m, n) @ window(x, m, n, grid=g))
        return z + broadcast_samples(b) if self.bias else z

    def delta(self, d: Any, W: Any, x: Any) -> Any:
        g = self.grid
        return sum_over("mn", g.kernel, lambda m, n: place(kernel_at(W, m, n).T @ d, m, n, like=x, grid=g))

    def gradients(self, d: Any, x: Any) -> dict[str, Any]:
        g = self.grid
        W = stack_over("mn", g.kernel, lambda m, n: correlate(d, window(x, m, n, grid=g)))
        return {"W": W, "b": sum_samples(sum_positions(d))} if self.bias else {"W": W}

    def parameters(self, input_shape: Shape) -> dict[str, Parameter]:
        rows, columns = self.grid.kernel
        channels = checks.image_shape(input_shape, "Conv2D")[2]
        fans = rows * columns * channels, rows * columns * self.filters
        specs = {"W": Parameter((self.filters, rows, columns, channels), *fans, self.initializer)}
        if self.bias:
            start = self.bias_initializer or Zeros()
            specs["b"] = Parameter((self.filters,), *fans, start, penalised=False)
        return specs

    def output_shape(self, input_shape: Shape) -> Shape:
        height, width, _ = checks.image_shape(input_shape, "Conv2D")
        rows, columns = self.grid.positions((height, width))
        if min(rows, columns) < 1:
            raise ShapeError(
                f"{self!r} needs an image at least as large as its kernel {self.grid.kernel}, "
                f"received {input_shape}; use a smaller kernel_size or padding='same'"
            )
        return rows, columns, self.filters

    def pads(self, input_shape: Shape) -> Pads:
        """Zeros around the image: ((top, bottom), (left, right))."""
        return self.grid.pads((input_shape[0], input_shape[1]))
