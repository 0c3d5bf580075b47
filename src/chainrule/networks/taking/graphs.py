"""From values to the nodes of a Graph: several inputs and outputs, ways that cross, products, states."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from chainrule.base.errors import ArgumentError
from chainrule.layers import (
    Add,
    Concat,
    Divide,
    Identity,
    Maximum,
    Minimum,
    Multiply,
    Raise,
    Recurrent,
)
from chainrule.layers.wiring import Join
from chainrule.networks.taking.values import Node, Value

JOINS: Mapping[str, type[Join]] = {
    join.join: join for join in (Add, Multiply, Concat, Maximum, Minimum, Divide, Raise)
}


def values_before(outputs: Iterable[Value]) -> list[Value]:
    """All values that make the outputs, and these."""
    left, made = [value.root for value in outputs], dict[Value, None]()
    while left:
        value = left.pop()
        if value not in made:
            made[value] = None
            left += [read.root for read in value.node.inputs] if value.node else []
    return list(made)


def only_last(values: Iterable[Value]) -> None:
    """A recurrence of which only h behind the last step is read puts out that, and has no states."""
    uses: dict[Node, list[Value]] = {}
    for value in values:
        if value.node is not None:
            uses.setdefault(value.node, []).append(value)
    for node, values in uses.items():
        layer = node.layers[-1] if node.layers else None
        if isinstance(layer, Recurrent) and all(value.state == "h" for value in values):
            layer.outputs = "last"
            for value in values:
                value.state = ""


def nodes_between(inputs: Mapping[str, Value], outputs: Mapping[str, Value]) -> dict[str, Any]:
    """What `Graph` takes: the nodes that make the outputs of the inputs."""
    called = {id(value): key for key, value in inputs.items()}  # what inputs and nodes are called
    nodes: dict[str, Any] = {}
    wanted: dict[int, str] = {}  # a node that is an output -> its name
    for output, value in outputs.items():
        node = value.root.node
        if node is not None and not value.root.state and (node.layers or node.join):
            wanted.setdefault(id(node), output)

    def source(value: Value) -> str:
        value = value.root
        if value.node is None:
            if id(value) not in called:
                raise ArgumentError("the output is not made of the inputs alone")
            return called[id(value)]
        return put(value.node) + (f".{value.state}" if value.state else "")

    def put(node: Node) -> str:
        if id(node) not in called:
            if not node.layers and not node.join:
                return source(node.inputs[0])
            sources = [source(value) for value in node.inputs]
            layers = [*node.layers] if node.layers else [JOINS[node.join]()]
            own = str(layers[-1].name) if node.layers else node.name
            while own in outputs or own in inputs:
                own += "_"
            called[id(node)] = wanted.get(id(node), own)
            nodes[called[id(node)]] = (layers, *sources)
        return called[id(node)]

    for output, value in outputs.items():
        made = source(value)
        if made != output:
            nodes[output] = ([Identity()], made)
    return nodes
