"""The place in their source of what breaks the contract: a write, a sum not cleared, a type, a layout.

Each change is judged by the check that found it, and then by the whole verdict.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from itertools import islice

import numpy as np

from chainrule.base.languages import Say
from chainrule.base.types import Array
from chainrule.verifying.contract.calls import output
from chainrule.verifying.contract.layouts import layout_matters
from chainrule.verifying.contract.owed import SYMPTOMS, shapes
from chainrule.verifying.contract.repeated import changed_in_place, kept_results, not_repeatable
from chainrule.verifying.contract.steps import kept_between
from chainrule.verifying.probes import Probe
from chainrule.verifying.source.changes.owing import Owing, changes_for
from chainrule.verifying.source.mended import Mended
from chainrule.verifying.source.named import placed
from chainrule.verifying.source.scope import scopes_of
from chainrule.verifying.source.written import Written, ran, written
from chainrule.verifying.subjects.calls.effort import effort
from chainrule.verifying.subjects.subject import Subject
from chainrule.verifying.verdict import Finding, Verdict

KEPT = {
    *("input modified", "δ modified", "writes into its arguments", "accumulated", "cache changed"),
    *("wrong dtype", "contiguous only"),
}
MOST_TRIED, MOST_LINES = 120, 400_000  # changes of one finding, and lines that their checks may run
MOST_FITTING = 4  # of which the one is taken with which least else is wrong
CALLS = 8  # of their code in one check
Told = set[tuple[str, str]]


def keeps(
    subject: Subject, verdict: Verdict, probes: Sequence[Probe], again: Callable[[], Verdict]
) -> Verdict:
    """The verdict with the places of what breaks the contract.  again: that of their code as it is then."""
    wanted = [each for each in verdict.findings if each.mistake in KEPT and each.source is None]
    if not wanted or not probes:
        return verdict
    first, findings = probes[0], list(verdict.findings)
    follows = [each for each in findings if each.mistake in KEPT | SYMPTOMS | {"not repeatable"}]

    def once() -> None:
        output(subject, first.args)
        subject.backward([value.copy() for value in first.args], first.delta.copy())

    with np.errstate(all="ignore"):
        cost = CALLS * (1 + effort(once, MOST_LINES, first.args))
        places = written(ran(once).values())
        with contextlib.ExitStack() as kept:
            left = told(verdict.findings)
            for finding in wanted:
                if (finding.name, finding.mistake) not in left:
                    continue  # what was found before it mends it, too
                best: tuple[Mended, Told] | None = None
                found = _found(subject, finding, probes, places, MOST_LINES // cost)
                for mended in islice(found, MOST_FITTING):
                    with mended.place.changed(mended.text):
                        after = told(again().findings)
                    if (finding.name, finding.mistake) in after or after - left:
                        continue
                    if best is None or len(after) < len(best[1]):
                        best = mended, after
                    if not after:
                        break
                if best is None:
                    continue
                mended, after = best
                kept.enter_context(mended.place.changed(mended.text))
                gone = {id(each) for each in follows if (each.name, each.mistake) in left - after}
                findings = [placed(each, mended) if id(each) in gone else each for each in findings]
                places = [each.rewritten(mended.text) if each is mended.place else each for each in places]
                left = after
    return replace(verdict, findings=tuple(findings))


def told(findings: Sequence[Finding]) -> Told:
    return {(each.name, each.mistake) for each in findings}


def _found(
    subject: Subject, finding: Finding, probes: Sequence[Probe], places: Sequence[Written], most: int
) -> Iterator[Mended]:
    """The changes with which the check that found it finds nothing, in the order of their ranks."""
    forward = ran(lambda: output(subject, probes[0].args))
    out, expected = output(subject, probes[0].args), str(finding.evidence.get("expected", ""))
    listed = []
    for place, last, scope in scopes_of(places):
        later = 2 * (last.code in forward)  # what backward writes on is no fault of forward
        made = changes_for(finding.mistake, expected, Owing(place, scope, last.names))
        listed += [(place, replace(each, rank=each.rank + later)) for each in made]
    seen, number = set[bytes](), frozenset(n for n, name in enumerate(subject.names) if name == finding.name)
    for place, change in sorted(listed, key=lambda pair: (pair[1].rank, len(pair[1].pieces))):
        text = change.text(place.text)
        if text in seen or len(seen) >= min(most, MOST_TRIED):
            continue
        seen.add(text)
        with place.changed(text) as possible:
            clean = possible and _clean(subject, finding, probes, out)
        if clean:
            yield Mended(place, change, text, number)


def _clean(subject: Subject, finding: Finding, probes: Sequence[Probe], out: Array) -> bool:
    """Whether forward gives what it gave, and the check that found it finds this no more."""
    anew = subject if subject.as_is is None else subject.as_is
    first, other = probes[0], probes[min(1, len(probes) - 1)]
    checks: dict[str, Callable[[], Iterable[Finding | Say]]] = {
        "wrong dtype": lambda: shapes(subject, first),
        "contiguous only": lambda: layout_matters(subject, first),
        "accumulated": lambda: (
            *not_repeatable(anew, first),
            *kept_results(anew, first, probes[1:]),
            *kept_between(anew, first, other),
        ),
        "cache changed": lambda: kept_between(anew, first, other),
    }
    try:
        after = output(subject, first.args)
        if after.shape != out.shape or not np.allclose(after, out, rtol=1e-9, atol=0, equal_nan=True):
            return False
        made = list(checks.get(finding.mistake, lambda: changed_in_place(anew, first))())
    except Exception:  # their code may raise whatever it likes
        return False
    return (finding.name, finding.mistake) not in told([each for each in made if isinstance(each, Finding)])
