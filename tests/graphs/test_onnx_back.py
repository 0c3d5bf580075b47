"""Graphs as ONNX models and back: several inputs and outputs, values that cross, attention and states."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import chainrule as cr
from chainrule.base.errors import ArgumentError
from tests.graphs import drawn, drawn_sources, test_ends
from tests.graphs.test_sources import begun


def comes_back(network: cr.Network, X: Any) -> cr.Network:
    """The network of the network's model, which predicts the same."""
    network = network.copy(dtype="float64")
    back = cr.from_onnx(network.to_onnx(dtype="float64"))
    expected, made = network.predict(X), back.predict(X)
    if not isinstance(expected, dict):
        expected, made = {"": expected}, {"": made}
    assert list(made) == list(expected)
    for name, array in expected.items():
        np.testing.assert_allclose(made[name], array, rtol=1e-6, atol=1e-6)
    return back


@pytest.mark.parametrize("kind", ["features", "image", "sequence"])
def test_graphs_drawn_at_random(kind: str) -> None:
    for seed in range(4):
        network = drawn.graph(seed, kind)
        comes_back(network, drawn.batch(network, 3)[0])


def test_attention_decoders_and_states() -> None:
    """Masks of every kind, heads that share keys, rotary places, first and last states."""
    for seed in (0, 13):
        network = drawn_sources.graph(seed, padded=False)
        comes_back(network, drawn_sources.batch(3, seed)[0])
    comes_back(begun(), np.random.default_rng(1).normal(size=(5, 4, 2)))


def test_several_outputs_are_trained_on() -> None:
    X, y = test_ends.batch(5)
    X["image"] = X["image"].astype(np.float64)
    back = comes_back(test_ends.network(), X)
    assert set(back.input_parts) == {*X}
    loss = cr.fit(back, X, y, epochs=3, progress=False).loss
    assert loss[-1] < loss[0]


def test_which_inputs_and_outputs() -> None:
    network = test_ends.network()
    model = network.to_onnx()
    one = cr.from_onnx(model, output="price")
    assert (one.input_shape, one.output_shape) == ((5, 4, 2), (3, 2, 1))
    assert list(cr.from_onnx(model, output=["price", "kind"]).heads.names) == ["price", "kind"]  # type: ignore[union-attr]
    for held in model.graph.input:
        held.type.tensor_type.shape.dim[1].dim_param = "free"
    with pytest.raises(ArgumentError, match="leaves sizes of its input"):
        cr.from_onnx(model)
    with pytest.raises(ArgumentError, match=r"3 inputs: write .*'image': \(\.\.\.\)"):
        cr.from_onnx(model, (5, 4, 2))
    with pytest.raises(ArgumentError, match="names 'picture', and the model's inputs are 'image', 'age'"):
        cr.from_onnx(model, {"picture": (5, 4, 2)})
    shapes = {"image": (5, 4, 2), "age": 2, "ids": (3,)}
    assert set(cr.from_onnx(model, shapes).input_parts) == set(shapes)


def test_padding_is_refused_by_its_node() -> None:
    network = cr.Network([cr.Embedding(5, 4, padding=0), cr.GRU(3)], input_shape=6)
    with pytest.raises(ArgumentError, match="node node_scan: the operator Scan"):
        cr.from_onnx(network.to_onnx())
