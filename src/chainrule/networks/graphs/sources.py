"""Nodes that read several values: in front of their layer a row in which these lie side by side, and a block
that reads several taken apart into nodes.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from chainrule.base.errors import ShapeError
from chainrule.base.types import Shape
from chainrule.layers import Composite, Layer, Part, Recurrent, Row, Sequential
from chainrule.layers.base import InnerNode
from chainrule.layers.windows.pooling import MaxPool2D
from chainrule.layers.windows.unpooling import MaxUnpool2D
from chainrule.layers.wiring import Join
from chainrule.networks.graphs.broadcasting import repeated
from chainrule.networks.graphs.nodes import Node

INDICES = ".indices"  # behind the name of a node that ends in a max pool


class _Taken(Layer):
    """Of a recurrence that puts out its states, one of them, or its output: made a `Part` by its shape."""

    def __init__(self, cell: Recurrent, state: str | None) -> None:
        self.cell, self.state = cell, state

    def part(self, row: Shape) -> Part:
        sizes, states = self.cell.state_sizes, self.cell.states
        shown = row[0] - sum(sizes)
        if self.state is None:
            return Part(0, self.cell.shown_shape(shown // sizes[0]))
        place = states.index(self.state)
        return Part(shown + sum(sizes[:place]), (sizes[place],))


def with_states(nodes: Sequence[Node], outputs: Sequence[str]) -> list[Node]:
    """The nodes, those of the states of recurrences among them that others read, "encoder.h"."""
    known = {node.name for node in nodes}
    used = {*outputs, *(source for node in nodes for source in node.sources)}
    made: list[Node] = []
    for node in nodes:
        members = _members(node.layer)
        cell = members[-1]
        states = cell.states if isinstance(cell, Recurrent) else ()
        wanted = [state for state in states if f"{node.name}.{state}" in used - known]
        if not wanted or not isinstance(cell, Recurrent):
            made.append(node)
            continue
        every = f"{node.name}.states"
        if cell.unfolded() != (cell,):
            raise ShapeError(
                f"node {node.name!r}: {cell!r} stands for several layers, each with states of its own: write "
                "a node for each of them"
            )
        ending = copy.copy(cell)
        ending.ends = True
        single = not isinstance(node.layer, Sequential)  # it keeps its name, and so its parameters theirs
        block = ending if single else Sequential([*members[:-1], ending], name=node.name)
        made.append(Node(every, block, node.sources))
        made += [Node(node.name, _Taken(cell, None), (every,))] if node.name in used else []
        made += [Node(f"{node.name}.{state}", _Taken(cell, state), (every,)) for state in wanted]
    return made


def with_indices(nodes: Sequence[Node]) -> list[Node]:
    """The nodes, of which a MaxUnpool that reads "pool.indices" reads what the pool of that node does."""
    known = {node.name: node for node in nodes}
    wanted: dict[str, list[Node]] = {}
    for node in nodes:
        for source in node.sources:
            pool_name = source.removesuffix(INDICES)
            if source.endswith(INDICES) and source not in known and pool_name in known:
                wanted.setdefault(pool_name, []).append(node)
    made: list[Node] = []
    read: dict[str, str] = {}
    for node in nodes:
        if node.name in wanted:
            *before, pool = _members(node.layer)
            for reader in wanted[node.name]:
                _check_indices(node, pool, reader)
            read[f"{node.name}{INDICES}"] = node.sources[0]
            if before:
                name = f"{node.name}.pooled"
                read[f"{node.name}{INDICES}"] = name
                made.append(Node(name, Sequential(before, name=node.name), node.sources))
                pool = copy.copy(pool)
                pool.name = node.name
                node = Node(node.name, pool, (name,))
        made.append(node)
    return [
        Node(node.name, node.layer, tuple(read.get(source, source) for source in node.sources))
        for node in made
    ]


def _check_indices(node: Node, pool: Layer, reader: Node) -> None:
    """ShapeError where a node has no indices, or what reads them is no opposite of it."""
    source = f"{node.name}{INDICES}"
    if not isinstance(pool, MaxPool2D) or not pool.return_indices:
        form = f"MaxPool2D(2, return_indices=True) as the last layer of node {node.name!r}"
        raise ShapeError(f"node {reader.name!r} reads {source!r}: write {form}")
    layer = _members(reader.layer)[0]
    if not isinstance(layer, MaxUnpool2D) or layer.pool.grid != pool.grid:
        raise ShapeError(
            f"node {reader.name!r}: {source!r} is for a MaxUnpool2D with the window, stride and padding of "
            f"{pool!r}, received {layer!r}"
        )


def with_rows(nodes: Sequence[Node], inputs: Mapping[str, Shape]) -> list[Node]:
    """The nodes, in the order of computation, of which every one reads a value, or joins several."""
    shapes, made = dict(inputs), list[Node]()
    blocks: dict[object, list[Layer]] = {}
    for node in nodes:
        for part in _taken_apart(node, shapes, blocks):
            made.append(part)
            if (shape := shape_of(part, shapes)) is not None:
                shapes[part.name] = shape
    return made


def _members(layer: Any) -> list[Layer]:
    return list(layer.layers) if isinstance(layer, Sequential) else [layer]


def _taken_apart(
    node: Node, shapes: Mapping[str, Shape], blocks: dict[object, list[Layer]]
) -> Iterator[Node]:
    """blocks: by the identity of one that has been taken apart the layers in it, which are those of another
    node of the same block, too.
    """
    of = tuple(shapes[source] for source in node.sources if source in shapes)
    if len(of) < len(node.sources) or isinstance(node.layer, Join):  # what does not fit is told later
        yield from repeated(node, shapes)
        return
    if isinstance(node.layer, _Taken):
        part = node.layer.part(of[0])
        part.name = node.name if node.layer.state else f"{node.name}.output"
        yield Node(node.name, part, node.sources)
        return
    members = _members(node.layer)
    try:
        inner = members[0].inner_nodes(of)
        if len(of) > 1 and not inner:
            members[0] = members[0].reading(of)
    except ShapeError as error:
        raise ShapeError(f"node {node.name!r}: {error}") from error
    if inner:
        own = [layer for _, layers, _ in inner if not isinstance(layers, Join) for layer in layers]
        for layer, before in zip(own, blocks.setdefault(members[0].identity, own), strict=True):
            layer.identity = before.identity
        yield from _within(node, inner, members[1:], shapes, blocks)
        return
    if len(of) == 1:
        yield node
        return
    row = f"{node.name}.sources"
    yield Node(row, Row(sources=node.sources, name=row), node.sources)
    single = not isinstance(node.layer, Sequential)
    layer = members[0] if single else Sequential(members, name=node.layer.name)
    yield Node(node.name, layer, (row,))


def shape_of(node: Node, shapes: Mapping[str, Shape]) -> Shape | None:
    """What a node puts out, where that can be told; what does not fit is told by the network itself."""
    try:
        of = [shapes[source] for source in node.sources]
        if isinstance(node.layer, Composite) and node.layer.several:
            return node.layer.joined_shape(of[0], of)
        return node.layer.output_shape(of[0])
    except (ShapeError, KeyError, ValueError, TypeError, IndexError):
        return None


def _within(
    node: Node,
    inner: Sequence[InnerNode],
    behind: Sequence[Layer],
    shapes: Mapping[str, Shape],
    blocks: dict[object, list[Layer]],
) -> Iterator[Node]:
    """The nodes of a block, whose layers have its name in front of theirs, and the layers behind it."""
    for suffix, layers, sources in inner:
        name = f"{node.name}.{suffix}" if suffix else node.name
        read = tuple(f"{node.name}.{of}" if isinstance(of, str) else node.sources[of] for of in sources)
        if isinstance(layers, Join):
            joined = f"{node.name}.joined" if behind and not suffix else name
            layer = copy.copy(layers.joining(read))
            layer.name = joined
            yield Node(joined, layer, read)
            if joined != name:
                yield Node(name, Sequential(behind, name=node.name), (joined,))
            continue
        block = [*layers, *(behind if not suffix else ())]
        yield from _taken_apart(Node(name, Sequential(block, name=node.name), read), shapes, blocks)
