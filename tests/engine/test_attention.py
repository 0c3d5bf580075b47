"""Attention by its kernels: behind embeddings with padding, on long sequences, with large scores."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import chainrule as cr
from chainrule import reference
from tests.engine.harness import MACHINES, Array, Problem, assert_like_reference, batch_sizes, width

machines = pytest.mark.parametrize(("level", "dtype"), MACHINES)
LARGEST_BATCH = 2 * 16 + 3


def ids(steps: int) -> Array:
    """Sentences of every length, the padding 0 behind them, and some in front."""
    r = np.random.default_rng(3)
    X = r.integers(1, 7, (LARGEST_BATCH, steps))
    for i, row in enumerate(X):
        row[steps - i % (steps + 1) :] = 0
    X[::5] = X[::5, ::-1]
    return X.astype(np.float32)


# Keys that are not of the sequence, and numbers of distances.
OPTIONS: dict[str, dict[str, Any]] = {
    "plain": {},
    "causal": {"causal": True},
    "row": {"key_value_bias": True, "causal": True},
    "zero": {"zero_key_value": True},
    "rows, slopes": {"key_value_bias": True, "zero_key_value": True, "relative_positions": "alibi"},
    "buckets": {"relative_positions": "t5", "buckets": 5, "max_distance": 6, "causal": True},
}


@machines
@pytest.mark.parametrize("kind", OPTIONS)
def test_padding_of_ids_reaches_attention(level: str, dtype: str, kind: str) -> None:
    block = cr.Residual([cr.MultiHeadAttention(2, **OPTIONS[kind])])
    layers = [cr.Embedding(7, 6, padding=0), cr.LearnedPositions(), block, cr.Dense(4), cr.Tanh()]
    network = cr.Network([*layers, cr.MultiHeadAttention(1)], input_shape=9, seed=2)
    y = np.random.default_rng(1).standard_normal((LARGEST_BATCH, 9, 4)).astype(np.float32)
    problem = Problem(network, ids(9), y, cr.SquaredError())
    for samples in batch_sizes(width(level, dtype)):
        part = problem.first(samples)
        assert_like_reference(part, level, dtype, samples, part.step())


@machines
@pytest.mark.parametrize("steps", [15, 16, 17, 33])
def test_runs_of_queries(level: str, dtype: str, steps: int) -> None:
    """Queries are taken sixteen at a time."""
    network = cr.Network([cr.MultiHeadAttention(2, causal=True)], input_shape=(steps, 14), seed=1)
    r = np.random.default_rng(steps)
    X = r.standard_normal((5, steps, 14)).astype(np.float32)
    y = r.standard_normal((5, steps, 14)).astype(np.float32)
    problem = Problem(network, X, y, cr.SquaredError())
    assert_like_reference(problem, level, dtype, 5, problem.step())


@machines
def test_large_scores_do_not_overflow(level: str, dtype: str) -> None:
    network = cr.Network([cr.MultiHeadAttention(1, causal=True, bias=False)], input_shape=(4, 2), dtype=dtype)
    for name in network.parameters:
        network.parameters[name] = np.eye(2)
    X = np.array([[[60, 0], [0, -60], [60, 60], [1, 1]]], dtype)
    expected = reference.forward(network, X)
    assert np.isfinite(expected).all()
    np.testing.assert_allclose(cr.Plan(network, level=level, dtype=dtype).predict(X), expected, atol=1e-5)


@machines
@pytest.mark.parametrize("score", [-1e4, 1e4])
def test_scores_far_from_those_of_other_keys(level: str, dtype: str, score: float) -> None:
    """All weight is on the key of zeros, or none; what has none gets no δ, and nothing is divided by 0."""
    layer = cr.MultiHeadAttention(1, bias=False, zero_key_value=True, key_value_bias=True)
    network = cr.Network([layer], input_shape=(3, 2), dtype=dtype)
    eye = np.eye(2)
    network.set_parameters({f"attention1.W_{key}": eye for key in "qkvo"})
    network.set_parameters({"attention1.k_0": [[0, -score]], "attention1.v_0": [[7, 7]]})
    network.set_parameters({"attention1.W_k": np.array([[score, 0], [0, 0]])})
    X = np.abs(np.random.default_rng(0).standard_normal((5, 3, 2))) + 0.1
    plan = cr.Plan(network, level=level, dtype=dtype)
    made = plan.predict(X.astype(dtype))
    np.testing.assert_allclose(made, reference.forward(network, X), atol=1e-5)
    if score < 0:
        np.testing.assert_allclose(made, 7, rtol=1e-6)  # of the learned one
    else:
        assert not np.isclose(made, 7).any()


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_gradients_of_rows_and_distances_do_not_depend_on_threads(dtype: str) -> None:
    def trained(threads: int) -> dict[str, Array]:
        options: dict[str, Any] = {"key_value_bias": True, "relative_positions": "learned"}
        layers = [cr.MultiHeadAttention(2, key_value_heads=1, **options), cr.Flatten(), cr.Dense(2)]
        network = cr.Network(layers, input_shape=(18, 4), seed=1, dtype=dtype)
        r = np.random.default_rng(0)
        X, y = r.standard_normal((70, 18, 4)), r.standard_normal((70, 2))
        cr.fit(network, X, y, epochs=2, batch_size=35, threads=threads, progress=False)
        return {**network.parameters}

    first = trained(1)
    for threads in (2, 3, 4):
        for name, array in trained(threads).items():
            np.testing.assert_array_equal(array, first[name], err_msg=name)


def test_a_step_that_is_not_there_is_seen_by_none() -> None:
    layers = [cr.Embedding(7, 4, padding=0), cr.MultiHeadAttention(2), cr.Tanh()]
    network = cr.Network(layers, input_shape=5, seed=3)
    short = cr.Network.from_parameters(layers, network.parameters, input_shape=3)
    X = np.array([[3, 1, 6, 0, 0], [2, 2, 5, 0, 0]])
    np.testing.assert_allclose(network.predict(X)[:, :3], short.predict(X[:, :3]), atol=1e-6)


def test_where_numbers_end_is_named() -> None:
    network = cr.Network([cr.MultiHeadAttention(1), cr.Flatten(), cr.Dense(1)], input_shape=(3, 2), seed=0)
    network.parameters["attention1.W_q"] = np.full((2, 2), 3e38)
    with pytest.raises(cr.NonFiniteError, match="attention1"):
        cr.fit(network, np.ones((4, 3, 2)), np.zeros(4), epochs=1)
