"""Sums and products of values of different shapes: what is shorter, or of size 1 along an axis, repeats."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np

from chainrule.base.errors import ShapeError
from chainrule.base.types import Shape
from chainrule.layers import Composite, Layer, Resample, Reshape, Sequential, UpSample1D, UpSample2D
from chainrule.layers.wiring import Concat, Join
from chainrule.networks.architecture import INPUT
from chainrule.networks.graphs.nodes import Node


def with_repeats(nodes: Sequence[Node], inputs: Mapping[str, Shape]) -> list[Node]:
    """The nodes, with one in front of a sum or a product for every source that is repeated there, called
    "node.source": shapes are aligned at their end, as NumPy does it.
    """
    shapes, made = begin(inputs), list[Node]()
    for node in nodes:
        of = [shapes.get(source) for source in node.sources]
        if isinstance(node.layer, Join) and not isinstance(node.layer, Concat) and None not in of:
            node = _repeated(node, dict(zip(node.sources, of, strict=True)), made, shapes)  # type: ignore[arg-type]
        made.append(node)
        tell(node, shapes)
    return made


def begin(inputs: Mapping[str, Shape]) -> dict[str, Shape]:
    """The shapes of what there is in front of all nodes."""
    return {INPUT: (sum(math.prod(shape) for shape in inputs.values()),), **inputs}


def tell(node: Node, shapes: dict[str, Shape]) -> None:
    """The shape of a node as far as it can be told; what does not fit is told by the network itself."""
    try:
        of = [shapes[source] for source in node.sources]
        several = isinstance(node.layer, Composite) and node.layer.several
        rule = node.layer.joined_shape if several else None  # type: ignore[attr-defined]
        shapes[node.name] = rule(of[0], of) if rule else node.layer.output_shape(of[0])
    except (ShapeError, KeyError, ValueError, TypeError, IndexError):
        return


def _repeated(node: Node, of: Mapping[str, Shape], made: list[Node], shapes: dict[str, Shape]) -> Node:
    try:
        whole = np.broadcast_shapes(*of.values())
    except ValueError:
        return node
    sources = []
    for source in node.sources:
        called = f"{node.name}.{source}"
        if of[source] != whole and called not in shapes:
            layers = _repeats(of[source], whole)
            block = layers[0] if len(layers) == 1 else Sequential(layers)
            block.name = called
            made.append(Node(called, block, (source,)))
            shapes[called] = whole
        sources.append(source if of[source] == whole else called)
    layer = node.layer
    assert isinstance(layer, Join)
    return Node(node.name, layer.joining(tuple(sources)), tuple(sources))


def _repeats(shape: Shape, whole: Shape) -> list[Layer]:
    """Layers that make a value of one shape one of the other."""
    layers: list[Layer] = []
    full = (1,) * (len(whole) - len(shape)) + shape
    if full != shape:
        layers.append(Reshape(full))
    *positions, features = (size // there for size, there in zip(whole, full, strict=True))
    if any(factor > 1 for factor in positions):
        rows, columns = (positions[0], positions[-1])
        layers.append(UpSample2D((rows, columns)) if len(positions) == 2 else UpSample1D(rows))
    if features > 1:
        layers.append(Resample(len(whole) - 1, [[(0, 1.0)]] * features, 1))
    return layers
