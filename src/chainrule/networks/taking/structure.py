"""From nodes in any order to layers in order, with branches where a value is read more than once.

A value in front of a join dominates it where every way from the input to the join leads through it: the
branches are what lies between the nearest such value and the join's inputs.
"""

from __future__ import annotations

from functools import cache

from chainrule.base.errors import ArgumentError
from chainrule.layers import Layer, Parallel, Residual
from chainrule.networks.taking.values import Node, Value


def layers_between(first: Value, last: Value) -> list[Layer]:
    """The layers that make `last` of `first`; ArgumentError where branches cross, or share layers."""
    seen: dict[Node, None] = {}

    @cache
    def dominators(value: Value) -> tuple[Value, ...]:
        """The values that every way to `value` leads through, from the input on, itself the last."""
        value = value.root
        if value.node is None:
            return (value,)
        before = [dominators(read) for read in value.node.inputs]
        common = [held for held in before[0] if all(held in other for other in before[1:])]
        return (*common, value)

    def back(value: Value, start: Value) -> list[Layer]:
        layers: list[Layer] = []
        while (value := value.root) is not start:
            node = value.node
            if node is None:
                raise ArgumentError(
                    f"{last.node.name if last.node else 'the output'} is not made of the input alone"
                )
            if node in seen:
                raise ArgumentError(
                    f"{node.name} is read by branches that do not meet again in one sum or concatenation; a "
                    "network of chainrule is a chain of layers and branches side by side"
                )
            seen[node] = None
            if not node.join:
                layers = [*node.layers, *layers]
                value = node.inputs[0]
                continue
            split = dominators(value)[-2]
            if start not in dominators(split):
                raise ArgumentError(
                    f"{node.name} joins what lies outside of its branch with what lies within"
                )
            layers = [_joined(node, [back(read, split) for read in node.inputs]), *layers]
            value = split
        return layers

    return back(last, first.root)


def _joined(node: Node, branches: list[list[Layer]]) -> Layer:
    """Residual where a branch is the value itself, else Parallel."""
    if node.join == "sum" and len(branches) == 2 and not all(branches):
        return Residual(branches[0] or branches[1], name=node.name)
    return Parallel(branches, join=node.join, name=node.name)
