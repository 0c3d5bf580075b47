"""The ends of a graph: several inputs as parts of one row of numbers, several outputs side by side."""

from __future__ import annotations

import copy
import math
from collections.abc import Mapping, Sequence
from typing import Any

from chainrule.base.errors import ArgumentError, ShapeError, describe
from chainrule.base.scalars import entries
from chainrule.base.types import Shape
from chainrule.layers import Concat, Flatten, Heads, Identity, Layer, Part, Sequential
from chainrule.layers.parts import TAKEN
from chainrule.networks.architecture import INPUT, input_shape_from
from chainrule.networks.graphs.nodes import Node
from chainrule.networks.graphs.sources import shape_of


def inputs_from(input_shape: Any, inputs: Any) -> dict[str, Shape]:
    """Name -> shape of one sample; "input" where they are not named."""
    if inputs is None:
        if input_shape is None:
            raise TypeError("Graph() needs input_shape, the shape of one sample, such as X.shape[1:]")
        return {INPUT: input_shape_from(input_shape)}
    if input_shape is not None or not isinstance(inputs, Mapping) or not inputs:
        also = " beside input_shape" if input_shape is not None else ""
        raise ArgumentError(
            "inputs names every input with its shape, inputs={'image': (28, 28, 1), 'age': 4}, "
            f"received {describe(inputs)}{also}"
        )
    shapes = {}
    for name, shape in inputs.items():
        if not isinstance(name, str) or (name == INPUT and len(inputs) > 1):
            raise ShapeError(f"of several inputs none can be called {describe(name)}: write another name")
        try:
            shapes[name] = input_shape_from(shape)
        except ShapeError as error:
            raise ShapeError(f"input {name!r}: {error}") from error
    return shapes


def outputs_from(outputs: Any) -> list[str]:
    """The names of the outputs: from one, or a list of them."""
    names = [outputs] if isinstance(outputs, str) else entries(outputs)
    if not names or not all(isinstance(name, str) for name in names):
        raise TypeError(
            f"outputs are names of nodes, outputs=['kind', 'price'], received {describe(outputs)}"
        )
    twice = [name for name in names if list(names).count(name) > 1]
    if twice:
        raise ShapeError(f"outputs has {twice[0]!r} twice")
    return list(names)


def parts_of(inputs: Mapping[str, Shape]) -> list[Node]:
    """A node for each of several inputs: a part of the row in which they lie side by side."""
    nodes, start = [], 0
    for name, shape in inputs.items():
        part = Part(start, shape, name=name)
        nodes.append(Node(name, part, (INPUT,)))
        start = part.stop
    return nodes


def with_heads(nodes: Sequence[Node], inputs: Mapping[str, Shape], outputs: Sequence[str]) -> list[Node]:
    """The nodes, in the order of computation, with several outputs side by side in one at the end, behind
    which stands `Heads`.

    Softmax, LogSoftmax or Sigmoid at the end of an output becomes its activation there, for its loss is
    computed with it as one; who else reads the output has the activation too.
    """
    shapes, read = _shapes(nodes, inputs), {source for node in nodes for source in node.sources}
    made: list[Node] = []
    ends: dict[str, str] = {}  # output -> the node that goes to the heads
    activations: dict[str, Layer] = {}
    for node in nodes:
        name, end = node.name, node.name
        front, last = _cut(node.layer) if name in outputs else (None, None)
        if last is None:
            made.append(node)
        else:
            end = f"{name}.z" if name in read else name
            made.append(Node(end, _renamed(Identity() if front is None else front, end), node.sources))
            if name in read:
                made.append(Node(name, _renamed(last, name), (end,)))
        if name not in outputs:
            continue
        activations[name] = _renamed(last or Identity(), name)
        shape = shapes.get(name, (1,))
        if len(shape) > 1:
            made.append(Node(f"{name}.row", _renamed(Flatten(), f"{name}.row"), (end,)))
            end = f"{name}.row"
        ends[name] = end
    heads = Heads(outputs, [shapes.get(name, (1,)) for name in outputs], [activations[n] for n in outputs])
    sources, taken = tuple(ends[name] for name in outputs), {node.name for node in made}
    joined, last_of_all = (f"{name}{'_' * (name in taken)}" for name in ("joined", "heads"))
    return [
        *made,
        Node(joined, _renamed(Concat().joining(sources), joined), sources),
        Node(last_of_all, _renamed(heads, last_of_all), (joined,)),
    ]


def _cut(layer: Layer) -> tuple[Layer | None, Layer | None]:
    """A node's layers without the activation of an output, and that; None where there is none."""
    members = list(layer.layers) if isinstance(layer, Sequential) else [layer]
    if type(members[-1]) not in TAKEN:
        return layer, None
    front = members[:-1]
    return (Sequential(front) if len(front) > 1 else front[0] if front else None), members[-1]


def _renamed(layer: Layer, name: str) -> Layer:
    copied = copy.copy(layer)
    copied.name = name
    return copied


def _shapes(nodes: Sequence[Node], inputs: Mapping[str, Shape]) -> dict[str, Shape]:
    """The shape of every node as far as it can be told."""
    shapes: dict[str, Shape] = {INPUT: (sum(math.prod(shape) for shape in inputs.values()),), **inputs}
    for node in nodes:
        if (shape := shape_of(node, shapes)) is not None:
            shapes[node.name] = shape
    return shapes
