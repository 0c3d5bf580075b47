"""Pooling where others have been wrong: ties, overlap, empty windows, by the kernels of every level."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import chainrule as cr
from tests.engine.harness import MACHINES, Problem
from tests.engine.test_layers import Inner

LAYERS: list[cr.Layer] = [
    cr.MaxPool2D(2),
    cr.MaxPool2D(2, 1),
    cr.MaxPool2D(3, 1),
    cr.MaxPool2D(3, 2, padding=1),
    cr.L2Pool2D(2),
    cr.L2Pool2D(3, 1, padding=1),
    cr.L2Pool2D(2, mean=True),
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
