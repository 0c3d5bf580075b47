"""The wrong neighbours of a formula: what it becomes by one mistake at one of its nodes.

Every primitive and reduction declares, where it is defined, what people write in its place (`wrong=`):

    only:N      operand N alone, of a difference also with its sign: a factor, a term, a power left out
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
    ungrouped, by_channel    over all channels, or over each alone, in place of a group's
    overcounted, with_samples    a group's sum divided by how many values all groups have; over all samples
    less_one    a mean divided by one less, as an unbiased variance is
    first_block the first group's matrix for all groups
    unskipped   the padding counted as any id
    stride, padding, dilation    as if there were none, on every axis or on one
    shifted     a pixel off: as if there were more or less padding
    first_window    of the first window alone
    rotated:N   a kernel turned by 180°
    overwritten the last value that was written, where they should add up; `whole`: zeros count as written
    overwritten_rows, first_rows    of rows that ids pick several times the last, or the first, alone
    averaged_rows    the mean of the rows that an id picks
    across_steps    over the steps or positions in place of the features
    keepdims    a number per sample, spread along the samples in place of the features
    part        of the first features alone, or of all but these
    unit:N      operand N left out of a product of matrices: ones stand for it
    zeroed      0 or the sign in place of the limit at which numbers are cut off
    unmoved     heads read off in another order of the axes
    cropped, last_copy    of an image that goes on beyond its edges the inside alone, or the last copy
    blocks_as_they_lie    pixels and channels read off in another order of the axes
    floored     windows in parts that end before ⌊(i + 1) n/s⌋ in place of ⌈(i + 1) n/s⌉
    side_by_side    windows in parts of ⌊n/s⌋ pixels, side by side
    even, even_less    their means divided by ⌈n/s⌉, or ⌊n/s⌋, along every axis, whatever they have
    undivided_parts    sums in place of their means
    overwritten_parts    of windows in parts over a pixel the last alone
    counted     how many features another quantity has
    one_channel the places of the first channel for all
    near        every value near the largest in place of the largest
    one_offset  of a window's entries one alone
    again:N     divided by operand N twice
    of_two      2 to the power in place of e
    of_steps, steps_too, of_heads    over the steps alone, with the features, or over all heads
    strictly, one_more, aligned    a step sees not itself, one step more, or as if it were one of the last
    one_of_many, last_of_many, mean_of_many    of what must be added the first, the last, the mean
    dealt       heads go to the keys in turn
    halved      halves in place of pairs that lie side by side
    emptied:N   zeros in place of one of the parts
    epsilon:N   operand N, a small number that is added, as another one that is usual
    raised      the power of one term taken of the whole sum: (1 - a)² in place of 1 - a²
    one_term    a factor, or a divisor, of a sum at one of its terms alone
    derivative  of a gate g, 1 - g² in place of g (1 - g), or the other way round

Beside what the nodes declare: another symbol stands for one, or for a definition, once or everywhere; the
whole is multiplied by one; what `EVERYWHERE` names is done at all nodes of a kind at once, or at those that
δ goes through; and parts that lie one above the other, a gate's each, stand for one another.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from itertools import combinations, product
from typing import Any

import numpy as np

from chainrule.formulas.expression import (
    Expression,
    Index,
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
from chainrule.formulas.mistaken import (
    ACROSS,
    AS_MANY,
    BINDERS,
    FIRST_WINDOW,
    LAST_TERM,
    OF_SAMPLES,
    ONCE_OF_ID,
    OTHER_EVALUATIONS,
    OTHERS,
    features_of,
    marked,
)
from chainrule.formulas.primitives.grid import Grid
from chainrule.formulas.rules import binders, rules

RARE = frozenset((
    "last", "rest", "across", "always", "cases", "twice", "number", "gate", "last_term", "shifted",
    "first_window", "times", "complement", "first_step", "uncounted", "ungrouped", "first_rows",
    "averaged_rows", "across_steps", "keepdims", "part_from", "part_to", "unit", "unmoved", "counted", "near",
    "one_offset", "gates", "one_channel", "again", "of_two", "of_steps", "steps_too", "of_heads", "strictly",
    "one_more", "aligned", "one_of_many", "last_of_many", "mean_of_many", "dealt", "halved", "emptied",
    "one_term", "by_channel", "first_block", "unskipped", "less_one", "raised", "epsilon", "cropped",
    "last_copy", "blocks_as_they_lie", "derivative", "tanh_derivative", "logistic_derivative",
    "overcounted", "with_samples",
))  # fmt: skip
EVERYWHERE = frozenset((
    "as", "across", "across_steps", "keepdims", "uncounted", "ungrouped", "by_channel", "unmoved",
    "overcounted", "with_samples",
))  # fmt: skip
OF_OPERANDS = frozenset((
    "only", "swapped", "turned", "twice", "number", "cases", "complement", "rotated", "unit", "zeroed",
    "counted", "again", "emptied", "one_term", "epsilon", *ONCE_OF_ID,
))  # fmt: skip
PARTS = (1, 2, 3, 4, 8)  # features that are counted alone, or left out: blocks that a kernel works on
EPSILONS = (1e-5, 1e-6, 1e-8, 1e-12, 1e-3, 1e-7, 1e-10, 1e-4, 1e-9, 1e-2)  # likely ones first
NEAR = (0.5, 0.1, 1e-2, 1e-3)  # below the largest value, and still taken for it
MOST_GATES = 4
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


def neighbours(
    tree: Expression,
    others: Sequence[Expression] = (),
    rare: bool = True,
    beside: Sequence[Symbol] = (),
    again: tuple[str, Expression, Expression] | None = None,
) -> Iterator[Neighbour]:
    """Every formula that differs from `tree` by one mistake.

    others: what may stand where a symbol should, such as z for x. rare: also by one that hardly comes
    together with another.  beside: symbols that the whole may be multiplied by, with the others.
    again: (kind, node, part) of the only mistake that is asked for.
    """
    seen = {tree}
    for path, node in walk(tree):
        if again is not None and node != again[1]:
            continue
        for kind, part, wrong in _at(node, others, rare):
            if again is not None and (kind, part) != again[::2]:
                continue
            changed = replace_at(tree, path, wrong)
            if changed not in seen:
                seen.add(changed)
                yield Neighbour(kind, path, node, part, changed)
    for kind, path, node, part, changed in _as_a_whole(tree, others, beside) if rare else ():
        if changed not in seen:
            seen.add(changed)
            yield Neighbour(kind, path, node, part, changed)


def misused(tree: Expression, others: Sequence[Expression], known: Sequence[Named]) -> Iterator[Neighbour]:
    """What stands at one of its uses of a symbol or a definition: another definition of those known, of a
    definition any symbol of the others; or two of them exchanged.
    """
    uses = list(_leaves(tree))
    for path, node in uses:
        for other in known if isinstance(node, Symbol) else (*known, *others):
            if not _same(node, other):
                yield Neighbour("symbol", path, node, other, replace_at(tree, path, other))
    for (path, node), (there, other) in combinations(uses, 2):
        if not _same(node, other):
            made = replace_at(replace_at(tree, path, other), there, node)
            yield Neighbour("definitions", (), node, other, made)


def _leaves(tree: Expression, path: Path = ()) -> Iterator[tuple[Path, Symbol | Named]]:
    """The symbols and definitions that it uses, each where it stands; not what is within a definition."""
    if isinstance(tree, (Symbol, Named)):
        yield path, tree
        return
    for number, child in enumerate(tree.children):
        yield from _leaves(child, (*path, number))


def _as_a_whole(
    tree: Expression, others: Sequence[Expression], beside: Sequence[Symbol]
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
    through = {key: [path for path in paths if is_of_delta(at(tree, path))] for key, paths in places.items()}
    for (_, word), paths in (*places.items(), *through.items()):
        if len(paths) > 1:
            changed, (kind, part) = tree, ("", tree)
            for path in sorted(paths, key=len, reverse=True):
                node = at(changed, path)
                assert isinstance(node, Operation)
                kind, part, wrong = next(_of_operation(node, *word.partition(":")[::2], others))
                changed = replace_at(changed, path, wrong)
            yield kind, paths[0], at(tree, paths[0]), part, changed
    for leaf, path in leaves.items():
        for other in others:
            left_out = isinstance(leaf, Named) and other in leaf.value.children  # a factor of it, a term
            if not _same(leaf, other) and not left_out:
                yield "symbol", path, leaf, other, substitute(tree, {leaf: other})
    for other in (*others, *beside):
        if isinstance(other, Symbol):
            yield "times", (), tree, other, Operation(rules["multiply"], (tree, other))
    for made in _gates(tree):
        yield "gates", (), tree, made, made


def in_all(
    formulas: Mapping[str, Expression],
) -> Iterator[tuple[str, Expression, Expression, dict[str, Expression]]]:
    """(kind, node, part, the formulas that change) of mistakes that are made in several formulas alike."""
    words = {
        (node.rule.name, word)
        for tree in formulas.values()
        for _, node in walk(tree)
        if isinstance(node, Operation)
        for word in node.rule.wrong
        if word.partition(":")[0] in EVERYWHERE
    }
    for name, word in sorted(words):
        made, first, part = {}, None, None
        for place, tree in formulas.items():
            changed = tree
            paths = [path for path, node in walk(tree) if _is(node, name) and is_of_delta(node)]
            for path in sorted(paths, key=len, reverse=True):
                node = at(changed, path)
                assert isinstance(node, Operation)
                _, part, wrong = next(_of_operation(node, *word.partition(":")[::2], ()))
                first = at(tree, path)
                changed = replace_at(changed, path, wrong)
            if changed is not tree:
                made[place] = changed
        if len(made) > 1 and first is not None and part is not None:
            node, kind = first, word.partition(":")
            yield (f"{name} as {kind[2]}" if kind[0] == "as" else kind[0]), node, part, made


def _is(node: Expression, name: str) -> bool:
    return isinstance(node, Operation) and node.rule.name == name


def is_of_delta(node: Expression) -> bool:
    """Whether δ goes into it: what is there in the forward pass, too, is computed there."""
    return any(map(_is_delta, node.symbols))


@cache
def _is_delta(symbol: Symbol) -> bool:
    return symbol.name.startswith("d") and "gradient" in symbol.role


def _same(node: Expression, other: Expression) -> bool:
    return node == other or getattr(node, "name", "") == getattr(other, "name", " ")


def _gates(tree: Expression) -> Iterator[Expression]:
    """The parts that lie one above the other in another order, or some in the place of others."""
    parts = _stacked(tree)
    for chosen in product(range(len(parts)), repeat=len(parts)) if 2 < len(parts) <= MOST_GATES else ():
        if chosen != tuple(range(len(parts))):
            yield _stack([parts[number] for number in chosen], tree)


def _stacked(tree: Expression) -> list[Expression]:
    if isinstance(tree, Operation) and tree.rule.name == "beside":
        return [*_stacked(tree.operands[0]), *_stacked(tree.operands[1])]
    return [tree]


def _stack(parts: list[Expression], like: Expression) -> Expression:
    """The parts in the form of a tree that has as many."""
    if not (isinstance(like, Operation) and like.rule.name == "beside"):
        return parts[0]
    above = len(_stacked(like.operands[0]))
    halves = _stack(parts[:above], like.operands[0]), _stack(parts[above:], like.operands[1])
    return Operation(like.rule, halves, like.static)


def _at(
    node: Expression, others: Sequence[Expression], rare: bool
) -> Iterator[tuple[str, Expression, Expression]]:
    """(kind, part, what stands there instead) of the mistakes at a node itself."""
    if isinstance(node, Symbol):
        for other in others:
            if not _same(node, other):
                yield "symbol", other, other
    elif isinstance(node, Operation):
        for word in node.rule.wrong:
            kind, _, which = word.partition(":")
            if rare or kind not in RARE:
                yield from _of_operation(node, kind, which, others)
    elif isinstance(node, Over):
        for word in node.rule.wrong:
            kind, _, name = word.partition(":")
            if name == "whole":
                if rare and (body := marked(node.body)) != node.body:
                    yield kind, node, Over(BINDERS["overwritten_whole"], node.indices, node.ranges, body)
                continue
            if kind == "one_offset":
                for offset in _offsets(node.ranges) if rare else ():
                    entry = zip(node.indices, offset, strict=True)
                    alone = substitute(node.body, {Index(name): Number(number) for name, number in entry})
                    yield kind, alone, alone
                continue
            binder = binders[name] if kind == "as" else BINDERS[word]
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


def _offsets(ranges: tuple[int, ...]) -> dict[tuple[int, ...], None]:
    """The first entry of a window, the one in the middle and the last."""
    middle, last = tuple(size // 2 for size in ranges), tuple(size - 1 for size in ranges)
    return dict.fromkeys(((0,) * len(ranges), middle, last)) if max(ranges, default=0) > 1 else {}


def _of_operation(
    node: Operation, kind: str, which: str, others: Sequence[Expression]
) -> Iterator[tuple[str, Expression, Expression]]:
    """What a mistake is in: the operands, the operation itself, or the grid of windows that it moves over."""
    if kind in OF_OPERANDS:
        yield from _of_operands(node, kind, which, others)
    elif kind in ("stride", "padding", "dilation", "shifted"):
        grid = node.options["grid"]
        for plain in _other_grids(grid, kind):
            static = tuple(sorted({**node.options, "grid": plain, "counts": grid}.items()))
            yield kind, node, Operation(AS_MANY[node.rule.name], node.operands, static)
    else:
        yield from _of_itself(node, kind, which)


def _of_operands(
    node: Operation, kind: str, which: str, others: Sequence[Expression]
) -> Iterator[tuple[str, Expression, Expression]]:
    """An operand is left out, changed, exchanged, or stands for another."""
    operands = node.operands
    if kind == "only":
        kept = operands[int(which)]
        if node.rule.name == "subtract" and which == "1":
            yield "subtract only", operands[0], -kept
        gone = operands[1 - int(which)] if len(operands) == 2 else node
        yield f"{node.rule.name} only", gone, kept
    elif kind == "swapped":
        yield f"{node.rule.name} swapped", node, Operation(node.rule, operands[::-1], node.static)
    elif kind == "zeroed":
        yield from _zeroed(node)
    elif kind == "cases":
        for number, inner in enumerate(operands):
            if isinstance(inner, Operation) and inner.rule.name == "where":
                factor, (condition, yes, no) = operands[1 - number], inner.operands
                for cases in ((yes, factor * no), (factor * yes, no)):
                    yield "cases", factor, Operation(inner.rule, (condition, *cases))
    elif kind == "counted":
        for other in others:
            if not _same(other, operands[0]):
                yield kind, _with(node, 0, other), _with(node, 0, other)
    elif kind == "again":
        by = operands[int(which)]
        inner = by.value if isinstance(by, Named) else by
        rooted = isinstance(inner, Operation) and (
            inner.rule.name == "sqrt" or inner.options.get("exponent") == 0.5
        )
        squared = Operation(rules["multiply"], (by, by))
        yield "root_again" if rooted else kind, by, _with(node, int(which), squared)
    elif kind == "one_term":
        yield from _one_term(node)
    elif kind == "epsilon":
        small = operands[int(which)]
        if isinstance(small, Number) and 0 < small.value <= max(EPSILONS):
            for value in EPSILONS:
                if value != small.value:
                    yield kind, Number(value), _with(node, int(which), Number(value))
    elif kind in ONCE_OF_ID:
        hot = operands[0]
        if isinstance(hot, Operation) and hot.rule.name == "one_hot":
            once = Operation(ONCE_OF_ID[kind], hot.operands, hot.static)
            yield kind, node, Operation(node.rule, (once, operands[1]), node.static)
    else:
        number = int(which)
        for other in _instead_of(operands[number], kind):
            yield kind, operands[number], _with(node, number, other)


def _instead_of(operand: Expression, kind: str) -> Iterator[Expression]:
    """What stands for one operand alone."""
    if kind == "turned" and not (isinstance(operand, Operation) and operand.rule.name == "transpose"):
        yield Operation(rules["transpose"], (operand,))
    elif kind == "twice":
        yield Operation(rules["multiply"], (Number(2.0), operand))
    elif kind == "unit":
        yield Operation(rules["ones_like"], (operand,))
    elif kind == "emptied":
        yield Operation(rules["zeros_like"], (operand,))
    elif kind == "complement" and isinstance(operand, (Symbol, Named)):
        yield 1 - operand
    elif kind == "rotated" and isinstance(operand, Symbol):
        yield replace(operand, name=operand.name + ROTATED)
    elif kind == "number" and isinstance(operand, Number):
        value = operand.value
        for other in (2 * value, value / 2, 0.0, 1.0, value**2):
            if other != value:
                yield Number(other)


def _zeroed(node: Operation) -> Iterator[tuple[str, Expression, Expression]]:
    """0, or the sign, in place of the limit at which numbers are cut off."""
    first, limit = node.operands
    above = (first, limit) if node.rule.name == "maximum" else (limit, first)
    within = Operation(rules["greater"], above)
    yield f"{node.rule.name} zeroed", node, Operation(rules["where"], (within, first, Number(0.0)))
    if isinstance(limit, Number) and limit.value and abs(limit.value) != 1:
        sign = Number(1.0 if limit.value > 0 else -1.0)
        yield f"{node.rule.name} sign", limit, Operation(rules["where"], (within, first, sign))


def _of_itself(node: Operation, kind: str, which: str) -> Iterator[tuple[str, Expression, Expression]]:
    """Another operation on the same operands."""
    operands, static = node.operands, node.static
    if kind == "as":
        yield f"{node.rule.name} as {which}", node, Operation(rules[which], operands, static)
    elif kind in ("first", "last", "rest"):
        yield kind, node, Operation(OF_SAMPLES[node.rule.name, kind], operands, static)
    elif kind == "across":
        yield "across", node, Operation(ACROSS[node.rule.name], operands, static)
    elif kind == "always":
        yield "always", node, Number(1.0)
    elif kind in OTHER_EVALUATIONS:
        yield kind, node, Operation(OTHERS[node.rule.name, kind], operands, static)
    elif kind == "gate":
        for name in node.options["gates"]:
            if name != node.options["gate"]:
                other = tuple(sorted({**node.options, "gate": name}.items()))
                of_gate = Operation(node.rule, operands, other)
                yield "gate", of_gate, of_gate
    elif kind == "part":
        for count in PARTS:
            for word in ("part_from", "part_to"):
                yield word, Number(count), Operation(features_of(node.rule, word, count), operands, static)
    elif kind == "near":
        yield from _near(node)
    elif kind == "raised":
        yield from _raised(node)
    elif kind == "derivative":
        yield from _derivative(node)
    elif kind == "unskipped":
        if node.options.get("skip") is not None:
            counted = tuple(sorted({**node.options, "skip": None}.items()))
            yield kind, node, Operation(node.rule, operands, counted)
    elif kind == "last_term":
        yield "last_term", node, Operation(LAST_TERM, operands, static)
    else:
        assert kind == "first_window", kind
        yield "first_window", node, Operation(FIRST_WINDOW, operands, static)


def _one_term(node: Operation) -> Iterator[tuple[str, Expression, Expression]]:
    """A factor of a sum, or what it is divided by, of one of its terms alone."""
    for number, inner in enumerate(node.operands[: 2 if node.rule.name == "multiply" else 1]):
        factor = node.operands[1 - number]
        sums = isinstance(inner, Operation) and inner.rule.name in ("add", "subtract")
        if isinstance(inner, Operation) and sums and factor not in inner.operands:  # f (1 - f) is another's
            for term in (0, 1):
                of_term = _with(node, number, inner.operands[term])
                yield "one_term", factor, _with(inner, term, of_term)


def _raised(node: Operation) -> Iterator[tuple[str, Expression, Expression]]:
    """The power of one term taken of the whole sum."""
    for number, inner in enumerate(node.operands):
        if isinstance(inner, Operation) and inner.rule.name == "power":
            whole = Operation(inner.rule, (_with(node, number, inner.operands[0]),), inner.static)
            yield "raised", whole, whole


def _derivative(node: Operation) -> Iterator[tuple[str, Expression, Expression]]:
    """Of a gate the derivative of tanh for that of the logistic function, or the other way round."""
    first, second = node.operands
    if node.rule.name == "subtract":
        squared = isinstance(second, Operation) and second.options.get("exponent") == 2
        gate = second.children[0] if squared else None
        if first == Number(1.0) and isinstance(gate, Named):
            yield "logistic_derivative", gate * (1 - gate), gate * (1 - gate)
        return
    if not isinstance(second, Operation) or second.rule.name != "subtract":
        return
    one, gate = second.operands
    if one == Number(1.0) and isinstance(gate, Named):
        of_tanh = 1 - gate**2
        if first == gate:
            yield "tanh_derivative", of_tanh, of_tanh
        elif isinstance(first, Operation) and first.rule.name == "multiply" and first.operands[1] == gate:
            yield "tanh_derivative", of_tanh, first.operands[0] * of_tanh


def _near(node: Operation) -> Iterator[tuple[str, Expression, Expression]]:
    """[the pixel is above the largest of its window, less a little] for [it is the largest]."""
    winner, *offset = node.operands
    inner = winner.value if isinstance(winner, Named) else winner
    if isinstance(inner, Over) and all(isinstance(at_, Index) for at_ in offset):
        named_ = map(Index, inner.indices)
        entry: dict[Expression, Expression] = dict(zip(named_, offset, strict=True))
        pixel = substitute(inner.body, entry)
        largest = Named("p", Over(binders["max_over"], inner.indices, inner.ranges, inner.body))
        for below in NEAR:
            mask = Operation(rules["greater"], (pixel, largest - below))
            yield "near", mask, mask


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
