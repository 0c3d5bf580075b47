"""Calls of their code on copies, and whether two answers are the same."""

from __future__ import annotations

import random
import sys
from collections.abc import Callable, Iterator, Sequence
from typing import Any, TypeVar

import numpy as np

from chainrule.base.types import Array
from chainrule.verifying.differences import LEAST_ENTRIES, MOST_ENTRIES, Differences, measured
from chainrule.verifying.precision import PRECISIONS, precision_of
from chainrule.verifying.probes import Probe
from chainrule.verifying.subjects.calls.effort import effort
from chainrule.verifying.subjects.calls.running import quiet
from chainrule.verifying.subjects.subject import Gradients, Subject

LAST_DIGITS = 64.0  # roundings of the largest entry: another order of the same sum is within
# Of the largest entry: what a smaller format rounds off is no matter of linearity, samples or layouts, and is
# told by its own judge (integers.py).
ROUGH = 2.0**-5
JITTERS = 4
MOST_LINES = 1_500_000  # that the differences of one probe may run: 3 s of work

Made = TypeVar("Made")


def output(subject: Subject, args: Sequence[Array]) -> Array:
    """Their output, of copies."""
    return subject.forward([value.copy() for value in args])


def answer(subject: Subject, args: Sequence[Array], delta: Array) -> Gradients:
    """Their gradients, of copies."""
    return subject.backward([value.copy() for value in args], delta.copy())


def attempt(subject: Subject, args: Sequence[Array], delta: Array) -> Gradients | None:
    """Their gradients, of copies; None where their code raises."""
    try:
        with np.errstate(all="ignore"):
            return answer(subject, args, delta)
    except Exception:  # their code may raise whatever it likes
        return None


def affordable(subject: Subject, args: Sequence[Array]) -> int:
    """Of how many entries of each argument the differences may be taken: of all that are looked at, or, where
    forward is slow, of a half, a quarter, ..., as far as `MOST_LINES` allow.
    """
    cost = effort(lambda: output(subject, args), MOST_LINES // LEAST_ENTRIES, args)
    most, real = MOST_ENTRIES, sum(value.dtype.kind == "f" for value in args)
    while most > LEAST_ENTRIES and 4 * most * real * cost > MOST_LINES:
        most = max(most // 2, LEAST_ENTRIES)
    return most


def differences_of(
    subject: Subject, probe: Probe, number: int, most: int = MOST_ENTRIES, anew: bool = False
) -> Differences:
    """Those of their forward with respect to one argument, of at most so many entries, and as many as are
    `affordable`.  anew: their forward is not what it was.
    """
    known = {} if anew else subject.measured
    few = min(most, affordable(subject, probe.args))
    return measured(subject.forward, probe.args, number, probe.delta, known, few)


def each(subject: Subject, *answers: Gradients) -> Iterator[tuple[Any, ...]]:
    """(name, value of each answer) of the arguments whose gradient is there, and finite, in all of them."""
    for name, *values in zip(subject.names, *answers, strict=True):
        if all(value is not None and np.isfinite(value).all() for value in values):
            yield (name, *values)


def same(first: Array, second: Array) -> bool:
    """Whether two answers are the same numbers."""
    return first.shape == second.shape and np.array_equal(first, second, equal_nan=first.dtype.kind == "f")


def near(subject: Subject, first: Array, second: Array, size: float = 0.0, jitter: float = 0.0) -> bool:
    """Whether two answers are the same but for roundings, of numbers as large as `size`, and of `jitter`."""
    if first.shape != second.shape:
        return False
    unit = PRECISIONS[precision_of(first, subject.precision)].unit
    with np.errstate(all="ignore"):
        off = float(np.abs(first.astype(np.float64) - second).max(initial=0.0))
        largest = max(size, float(np.abs(first).max(initial=0.0)), float(np.abs(second).max(initial=0.0)))
    return off <= LAST_DIGITS * unit * largest + 16 * jitter


def roughly(subject: Subject, first: Array, second: Array, size: float = 0.0, jitter: float = 0.0) -> bool:
    """`near`, or as far off as roundings of any format."""
    if near(subject, first, second, size, jitter):
        return True
    if first.shape != second.shape:
        return False
    largest = max(size, float(np.abs(first).max(initial=0.0)), float(np.abs(second).max(initial=0.0)))
    return bool(np.abs(first.astype(np.float64) - second).max(initial=0.0) <= ROUGH * largest)


def jitters(subject: Subject, probe: Probe) -> list[float]:
    """Per argument how far their gradient moves when every number moves by a rounding: 0 where it is None."""
    rng = np.random.default_rng(0)
    middle = answer(subject, probe.args, probe.delta)
    moved = [0.0] * len(middle)
    for _ in range(JITTERS):
        args = [nudged(value, subject.precision, rng) for value in probe.args]
        other = attempt(subject, args, nudged(probe.delta, subject.precision, rng))
        for number, (value, near_by) in enumerate(zip(middle, other or middle, strict=True)):
            if value is not None and near_by is not None and value.shape == near_by.shape:
                with np.errstate(all="ignore"):
                    off = float(np.abs(value.astype(np.float64) - near_by).max(initial=0.0))
                moved[number] = max(moved[number], off if np.isfinite(off) else 0.0)
    return moved


def nudged(value: Array, precision: str | None, rng: np.random.Generator) -> Array:
    """Numbers off by a rounding, at random; whole numbers as they are."""
    if value.dtype.kind != "f":
        return value
    unit = PRECISIONS[precision_of(value, precision)].unit
    return np.asarray(value * (1 + unit * rng.choice([-2.0, 0.0, 2.0], value.shape)), dtype=value.dtype)


# -- random numbers
def draws(subject: Subject, probe: Probe) -> bool:
    """Whether forward's output changes with the global random numbers."""
    one, other = (seeded(seed, lambda: output(subject, probe.args)) for seed in (1, 2))
    return not near(subject, one, other)


def seeded(seed: int, call: Callable[[], Made]) -> Made:
    """What a call gives when the global random numbers begin at a seed; they are put back."""
    with quiet():
        random.seed(seed)
        np.random.seed(seed)  # noqa: NPY002 (their code may draw from the global state)
        if "torch" in sys.modules:
            sys.modules["torch"].default_generator.manual_seed(seed)
        return call()
