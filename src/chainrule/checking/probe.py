"""One derivative along one direction: a difference of fourth order against a formula, and what it means.

    J'(0) ≈ (8 (J(h) - J(-h)) - (J(2h) - J(-2h))) / 12h        error h⁴ J⁽⁵⁾ / 30, rounding ~ noise / h

Where the two agree the matter is settled by four values of J.  Where they do not, four explanations are told
apart by making h smaller: a kink within reach (the branches taken at ±h, ±2h differ, or the slope jumps
however small h is), curvature (the second- and fourth-order differences disagree), rounding (the floor
noise / h), and, if none of them, a wrong formula.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Literal

Outcome = Literal["ok", "wrong", "kink", "unclear"]

SHRINK = (
    8.0  # h from one stage to the next: curvature falls 4096-fold in the difference, rounding grows 8-fold
)
STAGES = 8  # down to h · 8⁻⁷ = 5e-7 of the first step
RESOLVED = (
    0.25  # a disagreement counts where curvature, jump and rounding together explain at most this part of it
)
SENSITIVE = 10.0  # derivatives below this many floors cannot be told from 0


@dataclass(frozen=True)
class Probe:
    """What was found along one direction; `error` is relative, and at most the tolerance exactly where it is
    ok.
    """

    outcome: Outcome
    analytic: float
    numeric: float
    error: float
    step: float
    sensitive: bool  # whether the derivative stands out of the rounding of J


@dataclass(frozen=True)
class _Stage:
    step: float
    numeric: float
    difference: float
    unexplained: float  # curvature + rounding
    jump: float
    clean: bool


def probe(
    loss: Callable[[float], float],
    same_branches: Callable[[float], bool],
    analytic: float,
    *,
    noise: float,
    step: float,
    tolerance: float,
) -> Probe:
    """Compare `analytic` with the derivative of `loss` at 0.

    loss(t): J at distance t along the direction. same_branches(h): whether the same branches are taken at ±h
    and ±2h as at 0. noise: rounding error of J. step: the first h. tolerance: accepted relative error.
    """
    stages: list[_Stage] = []
    at_zero, smallest = loss(0.0), math.inf
    for number in range(STAGES):
        h = step / SHRINK**number
        floor = noise / h
        if stages and floor > RESOLVED * smallest:  # from here on rounding would explain any difference
            break
        one, two = (loss(h), loss(-h)), (loss(2 * h), loss(-2 * h))
        if not all(map(math.isfinite, (*one, *two))):
            continue
        second = (one[0] - one[1]) / (2 * h)
        numeric = (8 * (one[0] - one[1]) - (two[0] - two[1])) / (12 * h)
        difference = abs(numeric - analytic)
        scale = max(abs(numeric), abs(analytic))
        error = difference / max(scale, floor / tolerance, 1e-300)
        found = Probe("ok", analytic, numeric, error, h, scale > SENSITIVE * floor)
        if error <= tolerance:
            return found
        if not stages and not same_branches(step / SHRINK ** (STAGES - 1)):
            return replace(found, outcome="kink")  # at the kink itself: no smaller h gets clear of it
        jump = abs(one[0] - 2 * at_zero + one[1]) / h
        stage = _Stage(h, numeric, difference, abs(numeric - second) + floor, jump, same_branches(h))
        explained = stage.unexplained + jump
        if stages:  # a loss that bends sharply within h can look straight at one h, not at two
            explained += abs(numeric - stages[-1].numeric)
            if stage.clean and explained <= RESOLVED * difference:
                return _judged("wrong", analytic, stage)
        stages.append(stage)
        smallest = min(smallest, difference)
    return _conclude(analytic, stages, step)


def _conclude(analytic: float, stages: list[_Stage], step: float) -> Probe:
    """The formula and every difference disagree, and no single stage says why."""
    if not stages:  # J was not finite anywhere near
        return Probe("unclear", analytic, math.nan, math.nan, step, False)
    clean = [stage for stage in stages if stage.clean]
    if not clean:
        return _judged("kink", analytic, stages[-1])
    last = clean[-1]
    persists = len(clean) > 1 and last.jump > 0.5 * clean[-2].jump
    if persists and last.jump > RESOLVED * last.difference:
        return _judged("kink", analytic, last)  # smooth curvature would have made the jump 8 times smaller
    best = min(clean, key=lambda stage: stage.unexplained)
    return _judged("wrong" if best.unexplained <= RESOLVED * best.difference else "unclear", analytic, best)


def _judged(outcome: Outcome, analytic: float, stage: _Stage) -> Probe:
    error = stage.difference / max(abs(stage.numeric), abs(analytic))
    return Probe(outcome, analytic, stage.numeric, error, stage.step, True)
