"""check_gradients on data far from 0, tiny, large, of mixed scales: no false alarm, and no mistake missed."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

import chainrule as cr
from chainrule import reference
from chainrule.checking.probe import probe
from chainrule.checking.spread import size, spread
from chainrule.layers import Layer
from chainrule.reference import passes
from tests.checking.random_problems import plant, problem
from tests.checking.sweep import FEW, verdict_of_correct, verdict_of_wrong
from tests.pairwise import each, pairwise

NORMS = [cr.BatchNorm, cr.LayerNorm, lambda: cr.GroupNorm(1), cr.RMSNorm]
SHIFTS = [0.0, 1e3, 1e6, -1e6, 1e8]


def shifted(shift: float, scale: float = 1.0) -> tuple[np.ndarray, np.ndarray]:
    r = np.random.default_rng(3)
    return shift + scale * r.standard_normal((6, 4)), np.arange(6) % 3


def network(norm: Any) -> cr.Network:
    layers = [norm(), cr.Dense(5), cr.Tanh(), cr.Dense(3), cr.Softmax()]
    return cr.Network(layers, input_shape=4, seed=0, dtype="float64")


@pytest.mark.parametrize(("norm", "shift", "engine"), pairwise(NORMS, SHIFTS, ["native", "reference"]))
def test_normalisation_is_right_however_far_from_0_the_data_lie(norm, shift, engine) -> None:
    """The steps follow the spread 1; 128 wide, as |x| had them, they saw another function."""
    report = cr.check_gradients(network(norm), *shifted(shift), engine=engine)
    assert report.ok, str(report)
    if abs(shift) <= 1e6 and norm is not cr.RMSNorm:  # which divides by |x|: there its δ is rounding
        assert report["input"].kind == "ok", str(report)


@pytest.mark.turns(3)
@pytest.mark.parametrize(
    ("norm", "shift", "factor"), each(NORMS[:3], SHIFTS, [-1.0, 0.0, 2.0, 1 / 6, 1.001], turns=2)
)
def test_a_wrong_delta_of_a_norm_is_wrong_however_far_from_0(norm, shift, factor, monkeypatch) -> None:
    right = passes.layer_backward

    def wrong(layer: Layer, *rest: Any, **options: Any) -> Any:
        below, gradients = right(layer, *rest, **options)
        return (below * factor if "norm" in str(layer.name) else below), gradients

    for module in (reference, passes):
        monkeypatch.setattr(module, "layer_backward", wrong)
    report = cr.check_gradients(network(norm), *shifted(shift), engine="reference")
    if abs(shift) > 1e7:  # rounding leaves few digits
        assert report["input"].kind in ("WRONG", "cannot tell")
        return
    assert {record.name for record in report.wrong} == {"input"}, str(report)
    assert "norm" in report.diagnosis[-1]


@pytest.mark.parametrize("scale", [1e-12, 1e-6, 1.0, 1e6, 1e12])
@pytest.mark.parametrize("norm", NORMS)
def test_tiny_and_large_data_raise_no_alarm(norm, scale) -> None:
    assert not cr.check_gradients(network(norm), *shifted(0.0, scale)).wrong


def test_features_of_very_different_scales_move_each_by_its_own() -> None:
    X, y = shifted(1.0)
    scales = np.array([1e-8, 1.0, 1e4, 1e8])
    report = cr.check_gradients(network(cr.BatchNorm), X * scales, y, entries="all")
    assert report.ok, str(report)
    assert np.allclose(spread(X * scales)[:, 1:] / spread(X * scales)[:, 1:].min(axis=0), 1, rtol=1e9)
    assert (spread(X * scales) <= 3 * scales).all()


def test_a_spread_is_the_least_along_an_axis_and_never_0() -> None:
    x = 1e6 + np.random.default_rng(0).standard_normal((50, 7))
    assert 0.3 < spread(x).min() < spread(x).max() < 1.5
    assert (spread(np.full((3, 4), 5.0)) == 5).all()
    assert (spread(np.zeros((3, 4))) == 2.0**-6).all()
    assert (spread(np.array([0.0])) > 0).all()
    assert spread(np.zeros((0, 4))).shape == (0, 4)
    assert np.isfinite(spread(np.array([[1e300, -1e300], [1e-300, 0.0]]))).all()
    assert size(np.array([3e200, -4e200])) == pytest.approx(5e200 / math.sqrt(2))


def test_what_rounding_hides_cannot_be_told_and_says_so() -> None:
    """At 1e15 a number has one digit behind the point, and so has the spread."""
    report = cr.check_gradients(network(cr.LayerNorm), *shifted(1e15))
    assert not report.wrong
    assert report["input"].verdict.startswith("cannot tell (rounding: ")
    assert "cannot tell" in str(report)


def test_near_the_largest_number_nothing_is_called_wrong_and_beyond_it_nothing_is_checked() -> None:
    net = cr.Network([cr.Dense(2)], input_shape=4, seed=0, dtype="float64")
    net.parameters["dense1.W"][:] = 100.0
    X, y = 1e150 * np.ones((1, 4)), np.ones((1, 2))
    X *= np.sqrt(0.9999 * np.finfo(np.float64).max / net.loss(X, y))  # J is a number here, and none nearby
    with np.errstate(all="ignore"):
        report = cr.check_gradients(net, X, y)
    assert {record.kind for record in report.parameters} <= {"ok", "cannot tell"}
    assert report["dense1.W"].kind == "ok"
    with pytest.raises(cr.NonFiniteError, match="J is NaN or infinite at this point"):
        cr.check_gradients(net, 10 * X, y)


def test_what_sits_at_a_kink_cannot_be_told_and_says_so() -> None:
    report = cr.checking.check_layer(cr.ReLU(), 5, x=np.zeros((3, 5)), entries=5)
    assert report["delta"].kind in ("ok", "cannot tell")  # 2 % away from there, or not at all


# -- one derivative ------------------------------------------------------------------------------------------


def judged(loss: Any, analytic: float, **options: Any) -> str:
    chosen = {"noise": 1e-15, "step": 2.0**-10, "tolerance": 1e-6, **options}
    return probe(loss, lambda h: True, analytic, **chosen).outcome


@pytest.mark.parametrize("width", [1e-9, 1e-7, 1e-5, 1e-3])
def test_a_function_that_turns_within_the_first_step_is_not_taken_for_straight(width: float) -> None:
    """From outside, two coarse steps agree on another slope: the smallest step decides."""
    bumps = [
        (lambda t: 1 + math.exp(-((t / width - 0.5) ** 2)), math.exp(-0.25) / width),
        (lambda t: 3 * t + math.tanh(t / width), 3 + 1 / width),
        (lambda t: t + (t / width) / (1 + (t / width) ** 2), 1 + 1 / width),
    ]
    for loss, derivative in bumps:
        assert judged(loss, derivative) == "ok"
        for factor in (-1.0, 0.0, 0.5, 1.001):
            assert judged(loss, factor * derivative) == "wrong"


def test_a_mistake_that_rounding_hides_at_the_first_step_shows_at_a_larger_one() -> None:
    for step in (2.0**-40, 2.0**-30, 2.0**-20):
        assert judged(math.exp, 1.0, step=step, largest=0.1) == "ok"
        assert judged(math.exp, 1.001, step=step, largest=0.1) == "wrong"
        assert not probe(
            math.exp, lambda h: True, 1.0, noise=1e-3, step=step, largest=0.1, tolerance=1e-6
        ).sensitive


def test_a_change_that_is_swallowed_on_its_way_to_j_accuses_nobody() -> None:
    """1e-9 t is lost beside 1e10, exactly and at every step: J is flat, and no noise shows."""
    assert judged(lambda t: (1e10 + 1e-9 * t) - 1e10 + 3e3, 1e-9, noise=3e-12) == "ok"
    assert judged(lambda t: 3e3, 1.0, noise=3e-12) == "wrong"


# -- a random part of `python -m tests.checking.sweep` -------------------------------------------------------

SEEDS = range(5000, 5012)


@pytest.mark.turns(3)
@pytest.mark.parametrize("seed", SEEDS)
def test_random_networks_raise_no_alarm_and_planted_mistakes_do(seed: int) -> None:
    of = problem(seed)
    found = verdict_of_correct(of)
    assert found in ("ok", "cannot tell", "refused")
    drawn = plant(of) if found != "refused" else None
    if drawn is not None:
        assert verdict_of_wrong(of, *drawn) in ("found", "cannot tell")


def test_on_ordinary_data_every_planted_mistake_is_found() -> None:
    found = 0
    for seed in range(6000, 6006):
        of = problem(seed, ordinary=True)
        assert verdict_of_correct(of) == "ok", seed
        drawn = plant(of)
        if drawn is not None:
            assert verdict_of_wrong(of, *drawn) == "found", (seed, drawn)
            found += 1
    assert found > 3


def test_entries_that_no_probe_judged_are_said() -> None:
    """A mistake in one of them would not be seen: dense1's δ is wrong in an entry that is not compared."""
    of = problem(915)
    drawn = plant(of)
    assert drawn is not None
    assert verdict_of_wrong(of, *drawn) == "cannot tell"
    with drawn[0].made():
        report = of.check(engine="reference", **FEW)
    assert "6 of 48 entries are judged" in report["input"].reason


EXTREME = {
    "subnormal": np.full((3, 2), 1e-310),
    "the least": np.full((3, 2), 5e-324),
    "both ends of the range": np.array([[1e200, 5e-324], [1e200, 1e-320]]),
    "signs at the upper end": np.array([[1e300, -1e300], [1e-300, 3e-308]]),
}


@pytest.mark.parametrize("data", EXTREME)
@pytest.mark.parametrize("layer", [cr.Dense(2), cr.Tanh(), cr.LayerNorm(), cr.BatchNorm()], ids=repr)
def test_no_numbers_end_the_search_for_a_step(layer: cr.Layer, data: str) -> None:
    with np.errstate(all="ignore"):
        report = cr.check_layer(layer, (2,), x=EXTREME[data])
    assert not report.wrong
