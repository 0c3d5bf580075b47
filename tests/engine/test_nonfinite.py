"""Divergence: training ends, and the place where it began is named. And a step that takes no memory."""

from __future__ import annotations

import resource
import sys
from typing import Any

import numpy as np
import pytest

import chainrule as cr
from chainrule.engine import Plan
from tests.engine.harness import MACHINES, same_bits

machines = pytest.mark.parametrize(("level", "dtype"), MACHINES)


def plan_of(layers: list[cr.Layer], level: str, dtype: str, **options: Any) -> tuple[Plan, Any, Any]:
    network = cr.Network(layers, input_shape=6, seed=1, dtype=dtype)
    r = np.random.default_rng(2)
    X, y = r.standard_normal((40, 6)), r.standard_normal((40, *network.output_shape))
    given = {"loss": cr.SquaredError(), "optimizer": cr.SGD(), "batch_size": 8, "level": level, **options}
    return Plan(network, **given), X, y


@machines
def test_a_diverging_network_ends_and_says_where(level: str, dtype: str) -> None:
    plan, X, y = plan_of([cr.Dense(7), cr.ReLU(), cr.Dense(5), cr.Dense(2)], level, dtype)
    order = np.tile(np.arange(40), 40)
    result = plan.train_epoch(X, y, order, np.full(200, 1e10))
    assert result.outcome == "nonfinite"
    assert 0 < result.steps < 200
    where = plan.first_nonfinite()
    if where is None:  # every value is a number still, but the square of an error is none
        with np.errstate(over="ignore"):
            assert not np.isfinite(np.square(plan.predict(X)[:8] - y[:8]).sum())
        return
    kind, _, name = where.rpartition(" ")
    assert kind in {"parameter", "output of", "δ of", "gradient of"}
    assert name.split(".")[0] in {"dense1", "relu1", "dense2", "dense3"}


@machines
def test_where_it_begins(level: str, dtype: str) -> None:
    """A parameter first, else the first output, by the names of the network."""
    layers = [cr.Dense(7), cr.Tanh(), cr.Dense(5), cr.ReLU(), cr.Dense(2)]
    plan, X, y = plan_of(layers, level, dtype, batch_size=40)
    assert plan.first_nonfinite() is None
    broken = {name: array.copy() for name, array in plan.network.parameters.items()}
    broken["dense2.b"][3] = np.inf
    plan.load(broken)
    result = plan.train_epoch(X, y, np.arange(40), np.array([0.1]))
    assert (result.outcome, result.steps) == ("nonfinite", 0)
    assert plan.first_nonfinite() == "parameter dense2.b"

    plan, X, y = plan_of(layers, level, dtype, batch_size=40)
    X[7, 2] = np.nan
    plan.train_epoch(X, y, np.arange(40), np.array([0.1]))
    assert plan.first_nonfinite() == "output of input"

    largest = float(np.finfo(dtype).max)
    plan, X, y = plan_of(layers, level, dtype, batch_size=40)
    huge = {**plan.network.parameters, "dense3.W": np.full((2, 5), largest), "dense2.b": np.full(5, 10.0)}
    plan.load(huge)
    plan.train_epoch(X, y, np.arange(40), np.array([0.1]))
    assert plan.first_nonfinite() == "output of dense3"


@machines
def test_a_step_that_is_not_finite_changes_nothing(level: str, dtype: str) -> None:
    """The step whose loss is not a number is not taken: the parameters are those before it."""
    layers = [cr.Dense(7), cr.ReLU(), cr.Dense(2)]
    plan, X, y = plan_of(layers, level, dtype)
    X[20, 3] = np.nan  # in the third batch
    result = plan.train_epoch(X, y, np.arange(40), np.full(5, 0.1))
    assert (result.outcome, result.steps) == ("nonfinite", 2)
    other, X, y = plan_of(layers, level, dtype)
    other.train_epoch(X, y, np.arange(16), np.full(2, 0.1))
    assert same_bits(plan.parameters(), other.parameters())


def test_fit_keeps_the_last_finite_parameters() -> None:
    network = cr.Network([cr.Dense(7), cr.ReLU(), cr.Dense(2)], input_shape=6, seed=1)
    r = np.random.default_rng(2)
    X, y = r.standard_normal((40, 6)), r.standard_normal((40, 2))
    with pytest.raises(cr.NonFiniteError, match=r"epoch \d+, step \d+"):
        cr.fit(network, X, y, optimizer=cr.SGD(1e10), epochs=50, progress=False)
    assert all(np.isfinite(array).all() for array in network.parameters.values())


# -- memory --------------------------------------------------------------------------------------------------

STEPS = 2000
GROWTH = 1 << 20  # bytes: 500 a step would show


def resident() -> int:
    """The most memory the process has had."""
    used = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return used if sys.platform == "darwin" else used * 1024


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_a_step_allocates_nothing_that_stays(dtype: str) -> None:
    layers: list[cr.Layer] = [
        cr.Conv2D(8, 3, padding=1),
        cr.GELU(),
        cr.Conv2D(8, 3, padding=1),
        cr.MaxPool2D(2),
        cr.Flatten(),
        cr.Dense(9),
        cr.Softmax(),
        cr.Dense(3),
        cr.Softmax(),
    ]
    network = cr.Network(layers, input_shape=(6, 6, 1), dtype=dtype)
    r = np.random.default_rng(1)
    X, y = r.standard_normal((24, 6, 6, 1)).astype(dtype), r.integers(0, 3, 24)
    plan = Plan(network, cr.CrossEntropy(), cr.L2(1e-3), cr.Adam(clip_norm=1.0), batch_size=10)
    order, rates = np.tile(np.arange(24), STEPS * 10 // 24), np.full(-(-(STEPS * 10 // 24) * 24 // 10), 1e-4)
    plan.train_epoch(X, y, order[:100], rates[:10])
    plan.gradients(X[:10], y[:10])
    before = resident()
    assert plan.train_epoch(X, y, order, rates).outcome == "done"
    assert resident() - before < GROWTH


def test_plans_are_freed() -> None:
    """Building and dropping them, with a host layer too, does not pile up arenas of 2 MB."""

    class Own(cr.Activation):
        def f(self, z: Any) -> Any:
            return z + 1

        def df(self, z: Any) -> Any:
            return np.ones_like(z)

    network = cr.Network([cr.Dense(500), Own(), cr.Dense(500), cr.ReLU(), cr.Dense(2)], input_shape=300)
    X, y = np.ones((32, 300), np.float32), np.ones((32, 2), np.float32)

    def once() -> None:
        Plan(network, cr.SquaredError(), None, cr.Adam(), batch_size=32).train_epoch(
            X, y, np.arange(32), np.ones(1)
        )

    for _ in range(3):
        once()
    before = resident()
    for _ in range(30):
        once()
    assert resident() - before < 20 * GROWTH  # an arena is 7 MB
