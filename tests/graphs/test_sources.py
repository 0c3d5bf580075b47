"""Nodes that read several values: attention to another sequence under masks, in formulas, kernels, the page,
ONNX, C and files; the decoder block.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import chainrule as cr
from chainrule.formulas import call_formula
from chainrule.networks.architecture import leaves
from tests.engine.harness import (
    DTYPES,
    LEVELS,
    Problem,
    assert_like_reference,
    batch_sizes,
    same_bits,
    width,
)
from tests.explaining.modelled import modelled
from tests.explaining.node import run
from tests.graphs import drawn_sources
from tests.pairwise import some

Arrays = dict[str, Any]
T, S = 5, 18  # queries, and keys: more than a run of queries
SEEN = np.random.default_rng(7).random((T, S)) < 0.6
OPTIONS: list[dict[str, Any]] = [
    {"causal": True},
    {"key_value_heads": 1, "rotary": True, "seen": SEEN},
    {"seen": "given", "bias": False},
    {"key_value_bias": True, "zero_key_value": True, "key_value_heads": 1, "relative_positions": "t5"},
    {"seen": "given", "zero_key_value": True, "relative_positions": "alibi"},
    {"key_value_bias": True, "causal": True, "relative_positions": "learned", "max_distance": 3},
]


def network(number: int, **options: Any) -> cr.Graph:
    """Queries and keys of their own width and length, both with padding; read by what goes on with a mask."""
    given = OPTIONS[number]
    nodes: dict[str, Any] = {
        "q": (cr.Embedding(6, 4, padding=0), "target"),
        "kv": (cr.Embedding(9, 3, padding=0), "memory"),
        "values": (cr.Dense(5), "kv"),
    }
    sources, inputs = ["q", "kv", "values"][: 3 if number else 2], {"target": (T,), "memory": (S,)}
    if number == 0:
        del nodes["values"]
    if given.get("seen") is not None and not isinstance(given["seen"], np.ndarray):
        inputs["seen"], sources = (T, S), [*sources, "seen"]
    nodes["read"] = ([cr.MultiHeadAttention(2, **given), cr.Dense(3)], *sources)
    nodes["end"] = [cr.LSTM(3), cr.Dense(3), cr.Softmax()]
    return cr.Graph(nodes, inputs=inputs, seed=number + 1, **options)


def batch(number: int, samples: int) -> tuple[Arrays, Any]:
    """Padding behind, within, and in one sample instead of all keys."""
    r = np.random.default_rng(samples)
    X: Arrays = {"target": r.integers(1, 6, (samples, T)), "memory": r.integers(0, 9, (samples, S))}
    X["target"][::2, 3:] = 0
    X["memory"][::3, 7:] = 0
    X["memory"][samples // 2] = 0
    if OPTIONS[number].get("seen") is not None and not isinstance(OPTIONS[number]["seen"], np.ndarray):
        X["seen"] = r.integers(0, 2, (samples, T, S))
    return X, r.integers(0, 3, samples)


@pytest.mark.parametrize("number", range(len(OPTIONS)))
def test_kernels_formulas_the_page_and_differences(number: int) -> None:
    net = network(number)
    for place, level in enumerate(LEVELS):
        dtype = DTYPES[(place + number) % 2]
        most = batch_sizes(width(level, dtype))
        for samples in (most[0], most[-1 - number % 2]):
            problem, objective = net.problem(*batch(number, samples))
            y = np.eye(3)[problem.targets] if problem.targets.ndim == 1 else problem.targets
            inputs = np.asarray(problem.inputs, np.float32)
            own = Problem(net, inputs, y.astype(np.float32), objective.loss)
            assert_like_reference(own, level, dtype, samples, own.step())
    double, (X, y) = network(number, dtype="float64"), batch(number, 3)
    assert cr.check_gradients(double, X, y, entries=2)
    (answer,) = run([{"do": "selftest", "document": modelled(double, X, y).document}])
    assert answer["frozen"] is None
    assert answer["worst"]["error"] < 1e-12


def test_the_same_bits_by_any_number_of_threads(tmp_path: Path) -> None:
    found, (X, y) = [], batch(1, 70)
    for count in (1, 2, 3, 4):
        net = network(1)
        cr.fit(net, X, y, epochs=2, batch_size=64, threads=count)
        found.append(dict(net.parameters))
    assert all(same_bits(found[0], other) for other in found[1:])
    net.save(tmp_path / "net.npz")
    np.testing.assert_array_equal(cr.load(tmp_path / "net.npz").predict(X), net.predict(X))


def test_masks_are_those_of_the_keys_and_those_of_the_queries_go_on() -> None:
    """What padding holds is nobody's: other keys there, and fewer steps, are the same network."""
    net, (X, _) = network(0, dtype="float64"), batch(0, 6)
    X["memory"][:, :9], X["memory"][:, 9:] = np.maximum(X["memory"][:, :9], 1), 0
    short = cr.Graph(
        {
            "q": (cr.Embedding(6, 4, padding=0), "target"),
            "kv": (cr.Embedding(9, 3, padding=0), "memory"),
            "read": ([cr.MultiHeadAttention(2, causal=True), cr.Dense(3)], "q", "kv"),
            "end": [cr.LSTM(3), cr.Dense(3), cr.Softmax()],
        },
        inputs={"target": (3,), "memory": (9,)},
        dtype="float64",
    )
    short.set_parameters(dict(net.parameters))
    X["target"][:, 3:] = 0
    shorter = {"target": X["target"][:, :3], "memory": X["memory"][:, :9]}
    np.testing.assert_allclose(net.predict(X), short.predict(shorter), rtol=1e-13)


def by_hand(layer: Any, values: list[Any], p: Arrays, seen: Any) -> Any:
    """One sample of every head and query at a time; rotary positions by complex numbers."""
    x, y, z = values
    n, shared = x.shape[1] // layer.heads, layer.heads // (layer.key_value_heads or layer.heads)

    def turned(h: Any) -> Any:
        angles = np.arange(len(h))[:, None] * layer.rotary_base ** (-2 * np.arange(n // 2) / n)
        point = (h[:, : n // 2] + 1j * h[:, n // 2 :]) * np.exp(1j * angles)
        return np.concatenate([point.real, point.imag], 1)

    made = []
    for head in range(layer.heads):
        own, keys = (slice(h * n, (h + 1) * n) for h in (head, head // shared))
        Q, K, V = (
            of @ p[f"W_{key}"][rows].T + p.get(f"b_{key}", np.zeros(999))[rows]
            for of, key, rows in ((x, "q", own), (y, "k", keys), (z, "v", keys))
        )
        if layer.rotary:
            Q, K = turned(Q), turned(K)
        scores = Q @ K.T / np.sqrt(n)
        for i, k in np.ndindex(scores.shape):
            if layer.relative_positions == "alibi":
                scores[i, k] -= 2.0 ** (-8 * (head + 1) / layer.heads) * abs(k - i)
            elif layer.relative_positions:
                scores[i, k] += p["P"][head, number_of(layer, k - i)]
        scores = np.exp(scores)
        if layer.key_value_bias:
            row, V = p["k_0"][0, keys], np.vstack([V, p["v_0"][:, keys]])
            scores = np.hstack([scores, np.exp(Q @ row / np.sqrt(n))[:, None]])
        if layer.zero_key_value:
            scores, V = np.hstack([scores, np.ones((len(Q), 1))]), np.vstack([V, np.zeros(n)])
        scores[:, : len(K)] *= seen
        made.append(scores / np.maximum(scores.sum(1, keepdims=True), 1e-300) @ V)
    return np.concatenate(made, 1) @ p["W_o"].T + p.get("b_o", 0)


def number_of(layer: Any, distance: int) -> int:
    """Of buckets 4 up to distance 3: two before and two behind, or four before."""
    if layer.relative_positions == "learned":
        return min(max(distance, -layer.max_distance), layer.max_distance) + layer.max_distance
    if not layer.causal:
        return min(abs(distance), 1) + 2 * (distance > 0)
    return min(max(-distance, 0), 3)


@pytest.mark.parametrize("causal", [False, True])
def test_by_hand(causal: bool) -> None:
    r = np.random.default_rng(0)
    shapes = ((4, 8), (6, 3), (6, 5))
    table = r.random((4, 6)) < 0.7
    rows, few = {"key_value_bias": True, "zero_key_value": True}, {"buckets": 4, "max_distance": 3}
    for options in (
        *({}, {"rotary": True, "rotary_base": 50.0}, {"key_value_heads": 2}, {"seen": table}, rows),
        *({"zero_key_value": True, "seen": table}, {"key_value_bias": True, "key_value_heads": 1}),
        *({"relative_positions": "alibi"} | rows, {"relative_positions": "t5"} | few),
        {"relative_positions": "learned", "max_distance": 2, "seen": table},
    ):
        layer = cr.MultiHeadAttention(4, causal=causal, sources=shapes, **options)  # type: ignore[arg-type]
        size = sum(rows * columns for rows, columns in shapes)
        p = {key: r.standard_normal(spec.shape) for key, spec in layer.parameters((size,)).items()}
        values = [r.standard_normal(shape) for shape in shapes]
        row, there = np.concatenate([value.ravel() for value in values]), r.integers(0, 2, 6)
        found = call_formula(layer.forward, {"x": row[:, None], "mask": there[:, None].astype(float), **p})
        seen = there * (np.tri(4, 6) if causal else 1) * (table if "seen" in options else 1) > 0
        np.testing.assert_allclose(found[..., 0], by_hand(layer, values, p, seen), atol=1e-12)


@pytest.mark.parametrize("norm_first", [False, True])
def test_the_decoder_is_what_it_is_short_for(norm_first: bool) -> None:
    """The same nodes written one by one, and under PyTorch's names."""
    decoder = cr.TransformerDecoder(2, 7, norm_first=norm_first, activation="gelu")
    inputs: dict[str, Any] = {"target": (4, 6), "memory": (5, 3)}
    net = cr.Graph({"d": (decoder, "target", "memory"), "e": cr.Flatten()}, inputs=inputs, dtype="float64")
    add, norm, read = cr.Add(), cr.LayerNorm, cr.MultiHeadAttention
    feed = [cr.Dense(7), cr.GELU(), cr.Dense(6)]
    if norm_first:
        nodes = {
            "n1": (norm(), "target"),
            "s": read(2, causal=True),
            "a": (add, "target", "s"),
            "n2": norm(),
            "c": (read(2), "n2", "memory"),
            "b": (add, "a", "c"),
            "n3": norm(),
            "f": feed,
            "z": (add, "b", "f"),
        }
    else:
        nodes = {
            "s": (read(2, causal=True), "target"),
            "a": (add, "target", "s"),
            "n1": norm(),
            "c": (read(2), "n1", "memory"),
            "b": (add, "n1", "c"),
            "n2": norm(),
            "f": feed,
            "y": (add, "n2", "f"),
            "n3": norm(),
        }
    written = cr.Graph({**nodes, "e": cr.Flatten()}, inputs=inputs, dtype="float64")
    names = {"self_attn": "s", "multihead_attn": "c", "linear1": "f.dense1", "linear2": "f.dense2"}
    names |= {f"norm{n}": f"n{n}" for n in (1, 2, 3)}
    r = np.random.default_rng(2)
    for name in net.parameters:
        _, layer, own = name.split(".")
        value = r.standard_normal(net.parameters[name].shape)
        net.parameters[name] = written.parameters[f"{names[layer]}.{own}"] = value
    assert len(net.parameters) == len(written.parameters)
    X = {name: r.standard_normal((3, *shape)) for name, shape in inputs.items()}
    np.testing.assert_allclose(net.predict(X), written.predict(X), rtol=1e-13)
    dropping = cr.TransformerDecoder(2, 7, norm_first=norm_first, dropout=0.5)
    nodes = {"d": ([dropping, cr.Dense(2)], "target", "memory"), "e": [cr.Flatten(), cr.Dense(1)]}
    trained = cr.Graph(nodes, inputs=inputs)
    cr.fit(trained, X, np.ones((3, 1)), epochs=1)
    dropped = [layer.name for layer in leaves(trained.layers) if isinstance(layer, cr.Dropout)]
    assert sorted(dropped) == ["d.dropout", "d.dropout1", "d.dropout2", "d.dropout3"]


def test_one_object_at_several_nodes_is_one_layer() -> None:
    """A decoder, an attention and a recurrence, each with one set of parameters."""
    decoder, read, cell = cr.TransformerDecoder(2, 3), cr.MultiHeadAttention(2), cr.LSTM(4, outputs="all")
    nodes = {
        "a": (decoder, "target", "memory"),
        "b": (decoder, "memory", "a"),
        "c": (read, "a", "b"),
        "d": (read, "b", "c"),
        "e": (cell, "c"),
        "f": (cell, "d", "e.h", "e.c"),
        "end": [cr.Flatten(), cr.Dense(1)],
    }
    inputs = {"target": (3, 4), "memory": (2, 4)}
    net = cr.Graph(nodes, inputs=inputs, dtype="float64", seed=1)
    assert {name.partition(".")[0] for name in net.parameters} == {"a", "c", "e", "end"}
    r = np.random.default_rng(0)
    X = {name: r.standard_normal((3, *shape)) for name, shape in inputs.items()}
    assert cr.check_gradients(net, X, np.ones((3, 1)), entries=2)


WRONG: list[tuple[Any, tuple[str, ...], str]] = [
    (cr.MultiHeadAttention(4), ("a", "b"), r"node 'n': .*6 is no multiple of 4: write heads=3"),
    (cr.MultiHeadAttention(2), ("a", "b", "c"), r"as many keys as values, received \(5, 3\) and \(4, 3\)"),
    (cr.MultiHeadAttention(2), ("a", "b", "c", "a"), "reads at most 3 values"),
    (cr.MultiHeadAttention(2, seen="given"), ("a", "b"), "takes its last source"),
    (cr.MultiHeadAttention(2, seen=np.ones((5, 4))), ("a", "b"), r"a column for every key, \(4, 5\)"),
    (cr.MultiHeadAttention(2, rotary=True), ("a", "b"), "pairs of features, and a head has 3"),
    (cr.TransformerDecoder(2, 8), ("a",), "reads two sequences: .*'target', 'memory'"),
    (cr.Dense(3), ("a", "b"), "reads one value"),
]


@pytest.mark.parametrize(("layer", "sources", "said"), WRONG)
def test_what_does_not_fit_is_told(layer: Any, sources: tuple[str, ...], said: str) -> None:
    inputs = {"a": (4, 6), "b": (5, 3), "c": (4, 3)}
    used = [name for name in inputs if name not in sources]
    others: Arrays = {f"of_{name}": ([cr.Flatten(), cr.Dense(1)], name) for name in used}
    with pytest.raises(cr.ChainruleError, match=said):
        cr.Graph({**others, "n": (layer, *sources)}, inputs=inputs, outputs=[*others, "n"])


def test_arguments_of_attention_teach() -> None:
    for options, said in {
        ("key_value_heads", 3): "must divide heads=4, received 3: write key_value_heads=2",
        ("seen", "causal"): "True and False for every query and key",
        ("seen", ((0.0, -np.inf),)): "seen = attn_mask == 0",
        ("rotary_base", 0): "rotary_base must be a number greater than 0",
        ("relative_positions", "sinus"): "must be one of 'alibi', 't5', 'learned'",
        ("relative_positions", "rope"): "write rotary=True",
        ("max_distance", 4): "of relative_positions='t5' or 'learned'",
        ("grid", (2, 2)): "write relative_positions='learned'",
    }.items():
        with pytest.raises(cr.ChainruleError, match=said):
            cr.MultiHeadAttention(4, **{options[0]: options[1]})  # type: ignore[arg-type]


def states(cell: Any, reverse: bool = False, **options: Any) -> cr.Graph:
    """An encoder and a decoder that begins with its states; the decoder's steps read the encoder's."""
    given = ("encoder.h", "encoder.c") if cell is cr.LSTM else ("encoder.h",)
    nodes = {
        "read_source": (cr.Embedding(9, 3, padding=0), "source"),
        "encoder": cell(4, outputs="all", reverse=reverse),
        "read_target": (cr.Embedding(9, 2, padding=0), "target"),
        "decoder": ([cell(4, outputs="all"), cr.Dense(4)], "read_target", *given),
        "read": (cr.MultiHeadAttention(2), "decoder", "encoder"),
        "end": ([cr.GlobalAveragePool(), cr.Dense(3), cr.Softmax()], "read"),
    }
    return cr.Graph(nodes, inputs={"source": 6, "target": 5}, seed=3, **options)


def begun() -> cr.Graph:
    """Without masks, and without a bias: the last state of one is the first of the next."""
    nodes = {
        "first": (cr.LSTM(3, bias=False, reverse=True), "x"),
        "second": (cr.LSTM(3, outputs="all"), "x", "first.h", "first.c"),
        "third": (cr.GRU(3), "x", "second.h"),
        "end": (cr.Dense(2), "third"),
    }
    return cr.Graph(nodes, inputs={"x": (4, 2)}, seed=5)


def sentences(samples: int) -> tuple[Arrays, Any]:
    r = np.random.default_rng(samples)
    X = {"source": r.integers(1, 9, (samples, 6)), "target": r.integers(1, 9, (samples, 5))}
    X["source"][::2, 3:], X["source"][samples // 2], X["target"][::3, 2:] = 0, 0, 0
    return X, r.integers(0, 3, samples)


@pytest.mark.parametrize(("number", "cell"), [(0, cr.LSTM), (1, cr.GRU), (2, cr.RNN)])
def test_states_go_from_node_to_node(number: int, cell: Any) -> None:
    net = states(cell, reverse=number == 1)
    level, dtype = LEVELS[number % len(LEVELS)], DTYPES[number % 2]
    samples = width(level, dtype) + 1
    problem, objective = net.problem(*sentences(samples))
    inputs, y = np.asarray(problem.inputs, np.float32), np.eye(3, dtype=np.float32)[problem.targets]
    own = Problem(net, inputs, y, objective.loss)
    assert_like_reference(own, level, dtype, samples, own.step())
    double, (X, targets) = states(cell, reverse=number == 1, dtype="float64"), sentences(3)
    assert cr.check_gradients(double, X, targets, entries=2)
    (answer,) = run([{"do": "selftest", "document": modelled(double, X, targets).document}])
    assert answer["frozen"] is None
    assert answer["worst"]["error"] < 1e-12


def test_a_sequence_in_two_pieces_is_one() -> None:
    """The second begins with the states of the first; all three of what it puts out."""
    whole = cr.Graph({"all": (cr.LSTM(4, outputs="all"), "x")}, inputs={"x": (7, 3)}, dtype="float64", seed=1)
    pieces = cr.Graph(
        {
            "first": (cr.LSTM(4, outputs="all"), "a"),
            "second": (cr.LSTM(4, outputs="all"), "b", "first.h", "first.c"),
        },
        inputs={"a": (3, 3), "b": (4, 3)},
        outputs=["first", "second", "second.h", "second.c"],
        dtype="float64",
    )
    for name in pieces.parameters:
        pieces.parameters[name] = whole.parameters[f"all.{name.rpartition('.')[2]}"]
    x = np.random.default_rng(0).standard_normal((5, 7, 3))
    steps, found = whole.predict(x), pieces.predict({"a": x[:, :3], "b": x[:, 3:]})
    np.testing.assert_allclose(np.concatenate([found["first"], found["second"]], 1), steps, rtol=1e-13)
    np.testing.assert_array_equal(found["second.h"], found["second"][:, -1])
    assert found["second.c"].shape == (5, 4)


def test_states_that_do_not_fit_are_told() -> None:
    for layer, sources, said in (
        (cr.LSTM(4), ("x", "h"), r"reads a sequence and h and c, 3 values, received 2"),
        (cr.GRU(3), ("x", "h"), r"shape \(3,\), its units, received \(4,\): write GRU\(4, ...\)"),
        (cr.GRU(4, layers=2), ("x", "h"), "stands for several layers, and states are given to one"),
        (cr.RNN(4), ("x", "n.h"), "read each other in a circle"),
        (cr.GRU(4), ("x", "e.c"), "reads 'e.c', and there are"),
    ):
        nodes = {"e": (cr.GRU(4), "x"), "n": (layer, *sources)}
        with pytest.raises(cr.ChainruleError, match=said):
            cr.Graph(nodes, inputs={"x": (5, 3), "h": 4}, outputs=["n", "e"])
    with pytest.raises(cr.ShapeError, match="write a node for each"):
        cr.Graph({"e": cr.GRU(4, bidirectional=True), "n": (cr.Dense(2), "e.h")}, input_shape=(5, 3))


@pytest.mark.parametrize("seed", some(range(300), 8))
def test_graphs_drawn_at_random(seed: int) -> None:
    net = drawn_sources.graph(seed)
    level, dtype = LEVELS[seed % len(LEVELS)], DTYPES[seed // len(LEVELS) % 2]
    samples = batch_sizes(width(level, dtype))[seed % 3]
    problem, objective = net.problem(*drawn_sources.batch(samples, seed))
    inputs, y = np.asarray(problem.inputs, np.float32), np.eye(3, dtype=np.float32)[problem.targets]
    own = Problem(net, inputs, y, objective.loss)
    assert_like_reference(own, level, dtype, samples, own.step())
