"""Nodes that read several values: in front of their layer a row in which these lie side by side, and a block
that reads several taken apart into nodes.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator, Mapping, Sequence

from chainrule.base.errors import ShapeError
from chainrule.base.types import Shape
from chainrule.layers import Composite, Layer, Row, Sequential
from chainrule.layers.base import InnerNode
from chainrule.layers.wiring import Join
from chainrule.networks.graphs.nodes import Node


def with_rows(nodes: Sequence[Node], inputs: Mapping[str, Shape]) -> list[Node]:
    """The nodes, in the order of computation, of which every one reads a value, or joins several."""
    shapes, made = dict(inputs), list[Node]()
    for node in nodes:
        for part in _taken_apart(node, shapes):
            made.append(part)
            if (shape := shape_of(part, shapes)) is not None:
                shapes[part.name] = shape
    return made


def _taken_apart(node: Node, shapes: Mapping[str, Shape]) -> Iterator[Node]:
    of = tuple(shapes[source] for source in node.sources if source in shapes)
    if len(of) < len(node.sources) or isinstance(node.layer, Join):  # what does not fit is told later
        yield node
        return
    members = list(node.layer.layers) if isinstance(node.layer, Sequential) else [node.layer]
    try:
        inner = members[0].inner_nodes(of)
        if len(of) > 1 and not inner:
            members[0] = members[0].reading(of)
    except ShapeError as error:
        raise ShapeError(f"node {node.name!r}: {error}") from error
    if inner:
        yield from _within(node, inner, members[1:], shapes)
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
    node: Node, inner: Sequence[InnerNode], behind: Sequence[Layer], shapes: Mapping[str, Shape]
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
        yield from _taken_apart(Node(name, Sequential(block, name=node.name), read), shapes)
