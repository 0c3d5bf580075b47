"""The wrong neighbours of a formula: what it becomes by one mistake at one of its nodes.

Every primitive and reduction declares, where it is defined, what people write in its place (`wrong=`):

    only:N      operand N alone: a factor, a term, a transpose, a power left out
    as:NAME     another primitive on the same operands
    swapped     the operands in the other order
    turned:N    operand N transposed
    first, last, rest    of the first or the last sample alone, or of all but the first
    across      over the samples in place of the features
    always      a condition left out
    cases       a factor of all cases in one of them alone
    twice:N     operand N counted twice
    number:N    operand N, where it is a number, twice or half as large, or left out
    gate        another gate's share
    complement:N    1 - x for the operand x, a flag or a gate
    last_term   the last term of a product's sums alone
    first_step  of the first position or step alone
    uncounted   a mean over samples and positions, divided by the number of samples
    ungrouped   over all channels in place of a group's
    stride, padding, dilation    as if there were none, on every axis or on one
    shifted     a pixel off: as if there were more or less padding
    first_window    of the first window alone
    rotated:N   a kernel turned by 180°
    overwritten the last value that was written, where they should add up; `whole`: zeros count as written
    overwritten_rows, first_rows    of rows that ids pick several times the last, or the first, alone

Beside what the nodes declare: another symbol stands for one, or for a definition, once or everywhere; the
whole is multiplied by one; and what `EVERYWHERE` names is done at all nodes of a kind at once.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import product
from typing import Any

import numpy as np

from chainrule.formulas.expression import (
    Expression,
    Named,
    Number,
    Operation,
    Over,
    Path,
    Symbol,
    replace_at,
    substitute,
    walk,
)
from chainrule.formulas.primitives.grid import Grid
from chainrule.formulas.rules import Binder, Rule, binders, rules

RARE = frozenset((
    "last", "rest", "across", "always", "cases", "twice", "number", "gate", "last_term", "shifted",
    "first_window", "times", "complement", "first_step", "uncounted", "ungrouped", "first_rows",
))  # fmt: skip
EVERYWHERE = frozenset(("as", "across", "uncounted", "ungrouped"))
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


def neighbours(tree: Expression, others: Sequence[Symbol] = (), rare: bool = True) -> Iterator[Neighbour]:
    """Every formula that differs from `tree` by one mistake.

    others: symbols that may stand where another one should, such as z for x. rare: also by one that hardly
    comes together with another.
    """
    seen = {tree}
    for path, node in walk(tree):
        for kind, part, wrong in _at(node, others, rare):
            changed = replace_at(tree, path, wrong)
            if changed not in seen:
                seen.add(changed)
                yield Neighbour(kind, path, node, part, changed)
    for kind, path, node, part, changed in _as_a_whole(tree, others) if rare else ():
        if changed not in seen:
            seen.add(changed)
            yield Neighbour(kind, path, node, part, changed)


def _as_a_whole(
    tree: Expression, others: Sequence[Symbol]
) -> Iterator[tuple[str, Path, Expression, Expression, Expression]]:
    """(kind, path, node, part, tree) of the mistakes that are made in all of a formula."""
    places: dict[tuple[str, str], list[Path]] = {}
    leaves: dict[Expression, Path] = {}
    for path, node in walk(tree):
        if isinstance(node, (Symbol, Named)):
            leaves.setdefault(node, path)
        elif isinstance(node, Operation):
            for word in node.rule.wrong:
                if word.partition(":")[0] in EVERYWHERE:
                    places.setdefault((node.rule.name, word), []).append(path)
    for (_, word), paths in places.items():
        if len(paths) > 1:
            changed, (kind, part) = tree, ("", tree)
            for path in sorted(paths, key=len, reverse=True):
                node = at(changed, path)
                assert isinstance(node, Operation)
                kind, part, wrong = next(_of_operation(node, *word.partition(":")[::2]))
                changed = replace_at(changed, path, wrong)
            yield kind, paths[0], at(tree, paths[0]), part, changed
    for leaf, path in leaves.items():
        for symbol in others:
            if symbol != leaf and getattr(leaf, "name", "") != symbol.name:
                yield "symbol", path, leaf, symbol, substitute(tree, {leaf: symbol})
    for symbol in others:
        yield "times", (), tree, symbol, Operation(rules["multiply"], (tree, symbol))


def _at(
    node: Expression, others: Sequence[Symbol], rare: bool
) -> Iterator[tuple[str, Expression, Expression]]:
    """(kind, part, what stands there instead) of the mistakes at a node itself."""
    if isinstance(node, Symbol):
        for symbol in others:
            if symbol.name != node.name:
                yield "symbol", symbol, symbol
    elif isinstance(node, Operation):
        for word in node.rule.wrong:
            kind, _, which = word.partition(":")
            if rare or kind not in RARE:
                yield from _of_operation(node, kind, which)
    elif isinstance(node, Over):
        for word in node.rule.wrong:
            kind, _, name = word.partition(":")
            if name == "whole":
                if rare and (marked := _marked(node.body)) != node.body:
                    yield kind, node, Over(_binders["overwritten_whole"], node.indices, node.ranges, marked)
                continue
            binder = binders[name] if kind == "as" else _binders[word]
            yield (
                word.replace(":", " ") if kind == "as" else kind,
                node,
                Over(binder, node.indices, node.ranges, node.body),
            )


def at(tree: Expression, path: Path) -> Expression:
    """The node at a path, as `walk` gives it."""
    for number in path:
        tree = tree.children[number]
    return tree


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
        turned = Operation(rules["transpose"], (operand,))
        if not (isinstance(operand, Operation) and operand.rule.name == "transpose"):
            yield "turned", operand, _with(node, number, turned)
    elif kind in ("first", "last", "rest"):
        yield kind, node, Operation(_of_samples[node.rule.name, kind], operands, node.static)
    elif kind == "across":
        yield "across", node, Operation(_across[node.rule.name], operands, node.static)
    elif kind == "always":
        yield "always", node, Number(1.0)
    elif kind == "twice":
        doubled = Operation(rules["multiply"], (Number(2.0), operands[int(which)]))
        yield "twice", operands[int(which)], _with(node, int(which), doubled)
    elif kind == "number":
        value = operands[int(which)]
        if isinstance(value, Number):
            for other_value in (2 * value.value, value.value / 2, 0.0, 1.0, value.value**2):
                if other_value != value.value:
                    yield "number", value, _with(node, int(which), Number(other_value))
    elif kind == "cases":
        for number, inner in enumerate(operands):
            if isinstance(inner, Operation) and inner.rule.name == "where":
                factor, (condition, yes, no) = operands[1 - number], inner.operands
                for cases in ((yes, factor * no), (factor * yes, no)):
                    yield "cases", factor, Operation(inner.rule, (condition, *cases))
    elif kind == "complement":
        if isinstance(operands[int(which)], (Symbol, Named)):
            yield kind, operands[int(which)], _with(node, int(which), 1 - operands[int(which)])
    elif kind in ("first_step", "uncounted", "ungrouped"):
        yield kind, node, Operation(_others[node.rule.name, kind], operands, node.static)
    elif kind == "gate":
        for name in node.options["gates"]:
            if name != node.options["gate"]:
                static = tuple(sorted({**node.options, "gate": name}.items()))
                other = Operation(node.rule, operands, static)
                yield "gate", other, other
    elif kind in ("overwritten_rows", "first_rows"):
        hot = operands[0]
        if isinstance(hot, Operation) and hot.rule.name == "one_hot":
            once = Operation(_once_of_id[kind], hot.operands, hot.static)
            yield kind, node, Operation(node.rule, (once, operands[1]), node.static)
    elif kind == "rotated":
        kernel = operands[int(which)]
        if isinstance(kernel, Symbol):
            yield "rotated", kernel, _with(node, int(which), replace(kernel, name=kernel.name + ROTATED))
    elif kind == "last_term":
        yield "last_term", node, Operation(_last_term, operands, node.static)
    elif kind == "first_window":
        yield "first_window", node, Operation(_first_window, operands, node.static)
    else:
        grid = node.options["grid"]
        for plain in _other_grids(grid, kind):
            static = tuple(sorted({**node.options, "grid": plain, "counts": grid}.items()))
            yield kind, node, Operation(_as_many[node.rule.name], operands, static)


def _other_grids(grid: Grid, kind: str) -> Iterator[Grid]:
    """Grids as if there were no stride, no padding or no dilation, or shifted by a pixel; first on all axes,
    then on one.
    """
    axes = range(len(grid.kernel))
    places = [tuple(axes), *((axis,) for axis in axes if len(axes) > 1)]
    if kind == "shifted":
        given = grid.padding
        if isinstance(given, tuple):
            for among, by in product(places, (1, -1)):
                moved = tuple((a + by, b - by) if n in among else (a, b) for n, (a, b) in enumerate(given))
                yield replace(grid, padding=moved)
        return
    right: Any = getattr(grid, kind)
    nothing = (0, 0) if kind == "padding" else 1
    for among in places:
        left: Any = (nothing,) * len(axes)
        if isinstance(right, tuple):
            left = tuple(nothing if axis in among else value for axis, value in enumerate(right))
        if left != right:
            yield replace(grid, **{kind: left})


def _with(node: Operation, number: int, other: Expression) -> Operation:
    operands = (*node.operands[:number], other, *node.operands[number + 1 :])
    return Operation(node.rule, operands, node.static)


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


def _first_window_alone(x: Any, like: Any, *offset: Any, grid: Grid) -> Any:
    """`place` of the first window alone: a loop that returns too early."""
    alone = np.zeros_like(x)
    alone[(0,) * len(offset)] = x[(0,) * len(offset)]
    return rules["place"].evaluate(alone, like, *offset, grid=grid)


def _place_marked(x: Any, like: Any, *offset: Any, grid: Grid) -> Any:
    """`place`, and NaN on pixels that no window has at this offset."""
    there = rules["place"].evaluate(np.ones_like(x), like, *offset, grid=grid)
    return np.where(there > 0, rules["place"].evaluate(x, like, *offset, grid=grid), np.nan)


def _marked(body: Expression) -> Expression:
    """A sum's body in which every `place` says where nothing was placed."""
    for path, node in walk(body):
        if isinstance(node, Operation) and node.rule.name == "place":
            body = replace_at(body, path, Operation(_mark, node.operands, node.static))
    return body


def _written_last_whole(values: Sequence[Any], ranges: tuple[int, ...]) -> Any:
    result = values[-1]
    for value in values[-2::-1]:
        result = np.where(np.isnan(value), result, value)
    return np.nan_to_num(result)


def _one_hot_once(order: int) -> Any:
    """`one_hot` of the last step and sample with each id alone (order -1), what `rows[ids] = δ` leaves; or of
    the first (order 1).
    """

    def evaluate(x: Any, like: Any, *, skip: int | None = None) -> Any:
        hot = rules["one_hot"].evaluate(x, like, skip=skip)
        moved = np.moveaxis(hot, (-1, -2), (0, -1))  # (m, T, ids), the steps fastest
        flat = moved.reshape(-1, hot.shape[-2])[::order]
        kept = (flat * (np.cumsum(flat, axis=0) == 1))[::order].reshape(moved.shape)
        return np.moveaxis(kept, (0, -1), (-1, -2))

    return evaluate


# What is written by mistake alone, and is no formula's: it prints as what it stands for, and is not
# registered.
_sum = binders["sum_over"]
_binders = {
    "overwritten": Binder("overwritten", _written_last, _sum.flow, _sum.layout),
    "overwritten:mean": Binder(
        "overwritten_mean",
        lambda values, ranges: _written_last(values, ranges) / len(values),
        _sum.flow,
        _sum.layout,
    ),
    "overwritten_whole": Binder("overwritten_whole", _written_last_whole, _sum.flow, _sum.layout),
}
_mark = replace(rules["place"], name="place_marked", evaluate=_place_marked, wrong=())
_first_window = replace(rules["place"], name="first_window", evaluate=_first_window_alone, wrong=())
_last_term = replace(
    rules["matmul"], name="last_term", evaluate=lambda a, x: a[:, -1:] @ x[..., -1:, :], wrong=()
)
_as_many = {
    "window": replace(rules["window"], evaluate=_window_as_many),
    "place": replace(rules["place"], evaluate=_place_as_many),
}
SOME = {"first": slice(0, 1), "last": slice(-1, None), "rest": slice(1, None)}


def _of_some(name: str, samples: slice) -> Rule:
    """A sum over the samples that counts some of them."""

    def evaluate(*operands: Any) -> Any:
        return rules[name].evaluate(*(value[..., samples] for value in operands))

    return replace(rules[name], name=f"{name} {samples}", evaluate=evaluate, wrong=())


_of_samples = {
    (name, word): _of_some(name, samples)
    for name in ("sum_samples", "correlate")
    for word, samples in SOME.items()
}
_BY = {
    "sum_features": lambda x: x.sum(axis=-1, keepdims=True),
    "mean_features": lambda x: x.mean(axis=-1, keepdims=True),
}
_across = {
    name: replace(rules[name], name=f"{name} across", evaluate=_BY[name], wrong=())
    for name in ("sum_features", "mean_features")
}
_once_of_id = {
    "overwritten_rows": replace(rules["one_hot"], name="last_one_hot", evaluate=_one_hot_once(-1)),
    "first_rows": replace(rules["one_hot"], name="first_one_hot", evaluate=_one_hot_once(1)),
}


def _of_first_step(a: Any, b: Any) -> Any:
    return rules["correlate"].evaluate(a[:1], b[:1]) if a.ndim > 2 else np.nan * a


def _mean_by_samples(x: Any) -> Any:
    return x.sum(axis=(*range(x.ndim - 2), -1)) / x.shape[-1]


def _mean_of_all_groups(x: Any, *, groups: int) -> Any:
    return rules["mean_groups"].evaluate(x, groups=1)


_evaluations: tuple[tuple[str, str, Callable[..., Any]], ...] = (
    ("correlate", "first_step", _of_first_step),
    ("mean_samples", "uncounted", _mean_by_samples),
    ("mean_groups", "ungrouped", _mean_of_all_groups),
)
_others = {
    (name, word): replace(rules[name], name=f"{name} {word}", evaluate=evaluate, wrong=())
    for name, word, evaluate in _evaluations
}
