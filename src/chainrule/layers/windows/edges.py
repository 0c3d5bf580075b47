r"""What stands around an image: Pad goes on beyond its edges, Crop cuts them off.

z_{i,j} = X_{ρ(i-p), ρ(j-q)}        ∂J/∂X_{u,v} = Σ_{i,j} δ_{i,j} over all (i, j) with ρ(i-p) = u, ρ(j-q) = v

ρ says which pixel stands where there is none: it is mirrored, repeated, or comes from the opposite edge. With
zeros, and where an image is cropped (p < 0), it is X_{i-p, j-q} itself, and 0 outside of the image.
"""

from __future__ import annotations

from typing import Any, ClassVar, Literal

import numpy as np

from chainrule.base.errors import ShapeError, describe
from chainrule.base.keywords import teach
from chainrule.base.scalars import check_choice
from chainrule.formulas import framed, place, unframed, window
from chainrule.formulas.primitives.edges import MODES, source
from chainrule.formulas.primitives.grid import Grid, Pads, Pair
from chainrule.layers import checks
from chainrule.layers.base import Layer, Shape, Value

PADDINGS = ("zeros", *MODES)


class Edges(Layer):
    """What Pad and Crop share: the grid of single pixels, shifted by what is added or cut off before them."""

    spatial: ClassVar[bool | Literal["sequence", "volume"]] = True
    axes: ClassVar[int] = 2
    mode: str = "zeros"
    frame: Pads  # added before and behind every axis, below 0 where it is cut off

    def forward(self, x: Value) -> Value:
        if self.mode != "zeros":
            return framed(x, pads=self.frame, mode=self.mode)
        return window(x, *(0,) * self.axes, grid=self._grid)

    def delta(self, d: Value, x: Value) -> Value:
        if self.mode != "zeros":
            return unframed(d, x, pads=self.frame, mode=self.mode)
        return place(d, x, *(0,) * self.axes, grid=self._grid)

    def sources(self, axis: int, size: int) -> list[int]:
        """Along an axis of so many pixels, which one stands in each place, -1: none."""
        before, after = self.frame[axis]
        places = np.arange(-before, size + after)
        if self.mode == "zeros":
            return [int(i) if 0 <= i < size else -1 for i in places]
        return list(map(int, source(places, size, self.mode)))

    @property
    def _grid(self) -> Grid:
        return Grid((1,) * self.axes, padding=self.frame)

    def output_shape(self, input_shape: Shape) -> Shape:
        *size, channels = checks.spatial_shape(input_shape, type(self).__name__, self.axes)
        made = self._grid.positions(tuple(size))
        if min(made) < 1:
            raise ShapeError(f"{self!r} leaves nothing of an input of shape {input_shape}; cut off less")
        return *made, channels


class Pad2D(Edges):
    """An image with more rows and columns: (H, W, C) -> (top + H + bottom, left + W + right, C).

    padding: an integer, (rows, columns) or ((top, bottom), (left, right)). mode: "zeros"; "reflect", mirrored
    at the outermost pixels, which are not repeated, at most as many as there are beside them; "replicate",
    the outermost pixels again; "circular", the opposite edge, at most as many as there are. ShapeError.
    """

    kind = "pad"
    family = "pad"

    @teach("how much stands around: {name}(1, mode='reflect')")
    def __init__(self, padding: Any, *, mode: str = "zeros", name: str | None = None) -> None:
        self.padding, self.frame = _sizes(padding, "padding", self.axes)
        meaning = "'zeros', 'reflect', 'replicate' (the edge again) or 'circular' (the opposite edge)"
        self.mode = check_choice(f"{type(self).__name__} mode", mode, PADDINGS, meaning=meaning)
        self.name = name

    def output_shape(self, input_shape: Shape) -> Shape:
        made = super().output_shape(input_shape)
        less = {"reflect": 1, "circular": 0}.get(self.mode)
        for size, pads in zip(input_shape, self.frame, strict=False):
            if less is not None and max(pads) > size - less:
                raise ShapeError(
                    f"{self!r} needs more than {max(pads) - 1 + less} pixels along every axis that it goes "
                    f"on beyond, received {input_shape}; pad less, or write mode='replicate'"
                )
        return made


class Pad1D(Pad2D):
    """A sequence with more steps: (T, C) -> (before + T + after, C).

    padding: an integer or (before, after): (k - 1, 0) lets no step of a convolution see what comes later.
    mode as of Pad2D. Its steps are others than before, so that a mask ends here.
    """

    kind = "pad"
    spatial = "sequence"
    axes = 1


class Pad3D(Pad2D):
    """A volume with more planes, rows and columns: (D, H, W, C) -> (D + ..., H + ..., W + ..., C).

    padding: an integer, (planes, rows, columns) or ((front, back), (top, bottom), (left, right)). mode as of
    Pad2D.
    """

    kind = "pad"
    spatial = "volume"
    axes = 3


class Crop2D(Edges):
    """An image without its outermost rows and columns: (H, W, C) -> (H - top - bottom, W - left - right, C).

    cropping: an integer, (rows, columns) or ((top, bottom), (left, right)). ShapeError where nothing is left.
    """

    kind = "crop"
    family = "crop"

    @teach("how much is cut off: {name}(1)")
    def __init__(self, cropping: Any, *, name: str | None = None) -> None:
        self.cropping, sizes = _sizes(cropping, "cropping", self.axes)
        self.frame = tuple((-before, -after) for before, after in sizes)
        self.name = name


class Crop1D(Crop2D):
    """A sequence without its first and last steps: (T, C) -> (T - before - after, C).

    cropping: an integer or (before, after). Its steps are others than before, so that a mask ends here.
    """

    kind = "crop"
    spatial = "sequence"
    axes = 1


class Crop3D(Crop2D):
    """A volume without its outermost planes, rows and columns; cropping as the padding of Pad3D."""

    kind = "crop"
    spatial = "volume"
    axes = 3


def _sizes(value: Any, argument: str, axes: int) -> tuple[Any, Pads]:
    """(as given, before and behind every axis)."""
    if isinstance(value, str):
        raise ShapeError(f"{argument} must be a number of pixels, received {describe(value)}; write 1, say")
    most = (checks.LARGEST_WINDOW,) * axes
    try:
        given, sizes = checks.padding(value, most)
    except ShapeError as error:
        raise ShapeError(
            f"{argument} must be an integer of at least 0, {checks.PADS[axes]}, received {describe(value)}"
        ) from error
    assert not isinstance(sizes, str)
    pairs: tuple[Pair, ...] = sizes
    return given, pairs
