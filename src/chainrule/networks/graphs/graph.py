"""Graph: a network of nodes that read each other by name."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from chainrule.base.errors import ArgumentError, describe
from chainrule.base.keywords import teach
from chainrule.data.preparation import Preparation
from chainrule.networks.architecture import INPUT
from chainrule.networks.graphs.nodes import in_order, layers_of, nodes_from, unread
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
        several of an Add or a Concat. Without a source a node reads the one before it, the first the input,
        which is called "input". A node's layer has the node's name, of a list "node.dense1".
    input_shape: shape of one sample, or by the input's name, inputs={"image": (28, 28, 1)}.
    output: the node that is put out, by default the one that none reads.

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
        output: str | None = None,
        seed: int = 0,
        dtype: Any = "float32",
        name: str | None = None,
        classes: Any = None,
        preparation: Preparation | str | None = None,
    ) -> None:
        begin, input_shape = _input(input_shape, inputs)
        given = nodes_from(nodes, (begin,))
        outputs = unread(given)[-1:] if output is None else [output]
        layers = layers_of(in_order(given, (begin,), outputs), begin)
        super().__init__(
            layers,
            input_shape=input_shape,
            seed=seed,
            dtype=dtype,
            name=name,
            classes=classes,
            preparation=preparation,
        )


def _input(input_shape: Any, inputs: Any) -> tuple[str, Any]:
    if inputs is None:
        return INPUT, input_shape
    if not isinstance(inputs, Mapping) or len(inputs) != 1 or input_shape is not None:
        raise ArgumentError(
            f"inputs names the input, inputs={{'image': (28, 28, 1)}}, received {describe(inputs)}"
        )
    ((name, shape),) = inputs.items()
    return str(name), shape
