"""Random builds of native plans end in an error or in a plan that runs, never in a crash."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest

import chainrule as cr
from chainrule import _native
from chainrule.engine import Plan
from tests.engine.harness import LEVELS
from tests.engine.random_builds import recorded

BUILDS = 1500
HALO = (0, 0, 0, 0)


def test_random_builds_are_refused_or_run(request: pytest.FixtureRequest) -> None:
    """In a process of their own; what it printed last is the number of the build that ended it."""
    first = BUILDS * request.config.getoption("--draw")
    command = [sys.executable, "-m", "tests.engine.random_builds", str(first), str(BUILDS)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, f"{done.stdout[-200:]}\n{done.stderr[-3000:]}"
    assert f"{BUILDS} builds: " in done.stdout
    assert "'ValueError'" in done.stdout
    assert "'done'" in done.stdout


def test_every_call_of_the_builder_is_recorded() -> None:
    called = {name for _, calls in recorded() for name, *_ in calls}
    assert {name for name in dir(_native.PlanFloat32) if name.startswith(("add_", "share_"))} <= called


def built(batch: int = 4) -> _native.PlanFloat32:
    return _native.PlanFloat32(LEVELS[0], batch)


def value(plan: _native.PlanFloat32, *shape: int, halo: tuple[int, int, int, int] = HALO) -> int:
    return int(plan.add_value(*shape, halo, True, HALO))


def dense(plan: _native.PlanFloat32) -> None:
    x, z = value(plan, 1, 1, 4), value(plan, 1, 1, 3)
    plan.set_input(x)
    plan.add_parameter(12, 3, 4, True, True)
    plan.add_dense(x, z, 0, -1)


def test_nothing_is_added_to_a_finished_plan() -> None:
    plan = built()
    dense(plan)
    plan.finish()
    for call in (
        lambda: value(plan, 1, 1, 4),
        lambda: plan.add_parameter(4, 0, 0, False, True),
        lambda: plan.add_softmax(0, 1),
        lambda: plan.add_view(0),
        lambda: plan.add_reader(0),
        lambda: plan.share_delta(0, 1),
        lambda: plan.set_post(_native.Act.relu, 0.0, 1),
        lambda: plan.set_input_post(_native.Act.relu, 0.0, 1),
        lambda: plan.set_input(0),
        lambda: plan.set_loss(_native.LossKind.squared_error, 1, -1),
        lambda: plan.set_host_loss(1),
        lambda: plan.set_host(print),
        lambda: plan.set_penalty(1.0),
        lambda: plan.set_optimizer(_native.Rule.sgd, 0.0, 0.0, 1.0, False, 0.0, 0.0),
        lambda: plan.add_max_norm(0, 1, 3, 1.0),
        lambda: plan.set_rate_factor(0, 0.5),
        lambda: plan.set_per_sample(0.0),
        lambda: plan.finish(),
    ):
        with pytest.raises(ValueError, match="finished already"):
            call()


def convolution(plan: _native.PlanFloat32, **changes: object) -> None:
    given = {"kernel": (3, 3), "stride": (1, 1), "dilation": (1, 1), "pad": (1, 1), "groups": 1}
    given["method"] = _native.ConvMethod.direct
    given |= changes
    x, z = value(plan, 5, 5, 2, halo=(1, 1, 1, 1)), value(plan, 5, 5, 2)
    plan.set_input(x)
    plan.add_parameter(36, 0, 0, False, True)
    plan.add_convolution(x, z, 0, -1, **given, transposed=False)
    plan.finish()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"kernel": (0, 3)}, "kernel, stride and dilation"),
        ({"stride": (1, -1)}, "kernel, stride and dilation"),
        ({"dilation": (2**31 - 1, 1)}, "kernel, stride and dilation"),
        ({"groups": 0}, "groups"),
        ({"groups": 3}, "groups"),
        ({"kernel": (3, 5)}, "size that its operation needs"),
        ({"pad": (2, 1)}, "stands out"),
        ({"pad": (0, 1)}, "stands out"),
        ({"pad": (-1, 1)}, "stands out"),
        ({"dilation": (1, 2)}, "stands out"),
        ({"method": _native.ConvMethod.winograd}, "Winograd's convolution needs more zeros"),
        ({"method": _native.ConvMethod.depthwise}, "a group for every channel"),
    ],
)
def test_a_convolution_reads_within_its_image(changes: dict[str, object], message: str) -> None:
    convolution(built())
    with pytest.raises(ValueError, match=message):
        convolution(built(), **changes)


def test_values_that_share_a_delta_or_memory_are_no_circle() -> None:
    plan = built()
    one, other, wide = value(plan, 1, 1, 4), value(plan, 1, 1, 4), value(plan, 2, 2, 4, halo=(1, 1, 1, 1))
    plan.share_delta(one, other)
    for pair in ((one, one), (other, one), (wide, one), (one, other)):
        with pytest.raises(ValueError, match="share"):
            plan.share_delta(*pair)
    with pytest.raises(ValueError, match="a view needs"):
        plan.add_view(wide)


def test_what_is_read_was_written() -> None:
    plan = built()
    x, y, z = (value(plan, 1, 1, 4) for _ in range(3))
    plan.set_input(x)
    plan.add_softmax(y, z)
    with pytest.raises(ValueError, match="reads a value that no operation before it writes"):
        plan.finish()
    plan = built()
    x, z = value(plan, 1, 1, 4), value(plan, 1, 1, 4)
    plan.set_input(x)
    for _ in range(2):
        plan.add_softmax(x, z)
    with pytest.raises(ValueError, match="two operations write one value"):
        plan.finish()


class HostLoss(cr.SquaredError):
    """No program: the host computes it."""

    def value(self, a: object, y: object) -> object:
        return np.asarray(super().value(np.asarray(a), np.asarray(y)))


def test_a_loss_of_the_host_behind_an_activation_without_parameters() -> None:
    """There is no δ that could be multiplied by f'."""
    network = cr.Network([cr.Identity(), cr.ReLU()], input_shape=3)
    X = np.array([[1.0, -2.0, 3.0]], np.float32)
    loss, gradients = Plan(network, HostLoss(), batch_size=1).gradients(X, np.zeros_like(X))
    assert (loss, gradients) == (5.0, {})
