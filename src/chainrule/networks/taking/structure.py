"""From nodes in any order to layers in order, with branches where a value is read more than once.

A value in front of a join dominates it where every way from the input to the join leads through it: the
branches are what lies between the nearest such value and the join's inputs. Where branches cross, all is a
Wiring, as of a Graph.
"""

from __future__ import annotations

from functools import cache

from chainrule.base.errors import ArgumentError
from chainrule.layers import Add, Concat, Layer, Multiply, Parallel, Residual
from chainrule.layers.wiring import Join
from chainrule.networks.graphs import nodes as graphs
from chainrule.networks.taking.values import Node, Value

JOINS: dict[str, type[Join]] = {"sum": Add, "concat": Concat, "product": Multiply}


def layers_between(first: Value, last: Value) -> list[Layer]:
    """The layers that make `last` of `first`; ArgumentError where that is made of anything else."""
    try:
        return _branches_between(first, last)
    except _CrossedError:
        return _wired_between(first, last)


class _CrossedError(Exception):
    """Branches that do not meet again in one join."""


def _wired_between(first: Value, last: Value) -> list[Layer]:
    """Every layer a node of a graph, in the order of computation."""
    made: list[graphs.Node] = []
    names = {first.root: "input"}

    def name_of(value: Value) -> str:
        """The name of the node that puts out a value, behind those that it needs."""
        value = value.root
        if value in names:
            return names[value]
        node = value.node
        assert node is not None  # or the branches would have told
        sources = tuple(map(name_of, node.inputs))
        name = by_node.get(node)
        if name is None:
            if node.join:
                joined = JOINS[node.join](sources=sources, name=node.name)
                made.append(graphs.Node(node.name, joined, sources))
                name = node.name
            else:
                (name,) = sources
            for layer in node.layers:
                made.append(graphs.Node(str(layer.name), layer, (name,)))
                name = str(layer.name)
        names[value] = by_node[node] = name
        return name

    by_node: dict[Node, str] = {}
    name_of(last)
    return graphs.layers_of(made, "input")


def _branches_between(first: Value, last: Value) -> list[Layer]:
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
                raise _CrossedError
            seen[node] = None
            if not node.join:
                layers = [*node.layers, *layers]
                value = node.inputs[0]
                continue
            split = dominators(value)[-2]
            if start not in dominators(split):
                raise _CrossedError
            layers = [_joined(node, [back(read, split) for read in node.inputs]), *layers]
            value = split
        return layers

    return back(last, first.root)


def _joined(node: Node, branches: list[list[Layer]]) -> Layer:
    """Residual where a branch is the value itself, else Parallel."""
    if node.join == "sum" and len(branches) == 2 and not all(branches):
        return Residual(branches[0] or branches[1], name=node.name)
    return Parallel(branches, join=node.join, name=node.name)
