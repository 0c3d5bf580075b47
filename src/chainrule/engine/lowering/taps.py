"""Which pixels windows see: what poolings of pixels that lie apart and unpoolings are made of."""

from __future__ import annotations

from chainrule.base.types import Shape
from chainrule.formulas.primitives.grid import Grid


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
