"""Reductions over the offsets (m, n) of a kernel or window: sum, mean, maximum, first winner, stack.

`sum_over("mn", (3, 3), lambda m, n: ...)`: with arrays the body is computed for every offset; on symbols it
is traced once with the indices left symbolic, so that it prints as Σ_{m,n}.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from chainrule.formulas.expression import Index, Named, Over
from chainrule.formulas.primitives.arrays import chosen, kernel_at, winner
from chainrule.formulas.primitives.declaring import reduction
from chainrule.formulas.primitives.grid import Grid
from chainrule.formulas.rules import Trait, binders

Values = Sequence[Any]
Ranges = tuple[int, ...]


@reduction(
    wrong="as:mean_over overwritten overwritten:whole one_offset", layout="sum_over", entry="sum_over",
    flow=lambda d, over, indices: d,
)
def sum_over(values: Values, ranges: Ranges) -> Any:
    """The sum."""
    return functools.reduce(np.add, values)


@reduction(
    wrong="as:sum_over overwritten:mean", layout="mean_over", entry="mean_over",
    flow=lambda d, over, indices: d / math.prod(over.ranges),
)
def mean_over(values: Values, ranges: Ranges) -> Any:
    """The mean."""
    return functools.reduce(np.add, values) / len(values)


def _to_the_winner(d: Any, over: Over, indices: tuple[Index, ...]) -> Any:
    won = Named("w", Over(binders["argmax_over"], over.indices, over.ranges, over.body))
    return d * chosen(won, *indices, grid=Grid(over.ranges))


@reduction(layout="max_over", entry="max_over", flow=_to_the_winner)
def max_over(values: Values, ranges: Ranges) -> Any:
    """The largest value."""
    return functools.reduce(np.maximum, values)


@reduction(layout="argmax_over", traits={Trait.CHOOSES}, flow=lambda d, over, indices: 0.0 * d)
def argmax_over(values: Values, ranges: Ranges) -> Any:
    """Where the largest value is, in row-major order; of equal ones see `winner`."""
    return winner(np.stack(values))


@reduction(
    layout="stack_over",
    entry="stack_over",
    traits={Trait.DROPS_POSITIONS},
    flow=lambda d, over, indices: kernel_at(d, *indices),
)
def stack_over(values: Values, ranges: Ranges) -> Any:
    """The matrices (K, C) of all offsets as a kernel (K, k1, k2, C)."""
    stacked = np.stack(values, axis=1)  # (K, offsets, C)
    return stacked.reshape(stacked.shape[0], *ranges, *stacked.shape[2:])
