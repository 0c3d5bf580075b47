"""One derivative against differences: right, wrong, at a kink, or impossible to tell."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pytest

from chainrule.checking.probe import Probe, probe

EPS = 2.0**-52


def run(
    loss: Callable[[float], float],
    analytic: float,
    same: Callable[[float], bool] = lambda h: True,
    noise: float = 8 * EPS,
    step: float = 2.0**-10,
) -> Probe:
    return probe(loss, same, analytic, noise=noise, step=step, tolerance=1e-6)


SMOOTH = [
    (lambda t: 3 + 2 * t, 2.0),
    (math.exp, 1.0),
    (lambda t: math.sin(2 + 5 * t), 5 * math.cos(2)),
    (lambda t: math.sin(1000 * t + 1), 1000 * math.cos(1)),  # curved within the first step: h must shrink
    (lambda t: math.tanh(1e4 * t), 1e4),
    (lambda t: 1e-4 * math.exp(t), 1e-4),
]


@pytest.mark.parametrize(("loss", "derivative"), SMOOTH)
def test_right_formulas_agree(loss, derivative) -> None:
    result = run(loss, derivative)
    assert result.outcome == "ok"
    assert result.sensitive
    assert result.error <= 1e-6
    assert result.numeric == pytest.approx(derivative, rel=1e-6)


@pytest.mark.parametrize(("loss", "derivative"), SMOOTH)
@pytest.mark.parametrize("factor", [-1, 0, 0.5, 2, 1.01, 1 + 1e-4])
def test_wrong_formulas_are_wrong(loss, derivative, factor) -> None:
    result = run(loss, derivative * factor)
    assert result.outcome == "wrong"
    assert result.error > 1e-6


def test_a_small_error_is_found() -> None:
    assert run(math.exp, 1 + 3e-6).outcome == "wrong"
    assert run(math.exp, 1 + 3e-7).outcome == "ok"


def test_a_derivative_below_the_rounding_of_the_loss_says_so() -> None:
    result = run(lambda t: 1e6 + 1e-9 * t, 1e-9, noise=1e6 * 4 * EPS)
    assert result.outcome == "ok"
    assert not result.sensitive
    assert run(lambda t: 1e6 + 1e-9 * t, 1.0, noise=1e6 * 4 * EPS).outcome == "wrong"


def kinked(at: float) -> Callable[[float], float]:
    return lambda t: max(t - at, 0.0) + t


def crossed(at: float) -> Callable[[float], bool]:
    return lambda h: len({t > at for t in (-2 * h, -h, 0.0, h, 2 * h)}) == 1


@pytest.mark.parametrize("at", [1e-3, 1e-4, -1e-4, 1e-5, 1e-6, -3e-8])
def test_near_a_kink_a_smaller_step_decides(at) -> None:
    derivative = 2.0 if at < 0 else 1.0
    assert run(kinked(at), derivative, crossed(at)).outcome == "ok"
    assert run(kinked(at), derivative + 0.1, crossed(at)).outcome == "wrong"


@pytest.mark.parametrize("analytic", [1.0, 2.0, 1.3])
def test_at_a_kink_nothing_is_called_wrong(analytic) -> None:
    assert run(kinked(0.0), analytic, crossed(0.0)).outcome == "kink"


@pytest.mark.parametrize("analytic", [-1.0, 0.5, 1.0])
def test_a_kink_that_no_layer_declares_is_found_by_its_jump(analytic) -> None:
    assert run(abs, analytic).outcome == "kink"
    assert run(lambda t: abs(t) + math.exp(t), 1 + analytic).outcome == "kink"


def test_an_undeclared_kink_nearby_is_stepped_over() -> None:
    assert run(lambda t: abs(t - 1e-5), -1.0).outcome == "ok"
    assert run(lambda t: abs(t - 1e-5), -0.9).outcome == "wrong"


def test_noise_is_not_an_error() -> None:
    """Rounding of the size of the loss's own: the verdict is ok within it, and never wrong."""
    rng = np.random.default_rng(0)
    for _ in range(50):
        result = run(lambda t: math.exp(t) + 1e-9 * float(rng.uniform(-1, 1)), 1.0, noise=4e-9)
        assert result.outcome == "ok"


def test_a_loss_that_is_not_finite_nearby_is_unclear() -> None:
    assert run(lambda t: math.nan if t else 1.0, 1.0).outcome == "unclear"
    assert run(lambda t: math.inf if abs(t) > 1e-4 else math.exp(t), 1.0).outcome == "ok"


def test_a_step_that_vanishes_ends_the_search() -> None:
    """Of numbers near the least there are: beside the smallest step is 0."""
    for step in (0.0, 5e-324, 1e-300, 1e-310):
        found = probe(lambda t: t * 1e300, lambda h: True, 2e300, noise=0.0, step=step, tolerance=1e-6)
        assert found.outcome in ("wrong", "unclear")
