"""Programs in composites, and programs that refer to what does not exist: an error, never a crash."""

from __future__ import annotations

import numpy as np
import pytest

import chainrule as cr
from chainrule import _native
from tests.engine import own_layers as own
from tests.engine.harness import MACHINES, Problem, assert_like_reference

machines = pytest.mark.parametrize(("level", "dtype"), MACHINES)

COPY = (0, 0, 1, 0, 0, 0)
X, Z = (1, 0, 0, 0), (1, 1, 0, 0)


@machines
def test_programs_in_branches(level: str, dtype: str) -> None:
    branch = [own.LayerNorm(), cr.Dense(6), own.Swish()]
    layers = [
        cr.Dense(6),
        cr.GELU(),
        cr.Residual(branch),
        own.Slopes(),
        cr.Residual([own.ScaleShift()]),
        cr.Dense(2),
    ]
    network = cr.Network(layers, input_shape=5, seed=1)
    r = np.random.default_rng(2)
    x, y = r.standard_normal((19, 5)).astype(np.float32), r.standard_normal((19, 2)).astype(np.float32)
    problem = Problem(network, x, y, own.Huber())
    assert not problem.plan(level, dtype, keep=False)._built.hosts
    assert_like_reference(problem, level, dtype, 19, problem.step())


@pytest.mark.parametrize(
    ("step", "slots"),
    [
        ((99, 0, 1, 0, 0, 0), [X, Z]),
        ((-1, 0, 1, 0, 0, 0), [X, Z]),
        ((0, 0, 2, 0, 0, 0), [X, Z]),
        ((0, 0, 1, -1, 0, 0), [X, Z]),
        (COPY, [X, (1, 2, 0, 0)]),  # forward knows x and z
        (COPY, [(2, 0, 0, 0), Z]),  # no parameter
        (COPY, [(0, 0, 0, 0), Z]),  # no constant
        (COPY, [(3, 0, 0, 0), Z]),  # no temporary
        (COPY, [(6, 0, 0, 0), Z]),
        (COPY, [X, Z] * 65),
    ],
)
def test_a_program_is_checked(step: tuple[int, ...], slots: list[tuple[int, ...]]) -> None:
    plan = _native.PlanFloat32(_native.supported_levels()[-1], 3)
    halo = (0, 0, 0, 0)
    x, z = (plan.add_value(1, 1, 4, halo, True, halo) for _ in range(2))
    empty = _native.Program([], [], [], 0, 0, False)
    with pytest.raises(ValueError, match="refers to what does not exist"):
        plan.add_program(x, z, _native.Program([step], slots, [], 0, 0, False), empty, [])
    plan.add_program(x, z, _native.Program([COPY], [X, Z], [], 0, 0, False), empty, [])
    wide = plan.add_value(1, 1, 5, halo, True, halo)
    with pytest.raises(ValueError, match="the same channels or one"):
        plan.add_program(x, wide, empty, empty, [])


def test_labels_of_a_loss_that_is_a_program() -> None:
    """Plan gives it one-hot rows; whoever calls the native plan with labels is told."""
    network = cr.Network([cr.Dense(3)], input_shape=2)
    plan = cr.engine.Plan(network, own.Huber(), batch_size=4)
    x, labels = np.ones((4, 2), np.float32), np.zeros(4, np.int64)
    assert np.isfinite(plan.evaluate(x, labels).loss)
    with pytest.raises(ValueError, match="takes targets as numbers"):
        plan._native.backpropagate(x, 1.0, labels, None, False, False)
