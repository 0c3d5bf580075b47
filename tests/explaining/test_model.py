"""The model part of a document: the reference's numbers, the executed formulas, within the budget."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest

import chainrule as cr
from chainrule import reference
from chainrule.explaining.facts.tensors import decode, encode, frozen, within
from chainrule.formulas import absolute, evaluate
from chainrule.formulas.exchange import unpack
from chainrule.networks.architecture import all_layers
from tests.explaining.modelled import LARGE, modelled
from tests.networks import lenet

Json = dict[str, Any]
RNG = np.random.default_rng(7)


def layers_of(layers: list[Json]) -> dict[str, Json]:
    """Every layer by its name, those in branches too."""
    found = {}
    for layer in layers:
        for branch in layer.get("branches", ()):
            found |= layers_of(branch)
        found[layer["name"]] = layer
    return found


def masked_network() -> tuple[cr.Network, Any, Any]:
    """Masks, dropout, attention, recurrences and branches in one."""
    branches = [[cr.LSTM(3)], [cr.GRU(2, reverse=True), cr.Tanh()], [cr.RNN(2, outputs="all"), cr.Flatten()]]
    layers = [
        cr.Embedding(7, 4, padding=0),
        cr.MultiHeadAttention(2),
        cr.Dropout(0.3),
        cr.Parallel(branches, join="concat"),
        cr.Residual([cr.Dense(13), cr.ReLU()]),
        cr.Dense(3),
        cr.Softmax(),
    ]
    network = cr.Network(layers, input_shape=4, seed=2)
    return network, np.array([[1, 2, 0, 0], [3, 4, 5, 6], [2, 2, 2, 0]]), np.array([0, 1, 2])


def test_every_number_is_that_of_the_reference() -> None:
    network, X, y = masked_network()
    weights = np.array([0.5, 1.0, 1.5])
    penalty = cr.L2(0.3, per_sample=True)
    found = modelled(network, X, y, penalty=penalty, sample_weight=weights, training_size=50)
    batch, objective = network.problem(X, y, penalty=penalty, sample_weight=weights, training_size=50)
    step = reference.backpropagate(network, batch, objective)
    loss_part = found.document["loss"]
    assert loss_part["J"] == pytest.approx(step.loss, rel=1e-14)
    assert loss_part["data"] == pytest.approx(step.data_loss, rel=1e-14)
    assert loss_part["data"] == pytest.approx(np.mean(batch.weights * loss_part["per_sample"]), rel=1e-14)
    assert loss_part["penalty"] == pytest.approx(step.loss - step.data_loss, rel=1e-12)
    expected = {
        **step.activations,
        **{f"delta:{name}": value for name, value in step.deltas.items()},
    }
    for name, rows in expected.items():
        np.testing.assert_array_equal(found.arrays[name], np.moveaxis(rows, 0, -1), err_msg=name)
    for name, value in {**network.parameters, **_named("gradient:", step.gradients)}.items():
        np.testing.assert_array_equal(found.arrays[name], value, err_msg=name)
    data = reference.backpropagate(network, batch, objective.of_data)
    for name, value in _named("data gradient:", data.gradients).items():
        np.testing.assert_array_equal(found.arrays[name], value, err_msg=name)
    kept = {name for name in found.arrays if not name.startswith("data gradient:")}
    assert set(found.document["tensors"]) == kept
    for name, tensor in found.document["tensors"].items():
        np.testing.assert_array_equal(decode(tensor), found.arrays[name], err_msg=name)
    json.dumps(found.document, allow_nan=False)


def _named(prefix: str, values: Any) -> Json:
    return {prefix + name: value for name, value in values.items()}


def test_formulas_are_the_executed_ones() -> None:
    """With the mask, where there is one: the trees of the document give the arrays of the document."""
    network, X, y = masked_network()
    found = modelled(network, X, y)
    layers = layers_of(found.document["graph"]["layers"])
    assert layers["attention1"]["given"] == {"mask": "given:attention1.mask"}
    assert layers["dropout1"]["given"] == {"r": "given:dropout1.r", "mask": "given:dropout1.mask"}
    assert layers["parallel1.lstm1"]["given"] == {"mask": "given:parallel1.lstm1.mask"}
    leaves = [layer for layer in layers.values() if layer["kind"] == "leaf"]
    assert len(leaves) == 9
    for layer in leaves:
        name, roots = layer["name"], layer["formulas"]["roots"]
        trees = unpack(layer["formulas"]["nodes"])
        bindings = found.bindings(name)
        output = evaluate(trees[roots["forward"]], bindings)
        np.testing.assert_allclose(output, found.arrays[name], rtol=1e-14)
        for key in layer["learned"]:
            gradient = evaluate(trees[roots[f"gradient:{key}"]], bindings)
            expected = found.arrays[f"gradient:{name}.{key}"]
            np.testing.assert_allclose(gradient, expected, rtol=1e-13, atol=1e-16)
    symbols = [node.get("symbol") for node in layers["attention1"]["formulas"]["nodes"]]
    assert "mask" in symbols


def test_the_graph() -> None:
    network, X, y = masked_network()
    found = modelled(network, X, y)
    top = found.document["graph"]["layers"]
    layers = layers_of(top)
    assert list(layers) == [layer.name for layer in all_layers(network.layers)]
    assert found.document["graph"]["input_shape"] == [4]
    assert layers["parallel1.lstm1"]["recurrent"] == {
        "states": ["h", "c"], "outputs": "last", "reverse": False, "truncate": None,
        "sizes": [3, 3], "sources": [], "ends": False,
    }  # fmt: skip
    assert layers["parallel1.gru1"]["recurrent"]["reverse"] is True
    assert list(layers["parallel1.lstm1"]["formulas"]["roots"]) == [
        "step:h", "step:c", "step_delta:x", "step_delta:h", "step_delta:c", "step_gradient:W",
        "step_gradient:U", "step_gradient:b",
    ]  # fmt: skip
    assert layers["parallel1"]["join"] == "concat"
    assert [[layer["name"] for layer in branch] for branch in layers["residual1"]["branches"]] == [
        [],
        ["residual1.dense1", "residual1.relu1"],
    ]
    assert layers["embedding1"]["input_shape"] == [4]
    assert layers["embedding1"]["shape"] == [4, 4]
    assert layers["softmax1"]["number"] == layers["dense1"]["number"]
    assert [layer["activation"] for layer in top[-2:]] == [False, True]
    assert "delta:softmax1" not in found.arrays  # the pair: δ = a - y is of z


def test_parameters_that_are_not_learned() -> None:
    network = cr.Network([cr.BatchNorm()], input_shape=3)
    found = modelled(network, RNG.standard_normal((4, 3)), np.zeros((4, 3)))
    (layer,) = found.document["graph"]["layers"]
    assert set(layer["parameters"]) == {"gamma", "beta", "mean", "variance"}
    assert layer["learned"] == ["gamma", "beta"]
    assert "gradient:batchnorm1.mean" not in found.arrays


def test_the_loss_takes_prepared_targets() -> None:
    network = cr.Network([cr.Dense(3), cr.Softmax()], input_shape=2)
    X = RNG.standard_normal((2, 2))
    found = modelled(network, X, [0, 2], loss=cr.CrossEntropy(label_smoothing=0.3))
    np.testing.assert_allclose(found.arrays["y"], [[0.8, 0.1], [0.1, 0.1], [0.1, 0.8]])
    assert found.document["loss"]["pair"] is True
    assert list(found.document["loss"]["formulas"]["roots"]) == [
        "value", "gradient", "residual", "value_from_z"
    ]  # fmt: skip
    assert found.document["penalty"] is None


def test_the_penalty() -> None:
    found = modelled(lenet(), RNG.standard_normal((2, 10, 8, 2)), [0, 1], penalty=cr.ElasticNet(0.1, 0.2))
    penalty = found.document["penalty"]
    assert penalty["constants"] == {"l1": 0.1, "l2": 0.2, "training_size": 2}
    assert penalty["on"] == ["conv1.W", "conv2.W", "dense1.W", "dense2.W"]
    trees = unpack(penalty["formulas"]["nodes"])
    tree, constants = trees[penalty["formulas"]["roots"]["value"]], penalty["constants"]
    value = sum(evaluate(tree, {**constants, "W": found.arrays[name]}) for name in penalty["on"])
    assert value == pytest.approx(found.document["loss"]["penalty"], rel=1e-14)


class Cube(cr.Layer):
    """Written with NumPy alone: it takes no symbols."""

    def forward(self, x: Any) -> Any:
        return np.power(np.asarray(x), 3)

    def delta(self, d: Any, x: Any) -> Any:
        return d * 3 * np.square(np.asarray(x))


class Half(cr.Layer):
    """Written with primitives."""

    def forward(self, x: Any) -> Any:
        return absolute(x) / 2 + x

    def delta(self, d: Any, x: Any) -> Any:
        return d * (absolute(x) / x / 2 + 1)


class Changing(cr.Layer):
    """It looks at what it is called with, and does something else on symbols."""

    def forward(self, x: Any) -> Any:
        return 2 * x if isinstance(x, np.ndarray) else x

    def delta(self, d: Any) -> Any:
        return 2 * d if isinstance(d, np.ndarray) else d


@pytest.mark.parametrize(("layer", "traced"), [(Cube, False), (Half, True), (Changing, False)])
def test_layers_of_your_own(layer: Any, traced: bool) -> None:
    """Formulas where the code is written with primitives, none where it is not or where it is another."""
    network = cr.Network([cr.Dense(3), layer(), cr.Dense(2)], input_shape=2)
    found = modelled(network, RNG.standard_normal((2, 2)), np.zeros((2, 2)))
    formulas = [one["formulas"] for one in found.document["graph"]["layers"]]
    assert (formulas[1] is not None) is traced
    assert formulas[0] is not None
    assert formulas[2] is not None


# -- tensors -------------------------------------------------------------------------------------------------


def test_tensors_lose_nothing() -> None:
    single = RNG.standard_normal((2, 3)).astype(np.float32)
    for array, dtype in (
        (single, "float32"),
        (RNG.standard_normal((4, 5)), "float64"),
        (np.array([1e300, -1.0]), "float64"),
        (np.array([np.inf, np.nan, 0.5]), "float32"),
        (np.float64(0.5), "float32"),
        (np.array([[True, False]]), "float32"),
    ):
        tensor = encode(array)
        assert tensor["dtype"] == dtype
        np.testing.assert_array_equal(decode(tensor), array)
        json.dumps(tensor, allow_nan=False)


def test_statistics_and_frozen_tensors() -> None:
    tensor = frozen(np.array([[3.0, -4.0], [0.0, 0.0]]))
    assert tensor == {
        "shape": [2, 2],
        "dtype": "float32",
        "stats": {"min": -4.0, "mean": -0.25, "max": 3.0, "norm": 5.0},
    }
    assert decode(tensor) is None
    assert encode(np.array([np.nan, 1.0]))["stats"]["norm"] == "nan"


def test_the_budget_freezes_the_largest_first() -> None:
    """Group after group: what parameters leave is for the others."""
    parameters = {"W": np.zeros(30), "b": np.zeros(3)}  # 160 and 16 bytes of base64
    others = {"large": np.zeros(60), "same": np.zeros(60), "small": np.zeros(6)}  # 320, 320, 32
    groups = ((parameters, LARGE), (others, LARGE))

    def kept(budget: int) -> list[str]:
        return [name for name, tensor in within(groups, budget).items() if "data" in tensor]

    assert kept(848) == ["W", "b", "large", "same", "small"]
    assert kept(847) == ["W", "b", "same", "small"]
    assert kept(527) == ["W", "b", "small"]
    assert kept(207) == ["W", "b"]
    assert kept(175) == ["b", "small"]
    assert kept(0) == []
    assert [name for name, tensor in within(((parameters, 20), (others, LARGE)), 10**6).items()
            if "data" in tensor] == ["b", "large", "same", "small"]  # fmt: skip


def test_the_size_of_a_document() -> None:
    network, X = lenet(), RNG.standard_normal((4, 10, 8, 2))
    whole = sum(
        len(t.get("data", "")) for t in modelled(network, X, [0, 1, 2, 0]).document["tensors"].values()
    )
    for budget in (whole, whole // 2, whole // 20):
        tensors = modelled(network, X, [0, 1, 2, 0], budget=budget).document["tensors"]
        assert sum(len(tensor.get("data", "")) for tensor in tensors.values()) <= budget
        assert all("stats" in tensor for tensor in tensors.values())
