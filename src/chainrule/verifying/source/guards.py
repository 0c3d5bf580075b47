"""A guard at the wrong place: what is off from the differences by so little that they alone cannot tell it.

A gradient that is off by a millionth of its largest entry may be a right one beside a forward with a guard,
log(a + 1e-7), or have the guard of its own at another place.  The differences are known to more digits than
they are compared in: where one place of the source, written otherwise, makes all of these right, it is wrong.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace

import numpy as np

from chainrule.verifying.contract.calls import attempt, differences_of
from chainrule.verifying.judging.findings import finding
from chainrule.verifying.judging.hypotheses import Case
from chainrule.verifying.probes import Probe
from chainrule.verifying.source import named as causes
from chainrule.verifying.source.changes.change import Change
from chainrule.verifying.source.changes.insertions import Insertions
from chainrule.verifying.source.changes.neighbours import Neighbours
from chainrule.verifying.source.mending import Mending
from chainrule.verifying.source.right import Right, by_differences
from chainrule.verifying.source.scope import Scope, own, scopes_of
from chainrule.verifying.source.solving.places import Moved, Solving
from chainrule.verifying.source.solving.vocabulary import Vocabulary, expressions, firm
from chainrule.verifying.source.written import Written
from chainrule.verifying.subjects.subject import Subject
from chainrule.verifying.texts import TEXTS
from chainrule.verifying.verdict import Verdict

# Of the largest entry: off by more is something else than what compiler and differences round off, and what
# is right is within.  The error that differences tell of themselves is that of their second order; theirs is
# of the fourth.
LEAST, EXACT, OF_ERROR = 1e-7, 2e-9, 0.02
SMALL, NEAR = 1e-2, 1e-2  # guards; how far what is there may be off from what must be, of its size


def guarded(
    subject: Subject,
    verdict: Verdict,
    probes: Sequence[Probe],
    again: Callable[[], Verdict],
) -> Verdict:
    """Wrong, where a place of the source tells it; else the verdict as it is.  again: that of
    their code as it is then.
    """
    if any(value.dtype.kind == "f" and value.dtype != np.float64 for value in subject.args):
        return verdict
    right = by_differences(subject, probes)
    findings = []
    for number, name in enumerate(subject.names):
        case = _nearly(subject, right, number)
        if case is not None:
            findings.append(replace(finding(name, case, 0, None), where=None))
    if not findings:
        return verdict
    mending = Mending(subject, right, left=causes.LINES_OF_NAMED)
    if not mending.possible:
        return verdict
    wrong = frozenset(subject.names.index(each.name) for each in findings)
    scopes = [(place, scope) for place, _, scope in scopes_of(mending.places)]
    functions = [scope.node for _, scope in scopes]
    near = ((place, each) for place, scope in scopes for each in _near(mending, place, scope, functions))
    plain = ((place, each) for place, scope in scopes for each in Neighbours(place, scope))
    found = mending.best((pair for pair in (*near, *plain) if _guards(*pair)), wrong)
    if found is None:
        return verdict
    with found.place.changed(found.text):
        if again().verdict == "wrong":
            return verdict
    mended = {subject.names[number] for number in found.numbers}
    named = [causes.caused(each, found) for each in findings if each.name in mended]
    doubts = {TEXTS.say("unsure.nearly", name=name).en for name in subject.names}
    notes = [note for note in verdict.notes if note.en not in doubts]
    notes += (TEXTS.say("judged.follows", name=each.name) for each in named[1:])
    notes.append(TEXTS["judged.source"])
    return replace(verdict, verdict="wrong", findings=tuple(named[:1]), notes=tuple(notes))


def _guards(place: Written, change: Change) -> bool:
    """Whether a guard stands where it changes something: what has none beside a forward that has one is as
    people write it.
    """
    begin, end = change.span
    there = place.text[begin:end].decode()
    numbers = re.findall(r"(?<![\w.])\d+\.?\d*(?:e[-+]?\d+)?", there)
    ran = next(iter(place.ran.values()))
    named = [n.get(word) for word in re.findall(r"[^\W\d]\w*", there) for n in (ran.names, ran.world)]
    small = (0 < float(each) < SMALL for each in (*numbers, *(n for n in named if isinstance(n, float))))
    return any(small) or re.search(r"\.eps", there) is not None


def _near(mending: Mending, place: Written, scope: Scope, functions: Sequence[ast.AST]) -> Iterator[Change]:
    """What is nearly what stands at a place, by the numbers of one run: with the guard or without."""
    insertions = Insertions(place, scope)
    literals = dict.fromkeys(text for function in functions for text in _small(function))
    texts = [*expressions(scope, functions, Solving.names_of(place, scope)), *scope.atoms]
    world = next(iter(place.ran.values())).world
    told = set[tuple[int, int]]()
    for node in own(scope.node):
        if not isinstance(node, ast.expr) or isinstance(getattr(node, "ctx", None), (ast.Store, ast.Del)):
            continue
        if place.span(node) in told or isinstance(node, (ast.Tuple, ast.Slice, ast.Constant, ast.Starred)):
            continue
        told.add(place.span(node))
        whole = insertions.firm(node)
        yield from (insertions.instead("name", 2, node, f"({whole} + {e})") for e in literals)
        moved = Moved()
        with place.around(node, world, moved, "locals()") as possible:
            if not possible or mending.given(mending.right[0]) is None or not (moved.fits and moved.values):
                continue
        words = Vocabulary(scope, world, moved.names, moved.values, texts)
        there = words.flat(moved.values)
        size = 0.0 if there is None else float(np.linalg.norm(there))
        for text, value in words.words:
            off = float(np.linalg.norm(value - there)) if there is not None else 0.0
            if 0 < off <= NEAR * size:
                yield insertions.instead("name", 1, node, firm(text), text)


def _small(function: ast.AST) -> Iterator[str]:
    """Small numbers that are written out: what guards are."""
    for node in ast.walk(function):
        if isinstance(node, ast.Constant) and isinstance(node.value, float) and 0 < node.value < SMALL:
            yield repr(node.value)


def _nearly(subject: Subject, right: Sequence[Right], number: int) -> Case | None:
    """An argument's gradients beside what is right, where they are off by little; what is right is known in
    more digits from then on.
    """
    theirs, expected = [], []
    slacks = []
    for each in right:
        given, value = attempt(subject, each.probe.args, each.probe.delta), each.values[number]
        made = None if given is None else given[number]
        if value is None or made is None or made.shape != each.probe.args[number].shape or not value.size:
            return None
        taken = differences_of(subject, each.probe, number)
        plain = ~taken.kinks & np.isfinite(taken.values)
        largest = float(np.abs(value).max())
        slack = EXACT * largest + OF_ERROR * taken.errors[plain]
        flat = made.astype(np.float64).reshape(-1)
        off = np.abs(flat[taken.entries[plain]] - value)
        if not (off > LEAST * largest + 10 * slack).any():
            return None
        full = flat.copy()
        full[taken.entries[plain]] = value
        theirs.append(made.astype(np.float64))
        expected.append(full.reshape(made.shape))
        slacks.append(slack)
    for each, slack in zip(right, slacks, strict=True):
        each.slack[number] = slack  # type: ignore[index]
    return Case(theirs, expected, [False] * len(theirs), [{} for _ in theirs])
