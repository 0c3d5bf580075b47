"""Mistakes of layers and losses of one kind alone: of running statistics, of masks, of samples left out."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from chainrule.verifying.contract.calls import answer
from chainrule.verifying.judging.findings import finding
from chainrule.verifying.judging.hypotheses import Case
from chainrule.verifying.judging.search import Search
from chainrule.verifying.meanings.layer import LayerMeaning
from chainrule.verifying.precision import close
from chainrule.verifying.probes import Probe
from chainrule.verifying.subjects.subject import Subject
from chainrule.verifying.texts import TEXTS
from chainrule.verifying.verdict import Finding


def running_statistics(
    subject: Subject, probe: Probe, meaning: LayerMeaning, owing: list[Finding]
) -> list[Finding]:
    """What calls in between change is what they move, where each channel is off by its own factor."""
    name, states = subject.names[meaning.place], {"stale cache", "cache changed", "not repeatable"}
    if not any(finding.name == name and finding.mistake in states for finding in owing):
        return owing
    bound = meaning.bind(probe)
    theirs = answer(subject, probe.args, probe.delta)[meaning.place]
    form = bound.forms[meaning.place]
    if theirs is None or theirs.shape != probe.args[meaning.place].shape:
        return owing
    given, right = form.to_ours(theirs.astype(np.float64)), meaning.gradient(bound, "delta")
    if close(given, right).all():  # in a call by itself
        return owing
    for base in (right, bound.values["d"]):
        by_channel = [np.moveaxis(each, -2, 0).reshape(each.shape[-2], -1) for each in (given, base)]
        factor = (by_channel[0] * by_channel[1]).sum(axis=1) / (by_channel[1] ** 2).sum(axis=1)
        if close(by_channel[0], factor[:, None] * by_channel[1]).all():
            kept = [finding for finding in owing if finding.name != name or finding.mistake not in states]
            case = Case([theirs], [form.to_theirs(right)], [False], [bound.sizes])
            found = finding(name, case, 0, None)
            why = TEXTS["mistake.running_statistics"]
            return [*kept, replace(found, why=why, mistake="running statistics")]
    return owing


def another_mask(search: Search, case: Case) -> bool:
    """Whether δ comes through a dropout at other entries than its output did, as strong as it should."""
    if not (isinstance(search.meaning, LayerMeaning) and search.meaning.layer.passage == "dropout"):
        return False
    for probe, theirs, right in zip(search.probes, case.theirs, case.right, strict=True):
        if theirs.shape != probe.delta.shape or not (probe.delta != 0).all():
            return False
        passed = theirs[theirs != 0] / probe.delta[theirs != 0]
        strong = right[right != 0] / probe.delta[right != 0]
        if not len(passed) or not len(strong) or not np.allclose(passed, strong[0], rtol=1e-6):
            return False
    return True


def ignored_learn(search: Search, case: Case) -> bool:
    """Whether a loss has all right but for the samples that do not count, whatever these got."""
    loss = getattr(search.meaning, "loss", None)
    if getattr(loss, "ignore_index", None) is None:
        return False
    wrong = [case.wrong(number) for number in range(len(case.right))]
    return not any((each & (right != 0)).any() for each, right in zip(wrong, case.right, strict=True))
