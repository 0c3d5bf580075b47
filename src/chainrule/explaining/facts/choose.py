"""Which elements of a formula are worked out: the one that says most, and one that is different, with the
reason.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from chainrule.base.languages import Say

Array = NDArray[Any]
Choice = tuple[tuple[int, ...], Say]

LARGEST = Say("the entry of this sample that is largest in magnitude", "本样本中绝对值最大的元素")
IN_FOCUS = Say("of the sample in focus", "所选样本")
ASKED = Say("the element that was asked for", "指定的元素")
LARGEST_ENTRY = Say("the entry that is largest in magnitude", "绝对值最大的元素")
LARGEST_OF_J = Say(
    "the entry at which ∂J/∂W, below, is largest in magnitude", "下面的 ∂J/∂W 在此处绝对值最大"
)
CLOSED = Say("closed: f′(z) = 0, so nothing goes on", "关闭：f′(z) = 0，δ 到此为止")
SATURATED = Say(
    "nearly closed: f′(z) is smallest here, and below a tenth of the largest",
    "近乎关闭：此处 f′(z) 最小，不到最大值的十分之一",
)
BORDER = Say(
    "at the border, where part of the window lies in the padding", "在边界处，窗口的一部分落在填充中"
)
SHARED = Say("covered by several windows, whose δ add up", "被多个窗口覆盖，这些窗口的 δ 相加")
LOSER = Say("in a window, and not its maximum: no δ", "在窗口内但不是最大值：得不到 δ")


def largest(value: Array, sample: int | None) -> Choice:
    """The entry of largest absolute value: of a sample (last axis), or of all where `sample` is None."""
    part = value if sample is None else value[..., sample]
    place = _argmax(np.abs(part))
    return (place, LARGEST_ENTRY) if sample is None else ((*place, sample), LARGEST)


def factor_contrast(factor: Array, arriving: Array, sample: int) -> Choice | None:
    """An entry that f' closes, the one at which most arrives; or of those at which something arrives the one
    where f' is smallest, if it is small.
    """
    f, u = np.abs(factor[..., sample]), np.abs(arriving[..., sample])
    if (f == 0).any() and (f != 0).any():
        return (*_argmax(np.where(f == 0, u, -1.0)), sample), CLOSED
    place = _argmax(np.where(u > 0, -f, -np.inf) if u.any() else -f)
    return ((*place, sample), SATURATED) if f[place] < 0.1 * f.max() else None


def window_contrast(layer: Any, x: Array, sample: int) -> Choice | None:
    """For pooling: a pixel of several windows, else one that won none."""
    grid = layer.grid
    size = x.shape[: len(grid.kernel)]
    covered = coverage(grid, size)
    channel = _argmax(np.abs(x[..., sample]).sum(axis=tuple(range(len(size)))))[0]
    if covered.max() > 1:
        return (*_argmax(covered), channel, sample), SHARED
    if layer.winners(x) is not None and math_size(grid.kernel) > 1:
        return (*_argmax(-x[..., channel, sample]), channel, sample), LOSER
    return None


def border(layer: Any, output: Array, sample: int) -> Choice | None:
    """For a padded convolution: the first corner."""
    if not layer.grid.padded:
        return None
    axes = len(layer.grid.kernel)
    corner = (0,) * axes
    return (*corner, _argmax(np.abs(output[..., sample][corner]))[0], sample), BORDER


def coverage(grid: Any, size: tuple[int, ...]) -> Array:
    """How many windows cover each pixel."""
    covered = np.zeros(size, np.int64)
    for offset in np.ndindex(*grid.kernel):
        pixels, _ = grid.meet(size, offset)
        covered[pixels] += 1
    return covered


def math_size(shape: tuple[int, ...]) -> int:
    """How many entries a shape has."""
    return int(np.prod(shape, dtype=np.int64))


def _argmax(array: Array) -> tuple[int, ...]:
    flat = np.nan_to_num(np.asarray(array, np.float64), nan=np.inf)
    return tuple(int(i) for i in np.unravel_index(int(flat.argmax()), flat.shape))
