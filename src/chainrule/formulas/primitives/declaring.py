"""How an operation is declared: its NumPy definition, decorated with what its readers ask for.

`@primitive(...)` turns the definition of an operation into the operation: with arrays it computes, with
symbols it builds a tree.  `@reduction(...)` does the same for what is reduced over index ranges.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable, Sequence
from itertools import product
from typing import Any, TypeVar

from chainrule.formulas.expression import Expression, Index, Named, Operation, Over, as_expression
from chainrule.formulas.rules import Adjoint, Binder, LayoutName, Rule, Trait, binders, rules

Function = TypeVar("Function", bound=Callable[..., Any])
Combine = Callable[[Sequence[Any], tuple[int, ...]], Any]
Reduction = Callable[[str, Sequence[int], Callable[..., Any]], Any]


def primitive(
    *,
    adjoint: Adjoint,
    layout: LayoutName,
    entry: str | None = None,
    traits: Iterable[Trait] = (),
    remark: str = "",
    wrong: str = "",
) -> Callable[[Function], Function]:
    """Register the decorated NumPy function as a primitive; `Rule` says what the arguments are.

    Positional parameters are operands (arrays, numbers, expressions, indices), keyword-only ones are static
    configuration.
    """

    def decorate(function: Function) -> Function:
        code = function.__code__  # not inspect.signature: forty of those are 1 ms of every import
        operand_names = code.co_varnames[: code.co_argcount]
        rule = Rule(
            function.__name__,
            function,
            adjoint,
            layout,
            entry,
            frozenset(traits),
            remark,
            tuple(wrong.split()),
        )
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


def reduction(
    *,
    flow: Callable[[Any, Over, tuple[Index, ...]], Any],
    layout: LayoutName,
    entry: str | None = None,
    traits: Iterable[Trait] = (),
    wrong: str = "",
) -> Callable[[Combine], Reduction]:
    """Register a reduction over index ranges by how it combines values; `Binder` says what the rest is.

    The result is called with index letters, ranges, and a body(m, n, ...).
    """

    def decorate(combine: Combine) -> Reduction:
        words = tuple(wrong.split())
        binder = Binder(combine.__name__, combine, flow, layout, entry, frozenset(traits), words)
        binders[binder.name] = binder

        @functools.wraps(combine, ("__module__", "__name__", "__qualname__", "__doc__"))
        def over(indices: str, ranges: Sequence[int], body: Callable[..., Any]) -> Any:
            return reduce_over(binder, indices, ranges, body)

        del over.__wrapped__  # its signature is another
        return over

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
