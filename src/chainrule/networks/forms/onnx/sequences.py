"""Layers over the steps of a sequence among the operators of ONNX.

A mask (N, steps) holds 1 for a step that is there. RNN, LSTM and GRU of ONNX know lengths only, which put all
padding at the end, and no projection; a recurrence under a mask is a Scan over its own formula of a step, as
is a projection of states that are given. From states of 0 on a projection is an LSTM whose R is U V, as z
reads U h = U V (o ⊙ tanh c), and a product by V behind it: onnxruntime has a kernel for that.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from chainrule.base.types import Array
from chainrule.formulas.calling import call_formula
from chainrule.formulas.expression import Symbol
from chainrule.formulas.primitives.steps import turns
from chainrule.layers import GRU, LSTM, RNN, Embedding, Layer, Masking, MultiHeadAttention, Part, Recurrent
from chainrule.layers.parts import places_of
from chainrule.layers.sequences.attention import GIVEN
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


def _part(graph: Graph, layer: Part, x: Value, given: Arrays, mask: str | None) -> Value:
    return graph.part(x, layer.start, layer.stop, layer.shape)


def _embedding(graph: Graph, layer: Embedding, x: Value, given: Arrays, mask: str | None) -> Value:
    E = given["E"].copy()
    if layer.padding is not None:
        E[layer.padding] = 0
    return Value(layer.output_shape(x.shape), graph.add("Gather", graph.matrix(E, "E"), graph.ids(x)))


# -- recurrences -------------------------------------------------------------------------------------------
def _recurrent(graph: Graph, layer: Recurrent, x: Value, given: Arrays, mask: str | None) -> Value:
    sequence, first = _begun(graph, layer, x)
    V = given.get("V")
    if mask is not None or (V is not None and first):
        return _scan(graph, layer, sequence, first, x, given, mask)
    if V is not None:
        given = {**given, "U": given["U"].astype(np.float64) @ V}
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
    steps = graph.add("Transpose", graph.last(sequence), perm=[1, 0, 2])
    if first:
        names += [""] * (4 - len(names))  # without a bias, and without lengths
        names += [graph.axes("Unsqueeze", state, 0) for state in first]
    if "P" in given:
        names += [""] * (6 - len(names))  # without first states
        names.append(graph.constant(gates_in_order(given["P"], LSTM.seeing, "iof")[None], "P"))
    every, *last = graph.several(operator, steps, *names, outputs=1 + len(layer.states), **options)
    states = [graph.axes("Squeeze", state, 0) for state in last]
    if V is not None:
        states[0] = product(graph, states[0], V, None)
    if layer.outputs == "last":
        return _ended(graph, layer, x, states[0], states)
    shown = graph.add("Transpose", graph.axes("Squeeze", every, 1), perm=[1, 0, 2])
    shown = shown if V is None else product(graph, shown, V, None)
    return _ended(graph, layer, x, shown, states)


def _begun(graph: Graph, layer: Recurrent, x: Value) -> tuple[Value, list[str]]:
    """The sequence, and the states that it begins with where they are given, (N, units) each."""
    if not layer.sources:
        return x, []
    sequence, *first = (graph.part(x, *place) for place in places_of(layer.sources))
    return sequence, [graph.last(state) for state in first]


def _ended(graph: Graph, layer: Recurrent, x: Value, shown: str, states: Sequence[str]) -> Value:
    """What is put out, and where a node reads them the states behind it."""
    shape = layer.output_shape(x.shape)
    if not layer.ends:
        return Value(shape, shown)
    sizes = layer.state_sizes
    rest = layer.shown_shape((shape[0] - sum(sizes)) // sizes[0])
    ends = [Value((size,), state) for size, state in zip(sizes, states, strict=True)]
    return graph.beside([Value(rest, shown), *ends], shape)


def _scan(
    graph: Graph, layer: Recurrent, x: Value, first: Sequence[str], row: Value, given: Arrays,
    mask: str | None,
) -> Value:  # fmt: skip
    """The step's formula again and again: where a step is padding the states stay, and 0 is put out."""
    make, body = graph.onnx.helper, graph.inner()
    inputs = [*(f"{name}_before" for name in layer.states), "x_t", *(["there"] if mask else [])]
    sizes = [*layer.state_sizes, x.shape[-1], *([1] if mask else [])]
    bindings: dict[str, Any] = {**dict(zip((*layer.states, "x"), inputs, strict=False)), **given}
    after = call_formula(layer.step, {name: Symbol(name) for name in bindings})
    formula = Formula(body, bindings, {})
    states = [formula.value(tree) for tree in after]
    if mask:
        there = body.holds("there")
        states = [
            body.add("Where", there, state, before) for state, before in zip(states, inputs, strict=False)
        ]
    shown = body.add("Mul", states[0], "there") if mask else body.add("Identity", states[0])

    def described(name: str, size: int) -> Any:
        return make.make_tensor_value_info(name, graph.real, [SAMPLES, size])

    block = make.make_graph(
        body.nodes,
        "step",
        [described(name, size) for name, size in zip(inputs, sizes, strict=True)],
        [
            described(name, size)
            for name, size in zip((*states, shown), (*layer.state_sizes, layer.state_sizes[0]), strict=True)
        ],
        body.tensors(),
    )
    begins = first or [_zero_states(graph, x, size) for size in layer.state_sizes]
    given_steps = [graph.last(x), *([graph.axes("Unsqueeze", mask, 2)] if mask else [])]
    direction = [int(layer.reverse)]
    results = graph.several(
        "Scan",
        *begins,
        *given_steps,
        outputs=len(states) + 1,
        body=block,
        num_scan_inputs=len(given_steps),
        scan_input_axes=[1] * len(given_steps),
        scan_output_axes=[1],
        scan_input_directions=direction * len(given_steps),
        scan_output_directions=direction,
    )
    shown = results[0] if layer.outputs == "last" else results[-1]
    return _ended(graph, layer, row, shown, results[:-1])


def _zero_states(graph: Graph, x: Value, size: int) -> str:
    """(N, size) of zeros."""
    count = graph.add("Slice", graph.add("Shape", graph.last(x)), graph.whole(0), graph.whole(1))
    shape = graph.add("Concat", count, graph.whole(size), axis=0)
    zero = graph.onnx.numpy_helper.from_array(np.zeros(1, graph.dtype))
    return graph.add("ConstantOfShape", shape, value=zero)


# -- attention ---------------------------------------------------------------------------------------------
def _attention(graph: Graph, layer: MultiHeadAttention, x: Value, given: Arrays, mask: str | None) -> Value:
    of_q, of_k, _ = layer.shapes(x.shape)
    (steps, features), size, fewer = of_q, of_q[-1] // layer.heads, layer.heads // layer.shared
    *read, seen = _sources(graph, layer, x)

    def heads(key: str, name: str, count: int, keys: int) -> str:
        """(N, heads, steps, size)."""
        projected = product(graph, name, given[f"W_{key}"], given.get(f"b_{key}"))
        split = graph.add("Transpose", graph.reshape(projected, keys, count, size), perm=[0, 2, 1, 3])
        if layer.rotary and key != "v":
            split = _turned(graph, split, keys, size, layer.rotary_base)
        if count == layer.heads:
            return split
        every = graph.constant(np.repeat(np.arange(count), layer.shared), dtype=np.int64)
        return graph.add("Gather", split, every, axis=1)

    Q = heads("q", read[0], layer.heads, steps)
    K, V = (heads(key, name, fewer, of_k[0]) for key, name in zip("kv", read[1:], strict=True))
    if layer.extra_rows:
        K = _with_more(graph, layer, K, given.get("k_0"), size)
        V = _with_more(graph, layer, V, given.get("v_0"), size)
    K = graph.add("Transpose", K, perm=[0, 1, 3, 2])
    S = graph.add("Mul", graph.add("MatMul", Q, K), graph.constant(size**-0.5))
    at, numbers = layer.of_pairs(steps, of_k[0], given.get("P"))
    if at is not None:
        added = np.pad(numbers[:, at], ((0, 0), (0, 0), (0, layer.extra_rows)))
        S = graph.add("Add", S, graph.constant(added))
    A = _weights(graph, S, _seen(graph, layer, (steps, of_k[0]), seen, mask))
    O = graph.add("Transpose", graph.add("MatMul", A, V), perm=[0, 2, 1, 3])  # noqa: E741
    return Value(of_q, product(graph, graph.reshape(O, steps, features), given["W_o"], given.get("b_o")))


def _with_more(graph: Graph, layer: MultiHeadAttention, own: str, row: Any, size: int) -> str:
    """Keys or values (N, heads, steps, size), and behind them those that are not of the sequence."""
    rows = np.zeros((1, layer.heads, layer.extra_rows, size))
    if row is not None:
        rows[0, :, 0] = np.repeat(row.reshape(-1, size), layer.shared, axis=0)
    samples = graph.add("Slice", graph.add("Shape", own), graph.whole(0), graph.whole(1))
    shape = graph.add("Concat", samples, graph.whole(*rows.shape[1:]), axis=0)
    return graph.add("Concat", own, graph.add("Expand", graph.constant(rows), shape), axis=2)


def _sources(graph: Graph, layer: Any, x: Value) -> list[Any]:
    """What queries, keys and values are made of, and what says which keys are seen, or None."""
    if not layer.sources:
        return [graph.last(x)] * 3 + [None]
    parts = [graph.last(graph.part(x, *place)) for place in layer.places]
    seen = parts.pop() if layer.seen == GIVEN else None
    return [*parts[:2], parts[-1], seen]


def _turned(graph: Graph, x: str, steps: int, size: int, base: float) -> str:
    """Rotary positions: what stands beside the sines is the other feature of every pair."""
    cosine, sine = turns(steps, size, base)
    others = graph.constant(np.roll(np.arange(size), size // 2), dtype=np.int64)
    cosines = graph.constant(np.concatenate([cosine, cosine], axis=1))
    sines = graph.constant(np.concatenate([-sine, sine], axis=1))
    other = graph.add("Mul", graph.add("Gather", x, others, axis=-1), sines)
    return graph.add("Add", graph.add("Mul", x, cosines), other)


def _seen(
    graph: Graph, layer: MultiHeadAttention, pairs: tuple[int, int], given: str | None, mask: str | None
) -> str | None:
    """Which keys a query sees, as far as something says so: those that are not of the sequence always."""
    more = layer.extra_rows

    def table(seen: Array) -> str:
        return graph.constant(np.pad(seen, ((0, 0), (0, more)), constant_values=1), dtype=bool)

    def with_more(numbers: str, axes: int) -> str:
        sides = graph.whole(*[0] * (2 * axes - 1), more)
        return graph.add("Pad", numbers, sides, graph.constant(1), mode="constant") if more else numbers

    says = [table(np.tri(*pairs))] if layer.causal else []
    if isinstance(layer.seen, tuple):
        says.append(table(np.array(layer.seen)))
    if given is not None:
        hidden = graph.add("Equal", with_more(given, 3), graph.constant(0))
        says.append(graph.axes("Unsqueeze", graph.add("Not", hidden), 1))
    if mask is not None:
        mask = with_more(mask, 2)
        says.append(graph.holds(graph.axes("Unsqueeze", mask, 1, 2)))
    return functools.reduce(lambda a, b: graph.add("And", a, b), says) if says else None


def _weights(graph: Graph, S: str, seen: str | None) -> str:
    """Softmax over the keys that are seen; 0 everywhere where none is."""
    if seen is None:
        return graph.add("Softmax", S, axis=-1)
    # The lowest finite number and not -inf: a row of -inf alone would be 0/0.
    hidden = graph.constant(np.finfo(graph.dtype).min)
    A = graph.add("Softmax", graph.add("Where", seen, S, hidden), axis=-1)
    return graph.add("Where", seen, A, graph.constant(0))


SEQUENCES: Mapping[type[Layer], Writer] = {
    Masking: _masking,
    Embedding: _embedding,
    Part: _part,
    RNN: _recurrent,
    LSTM: _recurrent,
    GRU: _recurrent,
    MultiHeadAttention: _attention,
}
