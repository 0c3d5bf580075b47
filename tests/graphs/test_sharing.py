"""One layer at several places of a network: parameters once, whose gradient is the sum over its uses."""

from __future__ import annotations

import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn.base import clone

import chainrule as cr
from chainrule.base.errors import ArgumentError
from chainrule.estimators import NetworkClassifier
from tests.engine.harness import same_bits

RNG = np.random.default_rng(0)
END = (cr.Dense(2), cr.Softmax())


def _twins() -> cr.Network:
    """Siamese: one tower reads two inputs."""
    tower = cr.Sequential([cr.Dense(4), cr.PReLU()])
    nodes = {"l": (tower, "a"), "r": (tower, "b"), "m": (cr.Multiply(), "l", "r"), "out": [*END]}
    return cr.Graph(nodes, inputs={"a": 3, "b": 3}, dtype="float64")


def _steps() -> cr.Network:
    """Layers of every operation of their own, and a network of which only a part is one layer."""
    lstm, norm, look = cr.LSTM(4, outputs="all", layers=2), cr.LayerNorm(), cr.MultiHeadAttention(2)
    block = cr.Network([cr.Conv1D(4, 3, padding="same"), norm, cr.GELU()], input_shape=(5, 4), name="block")
    layers = [cr.Dense(4), lstm, look, block, cr.Bidirectional(cr.GRU(2, outputs="all")), look, block, lstm]
    return cr.Network([*layers, cr.GlobalAveragePool(), *END], input_shape=(5, 3), dtype="float64")


def _words() -> cr.Network:
    """Tied embeddings: the table lies otherwise in the kernels of the one and of the other."""
    table = cr.Embedding(7, 5)
    layers = [table, cr.LSTM(5), cr.Dense(7, tied=table), cr.Softmax()]
    return cr.Network(layers, input_shape=4, dtype="float64")


def _words_behind() -> cr.Network:
    """The same with the product in front, and by name."""
    nodes = {"p": (cr.Dense(7, tied="e"), "v"), "e": (cr.Embedding(7, 5), "ids"), "f": (cr.Flatten(), "e")}
    nodes |= {"both": (cr.Concat(), "p", "f"), "out": [*END]}
    return cr.Graph(nodes, inputs={"v": 5, "ids": 2}, dtype="float64")


def _autoencoder() -> cr.Network:
    """A dense layer's matrix there and, turned, back."""
    there = cr.Dense(4)
    layers = [there, cr.Tanh(), cr.DenseTranspose(6, tied=there), cr.Tanh(), *END]
    return cr.Network(layers, input_shape=6, dtype="float64")


def _images() -> cr.Network:
    conv, norm = cr.Conv2D(3, 3, padding="same"), cr.BatchNorm()
    block = [conv, norm, cr.ReLU(), cr.Residual([conv, norm])]
    return cr.Network([*block, cr.GlobalAveragePool(), *END], input_shape=(6, 6, 3), dtype="float64")


MADE = (_twins, _steps, _words, _words_behind, _autoencoder, _images)
NETWORKS = {made.__name__[1:]: made for made in MADE}
networks = pytest.mark.parametrize("made", NETWORKS.values(), ids=NETWORKS)


def _data(network: cr.Network, samples: int = 10) -> tuple[Any, Any]:
    X: Any = RNG.normal(size=(samples, *network.input_shape))
    if network.input_parts:
        X = {name: RNG.normal(size=(samples, *shape)) for name, shape in network.inputs.items()}
        if "ids" in X:
            X["ids"] = RNG.integers(0, 7, size=X["ids"].shape)
    elif network.vocabulary:
        X = RNG.integers(0, 7, size=X.shape)
    return X, RNG.integers(0, network.output_shape[-1], samples)


@networks
def test_gradients_are_sums(made: Callable[[], cr.Network]) -> None:
    """By the kernels as by the formulas as by differences; one entry, one penalty, one state."""
    network = made()
    X, y = _data(network)
    assert network.shares
    assert cr.check_gradients(network, X, y, penalty=cr.L2(0.1), entries=2)
    specs = network.parameter_specs
    expected = network.copy()
    expected.set_executor(cr.reference.ReferenceExecutor())
    velocities = {name: np.zeros(spec.shape) for name, spec in specs.items() if spec.learned}
    for _ in range(3):
        step = expected.backpropagate(X, y, penalty=cr.L2(0.1))
        for name, velocity in velocities.items():
            velocity[...] = 0.9 * velocity + step.gradients[name]
            expected.parameters[name][...] -= 0.1 * velocity
    trained = network.copy()
    cr.fit(
        trained, X, y, optimizer=cr.SGD(0.1, momentum=0.9), penalty=cr.L2(0.1), epochs=3, batch_size=len(y)
    )
    for name in velocities:
        np.testing.assert_allclose(trained.parameters[name], expected.parameters[name], rtol=0, atol=1e-12)


@networks
def test_it_stays_one(made: Callable[[], cr.Network], tmp_path: Path) -> None:
    """In copies and files, of any number of threads, frozen, in float32, and as a part of another network."""
    network = made()
    X, y = _data(network)
    uses = network.parameter_uses()
    trained = []
    for threads in (1, 2, 4):
        again = network.copy(dtype="float32")
        adam = cr.Adam(clip_norm=1.0)
        cr.fit(again, X, y, epochs=2, batch_size=5, accumulate=2, optimizer=adam, threads=threads)
        trained.append(dict(again.parameters))
    assert same_bits(trained[0], trained[1])
    assert same_bits(trained[0], trained[2])
    network.save(tmp_path / "net.npz")
    for other in (network.copy(), cr.load(tmp_path / "net.npz"), pickle.loads(pickle.dumps(network))):
        assert other.parameter_uses() == uses
        assert other.summary() == network.summary()
    shared, layers = next((name, layers) for name, layers in uses.items() if len(layers) > 1)
    key = next(key for key, name in network.parameter_names(layers[-1]).items() if name == shared)
    cr.fit(again := network.copy(), X, y, epochs=1, freeze=[layers[-1], f"{layers[-1]}.{key}"])
    learned = {name for name, spec in network.parameter_specs.items() if spec.learned}
    held = {name for name in learned if np.array_equal(again.parameters[name], network.parameters[name])}
    assert shared in held
    assert held == learned & {*network.parameter_names(layers[-1]).values()}
    assert np.allclose(network.copy(dtype="float32").predict(X), network.predict(X), atol=1e-5)


def test_whose_parameters_they_are() -> None:
    network = _twins()
    assert network.parameter_uses()["l.dense1.W"] == ["l.dense1", "r.dense1"]
    assert network.count_parameters() == 12 + 4 + 4 + 8 + 2
    assert network.layer_parameters("r.dense1")["W"] is network.parameters["l.dense1.W"]
    with pytest.raises(KeyError, match=r"r\.dense1 shares its W, which is the parameter 'l\.dense1\.W'"):
        network.parameters["r.dense1.W"]
    assert "as l.dense1" in network.summary()


def test_blocks_that_a_graph_takes_apart() -> None:
    """A decoder and attention to another sequence at two nodes, and a recurrence whose states are read."""
    decoder, look, cell = cr.TransformerDecoder(2, 6), cr.MultiHeadAttention(2), cr.GRU(4, outputs="all")
    for block, other, count in (
        (decoder, cr.TransformerDecoder(2, 6), 24),
        (look, cr.MultiHeadAttention(2), 7),
    ):
        nodes = {"m": (cr.Dense(4), "x"), "p": (block, "t", "m"), "q": (block, "p", "m")}
        nodes |= {"r": (other, "q", "m"), "out": ([cr.GlobalAveragePool(), *END], "r")}
        network = cr.Graph(nodes, inputs={"x": (4, 3), "t": (3, 4)}, dtype="float64")
        twice = [name for name, uses in network.parameter_uses().items() if len(uses) > 1]
        assert len(twice) == count
        assert all(name.startswith("p") for name in twice)
        assert cr.check_gradients(network, *_data(network, 3), entries=1)
    steps = {"p": (cell, "x"), "q": (cell, "p"), "s": (cr.Add(), "q.h", "p.h"), "out": [*END]}
    network = cr.Graph(steps, inputs={"x": (3, 4)}, dtype="float64")
    assert len([uses for uses in network.parameter_uses().values() if len(uses) == 2]) == 4
    assert cr.check_gradients(network, *_data(network, 3), entries=1)


def test_what_is_another_layer_shares_nothing() -> None:
    dense = cr.Dense(3)
    one, other = (cr.Network([dense], input_shape=3) for _ in range(2))
    both = cr.Network([one, other, one, one.copy(), dense.another()], input_shape=3)
    assert [len(uses) for name, uses in both.parameter_uses().items() if name.endswith("W")] == [2, 1, 1, 1]
    cells = cr.Network([cr.LSTM(2, layers=2, bidirectional=True, outputs="all")], input_shape=(3, 2))
    assert not cells.shares
    again = clone(NetworkClassifier(layers=[dense, cr.ReLU(), dense], epochs=1))
    assert again.fit(RNG.normal(size=(8, 3)), [0, 1] * 4).network_.shares
    slopes = NetworkClassifier(hidden_layers=(3, 3), activation=cr.PReLU(), epochs=1)
    assert not slopes.fit(RNG.normal(size=(8, 3)), [0, 1] * 4).network_.shares


WRONG: dict[str, tuple[Callable[[], Any], str]] = {
    "shapes": (
        lambda: cr.Network([dense := cr.Dense(3), dense], input_shape=2),
        r"takes dense1\.W as its W, of the shape \(3, 3\) here, and dense1\.W has the shape \(3, 2\)",
    ),
    "not there": (
        lambda: cr.Network([cr.Dense(3, tied=cr.Dense(3))], input_shape=3),
        r"is tied to Dense\(3\), which is no layer of this network",
    ),
    "turned": (
        lambda: cr.Network([code := cr.Dense(2), cr.Dense(3, tied=code)], input_shape=3),
        r"dense1\.W has the shape \(2, 3\): tied weights are one array, .* write DenseTranspose\(3, tied=",
    ),
    "turned back": (
        lambda: cr.Network([cr.Dense(2, name="code"), cr.DenseTranspose(4, tied="code")], input_shape=3),
        r"DenseTranspose\(4, tied='code'\): takes code\.W .* write DenseTranspose\(3, tied=",
    ),
    "no matrix": (
        lambda: cr.Network([cr.ReLU(name="r"), cr.Dense(3, tied="r")], input_shape=3),
        r"takes r\.W as its W, .* and r\.W is no parameter: tied weights are one array",
    ),
    "theta": (lambda: _square().theta(), "layers share parameters"),
    "scikit-learn": (lambda: _square().to_sklearn(), "an MLP's layers have their own"),
    "C": (lambda: _square().to_c("net.h", training=True), "dense1.W is shared by dense1, dense2"),
    "samples": (
        lambda: cr.fit(_square(), *_data(_square()), optimizer=cr.SGD(0.1, clip_sample_norm=1.0)),
        "dense1.W is shared by dense1, dense2",
    ),
}


def _square() -> cr.Network:
    dense = cr.Dense(3)
    return cr.Network([dense, cr.ReLU(), dense, cr.Softmax()], input_shape=3)


@pytest.mark.parametrize("which", WRONG)
def test_what_cannot_be_is_named(which: str) -> None:
    call, message = WRONG[which]
    with pytest.raises((ArgumentError, cr.ShapeError), match=message):
        call()


def test_it_is_explained_and_diagnosed() -> None:
    network = _words()
    X, y = _data(network)
    step = network.backpropagate(X, y)
    gradients = [g.reshape(len(y), -1) for g in step.per_sample_gradients().values()]
    norms = np.linalg.norm(np.concatenate(gradients, axis=1), axis=1)
    np.testing.assert_allclose(step.per_sample_norms(), norms, rtol=1e-12)
    report = cr.explain(network, X, y, penalty=cr.L2(0.1)).markdown()
    assert "embedding1.E is used by embedding1, dense1" in report
    assert report.count("embedding1.E is the parameter of embedding1 too") == 1
    told = [record["name"] for record in cr.diagnose(network, X, y).flow["parameters"]]
    assert told == list(network.parameters)


def test_it_goes_elsewhere_as_one(tmp_path: Path) -> None:
    onnx = pytest.importorskip("onnx")
    network = _square()
    network.to_onnx(tmp_path / "net.onnx")
    assert [[*held.dims] for held in onnx.load(tmp_path / "net.onnx").graph.initializer] == [[3, 3], [3]]
    assert cr.from_onnx(tmp_path / "net.onnx").count_parameters() == 12
    table, dense = cr.Embedding(9, 5), cr.Dense(5)  # W is read as it lies, and turned
    layers = [table, dense, cr.GELU(), cr.Dense(9, tied=table), cr.Dense(5, bias=False)]
    steps = cr.Network([*layers, dense, cr.GlobalAveragePool(), dense], input_shape=4, seed=1)
    steps.parameters["dense1.b"] = np.arange(5.0)
    steps.to_onnx(tmp_path / "steps.onnx")
    again, ids = cr.from_onnx(tmp_path / "steps.onnx"), RNG.integers(0, 9, (3, 4))
    assert again.count_parameters() == steps.count_parameters()
    np.testing.assert_allclose(again.predict(ids), steps.predict(ids), rtol=1e-4, atol=1e-5)
    _autoencoder().to_onnx(tmp_path / "there_and_back.onnx", dtype="float64")
    back = cr.from_onnx(tmp_path / "there_and_back.onnx")
    assert back.count_parameters() == _autoencoder().count_parameters()
    assert repr(back.layers[2]) == f"DenseTranspose(6, tied={back.layers[0].name!r})"
    network.to_c(tmp_path / "net.h")
    assert (tmp_path / "net.h").read_text(encoding="utf-8").count("static const float net_") == 2
    weights = network.keras_weights()
    assert len(weights) == 2
    network.set_keras_weights([2 * array for array in weights])
    np.testing.assert_array_equal(network.parameters["dense1.W"], 2 * weights[0].T)
