"""Which elements of a formula are worked out: the one that says most, and one that is different, with the
reason.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from chainrule.base.languages import Say
from chainrule.base.types import Array
from chainrule.explaining.words.catalogues import ELEMENTS

Chosen = tuple[tuple[int, ...], Say]  # an entry, and why it is worked out


def largest(value: Array, sample: int | None) -> Chosen:
    """The entry of largest absolute value: of a sample (last axis), or of all where `sample` is None."""
    part = value if sample is None else value[..., sample]
    place = _argmax(np.abs(part))
    if sample is None:
        return place, ELEMENTS["largest_of_all"]
    return (*place, sample), ELEMENTS["largest"]


def factor_contrast(factor: Array, arriving: Array, sample: int) -> Chosen | None:
    """An entry that f' closes, the one at which most arrives; or of those at which something arrives the one
    where f' is smallest, if it is small.
    """
    f, u = np.abs(factor[..., sample]), np.abs(arriving[..., sample])
    if (f == 0).any() and (f != 0).any():
        return (*_argmax(np.where(f == 0, u, -1.0)), sample), ELEMENTS["closed"]
    place = _argmax(np.where(u > 0, -f, -np.inf) if u.any() else -f)
    return ((*place, sample), ELEMENTS["nearly_closed"]) if f[place] < 0.1 * f.max() else None


def window_contrast(layer: Any, x: Array, sample: int) -> Chosen | None:
    """For pooling: a pixel of several windows, else one that won none."""
    grid = layer.grid
    size = x.shape[: len(grid.kernel)]
    covered = coverage(grid, size)
    channel = _argmax(np.abs(x[..., sample]).sum(axis=tuple(range(len(size)))))[0]
    if covered.max() > 1:
        return (*_argmax(covered), channel, sample), ELEMENTS["shared"]
    if layer.winners(x) is not None and math.prod(grid.kernel) > 1:
        return (*_argmax(-x[..., channel, sample]), channel, sample), ELEMENTS["loser"]
    return None


def border(layer: Any, output: Array, sample: int) -> Chosen | None:
    """For a padded convolution: the first corner."""
    if not layer.grid.padded:
        return None
    axes = len(layer.grid.kernel)
    corner = (0,) * axes
    return (*corner, _argmax(np.abs(output[..., sample][corner]))[0], sample), ELEMENTS["border"]


def coverage(grid: Any, size: tuple[int, ...]) -> Array:
    """How many windows cover each pixel."""
    covered = np.zeros(size, np.int64)
    for offset in np.ndindex(*grid.kernel):
        pixels, _ = grid.meet(size, offset)
        covered[pixels] += 1
    return covered


def _argmax(array: Array) -> tuple[int, ...]:
    flat = np.nan_to_num(np.asarray(array, np.float64), nan=np.inf)
    return tuple(int(i) for i in np.unravel_index(int(flat.argmax()), flat.shape))
