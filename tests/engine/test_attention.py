"""Attention by its kernels: behind embeddings with padding, on long sequences, with large scores."""

from __future__ import annotations

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


@machines
@pytest.mark.parametrize("causal", [False, True])
def test_padding_of_ids_reaches_attention(level: str, dtype: str, causal: bool) -> None:
    block = cr.Residual([cr.MultiHeadAttention(2, causal=causal)])
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
