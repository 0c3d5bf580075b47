"""What every backward pass owes, whatever it computes: one gradient of its argument's shape, the same each
time, in proportion to δ, and nothing of its input changed.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from chainrule.base.types import Array
from chainrule.verifying.hypotheses import close
from chainrule.verifying.probes import Probe
from chainrule.verifying.subjects.subject import Gradients, Subject
from chainrule.verifying.texts import TEXTS
from chainrule.verifying.verdict import Finding


def broken(subject: Subject, probe: Probe) -> Iterator[Finding]:
    """What of the contract does not hold on this probe."""
    args = [value.copy() for value in probe.args]
    first = subject.backward(args, probe.delta.copy())
    for name, before, after in zip(subject.names, probe.args, args, strict=True):
        if not np.array_equal(before, after, equal_nan=before.dtype.kind == "f"):
            yield Finding(name, TEXTS.say("contract.modified", name=name), mistake="input modified")
    yield from shapes(subject, probe, first)
    again = subject.backward([value.copy() for value in probe.args], probe.delta.copy())
    twice = subject.backward([value.copy() for value in probe.args], 2 * probe.delta)
    other = subject.backward([value.copy() for value in probe.args], np.roll(probe.delta, 1) - probe.delta)
    for name, value, same, double, changed in zip(subject.names, first, again, twice, other, strict=True):
        if value is None or same is None or double is None or changed is None:
            continue
        if value.shape != same.shape or not np.array_equal(value, same, equal_nan=True):
            yield Finding(name, TEXTS.say("contract.unstable", name=name), mistake="not repeatable")
        elif not np.isfinite(value).all():
            continue
        elif probe.delta.size > 1 and value.any() and np.array_equal(value, changed):
            yield Finding(name, TEXTS.say("contract.constant", name=name), mistake="δ not used")
        elif double.shape == value.shape and not close(double, 2 * value).all():
            yield Finding(name, TEXTS.say("contract.not_linear", name=name), mistake="not linear in δ")


def shapes(subject: Subject, probe: Probe, gradients: Gradients) -> Iterator[Finding]:
    for name, argument, value in zip(subject.names, probe.args, gradients, strict=True):
        if value is None:
            continue
        if value.shape != argument.shape:
            shapes = {"shape": str(value.shape), "expected": str(argument.shape)}
            yield Finding(
                name, TEXTS.say("contract.shape", name=name, **shapes), mistake="wrong shape", evidence=shapes
            )
        elif not np.isfinite(value).all():
            count = int((~np.isfinite(value)).sum())
            yield Finding(name, TEXTS.say("contract.nonfinite", name=name, count=count), mistake="NaN")
        elif value.dtype != argument.dtype and argument.dtype.kind == "f":
            types = {"dtype": str(value.dtype), "expected": str(argument.dtype)}
            yield Finding(
                name, TEXTS.say("contract.dtype", name=name, **types), mistake="wrong dtype", evidence=types
            )


def aliases(gradients: Gradients, args: list[Array]) -> bool:
    """Whether a gradient shares memory with an argument."""
    return any(
        value is not None and any(np.shares_memory(value, argument) for argument in args)
        for value in gradients
    )
