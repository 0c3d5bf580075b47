"""Layers that square or sum their inputs, over the whole range of float32: as the formulas in float64 say."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import chainrule as cr
from chainrule.engine import Plan
from tests import by_formula
from tests.engine.harness import LEVELS

SCALES = [10.0**n for n in range(-38, 39, 2)]
SAMPLES = 9
CASES: dict[str, tuple[tuple[int, ...], list[cr.Layer]]] = {
    "LayerNorm of vectors": ((7,), [cr.LayerNorm()]),
    "LayerNorm of steps": ((4, 7), [cr.LayerNorm()]),
    "LayerNorm of pixels": ((3, 4, 7), [cr.LayerNorm(), cr.Tanh()]),
    "RMSNorm of vectors": ((7,), [cr.RMSNorm()]),
    "RMSNorm of pixels": ((3, 4, 7), [cr.RMSNorm(), cr.Tanh()]),
    "GroupNorm": ((3, 4, 6), [cr.GroupNorm(3)]),
    "instance normalisation": ((5, 6), [cr.GroupNorm(6)]),
    "BatchNorm": ((3, 4), [cr.BatchNorm()]),
    "BatchNorm of vectors": ((4,), [cr.BatchNorm(), cr.ReLU()]),
    "L2Pool2D": ((4, 4, 3), [cr.L2Pool2D(2)]),
    "L2Pool2D, mean": ((5, 5, 3), [cr.L2Pool2D(3, 1, mean=True, padding=1)]),
    "AveragePool2D": ((4, 4, 3), [cr.AveragePool2D(2)]),
    "AveragePool1D": ((7, 3), [cr.AveragePool1D(3, 2, padding=1)]),
    "GlobalAveragePool": ((4, 4, 3), [cr.GlobalAveragePool()]),
    "masked GlobalAveragePool": ((6, 3), [cr.Masking(), cr.GlobalAveragePool()]),
}
SMALLEST = float(np.finfo(np.float32).tiny)


def assert_near(found: Any, expected: Any, what: Any) -> None:
    """To 60 roundings of the largest entry; the smallest normal number is the resolution of what is below."""
    assert np.isfinite(found).all(), what
    largest = float(np.abs(expected).max(initial=0.0))
    allowed = 60 * float(np.finfo(np.float32).eps) * largest + 4 * SMALLEST
    np.testing.assert_allclose(found, expected, rtol=0, atol=allowed, err_msg=str(what))


@pytest.mark.parametrize("level", LEVELS)
@pytest.mark.parametrize("case", CASES)
def test_every_scale_of_the_inputs(case: str, level: str) -> None:
    shape, layers = CASES[case]
    network = cr.Network(layers, input_shape=shape, seed=1)
    r = np.random.default_rng(3)
    for name, value in network.parameters.items():
        if name.endswith((".gamma", ".beta")):
            network.parameters[name] = 0.5 + r.random(value.shape)
    unit = r.uniform(-1.5, 1.5, (SAMPLES, *shape))
    y = r.standard_normal((SAMPLES, *network.output_shape))
    plan = Plan(network, cr.SquaredError(), batch_size=SAMPLES, level=level, keep=True)
    for scale in SCALES:
        X = (unit * scale).astype(np.float32)
        step = by_formula.backpropagate(network, X, y, cr.SquaredError())
        loss, activations, deltas, gradients = plan.inspect(X, y)
        assert loss == pytest.approx(step.loss, rel=1e-5)
        for found, expected in (
            (activations, step.activations),
            (deltas, step.deltas),
            (gradients, step.gradients),
        ):
            for name, value in expected.items():
                assert_near(found[name], value, (case, scale, name))


@pytest.mark.parametrize("kind", ["float32", "float64"])
def test_running_numbers_beyond_the_type_are_not_learned_silently(kind: str) -> None:
    """The variance of inputs of 1e25 is 1e50, which a float32 network cannot keep."""
    network = cr.Network([cr.BatchNorm(), cr.Dense(1)], input_shape=3, dtype=kind, seed=0)
    X = 1e25 * np.random.default_rng(0).standard_normal((32, 3))
    if kind == "float64":
        cr.fit(network, X, np.zeros(32), loss="mse", epochs=1, progress=False)
        assert network.parameters["batchnorm1.variance"].min() > 1e48
        return
    before = {name: value.copy() for name, value in network.parameters.items()}
    with pytest.raises(cr.ChainruleError, match=r"batchnorm1\.variance"):
        cr.fit(network, X, np.zeros(32), loss="mse", epochs=1, progress=False)
    assert all(np.array_equal(before[name], value) for name, value in network.parameters.items())
