"""Recurrences in a native plan, beside the cases of every layer: long ones, ways to end, what is refused."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import chainrule as cr
from chainrule import _native, reference
from chainrule.engine import Plan
from tests.engine.harness import MACHINES, Problem, assert_like_reference, width

machines = pytest.mark.parametrize(("level", "dtype"), MACHINES)


def both(units: int, **options: Any) -> cr.LSTM:
    return cr.LSTM(units, projection=units - 2, peepholes=True, **options)


@machines
@pytest.mark.parametrize("cls", [cr.RNN, cr.LSTM, cr.GRU, both])
def test_groups_of_blocks(cls: Any, level: str, dtype: str) -> None:
    """One to seven blocks: groups of one, two and three go through time together."""
    r = np.random.default_rng(4)
    network = cr.Network([cls(18, outputs="all", truncate=4), cls(5)], input_shape=(6, 3), seed=3)
    outputs = network.output_shape[0]
    for blocks in range(1, 8):
        samples = blocks * width(level, dtype) - 1
        X = r.standard_normal((samples, 6, 3)).astype(np.float32)
        y = r.standard_normal((samples, outputs)).astype(np.float32)
        problem = Problem(network, X, y, cr.SquaredError())
        assert_like_reference(problem, level, dtype, samples, problem.step())


@machines
@pytest.mark.parametrize("cls", [cr.RNN, cr.LSTM, cr.GRU, both])
def test_a_long_sequence(cls: Any, level: str, dtype: str) -> None:
    """Hundreds of steps, predicted and trained; nothing of an earlier batch remains in the state."""
    r = np.random.default_rng(5)
    network = cr.Network([cls(9), cr.Dense(2)], input_shape=(300, 2), seed=4, dtype=dtype)
    X, y = r.standard_normal((20, 300, 2)).astype(np.float32), r.standard_normal((20, 2)).astype(np.float32)
    plan = Plan(network, cr.SquaredError(), None, cr.SGD(), batch_size=7, level=level)
    eps = float(np.finfo(dtype).eps)
    np.testing.assert_allclose(plan.predict(X), reference.forward(network, X), rtol=0, atol=1e3 * eps)
    first = plan.predict(X[:3])
    plan.train_epoch(X, y, np.arange(20), np.zeros(3))
    np.testing.assert_array_equal(plan.predict(X[:3]), first)


def test_an_infinite_state_is_found() -> None:
    """ReLU lets the state grow: the layer where it does is named."""
    network = cr.Network([cr.RNN(4, activation="relu"), cr.Dense(1)], input_shape=(200, 1), seed=1)
    network.parameters["rnn1.U"] = np.full((4, 4), 9.0)
    network.parameters["rnn1.W"] = np.ones((4, 1))
    with pytest.raises(cr.NonFiniteError, match="rnn1"):
        cr.fit(network, np.ones((8, 200, 1)), np.ones((8, 1)), epochs=1, progress=False)


REFUSED: dict[str, dict[str, Any]] = {
    "gates of another cell": {"gates": 3},
    "another cell": {"cell": _native.Cell.rnn},
    "an activation whose derivative needs z": {"activation": _native.Act.gelu},
    "units": {"units": 5},
    "every step into one": {"every": True},
    "a mask of other steps": {"mask": 1},
    "too few parameters": {"parameters": [0, 1]},
    "parameters in another order": {"parameters": [1, 0, 2]},
    "truncated backwards": {"truncate": -1},
    "a size without a projection": {"size": 3},
    "a projection of another size": {"projection": 0},
    "peepholes of a cell without them": {"peepholes": 2},
    "peepholes that are not given": {"cell": _native.Cell.peephole},
    "peepholes of another size": {"cell": _native.Cell.peephole, "peepholes": 2},
    "no such value": {"mask": 17},
    "no such parameter": {"parameters": [0, 1, 9]},
}


@pytest.mark.parametrize("what", REFUSED)
def test_what_does_not_fit_together_is_refused(what: str) -> None:
    plan = _native.PlanFloat64(_native.supported_levels()[0], 4)
    none = (0, 0, 0, 0)
    x = plan.add_value(1, 6, 3, none, False, none)
    z = plan.add_value(1, 1, 4, none, True, none)
    for outputs, inputs in ((16, 3), (16, 4)):
        plan.add_parameter(outputs * inputs, outputs, inputs, True, True)
    plan.add_parameter(16, 0, 0, False, False)
    fitting = {"parameters": [0, 1, 2], "mask": -1, "gates": 4, "units": 4}
    fitting |= {"cell": _native.Cell.lstm, "activation": _native.Act.identity}
    fitting |= {"every": False, "reverse": False, "truncate": 0, "first": -1, "ends": False}
    fitting |= {"size": 4, "projection": -1, "peepholes": -1}
    plan.add_recurrent(x, z, **fitting)
    with pytest.raises((ValueError, IndexError)):
        plan.add_recurrent(x, z, **{**fitting, **REFUSED[what]})
