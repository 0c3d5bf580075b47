"""Layers over the steps of a sequence among the operators of ONNX.

A mask (N, steps) holds 1 for a step that is there. RNN, LSTM and GRU of ONNX know lengths only, which put all
padding at the end; where a mask is, a recurrence is a Scan over its own formula of a step.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from chainrule.formulas.calling import call_formula
from chainrule.formulas.expression import Symbol
from chainrule.layers import GRU, LSTM, RNN, Embedding, Layer, Masking, MultiHeadAttention, Recurrent
from chainrule.networks.forms.onnx.formulas import Formula
from chainrule.networks.forms.onnx.graph import SAMPLES, Graph, Value
from chainrule.networks.forms.onnx.layers import Arrays, Writer, product
from chainrule.networks.forms.written import gates_in_order

# Operator, and the order in which it has the gates.
OPERATORS: dict[type[Layer], tuple[str, str]] = {
    RNN: ("RNN", "h"),
    LSTM: ("LSTM", "iofg"),
    GRU: ("GRU", "urn"),
}
FUNCTIONS = {"tanh": "Tanh", "relu": "Relu", "sigmoid": "Sigmoid", "identity": "Affine"}


def mask_of(graph: Graph, layer: Layer, x: Value) -> str | None:
    """(N, steps): which steps are there, where the layer says so."""
    if isinstance(layer, Masking):
        return graph.axes("Squeeze", _there(graph, layer, x), 2)
    if isinstance(layer, Embedding) and layer.padding is not None and len(x.shape) == 1:
        padding = graph.add("Equal", graph.ids(x), graph.whole(layer.padding))
        return graph.number(graph.add("Not", padding))
    return None


def _there(graph: Graph, layer: Masking, x: Value) -> str:
    differs = graph.number(graph.add("Not", graph.add("Equal", graph.last(x), graph.constant(layer.value))))
    return graph.reduce("ReduceMax", differs, [-1])


def _masking(graph: Graph, layer: Masking, x: Value, given: Arrays, mask: str | None) -> Value:
    return Value(x.shape, graph.add("Mul", graph.last(x), _there(graph, layer, x)))


def _embedding(graph: Graph, layer: Embedding, x: Value, given: Arrays, mask: str | None) -> Value:
    E = given["E"].copy()
    if layer.padding is not None:
        E[layer.padding] = 0
    return Value(layer.output_shape(x.shape), graph.add("Gather", graph.matrix(E, "E"), graph.ids(x)))


# -- recurrences -------------------------------------------------------------------------------------------
def _recurrent(graph: Graph, layer: Recurrent, x: Value, given: Arrays, mask: str | None) -> Value:
    if mask is not None:
        return _scan(graph, layer, x, given, mask)
    operator, order = OPERATORS[type(layer)]
    arrays = [gates_in_order(given[name], layer.gates, order) for name in ("W", "U", "b") if name in given]
    if layer.bias:  # ONNX has two: ours is the first, and v of a GRU in the second
        second = np.zeros_like(arrays[-1])
        if "v" in given:
            second[-layer.units :] = given["v"]
        arrays[-1] = np.concatenate([arrays[-1], second])
    names = [graph.constant(array[None], name) for array, name in zip(arrays, "WRB", strict=False)]
    options: dict[str, Any] = {"hidden_size": layer.units}
    if layer.reverse:
        options["direction"] = "reverse"
    if isinstance(layer, RNN):
        options["activations"] = [FUNCTIONS[layer.activation]]
        if layer.activation == "identity":
            options |= {"activation_alpha": [1.0], "activation_beta": [0.0]}
    if isinstance(layer, GRU):
        options["linear_before_reset"] = int(layer.reset_after)
    steps = graph.add("Transpose", graph.last(x), perm=[1, 0, 2])
    every, last = graph.several(operator, steps, *names, outputs=2, **options)
    shape = layer.output_shape(x.shape)
    if layer.outputs == "last":
        return Value(shape, graph.axes("Squeeze", last, 0))
    return Value(shape, graph.add("Transpose", graph.axes("Squeeze", every, 1), perm=[1, 0, 2]))


def _scan(graph: Graph, layer: Recurrent, x: Value, given: Arrays, mask: str) -> Value:
    """The step's formula again and again: where a step is padding the states stay, and 0 is put out."""
    make, body = graph.onnx.helper, graph.inner()
    inputs = [*(f"{name}_before" for name in layer.states), "x_t", "there"]
    sizes = [*(layer.units for _ in layer.states), x.shape[-1], 1]
    bindings: dict[str, Any] = {**dict(zip((*layer.states, "x"), inputs, strict=False)), **given}
    after = call_formula(layer.step, {name: Symbol(name) for name in bindings})
    formula, there = Formula(body, bindings, {}), body.holds("there")
    states = [
        body.add("Where", there, formula.value(tree), before)
        for tree, before in zip(after, inputs[: len(layer.states)], strict=True)
    ]
    shown = body.add("Mul", states[0], "there")

    def described(name: str, size: int) -> Any:
        return make.make_tensor_value_info(name, graph.real, [SAMPLES, size])

    block = make.make_graph(
        body.nodes,
        "step",
        [described(name, size) for name, size in zip(inputs, sizes, strict=True)],
        [described(name, layer.units) for name in (*states, shown)],
        body.tensors(),
    )
    zeros = _zero_states(graph, x, layer)
    given_steps = (graph.last(x), graph.axes("Unsqueeze", mask, 2))
    direction = [int(layer.reverse)]
    results = graph.several(
        "Scan",
        *(zeros for _ in layer.states),
        *given_steps,
        outputs=len(states) + 1,
        body=block,
        num_scan_inputs=2,
        scan_input_axes=[1, 1],
        scan_output_axes=[1],
        scan_input_directions=direction * 2,
        scan_output_directions=direction,
    )
    shape = layer.output_shape(x.shape)
    return Value(shape, results[0] if layer.outputs == "last" else results[-1])


def _zero_states(graph: Graph, x: Value, layer: Recurrent) -> str:
    """(N, units) of zeros."""
    count = graph.add("Slice", graph.add("Shape", graph.last(x)), graph.whole(0), graph.whole(1))
    shape = graph.add("Concat", count, graph.whole(layer.units), axis=0)
    zero = graph.onnx.numpy_helper.from_array(np.zeros(1, graph.dtype))
    return graph.add("ConstantOfShape", shape, value=zero)


# -- attention ---------------------------------------------------------------------------------------------
def _attention(graph: Graph, layer: MultiHeadAttention, x: Value, given: Arrays, mask: str | None) -> Value:
    (steps, features), name = x.shape, graph.last(x)
    size = features // layer.heads

    def heads(key: str, perm: Sequence[int]) -> str:
        """(N, heads, steps, size), or with the last two exchanged."""
        projected = product(graph, name, given[f"W_{key}"], given.get(f"b_{key}"))
        return graph.add("Transpose", graph.reshape(projected, steps, layer.heads, size), perm=[*perm])

    Q, K, V = heads("q", (0, 2, 1, 3)), heads("k", (0, 2, 3, 1)), heads("v", (0, 2, 1, 3))
    S = graph.add("Mul", graph.add("MatMul", Q, K), graph.constant(size**-0.5))
    A = _weights(graph, S, steps, layer.causal, mask)
    O = graph.add("Transpose", graph.add("MatMul", A, V), perm=[0, 2, 1, 3])  # noqa: E741
    return Value(x.shape, product(graph, graph.reshape(O, steps, features), given["W_o"], given.get("b_o")))


def _weights(graph: Graph, S: str, steps: int, causal: bool, mask: str | None) -> str:
    """Softmax over the keys that are seen; 0 everywhere where none is."""
    seen = graph.constant(np.tri(steps), dtype=bool) if causal else None
    if mask is not None:
        keys = graph.holds(graph.axes("Unsqueeze", mask, 1, 2))
        seen = keys if seen is None else graph.add("And", seen, keys)
    if seen is None:
        return graph.add("Softmax", S, axis=-1)
    # The lowest finite number and not -inf: a row of -inf alone would be 0/0.
    hidden = graph.constant(np.finfo(graph.dtype).min)
    A = graph.add("Softmax", graph.add("Where", seen, S, hidden), axis=-1)
    return graph.add("Where", seen, A, graph.constant(0))


SEQUENCES: Mapping[type[Layer], Writer] = {
    Masking: _masking,
    Embedding: _embedding,
    RNN: _recurrent,
    LSTM: _recurrent,
    GRU: _recurrent,
    MultiHeadAttention: _attention,
}
