"""Which pixels windows see: what poolings of pixels that lie apart and unpoolings are made of."""

from __future__ import annotations

from collections.abc import Sequence

from chainrule.base.types import Shape
from chainrule.formulas.primitives.grid import Grid


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
