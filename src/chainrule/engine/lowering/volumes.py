"""Convolutions of volumes, by those of images: a volume is an image whose planes lie one below the other.

The rows that a window reads, of k1 planes k2 each, are brought one below the other, window by window. The
kernel (K, k1, k2, k3, C) is then, as it lies in memory, one of k1 k2 rows and k3 columns, which goes on by as
many rows as it has, and the output lies where it belongs. A transposed convolution is the same the other way.
What is copied has k1 k2 times the input's numbers at stride 1; a convolution of one pixel copies nothing.
Bands are of whole planes.
"""

from __future__ import annotations

import math
from typing import Any

from chainrule._native import ConvMethod
from chainrule.base.types import Shape
from chainrule.engine.lowering.builder import WHOLE, Builder
from chainrule.engine.lowering.values import NO_HALO, Value, as_image
from chainrule.engine.programs import layer_programs
from chainrule.formulas.primitives.grid import Grid
from chainrule.layers import Bias


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
    """The same of the rows of an image, a sequence or a volume, whose planes lie one below the other."""
    if len(size) == 1:
        return [[0]]
    rows = taps_along(grid, len(size) - 2, size[-2], repeated)
    if len(size) == 2:
        return rows
    return [
        [-1 if t < 0 or u < 0 else t * size[1] + u for t in plane for u in row]
        for plane in taps_along(grid, 0, size[0], repeated)
        for row in rows
    ]


def taps_in_lanes(grid: Grid, x: Value, z: Value, repeated: bool = False) -> tuple[list[list[int]], int]:
    """Of every window of a sample, or of a band of z, the rows that it reads, and how many rows lie above the
    first: those of the band above.
    """
    if x.bands == 1:
        return taps_of_rows(grid, x.shape[:-1], repeated), 0
    row = x.shape[1]
    above, _ = grid.pads_along(0, x.shape[0])
    rows = taps_along(grid, 1, row, repeated)
    firsts = [t * grid.stride[0] for t in range(z.lane_shape[0])]
    taps = [
        [
            (first + m * grid.dilation[0]) * row + u if u >= 0 else -1
            for m in range(grid.kernel[0])
            for u in of_row
        ]
        for first in firsts
        for of_row in rows
    ]
    return taps, above * row


def rows_below(
    low: Builder, layer: Any, x: Value, z: Value, repeated: bool = False, sides: tuple[int, int] = (0, 0)
) -> Value:
    """An image of the rows that every window reads, one below the other, with zeros at both sides; x where
    that is what it is.
    """
    taps, above = taps_in_lanes(layer.grid, x, z, repeated)
    *_, row, channels = x.shape
    rows = [u for window in taps for u in window]
    if sides == (0, 0) and above == 0 and rows == [*range(math.prod(x.lane_shape[:-2]))]:
        return x
    width = sum(sides) + row
    whole = as_image(z.shape)[0] * len(taps[0])
    cut = (x.bands, len(rows)) if x.bands > 1 else WHOLE
    made = low.value((whole, width, channels), NO_HALO, NO_HALO, x.with_delta, cut=cut)
    there = [(at, u - above) for at, u in enumerate(rows) if u >= 0]
    to = [(at * width + sides[0]) * channels for at, _ in there]
    origin = [u * row * channels for _, u in there]
    low.native.add_gather(x.number, made.number, to, origin, [row * channels] * len(there), [])
    low.parts[made.number] = str(layer.name)
    return made


def convolution(low: Builder, layer: Any, x: Value, z: Value, parameters: list[int]) -> None:
    g, channels = layer.grid, x.shape[-1]
    read = rows_below(low, layer, x, z, sides=g.pads_along(2, x.shape[2]))
    groups = layer.groups_of(channels)
    method = ConvMethod.depthwise if groups == channels > 1 else ConvMethod.direct
    W = low.parameter_of(layer, "W", x.shape)
    bias = low.parameter_of(layer, "b", x.shape) if layer.bias else -1
    how = (groups, method, False, low.rounds(layer))
    low.native.add_convolution(read.number, z.number, W, bias, *_geometry(g), *how)


def transposed(low: Builder, layer: Any, x: Value, z: Value, parameters: list[int]) -> None:
    """The rows that every plane and row of x spreads, which add up to those of z."""
    g, (*size, filters) = layer.grid, z.shape
    taps = taps_of_rows(g, tuple(size))
    before, _ = g.pads_along(2, size[2])
    width = (x.shape[2] - 1) * g.stride[2] + g.extent[2]
    spread = low.value((sum(map(len, taps)), width, filters), NO_HALO, NO_HALO, z.with_delta)
    method = ConvMethod.depthwise if layer.groups == filters > 1 else ConvMethod.direct
    W = low.parameter_of(layer, "W", x.shape)
    how = (layer.groups, method, True, low.rounds(layer))
    low.native.add_convolution(x.number, spread.number, W, -1, *_geometry(g), *how)
    made = low.value(z.shape, NO_HALO, NO_HALO, z.with_delta) if layer.bias else z
    rows = [(at, row) for at, row in enumerate(row for window in taps for row in window) if row >= 0]
    kept = min(size[2], width - before) * filters
    to = [row * size[2] * filters for _, row in rows]
    origin = [(at * width + before) * filters for at, _ in rows]
    low.native.add_gather(spread.number, made.number, to, origin, [kept] * len(rows), [])
    low.parts[spread.number] = str(layer.name)
    if layer.bias:
        low.parts[made.number] = str(layer.name)
        _bias(low, made, z, low.parameter_of(layer, "b", x.shape))  # that of the operation added next


def _bias(low: Builder, x: Value, z: Value, bias: int) -> None:
    shapes = {"b": z.shape[-1:]}
    programs = layer_programs(Bias(), x.shape, z.shape, shapes, delta=x.with_delta, gradients=z.with_delta)
    assert programs is not None
    forward, backward, gradients = (program.native() for program in programs)
    low.native.add_program(x.number, z.number, forward, backward, [bias], gradients)


def _geometry(g: Grid) -> tuple[tuple[int, int], ...]:
    """Kernel, stride, dilation and padding of the convolution of rows."""
    rows = g.kernel[0] * g.kernel[1]
    return (rows, g.kernel[2]), (rows, g.stride[2]), (1, g.dilation[2]), (0, 0)
