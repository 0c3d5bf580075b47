"""From nodes in any order to layers in order, with branches where a value is read more than once.

A value in front of a join dominates it where every way from the input to the join leads through it: the
branches are what lies between the nearest such value and the join's inputs.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache

from chainrule.layers import Layer, Parallel, Residual
from chainrule.networks.taking.values import Node, Value


class NoChainError(Exception):
    """The nodes are no chain of layers and branches side by side; a Graph has them."""


def layers_between(first: Value, ends: Sequence[Value]) -> list[Layer]:
    """The layers that make the one end of `first`; NoChainError where there are several, where branches
    cross, or share layers, and where values are multiplied, repeated or read together.
    """
    if len(ends) != 1:
        raise NoChainError
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
                raise NoChainError
            if node in seen:
                raise NoChainError
            seen[node] = None
            if value.state or not (node.join or len(node.inputs) == 1) or not _plain(node):
                raise NoChainError
            if not node.join:
                layers = [*node.layers, *layers]
                value = node.inputs[0]
                continue
            split = dominators(value)[-2]
            if start not in dominators(split):
                raise NoChainError
            branches = [back(read, split) for read in node.inputs]
            if not any(branches):
                raise NoChainError
            layers = [_joined(node, branches), *layers]
            value = split
        return layers

    return back(ends[0], first.root)


def _plain(node: Node) -> bool:
    """Whether a node is layers, or joins values of one shape as Parallel does."""
    return node.join in ("", "concat") or len({value.ours for value in node.inputs}) == 1


def _joined(node: Node, branches: list[list[Layer]]) -> Layer:
    """Residual where a branch is the value itself, else Parallel."""
    if node.join == "sum" and len(branches) == 2 and not all(branches):
        return Residual(branches[0] or branches[1], name=node.name)
    return Parallel(branches, join=node.join, name=node.name)
