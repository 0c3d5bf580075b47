"""Primitives of relative positions: a number for every distance of a query i and a key k, by head.

Distances are k - i, in steps; which of them have one number together is said by `places`.
"""

# mypy: disable-error-code="has-type"
# (mypy infers a primitive after its decorator's arguments, which name primitives further down; all are Any)

from __future__ import annotations

import math
from typing import Any

import numpy as np

from chainrule.formulas.primitives.declaring import primitive
from chainrule.formulas.primitives.elementwise import stretch

Grid = tuple[int, int] | None


@primitive(
    layout="sloped",
    adjoint=lambda d, y, s: (None,),
    remark="the slope is the head's, i a query and k a key: 2^{{−8h/n}} of head h where there are n, a power "
    "of two",
)
def sloped(s: Any) -> Any:
    """slope_h |k - i| of ALiBi for scores s: (heads, T, S, m) -> (heads, T, S, 1)."""
    heads, steps, keys = np.shape(s)[-4:-1]
    far = np.abs(places(steps, keys, 2 * max(steps, keys) - 1) - max(steps, keys) + 1)
    return (np.array(slopes(heads))[:, None, None] * far).astype(s.dtype)[..., None]


@primitive(
    wrong="unmoved", layout="by_distance", entry="by_distance",
    remark="P_{{k−i}} is the number that the head has for the distance from query i to key k; where "
    "distances share numbers, or are those of pixels, ρ says which it is",
    adjoint=lambda d, y, P, s, **how: (sum_distances(d, P, **how), None),
)
def by_distance(P: Any, s: Any, *, logarithmic: int, both: bool, grid: Grid) -> Any:
    """Of every head h, query i and key k the entry of P, (heads, numbers), of their distance: for scores s,
    (heads, T, S, m) -> (heads, T, S, 1).
    """
    steps, keys = np.shape(s)[-3:-1]
    return P[:, places(steps, keys, P.shape[1], logarithmic, both, grid)][..., None]


@primitive(
    layout="sum_distances", entry="sum_distances",
    adjoint=lambda d, y, x, P, **how: (stretch(by_distance(d, x, **how), x), None),
)
def sum_distances(x: Any, P: Any, *, logarithmic: int, both: bool, grid: Grid) -> Any:
    """The adjoint of by_distance: sums over the pairs of every distance, and over samples;
    (heads, T, S, m) -> (heads, numbers).
    """
    heads, count = np.shape(P)
    steps, keys = x.shape[-3:-1]
    of = places(steps, keys, count, logarithmic, both, grid).ravel()
    pairs = x.sum(axis=-1).reshape(heads, -1)
    return np.array([np.bincount(of, head, count) for head in pairs]).astype(x.dtype)


def slopes(heads: int) -> list[float]:
    """The slopes of Press et al.: 2^(-8/n), 2^(-16/n), ... for n heads, a power of two; for another number
    those of the power below, and of twice as many heads every other one.
    """
    power = 2 ** int(math.log2(heads))
    return [
        2.0 ** (-8 * (h + 1) / power) if h < power else 2.0 ** (-4 * (2 * (h - power) + 1) / power)
        for h in range(heads)
    ]


def places(
    steps: int, keys: int, count: int, logarithmic: int = 0, both: bool = True, grid: Grid = None
) -> Any:
    """Which of `count` numbers is that of query i and key k: (steps, keys).

    By itself the middle one is of distance 0, and distances that have none take the outermost. logarithmic:
    T5's buckets up to this distance; both: of keys behind the query the second half. grid: the steps are
    pixels of an image, and the numbers are of distances i - k along its rows, then its columns.
    """
    i, k = np.arange(steps)[:, None], np.arange(keys)
    if grid is not None:
        height, width = grid
        rows, columns = i // width - k // width + height - 1, i % width - k % width + width - 1
        return rows * (2 * width - 1) + columns
    if not logarithmic:
        reach = count // 2
        return np.clip(k - i, -reach, reach) + reach
    far, first = np.maximum(i - k, 0), np.zeros(1, int)
    if both:
        count //= 2
        far, first = np.abs(k - i), np.where(k > i, count, 0)
    near = count // 2  # distances that have a bucket each
    share = np.log(np.maximum(far, 1) / near) / math.log(logarithmic / near)
    # 1e-6: where the logarithm is a whole number but for its last digits it is that number.
    beyond = near + np.floor(share * (count - near) + 1e-6).astype(int)
    return first + np.where(far < near, far, np.minimum(beyond, count - 1))
