"""Several inputs and several outputs: by name at the face, J the weighted sum, and the same in formulas,
kernels, the page, and from files.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import chainrule as cr
from chainrule import layers as L
from chainrule import reference
from chainrule.base.errors import ArgumentError, DataError
from chainrule.losses import Losses, loss_from
from tests.engine.harness import Problem, assert_like_reference, machines_by_turns, same_bits, width
from tests.explaining.modelled import modelled
from tests.explaining.node import run

Arrays = dict[str, Any]


class Own(cr.losses.SquaredError):
    """Of numbers that no tree holds: the host's."""

    def value(self, a: Any, y: Any) -> Any:
        return super().value(np.asarray(a), y)


LOSSES: dict[str, Any] = {
    "kernels": cr.Losses({"price": cr.Huber()}, weights={"price": 0.5, "seen": 2.0}),
    "programs": cr.Losses(
        {"seen": "squared_error", "kind": cr.CrossEntropy(label_smoothing=0.1)}, weights={"kind": 3}
    ),
    "host": cr.Losses(
        {"seen": "squared_error", "kind": cr.CrossEntropy(label_smoothing=0.1), "price": Own()},
        weights={"kind": 3, "price": 0.5},
    ),
}


def network(**options: Any) -> cr.Graph:
    """An image, numbers and ids; a class, yes or no thrice, an image of classes and one of numbers."""
    return cr.Graph(
        {
            "far": ([cr.Conv2D(3, 3), cr.Tanh()], "image"),
            "near": ([cr.Embedding(5, 2), cr.Flatten(), cr.Dense(4)], "ids"),
            "both": (cr.Concat(), "near", "age"),
            "kind": ([cr.Dense(3), cr.Softmax()], "both"),
            "gated": (cr.Multiply(), "kind", "kind"),
            "flat": ([cr.Flatten(), cr.Dense(3)], "far"),
            "last": (cr.Add(), "flat", "gated"),
            "seen": ([cr.Dense(3), cr.Sigmoid()], "last"),
            "price": (cr.Conv2D(1, 1), "far"),
            "mask": ([cr.Conv2D(2, 1), cr.Softmax()], "far"),
        },
        inputs={"image": (5, 4, 2), "age": 2, "ids": 3},
        outputs=["kind", "seen", "mask", "price"],
        **options,
    )


def batch(n: int, seed: int = 0) -> tuple[Arrays, Arrays]:
    r = np.random.default_rng(seed)
    X = {"image": r.normal(size=(n, 5, 4, 2)), "age": r.normal(size=(n, 2)), "ids": r.integers(0, 5, (n, 3))}
    y = {"kind": r.integers(0, 3, n), "seen": r.integers(0, 2, (n, 3)), "price": r.normal(size=(n, 3, 2, 1))}
    y["mask"] = r.integers(0, 2, (n, 3, 2))
    return X, y


def of(net: cr.Network, name: str) -> Losses:
    """The losses, told the network's outputs."""
    heads = net.heads
    assert heads is not None
    losses: Losses = LOSSES[name]
    return losses.for_outputs(heads, loss_from)


@pytest.mark.parametrize("which", LOSSES)
def test_j_is_the_weighted_sum(which: str) -> None:
    net, (X, y) = network(dtype="float64"), batch(7)
    a, losses = net.predict(X), of(net, which)
    assert {name: array.shape[1:] for name, array in a.items()} == net.outputs
    expected = 0.0
    for name, part in zip(net.outputs, losses.parts, strict=True):
        classes = {"kind": 3, "mask": 2}.get(name)
        targets = np.eye(classes)[y[name]] if classes else np.asarray(y[name], float)
        columns, found = (np.moveaxis(array, 0, -1) for array in (targets, a[name]))
        expected += part.weight * part.loss.value(found, part.loss.prepared(columns)).mean()
    assert net.loss(X, y, loss=LOSSES[which]) == pytest.approx(expected, rel=1e-12)
    step = net.backpropagate(X, y, loss=LOSSES[which], penalty=cr.L2(0.1))
    assert step.data_loss == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("which", LOSSES)
def test_kernels_formulas_and_differences(which: str) -> None:
    net, losses = network(seed=1), of(network(), which)
    for level, dtype in machines_by_turns(len(which)):
        n = width(level, dtype) + 1
        X, y = batch(n)
        loss, objective = net.problem(X, y, losses)
        problem = Problem(net, np.asarray(loss.inputs, np.float32), loss.targets.astype(np.float32), losses)
        assert_like_reference(problem, level, dtype, n, problem.step())
        assert objective.loss is losses
    double = network(seed=1, dtype="float64")
    X, y = batch(3)
    for engine in ("native", "reference"):
        assert cr.check_gradients(double, X, y, loss=LOSSES[which], engine=engine, entries=2)
    document = modelled(double, X, y, loss=LOSSES[which]).document
    (answer,) = run([{"do": "selftest", "document": document}])
    assert (answer["frozen"] is None) == (which != "host")  # the page has no formula of a user's own loss
    assert which == "host" or answer["worst"]["error"] < 1e-12


def test_a_saturated_output_is_no_division_by_a() -> None:
    net, (X, y) = network(dtype="float64"), batch(4)
    net.parameters["kind.z.W"] *= 1e4
    step = net.backpropagate(X, y)
    assert np.isfinite(step.loss)
    expected = reference.ReferenceExecutor()
    again = net.copy()
    again.set_executor(expected)
    np.testing.assert_allclose(step.deltas["joined"], again.backpropagate(X, y).deltas["joined"], rtol=1e-9)


def test_trained_saved_and_by_any_number_of_threads(tmp_path: Path) -> None:
    X, y = batch(40)
    found = []
    for count in (1, 3):
        net = network()
        history = cr.fit(
            net, X, y, loss=LOSSES["kernels"], epochs=3, batch_size=16, threads=count, validation=(X, y)
        )
        assert history.loss[-1] < history.loss[0]
        found.append(dict(net.parameters))
    assert same_bits(*found)
    net.save(tmp_path / "net.npz")
    again = cr.load(tmp_path / "net.npz")
    for name, array in net.predict(X).items():
        np.testing.assert_array_equal(again.predict(X)[name], array)
        np.testing.assert_array_equal(again.predict(tuple(X.values()))[name], array)
    labels = net.classify(X)
    shapes = {"kind": (40,), "seen": (40, 3), "mask": (40, 3, 2)}
    assert {name: array.shape for name, array in labels.items()} == shapes
    assert net.accuracy(X, y)["kind"] == pytest.approx((labels["kind"] == y["kind"]).mean())
    in_order = tuple(y[name] for name in net.outputs)
    cr.fit(net, tuple(X.values()), in_order, loss=LOSSES["host"], epochs=1, validation=0.25)


def test_batches_are_like_arrays_and_a_block_is_frozen() -> None:
    X, y = batch(12)
    found = []
    for source in (
        [
            ({k: v[i : i + 4] for k, v in X.items()}, {k: v[i : i + 4] for k, v in y.items()})
            for i in (0, 4, 8)
        ],
        X,
    ):
        net = network()
        before = net.parameters["near.dense1.W"].copy()
        arrays: dict[str, Any] = (
            {} if isinstance(source, list) else {"y": y, "batch_size": 4, "shuffle": False}
        )
        cr.fit(net, source, **arrays, epochs=2, freeze="near")
        np.testing.assert_array_equal(net.parameters["near.dense1.W"], before)
        found.append(dict(net.parameters))
    assert same_bits(*found)
    cr.fit_full_batch(network(), X, y, iterations=2)


def test_several_inputs_and_one_output() -> None:
    nodes = {"sum": (cr.Add(), "a", "b"), "out": [cr.Dense(2), cr.Softmax()]}
    net = cr.Graph(nodes, inputs={"a": 3, "b": 3}, dtype="float64")
    r = np.random.default_rng(0)
    X, y = {"a": r.normal(size=(6, 3)), "b": r.normal(size=(6, 3))}, np.arange(6) % 2
    assert net.predict(X).shape == (6, 2)
    assert set(net.classify(X)) <= {0, 1}
    assert 0 <= net.accuracy(X, y) <= 1
    cr.fit(net, X, y, epochs=2, batch_size=4)
    assert cr.check_gradients(net, X, y)
    pixels = {"a": np.full((6, 3), 3, np.uint8), "b": X["b"]}
    np.testing.assert_array_equal(net.predict(pixels), net.predict({**X, "a": np.full((6, 3), 3.0)}))


WRONG: list[tuple[Any, Any, dict[str, Any], str]] = [
    ({"age": None}, {}, {}, r"X lacks 'age': the inputs are 'image' \(5, 4, 2\), 'age' \(2,\), 'ids' \(3,\)"),
    ({"agee": np.ones((4, 2))}, {}, {}, "X has 'agee', .*'age' is meant"),
    ({"age": np.ones((4, 3))}, {}, {}, r"X\['age'\] must have the shape \(N, 2\)"),
    ({"age": np.ones((3, 2))}, {}, {}, r"X\['image'\] has 4 samples, and X\['age'\] has 3"),
    ({"ids": np.full((4, 3), 5)}, {}, {}, r"X\['ids'\] must hold ids"),
    ({}, {"price": None}, {}, "y lacks 'price'"),
    ({}, {"kind": np.array(["a", "b", "c", "d"])}, {}, r"y\['kind'\]"),
    ({}, {"kind": np.array([0, 1, 2, 3])}, {}, r"y\['kind'\]"),
    ({}, {}, {"loss": "cross_entropy"}, r"write a loss for each, loss=\{'kind': CrossEntropy\(\), ...\}"),
    ({}, {}, {"loss": {"kin": "mse"}}, "losses has 'kin', and the outputs are 'kind', 'seen'"),
    ({}, {}, {"loss": {"price": cr.CrossEntropy()}}, "output 'price': CrossEntropy is defined for"),
    ({}, {}, {"loss": cr.Losses({}, weights={"kind": -1.0})}, r"weights\['kind'\]"),
]


@pytest.mark.parametrize("number", range(len(WRONG)))
def test_what_is_wrong_is_named(number: int) -> None:
    changes_of_X, changes_of_y, options, said = WRONG[number]
    X, y = batch(4)
    for given, changes in ((X, changes_of_X), (y, changes_of_y)):
        for name, value in changes.items():
            given[name] = value
            if value is None:
                del given[name]
    with pytest.raises((cr.ChainruleError, TypeError), match=said):
        cr.fit(network(), X, y, epochs=1, **options)


def test_ends_that_cannot_be() -> None:
    nodes: dict[str, Any] = {"a": cr.Dense(2), "b": (cr.Dense(2), "input")}
    with pytest.raises(cr.ShapeError, match=r"'a', 'b' are read by none: .*outputs=\['a', 'b'\]"):
        cr.Graph(nodes, input_shape=3)
    with pytest.raises(cr.ShapeError, match="input 'c' is read by no node"):
        cr.Graph({"b": (cr.Dense(2), "d")}, inputs={"d": 3, "c": 2})
    with pytest.raises(cr.ShapeError, match="comes first and there are several inputs"):
        cr.Graph({"b": cr.Dense(2)}, inputs={"d": 3, "c": 2})
    with pytest.raises(cr.ShapeError, match="input 'c': input_shape must be"):
        cr.Graph({"b": (cr.Dense(2), "c")}, inputs={"c": "x", "d": 3})
    with pytest.raises(cr.ChainruleError, match="several outputs"):
        cr.Losses({"a": "mse"}).value(np.ones((1, 1)), np.ones((1, 1)))


@pytest.mark.parametrize(
    ("layer", "shape"),
    [(L.Part(2, (3, 1, 2)), (9,)), (L.Heads(["a"], [(3,)], [L.LogSoftmax()]), (3,))],
)
def test_the_layers_at_the_ends(layer: L.Layer, shape: tuple[int, ...]) -> None:
    assert cr.check_layer(layer, shape)


def test_labels_weights_and_losses_by_output(tmp_path: Path) -> None:
    """Labels of every output are its own, class weights are those of samples, and a loss of each is told."""
    rng = np.random.default_rng(0)
    nodes: Arrays = {
        "h": cr.Dense(4),
        "u": ([cr.Dense(1), cr.Sigmoid()], "h"),
        "v": ([cr.Dense(3), cr.Softmax()], "h"),
    }
    network = cr.Graph(nodes, input_shape=3, outputs=["u", "v"], dtype="float64")
    X, ids = rng.normal(size=(30, 3)), {"u": rng.integers(0, 2, 30), "v": rng.integers(0, 3, 30)}
    y = {"u": np.array(["no", "yes"])[ids["u"]], "v": ids["v"] + 5}
    with pytest.raises(
        DataError, match=r"y\['u'\] has the labels 'no', 'yes', and the network has been told"
    ):
        network.loss(X, y)
    expected = network.copy()
    doctor = cr.Doctor(X, y, say=None)
    weights = {"u": {"yes": 3.0}, "v": "balanced"}
    history = cr.fit(
        network,
        X,
        y,
        epochs=1,
        batch_size=30,
        optimizer=cr.SGD(0.1),
        class_weight=weights,
        callbacks=[doctor],
    )
    assert len(doctor.diagnoses) == 1
    of = expected.loss(X, ids, reduction="outputs")
    assert sum(of.values()) == pytest.approx(expected.loss(X, ids), rel=1e-14)
    J = 0.0
    for name, weight in (
        ("u", np.where(ids["u"] == 1, 3.0, 1.0)),
        ("v", 1 / np.bincount(ids["v"])[ids["v"]]),
    ):
        alone = cr.Losses(weights={"u": float(name == "u"), "v": float(name == "v")})
        each = expected.loss(X, ids, loss=alone, reduction="none")
        assert each.mean() == pytest.approx(of[name], rel=1e-14)
        J += float(np.average(each, weights=weight))
    assert history.loss[0] == pytest.approx(J, rel=1e-13)
    network.save(tmp_path / "net.npz")
    for again in (network, network.copy(), cr.load(tmp_path / "net.npz")):
        labels = again.classify(X)
        assert set(labels["u"]) <= {"no", "yes"}
        assert set(labels["v"]) <= {5, 6, 7}
        assert again.accuracy(X, y) == {name: np.mean(labels[name] == y[name]) for name in y}
        assert "classes of v: 5, 6, 7" in again.summary()
    with pytest.raises(
        ArgumentError, match=r"class_weight of several outputs is by their names, \{'u': 'bal"
    ):
        cr.fit(network, X, y, epochs=1, class_weight="balanced")
    with pytest.raises(ArgumentError, match="labels are of 'w', and the outputs are 'u', 'v'"):
        network.output_labels = {"w": ["a", "b"]}


@pytest.mark.parametrize("scale", [1.0, 300.0])
def test_ids_beside_numbers_need_no_scale(scale: float) -> None:
    r = np.random.default_rng(0)
    nodes: dict[str, Any] = {"e": (cr.Embedding(900, 3), "words"), "f": (cr.Flatten(), "e")}
    nodes |= {"both": (cr.Concat(), "f", "age"), "z": cr.Dense(1)}
    network = cr.Graph(nodes, inputs={"words": (5,), "age": 4}, dtype="float64")
    X = {"words": r.integers(0, 900, (60, 5)), "age": r.standard_normal((60, 4))}
    X["age"][:, 2] *= scale
    diagnosis = cr.diagnose(network, X, r.standard_normal((60, 1)), loss="squared_error")
    said = [each["evidence"] for each in diagnosis.findings if each["rule"] == "inputs_not_scaled"]
    assert len(said) == (scale > 1), said
    which = "X['age']" in str(diagnosis)
    assert which == (scale > 1)
    assert all(each["rms"] < scale for each in said), said
