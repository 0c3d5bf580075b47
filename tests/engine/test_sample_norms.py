"""Gradients of single samples: their norms by the kernels, the gradients themselves, clipping in training."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
import pytest

import chainrule as cr
from chainrule import reference
from chainrule.engine import Plan
from tests import by_formula
from tests.engine.harness import MACHINES, batch_sizes, same_bits, width

# Layers with a way of their own (dense, direct and grouped convolution), those whose usual gradient is by
# another kernel (Winograd, few samples), and those that are taken sample by sample.
NETWORKS: dict[str, tuple[tuple[int, ...], list[cr.Layer]]] = {
    "dense": ((9,), [cr.Dense(20), cr.ReLU(), cr.Dense(3, bias=False)]),
    "convolution": (
        (9, 8, 4),
        [
            cr.Conv2D(9, 3, padding="same"),
            cr.GELU(),
            cr.MaxPool2D(2),
            cr.Conv2D(6, 3, stride=2, groups=3, dilation=1),
            cr.Tanh(),
            cr.Flatten(),
            cr.Dense(3),
        ],
    ),
    "winograd": (
        (8, 8, 16),
        [cr.Conv2D(16, 3, padding="same"), cr.ReLU(), cr.Conv2D(8, 3), cr.Flatten(), cr.Dense(3)],
    ),
    "one by one": (
        (4, 5),
        [cr.Dense(6), cr.PReLU(), cr.Residual([cr.Dense(6), cr.ELU()]), cr.Flatten(), cr.Dense(3)],
    ),
    "recurrences": (
        (5, 3),
        [cr.Masking(), cr.LSTM(4, outputs="all"), cr.GRU(3, outputs="all"), cr.RNN(5), cr.Dense(3)],
    ),
    "attention": (
        (5, 6),
        [
            cr.MultiHeadAttention(2, causal=True),
            cr.Dense(6),
            cr.MultiHeadAttention(3, key_value_bias=True, zero_key_value=True, relative_positions="t5"),
            cr.Flatten(),
            cr.Dense(3),
        ],
    ),
    "depthwise": (
        (5, 5, 2),
        [
            *(cr.DepthwiseConv2D(3), cr.ReLU(), cr.ConvTranspose2D(3, 2)),
            *(cr.Reshape((4, 4, 1, 3)), cr.ConvTranspose3D(2, 2), cr.Flatten(), cr.Dense(3)),
        ],
    ),
}
LARGEST_BATCH = 2 * 16 + 3
networks = pytest.mark.parametrize("name", NETWORKS)


@cache
def problem(name: str, dtype: str = "float64") -> tuple[cr.Network, Any, Any, Any]:
    shape, layers = NETWORKS[name]
    network = cr.Network([*layers, cr.Softmax()], input_shape=shape, dtype=dtype, seed=2)
    r = np.random.default_rng(7)
    X = r.standard_normal((LARGEST_BATCH, *shape)).astype(np.float32)
    return network, X, r.integers(0, 3, LARGEST_BATCH), r.random(LARGEST_BATCH) + 0.1


@cache
def expected(name: str, samples: int) -> tuple[dict[str, Any], Any]:
    """g_i and ‖g_i‖ by the formulas, one sample after the other."""
    network, X, y, w = problem(name)
    w = w[:samples] / w[:samples].mean()
    rows = [
        by_formula.backpropagate(network, X[i : i + 1], y[i : i + 1], weights=w[i : i + 1]).gradients
        for i in range(samples)
    ]
    gradients = {key: np.stack([row[key] for row in rows]) for key in rows[0]}
    return gradients, np.sqrt(sum((g.reshape(samples, -1) ** 2).sum(1) for g in gradients.values()))


@pytest.mark.turns(2)
@networks
@pytest.mark.parametrize(("level", "dtype"), MACHINES)
def test_norms_by_the_kernels(name: str, level: str, dtype: str) -> None:
    network, X, y, w = problem(name)
    for samples in batch_sizes(width(level, dtype)):
        gradients, norms = expected(name, samples)
        for batch in (samples, 3 * samples):
            plan = Plan(
                network, cr.CrossEntropy(), batch_size=batch, dtype=dtype, level=level, per_sample=True
            )
            weights = w[:samples] / w[:samples].mean()
            loss, found, of_batch = plan.norms(X[:samples], y[:samples], weights)
            tolerance = 300 * float(np.finfo(dtype).eps)
            np.testing.assert_allclose(found, norms, rtol=tolerance)
            assert loss == pytest.approx(plan.evaluate(X[:samples], y[:samples], weights).loss, rel=tolerance)
            for key, gradient in gradients.items():
                scale = float(np.abs(gradient).max()) * tolerance
                np.testing.assert_allclose(of_batch[key], gradient.mean(0), atol=scale, rtol=0)


@pytest.mark.turns(3)
@networks
def test_a_step_gives_them(name: str) -> None:
    network, X, y, w = problem(name)
    gradients, norms = expected(name, 21)
    for executor in (None, reference.ReferenceExecutor()):
        own = network.copy()
        own.set_executor(executor)
        step = own.backpropagate(X[:21], y[:21], sample_weight=w[:21], penalty=cr.L2(0.1))
        np.testing.assert_allclose(step.per_sample_norms(), norms, rtol=1e-12)
        found = step.per_sample_gradients()
        assert set(found) == set(gradients)
        for key, gradient in gradients.items():
            np.testing.assert_allclose(found[key], gradient, rtol=1e-9, atol=1e-13)


@networks
@pytest.mark.parametrize("threads", [1, 3])
def test_training_clips_every_sample(name: str, threads: int) -> None:
    network, X, y, w = problem(name)
    gradients, norms = expected(name, 21)
    limit = float(np.median(norms))
    trained = network.copy()
    optimizer = cr.SGD(1.0, clip_sample_norm=limit)
    cr.fit(
        trained,
        X[:21],
        y[:21],
        sample_weight=w[:21],
        optimizer=optimizer,
        epochs=1,
        batch_size=21,
        shuffle=False,
        threads=threads,
    )
    factor = np.minimum(1, limit / norms)
    assert 5 < (factor < 1).sum() < 16
    for key, gradient in gradients.items():
        clipped = (gradient * factor.reshape(-1, *[1] * (gradient.ndim - 1))).mean(0)
        np.testing.assert_allclose(network.parameters[key] - trained.parameters[key], clipped, atol=1e-13)


def pulled(X: list[list[float]], limit: float, dtype: str) -> Any:
    """w after a step of 0.1 in the direction of its clipped gradient; w = (1, 1) before, y = 0."""
    network = cr.Network([cr.Dense(1, bias=False)], input_shape=2, dtype=dtype)
    network.parameters["dense1.W"] = np.ones((1, 2))
    inputs, y = np.array(X, dtype=dtype), np.zeros((len(X), 1), dtype=dtype)
    optimizer = cr.SGD(0.1 / limit, clip_sample_norm=limit)
    options: dict[str, Any] = {"epochs": 1, "batch_size": len(X), "progress": False}
    cr.fit(network, inputs, y, loss=cr.SquaredError(), optimizer=optimizer, **options)
    return network.parameters["dense1.W"][0]


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("scale", [1e15, 1e19, 1e20, 1e22, 1e25, 1e30, 1e36, 1e37])
@pytest.mark.parametrize("limit", [1.0, 0.1])
def test_a_clipped_sample_pulls_by_the_limit_whatever_its_norm(
    dtype: str, scale: float, limit: float
) -> None:
    """The gradient of the first sample is scale²: its clipping factor is beyond what float32 holds."""
    np.testing.assert_allclose(pulled([[scale, 0]], limit, dtype), [0.9, 1], rtol=3e-7)
    both = pulled([[scale, 0], [0, 0], [0, -scale]], limit, dtype)
    np.testing.assert_allclose(both, [1 - 0.1 / 3] * 2, rtol=3e-7)


@pytest.mark.parametrize("limit", [1e-3, 1e-5, 1e-7, 1e-9])
def test_a_clipped_delta_that_float32_does_not_hold_is_refused(limit: float) -> None:
    """δ of limit / 1e38: 1e-41 has four digits in float32, 1e-47 none."""
    with pytest.raises(cr.NonFiniteError, match="first in δ of dense1"):
        pulled([[1e38, 0]], limit, "float32")
    np.testing.assert_allclose(pulled([[1e38, 0]], limit, "float64"), [0.9, 1], rtol=1e-12)


def test_a_norm_beyond_the_range_is_refused_and_not_clipped_away() -> None:
    """Two layers, so that the norm of the first one's gradient, 1e300 · 1e9, is beyond float64."""
    network = cr.Network([cr.Dense(1, bias=False), cr.Dense(1, bias=False)], input_shape=1, dtype="float64")
    network.parameters["dense1.W"] = np.array([[1e-300]])
    network.parameters["dense2.W"] = np.array([[1e9]])
    before = {name: array.copy() for name, array in network.parameters.items()}
    with pytest.raises(cr.NonFiniteError):
        cr.fit(
            network,
            np.array([[1e300]]),
            np.array([[0.0]]),
            loss="mse",
            optimizer=cr.SGD(0.1, clip_sample_norm=1.0),
            epochs=1,
            progress=False,
        )
    assert same_bits(before, dict(network.parameters))


def test_clipping_is_the_same_for_any_number_of_threads() -> None:
    found = []
    for threads in (1, 2, 3, 4):
        network, X, y, _ = problem("winograd", "float32")
        trained = network.copy()
        optimizer = cr.Adam(0.01, clip_sample_norm=0.5)
        cr.fit(
            trained, X, y, optimizer=optimizer, epochs=2, batch_size=10, penalty=cr.L2(1e-3), threads=threads
        )
        found.append(dict(trained.parameters))
    assert all(same_bits(found[0], other) for other in found[1:])


class Centred(cr.Layer):
    """x minus the mean of the batch."""

    mixes_samples = True

    def forward(self, x: Any) -> Any:
        return x - x.mean(axis=-1, keepdims=True)

    def delta(self, d: Any) -> Any:
        return d - d.mean(axis=-1, keepdims=True)


def test_layers_that_mix_samples_are_refused() -> None:
    network = cr.Network([cr.Dense(3), Centred(), cr.Softmax()], input_shape=2)
    X, y = np.eye(2), np.array([0, 2])
    step = network.backpropagate(X, y)
    for ask in (step.per_sample_norms, step.per_sample_gradients):
        with pytest.raises(ValueError, match=r"centred1 = Centred\(\) computes with all samples of a batch"):
            ask()
    with pytest.raises(ValueError, match="computes with all samples"):
        cr.fit(network, X, y, optimizer=cr.SGD(clip_sample_norm=1.0), epochs=1)


def test_a_step_knows_that_its_parameters_are_gone() -> None:
    network, X, y, _ = problem("dense")
    network = network.copy()
    step = network.backpropagate(X, y)
    network.parameters["dense1.W"][0, 0] += 1
    with pytest.raises(ValueError, match="have changed since this step"):
        step.per_sample_norms()


@pytest.mark.parametrize("value", [0, -1.0, float("nan"), True, "1"])
def test_limits_that_are_none(value: Any) -> None:
    with pytest.raises((ValueError, TypeError), match="clip_sample_norm"):
        cr.SGD(clip_sample_norm=value)
