"""Rules are data: a primitive is one entry: how it evaluates, what its adjoint is, how it is laid out.

`@primitive(...)` turns the NumPy definition of an operation into the operation: with arrays it computes, with
symbols it builds a tree.  `rules` and `binders` are the tables that evaluation, adjoints, printers and tests
walk.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import product
from typing import Any, TypeVar

from chainrule.formulas.expression import Expression, Index, Named, Operation, Over, as_expression

Function = TypeVar("Function", bound=Callable[..., Any])
# adjoint(d, y, *operands, **static) -> one cotangent per operand, None where nothing flows (indices, shapes,
# conditions). Written with primitives: y is the result, d the cotangent of y.
Adjoint = Callable[..., tuple[Any, ...]]
# The name of a function in formulas/printing/layouts.py or formulas/printing/window_layouts.py, or (name of a
# maker there, word).
Layout = str | tuple[str, str]


@dataclass(frozen=True, eq=False)
class Rule:
    """A primitive operation: name, NumPy meaning, adjoint, layout in print."""

    name: str
    evaluate: Callable[..., Any]
    adjoint: Adjoint
    layout: Layout

    @property
    def meaning(self) -> str:
        """First line of the definition's docstring."""
        return (inspect.getdoc(self.evaluate) or "").partition("\n")[0]


@dataclass(frozen=True, eq=False)
class Binder:
    """A reduction over index ranges.  `combine(values, ranges)` has the body's values in row-major order;
    `flow(d, over, indices)` is the cotangent of the body at the given indices."""

    name: str
    combine: Callable[[Sequence[Any], tuple[int, ...]], Any]
    flow: Callable[[Any, Over, tuple[Index, ...]], Expression]
    layout: Layout


rules: dict[str, Rule] = {}
binders: dict[str, Binder] = {}


def primitive(*, adjoint: Adjoint, layout: Layout) -> Callable[[Function], Function]:
    """Register the decorated NumPy function as a primitive.

    Positional parameters are operands (arrays, numbers, expressions, indices), keyword-only ones are static
    configuration.
    """

    def decorate(function: Function) -> Function:
        code = function.__code__  # not inspect.signature: forty of those are 1 ms of every import
        operand_names = code.co_varnames[: code.co_argcount]
        rule = Rule(function.__name__, function, adjoint, layout)
        rules[rule.name] = rule

        @functools.wraps(function)
        def call(*operands: Any, **options: Any) -> Any:
            by_name = [options.pop(name) for name in operand_names[len(operands) :] if name in options]
            operands = (*operands, *by_name)
            if any(isinstance(operand, Expression) for operand in operands):
                return Operation(rule, tuple(map(as_expression, operands)), tuple(sorted(options.items())))
            return function(*operands, **options)

        return call  # type: ignore[return-value]

    return decorate


def reduce_over(binder: Binder, indices: str, ranges: Sequence[int], body: Callable[..., Any]) -> Any:
    """body(m, n, ...) reduced over all index tuples: a value if it yields arrays, one `Over` on symbols."""
    sizes = tuple(ranges)
    offsets = product(*map(range, sizes))
    first = body(*next(offsets))
    if isinstance(first, Expression):
        return Over(binder, tuple(indices), sizes, as_expression(body(*map(Index, indices))))
    return binder.combine([first, *(body(*offset) for offset in offsets)], sizes)


def named(name: str, value: Any) -> Any:
    """Give an intermediate a name: arrays pass through, expressions print as the name."""
    return Named(name, value) if isinstance(value, Expression) else value
