"""Training with every penalty: the native steps at every ISA level are those of the formulas."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from tests import by_formula
from training_problems import train_by_formula

import chainrule as cr
from chainrule import _native
from chainrule.engine import Plan

PENALTIES = [cr.L2(0.2), cr.L1(0.2), cr.L1(4.0, per_sample=True), cr.ElasticNet(0.2, 0.5)]
OPTIMIZERS = [cr.SGD(0.05), cr.SGD(0.05, momentum=0.9, clip_norm=0.3), cr.Adam(0.01), cr.RMSProp(0.01)]


@pytest.mark.parametrize("penalty", PENALTIES, ids=repr)
@pytest.mark.parametrize("optimizer", OPTIMIZERS, ids=repr)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_steps_with_a_penalty(penalty: Any, optimizer: Any, dtype: str) -> None:
    """Clipped together with the penalty; a weight of 0 that only the penalty moves stays."""
    r = np.random.default_rng(0)
    X, y = r.standard_normal((21, 3)).astype(np.float32), r.standard_normal((21, 2)).astype(np.float32)
    X[:, 0] = 0
    network = cr.Network([cr.Dense(5), cr.Tanh(), cr.Dense(2)], input_shape=3, seed=1, dtype=dtype)
    W = network.parameters["dense1.W"].copy()
    W[2, 0] = 0
    network.parameters["dense1.W"] = W
    loss, order = cr.SquaredError(), np.arange(21)
    options: dict[str, Any] = {"optimizer": optimizer, "batch_size": 21, "loss": loss, "penalty": penalty}
    exact = network.copy(dtype="float64")
    expected = train_by_formula(exact, X.astype("f8"), y.astype("f8"), orders=[order] * 3, **options)
    step = by_formula.backpropagate(exact, X, y, loss, penalty, training_size=21)
    tolerance = 2e-5 if dtype == "float32" else 1e-12
    for level in _native.supported_levels():
        plan = Plan(
            network, loss, penalty, optimizer, batch_size=21, dtype=dtype, training_size=21, level=level
        )
        value, gradients = plan.gradients(X, y)
        assert value == pytest.approx(step.loss, rel=tolerance)
        for name, gradient in step.gradients.items():
            np.testing.assert_allclose(gradients[name], gradient, rtol=tolerance, atol=tolerance)
        for _ in range(3):
            plan.train_epoch(X, y, order, optimizer.rates(0, 1, 1, 3))
        for name, array in plan.parameters().items():
            np.testing.assert_allclose(array, expected[name], rtol=tolerance, atol=tolerance)
        assert plan.parameters()["dense1.W"][2, 0] == 0
