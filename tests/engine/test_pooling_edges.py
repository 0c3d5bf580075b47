"""Pooling where others have been wrong: ties, overlap, empty windows, by the kernels of every level."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import chainrule as cr
from tests.engine.harness import MACHINES, Problem, assert_like_reference
from tests.engine.test_layers import Inner

LAYERS: list[cr.Layer] = [
    cr.MaxPool2D(2),
    cr.MaxPool2D(2, 1),
    cr.MaxPool2D(3, 1),
    cr.MaxPool2D(3, 2, padding=1),
    cr.L2Pool2D(2),
    cr.L2Pool2D(3, 1, padding=1),
    cr.L2Pool2D(2, mean=True),
    cr.MaxPool2D(4),
    cr.MaxPool2D((4, 5), (5, 6)),
    cr.GlobalMaxPool(),
]


@pytest.mark.parametrize("layer", LAYERS, ids=repr)
@pytest.mark.parametrize(("level", "dtype"), MACHINES)
@pytest.mark.parametrize("values", ["zeros", "equal", "few"])
def test_ties_and_empty_windows(layer: Any, level: str, dtype: str, values: str) -> None:
    """All zero, all equal, images of 0 and 1: δ goes to the first maximum; L2 windows of 0 send 0."""
    r = np.random.default_rng(3)
    shape = (21, 5, 6, 3)
    images = {"zeros": np.zeros(shape), "equal": np.full(shape, 2.0), "few": r.integers(0, 2, shape)}
    X = images[values].astype(np.float32)
    network = cr.Network([layer], input_shape=shape[1:])
    y = r.integers(-4, 5, (21, *network.output_shape)).astype(np.float32)
    problem = Problem(network, X, y, Inner())
    step = problem.step()
    activations, deltas = problem.plan(level, dtype, keep=True).inspect(X, y, None)[1:3]
    for name, expected in step.deltas.items():
        assert np.isfinite(deltas[name]).all()
        np.testing.assert_allclose(deltas[name], expected, rtol=0, atol=1e-6 if dtype == "float32" else 1e-14)
    for name, expected in step.activations.items():
        np.testing.assert_allclose(
            activations[name], expected, rtol=0, atol=1e-6 if dtype == "float32" else 1e-14
        )


@pytest.mark.parametrize("activation", [cr.ReLU, cr.GELU])
@pytest.mark.parametrize("pool", [cr.MaxPool2D, cr.AveragePool2D])
@pytest.mark.parametrize(("level", "dtype"), MACHINES)
def test_large_windows(pool: Any, activation: Any, level: str, dtype: str) -> None:
    """Read pixel by pixel, sixteen channels of each; pixels between windows and behind the last have no δ."""
    layers = [cr.Conv2D(19, 1), activation(), pool((4, 5), stride=(5, 5)), cr.Flatten(), cr.Dense(3)]
    network = cr.Network(layers, input_shape=(11, 16, 2), seed=1)
    r = np.random.default_rng(0)
    X, y = r.standard_normal((19, 11, 16, 2)), r.standard_normal((19, 3))
    problem = Problem(network, X.astype(np.float32), y.astype(np.float32), cr.SquaredError())
    assert_like_reference(problem, level, dtype, 19, problem.step())


@pytest.mark.parametrize(("level", "dtype"), MACHINES)
def test_gradients_of_few_positions(level: str, dtype: str) -> None:
    """By filters, of whole and of partly empty panels, where images are small and kernels large."""
    layers = [cr.Conv2D(20, 7), cr.Tanh(), cr.Conv2D(17, 2), cr.Flatten(), cr.Dense(3)]
    network = cr.Network(layers, input_shape=(9, 9, 3), seed=1)
    r = np.random.default_rng(0)
    X, y = r.standard_normal((35, 9, 9, 3)), r.standard_normal((35, 3))
    problem = Problem(network, X.astype(np.float32), y.astype(np.float32), cr.SquaredError())
    for samples in (3, 16, 35):
        part = problem.first(samples)
        assert_like_reference(part, level, dtype, samples, part.step())
