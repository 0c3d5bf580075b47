r"""Pooling over windows of any size and stride; they may overlap.

In a sequence a window is a run of steps, in a volume a box.

    max        X_{i,j} = max_{m,n} X_{si+m, sj+n}        δ_{u,v} = Σ_{m,n} δ_{i,j} [X_{i,j} came from X_{u,v}]
    average    X_{i,j} = 1/(k1 k2) Σ_{m,n} X_{si+m, sj+n}    δ_{u,v} = 1/(k1 k2) Σ_{m,n} δ_{i,j}
    L2         X_{i,j} = √Σ_{m,n} X²_{si+m, sj+n}        δ_{u,v} = X_{u,v} Σ_{m,n} δ_{i,j} / X_{i,j}, 0/0 = 0
    Lp         X_{i,j} = (Σ_{m,n} |X|^p)^{1/p}           δ_{u,v} = X |X|^{p-2} Σ_{m,n} δ_{i,j} / X_{i,j}^{p-1}

With `dilation` d the pixels of a window are d apart: X_{si+dm, sj+dn}.
δ is ∂J/∂X here: pooling has no activation (Tutorial).  A pixel in several windows collects the δ of all of
them; a pixel in none (ragged bottom and right borders) gets 0, unless `ceil_mode` lets a last window reach
over the edge for it.  Where a maximum occurs twice `winner` of
formulas/primitives/arrays.py says which pixel it is.  Padding never wins a maximum, adds nothing to a sum,
and counts in a mean only where count_padding says so.
"""

from __future__ import annotations

import math
from typing import Any, ClassVar, Literal

from chainrule.base.errors import ArgumentError, ShapeError, describe
from chainrule.base.keywords import teach
from chainrule.base.scalars import check_flag, check_number
from chainrule.formulas import (
    Grid,
    absolute,
    argmax_over,
    chosen,
    count_positions,
    every_feature,
    first_position,
    greater,
    inside,
    max_over,
    max_positions,
    maximum,
    mean_over,
    named,
    place,
    ratio,
    sqrt,
    stretch,
    sum_over,
    sum_positions,
    where,
    window,
)
from chainrule.formulas.primitives.grid import Pads, Sizes
from chainrule.layers import checks
from chainrule.layers.base import Layer, Shape, Value
from chainrule.layers.sequences.masking import UNSEEN

BY_POSITION = "the window and its stride: (2, 2)"


class Pool(Layer):
    """What pooling layers share: the window, and its shape rule (H, W, C) -> (H', W', C)."""

    family = "pool"
    output = "output image"
    spatial: ClassVar[bool | Literal["sequence", "volume"]] = True
    axes: ClassVar[int] = 2
    grid: Grid  # the same as numbers per axis
    count_padding = False
    divisor: float | None = None  # of a mean, in place of how many pixels count

    @teach(BY_POSITION)
    def __init__(
        self,
        window: int | Sizes = 2,
        stride: int | Sizes | None = None,
        *,
        padding: str | int | Sizes | Pads = "valid",
        dilation: int | Sizes = 1,
        ceil_mode: bool = False,
        name: str | None = None,
    ) -> None:
        self.window = checks.size(window, "window", self.axes)
        self.stride = None if stride is None else checks.size(stride, "stride", self.axes)
        kernel = checks.each(self.window, self.axes)
        self.dilation = checks.size(dilation, "dilation", self.axes)
        apart = checks.each(self.dilation, self.axes)
        extent = Grid(kernel, dilation=apart).extent
        checks.whole(max(extent), "the window with its dilation", maximum=checks.LARGEST_WINDOW)
        self.padding, frame = checks.padding(padding, extent)
        self.ceil_mode = check_flag(f"{type(self).__name__} ceil_mode", ceil_mode)
        if self.ceil_mode and (isinstance(frame, str) or self.count_padding):
            what = "padding='same'" if isinstance(frame, str) else "count_padding=True"
            raise ArgumentError(
                f"{type(self).__name__} ceil_mode=True goes with no {what}: write ceil_mode=False, or "
                "leave that out"
            )
        stride_of = kernel if self.stride is None else checks.each(self.stride, self.axes)
        self.grid = Grid(kernel, stride_of, frame, apart, ceil=self.ceil_mode)
        self.name = name

    def windows(self, x: Value, fill: float = 0.0) -> Value:
        """(indices, ranges, body) of a reduction over the pixels of every window."""
        g, options = self.grid, {"fill": fill} if self.grid.padded and fill else {}
        return g.letters, g.kernel, lambda *at: window(x, *at, grid=g, **options)

    def average(self, x: Value) -> Value:
        """The mean of every window, or its sum over the divisor."""
        if self.divisor is not None:
            return sum_over(*self.windows(x)) / self.divisor
        if self.count_padding or not self.grid.padded:
            return mean_over(*self.windows(x))
        return sum_over(*self.windows(x)) / self.count(x)

    def spread(self, d: Value, x: Value) -> Value:
        """The adjoint of `average`: every window's value in equal parts to its pixels."""
        g = self.grid
        if self.divisor is not None:
            return sum_over(g.letters, g.kernel, lambda *at: place(d, x, *at, grid=g)) / self.divisor
        if self.count_padding or not g.padded:
            return mean_over(g.letters, g.kernel, lambda *at: place(d, x, *at, grid=g))
        share = d / self.count(x)
        return sum_over(g.letters, g.kernel, lambda *at: place(share, x, *at, grid=g))

    def count(self, x: Value) -> Value:
        """How many pixels every window has inside of the picture."""
        return named("P", sum_over(*self.windows(inside(x))))

    def traits(self) -> set[str]:
        traits, pairs = super().traits(), set(zip(self.grid.stride, self.grid.kernel, strict=True))
        if any(stride < size for stride, size in pairs):
            traits.add("overlap")
        if pairs != {(1, 2)}:
            traits.add("other windows")  # than those of the Tutorial: two pixels, one apart
        return traits | {"padded pool"} if self.grid.padded else traits

    def pads(self, input_shape: Shape) -> Pads:
        """The frame around the image: ((top, bottom), (left, right)), or ((before, after),)."""
        return self.grid.pads(tuple(input_shape[:-1]))

    def output_shape(self, input_shape: Shape) -> Shape:
        *size, channels = checks.spatial_shape(input_shape, type(self).__name__, self.axes)
        positions = self.grid.positions(tuple(size))
        if min(positions) < 1:
            what, shown = checks.KINDS[self.axes], self.grid.extent if self.axes > 1 else self.grid.extent[0]
            raise ShapeError(
                f"{self!r} needs {what} at least as large as its window {shown}, "
                f"received {input_shape}; use a smaller window or fewer pooling layers"
            )
        if self.needs_a_pixel and not all(map(self.grid.sees, range(self.axes), size)):
            raise ShapeError(
                f"{self!r} has windows that see nothing but padding of {checks.KINDS[self.axes]} of shape "
                f"{input_shape}, which has no maximum and no mean: write a smaller dilation or padding"
            )
        return *positions, channels

    @property
    def needs_a_pixel(self) -> bool:
        """Whether a window without a pixel of the picture has no value."""
        return False


class MaxPool2D(Pool):
    """The largest value of every window.  window, stride, padding: as of Conv2D; stride None: the window.

    return_indices: in a Graph `MaxUnpool2D` may read where the maxima are, "pool.indices" of a node "pool".
    """

    kind = "maxpool"
    family = "max pool"

    @teach(BY_POSITION)
    def __init__(
        self,
        window: int | Sizes = 2,
        stride: int | Sizes | None = None,
        *,
        padding: str | int | Sizes | Pads = "valid",
        dilation: int | Sizes = 1,
        ceil_mode: bool = False,
        return_indices: bool = False,
        name: str | None = None,
    ) -> None:
        self.return_indices = check_flag(f"{type(self).__name__} return_indices", return_indices)
        options: dict[str, Any] = {"padding": padding, "dilation": dilation, "ceil_mode": ceil_mode}
        super().__init__(window, stride, **options, name=name)

    @property
    def needs_a_pixel(self) -> bool:
        return True

    def forward(self, x: Value) -> Value:
        return max_over(*self.windows(x, -math.inf))

    def delta(self, d: Value, x: Value) -> Value:
        g, w = self.grid, named("w", self.winners(x))
        return sum_over(g.letters, g.kernel, lambda *at: place(d * chosen(w, *at, grid=g), x, *at, grid=g))

    def winners(self, x: Value) -> Value:
        return argmax_over(*self.windows(x, -math.inf))

    def branches(self, x: Value) -> Value:
        return self.winners(x)


class MaxPool1D(MaxPool2D):
    """The largest value of every window of a sequence: (T, C) -> (T', C)."""

    kind = "maxpool"
    spatial = "sequence"
    axes = 1


class MaxPool3D(MaxPool2D):
    """The largest value of every window of a volume: (D, H, W, C) -> (D', H', W', C)."""

    kind = "maxpool"
    spatial = "volume"
    axes = 3


class AveragePool2D(Pool):
    """The mean of every window; count_padding: whether the padding counts as zeros or not at all.

    divisor: a number other than 0 by which the sum of every window is divided, however many pixels it has
    (PyTorch's divisor_override).
    """

    kind = "avgpool"
    family = "average pool"

    @teach(BY_POSITION)
    def __init__(
        self,
        window: int | Sizes = 2,
        stride: int | Sizes | None = None,
        *,
        padding: str | int | Sizes | Pads = "valid",
        dilation: int | Sizes = 1,
        count_padding: bool = False,
        ceil_mode: bool = False,
        divisor: float | None = None,
        name: str | None = None,
    ) -> None:
        self.count_padding = check_flag(f"{type(self).__name__} count_padding", count_padding)
        if divisor is not None:
            self.divisor = _divisor(f"{type(self).__name__} divisor", divisor, self.count_padding)
        options: dict[str, Any] = {"padding": padding, "dilation": dilation, "ceil_mode": ceil_mode}
        super().__init__(window, stride, **options, name=name)

    @property
    def needs_a_pixel(self) -> bool:
        return not self.count_padding and self.divisor is None

    def forward(self, x: Value) -> Value:
        return self.average(x)

    def delta(self, d: Value, x: Value) -> Value:
        return self.spread(d, x)


def _divisor(name: str, value: Any, count_padding: bool) -> float:
    check_number(name, value, -math.inf)
    if value == 0:
        raise ArgumentError(f"{name} must be a number other than 0, received {describe(value)}")
    if count_padding:
        raise ArgumentError(f"{name}={value} divides whatever counts: write it without count_padding=True")
    return float(value)


class AveragePool1D(AveragePool2D):
    """The mean of every window of a sequence: (T, C) -> (T', C)."""

    kind = "avgpool"
    spatial = "sequence"
    axes = 1


class AveragePool3D(AveragePool2D):
    """The mean of every window of a volume: (D, H, W, C) -> (D', H', W', C)."""

    kind = "avgpool"
    spatial = "volume"
    axes = 3


class L2Pool2D(Pool):
    """√Σ X² of every window, δ = 0 where it is 0; mean=True: the root of the mean square of its pixels."""

    kind = "l2pool"
    family = "l2 pool"

    @teach(BY_POSITION)
    def __init__(
        self,
        window: int | Sizes = 2,
        stride: int | Sizes | None = None,
        *,
        padding: str | int | Sizes | Pads = "valid",
        dilation: int | Sizes = 1,
        mean: bool = False,
        ceil_mode: bool = False,
        name: str | None = None,
    ) -> None:
        self.mean = check_flag(f"{type(self).__name__} mean", mean)
        options: dict[str, Any] = {"padding": padding, "dilation": dilation, "ceil_mode": ceil_mode}
        super().__init__(window, stride, **options, name=name)

    @property
    def needs_a_pixel(self) -> bool:
        return self.mean

    def forward(self, x: Value) -> Value:
        return sqrt(self.average(x**2)) if self.mean else sqrt(sum_over(*self.windows(x**2)))

    def delta(self, d: Value, x: Value, z: Value) -> Value:
        g, share = self.grid, ratio(d, z)
        if self.mean:
            return x * self.spread(share, x)
        return x * sum_over(g.letters, g.kernel, lambda *at: place(share, x, *at, grid=g))


class L2Pool1D(L2Pool2D):
    """√Σ X² of every window of a sequence: (T, C) -> (T', C)."""

    kind = "l2pool"
    spatial = "sequence"
    axes = 1


class L2Pool3D(L2Pool2D):
    """√Σ X² of every window of a volume: (D, H, W, C) -> (D', H', W', C)."""

    kind = "l2pool"
    spatial = "volume"
    axes = 3


class LpPool2D(Pool):
    """(Σ |X|^p)^{1/p} of every window for a norm p of at least 1, δ = 0 where it is 0; p=2 is L2Pool2D.

    p: 1 adds up absolute values, and the larger it is the nearer it comes to the largest of them.
    """

    kind = "lppool"
    family = "lp pool"

    @teach("the norm, then the window and its stride: {name}(3, 2)")
    def __init__(
        self,
        p: float,
        window: int | Sizes = 2,
        stride: int | Sizes | None = None,
        *,
        padding: str | int | Sizes | Pads = "valid",
        dilation: int | Sizes = 1,
        ceil_mode: bool = False,
        name: str | None = None,
    ) -> None:
        check_number(f"{type(self).__name__} p", p, 1, 64, include_low=True, include_high=True)
        self.p = float(p)
        options: dict[str, Any] = {"padding": padding, "dilation": dilation, "ceil_mode": ceil_mode}
        super().__init__(window, stride, **options, name=name)

    def forward(self, x: Value) -> Value:
        return sum_over(*self.windows(absolute(x) ** self.p)) ** (1 / self.p)

    def delta(self, d: Value, x: Value, z: Value) -> Value:
        g, share = self.grid, ratio(d, z ** (self.p - 1))
        slope = (greater(x, 0) - greater(0, x)) * absolute(x) ** (self.p - 1)
        return slope * sum_over(g.letters, g.kernel, lambda *at: place(share, x, *at, grid=g))


class LpPool1D(LpPool2D):
    """(Σ |X|^p)^{1/p} of every window of a sequence: (T, C) -> (T', C)."""

    kind = "lppool"
    spatial = "sequence"
    axes = 1


class LpPool3D(LpPool2D):
    """(Σ |X|^p)^{1/p} of every window of a volume: (D, H, W, C) -> (D', H', W', C)."""

    kind = "lppool"
    spatial = "volume"
    axes = 3


class GlobalPool(Layer):
    """What the poolings over all positions share: (T, C), (H, W, C) or (D, H, W, C) -> (C,)."""

    family = "global pool"
    spatial = "sequence"  # one letter for the position, whatever its axes
    output = "output"

    def output_shape(self, input_shape: Shape) -> Shape:
        if len(input_shape) < 2:
            raise ShapeError(
                f"{type(self).__name__} needs an image or a sequence per sample, received {input_shape}; "
                "a vector has no positions to pool"
            )
        return (input_shape[-1],)


class GlobalAveragePool(GlobalPool):
    """The mean over all positions of every channel; where steps are masked over those that are there."""

    kind = "globalavgpool"

    def forward(self, x: Value, mask: Value = None) -> Value:
        if mask is None:
            return sum_positions(x) / count_positions(x)
        s = every_feature(mask)
        return sum_positions(x * s) / self._there(s)

    def delta(self, d: Value, x: Value, mask: Value = None) -> Value:
        if mask is None:
            return stretch(d / count_positions(x), x)
        s = every_feature(mask)
        return s * stretch(d / self._there(s), x)

    def _there(self, s: Value) -> Value:
        """How many steps are there; 1 where there is none, and the mean is 0."""
        return named("P", maximum(sum_positions(s), 1))


class GlobalMaxPool(GlobalPool):
    """The largest value over all positions of every channel, one of them at a tie, as in windows.

    Where steps are masked over those that are there, and 0 where there is none.
    """

    kind = "globalmaxpool"

    def forward(self, x: Value, mask: Value = None) -> Value:
        if mask is None:
            return max_positions(x)
        return where(self._any(mask), max_positions(self._seen(x, mask)), 0)

    def delta(self, d: Value, x: Value, mask: Value = None) -> Value:
        if mask is None:
            return d * first_position(x)
        return d * self._any(mask) * first_position(self._seen(x, mask))

    def branches(self, x: Value) -> Value:
        return first_position(x)

    def traits(self) -> set[str]:
        return super().traits() | {"max pool"}

    def _seen(self, x: Value, mask: Value) -> Value:
        return named("R", where(every_feature(mask), x, UNSEEN))

    def _any(self, mask: Value) -> Value:
        return greater(sum_positions(every_feature(mask)), 0)
