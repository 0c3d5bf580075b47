"""Which entries of its operands an entry of a primitive's result is made of: one rule per primitive.

A rule receives the reader `at` (reader.py: it reads entries of operands, under the sums around), the node,
and the place in the node's value; it returns an Element.  Most primitives only move entries: their rule says
where to.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from itertools import product
from typing import TYPE_CHECKING, Any

import numpy as np

from chainrule.formulas.elements.entry import (
    NOTHING,
    ONE,
    Element,
    Place,
    largest,
    minus,
    share,
    times,
    total,
)
from chainrule.formulas.expression import Operation, Over, Symbol
from chainrule.formulas.primitives.grid import Grid

if TYPE_CHECKING:
    from chainrule.formulas.elements.reader import At

ONES = "a_0"  # the name of the entry 1 that with_ones puts in front

# Elementwise functions: how many of their operands are numbers the function is of.
FUNCTIONS = {
    **dict.fromkeys(("exp", "expm1", "log", "log1p", "tanh", "erf", "sqrt", "absolute", "power"), 1),
    **dict.fromkeys(("divide", "ratio", "maximum", "minimum", "greater", "xlogy"), 2),
}


def _over_axes(x: Any, axes: Sequence[int], place: Place) -> Iterator[Place]:
    """Places of x: `place` with every combination of indices at the `axes`."""
    shape = np.shape(x)
    for indices in product(*(range(shape[axis]) for axis in axes)):
        full = list(place)
        for axis, i in zip(axes, indices, strict=True):
            full[axis] = i
        yield tuple(full)


def _add(at: At, node: Operation, place: Place) -> Element:
    return total(at.read(operand, place) for operand in node.operands)


def _subtract(at: At, node: Operation, place: Place) -> Element:
    left, right = (at.read(operand, place) for operand in node.operands)
    return total((left, minus(right)))


def _negative(at: At, node: Operation, place: Place) -> Element:
    return minus(at.read(node.operands[0], place))


def _multiply(at: At, node: Operation, place: Place) -> Element:
    return times(*(at.read(operand, place) for operand in node.operands))


def _matmul(at: At, node: Operation, place: Place) -> Element:
    a, x = node.operands
    *here, k, s = place
    return total(times(at.read(a, (k, c)), at.read(x, (*here, c, s))) for c in range(at.shape(x)[-2]))


def _correlate(at: At, node: Operation, place: Place) -> Element:
    a, b = node.operands
    k, c = place
    *positions, _, samples = at.shape(a)
    places = product(*map(range, (*positions, samples)))
    return total(times(at.read(a, (*here, k, s)), at.read(b, (*here, c, s))) for *here, s in places)


def _step_products(at: At, node: Operation, place: Place) -> Element:
    a, b = node.operands
    *heads, t, k, s = place
    return total(
        times(at.read(a, (*heads, t, n, s)), at.read(b, (*heads, k, n, s))) for n in range(at.shape(a)[-2])
    )


def _mix_steps(at: At, node: Operation, place: Place) -> Element:
    a, x = node.operands
    *heads, t, n, s = place
    return total(
        times(at.read(a, (*heads, t, k, s)), at.read(x, (*heads, k, n, s))) for k in range(at.shape(x)[-3])
    )


def _moved(to: Callable[[At, Operation, Place], Place | None]) -> Callable[[At, Operation, Place], Element]:
    """A rule for what only moves entries: the place in the first operand, or None where there is nothing."""

    def rule(at: At, node: Operation, place: Place) -> Element:
        source = to(at, node, place)
        return NOTHING if source is None else at.read(node.operands[0], source)

    return rule


def _summed(axes: Callable[[Place], Iterable[int]], place_of: Callable[[Place, int], Place]) -> Any:
    """A rule for sums over axes of the operand: `axes` of its shape; `place_of`: the result's place in it."""

    def rule(at: At, node: Operation, place: Place) -> Element:
        x = node.operands[0]
        shape = at.shape(x)
        base = place_of(place, len(shape))
        return total(at.read(x, here) for here in _over_axes(at.value(x), list(axes(shape)), base))

    return rule


def _mean(rule: Callable[[At, Operation, Place], Element]) -> Callable[[At, Operation, Place], Element]:
    """The mean of what a rule sums: (1/n) · sum, n as the primitive's own value has it."""

    def mean(at: At, node: Operation, place: Place) -> Element:
        summed = rule(at, node, place)
        count = at.value(node.operands[0]).size // np.asarray(at.value(node)).size
        return summed if count == 1 else times(share(count), summed)

    return mean


def _mean_groups(at: At, node: Operation, place: Place) -> Element:
    x = node.operands[0]
    *positions, channels, _ = at.shape(x)
    width = channels // node.options["groups"]
    first = place[-2] // width * width
    places = list(product(*map(range, positions), range(first, first + width), (place[-1],)))
    return times(share(len(places)), total(at.read(x, here) for here in places))


def _window(at: At, node: Operation, place: Place) -> Place | None:
    x, *offset = node.operands
    grid: Grid = node.options["grid"]
    axes = len(offset)
    size = at.shape(x)[:axes]
    pixel = tuple(
        step * i + apart * m - before
        for step, i, apart, m, (before, _) in zip(
            grid.stride, place, grid.dilation, at.offset(offset), grid.pads(size), strict=False
        )
    )
    inside = all(0 <= u < length for u, length in zip(pixel, size, strict=True))
    return (*pixel, *place[axes:]) if inside else None


def _place(at: At, node: Operation, place: Place) -> Place | None:
    x, like, *offset = node.operands
    grid: Grid = node.options["grid"]
    axes = len(offset)
    size, positions = at.shape(like)[:axes], at.shape(x)[:axes]
    window = []
    for u, step, apart, m, (before, _), count in zip(
        place, grid.stride, grid.dilation, at.offset(offset), grid.pads(size), positions, strict=False
    ):
        i, left = divmod(u + before - apart * m, step)
        if left or not 0 <= i < count:
            return None
        window.append(i)
    return (*window, *place[axes:])


def _kernel_place(at: At, node: Operation, place: Place) -> Place | None:
    k, *here, c = place
    return (k, c) if tuple(here) == at.offset(node.operands[2:]) else None


def _block_diagonal(at: At, node: Operation, place: Place) -> Place | None:
    rows, columns = np.shape(at.value(node))
    width = at.shape(node.operands[0])[1]
    first = place[0] // (rows // (columns // width)) * width
    return (place[0], place[1] - first) if first <= place[1] < first + width else None


def _diagonal_blocks(at: At, node: Operation, place: Place) -> Place:
    rows, columns = at.shape(node.operands[0])
    width = at.shape(node)[1]
    return (place[0], place[0] // (rows // (columns // width)) * width + place[1])


def _beside(at: At, node: Operation, place: Place) -> Element:
    above, below = node.operands
    *here, k, s = place
    size = at.shape(above)[-2]
    return at.read(above, place) if k < size else at.read(below, (*here, k - size, s))


def _other_features(at: At, node: Operation, place: Place) -> Place:
    *here, k, s = place
    return (*here, k + at.shape(node.operands[1])[-2], s)


def _gate_rows(node: Operation, rows: int) -> tuple[int, int]:
    """(first row of the gate, rows of a gate)."""
    size = rows // len(node.options["gates"])
    return node.options["gates"].index(node.options["gate"]) * size, size


def _gate(at: At, node: Operation, place: Place) -> Place:
    first, _ = _gate_rows(node, at.shape(node.operands[0])[-2])
    return (*place[:-2], place[-2] + first, place[-1])


def _gate_place(at: At, node: Operation, place: Place) -> Place | None:
    first, size = _gate_rows(node, at.shape(node)[-2])
    row = place[-2] - first
    return (*place[:-2], row, place[-1]) if 0 <= row < size else None


def _flatten(at: At, node: Operation, place: Place) -> Place:
    shape = at.shape(node.operands[0])[:-1]
    return (*(int(i) for i in np.unravel_index(place[0], shape)), place[-1])


def _unflatten(at: At, node: Operation, place: Place) -> Place:
    return (int(np.ravel_multi_index(place[:-1], at.shape(node)[:-1])), place[-1])


def _fit(at: At, node: Operation, place: Place) -> Element:
    """What broadcasting repeated is summed."""
    x, _ = node.operands
    shape, like = at.shape(x), at.shape(node)
    here = (0,) * (len(shape) - len(like)) + place
    axes = [
        a
        for a, size in enumerate(shape)
        if a < len(shape) - len(like) or (size > 1 and like[a - len(shape) + len(like)] == 1)
    ]
    return total(at.read(x, one) for one in _over_axes(at.value(x), axes, here))


def _stretch(at: At, node: Operation, place: Place) -> Element:
    """Repeated along axes; where the operand has fewer axes they are those of features and samples."""
    return at.read(node.operands[0], place)


def _where(at: At, node: Operation, place: Place) -> Element:
    """The branch taken at this place."""
    condition, yes, no = node.operands
    chosen = np.broadcast_to(at.value(condition), at.shape(node))[place]
    return at.read(yes if chosen else no, place)


def _largest_feature(at: At, node: Operation, place: Place) -> Element:
    x = node.operands[0]
    return largest(at.read(x, here) for here in _over_axes(at.value(x), [len(at.shape(x)) - 2], place))


def _largest_position(at: At, node: Operation, place: Place) -> Element:
    x = node.operands[0]
    axes = range(len(at.shape(x)) - 2)
    return largest(at.read(x, here) for here in _over_axes(at.value(x), axes, (*(0 for _ in axes), *place)))


def _split_heads(at: At, node: Operation, place: Place) -> Place:
    head, t, f, s = place
    return t, head * at.shape(node)[-2] + f, s


def _join_heads(at: At, node: Operation, place: Place) -> Place:
    t, f, s = place
    width = at.shape(node.operands[0])[-2]
    return f // width, t, f % width, s


def _swapped(at: At, node: Operation, place: Place) -> Place:
    *heads, t, k, s = place
    return (*heads, k, t, s)


def _with_ones(at: At, node: Operation, place: Place) -> Element:
    """a_0, the 1 in front: an entry with the letter of the others, of no array."""
    k, s = place
    x = node.operands[0]
    if k > 0:
        return at.read(x, (k - 1, s))
    symbol = replace(x, name=ONES) if isinstance(x, Symbol) else None
    return Element("entry", 1.0, symbol=symbol, name=ONES, index=(0, s))


def _with_zero_bias(at: At, node: Operation, place: Place) -> Place | None:
    row, column = place
    return (row, column - 1) if column else None


def _nothing(at: At, node: Operation, place: Place) -> Element:
    return NOTHING


def _one(at: At, node: Operation, place: Place) -> Element:
    return ONE


_positions = _summed(lambda shape: range(len(shape) - 2), lambda place, n: (0,) * (n - 2) + place)
_samples = _summed(lambda shape: (len(shape) - 1,), lambda place, n: (*place, 0))
_features = _summed(lambda shape: (len(shape) - 2,), lambda place, n: place)
_outputs = _summed(lambda shape: range(len(shape) - 1), lambda place, n: (0,) * (n - 1) + place)
_entries = _summed(lambda shape: range(len(shape)), lambda place, n: (0,) * n)
_all_samples = _summed(
    lambda shape: (*range(len(shape) - 2), len(shape) - 1), lambda place, n: (*(0,) * (n - 2), *place, 0)
)

RULES: dict[str, Callable[[At, Operation, Place], Element]] = {
    "add": _add,
    "subtract": _subtract,
    "negative": _negative,
    "multiply": _multiply,
    "where": _where,
    "matmul": _matmul,
    "correlate": _correlate,
    "step_products": _step_products,
    "mix_steps": _mix_steps,
    "sum_positions": _positions,
    "sum_samples": _samples,
    "sum_features": _features,
    "sum_outputs": _outputs,
    "sum_entries": _entries,
    "mean_features": _mean(_features),
    "mean_samples": _mean(_all_samples),
    "mean_groups": _mean_groups,
    "max_features": _largest_feature,
    "max_positions": _largest_position,
    "fit": _fit,
    "stretch": _stretch,
    "beside": _beside,
    "zeros_like": _nothing,
    "canvas": _nothing,
    "ones_like": _one,
    "sum_steps": _moved(lambda at, node, place: place),
    "transpose": _moved(lambda at, node, place: place[::-1]),
    "broadcast_samples": _moved(lambda at, node, place: place[:-1]),
    "every_feature": _moved(lambda at, node, place: (place[0], place[-1])),
    "window": _moved(_window),
    "place": _moved(_place),
    "kernel_at": _moved(lambda at, node, place: (place[0], *at.offset(node.operands[1:]), place[1])),
    "kernel_place": _moved(_kernel_place),
    "block_diagonal": _moved(_block_diagonal),
    "diagonal_blocks": _moved(_diagonal_blocks),
    "first_features": _moved(lambda at, node, place: place),
    "other_features": _moved(_other_features),
    "with_ones": _with_ones,
    "without_bias": _moved(lambda at, node, place: (place[0], place[1] + 1)),
    "with_zero_bias": _moved(_with_zero_bias),
    "gate": _moved(_gate),
    "gate_place": _moved(_gate_place),
    "flatten": _moved(_flatten),
    "unflatten": _moved(_unflatten),
    "split_heads": _moved(_split_heads),
    "join_heads": _moved(_join_heads),
    "swap_steps": _moved(_swapped),
}


def _sum_over(at: At, node: Over, place: Place) -> Element:
    return total(inner.read(node.body, place) for inner in at.inner(node))


def _mean_over(at: At, node: Over, place: Place) -> Element:
    return times(share(math.prod(node.ranges)), _sum_over(at, node, place))


def _max_over(at: At, node: Over, place: Place) -> Element:
    return largest(inner.read(node.body, place) for inner in at.inner(node))


def _stack_over(at: At, node: Over, place: Place) -> Element:
    """(K, m, n, C): the matrix at its own offset (m, n)."""
    k, *offset, c = place
    return at.moved(node.indices, offset).read(node.body, (k, c))


REDUCTIONS: dict[str, Callable[[At, Over, Place], Element]] = {
    "sum_over": _sum_over,
    "mean_over": _mean_over,
    "max_over": _max_over,
    "stack_over": _stack_over,
}
