"""Samples whose axes are turned, cut anew, pooled in parts, or mixed along one of them."""

# mypy: disable-error-code="has-type"
# (mypy infers a primitive after its decorator's arguments, which name the primitive itself; all are Any)

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import numpy as np

from chainrule.formulas.primitives import arrays
from chainrule.formulas.primitives.arrays import flatten, unflatten
from chainrule.formulas.primitives.declaring import primitive
from chainrule.formulas.primitives.grid import Parts, Sizes, Slices, parts
from chainrule.formulas.rules import Trait

Taps = tuple[tuple[tuple[int, float], ...], ...]  # of every place that is made: (place it is made of, weight)


def inverse(order: tuple[int, ...]) -> tuple[int, ...]:
    """The order that puts axes back."""
    return tuple(int(place) for place in np.argsort(order))


def transposed(taps: Taps, size: int) -> Taps:
    """The weights read the other way: of every one of `size` places what it goes into."""
    goes: list[list[tuple[int, float]]] = [[] for _ in range(size)]
    for made, row in enumerate(taps):
        for place, weight in row:
            goes[place].append((made, weight))
    return tuple(tuple(row) for row in goes)


@primitive(
    wrong="blocks_as_they_lie",
    layout="permuted",
    entry="permuted",
    adjoint=lambda d, y, x, *, order: (permuted(d, order=inverse(order)),),
)
def permuted(x: Any, *, order: tuple[int, ...]) -> Any:
    """A sample's axes in another order: axis n of the result is axis order[n] of x; samples stay last."""
    return x.transpose(*order, x.ndim - 1)


@primitive(
    layout=("function", "reshape"),
    entry="reshaped",
    adjoint=lambda d, y, x, *, shape: (unflatten(flatten(d), x),),
)
def reshaped(x: Any, *, shape: tuple[int, ...]) -> Any:
    """The entries of a sample, row by row, in another shape of as many."""
    return x.reshape(*shape, x.shape[-1])


@primitive(
    layout="merged",
    entry="reshaped",
    adjoint=lambda d, y, x, *, axes: (unflatten(d, x),),
    remark="vec_{axes} takes the last {axes} axes of a sample as features, row by row; vec⁻¹ puts them back",
)
def merged(x: Any, *, axes: int) -> Any:
    """The last `axes` axes of a sample as one of features, row by row: (T, H, W, C, m) -> (T, H W C, m)."""
    return x.reshape(*x.shape[: x.ndim - 1 - axes], -1, x.shape[-1])


@primitive(
    layout="near",
    entry="sum_near",
    adjoint=lambda d, y, x, *, before, after: (sum_near(d, before=after, after=before),),
    remark="a sum over near channels j, from c−{before} to c+{after} for channel c, is 0 beyond the channels",
)
def sum_near(x: Any, *, before: int, after: int) -> Any:
    """Σ_j x_j over the features from so many before each to so many after it: (..., n, m), the same shape."""
    count = x.shape[-2]
    out = x.copy()
    for apart in (*range(-before, 0), *range(1, after + 1)):
        here = slice(max(-apart, 0), max(count - max(apart, 0), 0))
        there = slice(max(apart, 0), max(count + min(apart, 0), 0))
        out[..., here, :] += x[..., there, :]
    return out


@primitive(
    layout="along",
    entry="along",
    adjoint=lambda d, y, x, *, axis, taps, size, back=False: (
        along(d, axis=axis, taps=transposed(taps, size), size=len(taps), back=not back),
    ),
    remark="A makes every place along one axis a fixed sum of others",
)
def along(x: Any, *, axis: int, taps: Taps, size: int, back: bool = False) -> Any:
    """Σ_i A_{u,i} x_i along one axis of `size` places; taps: of every u the (i, A_{u,i}) that are not 0.

    back: whether they are those of Aᵀ, which is only printed.
    """
    shape = (*x.shape[:axis], len(taps), *x.shape[axis + 1 :])
    out = np.zeros_like(x, shape=shape, order="C")
    here: Any = (slice(None),) * axis
    for made, row in enumerate(taps):
        for place, weight in row:
            out[(*here, made)] += weight * x[(*here, place)]
    return out


def runs(shape: tuple[int, ...], axis: int, taps: Taps) -> Iterator[tuple[int, int, int, float]]:
    """(to, from, count, weight) of the numbers of a sample of `shape`, row by row, that lie side by side; of
    several rows of pixels each by itself.
    """
    inner, row = math.prod(shape[axis + 1 :]), math.prod(shape[-2:])
    count = row if axis < len(shape) - 2 else inner
    for outer in range(math.prod(shape[:axis])):
        for made, sums in enumerate(taps):
            for place, weight in sums:
                to, origin = (outer * len(taps) + made) * inner, (outer * shape[axis] + place) * inner
                for more in range(0, inner, count):
                    yield to + more, origin + more, count, weight


PARTS_REMARK = (
    "R is the window of part i of every axis, in {sizes} parts: of n pixels in s parts from ⌊i n/s⌋ to "
    "⌈(i + 1) n/s⌉ − 1"
)


def boxes(size: Sizes, sizes: Parts) -> Iterator[tuple[Sizes, Slices]]:
    """Every window of an image in parts, and its pixels."""
    axes = [parts(length, count) for length, count in zip(size, sizes, strict=False)]
    for place in np.ndindex(*map(len, axes)):
        yield place, tuple(slice(axes[n][i].start, axes[n][i].stop) for n, i in enumerate(place))


def _pooled(x: Any, sizes: Parts) -> Any:
    """A place for every window of x."""
    made = (len(parts(n, count)) for n, count in zip(x.shape, sizes, strict=False))
    return np.zeros_like(x, shape=(*made, *x.shape[len(sizes) :]), order="C")


def _in_row(x: Any, axes: int) -> Any:
    """The pixels of a window one behind the other."""
    return x.reshape(-1, *x.shape[axes:])


@primitive(
    wrong="floored side_by_side even even_less undivided_parts",
    layout="mean_parts", entry="mean_parts",
    adjoint=lambda d, y, x, *, sizes: (spread_parts(d, x, sizes=sizes),),
    remark=PARTS_REMARK,
)
def mean_parts(x: Any, *, sizes: Parts) -> Any:
    """The mean of every window of an image in parts: (H, W, C, m) -> (*sizes, C, m)."""
    out = _pooled(x, sizes)
    for place, box in boxes(x.shape, sizes):
        out[place] = _in_row(x[box], len(sizes)).mean(axis=0)
    return out


@primitive(
    wrong="floored side_by_side even even_less undivided_parts overwritten_parts",
    layout="spread_parts", entry="spread_parts", traits={Trait.LIKE_SECOND},
    adjoint=lambda d, y, x, like, *, sizes: (mean_parts(d, sizes=sizes), None),
    remark=PARTS_REMARK,
)
def spread_parts(x: Any, like: Any, *, sizes: Parts) -> Any:
    """The adjoint of mean_parts: every window's value in equal shares to its pixels, of the size of `like`;
    pixels of several windows add up.
    """
    out = np.zeros_like(x, shape=(*like.shape[: len(sizes)], *x.shape[len(sizes) :]), order="C")
    for place, box in boxes(like.shape, sizes):
        out[box] += x[place] / math.prod(pixels.stop - pixels.start for pixels in box)
    return out


@primitive(
    wrong="floored side_by_side",
    layout="largest_parts", entry="largest_parts",
    adjoint=lambda d, y, x, like, *, sizes: (placed_parts(d, like, sizes=sizes), None),
    remark=PARTS_REMARK,
)
def largest_parts(x: Any, like: Any, *, sizes: Parts) -> Any:
    """x where `like` is largest, of every window of an image in parts: the maximum where both are one."""
    out = _pooled(x, sizes)
    for place, box in boxes(like.shape, sizes):
        own, seen = _in_row(x[box], len(sizes)), _in_row(like[box], len(sizes))
        out[place] = np.take_along_axis(own, arrays.winner(seen)[None], 0)[0]
    return out


@primitive(
    wrong="floored side_by_side overwritten_parts one_channel",
    layout="placed_parts", entry="placed_parts", traits={Trait.LIKE_SECOND, Trait.CHOOSES},
    adjoint=lambda d, y, x, like, *, sizes: (largest_parts(d, like, sizes=sizes), None),
    remark=PARTS_REMARK,
)
def placed_parts(x: Any, like: Any, *, sizes: Parts) -> Any:
    """The adjoint of largest_parts: every window's value on the pixel where `like` is largest; a pixel that
    won several adds up.
    """
    out = np.zeros_like(x, shape=(*like.shape[: len(sizes)], *x.shape[len(sizes) :]), order="C")
    for place, box in boxes(like.shape, sizes):
        seen = _in_row(like[box], len(sizes))
        won = np.arange(len(seen)).reshape(-1, 1, 1) == arrays.winner(seen)
        out[box] += np.where(won, x[place], 0).reshape(out[box].shape)
    return out
