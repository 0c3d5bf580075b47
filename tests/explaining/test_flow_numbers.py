"""The gradient flow's numbers beside plain NumPy and beside finite differences."""

from __future__ import annotations

import functools
from typing import Any

import numpy as np
import pytest

import chainrule as cr
from chainrule import reference
from chainrule.base.errors import DataError
from chainrule.diagnosing.flow import flow_of
from chainrule.diagnosing.parameter_flow import SETTLED

Array = np.ndarray[Any, np.dtype[Any]]
STEP = 1e-6
CHAINS: dict[str, tuple[list[Any], Any]] = {
    "dense": ([cr.Dense(3), cr.Tanh()], (3,)),
    "dense, one unit": ([cr.Dense(1), cr.Sigmoid()], (1,)),
    "conv, odd": ([cr.Conv2D(2, (2, 3), stride=(2, 1)), cr.ELU(), cr.Flatten()], (5, 4, 1)),
    "pool": ([cr.Conv2D(2, 2), cr.MaxPool2D(2), cr.AveragePool2D(1), cr.Flatten()], (5, 5, 1)),
    "batch norm": ([cr.Dense(3), cr.BatchNorm(), cr.Tanh()], (2,)),
    "residual": ([cr.Dense(3), cr.Residual([cr.Dense(3), cr.Tanh()])], (2,)),
    "lstm": ([cr.LSTM(3, outputs="all"), cr.LSTM(2)], (4, 2)),
    "attention": ([cr.Dense(4), cr.MultiHeadAttention(2), cr.GlobalAveragePool()], (3, 2)),
}


def made(name: str, samples: int, dtype: Any = "float64") -> tuple[cr.Network, Array, Array]:
    layers, shape = CHAINS[name]
    network = cr.Network([*layers, cr.Dense(3), cr.Softmax()], input_shape=shape, seed=2, dtype=dtype)
    rng = np.random.default_rng(5)
    return network, rng.standard_normal((samples, *network.input_shape)), rng.integers(3, size=samples)


def whole_loss(network: cr.Network, X: Array, y: Array, parameters: dict[str, Array]) -> float:
    """Σ_i of the cross-entropy, from the probabilities of a forward pass as in training."""
    x, context = reference.to_columns(X, np.float64), reference.PassContext(True)
    last = reference.run_forward(network, x, parameters, np.float64, context)
    return float(-np.log(last[-1].output[y, np.arange(len(y))]).sum())


def slopes(f: Any, at: Array) -> Array:
    """Central differences of f, entry by entry."""
    found = np.zeros(at.shape)
    for place in np.ndindex(at.shape):
        values = []
        for move in (STEP, -STEP):
            moved = at.copy()
            moved[place] += move
            values.append(f(moved))
        found[place] = (values[0] - values[1]) / (2 * STEP)
    return found


def _with(network: cr.Network, X: Array, y: Array, values: dict[str, Array], own: str, moved: Array) -> float:
    return whole_loss(network, X, y, {**values, own: moved})


@pytest.mark.parametrize(
    ("name", "samples"), [(name, m) for name in CHAINS for m in (1, 4) if (name, m) != ("batch norm", 1)]
)
def test_gradients_beside_differences(name: str, samples: int) -> None:
    """‖∂J/∂θ‖ of every parameter, and the gain product down to the input: ‖∂ΣJ_i/∂x‖."""
    network, X, y = made(name, samples)
    values = {key: array.astype(np.float64) for key, array in network.parameters.items()}
    flow = flow_of(network, X, y)
    for record in flow["parameters"]:
        own = record["name"]
        moved_to = functools.partial(_with, network, X, y, values, own)
        by_hand = slopes(moved_to, values[own])
        assert record["gradient"] == pytest.approx(np.linalg.norm(by_hand) / samples, abs=1e-8), own
    first = flow["layers"][0]
    by_hand = slopes(lambda moved: whole_loss(network, moved, y, values), X)
    assert first["gain"] * first["delta"]["norm"] == pytest.approx(np.linalg.norm(by_hand), abs=1e-7)


def test_one_sample_under_batch_norm_is_refused_as_in_training() -> None:
    network, X, y = made("batch norm", 1)
    with pytest.raises(DataError, match="variance is 0"):
        flow_of(network, X, y)


@pytest.mark.parametrize("name", CHAINS)
def test_float32_networks_are_measured_in_float64(name: str) -> None:
    network, X, y = made(name, 5, "float32")
    X = X.astype(np.float32)
    twin = made(name, 5)[0]
    for key, array in network.parameters.items():
        twin.parameters[key] = array.astype(np.float64)
    own, other = flow_of(network, X, y), flow_of(twin, X.astype(np.float64), y)
    for a, b in zip(own["layers"], other["layers"], strict=True):
        if b["gain"] is not None:  # the output, which is one formula with the loss, has none
            assert a["gain"] == pytest.approx(b["gain"], rel=1e-12)
        assert a["output"]["rms"] == pytest.approx(b["output"]["rms"], rel=1e-12)


def test_dropout() -> None:
    """δ below a dropout is δ above it times the very mask that made the output."""
    layers = [cr.Dense(8), cr.Dropout(0.4), cr.Dense(3), cr.Softmax()]
    network = cr.Network(layers, input_shape=5, seed=1, dtype="float64")
    rng = np.random.default_rng(0)
    X, y = rng.standard_normal((30, 5)), rng.integers(3, size=30)
    mask = np.isclose(network.backpropagate(X, y).activations["dropout1"], 0)
    W1, b1, W2, b2 = (network.parameters[name] for name in ("dense1.W", "dense1.b", "dense2.W", "dense2.b"))
    scale = np.where(mask, 0, 1 / 0.6)
    z = (X @ W1.T + b1) * scale @ W2.T + b2
    p = np.exp(z) / np.exp(z).sum(axis=1, keepdims=True)
    d = p - np.eye(3)[y]
    above = d @ W2
    flow = {one["name"]: one for one in flow_of(network, X, y)["layers"]}
    assert 0.2 < mask.mean() < 0.6
    assert flow["dropout1"]["delta"]["norm"] == pytest.approx(np.linalg.norm(above))
    assert flow["dropout1"]["gain"] == pytest.approx(np.linalg.norm(above * scale) / np.linalg.norm(above))
    assert flow["dense1"]["delta"]["zeros"] == mask.sum()


def test_part_of_the_samples_is_in_the_order_of_the_data() -> None:
    """With dropout, what is measured on 10 of 30 samples is what backpropagation of these 10 gives."""
    layers = [cr.Dense(8), cr.Dropout(0.4), cr.Dense(3), cr.Softmax()]
    network = cr.Network(layers, input_shape=5, seed=1, dtype="float64")
    rng = np.random.default_rng(0)
    X, y = rng.standard_normal((30, 5)), rng.integers(3, size=30)
    rows = np.sort(np.random.Generator(np.random.PCG64(0)).permutation(30)[:10])
    own = flow_of(network, X, y, samples=10)
    step = network.backpropagate(X[rows], y[rows])
    assert own["loss"]["data"] == pytest.approx(step.data_loss)
    assert own["parameters"][0]["gradient"] == pytest.approx(np.linalg.norm(step.gradients["dense1.W"]))


def test_sorted_labels_do_not_make_batches_of_one_class() -> None:
    """The signal to noise ratio is that of shuffled batches, whatever the order of the data."""
    network, X, y = made("dense", 400)
    order = np.argsort(y, kind="stable")
    shuffled, in_order = flow_of(network, X, y)["snr"], flow_of(network, X[order], y[order])["snr"]
    assert in_order == pytest.approx(shuffled, rel=0.5)


@pytest.mark.parametrize(
    ("layer", "limit"), [(cr.Sigmoid, np.log(98.98979)), (cr.Tanh, np.arctanh(0.96**0.5))]
)
def test_saturated_share(layer: Any, limit: float) -> None:
    """σ′ < 0.01 is |z| > ln(98.99) = 4.595, tanh′ < 0.04 is |z| > artanh √0.96 = 2.292."""
    network = cr.Network([cr.Dense(6), layer(), cr.Dense(2), cr.Softmax()], input_shape=3, dtype="float64")
    network.parameters["dense1.W"] = 3 * network.parameters["dense1.W"]
    rng = np.random.default_rng(0)
    X, y = rng.standard_normal((50, 3)), rng.integers(2, size=50)
    z = X @ network.parameters["dense1.W"].T + network.parameters["dense1.b"]
    far = np.abs(z) > limit
    assert flow_of(network, X, y)["layers"][1]["saturated"] == pytest.approx(far.mean())
    assert far.any()


@pytest.mark.parametrize("reverse", [False, True])
@pytest.mark.parametrize(("length", "truncate"), [(8, 3), (7, 3), (6, 3), (5, 9), (4, 1)])
def test_truncated_recurrence(length: int, truncate: int, reverse: bool) -> None:
    """δ of a tanh recurrence in plain NumPy, cut between steps k and k + 1, 2k and 2k + 1, …"""
    layers = [cr.RNN(4, truncate=truncate, reverse=reverse), cr.Dense(2), cr.Softmax()]
    network = cr.Network(layers, input_shape=(length, 3), seed=3, dtype="float64")
    rng = np.random.default_rng(0)
    X, y = rng.standard_normal((6, length, 3)), rng.integers(2, size=6)
    W, U, b, V, c = (network.parameters[n] for n in ("rnn1.W", "rnn1.U", "rnn1.b", "dense1.W", "dense1.b"))
    order = range(length)[::-1] if reverse else range(length)
    states = [np.zeros((6, 4))]
    for t in order:
        states.append(np.tanh(X[:, t] @ W.T + states[-1] @ U.T + b))
    z = states[-1] @ V.T + c
    d = (np.exp(z) / np.exp(z).sum(axis=1, keepdims=True) - np.eye(2)[y]) @ V
    top, slope_W, last_piece, left = d, np.zeros_like(W), 0, np.linalg.norm(d)
    for number in range(length, 0, -1):
        inner = d * (1 - states[number] ** 2)
        slope_W += inner.T @ X[:, order[number - 1]]
        last_piece += 1
        left = np.linalg.norm(d)
        if number == 1 or (number - 1) % truncate == 0:
            break
        d = inner @ U
    flow = flow_of(network, X, y)
    told = flow["layers"][0]["through_time"]
    assert told == {"steps": last_piece, "gain": pytest.approx(left / np.linalg.norm(top))}
    assert flow["parameters"][0]["gradient"] == pytest.approx(np.linalg.norm(slope_W) / 6)


@pytest.mark.parametrize("clip", [0.01, 1e6])
def test_gradient_clipping(clip: float) -> None:
    """Every batch the same: the whole gradient, penalty included, is scaled to the norm `clip` if longer."""
    network = cr.Network([cr.Dense(3), cr.Softmax()], input_shape=4, seed=1, dtype="float64")
    rng = np.random.default_rng(0)
    X = np.repeat(rng.standard_normal((1, 4)), 40, axis=0)
    W, b, lam, rate = network.parameters["dense1.W"], network.parameters["dense1.b"], 0.3, 0.05
    z = X[0] @ W.T + b
    d = np.exp(z) / np.exp(z).sum() - np.eye(3)[1]
    slope_W, slope_b = np.outer(d, X[0]) + lam * W, d
    length = np.sqrt(np.sum(slope_W**2) + np.sum(slope_b**2))
    factor = min(1.0, clip / length)
    optimizer = cr.SGD(rate, clip_norm=clip)
    flow = flow_of(network, X, np.ones(40, int), penalty=cr.L2(lam), optimizer=optimizer)
    own = {one["name"]: one["step"] for one in flow["parameters"]}
    assert own["dense1.W"] == pytest.approx(rate * factor * np.linalg.norm(slope_W))
    assert own["dense1.b"] == pytest.approx(rate * factor * np.linalg.norm(slope_b))
    predicted = -rate * factor * length**2
    assert flow["loss"]["predicted"] == pytest.approx(predicted)


def test_settled_step_of_adam() -> None:
    """Every batch the same: Adam, whose moments are corrected, moves every entry by η from the first step."""
    network, X, y = made("dense", 1)
    X, y = np.repeat(X, 40, axis=0), np.repeat(y, 40)
    record = flow_of(network, X, y, optimizer=cr.Adam(1e-3))["parameters"][0]
    assert SETTLED > 20
    assert record["step"] == pytest.approx(1e-3 * np.sqrt(record["entries"]), rel=1e-3)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("name", CHAINS)
def test_a_parameter_that_is_not_finite_is_a_finding(name: str, value: float) -> None:
    network, X, y = made(name, 6)
    first = next(iter(network.parameters))
    network.parameters[first].flat[0] = value
    found = cr.diagnose(network, X, y, penalty=cr.L2(0.1))
    assert found.rules == ("non_finite",)
    assert found.findings[0]["layer"] == first
    assert "NaN" in found.text()
