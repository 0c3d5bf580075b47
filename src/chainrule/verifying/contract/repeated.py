"""The same call gives the same answer and leaves its arguments alone; another call gives another."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from chainrule.base.languages import Say
from chainrule.base.types import Array
from chainrule.verifying.contract.calls import answer, attempt, draws, each, near, output, same, seeded
from chainrule.verifying.probes import Probe
from chainrule.verifying.subjects.subject import Gradients, Steps, Subject
from chainrule.verifying.texts import TEXTS
from chainrule.verifying.verdict import Finding


# -- arguments
def changed_in_place(subject: Subject, probe: Probe) -> Iterator[Finding]:
    """Arguments and δ that forward or backward has written on."""
    args, delta = [value.copy() for value in probe.args], probe.delta.copy()
    subject.forward(args)
    by_forward = _changed(subject, probe, args)
    args = [value.copy() for value in probe.args]
    subject.backward(args, delta)
    names = list(dict.fromkeys([*by_forward, *_changed(subject, probe, args)]))
    for name in names:
        yield Finding(name, TEXTS.say("contract.modified", name=name), mistake="input modified")
    if not same(delta, probe.delta):
        yield Finding("δ", TEXTS["contract.delta_modified"], mistake="δ modified")
    elif not names:
        yield from _writes(subject, probe)


def _changed(subject: Subject, probe: Probe, args: Sequence[Array]) -> list[str]:
    pairs = zip(subject.names, probe.args, args, strict=True)
    return [name for name, before, after in pairs if not same(before, after)]


def _writes(subject: Subject, probe: Probe) -> Iterator[Finding]:
    """Writes on an argument that leave it as it was: only arrays that cannot be written on show them."""
    args, delta = [value.copy() for value in probe.args], probe.delta.copy()
    for value in (*args, delta):
        value.flags.writeable = False
    try:
        subject.backward(args, delta)
    except ValueError as error:
        if "read-only" in str(error):
            yield Finding("", TEXTS["contract.writes"], mistake="writes into its arguments")
    except Exception:  # another library may refuse such arrays for reasons of its own
        return


# -- the same call again
def not_repeatable(subject: Subject, probe: Probe) -> Iterator[Finding | Say]:
    """A finding on what is another answer to the same call; a note where only last digits are.

    A forward that draws a mask draws the same in every call (subjects/calls/running.py); where it draws none,
    every call begins with other random numbers, and backward must not depend on them.
    """
    one, other = (output(subject, probe.args) for _ in range(2))
    if not same(one, other) and not near(subject, one, other):
        yield Finding("", TEXTS["contract.forward_unstable"], mistake="forward not repeatable")
        return
    first, second, third = (answer(subject, probe.args, probe.delta) for _ in range(3))
    drawn = _drawn(subject, probe)
    for name, *values in zip(subject.names, first, second, third, strict=True):
        once, twice, thrice = values
        if once is None or twice is None or thrice is None:
            if not all(value is None for value in values):
                yield Finding(name, TEXTS.say("contract.unstable", name=name), mistake="not repeatable")
            continue
        if near(subject, once, twice) and near(subject, once, thrice):
            if name in drawn:
                yield Finding(name, TEXTS.say("contract.random", name=name), mistake="random")
            elif not (same(once, twice) and same(once, thrice)):
                yield TEXTS.say("noticed.digits", name=name)
            continue
        step = twice.astype(np.float64) - once if once.shape == twice.shape else None
        size = float(np.abs(thrice).max(initial=0.0))
        if step is not None and step.any() and near(subject, thrice - once, 2 * step, size):
            yield Finding(name, TEXTS.say("contract.accumulated", name=name), mistake="accumulated")
        else:
            yield Finding(name, TEXTS.say("contract.unstable", name=name), mistake="not repeatable")


def _drawn(subject: Subject, probe: Probe) -> set[str]:
    """The arguments whose gradients change with the global random numbers, where the output does not.

    What forward draws, such as a mask, is the same in every call here and may be in the gradients.
    """
    if not draws(subject, probe):
        one, other = (seeded(seed, lambda: answer(subject, probe.args, probe.delta)) for seed in (1, 2))
    elif subject.steps is None:
        return set()
    else:  # behind one forward
        try:
            one, other = (_behind_forward(subject.steps(), probe, seed) for seed in (1, 2))
        except Exception:  # their code may raise whatever it likes
            return set()
    return {name for name, before, after in each(subject, one, other) if not near(subject, before, after)}


def _behind_forward(steps: Steps, probe: Probe, seed: int) -> Gradients:
    """The gradients where the global random numbers begin at a seed between forward and backward."""
    _, kept = steps.forward([value.copy() for value in probe.args])
    return seeded(seed, lambda: steps.backward(kept, probe.delta.copy()))


# -- another call
def kept_results(subject: Subject, probe: Probe, others: Sequence[Probe]) -> Iterator[Finding]:
    """Answers to one call that are handed out to another: remembered by shape, by the first call, or by the
    array's identity.
    """
    first = answer(subject, probe.args, probe.delta)
    told = set()
    alike = [p for p in others if [v.shape for v in p.args] == [v.shape for v in probe.args]]
    for other in alike[:1]:
        later = attempt(subject, other.args, other.delta)
        for name, before, after in each(subject, first, later or (None,) * len(first)):
            if before.any() and same(before, after) and not (before == before.flat[0]).all():
                told.add(name)
                yield Finding(name, TEXTS.say("contract.kept", name=name), mistake="kept result")
        yield from _by_identity(subject, probe, other, told)


def _by_identity(subject: Subject, probe: Probe, other: Probe, told: set[str]) -> Iterator[Finding]:
    """The same arrays with other numbers in them."""
    args, delta = [value.copy() for value in probe.args], probe.delta.copy()
    if other.delta.shape != delta.shape:
        return
    try:
        subject.backward(args, delta)
        for value, numbers in zip((*args, delta), (*other.args, other.delta), strict=True):
            value[...] = numbers
        reused = subject.backward(args, delta)
        fresh = answer(subject, other.args, other.delta)
    except Exception:  # their code may raise whatever it likes
        return
    differ = [n for n, a, b in each(subject, fresh, reused) if n not in told and not near(subject, a, b)]
    if differ:
        again = answer(subject, other.args, other.delta)
        stable = {name for name, a, b in each(subject, fresh, again) if near(subject, a, b)}
        for name in differ:
            if name in stable:
                yield Finding(name, TEXTS.say("contract.kept_by_identity", name=name), mistake="kept result")


def constant(subject: Subject, probes: Sequence[Probe]) -> Iterator[Finding]:
    """Gradients of which all entries are one number, the same for every probe."""
    if len(probes) < 2:
        return
    answers = [attempt(subject, probe.args, probe.delta) for probe in probes[:3]]
    if any(made is None for made in answers):
        return
    for name, *values in each(subject, *(made for made in answers if made is not None)):
        first = values[0]
        if first.size > 1 and first.any() and all((v == first.flat[0]).all() for v in values):
            said = {"name": name, "value": f"{first.flat[0]:.6g}"}
            yield Finding(name, TEXTS.say("contract.one_number", **said), mistake="constant", evidence=said)
