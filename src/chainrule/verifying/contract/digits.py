"""A gradient that is wrong in a small type and right in float64 is no wrong formula: it loses digits.

E[x²] - E[x]² for a variance does, where the mean is large.
"""

from __future__ import annotations

import numpy as np

from chainrule.base.languages import Say
from chainrule.base.types import Array
from chainrule.verifying.contract.calls import attempt
from chainrule.verifying.precision import Reference, allowances, close, half_of_the_digits, precision_of
from chainrule.verifying.probes import Probe
from chainrule.verifying.subjects.subject import Subject
from chainrule.verifying.texts import TEXTS
from chainrule.verifying.verdict import Finding

# Times the tolerance: a variance by moments loses so many digits, a wrong term of 1 % is farther off.
LOST = 1e5


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


def _digits_left(value: Array, right: Array, reference: Reference, probe: Probe, number: int) -> bool:
    """Whether a gradient in float64 is right but for digits that another algebra loses."""
    if not close(value, right, half_of_the_digits(right, "float64")).all():
        return False
    allowed = allowances(reference, probe.args, probe.delta, "float64")[number]
    return allowed is not None and bool(close(value, right, LOST * allowed).all())
