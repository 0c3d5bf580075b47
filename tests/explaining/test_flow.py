"""The gradient flow: its numbers against backpropagation and against their definitions, for every kind of
layer.
"""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest

import chainrule as cr
from chainrule.diagnosing.flow import flow_of
from chainrule.reference import ReferenceExecutor

BLOCK = [cr.Conv2D(4, 3, padding="same"), cr.BatchNorm(), cr.ReLU()]
NETWORKS: dict[str, tuple[list[Any], Any]] = {
    "dense": ([cr.Dense(7), cr.Tanh(), cr.Dense(5), cr.PReLU(), cr.Dense(3), cr.Softmax()], 6),
    "conv": ([*BLOCK, cr.MaxPool2D(2), cr.Flatten(), cr.Dense(3), cr.Softmax()], (6, 6, 2)),
    "residual": (
        [cr.Dense(6), cr.Residual([cr.LayerNorm(), cr.Dense(6), cr.GELU()]), cr.Dense(3), cr.Softmax()],
        6,
    ),
    "branches": ([cr.Parallel([[cr.Dense(4), cr.ReLU()], []], join="concat"), cr.Dense(3), cr.Softmax()], 6),
    "lstm": ([cr.LSTM(5, outputs="all"), cr.RNN(4), cr.Dense(3), cr.Softmax()], (7, 2)),
    "gru": ([cr.GRU(5, reverse=True, outputs="all"), cr.Flatten(), cr.Dense(3), cr.Softmax()], (7, 2)),
    "attention": (
        [cr.Dense(4), cr.MultiHeadAttention(2), cr.GlobalAveragePool(), cr.Dense(3), cr.Softmax()],
        (5, 3),
    ),
    "transposed": (
        [cr.ConvTranspose2D(3, 2), cr.AveragePool2D(2), cr.GlobalMaxPool(), cr.Dense(3), cr.Softmax()],
        (3, 3, 2),
    ),
    "masked": ([cr.Masking(), cr.LSTM(4), cr.Dense(3), cr.Softmax()], (6, 2)),
    "dropout": ([cr.Dense(7), cr.Tanh(), cr.Dropout(0.4), cr.Dense(3), cr.Softmax()], 6),
    "truncated": ([cr.RNN(5, truncate=3), cr.Dense(3), cr.Softmax()], (8, 2)),
}  # fmt: skip


def problem(name: str, samples: int = 40) -> tuple[cr.Network, Any, Any]:
    layers, shape = NETWORKS[name]
    network = cr.Network(layers, input_shape=shape, seed=1, dtype="float64")
    rng = np.random.default_rng(0)
    return network, rng.standard_normal((samples, *network.input_shape)), rng.integers(3, size=samples)


@pytest.mark.parametrize("name", NETWORKS)
def test_every_kind_of_layer(name: str) -> None:
    """δ and gradients are those of backpropagation, δ without 1/m; and JSON holds the whole."""
    network, X, y = problem(name)
    network.set_executor(ReferenceExecutor())
    flow = flow_of(network, X, y, batch_size=8)
    step = network.backpropagate(X, y)
    assert flow["loss"]["data"] == pytest.approx(step.data_loss, rel=1e-12)
    for layer in flow["layers"]:
        if layer["delta"] is not None:
            assert layer["delta"]["norm"] == pytest.approx(
                len(X) * np.linalg.norm(step.deltas[layer["name"]])
            )
    for record in flow["parameters"]:
        assert record["gradient"] == pytest.approx(np.linalg.norm(step.gradients[record["name"]]), abs=1e-12)
    assert {record["name"] for record in flow["parameters"]} == set(step.gradients)
    assert json.loads(json.dumps(flow, allow_nan=False)) == flow


def test_ids_have_no_gain() -> None:
    network = cr.Network([cr.Embedding(9, 4), cr.Flatten(), cr.Dense(3), cr.Softmax()], input_shape=(5,))
    rng = np.random.default_rng(0)
    flow = flow_of(network, rng.integers(9, size=(30, 5)), rng.integers(3, size=30))
    assert flow["input"] == {"ids": True}
    assert flow["layers"][0]["gain"] is None


def test_gains_multiply_along_a_chain() -> None:
    network, X, y = problem("dense")
    layers = [layer for layer in flow_of(network, X, y)["layers"] if layer["delta"]]
    product = np.prod([layer["gain"] for layer in layers[1:]])
    assert layers[0]["relative"] == pytest.approx(product, rel=1e-12)


def test_the_two_factors_of_a_gain() -> None:
    network, X, y = problem("dense")
    flow = {layer["name"]: layer for layer in flow_of(network, X, y)["layers"]}
    step = network.backpropagate(X, y)
    z, d = step.activations["dense1"], step.deltas["tanh1"]
    size = np.linalg.norm
    assert flow["tanh1"]["gain"] == pytest.approx(size(d * (1 - np.tanh(z) ** 2)) / size(d))
    W, d = network.parameters["dense2.W"], step.deltas["dense2"]
    assert flow["dense2"]["gain"] == pytest.approx(size(d @ W) / size(d))


def test_delta_does_not_depend_on_the_number_of_samples() -> None:
    network, X, y = problem("dense")
    one, twice = flow_of(network, X, y), flow_of(network, np.repeat(X, 3, axis=0), np.repeat(y, 3))
    for a, b in zip(one["layers"][:-1], twice["layers"][:-1], strict=True):
        assert a["delta"]["rms"] == pytest.approx(b["delta"]["rms"])


def test_through_time_is_the_product_of_the_steps() -> None:
    chain = [cr.RNN(3, activation="identity"), cr.Dense(2), cr.Softmax()]
    network = cr.Network(chain, input_shape=(6, 2), dtype="float64")
    network.parameters["rnn1.U"] = 0.5 * np.eye(3)
    rng = np.random.default_rng(0)
    flow = flow_of(network, rng.standard_normal((20, 6, 2)), rng.integers(2, size=20))
    assert flow["layers"][0]["through_time"] == {"steps": 6, "gain": pytest.approx(0.5**5)}


@pytest.mark.parametrize("last", [{}, {"outputs": "all"}, {"reverse": True}, {"truncate": 2}])
@pytest.mark.parametrize(
    "more", [{}, {"projection": 2}, {"peepholes": True}, {"projection": 5, "peepholes": True}]
)
def test_through_time_of_an_lstm_is_what_differences_give(more: dict[str, Any], last: dict[str, Any]) -> None:
    """δ that arrives at the last state, moved back to h and c of the first step by differences."""
    head = [cr.Flatten()] if "outputs" in last else []
    layers = [cr.LSTM(3, **more, **last), *head, cr.Dense(2), cr.Softmax()]
    network = cr.Network(layers, input_shape=(4, 2), seed=1, dtype="float64")
    rng = np.random.default_rng(0)
    own = {name[6:]: value for name, value in network.parameters.items() if name.startswith("lstm1.")}
    if "P" in own:
        own["P"] = network.parameters["lstm1.P"] = rng.standard_normal(9)
    X, y = rng.standard_normal((1, 4, 2)), np.array([1])
    told = flow_of(network, X, y)["layers"][0]["through_time"]
    arriving = network.backpropagate(X, y).deltas["lstm1"][0]
    arriving = arriving[-1] if "outputs" in last else arriving
    layer = network.layers[0]
    sizes = layer.state_sizes
    steps = X[0][::-1] if layer.reverse else X[0]
    first = len(steps) - told["steps"] + 1  # δ is moved back to the states in front of this step
    x = [step[:, None] for step in steps]

    def passed(states: tuple[Any, ...], begin: int, end: int) -> tuple[Any, ...]:
        for step in x[begin:end]:
            states = layer.step(step, *states, **own)
        return states

    before = np.concatenate(passed(tuple(np.zeros((size, 1)) for size in sizes), 0, first))[:, 0]

    def seen(states: Any) -> float:
        split = states[: sizes[0], None], states[sizes[0] :, None]
        return float(arriving @ passed(split, first, len(x))[0][:, 0])

    by_hand = [(seen(before + e) - seen(before - e)) / 2e-6 for e in 1e-6 * np.eye(sum(sizes))]
    assert told["gain"] == pytest.approx(np.linalg.norm(by_hand) / np.linalg.norm(arriving), rel=1e-6)


def test_penalty_share_and_plain_step() -> None:
    network, X, y = problem("dense")
    penalty, rate = cr.L2(0.3), 0.05
    flow = flow_of(network, X, y, penalty=penalty, optimizer=cr.SGD(rate), batch_size=10)
    record = next(one for one in flow["parameters"] if one["name"] == "dense2.W")
    W, g = network.parameters["dense2.W"], network.backpropagate(X, y).gradients["dense2.W"]
    assert record["penalty_share"] == pytest.approx(np.linalg.norm(0.3 * W) / np.linalg.norm(g))
    whole = flow_of(network, X, y, penalty=penalty, optimizer=cr.SGD(rate), batch_size=1)
    assert whole["loss"]["after"] == pytest.approx(flow["loss"]["after"], rel=0.2)
    assert flow["loss"]["after"] < flow["loss"]["J"]


def test_step_of_equal_groups_is_exact() -> None:
    """Where every batch is the same the settled step of SGD with momentum 0.9 is ten times the plain one."""
    network, X, y = problem("dense", samples=4)
    X, y = np.repeat(X[:1], 40, axis=0), np.repeat(y[:1], 40)
    plain = flow_of(network, X, y, optimizer=cr.SGD(0.01))
    heavy = flow_of(network, X, y, optimizer=cr.SGD(0.01, momentum=0.9))
    for a, b in zip(plain["parameters"], heavy["parameters"], strict=True):
        assert b["step"] == pytest.approx(10 * a["step"], rel=0.1)
    g = network.backpropagate(X, y).gradients["dense1.W"]
    assert plain["parameters"][0]["step"] == pytest.approx(0.01 * np.linalg.norm(g))
    assert plain["loss"]["predicted"] == pytest.approx(
        -0.01 * sum(one["gradient"] ** 2 for one in plain["parameters"])
    )


def test_noise_of_the_gradient() -> None:
    """Of a mean of one number the ratio is known: (mean² − s²/N) / (s²/B)."""
    network = cr.Network([cr.Dense(1, bias=False)], input_shape=1, dtype="float64")
    network.parameters["dense1.W"] = [[0.0]]
    rng = np.random.default_rng(0)
    y = 1 + 2 * rng.standard_normal((800, 1))
    flow = flow_of(network, np.ones((800, 1)), y, batch_size=50)
    assert flow["snr"] == pytest.approx(1 / (4 / 50), rel=0.5)


def test_sample_norms() -> None:
    network, X, y = problem("dense")
    norms = network.backpropagate(X, y).per_sample_norms()
    found = flow_of(network, X, y)["sample_norms"]
    assert found["max"] == pytest.approx(norms.max())
    assert found["largest"] == [int(row) for row in np.argsort(-norms)[:5]]
    network, X, y = problem("conv")
    assert flow_of(network, X, y)["sample_norms"] is None  # batch statistics


def test_losses_to_compare_with() -> None:
    network, X, y = problem("dense")
    loss = flow_of(network, X, y)["loss"]
    assert loss["start"] == pytest.approx(np.log(3))
    share = np.bincount(y) / len(y)
    assert loss["constant"] == pytest.approx(-np.sum(share * np.log(share)))


def test_numbers_that_float32_loses() -> None:
    network = cr.Network([cr.Dense(4), cr.Tanh(), cr.Dense(2), cr.Softmax()], input_shape=3)
    network.parameters["dense2.W"] = np.full((2, 4), 1e-40) * [[1], [2]]
    rng = np.random.default_rng(0)
    flow = flow_of(network, rng.standard_normal((30, 3)), rng.integers(2, size=30))
    delta = flow["layers"][0]["delta"]
    assert delta["denormals"] + delta["lost"] == delta["entries"]
    assert delta["histogram"]["counts"][0] == delta["entries"]


def test_the_network_is_left_alone() -> None:
    network, X, y = problem("conv")
    before = {name: array.copy() for name, array in network.parameters.items()}
    flow_of(network, X, y)
    assert all((before[name] == array).all() for name, array in network.parameters.items())


def test_the_step_of_a_batch_of_all_samples_is_that_of_the_update() -> None:
    """The doctor's part of a report and its update speak of one and the same step."""
    rng = np.random.default_rng(0)
    network = cr.Network([cr.Dense(6), cr.ReLU(), cr.Dense(3), cr.Softmax()], input_shape=4, seed=0)
    report = cr.explain(network, rng.normal(size=(5, 4)), [0, 1, 2, 0, 1], penalty=cr.L2(0.01))
    update, flow = report.document["update"], report.document["flow"]
    assert flow["loss"]["after"] == pytest.approx(update["J_after"], rel=1e-12)
    steps = {row["name"]: row["step"] for row in update["rows"]}
    assert {one["name"]: one["step"] for one in flow["parameters"]} == pytest.approx(steps, rel=1e-12)
