"""Unpooling by what there is: the pixels of every window side by side, the first of the largest marked."""

from __future__ import annotations

import math
from typing import Any

from chainrule._native import Act, JoinKind, PoolKind
from chainrule.engine.lowering.builder import Builder
from chainrule.engine.lowering.pools import taps_along, taps_of_rows
from chainrule.engine.lowering.values import NO_HALO, Value, as_image
from chainrule.engine.programs import entry_programs
from chainrule.formulas import greater

Run = tuple[int, int, float]  # to, from, weight of a pixel


class Unpooling:
    """The values on the way, all of the windows' pixels side by side but those of the windows alone."""

    def __init__(self, low: Builder, layer: Any, pooled: Value) -> None:
        self.low, self.layer, self.with_delta = low, layer, pooled.with_delta
        g, self.channels = layer.pool.grid, pooled.shape[-1]
        rows = taps_of_rows(g, pooled.shape[:-1], repeated=True)
        columns = taps_along(g, len(g.kernel) - 1, pooled.shape[-2], repeated=True)
        there = taps_of_rows(g, pooled.shape[:-1]), taps_along(g, len(g.kernel) - 1, pooled.shape[-2])
        self.kernel = len(rows[0]), len(columns[0])
        self.windows = len(rows), len(columns)
        height, width = (n * k for n, k in zip(self.windows, self.kernel, strict=True))
        self.apart = (height, width, self.channels)
        self.pixels: list[Run] = []  # beyond the edges the nearest one, which has no weight
        for u in range(height):
            for v in range(width):
                (i, m), (j, n) = divmod(u, self.kernel[0]), divmod(v, self.kernel[1])
                inside = there[0][i][m] >= 0 and there[1][j][n] >= 0
                place = rows[i][m] * as_image(pooled.shape)[1] + columns[j][n]
                self.pixels.append((u * width + v, place, float(inside)))

    def first(self, pooled: Value) -> Value:
        """1 at the first largest pixel of every window of `pooled`, 0 at the others."""
        count, low = math.prod(self.kernel), self.low
        _, width, _ = self.apart
        read = self.gathered(pooled, self.apart, [(to, place, 1.0) for to, place, _ in self.pixels])
        largest = self.marked(*low.readers(read, 2))
        order = []
        for to, _, inside in self.pixels:  # the first has the largest number, what is beyond the edges 0
            u, v = divmod(to, width)
            place = u % self.kernel[0] * self.kernel[1] + v % self.kernel[1]
            order.append((to, to, inside * (count - place)))
        return self.marked(*low.readers(self.gathered(largest, self.apart, order), 2))

    def marked(self, itself: Value, read: Value) -> Value:
        """1 where a pixel is the largest of its window, 0 elsewhere."""
        low = self.low
        most = self.made((*self.windows, self.channels))
        low.native.add_pool(
            read.number, most.number, self.kernel, self.kernel, (0, 0), False, PoolKind.max, False, True
        )
        less = self.joined([itself, self.spread(most, -1.0)], JoinKind.sum)
        marks = self.made(self.apart)
        forward, backward = entry_programs(
            lambda entry: 1.0 - greater(0, entry),
            lambda entry: 0.0 * entry,
            self.apart,
            delta=less.with_delta,
        )
        low.native.add_program(less.number, marks.number, forward.native(), backward.native(), [])
        return marks

    def spread(self, x: Value, weight: float = 1.0) -> Value:
        """Of every window its value at all of its pixels."""
        _, width, _ = self.apart
        places = (divmod(to, width) for to, _, _ in self.pixels)
        runs = [
            (to, u // self.kernel[0] * self.windows[1] + v // self.kernel[1], weight)
            for to, (u, v) in enumerate(places)
        ]
        return self.gathered(x, self.apart, runs)

    def joined(self, values: list[Value], how: JoinKind) -> Value:
        z = self.made(values[0].shape)
        count = len(values)
        ends = [value.number for value in values]
        self.low.native.add_join(ends, [Act.identity] * count, [0.0] * count, [-1] * count, z.number, how)
        return z

    def gathered(self, x: Value, shape: tuple[int, ...], runs: list[Run], z: Value | None = None) -> Value:
        """Pixels of x, each with a weight."""
        made = self.made(shape) if z is None else z
        told = [(to * self.channels, place * self.channels, weight) for to, place, weight in runs if weight]
        to, origin, weights = ([*each] for each in zip(*told, strict=True))
        self.low.native.add_gather(x.number, made.number, to, origin, [self.channels] * len(to), weights)
        return made

    def made(self, shape: tuple[int, ...]) -> Value:
        value = self.low.value(shape, NO_HALO, NO_HALO, self.with_delta)
        self.low.parts[value.number] = str(self.layer.name)
        return value


def unpooled(low: Builder, layer: Any, small: Value, pooled: Value, z: Value) -> None:
    """z from the values and what the pool read."""
    way = Unpooling(low, layer, pooled)
    first = way.first(pooled)
    put = way.joined([first, way.spread(small)], JoinKind.product)
    way.gathered(put, z.shape, [(place, to, inside) for to, place, inside in way.pixels], z)
