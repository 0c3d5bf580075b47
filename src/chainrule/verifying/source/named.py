"""The mistake named by the place of their source, written otherwise, that makes everything right."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace

from chainrule.base.languages import SPACE
from chainrule.verifying.contract.owed import SYMPTOMS
from chainrule.verifying.source.mended import Mended
from chainrule.verifying.source.mending import MOST_LINES, Mending
from chainrule.verifying.source.paths import Paths
from chainrule.verifying.source.right import Right
from chainrule.verifying.subjects.subject import Subject
from chainrule.verifying.texts import TEXTS
from chainrule.verifying.verdict import Finding, Place, Verdict

# Words that say that something is wrong and not what was written: a place in the source says more.
NO_CAUSE = SYMPTOMS | {
    *("", "given shapes only", "given numbers only", "contiguous only", "zeros", "output unused", "NaN"),
    *("not repeatable", "wrong shape", "stale cache"),
}
MIXED = "samples mixed"
SEARCHED = ("δ not used", "constant", "kept result")  # without a place in the array, and told by the source
WHOLE = ("term_missing", "line_missing")
# Of the lines that changes may run, what solving and two changes at once may run beside.
SOLVING, PAIRS, MOST = 5, 2, 3
PART_OF_FORWARD = 4  # of all lines, that trying what runs for the output may run at least
LINES_OF_NAMED = MOST_LINES // 2  # where all causes are named


def lines_for(verdict: Verdict) -> int:
    """How many lines the search of the source may run: 0 where nothing is wrong that a place may mend."""
    if verdict.verdict != "wrong":
        return 0
    if any(each.mistake in NO_CAUSE for each in verdict.findings):
        return MOST_LINES
    return LINES_OF_NAMED if any(map(_searched, verdict.findings)) else 0


def _searched(finding: Finding) -> bool:
    """Whether a place of their source may be what is wrong."""
    return finding.where is not None or finding.mistake in SEARCHED


def by_source(
    subject: Subject,
    verdict: Verdict,
    right: Sequence[Right],
    others: Callable[[frozenset[int]], Sequence[Right]],
    lines: int,
    again: Callable[[], Verdict],
) -> Verdict:
    """The verdict with the places that were found: what should be another, else paths of their forward, else
    what is missing; last, in what runs for the output, too, which says what is meant.  right: on the probes
    that tell; others: for other sizes, of these arguments.  lines: that the search may run.  again: the
    verdict of their code as it is then, with the changes made.
    """
    plain = verdict
    mending = Mending(subject, right, others, lines, lines * SOLVING // MOST, lines * PAIRS // MOST)
    verdict = _changed(subject, verdict, mending, again)
    if any(_unplaced(each) and (_number(each) or each.mistake in NO_CAUSE) for each in verdict.findings):
        verdict = _paths(subject, verdict, right)
    if _loose(verdict):
        verdict = _changed(subject, verdict, mending, again, far=True)
    if _loose(verdict) and mending.possible and mending.two_parts:
        mending.left = max(mending.left, lines // PART_OF_FORWARD)
        mending.left_to_solve = max(mending.left_to_solve, lines // PART_OF_FORWARD // 2)
        for far in (False, True):
            if _loose(verdict):
                verdict = _changed(subject, verdict, mending, again, far=far, shared=True)
    if _loose(verdict):
        if mending.made:  # what makes one right may be the other mistake of a second
            anew = Mending(subject, right, others, lines, 0, mending.left_to_pair // 2)
            mending.left_to_pair //= 2
            whole = _changed(subject, plain, anew, again, pairs=True)
            if not _loose(whole):
                return whole
        verdict = _changed(subject, verdict, mending, again, pairs=True)
    return verdict


def _loose(verdict: Verdict) -> bool:
    """Whether a place is still to be found."""
    return any(each.source is None and _searched(each) for each in verdict.findings)


def _unplaced(finding: Finding) -> bool:
    """Whether nobody knows as yet where it comes from."""
    return finding.source is None and not finding.mistake.startswith("path ")


def _number(finding: Finding) -> bool:
    """Whether a gradient is off by a factor that is a number and no size: where it comes from says more."""
    return re.fullmatch(r"factor (1/)?[0-9.]+", finding.mistake) is not None


def _paths(subject: Subject, verdict: Verdict, right: Sequence[Right]) -> Verdict:
    """With what comes by a path of their forward otherwise than it must."""
    places = {name: number for number, name in enumerate(subject.names)}
    loose = [each for each in verdict.findings if _unplaced(each)]
    unplaced = {each.name for each in loose if _number(each)}
    wanted = unplaced | {each.name for each in loose if not each.mistake and each.name in places}
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
    subject: Subject,
    verdict: Verdict,
    mending: Mending,
    again: Callable[[], Verdict],
    far: bool = False,
    shared: bool = False,
    pairs: bool = False,
) -> Verdict:
    """With the changes of their source named that make right what is wrong."""
    known = len(mending.made)
    found = mending.mended(far, shared, pairs)
    if len(found) == known:
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
        mending.forget()
        return verdict
    findings, notes, told = list[Finding](), list(verdict.notes), dict[int, Finding]()
    alone = sum(bool(each.numbers) for each in found) == 1 and not after.findings
    both = set[int]()  # of two places at once, those of which the first is said
    used = set[int]()
    for finding in sorted(verdict.findings, key=lambda each: alone and each.mistake in NO_CAUSE):
        number = _by(finding, mended_names, cured)
        if number is not None and finding.mistake == "zeros" and found[number].change.kind in WHOLE:
            number = None  # nothing is computed, and all of it would be added
        used |= set() if number is None else {number}
        if number is not None and finding.source is None and not _unplaced(finding):
            findings.append(placed(finding, found[number]))  # of a path the place, too
            findings += _first(findings[-1], found[number], number, both)
        elif number is None or not _unplaced(finding):
            findings.append(finding)
        elif number not in told:
            told[number] = caused(finding, found[number])
            findings.append(told[number])
            findings += _first(findings[-1], found[number], number, both)
        elif finding.mistake not in NO_CAUSE and not alone:
            findings.append(placed(finding, found[number]))
        elif finding.name and finding.name != told[number].name:
            notes.append(TEXTS.say("judged.follows", name=finding.name))
    named = {finding.name for finding in findings}
    for number, names in enumerate(mended_names if not after.findings else ()):
        others = sorted(names - named)
        if number not in used and others:  # taken to follow from the others, and right only with its own
            what = TEXTS.say("source.another", name=others[0])
            findings.append(caused(Finding(others[0], what), found[number]))
            findings += _first(findings[-1], found[number], number, both)
            follows = [TEXTS.say("judged.follows", name=name) for name in names]
            notes = [note for note in notes if note not in follows]
    if told:
        several = any(found[number].first is not None for number in used)
        notes.append(TEXTS["judged.sources" if several else "judged.source"])
    return replace(verdict, findings=tuple(findings), notes=tuple(dict.fromkeys(notes)))


def _first(finding: Finding, mended: Mended, number: int, told: set[int]) -> list[Finding]:
    """The other of two mistakes that are one finding, once."""
    if mended.first is None or number in told:
        return []
    told.add(number)
    what = TEXTS.say("source.second", name=finding.name)
    return [caused(Finding(finding.name, what, evidence=finding.evidence), mended.first)]


def _by(finding: Finding, names: Sequence[Iterable[str]], cured: Iterable[str]) -> int | None:
    """The place that makes a finding vanish, None where none does."""
    for number, each in enumerate(names):
        if finding.name in each:
            return number
    return len(names) - 1 if finding.name in cured else None


def placed(finding: Finding, mended: Mended) -> Finding:
    """With the place."""
    line, column, stands, write = mended.quoted()
    place = Place(mended.place.title, line, stands, "" if write == "pass" else write, column)
    return replace(
        finding, source=place, evidence={**finding.evidence, "file": place.file, "line": place.line}
    )


def caused(finding: Finding, mended: Mended) -> Finding:
    """With the place, which is the cause where none is known."""
    at = placed(finding, mended)
    change = mended.change
    parts = [each for each in (change, change.also) if each is not None]
    why = SPACE.join(
        TEXTS.within("source")[each.kind].format(wrong=each.wrong, right=each.right) for each in parts
    )
    numeric = change.kind.partition("_")[0] in ("factor", "divisor", "number")
    plain = numeric and any(re.fullmatch(r"[0-9./ ()]+", text) for text in (change.wrong, change.right))
    if _number(finding) and finding.fix is None and not plain:  # 2 is β of these arguments
        return replace(at, why=why)
    if finding.mistake and finding.mistake not in NO_CAUSE:
        return at if at.why is not None else replace(at, why=why)
    assert at.source is not None
    word, kind = finding.mistake, " and ".join(each.kind.replace("_", " ") for each in parts)
    if not word or (word == MIXED and not kind.endswith(" extra")):  # of a wrong axis the consequence alone
        word = kind
    why = finding.why or why
    return replace(at, why=why, fix=at.source.said, mistake=word, formulas=None, observed=None)
