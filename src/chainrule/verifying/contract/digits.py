"""A gradient that is wrong in a small type and right in float64 is no wrong formula: it loses digits.

E[x²] - E[x]² for a variance does, where the mean is large.
"""

from __future__ import annotations

import numpy as np

from chainrule.base.languages import Say
from chainrule.base.types import Array
from chainrule.verifying.contract.calls import attempt
from chainrule.verifying.differences import differences
from chainrule.verifying.precision import (
    Reference,
    allowances,
    close,
    computed_in,
    half_of_the_digits,
    precision_of,
)
from chainrule.verifying.probes import Probe
from chainrule.verifying.subjects.subject import Subject
from chainrule.verifying.texts import TEXTS
from chainrule.verifying.verdict import Finding

# Times the tolerance: a variance by moments loses so many digits, a wrong term of 1 % is farther off.
LOST = 1e5
NEARBY, NEAR = 8, 0.01  # numbers so near, of which errors of rounding scatter by their own size
SCATTER = 0.1
DIFFERED = 1e-6  # of the largest entry, as beside differences anywhere


def lost_digits(
    subject: Subject, probe: Probe, number: int, theirs: Array, reference: Reference
) -> Finding | Say | None:
    """Of gradient `number`, which is off by more than rounding: None where it is wrong in float64, too.

    A note where a third of the digits are left, a finding where they are not.
    """
    precision = precision_of(theirs, subject.precision)
    name, given = subject.names[number], reference(probe.args, probe.delta)[number]
    if given is None or np.shape(given) != theirs.shape:
        return None
    right = np.asarray(given, dtype=np.float64)
    noted = TEXTS.say("noticed.digits_lost", name=name, precision=precision)
    if precision == "float64":
        return noted if _digits_left(theirs, right, reference, probe, number) else None
    args = [value.astype(np.float64) if value.dtype.kind == "f" else value for value in probe.args]
    delta = probe.delta.astype(np.float64)
    if subject.precision is not None or all(v.dtype == np.float64 for v in probe.args if v.dtype.kind == "f"):
        return None
    wide = attempt(subject, args, delta)
    value = None if wide is None else wide[number]
    if value is None or value.dtype != np.float64 or value.shape != right.shape:
        return None
    if not _digits_left(value, right, reference, Probe(tuple(args), delta), number):
        return None
    if close(theirs, right, half_of_the_digits(right, precision, 1 / 3)).all():
        return noted
    what = TEXTS.say("contract.digits_lost", name=name, precision=precision)
    return Finding(name, what, mistake="float64 only", evidence={"precision": precision})


def rounded_alone(
    subject: Subject, probe: Probe, number: int, theirs: Array
) -> tuple[Say | Finding, bool] | None:
    """The same where no formula is known: a note where half of the digits are left or, for then it cannot be
    told, True beside it, a third; a finding where they are not; None where the same code in float64 does not
    have the differences of its forward.
    """
    precision = computed_in(probe.args)
    if precision == "float64" or subject.precision is not None:
        return None
    args = [value.astype(np.float64) if value.dtype.kind == "f" else value for value in probe.args]
    delta = probe.delta.astype(np.float64)
    wide = attempt(subject, args, delta)
    value = None if wide is None else wide[number]
    if value is None or value.dtype != np.float64 or value.shape != theirs.shape:
        return None
    measured = differences(subject.forward, args, number, delta)
    plain = ~measured.kinks & np.isfinite(measured.values)
    right, entries = measured.values[plain], measured.entries[plain]
    slack = 20 * measured.errors[plain] + DIFFERED * np.abs(right).max(initial=0.0)
    if not (np.abs(value.reshape(-1)[entries] - right) <= slack).all():
        return None
    name = subject.names[number]
    if not _scattered(subject, probe, number, int(np.abs(theirs - value).argmax())):
        return None
    if close(theirs, value, half_of_the_digits(value, precision)).all():
        return TEXTS.say("judged.digits", name=name, precision=precision), False
    if close(theirs, value, half_of_the_digits(value, precision, 1 / 3)).all():
        return TEXTS.say("unsure.digits", name=name, precision=precision), True
    what = TEXTS.say("contract.float64_only", name=name)
    return Finding(name, what, mistake="float64 only", evidence={"precision": precision}), False


def _scattered(subject: Subject, probe: Probe, number: int, entry: int) -> bool:
    """Whether by how much an entry is off from that in float64 jumps with the numbers, as of roundings; by a
    factor, or on purpose, it is off as much again.
    """
    rng, off = np.random.default_rng(number), []
    for _ in range(NEARBY):
        given = [*probe.args, probe.delta]
        near = [_moved(value, rng) if value.dtype.kind == "f" else value for value in given]
        wide = [value.astype(np.float64) if value.dtype.kind == "f" else value for value in near]
        both = (attempt(subject, values[:-1], values[-1]) for values in (near, wide))
        first, second = (None if given is None else given[number] for given in both)
        if first is not None and second is not None and first.shape == second.shape:
            off.append(float(first.reshape(-1)[entry]) - float(second.reshape(-1)[entry]))
    return len(off) < 2 or float(np.std(off)) >= SCATTER * abs(float(np.mean(off)))


def _moved(value: Array, rng: np.random.Generator) -> Array:
    """Numbers near these, by a share of how far apart they are."""
    wide = value.astype(np.float64)
    by = float(wide.std()) or float(np.abs(wide).max(initial=0.0))
    return np.asarray(wide + NEAR * by * rng.normal(size=value.shape)).astype(value.dtype)


def _digits_left(value: Array, right: Array, reference: Reference, probe: Probe, number: int) -> bool:
    """Whether a gradient in float64 is right but for digits that another algebra loses."""
    if not close(value, right, half_of_the_digits(right, "float64")).all():
        return False
    allowed = allowances(reference, probe.args, probe.delta, "float64")[number]
    return allowed is not None and bool(close(value, right, LOST * allowed).all())
