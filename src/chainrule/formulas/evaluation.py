"""A tree back to numbers: the primitives' own NumPy definitions, applied from the leaves up."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import product
from typing import Any

from chainrule.formulas.expression import Expression, Index, Named, Number, Operation, Over, Symbol

Key = tuple[Any, ...]


def evaluate(tree: Expression, bindings: Mapping[str, Any]) -> Any:
    """The value of a tree, its symbols bound by name to arrays.  Equal sub-trees are computed once.

    Raises KeyError that names a symbol without a value.
    """
    return value_of(tree, bindings, {}, {})


def value_of(
    node: Expression, bindings: Mapping[str, Any], offsets: dict[str, int], memory: dict[Key, Any]
) -> Any:
    """The value of a node under the sums whose indices have the values `offsets`; `memory`: what is known."""
    match node:
        case Number(value):
            return value
        case Index(name):
            return offsets[name]
        case Symbol(name):
            if name not in bindings:
                raise KeyError(
                    f"the formula needs a value for {name!r}; bindings has {', '.join(bindings) or 'none'}"
                )
            return bindings[name]
        case Named(_, value):
            return value_of(value, bindings, offsets, memory)
    key = (node, *((name, offsets[name]) for name in sorted(node.free_indices)))
    if key not in memory:
        memory[key] = _compute(node, bindings, offsets, memory)
    return memory[key]


def _compute(
    node: Expression, bindings: Mapping[str, Any], offsets: dict[str, int], memory: dict[Key, Any]
) -> Any:
    if isinstance(node, Operation):
        operands = (value_of(operand, bindings, offsets, memory) for operand in node.operands)
        return node.rule.evaluate(*operands, **node.options)
    if isinstance(node, Over):
        values = [
            value_of(node.body, bindings, offsets | dict(zip(node.indices, offset, strict=True)), memory)
            for offset in product(*map(range, node.ranges))
        ]
        return node.rule.combine(values, node.ranges)
    raise TypeError(f"{type(node).__name__} cannot be evaluated")
