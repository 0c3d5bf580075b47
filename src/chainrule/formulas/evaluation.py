"""A tree back to numbers: the primitives' own NumPy definitions, applied from the leaves up."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import product
from typing import Any

from chainrule.formulas.expression import Expression, Index, Named, Number, Operation, Over, Symbol

Key = Expression | tuple[Any, ...]  # a node, and the indices that it depends on

UNKNOWN = object()


def evaluate(tree: Expression, bindings: Mapping[str, Any]) -> Any:
    """The value of a tree, its symbols bound by name to arrays.  Equal sub-trees are computed once.

    Raises KeyError that names a symbol without a value.
    """
    return value_of(tree, bindings, {}, {})


def value_of(
    node: Expression, bindings: Mapping[str, Any], offsets: dict[str, int], memory: dict[Key, Any]
) -> Any:
    """The value of a node under the sums whose indices have the values `offsets`; `memory`: what is known."""
    kind = type(node)  # a chain of `is` takes half the time of a match
    if kind is Operation or kind is Over:
        indices = node.free_indices
        key: Key = (node, *((name, offsets[name]) for name in sorted(indices))) if indices else node
        value = memory.get(key, UNKNOWN)
        if value is UNKNOWN:
            value = memory[key] = _compute(node, bindings, offsets, memory)
        return value
    if isinstance(node, Named):
        return value_of(node.value, bindings, offsets, memory)
    if isinstance(node, Symbol):
        if node.name not in bindings:
            raise KeyError(
                f"the formula needs a value for {node.name!r}; bindings has {', '.join(bindings) or 'none'}"
            )
        return bindings[node.name]
    if isinstance(node, Number):
        return node.value
    if isinstance(node, Index):
        return offsets[node.name]
    raise TypeError(f"{kind.__name__} cannot be evaluated")


def _compute(
    node: Expression, bindings: Mapping[str, Any], offsets: dict[str, int], memory: dict[Key, Any]
) -> Any:
    if isinstance(node, Operation):
        operands = [value_of(operand, bindings, offsets, memory) for operand in node.operands]
        return node.rule.evaluate(*operands, **node.options) if node.static else node.rule.evaluate(*operands)
    assert isinstance(node, Over)
    values = [
        value_of(node.body, bindings, offsets | dict(zip(node.indices, offset, strict=True)), memory)
        for offset in product(*map(range, node.ranges))
    ]
    return node.rule.combine(values, node.ranges)
