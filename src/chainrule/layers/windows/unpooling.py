r"""Unpooling: every value goes back to the pixel that a maximum came from, and there is 0 elsewhere (SegNet).

With w the winners of the windows of P, which a max pool read,
    z_{u,v} = Σ_{m,n} Y_{i,j} [w_{i,j} = (m, n)]      δ_Y at i, j = Σ_{m,n} δ_{si+m, sj+n} [w_{i,j} = (m, n)]
where the pixel u, v lies at offset m, n of window i, j. P says where alone: its δ is 0.
"""

from __future__ import annotations

import copy
import math
from typing import Any, ClassVar, Literal

from chainrule.base.errors import ShapeError
from chainrule.base.keywords import teach
from chainrule.formulas import beside, chosen, flatten, named, place, sum_over, window
from chainrule.formulas.primitives.grid import Pads, Sizes
from chainrule.layers.base import Layer, Shape, Value
from chainrule.layers.parts import part_of, places_of, shapes_from
from chainrule.layers.windows.pooling import MaxPool1D, MaxPool2D, MaxPool3D

_FORM = "'up': ({name}(2), 'small', 'pool.indices')"


class MaxUnpool2D(Layer):
    """The opposite of a MaxPool2D, in a Graph: values (H', W', C) -> (H, W, C), the size of what it read.

        "pool": (MaxPool2D(2, return_indices=True), "conv"), ...
        "up": (MaxUnpool2D(2), "small", "pool.indices")

    window, stride, padding, ceil_mode: those of the pool, whose windows do not overlap. sources, the shapes
    of the values and of what the pool read, are for the Graph to fill in. ShapeError where they do not fit.
    Source: Badrinarayanan et al., SegNet, 2015.
    """

    kind = "maxunpool"
    family = "max unpool"
    output = "output image"
    spatial: ClassVar[bool | Literal["sequence", "volume"]] = True
    roles: ClassVar = {"x": "input"}
    pool_class: ClassVar[type[MaxPool2D]] = MaxPool2D
    pool: MaxPool2D  # whose opposite it is

    @teach("the window and the stride of the pool, as a node of a Graph: " + _FORM)
    def __init__(
        self,
        window: int | Sizes = 2,
        stride: int | Sizes | None = None,
        *,
        padding: str | int | Sizes | Pads = "valid",
        ceil_mode: bool = False,
        sources: Any = (),
        name: str | None = None,
    ) -> None:
        self.pool = self.pool_class(window, stride, padding=padding, ceil_mode=ceil_mode)
        self.window, self.stride, self.padding = self.pool.window, self.pool.stride, self.pool.padding
        self.ceil_mode, self.name = self.pool.ceil_mode, name
        self.sources = shapes_from(sources, type(self).__name__)
        g = self.pool.grid
        if any(step < size for step, size in zip(g.stride, g.kernel, strict=True)):
            raise ShapeError(
                f"{type(self).__name__} puts one value back per pixel, of windows that do not overlap; "
                f"received window={window} with stride={stride}: write a stride of at least the window"
            )

    @property
    def most_sources(self) -> int:
        return 2

    def reading(self, shapes: tuple[Shape, ...]) -> MaxUnpool2D:
        made = copy.copy(self)
        made.sources = shapes
        made.output_shape((sum(map(math.prod, shapes)),))
        return made

    def read(self, x: Value) -> tuple[Value, Value]:
        """The values, and what the pool read."""
        values, pooled = (part_of(x, start, stop, shape) for start, stop, shape in places_of(self.sources))
        return values, pooled

    def forward(self, x: Value) -> Value:
        g, (y, p) = self.pool.grid, self.read(x)
        w = named("w", self.pool.winners(p))
        return sum_over(g.letters, g.kernel, lambda *at: place(y * chosen(w, *at, grid=g), p, *at, grid=g))

    def delta(self, d: Value, x: Value) -> Value:
        g, (_, p) = self.pool.grid, self.read(x)
        w = named("w", self.pool.winners(p))
        below = sum_over(g.letters, g.kernel, lambda *at: window(d, *at, grid=g) * chosen(w, *at, grid=g))
        return beside(flatten(below), 0.0 * flatten(p))

    def branches(self, x: Value) -> Value:
        return self.pool.winners(self.read(x)[1])

    def output_shape(self, input_shape: Shape) -> Shape:
        if not self.sources:
            own = type(self).__name__
            raise ShapeError(
                f"{self!r} reads two values, as a node of a Graph: {_FORM.replace('{name}', own)}; "
                f"'pool' is a {own.replace('Unpool', 'Pool')} with the same window"
            )
        if len(self.sources) != 2 or input_shape != (sum(map(math.prod, self.sources)),):
            raise ShapeError(f"{self!r} reads its two sources side by side in a row, received {input_shape}")
        values, pooled = self.sources
        wanted = self.pool.output_shape(pooled)
        if wanted != values:
            raise ShapeError(
                f"{self!r} puts back values of the shape {wanted}, which a pool makes of {pooled}, received "
                f"{values}: give it the window, stride and padding of the pool, and as many channels"
            )
        return pooled


class MaxUnpool1D(MaxUnpool2D):
    """The opposite of a MaxPool1D: (T', C) -> (T, C)."""

    kind = "maxunpool"
    spatial = "sequence"
    pool_class = MaxPool1D


class MaxUnpool3D(MaxUnpool2D):
    """The opposite of a MaxPool3D: (D', H', W', C) -> (D, H, W, C)."""

    kind = "maxunpool"
    spatial = "volume"
    pool_class = MaxPool3D
