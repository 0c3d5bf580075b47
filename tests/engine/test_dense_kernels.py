"""Dense layers beside every size their kernels are cut into: heads of few outputs, whose gradients are summed
over lanes; batches that leave lanes of the last block empty, whose δ is summed over outputs; and data with
zeros, which the first layer leaves out.
"""

from __future__ import annotations

import numpy as np
import pytest

import chainrule as cr
from chainrule.engine import Plan
from tests.engine.harness import LEVELS, MACHINES, Array, same_bits
from tests.pairwise import pairwise


def made(inputs: int, hidden: int, outputs: int, dtype: str) -> cr.Network:
    layers = [cr.Dense(hidden), cr.Tanh(), cr.Dense(outputs)]
    return cr.Network(layers, input_shape=(inputs,), dtype=dtype, seed=3)


def by_hand(network: cr.Network, X: Array, y: Array) -> dict[str, Array]:
    """The gradients of the squared error, in double."""
    p = {name: np.asarray(array, dtype=np.float64) for name, array in network.parameters.items()}
    z = X @ p["dense1.W"].T + p["dense1.b"]
    a = np.tanh(z)
    delta = (a @ p["dense2.W"].T + p["dense2.b"] - y) / len(X)
    below = (delta @ p["dense2.W"]) * (1 - a**2)
    return {
        "dense1.W": below.T @ X,
        "dense1.b": below.sum(axis=0),
        "dense2.W": delta.T @ a,
        "dense2.b": delta.sum(axis=0),
    }


# Inputs, hidden units, outputs, samples.
SIZES = pairwise(
    (1, 3, 16, 21, 70),
    (1, 7, 16, 49, 100, 300),
    (1, 2, 3, 4, 5, 8, 10, 13, 17, 40),
    (1, 2, 4, 7, 16, 19, 33, 100, 131),
)


@pytest.mark.parametrize(("level", "dtype"), MACHINES)
def test_gradients_of_every_size(level: str, dtype: str) -> None:
    rng = np.random.default_rng(1)
    for case in SIZES:
        inputs, hidden, outputs, batch = case
        network = made(inputs, hidden, outputs, dtype)
        X = rng.standard_normal((batch, inputs)).astype(dtype)
        X[:, : inputs // 4] = 0
        y = rng.standard_normal((batch, outputs)).astype(dtype)
        plan = Plan(network, cr.SquaredError(), batch_size=batch + 5, level=level)
        _, found = plan.gradients(X, y)
        tolerance = 3e-5 if dtype == "float32" else 1e-12
        for name, expected in by_hand(network, X.astype(np.float64), y.astype(np.float64)).items():
            scale = np.abs(expected).max() + 1e-3
            assert np.abs(found[name] - expected).max() <= tolerance * scale, (name, case)


def with_zeros(rng: np.random.Generator, batch: int, inputs: int, dtype: str) -> Array:
    """Columns of zeros, of both signs, and runs of samples that have zeros in more of them."""
    X = rng.standard_normal((batch, inputs)).astype(dtype)
    X[:, rng.permutation(inputs)[: inputs // 5]] = 0
    X[: batch // 2, rng.permutation(inputs)[: inputs // 3]] = 0
    X[:, 0] = 0
    return np.where((X == 0) & (rng.random(X.shape) < 0.5), -X, X)


@pytest.mark.parametrize("level", LEVELS)
@pytest.mark.parametrize(
    ("inputs", "hidden", "batch"),
    [(16, 48, 33), (37, 100, 100), (64, 100, 200), (300, 50, 53), (600, 48, 64)],
)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_what_is_left_out_changes_no_bit(
    level: str, dtype: str, inputs: int, hidden: int, batch: int
) -> None:
    rng = np.random.default_rng(2)
    network = made(inputs, hidden, 10, dtype)
    network.parameters["dense1.b"] += 0.1
    X, y = with_zeros(rng, batch, inputs, dtype), rng.standard_normal((batch, 10)).astype(dtype)
    seeing, blind = (Plan(network, cr.SquaredError(), batch_size=batch, level=level) for _ in range(2))
    full = np.ones_like(X)
    blind.gradients(full, y)  # nothing to leave out: for some batches nobody looks again
    loss, found = seeing.gradients(X, y)
    other_loss, others = blind.gradients(X, y)
    assert loss == other_loss
    assert same_bits({n: a + 0.0 for n, a in found.items()}, {n: a + 0.0 for n, a in others.items()})
    zero = (X == 0).all(axis=0)
    assert zero.any()
    assert not found["dense1.W"][:, zero].any()
    assert seeing.gradients(full, y)[0] == blind.gradients(full, y)[0]  # what was left out is not kept
    few = Plan(network, cr.SquaredError(), batch_size=1, level=level)
    assert few.predict(X[3:4]).tobytes() == seeing.predict(X)[3:4].tobytes()


@pytest.mark.parametrize("threads", [1, 3])
def test_zeros_on_threads_and_beside_full_batches(threads: int) -> None:
    """Batches with and without zeros, one behind the other, a partial one last: as without looking at all."""
    rng = np.random.default_rng(4)
    X = np.concatenate([with_zeros(rng, 400, 70, "float32"), np.ones((150, 70), "float32")])
    y = rng.integers(0, 10, len(X))
    tiny = X + np.float32(1e-30) * (X == 0)  # beside numbers of 0.1 and above that adds nothing either
    networks = []
    for data in (X, tiny):
        layers = [cr.Dense(64), cr.Tanh(), cr.Dense(10), cr.Softmax()]
        network = cr.Network(layers, input_shape=(70,), seed=0)
        for name in network.parameters:
            network.parameters[name] += 0.01
        how = {"optimizer": cr.SGD(0.1), "epochs": 3, "batch_size": 96, "threads": threads}
        cr.fit(network, data, y, progress=False, **how)
        networks.append(network)
    assert np.isfinite(networks[0].predict(X)).all()
    for name, array in networks[0].parameters.items():
        assert np.array_equal(array, networks[1].parameters[name]), name

