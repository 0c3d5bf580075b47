"""Finite differences against formulas for every named array of an evaluator: which entries, at which point,
what verdict.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np

from chainrule.base.errors import ArgumentError, describe
from chainrule.base.languages import Catalogue
from chainrule.base.norms import norm
from chainrule.base.scalars import check_choice, finite_number
from chainrule.base.types import Array
from chainrule.checking.evaluators import Evaluator, Values
from chainrule.checking.probe import Probe, probe
from chainrule.checking.report import Kind, ParameterCheck, Worst
from chainrule.checking.spread import size, spread

Entries = int | Literal["auto", "all"]
Direction = bool | Literal["auto"]

TOLERANCE = (
    1e-6  # relative; correct formulas reach 1e-9 with this stencil, a wrong digit in a constant shows at 1e-5
)
ALL_UP_TO = (
    32  # arrays up to this size are compared entry by entry under "auto", of larger ones SAMPLED entries
)
SAMPLED = 20
PASSED_OVER = 3  # entries at kinks are replaced by others, up to this many times the number wanted
STEP = 2.0**-10  # first h, relative to the spread of the numbers: h⁴ = 1e-12
DIRECTION_STEP = 2.0**-13  # along a direction every number moves
LARGEST_STEP = 2.0**-4  # relative to the numbers, where rounding hides the derivative at smaller ones
MOVE = 0.02  # how far, relatively, a check goes away from a point where an array has nothing but kinks
ULPS = 4.0  # relative change, in units of rounding, by which the rounding error of J is measured
ALL_AT_ONCE = "everything"
REASONS = Catalogue("chainrule.checking", "reasons")


@dataclass(frozen=True)
class Comparison:
    """Records in the evaluator's order, and ‖n - g‖ / ‖n + g‖ over the compared entries."""

    records: tuple[ParameterCheck, ...]
    relative_difference: float
    loss: float
    noise: float  # rounding error of J


class Point:
    """Values of all arrays, with what is needed to probe there: J, formulas' gradients, branches, rounding
    error.
    """

    def __init__(
        self, evaluator: Evaluator, values: Values, rng: np.random.Generator, tolerance: float
    ) -> None:
        self.evaluator, self.values, self.tolerance = evaluator, values, tolerance
        self.loss, self.gradients = evaluator.loss_and_gradients(values)
        self._branches: list[Array] | None = None
        self.sizes = {name: size(array) for name, array in values.items()}
        self.spreads = {name: spread(array) for name, array in values.items()}
        at_point = evaluator.loss(values)
        shaken = [_shaken(values, rng) for _ in range(4)]
        differences = [abs(evaluator.loss(each) - at_point) for each in shaken]
        self.noise = 2 * max(differences) + ULPS * np.finfo(np.float64).eps * abs(at_point)
        # The formulas round too: of data far from 0 little more than J does, of sums that cancel far more.
        here = self._branches_at(values)
        smooth = [each for each in shaken[:2] if _same(self._branches_at(each), here)]
        self.shaken_gradients = [evaluator.loss_and_gradients(each)[1] for each in smooth]

    def entry(self, name: str, index: int) -> Probe:
        """Along one entry of one array."""
        array = self.values[name]
        value = float(array.flat[index])

        def moved(t: float) -> Values:
            copy = array.copy()
            copy.flat[index] += t
            return {**self.values, name: copy}

        def derivative(gradients: Mapping[str, Array]) -> float:
            return float(gradients[name].flat[index])

        largest = LARGEST_STEP * max(abs(value), self.sizes[name], 1.0)
        return self._probe(moved, derivative, STEP * float(self.spreads[name].flat[index]), largest)

    def direction(self, names: list[str], rng: np.random.Generator) -> Probe:
        """Along a random direction through all entries of the named arrays, each in proportion to its
        spread.
        """
        along = {name: self.spreads[name] * rng.standard_normal(self.values[name].shape) for name in names}

        def moved(t: float) -> Values:
            return {**self.values, **{name: self.values[name] + t * v for name, v in along.items()}}

        def derivative(gradients: Mapping[str, Array]) -> float:
            return sum(float(np.vdot(gradients[name], v)) for name, v in along.items())

        return self._probe(moved, derivative, DIRECTION_STEP, LARGEST_STEP)

    def _branches_at(self, values: Values) -> list[Array]:
        if values is not self.values:
            return self.evaluator.branches(values)
        if self._branches is None:
            self._branches = self.evaluator.branches(values)
        return self._branches

    def _probe(
        self,
        moved: Callable[[float], Values],
        derivative: Callable[[Mapping[str, Array]], float],
        step: float,
        largest: float,
    ) -> Probe:
        analytic = derivative(self.gradients)
        blur = [abs(derivative(gradients) - analytic) for gradients in self.shaken_gradients]

        def same_branches(h: float) -> bool:
            here = self._branches_at(self.values)
            return all(_same(self._branches_at(moved(t)), here) for t in (-2 * h, -h, h, 2 * h))

        first = _power_of_two(step)
        return probe(
            lambda t: self.evaluator.loss(moved(t)),
            same_branches,
            analytic,
            slope=lambda t: derivative(self.evaluator.loss_and_gradients(moved(t))[1]),
            noise=self.noise,
            blur=2 * max(blur, default=0.0),
            step=first,
            largest=max(largest, first),
            tolerance=self.tolerance,
        )


def compare(
    evaluator: Evaluator, *, entries: Entries, direction: Direction, tolerance: float | None, seed: int
) -> Comparison:
    """Check every array of the evaluator.

    entries: how many of each array; "auto": all of an array with at most 32, else 20. direction: also
    compare along one random direction through each array, and one through everything; "auto": where not
    every entry is compared.
    """
    _check_options(entries, direction, tolerance)
    rng = np.random.Generator(np.random.PCG64(seed))
    chosen = TOLERANCE if tolerance is None else float(tolerance)
    here = Point(evaluator, evaluator.values, rng, chosen)
    pairs: list[tuple[float, float]] = []
    records = []
    moved: Point | None = None
    for name in evaluator.values:
        record, compared = _check_array(here, name, entries, direction, rng)
        if record.kind not in ("ok", "WRONG") and record.kinks:
            moved = moved or Point(evaluator, _moved(evaluator.values, rng), rng, chosen)
            again, compared = _check_array(moved, name, entries, direction, rng)
            if again.kind in ("ok", "WRONG"):
                remark = REASONS.say("moved", share=f"{MOVE:.0%}").en
                record = replace(again, kinks=record.kinks, reason=remark)
        records.append(record)
        pairs += compared
    sampled = any(record.entries < evaluator.values[record.name].size for record in records)
    if len(records) > 1 and (direction is True or (direction == "auto" and sampled)):
        records.append(_everything(moved or here, rng))
    return Comparison(tuple(records), _relative_difference(pairs), here.loss, here.noise)


def _check_array(
    point: Point, name: str, entries: Entries, direction: Direction, rng: np.random.Generator
) -> tuple[ParameterCheck, list[tuple[float, float]]]:
    """The record of one array, and (analytic, numeric) of its compared entries."""
    array = point.values[name]
    order, wanted = _order(point.gradients[name], entries, rng)
    compared: list[tuple[int, Probe]] = []
    unclear: list[Probe] = []
    kinks = 0
    for index in order[: wanted * (1 + PASSED_OVER)]:
        result = point.entry(name, int(index))
        kinks += result.outcome == "kink"
        unclear += [result] * (result.outcome == "unclear")
        if result.outcome in ("ok", "wrong"):
            compared.append((int(index), result))
            if len(compared) == wanted:
                break
    along = None
    if direction is True or (direction == "auto" and wanted < array.size):
        along = point.direction([name], rng)
    probes = [result for _, result in compared] + ([along] if along else [])
    kind, reason = _verdict(probes, kinks, unclear)
    if kind == "ok" and along is not None and along.outcome not in ("ok", "wrong"):
        key = "only_before_a_kink" if along.outcome == "kink" else "only"
        reason = reason or REASONS.say(key, count=len(compared), of=array.size).en
    worst, worst_probe = None, None
    if compared:
        index, worst_probe = max(compared, key=lambda pair: (pair[1].outcome == "wrong", pair[1].error))
        where = tuple(int(i) for i in np.unravel_index(index, array.shape))
        worst = Worst(where, worst_probe.analytic, worst_probe.numeric)
    if along and along.outcome == "wrong" and (worst_probe is None or worst_probe.outcome != "wrong"):
        worst, worst_probe = Worst((), along.analytic, along.numeric), along
    record = ParameterCheck(
        name=name,
        shape=array.shape,
        kind=kind,
        entries=len(compared),
        max_error=max((result.error for _, result in compared), default=math.nan),
        worst=worst,
        step=worst_probe.step if worst_probe else math.nan,
        kinks=kinks,
        direction_error=along.error if along and along.outcome in ("ok", "wrong") else None,
        reason=reason,
    )
    return record, [(result.analytic, result.numeric) for _, result in compared]


def _everything(point: Point, rng: np.random.Generator) -> ParameterCheck:
    """One random direction through all arrays at once."""
    along = point.direction(list(point.values), rng)
    kinks = int(along.outcome == "kink")
    kind, reason = _verdict([along], kinks, [along] * (along.outcome == "unclear"))
    settled = along.outcome in ("ok", "wrong")
    size = sum(array.size for array in point.values.values())
    return ParameterCheck(
        name=ALL_AT_ONCE,
        shape=(size,),
        kind=kind,
        entries=0,
        max_error=math.nan,
        worst=Worst((), along.analytic, along.numeric) if settled else None,
        step=along.step,
        kinks=0,
        direction_error=along.error if settled else None,
        reason=reason,
    )


def _verdict(probes: list[Probe], kinks: int, unclear: list[Probe]) -> tuple[Kind, str]:
    if any(result.outcome == "wrong" for result in probes):
        return "WRONG", ""
    agreed = [result for result in probes if result.outcome == "ok"]
    hidden = sum(result.cause == "rounding" for result in (*agreed, *unclear))
    if any(result.sensitive for result in agreed):
        return "ok", REASONS.say("hidden", count=hidden).en if hidden else ""
    if hidden:
        return "cannot tell", REASONS["rounding"].en
    if agreed:
        return "not checkable", REASONS["flat"].en
    if kinks:
        return "cannot tell", REASONS["kink"].en
    for cause in ("overflow", "rounding", "rough"):
        if any(result.cause == cause for result in unclear):
            return "cannot tell", REASONS[cause].en
    return "not checkable", REASONS["nothing"].en


def _order(gradient: Array, entries: Entries, rng: np.random.Generator) -> tuple[Array, int]:
    """(indices in the order to try them, how many are wanted): a quarter with the largest gradients, the
    rest random.

    Large gradients show a wrong factor best, random entries show what is missing.
    """
    size = gradient.size
    wanted = size if entries == "all" or (entries == "auto" and size <= ALL_UP_TO) else SAMPLED
    if isinstance(entries, int):
        wanted = min(entries, size)
    order = rng.permutation(size)
    if wanted == size:
        return order, wanted
    top = max(wanted // 4, 1)
    largest = np.argpartition(-np.abs(gradient.ravel()), top - 1)[:top]
    return np.concatenate([largest, order[~np.isin(order, largest)]]), wanted


def _relative_difference(pairs: list[tuple[float, float]]) -> float:
    """Ng's ‖n - g‖ / ‖n + g‖."""
    if not pairs:
        return math.nan
    analytic, numeric = np.array(pairs).T
    total = norm(numeric + analytic)
    return norm(numeric - analytic) / total if total else 0.0


def _same(these: list[Array], those: list[Array]) -> bool:
    return all(map(np.array_equal, these, those))


def _shaken(values: Values, rng: np.random.Generator) -> dict[str, Array]:
    """The values with relative changes of a few units of rounding: what J cannot be expected to resolve."""
    eps = ULPS * np.finfo(np.float64).eps
    return {name: array * (1 + eps * rng.uniform(-1, 1, array.shape)) for name, array in values.items()}


def _moved(values: Values, rng: np.random.Generator) -> dict[str, Array]:
    return {
        name: array + MOVE * spread(array) * rng.standard_normal(array.shape)
        for name, array in values.items()
    }


def _power_of_two(value: float) -> float:
    """So that x + h and x - h lose as little as possible."""
    return 2.0 ** round(math.log2(value)) if value else 0.0


def _check_options(entries: Any, direction: Any, tolerance: Any) -> None:
    whole = isinstance(entries, int) and not isinstance(entries, bool) and entries > 0
    if not whole:
        allowed = "'auto', 'all' or a positive number per parameter"
        check_choice("entries", entries, ("auto", "all"), meaning=allowed)
    if not isinstance(direction, bool | np.bool_):
        check_choice("direction", direction, ("auto",), meaning="'auto', True or False")
    if tolerance is not None and not (finite_number(tolerance) and 0 < tolerance < 0.1):
        raise ArgumentError(
            "tolerance must be a relative error between 0 and 0.1, such as 1e-6, received "
            f"{describe(tolerance)}"
        )


def named(comparison: Comparison, names: Mapping[str, str]) -> Comparison:
    """The comparison with other names for its arrays."""
    records = tuple(
        replace(record, name=names.get(record.name, record.name)) for record in comparison.records
    )
    return replace(comparison, records=records)
