"""A backward pass is linear in δ: it uses it, doubles with it, and adds up as it does."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from chainrule.verifying.contract.calls import answer, each, jitters, roughly, same
from chainrule.verifying.probes import Probe
from chainrule.verifying.subjects.subject import Subject
from chainrule.verifying.texts import TEXTS
from chainrule.verifying.verdict import Finding


def not_linear(subject: Subject, probe: Probe) -> Iterator[Finding]:
    """What of it does not hold; nothing is said of code that takes no δ."""
    if not subject.takes_delta or not probe.delta.size:
        return
    delta = probe.delta
    other = (np.roll(delta, 1) - delta).astype(delta.dtype) if delta.size > 1 else -3 * delta
    first, second = answer(subject, probe.args, delta), answer(subject, probe.args, other)
    double = answer(subject, probe.args, 2 * delta)
    both = answer(subject, probe.args, (delta + other).astype(delta.dtype))
    above = answer(subject, probe.args, np.maximum(delta, 0))  # what asks for a sign, and gets none
    below = answer(subject, probe.args, np.minimum(delta, 0))
    jitter: dict[str, float] = {}
    for name, *made in each(subject, first, second, double, both, above, below):
        of_delta, of_other, of_double, of_both, of_above, of_below = made
        if any(value.shape != of_delta.shape for value in made):
            continue
        size = float(np.abs(of_delta).max(initial=0.0) + np.abs(of_other).max(initial=0.0))
        if of_delta.any() and same(of_delta, of_other):
            given = zip(subject.names, probe.args, strict=True)
            of = next((argument for argument, value in given if same(of_delta, value)), None)
            if of is None:
                yield Finding(name, TEXTS.say("contract.constant", name=name), mistake="δ not used")
            else:
                what = TEXTS.say("cheat.input", name=name, of=of)
                yield Finding(name, what, mistake="input returned")
            continue
        pairs = (of_double, 2 * of_delta), (of_both, of_delta + of_other), (of_delta, of_above + of_below)
        if all(roughly(subject, *pair, size) for pair in pairs):
            continue
        jitter = jitter or dict(zip(subject.names, jitters(subject, probe), strict=True))
        if not roughly(subject, *pairs[0], size, jitter[name]):
            yield Finding(name, TEXTS.say("contract.not_linear", name=name), mistake="not linear in δ")
        elif not all(roughly(subject, *pair, size, 2 * jitter[name]) for pair in pairs[1:]):
            yield Finding(name, TEXTS.say("contract.not_additive", name=name), mistake="not additive in δ")
