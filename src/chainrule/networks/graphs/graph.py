"""Graph: a network of nodes that read each other by name."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from chainrule.base.keywords import teach
from chainrule.data.preparation import Preparation
from chainrule.networks.architecture import INPUT
from chainrule.networks.graphs.ends import inputs_from, outputs_from, parts_of, with_heads
from chainrule.networks.graphs.nodes import ending, in_order, layers_of, nodes_from
from chainrule.networks.graphs.sources import with_indices, with_rows, with_states
from chainrule.networks.network import Network


class Graph(Network):
    """A network of nodes, each with layers and the names of what it reads: skip connections that cross, and
    any other way in which values are used again.

        cr.Graph({
            "down": [cr.Conv2D(8, 3, padding="same"), cr.ReLU()],
            "low": [cr.MaxPool2D(2), cr.Conv2D(16, 3, padding="same"), cr.ReLU(), cr.UpSample2D(2)],
            "both": (cr.Concat(), "down", "low"),
            "out": [cr.Flatten(), cr.Dense(10), cr.Softmax()],
        }, input_shape=(28, 28, 1))

    nodes: name -> a layer, a list of layers, or a tuple of these and the names of its sources: one, or
        several of an Add, a Concat, a Multiply, Maximum, Minimum, Divide or Raise, a MultiHeadAttention
        (queries, keys, values) or a TransformerDecoder (target, memory). All joins but Concat repeat what is
        shorter, or of size 1, as NumPy does: (64,) or (1, 1, 64) on (28, 28, 64), (100, 1) on (100, 16).
        Without a source a node reads the one before it, the first the input, "input". A node's layer has the
        node's name, of a list "node.dense1". One object in several nodes is one layer, with the same weights.
    input_shape: shape of one sample, or with a name by which nodes read it, inputs={"image": (28, 28, 1)};
        X of a single input is the array itself.
    inputs: of several inputs, name -> shape of one sample, inputs={"image": (28, 28, 1), "age": 4}. X is then
        {"image": images, "age": ages}, or a tuple in this order, for `fit`, `predict` and all others.
    outputs: the node that is put out, or a list of several: y and what `predict` returns are then by name,
        and a loss of each, `loss={"kind": CrossEntropy(), "price": Huber()}`, or with weights
        `Losses({...}, weights={"price": 0.5})`; J is their weighted sum. By default the one node that none
        reads.

    Raises ShapeError for a source that is no node, nodes that read each other in a circle, a node that leads
    nowhere, and where shapes do not fit; all names the node. Other arguments, and all it does, as `Network`.
    """

    @teach("Graph({'a': Dense(8), 'b': (ReLU(), 'a')}, input_shape=784)")
    def __init__(
        self,
        nodes: Any,
        *,
        input_shape: Any = None,
        inputs: Any = None,
        outputs: Any = None,
        seed: int = 0,
        dtype: Any = "float32",
        name: str | None = None,
        classes: Any = None,
        preparation: Preparation | str | Mapping[str, Any] | None = None,
        precision: Any = None,
    ) -> None:
        shapes = inputs_from(input_shape, inputs)
        given = nodes_from(nodes, list(shapes))
        named = [] if outputs is None else outputs_from(outputs)
        given = with_indices(with_states(given, named))
        chosen = named or [ending(given, list(shapes))]
        ordered = with_rows(in_order(given, list(shapes), chosen), shapes)
        begin, shape = next(iter(shapes.items()))
        if len(chosen) > 1:
            ordered = with_heads(ordered, shapes, chosen)
        if len(shapes) > 1:
            ordered, begin = [*parts_of(shapes), *ordered], INPUT
            shape = (sum(math.prod(size) for size in shapes.values()),)
        super().__init__(
            layers_of(ordered, begin),
            input_shape=shape,
            seed=seed,
            dtype=dtype,
            name=name,
            classes=classes,
            preparation=None if isinstance(preparation, Mapping) else preparation,
            precision=precision,
        )
        if isinstance(preparation, Mapping):
            ends = self.outputs if len(chosen) > 1 else {chosen[0]: self.output_shape}
            self.preparation = Preparation.of_ends(preparation, shapes, ends)
