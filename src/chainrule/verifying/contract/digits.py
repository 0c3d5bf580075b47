"""A gradient that is wrong in a small type and right in float64 is no wrong formula: it loses digits."""

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


def lost_digits(
    subject: Subject, probe: Probe, number: int, theirs: Array, reference: Reference
) -> Finding | Say | None:
    """Of gradient `number`, which is off by more than rounding: None where it is wrong in float64, too.

    A note where half of the digits are left, a finding where they are not.
    """
    args = [value.astype(np.float64) if value.dtype.kind == "f" else value for value in probe.args]
    delta = probe.delta.astype(np.float64)
    if subject.precision is not None or all(v.dtype == np.float64 for v in probe.args if v.dtype.kind == "f"):
        return None
    wide = attempt(subject, args, delta)
    value = None if wide is None else wide[number]
    right = reference(args, delta)[number]
    allowed = allowances(reference, args, delta, "float64")[number]
    if value is None or right is None or allowed is None or value.dtype != np.float64:
        return None
    right = np.asarray(right)
    if value.shape != right.shape or not close(value, right, allowed).all():
        return None
    name, precision = subject.names[number], precision_of(theirs)
    if close(theirs, right, half_of_the_digits(right, precision)).all():
        return TEXTS.say("noticed.digits_lost", name=name, precision=precision)
    what = TEXTS.say("contract.digits_lost", name=name, precision=precision)
    return Finding(name, what, mistake="float64 only", evidence={"precision": precision})
