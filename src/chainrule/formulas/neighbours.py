"""The wrong neighbours of a formula: what it becomes by one mistake at one of its nodes.

Every primitive and reduction declares, where it is defined, what people write in its place (`wrong=`):

    only:N      operand N alone: a factor, a term, a transpose, a power left out
    as:NAME     another primitive on the same operands
    swapped     the operands in the other order
    turned:N    operand N transposed
    first       of the first sample alone
    stride, padding, dilation    as if there were none
    rotated:N   a kernel turned by 180°
    overwritten the last value that was written, where they should add up
    overwritten_rows    the same of rows that ids pick
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from chainrule.formulas.expression import (
    Expression,
    Operation,
    Over,
    Path,
    Symbol,
    replace_at,
    walk,
)
from chainrule.formulas.primitives.grid import Grid
from chainrule.formulas.rules import Binder, binders, rules

ROTATED = "°"  # behind a symbol's name: the same kernel, turned by 180°


@dataclass(frozen=True, eq=False)
class Neighbour:
    """A formula with one mistake in it.

    kind: the word that the node declares.  node: what stands there in the right formula, and `part` what of
    it is missing, or stands there instead.  tree: the whole wrong formula.
    """

    kind: str
    path: Path
    node: Expression
    part: Expression
    tree: Expression


def neighbours(tree: Expression, others: Sequence[Symbol] = ()) -> Iterator[Neighbour]:
    """Every formula that differs from `tree` by one mistake.

    others: symbols that may stand where another one should, such as z for x.
    """
    seen = {tree}
    for path, node in walk(tree):
        for kind, part, wrong in _at(node, others):
            changed = replace_at(tree, path, wrong)
            if changed not in seen:
                seen.add(changed)
                yield Neighbour(kind, path, node, part, changed)


def _at(node: Expression, others: Sequence[Symbol]) -> Iterator[tuple[str, Expression, Expression]]:
    """(kind, part, what stands there instead) of the mistakes at a node itself."""
    if isinstance(node, Symbol):
        for symbol in others:
            if symbol.name != node.name:
                yield "symbol", symbol, symbol
    elif isinstance(node, Operation):
        for word in node.rule.wrong:
            kind, _, which = word.partition(":")
            yield from _of_operation(node, kind, which)
    elif isinstance(node, Over):
        for word in node.rule.wrong:
            kind, _, name = word.partition(":")
            binder = binders[name] if kind == "as" else _binders[kind]
            yield word.replace(":", " "), node, Over(binder, node.indices, node.ranges, node.body)


def _of_operation(node: Operation, kind: str, which: str) -> Iterator[tuple[str, Expression, Expression]]:
    operands = node.operands
    if kind == "only":
        kept = operands[int(which)]
        gone = operands[1 - int(which)] if len(operands) == 2 else node
        yield f"{node.rule.name} only", gone, kept
    elif kind == "as":
        yield f"{node.rule.name} as {which}", node, Operation(rules[which], operands, node.static)
    elif kind == "swapped":
        yield f"{node.rule.name} swapped", node, Operation(node.rule, operands[::-1], node.static)
    elif kind == "turned":
        number = int(which)
        operand = operands[number]
        turned = _replaced(operands, number, Operation(rules["transpose"], (operand,)))
        if not (isinstance(operand, Operation) and operand.rule.name == "transpose"):
            yield "turned", operand, Operation(node.rule, turned, node.static)
    elif kind == "first":
        yield "first", node, Operation(_first, operands, node.static)
    elif kind == "overwritten_rows":
        hot = operands[0]
        if isinstance(hot, Operation) and hot.rule.name == "one_hot":
            last = Operation(_last_of_id, hot.operands, hot.static)
            yield kind, node, Operation(node.rule, (last, operands[1]), node.static)
    elif kind == "rotated":
        kernel = operands[int(which)]
        if isinstance(kernel, Symbol):
            other = replace(kernel, name=kernel.name + ROTATED)
            yield "rotated", kernel, Operation(node.rule, _replaced(operands, int(which), other), node.static)
    else:
        grid = node.options["grid"]
        plain = _without(grid, kind)
        if plain != grid:
            static = tuple(sorted({**node.options, "grid": plain, "counts": grid}.items()))
            yield kind, node, Operation(_as_many[node.rule.name], operands, static)


def _without(grid: Grid, kind: str) -> Grid:
    """A grid as if there were no stride, no padding or no dilation."""
    axes = len(grid.kernel)
    if kind == "padding":
        return replace(grid, padding=((0, 0),) * axes)
    return replace(grid, stride=(1,) * axes) if kind == "stride" else replace(grid, dilation=(1,) * axes)


def _replaced(operands: tuple[Expression, ...], number: int, other: Expression) -> tuple[Expression, ...]:
    return (*operands[:number], other, *operands[number + 1 :])


def with_rotated(bindings: Mapping[str, Any]) -> dict[str, Any]:
    """Bindings, and beside each kernel (K, k1, k2, C) or (K, k, C) the same turned by 180°."""
    rotated = {
        name + ROTATED: np.flip(value, tuple(range(1, np.ndim(value) - 1)))
        for name, value in bindings.items()
        if np.ndim(value) >= 3
    }
    return {**bindings, **rotated}


def _written_last(values: Sequence[Any], ranges: tuple[int, ...]) -> Any:
    """Of values that are 0 where nothing was written the last that was, as `=` in place of `+=` leaves it in
    a
    loop over the windows: the last window over a pixel has it at its smallest offset.
    """
    result = np.array(values[-1])
    for value in values[-2::-1]:
        result = np.where(value == 0, result, value)
    return result


def _met(grid: Grid, counts: Sequence[int], size: Sequence[int], offset: Sequence[int]) -> tuple[Any, Any]:
    """(pixels, windows), indices on each axis: where the first `counts` windows have their pixel."""
    pixels, windows = [], []
    for axis, count in enumerate(counts):
        shift = grid.dilation[axis] * offset[axis] - grid.pads(tuple(size))[axis][0]
        at = grid.stride[axis] * np.arange(count) + shift
        inside = (at >= 0) & (at < size[axis])
        pixels.append(at[inside])
        windows.append(np.arange(count)[inside])
    return np.ix_(*pixels), np.ix_(*windows)


def _window_as_many(x: Any, *offset: Any, grid: Grid, counts: Grid, fill: float = 0.0) -> Any:
    """`window` of another grid, as many windows as `counts` has."""
    size = x.shape[: len(offset)]
    many = counts.positions(size)
    pixels, windows = _met(grid, many, size, offset)
    out = np.full(many + x.shape[len(offset) :], fill, x.dtype)
    out[windows] = x[pixels]
    return out


def _place_as_many(x: Any, like: Any, *offset: Any, grid: Grid, counts: Grid) -> Any:
    """`place` of another grid, of as many windows as there are."""
    size = like.shape[: len(offset)]
    pixels, windows = _met(grid, x.shape[: len(offset)], size, offset)
    out = np.zeros(size + x.shape[len(offset) :], x.dtype)
    out[pixels] = x[windows]
    return out


def _last_one_hot(x: Any, like: Any, *, skip: int | None = None) -> Any:
    """`one_hot` of the last step of the last sample with each id alone: what `rows[ids] = δ` leaves."""
    hot = rules["one_hot"].evaluate(x, like, skip=skip)
    flat = np.moveaxis(hot, (-1, -2), (0, -1)).reshape(-1, hot.shape[-2])  # (m T, ids), the steps fastest
    later = np.cumsum(flat[::-1], axis=0)[::-1]
    kept = (flat * (later == 1)).reshape(np.moveaxis(hot, (-1, -2), (0, -1)).shape)
    return np.moveaxis(kept, (0, -1), (-1, -2))


# What is written by mistake alone, and is no formula's: it prints as what it stands for, and is not
# registered.
_binders = {
    "overwritten": Binder("overwritten", _written_last, binders["sum_over"].flow, binders["sum_over"].layout),
}
_as_many = {
    "window": replace(rules["window"], evaluate=_window_as_many),
    "place": replace(rules["place"], evaluate=_place_as_many),
}
_first = replace(rules["sum_samples"], name="first_sample", evaluate=lambda x: x[..., 0])
_last_of_id = replace(rules["one_hot"], name="last_one_hot", evaluate=_last_one_hot)
