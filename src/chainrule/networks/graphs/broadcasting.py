"""Values of different shapes joined entry by entry: what is shorter, or of size 1 along an axis, repeats."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np

from chainrule.base.types import Shape
from chainrule.layers import Layer, Resample, Reshape, Sequential, UpSample1D, UpSample2D
from chainrule.layers.wiring import Join
from chainrule.networks.graphs.nodes import Node


def repeated(node: Node, shapes: Mapping[str, Shape]) -> Iterator[Node]:
    """A node, and in front of what joins entry by entry one for every source that is repeated there,
    "node.source": shapes are aligned at their end, as NumPy does it.
    """
    layer = node.layer
    if not isinstance(layer, Join) or layer.join in ("concat", "row"):
        yield node
        return
    try:
        whole = np.broadcast_shapes(*(shapes[source] for source in node.sources))
    except (KeyError, ValueError):  # what does not fit is told by the network itself
        yield node
        return
    called = {source: f"{node.name}.{source}" for source in node.sources if shapes[source] != whole}
    for source, name in called.items():
        layers = _repeats(shapes[source], whole)
        block = layers[0] if len(layers) == 1 else Sequential(layers)
        block.name = name
        yield Node(name, block, (source,))
    sources = tuple(called.get(source, source) for source in node.sources)
    yield Node(node.name, layer.joining(sources), sources) if called else node


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
