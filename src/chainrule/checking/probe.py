"""One derivative along one direction: differences of fourth order against a formula, and what they mean.

    J'(0) ≈ (8 (J(h) - J(-h)) - (J(2h) - J(-2h))) / 12h        error h⁴ J⁽⁵⁾ / 30, rounding ~ noise / h

The first h follows from the spread of the numbers that move. Where formula and difference agree to the
tolerance, four values of J settle the matter. Where rounding hides the derivative, h grows; where the two
disagree, h shrinks, and five explanations are told apart: a kink within reach (the branches taken at ±h, ±2h
differ, or the slope jumps however small h is, or the formula turns nearer than any h), curvature,
 rounding (the floor noise / h), a J that is not
finite, and, if none of them, a wrong formula. "Wrong" is said only where two steps agree with each other
against the formula, and the smallest step whose rounding still lets that be seen agrees with them: J may turn
within a coarse step and look straight from outside.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Literal

Outcome = Literal["ok", "wrong", "kink", "unclear"]
Cause = Literal["", "rounding", "overflow", "rough"]

FACTOR_EXPONENT = 3
# From one step to the next: curvature falls 4096-fold in the difference, rounding grows 8-fold.
FACTOR = 2.0**FACTOR_EXPONENT
SMALLER = 13  # steps below the first: to 8⁻¹³ = 2e-12 of it, where rounding ends every search
RESOLVED = (
    0.25  # a disagreement counts where curvature, jump and rounding together explain at most this part of it
)
CONFIRMED = 0.5  # the smallest step has rounding of its own: its estimate may be off by this part
# A J that is the same number everywhere may have swallowed a change on its way (1e-9 added to 10¹⁰). What a
# formula must promise, relative to J, before it is called wrong for that; 5e-13 was seen swallowed.
SWALLOWED = 2.0**-30
# So near to 0, as a part of h, a formula that is right at 0 has not turned yet, however narrow its cone;
# one that is wrong at exactly 0 alone has.
NEAREST = 2.0**-900
SMALLEST_STEP = 2.0**-1020  # below it a step is rounded, or 0
# A derivative is compared where rounding leaves it four digits. With fewer, a formula that is wrong by a
# thousandth would pass for right.
DIGITS = 1e-4


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
    sensitive: bool  # whether the derivative stands out of the rounding of J, by four digits
    cause: Cause = ""  # of what is unclear or not sensitive


@dataclass(frozen=True)
class _Stage:
    step: float
    numeric: float
    difference: float
    error: float  # relative, or of the rounding
    floor: float
    curvature: float
    jump: float
    flat: bool  # whether J is the same number at all five points
    turns: bool  # whether J at 0 stands out of the four others: its scale is smaller than the step

    @property
    def explained(self) -> float:
        return self.curvature + self.floor + self.jump


class _Search:
    """The differences at the steps h · 8ᵏ, each computed once; None where J is not finite."""

    def __init__(
        self,
        loss: Callable[[float], float],
        same_branches: Callable[[float], bool],
        analytic: float,
        noise: float,
        blur: float,
        step: float,
        tolerance: float,
        slope: Callable[[float], float] | None,
    ) -> None:
        self.slope = slope
        self.loss, self.same_branches, self.analytic = loss, same_branches, analytic
        self.noise, self.blur, self.first, self.tolerance = noise, blur, step, tolerance
        self.at_zero = loss(0.0)
        self.stages: dict[int, _Stage | None] = {}
        self._clean: dict[int, bool] = {}

    def step(self, number: int) -> float:
        return math.ldexp(self.first, FACTOR_EXPONENT * number)  # 8.0**number alone may be beyond the range

    def at(self, number: int) -> _Stage | None:
        if number not in self.stages:
            h = self.step(number)
            self.stages[number] = self._stage(h) if h >= SMALLEST_STEP else None
        return self.stages[number]

    def _stage(self, h: float) -> _Stage | None:
        near, far = (self.loss(h), self.loss(-h)), (self.loss(2 * h), self.loss(-2 * h))
        values = (self.at_zero, *near, *far)
        if not all(map(math.isfinite, values)):
            return None
        second = (near[0] - near[1]) / (2 * h)
        numeric = (8 * (near[0] - near[1]) - (far[0] - far[1])) / (12 * h)
        # J may be larger there than at 0, and rounded as coarsely as it is large.
        largest, flat = max(map(abs, values)), len({*values}) == 1
        floor = max(self.noise, (SWALLOWED if flat else 2.0**-50) * largest) / h + self.blur
        jump = abs(near[0] - 2 * self.at_zero + near[1]) / h
        difference = abs(numeric - self.analytic)
        scale = max(abs(numeric), abs(self.analytic))
        error = difference / max(scale, floor / self.tolerance, 1e-300)
        sides = near[0] + near[1] - 2 * self.at_zero
        fourth = far[0] + far[1] - 4 * (near[0] + near[1]) + 6 * self.at_zero  # of a parabola 0
        turns = abs(sides) > 32 * floor * h and abs(fourth) > 0.5 * abs(sides)
        return _Stage(h, numeric, difference, error, floor, abs(numeric - second), jump, flat, turns)

    def clean(self, number: int) -> bool:
        """Whether the same branches are taken at every point of the stage."""
        if number not in self._clean:
            self._clean[number] = self.same_branches(self.step(number))
        return self._clean[number]

    def agrees(self, stage: _Stage) -> bool:
        return stage.error <= self.tolerance

    def resolves(self, stage: _Stage) -> bool:
        return stage.floor < DIGITS * max(abs(stage.numeric), abs(self.analytic))

    def hides(self, stage: _Stage) -> bool:
        """Whether rounding could explain a disagreement at a step not much smaller."""
        return stage.floor * FACTOR > RESOLVED * stage.difference

    def found(self, outcome: Outcome, stage: _Stage, sensitive: bool = True, cause: Cause = "") -> Probe:
        error = stage.error
        if outcome != "ok":
            error = stage.difference / max(abs(stage.numeric), abs(self.analytic), 1e-300)
        return Probe(outcome, self.analytic, stage.numeric, error, stage.step, sensitive, cause)

    def accuses(self, number: int) -> bool:
        """Whether this step and the next smaller one agree with each other, and not with the formula."""
        coarse, fine = self.at(number), self.at(number - 1)
        if coarse is None or fine is None:
            return False
        explained = fine.explained + abs(fine.numeric - coarse.numeric)
        return explained <= RESOLVED * fine.difference and self.clean(number - 1)

    def confirmed(self, number: int) -> bool:
        """Whether the smallest step at which rounding lets the disagreement be seen shows it too."""
        stage = self.at(number)
        assert stage is not None  # it accuses
        seen = RESOLVED * stage.difference - self.blur
        smallest = stage.step * (stage.floor - self.blur) / max(seen, 1e-300)
        last = number
        while last > number - SMALLER and self.step(last - 1) >= smallest:
            last -= 1
        for other in {(number + last) // 2, last} - {number}:
            there = self.at(other)
            if there is None or abs(there.numeric - stage.numeric) > CONFIRMED * stage.difference:
                return False
        return True

    def judged(self, number: int) -> Probe | None:
        """ "wrong" where this step and the next larger one accuse the formula and the smallest confirms it;
        "kink" where J turns so near to 0 that no step gets clear of it.
        """
        if not (self.accuses(number + 1) and self.confirmed(number)):
            return None
        best = min((stage for stage in self.stages.values() if stage), key=lambda stage: stage.explained)
        return self.found("kink" if self.turns_within(number) else "wrong", best)

    def turns_within(self, number: int) -> bool:
        """Whether the formula at ±h differs from itself at 0 as much as the differences do.

        The L2 norm of numbers of 1e-17 is a cone whose tip lies 1e-17 away: where the even parts of several
        cancel, two steps agree on a slope of 0. A formula that is wrong is as wrong at ±h.
        """
        stage = self.at(number)
        if self.slope is None or stage is None:
            return False

        def change(h: float) -> float:
            assert self.slope is not None
            return max(abs(self.slope(t) - self.analytic) for t in (h, -h))

        least = CONFIRMED * stage.difference
        return change(stage.step) > least and change(NEAREST * stage.step) < least  # NaN is neither


def probe(
    loss: Callable[[float], float],
    same_branches: Callable[[float], bool],
    analytic: float,
    *,
    noise: float,
    step: float,
    tolerance: float,
    blur: float = 0.0,
    largest: float | None = None,
    slope: Callable[[float], float] | None = None,
) -> Probe:
    """Compare `analytic` with the derivative of `loss` at 0.

    loss(t): J at distance t along the direction. same_branches(h): whether the same branches are taken at ±h
    and ±2h as at 0. noise: rounding error of J. blur: of `analytic`. step: the first h. largest:
    how far h may grow where rounding hides the derivative, 64 times the first unless given. tolerance:
    accepted relative error. slope(t): the formula at distance t.
    """
    if step < SMALLEST_STEP:
        return Probe("unclear", analytic, math.nan, math.nan, step, False, "rounding")
    search = _Search(loss, same_branches, analytic, noise, blur, step, tolerance, slope)
    larger = 2 if largest is None else max(0, round((math.log2(largest) - math.log2(step)) / FACTOR_EXPONENT))
    if not math.isfinite(search.at_zero) or not math.isfinite(analytic):
        return Probe("unclear", analytic, math.nan, math.nan, step, False, "overflow")
    first = search.at(0)
    if first is None or not (search.agrees(first) or search.hides(first)):
        return _smaller(search)
    if first.turns and not search.resolves(first):
        return _smaller(search)
    if search.agrees(first) and search.resolves(first):
        return search.found("ok", first)
    if first.flat and analytic == 0:  # no step would say more of a J that does not move
        return search.found("ok", first, sensitive=False)
    return _larger(search, larger)


def _larger(search: _Search, most: int) -> Probe:
    """Rounding hides the derivative at the first step."""
    hidden = search.at(0)
    assert hidden is not None
    number = 0
    while number < most:
        # As far as four digits need, were the floor all that changes.
        scale = DIGITS * max(abs(hidden.numeric), abs(search.analytic))
        missing = math.log(hidden.floor / scale, FACTOR) if scale else math.inf
        before, number = number, min(most, number + max(1, min(3, math.ceil(min(missing, 3.0)))))
        stage = search.at(number)
        if stage is None:
            break
        if not search.agrees(stage) and not search.hides(stage):
            for lower in range(before + 1, number + 1):  # it bends, perhaps not yet at a step passed over
                between = search.at(lower)
                if between is None:
                    break
                if search.agrees(between) and search.resolves(between):
                    return search.found("ok", between)
                if judged := search.judged(lower - 1):
                    return judged
            if judged := search.judged(number):
                return judged
            break
        if search.agrees(stage) and search.resolves(stage):
            return search.found("ok", stage)
        hidden = stage
    return search.found("ok" if search.agrees(hidden) else "unclear", hidden, False, "rounding")


def _smaller(search: _Search) -> Probe:
    """Formula and difference disagree at the first step."""
    if not search.same_branches(search.step(-7)):
        stage = search.at(0)
        if stage is not None:  # at the kink itself: no smaller h gets clear of it
            return search.found("kink", stage)
    smallest = math.inf
    for number in range(0, -SMALLER - 1, -1):
        before = search.stages.get(number + 1)
        if before is not None and FACTOR * before.floor > RESOLVED * smallest:
            break  # from here on rounding would explain any difference
        stage = search.at(number)
        if stage is None:
            continue
        if search.agrees(stage):
            if search.resolves(stage):
                return search.found("ok", stage)
            if not stage.turns:
                return search.found("ok", stage, sensitive=False, cause="rounding")
            continue
        smallest = min(smallest, stage.difference)
        if number < 0 and (judged := search.judged(number)):
            return judged
    return _conclude(search)


def _conclude(search: _Search) -> Probe:
    """The formula and every difference disagree, and no two steps say why."""
    stages = {number: stage for number, stage in sorted(search.stages.items()) if stage is not None}
    if not stages:
        return Probe("unclear", search.analytic, math.nan, math.nan, search.first, False, "overflow")
    clean = [stage for number, stage in stages.items() if search.clean(number)]
    if not clean:
        return search.found("kink", next(iter(stages.values())))
    last = clean[0]
    persists = len(clean) > 1 and last.jump > 0.5 * clean[1].jump
    if persists and last.jump > RESOLVED * last.difference and last.jump > 4 * last.floor:
        return search.found("kink", last)  # smooth curvature would have made the jump 8 times smaller
    best = min(clean, key=lambda stage: stage.curvature + stage.floor)
    cause: Cause = "rounding" if last.floor > RESOLVED / FACTOR * last.difference else "rough"
    return replace(search.found("unclear", best), sensitive=False, cause=cause)
