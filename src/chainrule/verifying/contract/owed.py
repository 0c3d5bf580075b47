"""What every backward pass owes, whatever it computes: one gradient of each argument's shape, the same each
time, linear in δ, of arrays however they lie in memory, and nothing of its input changed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from chainrule.base.languages import Say
from chainrule.verifying.contract.calls import answer, attempt, output
from chainrule.verifying.contract.layouts import layout_matters, type_matters
from chainrule.verifying.contract.linear import not_linear
from chainrule.verifying.contract.peeking import peeks, replaces
from chainrule.verifying.contract.repeated import changed_in_place, constant, kept_results, not_repeatable
from chainrule.verifying.contract.samples import mixed
from chainrule.verifying.contract.steps import kept_between, shared
from chainrule.verifying.precision import Reference
from chainrule.verifying.probes import Probe
from chainrule.verifying.subjects.subject import Gradients, Subject
from chainrule.verifying.texts import TEXTS
from chainrule.verifying.verdict import Finding

# Words that say that what came back has no fixed meaning: nothing more is asked of such code.
UNSTABLE = {"forward not repeatable", "not repeatable", "random", "accumulated"}
KEPT = {"constant", "kept result"}
# What a wrong formula shows, too: its name is the better answer.
SYMPTOMS = {"samples mixed", "not linear in δ", "not additive in δ"}


@dataclass(frozen=True, eq=False)
class Owed:
    """findings: what does not hold; notes: what was noticed and is no mistake."""

    findings: tuple[Finding, ...]
    notes: tuple[Say, ...]

    @property
    def spoiled(self) -> set[str]:
        """The arguments whose gradients need no other judge."""
        mild = {"wrong dtype", "contiguous only", "float64 only", *SYMPTOMS}
        return {finding.name for finding in self.findings if finding.mistake not in mild}


def owed(
    subject: Subject,
    probes: Sequence[Probe],
    reference: Reference | None = None,
    progress: Callable[[Say], None] = lambda step: None,
) -> Owed:
    """What of the contract does not hold on these probes, of which the first are the given arguments.

    reference: what is right, where that is known.  progress: told of each check before it begins.  None is
    left out for want of time, whatever theirs takes: the verdict would be another on a busy machine.
    """
    first = probes[0]
    other = probes[min(1, len(probes) - 1)]
    said: list[Finding | Say] = []
    anew = subject if subject.as_is is None else subject.as_is  # what is kept between calls shows there alone
    checks: list[tuple[str, Callable[[], Iterable[Finding | Say]], set[str]]] = [
        ("modified", lambda: changed_in_place(anew, first), set()),
        ("shapes", lambda: (*nothing(subject, first), *shapes(subject, first)), set()),
        ("repeated", lambda: not_repeatable(anew, first), set()),
        ("constant", lambda: constant(subject, probes), UNSTABLE),
        ("kept", lambda: kept_results(anew, first, probes[1:]), UNSTABLE),
        ("steps", lambda: kept_between(anew, first, other), UNSTABLE),
        ("linear", lambda: not_linear(subject, first), UNSTABLE | KEPT),
        ("peeks", lambda: (*replaces(anew, first), *peeks(anew, first)), set()),
        ("layouts", lambda: layout_matters(subject, first), UNSTABLE | KEPT),
        ("types", lambda: type_matters(subject, first), UNSTABLE | KEPT),
        ("samples", lambda: mixed(subject, first, reference), UNSTABLE | KEPT),
        ("shared", lambda: shared(subject, first), set()),
    ]
    with np.errstate(all="ignore"):
        for step, check, unless in checks:
            if unless & {each.mistake for each in said if isinstance(each, Finding)}:
                continue
            progress(TEXTS.within("step")[step])
            said += check()
    notes = tuple(each for each in said if isinstance(each, Say))
    return Owed(tuple(_first_of_each([each for each in said if isinstance(each, Finding)])), notes)


def _first_of_each(findings: Sequence[Finding]) -> Iterator[Finding]:
    """Of what is said twice of an array the first."""
    told = set()
    for finding in findings:
        if (finding.name, finding.mistake) not in told:
            told.add((finding.name, finding.mistake))
            yield finding


def runnable(
    subject: Subject, probes: Sequence[Probe], samples: Sequence[tuple[int, int]] = ()
) -> tuple[list[Probe], list[Finding], list[Say]]:
    """The probes on which their backward runs; a finding where it raises though their forward runs, on other
    numbers or on more samples, and a note where it raises for other sizes of anything else.

    samples: (argument, axis) wherever samples are counted.  What it raises on the first probe is raised.
    """
    answer(subject, probes[0].args, probes[0].delta)
    kept, raised = [probes[0]], []
    for probe in probes[1:]:
        if attempt(subject, probe.args, probe.delta) is not None:
            kept.append(probe)
        else:
            raised.append(probe)
    if not raised:
        return kept, [], []

    def changed(probe: Probe) -> set[tuple[int, int]]:
        pairs = enumerate(zip(probe.args, probes[0].args, strict=True))
        return {(n, axis) for n, (a, b) in pairs for axis in range(b.ndim) if a.shape[axis] != b.shape[axis]}

    owing = [probe for probe in raised if changed(probe) <= set(samples)]
    first = (owing or raised)[0]
    try:
        answer(subject, first.args, first.delta)
        said = ""
    except Exception as error:  # their code may raise whatever it likes
        said = f"{type(error).__name__}: {error}"
    shapes_ = " ".join(str(value.shape) for value in first.args)
    what = TEXTS.say("contract.raises", shapes=shapes_, error=said)
    if not owing:
        return kept, [], [what]
    word = "given shapes only" if changed(first) else "given numbers only"
    return kept, [Finding("", what, mistake=word, evidence={"shapes": shapes_, "error": said})], []


def nothing(subject: Subject, probe: Probe) -> Iterator[Finding]:
    """No gradient at all, as of a backward pass whose `return` is forgotten."""
    if all(value is None for value in answer(subject, probe.args, probe.delta)):
        yield Finding("", TEXTS["contract.nothing"], mistake="nothing returned")


def shapes(subject: Subject, probe: Probe) -> Iterator[Finding | Say]:
    """Gradients of another shape or type than their arguments, or with NaN in them; a note on those whose
    type is that of a forward which computes in a larger one, as NumPy 2 does behind x / np.sqrt(8).
    """
    made = output(subject, probe.args)
    gradients: Gradients = answer(subject, probe.args, probe.delta)
    for name, argument, value in zip(subject.names, probe.args, gradients, strict=True):
        if value is None:
            continue
        if value.shape != argument.shape:
            said = {"shape": str(value.shape), "expected": str(argument.shape)}
            what = TEXTS.say("contract.shape", name=name, **said)
            yield Finding(name, what, mistake="wrong shape", evidence=said)
        elif value.dtype.kind == "f" and not np.isfinite(value).all():
            count = int((~np.isfinite(value)).sum())
            yield Finding(name, TEXTS.say("contract.nonfinite", name=name, count=count), mistake="NaN")
        elif value.dtype != argument.dtype and argument.dtype.kind == "f":
            types = {"dtype": str(value.dtype), "expected": str(argument.dtype)}
            if value.dtype == made.dtype and made.dtype.itemsize > argument.dtype.itemsize:
                yield TEXTS.say("noticed.promoted", name=name, **types)
                continue
            what = TEXTS.say("contract.dtype", name=name, **types)
            yield Finding(name, what, mistake="wrong dtype", evidence=types)
