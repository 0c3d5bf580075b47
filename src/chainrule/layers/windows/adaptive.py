r"""Adaptive pooling: so many windows along every axis, whatever the size of the image (PyTorch's rule).

Part i of an axis of n pixels in s parts has those from ⌊i n/s⌋ to ⌈(i + 1) n/s⌉ - 1.  Where s divides n the
windows lie side by side and the layer is a pool of windows n/s; else some share pixels, and their sizes may
differ by one.  With R_{i,j} the window of part i of the rows and part j of the columns,

    average    z_{i,j} = mean_{u,v ∈ R_{i,j}} X_{u,v}    δ_{u,v} = Σ_{i,j: u,v ∈ R_{i,j}} δ_{i,j} / |R_{i,j}|
    max        z_{i,j} = max_{u,v ∈ R_{i,j}} X_{u,v}     δ_{u,v} = Σ_{i,j} δ_{i,j} [z_{i,j} came from X_{u,v}]

There may be more parts than pixels: a window has one pixel, or two, at least.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from typing import Any, ClassVar, Literal

import numpy as np

from chainrule.base.errors import ShapeError, describe
from chainrule.base.keywords import teach
from chainrule.formulas import largest_parts, mean_parts, placed_parts, spread_parts
from chainrule.formulas.primitives.grid import KEPT, Parts, parts
from chainrule.layers import checks
from chainrule.layers.base import Layer, Shape, Value
from chainrule.layers.windows.pooling import (
    AveragePool1D,
    AveragePool2D,
    AveragePool3D,
    MaxPool1D,
    MaxPool2D,
    MaxPool3D,
    Pool,
)

BY_POSITION = "how many windows along every axis: {name}(4)"


class AdaptivePool(Layer):
    """What adaptive poolings share: how many windows, and their places."""

    family = "adaptive pool"
    output = "output image"
    spatial: ClassVar[bool | Literal["sequence", "volume"]] = True
    axes: ClassVar[int] = 2
    pool_class: ClassVar[type[Pool]]  # that it is where its windows are equal

    @teach(BY_POSITION)
    def __init__(self, size: int | str | Sequence[int | str | None], *, name: str | None = None) -> None:
        self.size = _size(size, self.axes)
        self.name = name

    @property
    def sizes(self) -> Parts:
        """How many windows along every axis, or KEPT."""
        return self.size if isinstance(self.size, tuple) else (self.size,) * self.axes

    def windows(self, input_shape: Shape) -> list[list[range]]:
        """The pixels of every window along every axis."""
        return [parts(size, count) for size, count in zip(input_shape, self.sizes, strict=False)]

    def plain(self, input_shape: Shape) -> Pool | None:
        """The pool that it is on an input of this shape; None where windows differ, or do not move on."""
        kernel, stride = list[int](), list[int]()
        for windows in self.windows(input_shape):
            lengths = {len(window) for window in windows}
            steps = {after.start - window.start for window, after in itertools.pairwise(windows)}
            kernel.append(max(lengths))
            stride.append(max(steps, default=kernel[-1]))
            if len(lengths) > 1 or len(steps) > 1 or stride[-1] == 0:
                return None
        sizes = (kernel[0], stride[0]) if self.axes == 1 else (tuple(kernel), tuple(stride))
        return self.pool_class(*sizes, name=self.name)

    def output_shape(self, input_shape: Shape) -> Shape:
        *size, channels = checks.spatial_shape(input_shape, type(self).__name__, self.axes)
        return *(n if s == KEPT else int(s) for n, s in zip(size, self.sizes, strict=True)), channels


class AdaptiveAveragePool2D(AdaptivePool):
    """The mean of every window, so many of them whatever the image: (H, W, C) -> (*size, C).

    size: an integer, or (rows, columns); "same" or None for an axis that stays as it is.
    """

    kind = "adaptiveavgpool"
    family = "adaptive average pool"
    pool_class = AveragePool2D

    def forward(self, x: Value) -> Value:
        return mean_parts(x, sizes=self.sizes)

    def delta(self, d: Value, x: Value) -> Value:
        return spread_parts(d, x, sizes=self.sizes)


class AdaptiveAveragePool1D(AdaptiveAveragePool2D):
    """The mean of every window of a sequence: (T, C) -> (size, C). A mask ends here."""

    kind = "adaptiveavgpool"
    spatial = "sequence"
    axes = 1
    pool_class = AveragePool1D


class AdaptiveAveragePool3D(AdaptiveAveragePool2D):
    """The mean of every window of a volume: (D, H, W, C) -> (*size, C)."""

    kind = "adaptiveavgpool"
    spatial = "volume"
    axes = 3
    pool_class = AveragePool3D


class AdaptiveMaxPool2D(AdaptivePool):
    """The largest value of every window, so many of them whatever the image: (H, W, C) -> (*size, C).

    size: an integer, or (rows, columns); "same" or None for an axis that stays as it is.
    """

    kind = "adaptivemaxpool"
    family = "adaptive max pool"
    pool_class = MaxPool2D

    def forward(self, x: Value) -> Value:
        return largest_parts(x, x, sizes=self.sizes)

    def delta(self, d: Value, x: Value) -> Value:
        return placed_parts(d, x, sizes=self.sizes)

    def branches(self, x: Value) -> Value:
        places = np.arange(math.prod(x.shape[: self.axes])).reshape(*x.shape[: self.axes], 1, 1)
        return largest_parts(np.broadcast_to(places, x.shape), x, sizes=self.sizes)


class AdaptiveMaxPool1D(AdaptiveMaxPool2D):
    """The largest value of every window of a sequence: (T, C) -> (size, C). A mask ends here."""

    kind = "adaptivemaxpool"
    spatial = "sequence"
    axes = 1
    pool_class = MaxPool1D


class AdaptiveMaxPool3D(AdaptiveMaxPool2D):
    """The largest value of every window of a volume: (D, H, W, C) -> (*size, C)."""

    kind = "adaptivemaxpool"
    spatial = "volume"
    axes = 3
    pool_class = MaxPool3D


ADAPTIVE_POOLS: tuple[type[AdaptivePool], ...] = (
    *(AdaptiveAveragePool1D, AdaptiveAveragePool2D, AdaptiveAveragePool3D),
    *(AdaptiveMaxPool1D, AdaptiveMaxPool2D, AdaptiveMaxPool3D),
)

_SIZES = {1: "", 2: ", or (rows, columns)", 3: ", or (planes, rows, columns)"}


def _size(value: Any, axes: int) -> int | str | Parts:
    """As given, KEPT for None."""
    value = checks.listed(value)
    if isinstance(value, Sequence) and not isinstance(value, str):
        if len(value) == axes:
            counts = tuple(_count(n, value, axes) for n in value)
            return counts[0] if axes == 1 else counts
        raise _refused(value, axes)
    return _count(value, value, axes)


def _count(value: Any, given: Any, axes: int) -> int | str:
    if value is None or (isinstance(value, str) and value == KEPT):
        return KEPT
    try:
        return checks.whole(value, "size", maximum=checks.LARGEST_WINDOW)
    except ShapeError:
        raise _refused(given, axes) from None


def _refused(value: Any, axes: int) -> ShapeError:
    return ShapeError(
        f"size must be how many windows there are along an axis, an integer from 1 to {checks.LARGEST_WINDOW}"
        f"{_SIZES[axes]}, or 'same' for an axis that stays as it is, received {describe(value)}"
    )
