"""The mistake named by the place of their source, written otherwise, that makes everything right."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace

from chainrule.base.languages import Say
from chainrule.verifying.contract.owed import SYMPTOMS
from chainrule.verifying.source.mending import Mended, Mending, Right
from chainrule.verifying.source.paths import Paths
from chainrule.verifying.subjects.subject import Subject
from chainrule.verifying.texts import TEXTS
from chainrule.verifying.verdict import Finding, Verdict

# Words that say that something is wrong and not what was written: a place in the source says more.
NO_CAUSE = SYMPTOMS | {
    *("", "given shapes only", "given numbers only", "contiguous only", "zeros", "output unused", "NaN"),
    *("not repeatable", "wrong shape", "stale cache"),
}
WHOLE = ("term_missing", "line_missing")


def wants_source(verdict: Verdict) -> bool:
    """Whether something in it is wrong without a cause, or by a number that nobody can place."""
    return verdict.verdict == "wrong" and any(
        each.mistake in NO_CAUSE or _number(each) for each in verdict.findings
    )


def _number(finding: Finding) -> bool:
    """Whether a gradient is off by a factor that is a number and no size: where it comes from says more."""
    return re.fullmatch(r"factor (1/)?[0-9.]+", finding.mistake) is not None


def by_source(
    subject: Subject,
    verdict: Verdict,
    right: Sequence[Right],
    others: Callable[[frozenset[int]], Sequence[Right]],
    again: Callable[[], Verdict],
) -> Verdict:
    """The verdict with the places that were found: what should be another, else paths of their forward, else
    what is missing.  right: on the probes that tell; others: for other sizes, of
    these arguments.  again: the verdict of their code as it is then, with the changes made.
    """
    mending = Mending(subject, right, others)
    if any(each.mistake in NO_CAUSE for each in verdict.findings):
        verdict = _changed(subject, verdict, mending, again, False)
    if wants_source(verdict):
        verdict = _paths(subject, verdict, right)
    if not any(each.mistake in NO_CAUSE for each in verdict.findings):
        return verdict
    return _changed(subject, verdict, mending, again, True)


def _paths(subject: Subject, verdict: Verdict, right: Sequence[Right]) -> Verdict:
    """With what comes by a path of their forward otherwise than it must."""
    places = {name: number for number, name in enumerate(subject.names)}
    unplaced = {each.name for each in verdict.findings if _number(each)}
    wanted = unplaced | {each.name for each in verdict.findings if not each.mistake and each.name in places}
    wrong = frozenset(places[name] for name in wanted if name in places)
    found = Paths(subject, [each.probe for each in right], wrong).found() if wrong else []
    findings, notes = list[Finding](), list(verdict.notes)
    told = set[int]()
    for finding in verdict.findings:
        number = places.get(finding.name)
        by = next((n for n, path in enumerate(found) if number in path.numbers), None)
        more = by is not None and (found[by].says_more or finding.name not in unplaced)
        if by is None or finding.name not in wanted or not more:
            findings.append(finding)
        elif by in told:
            notes.append(TEXTS.say("judged.follows", name=finding.name))
        else:
            told.add(by)
            why, fix = found[by].said()
            evidence = {**finding.evidence, "file": found[by].place.title, "line": found[by].line}
            made = replace(finding, why=why, fix=fix, mistake=f"path {found[by].kind}", evidence=evidence)
            findings.append(replace(made, formulas=None, observed=None))
    notes += [TEXTS["judged.path"]] if told else []
    return replace(verdict, findings=tuple(findings), notes=tuple(dict.fromkeys(notes)))


def _changed(
    subject: Subject, verdict: Verdict, mending: Mending, again: Callable[[], Verdict], far: bool
) -> Verdict:
    """With the changes of their source named that make right what is wrong."""
    found = mending.mended(far)
    if not found:
        return verdict
    with contextlib.ExitStack() as kept:
        for mended in found:
            kept.enter_context(mended.place.changed(mended.text))
        after = again()
    left = {finding.name for finding in after.findings}
    mended_names = [
        frozenset(name for name in (subject.names[number] for number in each.numbers) if name not in left)
        for each in found
    ]
    cured = {finding.name for finding in verdict.findings} - left
    if not cured or not any(mended_names):
        return verdict
    findings, notes, told = list[Finding](), list(verdict.notes), dict[int, Finding]()
    alone = len(found) == 1 and not after.findings
    for finding in sorted(verdict.findings, key=lambda each: alone and each.mistake in NO_CAUSE):
        number = _by(finding, mended_names, cured)
        if number is not None and finding.mistake == "zeros" and found[number].change.kind in WHOLE:
            number = None  # nothing is computed, and all of it would be added
        if number is None or (finding.mistake not in NO_CAUSE and not alone):
            findings.append(finding)
        elif number in told:
            if finding.name and finding.name != told[number].name:
                notes.append(TEXTS.say("judged.follows", name=finding.name))
        else:
            told[number] = _said(finding, found[number])
            findings.append(told[number])
    if told:
        notes.append(TEXTS["judged.source"])
    return replace(verdict, findings=tuple(findings), notes=tuple(dict.fromkeys(notes)))


def _by(finding: Finding, names: Sequence[Iterable[str]], cured: Iterable[str]) -> int | None:
    """The place that makes a finding vanish, None where none does."""
    for number, each in enumerate(names):
        if finding.name in each:
            return number
    return len(names) - 1 if finding.name in cured else None


def _said(finding: Finding, mended: Mended) -> Finding:
    wrong, right = mended.lines()
    change = mended.change
    why = TEXTS.within("source")[change.kind].format(wrong=change.wrong, right=change.right)
    file = mended.place.title
    key = "source.instead" if right.strip() and right != "pass" else "source.without"
    fix: Say = TEXTS.say(key, line=mended.line, file=file, right=right, wrong=wrong)
    evidence = {**finding.evidence, "file": file, "line": mended.line}
    word = finding.mistake or change.kind.replace("_", " ")
    said = replace(finding, fix=fix, mistake=word, formulas=None, observed=None, evidence=evidence)
    return said if finding.mistake not in NO_CAUSE else replace(said, why=finding.why or why)
