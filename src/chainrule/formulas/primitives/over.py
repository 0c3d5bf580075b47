"""Reductions over the offsets (m, n) of a kernel or window: sum, mean, maximum, first winner, stack.

`sum_over("mn", (3, 3), lambda m, n: ...)`: with arrays the body is computed for every offset; on symbols it
is traced once with the indices left symbolic, so that it prints as Σ_{m,n}.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from chainrule.formulas.expression import Expression, Index, Named, Over
from chainrule.formulas.primitives.arrays import chosen, kernel_at
from chainrule.formulas.primitives.grid import Grid
from chainrule.formulas.rules import Binder, binders, reduce_over

Values = Sequence[Any]
Ranges = tuple[int, ...]
Indices = tuple[Index, ...]


def _sum(values: Values, ranges: Ranges) -> Any:
    return functools.reduce(np.add, values)


def _mean(values: Values, ranges: Ranges) -> Any:
    return _sum(values, ranges) / len(values)


def _max(values: Values, ranges: Ranges) -> Any:
    return functools.reduce(np.maximum, values)


def _argmax(values: Values, ranges: Ranges) -> Any:
    return np.stack(values).argmax(axis=0)  # NumPy takes the first of equal values: row-major first


def _stack(values: Values, ranges: Ranges) -> Any:
    stacked = np.stack(values, axis=1)  # (K, offsets, C)
    return stacked.reshape(stacked.shape[0], *ranges, *stacked.shape[2:])


def _flow_sum(d: Any, over: Over, indices: Indices) -> Any:
    return d


def _flow_mean(d: Any, over: Over, indices: Indices) -> Any:
    return d / math.prod(over.ranges)


def _flow_max(d: Any, over: Over, indices: Indices) -> Any:
    winner = Named("w", Over(binders["argmax_over"], over.indices, over.ranges, over.body))
    return d * chosen(winner, *indices, grid=Grid(over.ranges))


def _flow_nowhere(d: Any, over: Over, indices: Indices) -> Any:
    return 0.0 * d


def _flow_stack(d: Any, over: Over, indices: Indices) -> Any:
    return kernel_at(d, *indices)


def _binder(
    name: str, combine: Callable[..., Any], flow: Callable[..., Expression], layout: str
) -> Callable[..., Any]:
    binder = binders[name] = Binder(name, combine, flow, layout)

    def over(indices: str, ranges: Sequence[int], body: Callable[..., Any]) -> Any:
        return reduce_over(binder, indices, ranges, body)

    over.__name__ = over.__qualname__ = name
    return over


sum_over = _binder("sum_over", _sum, _flow_sum, "sum_over")
mean_over = _binder("mean_over", _mean, _flow_mean, "mean_over")
max_over = _binder("max_over", _max, _flow_max, "max_over")
argmax_over = _binder("argmax_over", _argmax, _flow_nowhere, "argmax_over")
stack_over = _binder("stack_over", _stack, _flow_stack, "stack_over")
