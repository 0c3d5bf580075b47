"""Graphs: whatever reads whatever, by formulas, differences and kernels, in the page, and from files."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import chainrule as cr
from chainrule import reference
from chainrule.engine import set_threads, threads
from tests.engine.harness import Problem, assert_like_reference, machines_by_turns, same_bits, width
from tests.explaining.modelled import modelled
from tests.explaining.node import run
from tests.graphs.drawn import batch, graph
from tests.graphs.test_ends import batch as several_batch
from tests.graphs.test_ends import network as several
from tests.graphs.test_sources import begun

KINDS = ("features", "image", "sequence")
DRAWN = [(seed, kind) for seed in range(3) for kind in KINDS]
drawn = pytest.mark.parametrize(("seed", "kind"), DRAWN)

CROSSING: dict[str, Any] = {  # the two skips do not lie within each other
    "a": cr.Dense(4),
    "b": [cr.Dense(4), cr.Tanh()],
    "c": (cr.Add(), "a", "b"),
    "d": (cr.Dense(4), "c"),
    "e": (cr.Concat(), "b", "d"),
    "out": [cr.Dense(3), cr.Softmax()],
}


@drawn
def test_kernels_are_like_the_formulas(seed: int, kind: str) -> None:
    """At every level, with as many samples as stand in a vector, and one over."""
    network = graph(seed, kind)
    network.set_parameters({k: v.astype(np.float32) for k, v in network.parameters.items()})
    for level, dtype in machines_by_turns(seed):
        samples = width(level, dtype) + 1
        X, y = batch(network, samples, seed)
        problem = Problem(network, X.astype(np.float32), y.astype(np.int64), cr.CrossEntropy(), cr.L2(0.1))
        for size in (1, samples)[seed % 2 :]:
            first = problem.first(size)
            assert_like_reference(first, level, dtype, size, first.step())


@pytest.mark.parametrize("kind", KINDS)
def test_gradients_are_those_of_the_differences(kind: str) -> None:
    network = graph(9, kind, dtype="float64")
    engine = "reference" if kind == "features" else "native"  # to each other they are held above
    assert cr.check_gradients(network, *batch(network, 2), engine=engine, entries=1)


@drawn
def test_the_same_bits(seed: int, kind: str, tmp_path: Path) -> None:
    """Of any number of threads, of samples beside, and from a file and a copy."""
    network, before = graph(seed, kind), threads()
    X, y = batch(network, 21)
    X = X.astype(np.float32)
    found = []
    for count in (1, 3):
        trained = network.copy()
        cr.fit(trained, X, y, epochs=1, batch_size=8, threads=count)
        found.append(dict(trained.parameters))
    set_threads(before)
    assert same_bits(*found)
    np.testing.assert_array_equal(network.predict(X)[:2], network.predict(X[:2]))
    network.save(tmp_path / "net.npz")
    for again in (cr.load(tmp_path / "net.npz"), network.copy()):
        assert again.summary() == network.summary()
        np.testing.assert_array_equal(again.predict(X), network.predict(X))


def test_it_shows_its_nodes() -> None:
    """As they may be written: what is shown makes the same network, but for layers that are one."""
    networks: list[tuple[cr.Network, Any]] = [(several(), several_batch(3)[0]), (begun(), np.ones((3, 4, 2)))]
    networks += [(network, batch(network, 3)[0]) for network in map(graph, range(18), [*KINDS] * 6)]
    alone = [(network, X) for network, X in networks if not network.shares]
    assert len(alone) > 4
    for network, X in alone:
        again = eval(repr(network), vars(cr))
        assert list(again.parameters) == list(network.parameters)
        again.set_parameters(network.parameters)
        made, expected = again.predict(X), network.predict(X)
        of = list(made) if isinstance(made, dict) else [...]
        assert all(np.array_equal(made[name], expected[name]) for name in of)


def test_a_node_may_be_called_as_the_targets_are() -> None:
    nodes: dict[str, Any] = {"y": cr.Dense(2), "weights": cr.Residual([cr.Dense(2)])}
    nodes["out"] = (cr.Add(), "y", "weights")
    network = cr.Graph(nodes, input_shape=3, dtype="float64")
    X, y = np.ones((2, 3)), np.array([[1.0, 2.0], [3.0, 4.0]])
    document = cr.explain(network, X, y, sample_weight=[1, 3]).document
    tensors = {name: held["shape"] for name, held in document["tensors"].items()}
    assert {"y", "y_", "weights", "weights_", "y_.W", "weights_.dense1.W"} <= set(tensors)
    assert document["loss"]["J"] == pytest.approx(network.loss(X, y, sample_weight=[1, 3]))
    assert tensors["weights"] == [2]


def test_the_page_computes_the_same() -> None:
    documents = []
    for seed, kind in DRAWN[:3]:
        network = graph(seed, kind, dtype="float64")
        documents.append(modelled(network, *batch(network, 2)).document)
    for answer in run({"do": "selftest", "document": document} for document in documents):
        assert answer["frozen"] is None
        assert answer["worst"]["error"] < 1e-12


def test_delta_adds_up_over_the_readers() -> None:
    network = cr.Graph(CROSSING, input_shape=3, dtype="float64")
    step = network.backpropagate(*batch(network, 5))
    d, W = step.deltas, network.parameters
    np.testing.assert_allclose(d["a"], d["c"] + d["b.dense1"] @ W["b.dense1.W"], rtol=1e-12)
    np.testing.assert_allclose(d["b.tanh1"], d["c"] + d["e"][:, :4], rtol=1e-12)
    assert "∂J/∂F_1 = δ_2 + δ_3" in str(network.formulas()["wiring1"])
    text = network.summary()
    assert "Add of a, b" in text
    assert "Dense(4) of a" in text


def test_sums_and_products_repeat_what_is_shorter() -> None:
    """Squeeze and excitation, a gate of every step, and both at once; what NumPy refuses is refused."""
    gate = [cr.GlobalAveragePool(), cr.Dense(4), cr.Sigmoid()]
    end = [cr.Flatten(), cr.Dense(3), cr.Softmax()]
    image = {"f": cr.Conv2D(4, 2), "g": (gate, "f"), "s": (cr.Multiply(), "g", "f"), "out": end}
    steps = {"f": cr.Dense(4), "g": (cr.Dense(1), "input"), "h": (gate, "input"), "s": (cr.Add(), "f", "g")}
    steps |= {"t": (cr.Multiply(), "g", "h"), "u": (cr.Add(), "s", "t"), "out": end}
    for nodes, shape in ((image, (5, 4, 2)), (steps, (5, 3))):
        network = cr.Graph(nodes, input_shape=shape, dtype="float64")
        X, y = batch(network, 3)
        assert cr.check_gradients(network, X, y, entries=2)
        found = network.activations(X)
        f, g = found.get("f", found.get("f.conv1")), found.get("g", found.get("g.sigmoid1"))
        wide = (3, *(1,) * (f.ndim - g.ndim), *g.shape[1:])
        np.testing.assert_allclose(found["s"], g.reshape(wide) * f if nodes is image else f + g, rtol=1e-14)
        if nodes is steps:
            np.testing.assert_allclose(found["t"], g * found["h.sigmoid1"][:, None, :], rtol=1e-14)
    with pytest.raises(cr.ShapeError, match=r"values of one shape, and they are f \(4,\), g \(3,\)"):
        cr.Graph({"f": cr.Dense(4), "g": (cr.Dense(3), "input"), "s": (cr.Add(), "f", "g")}, input_shape=5)


def test_values_go_back_to_the_maxima() -> None:
    """A max pool within a block and one alone; what reads their indices is told what they read."""
    pool = cr.MaxPool2D(2, return_indices=True)
    nodes = {
        "a": [cr.Conv2D(3, 2), pool],
        "b": pool,
        "c": [cr.Conv2D(3, 1), cr.Tanh()],
        "d": (cr.MaxUnpool2D(2), "c", "b.indices"),
        "e": ([cr.MaxUnpool2D(2), cr.Flatten(), cr.Dense(3), cr.Softmax()], "d", "a.indices"),
    }
    network = cr.Graph(nodes, input_shape=(10, 9, 2), dtype="float64")
    X, y = batch(network, 3)
    assert cr.check_gradients(network, X, y, entries=2)
    found = network.activations(X)
    read, small, put = found["a.conv1"], found["d"], found["e.maxunpool1"]
    windows = read[:, :8].reshape(3, 4, 2, 4, 2, 3).transpose(0, 1, 3, 5, 2, 4).reshape(3, 4, 4, 3, 4)
    first = np.eye(4)[windows.argmax(-1)] * small[..., None]
    back = first.reshape(3, 4, 4, 3, 2, 2).transpose(0, 1, 4, 2, 5, 3).reshape(3, 8, 8, 3)
    np.testing.assert_array_equal(put, np.pad(back, ((0, 0), (0, 1), (0, 0), (0, 0))))


def test_a_product_of_branches() -> None:
    gate = cr.Parallel([[cr.Dense(4)], [cr.Dense(4), cr.Sigmoid()]], join="product", name="gated")
    network = cr.Network([gate, cr.Dense(3), cr.Softmax()], input_shape=3, dtype="float64")
    X, y = batch(network, 3)
    assert cr.check_gradients(network, X, y)
    found = network.activations(X)
    made = found["gated.dense1"] * found["gated.sigmoid1"]
    np.testing.assert_array_equal(found["gated"], made)


def test_a_graph_with_one_way_is_a_network() -> None:
    nodes = {"a": cr.Dense(4), "b": cr.ReLU(), "c": [cr.Dense(2), cr.Tanh()]}
    one = cr.Graph(nodes, input_shape=3)
    assert [str(layer.name) for layer in one.layers] == ["a", "b", "c.dense1", "c.tanh1"]
    assert "wiring" not in one.summary()
    nested = cr.Graph(
        {**CROSSING, "again": [cr.Dense(2)], "sum": (cr.Add(), "again", "again")}, input_shape=3
    )
    assert [type(layer).__name__ for layer in nested.layers[-2:]] == ["Dense", "Wiring"]


def test_a_graph_is_a_block_of_another_network() -> None:
    inner = cr.Graph(CROSSING, input_shape=3, name="inner", seed=3, dtype="float64")
    outer = cr.Network([inner, cr.Dense(2)], input_shape=3, dtype="float64")
    X, _ = batch(inner, 4)
    np.testing.assert_array_equal(outer.activations(X, "inner.out.softmax1"), inner.predict(X))
    beside = cr.Graph(
        {"inner": inner, "other": (cr.Dense(3), "input"), "sum": (cr.Add(), "inner", "other")},
        input_shape=3,
        dtype="float64",
    )
    np.testing.assert_array_equal(beside.activations(X, "inner.out.softmax1"), inner.predict(X))
    assert cr.check_gradients(beside, X, np.zeros((4, 3)))
    two = [inner.copy() for _ in range(2)]  # whose parameters are their own
    within = cr.Network([cr.Residual(inner), cr.Parallel([two[0], [cr.Residual([two[1]])]])], input_shape=3)
    assert list(within.copy().parameters) == list(within.parameters)  # names are those of the way
    assert "parallel1.residual1.inner.b.dense1.W" in within.parameters


def test_a_mask_goes_the_ways_of_the_values() -> None:
    """A step that is left out is 0 behind every recurrence, whichever way led there."""
    nodes = {
        "mask": cr.Masking(),
        "up": (cr.LSTM(3, outputs="all"), "mask"),
        "down": (cr.GRU(3, outputs="all", reverse=True), "mask"),
        "sum": (cr.Add(), "up", "down"),
        "both": (cr.Concat(), "sum", "up"),
        "last": cr.RNN(2),
    }
    network = cr.Graph(nodes, input_shape=(5, 2), dtype="float64")
    X = batch(network, 3)[0]
    X[1, 3:] = 0
    found: Any = network.activations(X, "both")
    assert np.all(found[1, 3:] == 0)
    assert np.any(found[0, 3:] != 0)
    expected = reference.ReferenceExecutor().predict(network, X)
    np.testing.assert_allclose(network.predict(X), expected, atol=1e-12)
    assert cr.check_gradients(network, X, np.ones((3, 2)))


WRONG: dict[str, tuple[dict[str, Any], dict[str, Any], str]] = {
    "unknown": (
        {"a": cr.Dense(2), "b": (cr.Dense(2), "aa")},
        {},
        "'b' reads 'aa', and there are .*'a' is meant",
    ),
    "circle": (
        {"a": (cr.Add(), "input", "c"), "c": (cr.Dense(3), "a")},
        {},
        "circle, 'a' reads 'c' reads 'a'",
    ),
    "itself": ({"a": (cr.Add(), "input", "a")}, {}, "circle, 'a' reads 'a'"),
    "leads nowhere": (
        {"a": cr.Dense(2), "b": (cr.Dense(2), "input")},
        {"outputs": "a"},
        "'b' leads to no output",
    ),
    "nothing joined": (
        {"a": cr.Dense(2), "b": cr.Add()},
        {},
        r"'b' joins several nodes: write 'b': \(Add\(\), ",
    ),
    "one joined": ({"a": (cr.Add(), "input")}, {}, "joins at least two nodes, received 'input' alone"),
    "several": ({"a": cr.Dense(2), "b": (cr.Dense(2), "a", "input")}, {}, r"\(Concat\(\), 'a', 'input'\)"),
    "add": (
        {"a": cr.Dense(2), "b": (cr.Add(), "a", "input")},
        {},
        r"b = Add\(\): adds values of one shape, and they are a \(2,\), input \(3,\)",
    ),
    "concat": (
        {"a": cr.Conv2D(2, 3), "b": (cr.Concat(), "a", "input")},
        {"input_shape": (6, 6, 1)},
        r"b = Concat\(\): .* a \(4, 4, 2\), input \(6, 6, 1\): let layers in front",
    ),
    "no indices": (
        {"a": cr.MaxPool2D(2), "b": (cr.MaxUnpool2D(2), "a", "a.indices")},
        {"input_shape": (6, 6, 1)},
        r"'b' reads 'a\.indices': write MaxPool2D\(2, return_indices=True\)",
    ),
    "other windows": (
        {
            "a": cr.MaxPool2D(2, return_indices=True),
            "b": (cr.MaxUnpool2D(3), "a", "a.indices"),
            "c": (cr.MaxUnpool2D(2), "a", "a.indices"),
        },
        {"input_shape": (6, 6, 1)},
        r"'a\.indices' is for a MaxUnpool2D with the window, .* received MaxUnpool2D\(window=3\)",
    ),
    "one source": (
        {"a": cr.MaxPool2D(2), "b": cr.MaxUnpool2D(2)},
        {"input_shape": (6, 6, 1)},
        r"MaxUnpool2D\(\) reads two values, as a node of a Graph",
    ),
    "join in a list": ({"a": [cr.Dense(2), cr.Add()]}, {}, r"Add\(\) is a node by itself"),
    "no layer": ({"a": ("b",)}, {}, "node 'a' must be a list"),
    "source": ({"a": (cr.Dense(2), cr.ReLU())}, {}, "names of what it reads"),
    "input's name": ({"input": cr.Dense(2)}, {}, "has the name of an input"),
    "list": ([cr.Dense(2)], {}, "takes its nodes by name"),  # type: ignore[dict-item]
    "none": ({}, {}, "at least one node"),
    "output": ({"a": cr.Dense(2)}, {"outputs": "b"}, "outputs has 'b', and there are 'a'"),
    "layer": ({"a": cr.Dense(2), "b": cr.Conv2D(2, 3)}, {}, "b = Conv2D"),
}


@pytest.mark.parametrize("which", WRONG)
def test_what_is_wrong_is_named(which: str) -> None:
    nodes, options, said = WRONG[which]
    with pytest.raises((cr.ShapeError, TypeError), match=said):
        cr.Graph(nodes, **{"input_shape": 3, **options})


def test_a_join_stands_in_a_graph() -> None:
    with pytest.raises(cr.ShapeError, match=r"Add\(\) joins nodes of a Graph"):
        cr.Network([cr.Add()], input_shape=3)
