"""Pools: which pixels windows see, and the kernels and gathers that poolings are.

A pooling whose pixels lie apart, whose means have a divisor, or whose windows differ in size has no kernel:
a mean is a gather with weights, another one a gather that lays windows side by side, and a pool behind it.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from chainrule._native import InLanes, PoolKind
from chainrule.base.types import Shape
from chainrule.engine.lowering.builder import Builder
from chainrule.engine.lowering.convolutions import image_pads, two
from chainrule.engine.lowering.values import NO_HALO, Value, as_image
from chainrule.formulas.primitives.grid import Grid
from chainrule.layers import (
    AveragePool1D,
    AveragePool2D,
    AveragePool3D,
    Composite,
    GlobalAveragePool,
    GlobalMaxPool,
    L2Pool1D,
    L2Pool2D,
    L2Pool3D,
    Layer,
    LpPool1D,
    LpPool2D,
    LpPool3D,
    MaxPool1D,
    MaxPool2D,
    MaxPool3D,
)
from chainrule.layers.structure import Chain, run_branches, shape_after
from chainrule.layers.windows.adaptive import AdaptivePool

POOLS: dict[type[Layer], PoolKind] = {
    MaxPool2D: PoolKind.max,
    MaxPool1D: PoolKind.max,
    AveragePool2D: PoolKind.average,
    AveragePool1D: PoolKind.average,
    L2Pool2D: PoolKind.l2,
    L2Pool1D: PoolKind.l2,
    MaxPool3D: PoolKind.max,
    AveragePool3D: PoolKind.average,
    L2Pool3D: PoolKind.l2,
    **dict.fromkeys((LpPool1D, LpPool2D, LpPool3D), PoolKind.lp),
}
GLOBAL_POOLS: dict[type[Layer], PoolKind] = {
    GlobalMaxPool: PoolKind.max,
    GlobalAveragePool: PoolKind.average,
}


def rows_of(axes: Sequence[Sequence[Sequence[int]]], size: Shape) -> list[list[int]]:
    """From the pixels of every window along each axis those of rows of an image, a sequence or a volume,
    whose planes lie one below the other; -1 where one is beyond the edges.
    """
    if len(axes) == 1:
        return [[0]]
    if len(axes) == 2:
        return [[*row] for row in axes[0]]
    return [
        [-1 if t < 0 or u < 0 else t * size[1] + u for t in plane for u in row]
        for plane in axes[0]
        for row in axes[1]
    ]


def taps_along(grid: Grid, axis: int, size: int, repeated: bool = False) -> list[list[int]]:
    """Of every window along an axis the pixels; -1 beyond the edges, or the nearest one that it has."""
    (before, _), made = grid.pads_along(axis, size), []
    for i in range(grid.positions_along(axis, size)):
        first = i * grid.stride[axis] - before
        places = [first + m * grid.dilation[axis] for m in range(grid.kernel[axis])]
        there = [u for u in places if 0 <= u < size]
        if repeated and there:
            made.append([min(max(u, there[0]), there[-1]) for u in places])
        else:
            made.append([u if 0 <= u < size else -1 for u in places])
    return made


def taps_of_rows(grid: Grid, size: Shape, repeated: bool = False) -> list[list[int]]:
    """The same of the rows of an image, a sequence or a volume."""
    return rows_of([taps_along(grid, axis, n, repeated) for axis, n in enumerate(size)], size)


def pool(low: Builder, layer: Any, x: Value, z: Value, parameters: list[int]) -> None:
    kind, g = POOLS[type(layer)], layer.grid
    if lies_apart(layer):
        _apart(low, layer, x, z)
        return
    cut, pads = x.bands > 1, layer.pads(x.shape)
    (top, _), (left, _) = image_pads(layer, x.shape, cut)
    sizes = (two(g.kernel, cut=cut), two(g.stride, cut=cut), (top, left), any(map(any, pads)))
    mean = layer.mean if isinstance(layer, L2Pool2D) else kind == PoolKind.average
    depth = None
    if layer.axes == 3:
        depth = (g.kernel[0], g.stride[0], pads[0][0], x.lane_shape[0], z.lane_shape[0])
    power = layer.p if isinstance(layer, LpPool2D) else 2
    low.native.add_pool(x.number, z.number, *sizes, kind, mean, layer.count_padding, depth, power)


def lies_apart(layer: Any) -> bool:
    """Whether a pooling has no kernel: its pixels lie apart, or its means have a divisor."""
    return max(layer.grid.dilation) > 1 or layer.divisor is not None


def _apart(low: Builder, layer: Any, x: Value, z: Value) -> None:
    """A pooling of pixels that lie apart, or of means with a divisor: means are sums with weights; else the
    pixels of every window are brought side by side, those in front of an edge once more for a maximum, where
    0 adds to a root.
    """
    kind, g = POOLS[type(layer)], layer.grid
    rows = taps_of_rows(g, x.shape[:-1], kind == PoolKind.max)
    columns = taps_along(g, layer.axes - 1, x.shape[-2], kind == PoolKind.max)
    mean = kind == PoolKind.average or (kind == PoolKind.l2 and layer.mean)
    divisor = layer.divisor or (math.prod(g.kernel) if mean and layer.count_padding else 0)
    power = layer.p if isinstance(layer, LpPool2D) else 2
    _by_taps(low, str(layer.name), kind, x, z, rows, columns, mean, divisor, power)


def _by_taps(
    low: Builder, name: str, kind: PoolKind, x: Value, z: Value, rows: list[list[int]],
    columns: list[list[int]], mean: bool, divisor: float = 0, power: float = 2,
) -> None:  # fmt: skip
    """A pooling of windows whose pixels are told by rows and columns, -1 where there is none; divisor: of a
    mean, 0: how many there are.
    """
    width, channels = as_image(x.shape)[1:]
    average, counted = kind == PoolKind.average, len(rows[0]) * len(columns[0])
    runs: list[tuple[int, int, int, float]] = []  # to, from, how many numbers, their weight
    across = len(columns) if average else len(columns) * len(columns[0])
    for i, row in enumerate(rows):
        for j, column in enumerate(columns):
            inside = [(m, n) for m, u in enumerate(row) for n, v in enumerate(column) if u >= 0 and v >= 0]
            share = 1 / (divisor or (len(inside) if mean else 0) or counted)
            for m, n in inside:
                to = i * across + j if average else (i * len(row) + m) * across + j * len(column) + n
                weight = share if average else math.sqrt(share * counted) if mean else 1.0
                runs.append((to * channels, (row[m] * width + column[n]) * channels, channels, weight))
    told = ([run[k] for run in runs] for k in range(4))
    if average:
        low.native.add_gather(x.number, z.number, *told)
        return
    kernel = (len(rows[0]), len(columns[0]))
    sizes = (len(rows) * kernel[0], len(columns) * kernel[1], channels)
    made = low.value(sizes, NO_HALO, NO_HALO, x.with_delta)
    low.native.add_gather(x.number, made.number, *told)
    low.parts[made.number] = name
    low.native.add_pool(made.number, z.number, kernel, kernel, (0, 0), False, kind, mean, True, power=power)


def adaptive_pool(low: Builder, layer: AdaptivePool, x: Value, z: Value, parameters: list[int]) -> None:
    """Windows of several sizes: shorter ones have their last pixel once more, of a mean none."""
    kind, axes = POOLS[layer.pool_class], []
    for windows in layer.windows(x.shape):
        most = max(map(len, windows))
        axes.append([[*w, *[w[-1] if kind == PoolKind.max else -1] * (most - len(w))] for w in windows])
    _by_taps(low, str(layer.name), kind, x, z, rows_of(axes, x.shape), axes[-1], kind == PoolKind.average)


def has_adaptive_pools(layers: Iterable[Layer]) -> bool:
    """Whether there is an adaptive pool among layers and those within them."""
    return any(
        isinstance(layer, AdaptivePool)
        or (isinstance(layer, Composite) and any(map(has_adaptive_pools, layer.chains)))
        for layer in layers
    )


def with_plain_pools(
    layers: Sequence[Layer], given: Sequence[Shape], shapes: Mapping[str, Shape]
) -> list[Layer]:
    """A chain whose adaptive pools are pools where their windows are equal; given: the shapes it reads."""
    made: list[Layer] = []
    for layer in layers:
        if isinstance(layer, Composite):
            chains: dict[int, tuple[Layer, ...]] = {}

            def branch(
                number: int, inner: Chain, on: tuple[Shape, ...], chains: dict[int, Any] = chains
            ) -> Shape:
                chains[number] = tuple(with_plain_pools(inner, on, shapes))
                return shape_after(inner, on[0], shapes)

            run_branches(None, layer, given, branch)
            layer = layer.with_chains(tuple(chains[number] for number in sorted(chains)))
        elif isinstance(layer, AdaptivePool):
            layer = layer.plain(given[0]) or layer
        made.append(layer)
        given = (shapes[str(layer.name)],)
    return made


def global_pool(low: Builder, layer: Layer, x: Value, z: Value, parameters: list[int]) -> None:
    if low.mask:
        average = GLOBAL_POOLS[type(layer)] == PoolKind.average
        low.native.add_masked_pool(x.number, z.number, low.mask.number, average)
        return
    add_global_pool(low, layer, x, z)


def add_global_pool(low: Builder, layer: Layer, x: Value, z: Value) -> None:
    """One window, as large as the image, or a band of it; or a mean of the steps in the lanes."""
    if x.lanes == InLanes.positions:
        low.native.add_steps_mean(x.number, z.number)
        return
    kind, whole = GLOBAL_POOLS[type(layer)], x.lane_image[:2]
    average = kind == PoolKind.average
    low.native.add_pool(x.number, z.number, whole, whole, (0, 0), False, kind, average, False)
