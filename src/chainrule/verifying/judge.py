"""One call of `verify`: what is meant, what is right, and which mistake gives what came back.

Arrays are judged in the order in which δ reaches them. A mistake that explains one is taken to be made when
those behind it are judged, so that what is wrong because of it alone is not blamed again.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property, partial
from itertools import combinations

import numpy as np

from chainrule.base.errors import ChainruleError
from chainrule.base.languages import SPACE, Say
from chainrule.base.types import Array
from chainrule.formulas.expression import Expression, Symbol
from chainrule.formulas.neighbours import RARE
from chainrule.formulas.printing import Equation, text
from chainrule.verifying.contract.calls import attempt
from chainrule.verifying.contract.digits import lost_digits
from chainrule.verifying.contract.handed import handed_back, right_where_shown
from chainrule.verifying.contract.owed import SYMPTOMS, Owed, owed, runnable, shapes
from chainrule.verifying.decoding.impulses import Responses, responses
from chainrule.verifying.decoding.rules import observed
from chainrule.verifying.differences import MOST_ENTRIES, differences
from chainrule.verifying.factors import factor, factor_names
from chainrule.verifying.hypotheses import Case, Mistake, agree, factors, orders, partly, scaled_orders
from chainrule.verifying.integers import compared_whole
from chainrule.verifying.meanings.layer import LayerMeaning
from chainrule.verifying.meanings.matching import Like
from chainrule.verifying.meanings.meaning import Argument, Bound, Edit, Edits, Meaning
from chainrule.verifying.places import at, place
from chainrule.verifying.precision import (
    Reference,
    Tolerance,
    Tolerances,
    close,
    fits,
    precision_of,
    worst,
)
from chainrule.verifying.probes import Probe, not_told_apart, probes
from chainrule.verifying.saying.marked import Marked, marked
from chainrule.verifying.saying.schema import Answer
from chainrule.verifying.subjects.subject import Subject
from chainrule.verifying.texts import TEXTS
from chainrule.verifying.verdict import Finding, Verdict

# Formulas of a layer that are computed in the search for the causes of one verdict, 4 to 5 s of work.
# Counted, not timed: so the answer is the same on a busy machine.
MOST_TRIED = 12_000
# What a formula with a mistake in it may raise: shapes that do not fit.
MISFITS = (
    *(ValueError, TypeError, IndexError, KeyError, AttributeError, NotImplementedError, ArithmeticError),
    ChainruleError,
)
PAIRED = 200  # single mistakes of a formula that is still searched for two at once


@dataclass(eq=False)
class Judge:
    """One call of verify."""

    subject: Subject
    args: list[Array]
    like: Like | None
    seed: int
    tried: list[Probe] = field(default_factory=list)
    reference: Reference | None = None
    unsure: bool = False
    follows: set[str] = field(default_factory=set)  # arrays that are wrong for another's reason alone
    # What is right, per array and probe: (what it may be off by, theirs, right).
    right: list[tuple[Tolerance, Array, Array]] = field(default_factory=list)

    def verdict(self, hint_level: int) -> Verdict:
        subject, notes = self.subject, list(self.subject.notes)
        out = subject.forward([value.copy() for value in self.args])
        meaning, findings = None, []
        if self.like is not None:
            meaning = self.like.meaning(self.args, subject.names, out, subject.forward, subject.precision)
            if meaning is None:
                said = TEXTS.say("forward", layer=self.like.title)
                findings.append(Finding("", said, mistake="forward"))
            else:
                notes.append(TEXTS.say("judged.formula", layer=meaning.title))
                self.reference = meaning.reference(len(self.args))
        if meaning is None:
            notes.append(TEXTS["judged.differences"])
        owing, spoiled = self.contract(meaning, notes)
        if isinstance(meaning, LayerMeaning) and meaning.layer.family == "batchnorm":
            owing = self.running_statistics(meaning, owing)
        whole = None
        if self.reference is not None and subject.delta is None:
            whole = compared_whole(subject, self.reference, self.tried[0])
            owing += [finding for finding in whole.findings if finding.name not in spoiled] if whole else []
            spoiled |= {finding.name for finding in whole.findings} if whole else set()
        if meaning is not None:
            made, said_beside = self.by_meaning(meaning, spoiled)
            notes += said_beside
        else:
            made = []
            self.tried = [probe for probe in self.tried if not probe.tied][:2]
            for name, case in self.by_differences(self.tried):
                if name not in spoiled:
                    of_array, said_beside = self.judged(name, case, None, self.tried)
                    made += of_array
                    notes += said_beside
        findings += explained(owing, made, self.follows)
        for name in self.silent(self.tried[0], meaning):
            notes.append(TEXTS.say("judged.missing", name=name))
        if self.reference is not None and not findings:
            precision = precision_of(self.args[0], subject.precision)
            notes += () if whole is None else whole.notes
            ratio = max((within.ratio(*pair) for within, *pair in self.right), default=0.0)
            notes.append(TEXTS.say("judged.tolerance", ratio=f"{ratio:.2g}", precision=precision))
        answer: Answer = "wrong" if findings else "cannot tell" if self.unsure else "right"
        return Verdict(subject.title, answer, tuple(findings), tuple(notes), hint_level)

    def contract(self, meaning: Meaning | None, notes: list[Say]) -> tuple[list[Finding], set[str]]:
        """Draws the probes, asks what every backward pass owes; and the arrays that need no other judge."""
        subject, reference = self.subject, self.reference
        if subject.delta is not None:  # numbers of this probe alone
            self.tried = [Probe(tuple(self.args), subject.delta)]
            said = list(shapes(subject, self.tried[0]))
            due = Owed(tuple(each for each in said if isinstance(each, Finding)), ())
            return list(due.findings), due.spoiled

        def accepts(probe: Probe) -> bool:
            return reference is not None and fits(reference, probe.args, probe.delta)

        samples = () if meaning is None else meaning.samples
        wanted = None if meaning is None else accepts
        steps = () if meaning is None else meaning.steps
        drawn = probes(self.args, subject.forward, samples, self.seed, subject.precision, wanted, steps)
        if not subject.takes_delta:  # what forgets δ is told from what has it by the numbers of δ = 1
            drawn = [replace(probe, delta=np.ones_like(probe.delta)) for probe in drawn]
        self.tried, raised = runnable(subject, drawn)
        due = owed(subject, self.tried, reference)
        notes += [*not_told_apart(self.tried, subject.names), *due.notes]
        return [*raised, *due.findings], due.spoiled

    def running_statistics(self, meaning: LayerMeaning, owing: list[Finding]) -> list[Finding]:
        """What calls in between change is what they move, where each channel is off by its own factor."""
        name, states = self.subject.names[meaning.place], {"stale cache", "cache changed", "not repeatable"}
        if not any(finding.name == name and finding.mistake in states for finding in owing):
            return owing
        probe = self.tried[0]
        bound, theirs = meaning.bind(probe), self.returned([probe])[0][meaning.place]
        form = bound.forms[meaning.place]
        if theirs is None or theirs.shape != probe.args[meaning.place].shape:
            return owing
        given, right = form.to_ours(theirs.astype(np.float64)), meaning.gradient(bound, "delta")
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

    def silent(self, probe: Probe, meaning: Meaning | None) -> list[str]:
        """Arguments of real numbers for which no gradient came back."""
        (gradients,) = self.returned([probe])
        pairs = list(zip(self.subject.names, self.args, gradients, strict=True))
        wanted = range(len(pairs))
        if meaning is not None:
            wanted = meaning.expected  # type: ignore[assignment]
        return [pairs[n][0] for n in wanted if pairs[n][2] is None and pairs[n][1].dtype.kind == "f"]

    # -- what is right ---------------------------------------------------------------------------------------
    def by_meaning(self, meaning: Meaning, spoiled: set[str]) -> tuple[list[Finding], list[Say]]:
        """Every returned array beside our formula of it, those first that δ reaches first."""
        tried, bounds = [], []
        for probe in self.tried:
            try:
                bounds.append(meaning.bind(probe))
                tried.append(probe)
            except (ValueError, TypeError, IndexError, ChainruleError):
                continue  # sizes that the given parameters do not allow
        self.tried = tried
        returned = self.returned(tried)
        left = [MOST_TRIED]
        judged: list[tuple[Search, list[Finding]]] = []
        notes: list[Say] = []
        edits: dict[str, Edit] = {}
        searches = []
        tolerances = self.tolerances(tried)
        for argument in meaning.arguments:
            theirs = [gradients[argument.number] for gradients in returned]
            name = self.subject.names[argument.number]
            if not argument.gradient or name in spoiled or any(value is None for value in theirs):
                continue
            given = [np.asarray(value) for value in theirs]
            within = [Tolerance(of_probe, argument.number) for of_probe in tolerances]
            searches.append(Search(meaning, argument, tried, bounds, given, left, within, self.subject.names))
        right = {s.argument: not _wrong(s.case({})) for s in searches}
        for search in searches:
            name, given = self.subject.names[search.argument.number], list(search.theirs)
            pairs = [(s.argument, s.theirs) for s in searches if s is not search]
            search.kept = [pair for pair in pairs if right[pair[0]]]
            search.wrong = [pair for pair in pairs if not right[pair[0]]]
            if edits and not right[search.argument] and agree(given, search.right(edits)):
                notes.append(TEXTS.say("judged.follows", name=name))
                self.follows.add(name)
                continue
            search.made = dict(edits)
            made, beside = self.judged(name, search.case({}), search, tried)
            judged.append((search, made))
            notes += beside
            edits |= {edit.place: edit for edit in search.found}
        return [finding for search, made in judged for finding in self._again(search, made, edits)], notes

    def _again(self, search: Search, made: list[Finding], edits: Mapping[str, Edit]) -> list[Finding]:
        """What was found of an array; where that is no cause, what is by the mistakes found after it."""
        later = {place: edit for place, edit in edits.items() if place not in search.made}
        if not later or not made or any(finding.mistake for finding in made):
            return made
        again = replace(search, made=dict(edits), left=[MOST_TRIED // 4], found=[], known={})
        name = self.subject.names[search.argument.number]
        found, _ = self.judged(name, again.case({}), again, search.probes)
        return found if all(finding.mistake for finding in found) else made

    def tolerances(self, tried: Sequence[Probe]) -> list[Tolerances]:
        """Per probe what right answers may be off by."""
        assert self.reference is not None
        precision = precision_of(self.args[0], self.subject.precision)
        return [Tolerances(self.reference, probe.args, probe.delta, precision) for probe in tried]

    def by_differences(self, tried: Sequence[Probe]) -> Iterator[tuple[str, Case]]:
        """Every returned array beside the differences of their own forward, where these can be taken."""
        returned = self.returned(tried)
        for number, name in enumerate(self.subject.names):
            if self.args[number].dtype.kind != "f" or any(
                gradients[number] is None for gradients in returned
            ):
                continue
            theirs, right = [], []
            for probe, gradients in zip(tried, returned, strict=True):
                measured = differences(self.subject.forward, probe.args, number, probe.delta)
                value = np.asarray(gradients[number])
                if value.shape != probe.args[number].shape:
                    break
                plain = ~measured.kinks & np.isfinite(measured.values)
                if not np.isfinite(measured.values).any():
                    self.unsure = True
                entries, exact = measured.entries[plain], measured.values[plain]
                given = value.reshape(-1)[entries].astype(np.float64)
                near = np.abs(given - exact) <= 20 * measured.errors[plain] + 1e-6 * np.abs(exact).max(
                    initial=0.0
                )
                expected = value.astype(np.float64).reshape(-1).copy()
                expected[entries] = np.where(near, given, exact)
                theirs.append(value.astype(np.float64))
                right.append(expected.reshape(value.shape))
            if len(theirs) == len(tried):
                sizes = [{"m": (*probe.args[0].shape, 1)[0]} for probe in tried]
                yield name, Case(theirs, right, [False] * len(tried), sizes)

    def returned(self, tried: Sequence[Probe]) -> list[tuple[Array | None, ...]]:
        return [
            self.subject.backward([value.copy() for value in probe.args], probe.delta.copy())
            for probe in tried
        ]

    # -- what it is ------------------------------------------------------------------------------------------
    def judged(
        self, name: str, case: Case, search: Search | None, tried: Sequence[Probe]
    ) -> tuple[list[Finding], list[Say]]:
        """The finding on one array, none where it is right; and what is to be noted."""
        pairs = enumerate(zip(case.theirs, case.right, strict=True))
        fitting = [n for n, (theirs, right) in pairs if theirs.shape == right.shape and _finite(theirs)]
        # Of other sizes the shapes are wrong, or 0 / 0 of one sample: judged where they fit.
        if 0 < len(fitting) < len(case.theirs):
            within = None if search is None else search.only(fitting)
            made, beside = self.judged(name, case.only(fitting), within, [tried[n] for n in fitting])
            missing = [number not in fitting for number in range(len(case.theirs))]
            shown = right_where_shown(name, missing, tried)
            return made or [shown or finding(name, case, missing.index(True), None)], beside
        wrong = _wrong(case)
        if not wrong:
            return [], self.sure(name, case)
        if self.reference is not None and search is not None and not case.tied[wrong[0]]:
            number = search.argument.number
            lost = lost_digits(self.subject, tried[wrong[0]], number, case.theirs[wrong[0]], self.reference)
            if lost is not None:
                return ([lost], []) if isinstance(lost, Finding) else ([], [lost])
        if all(case.tied[number] and self.at_kinks(name, case, number, tried[number]) for number in wrong):
            chooses = search is not None and search.meaning.chooses(search.argument.gradient)
            if not chooses or all(_same_mass(case, n) for n in wrong):
                return [], [TEXTS.say("judged.ties", name=name)]
            what = TEXTS.say("ties", name=name)
            return [Finding(name, what, why=TEXTS["mistake.every_tie"], mistake="every tie")], []
        shown = None
        if search is not None:
            shown = right_where_shown(name, [n in wrong for n in range(len(case.theirs))], tried)
        number = next((n for n in wrong if not case.tied[n]), wrong[0])
        if not case.tied[number]:  # what their rule for ties is does not matter here
            kept = [n for n, tied in enumerate(case.tied) if not tied]
            case, number = case.only(kept), kept.index(number)
            search = None if search is None else search.only(kept)
            tried = [tried[n] for n in kept]
        found = finding(name, case, number, search)
        cheat = handed_back(name, self.subject.names, case.theirs, tried)
        if shown is not None and not found.mistake:
            found = shown
        elif cheat is not None and (not found.mistake or cheat.mistake == "zeros"):
            found = replace(cheat, where=found.where, evidence=found.evidence)
        if search is not None and not found.mistake and found.where is not None:
            seen = self.responses(search, number)
            if seen is not None:
                written = search.meaning.written(search.argument.gradient)
                fix = TEXTS.say("fix.plain", formula=written)
                found = replace(found, observed=observed(seen), fix=fix)
        return [found], []

    def responses(self, search: Search, number: int) -> Responses | None:
        """To single impulses of δ, of a probe of the search: it being linear, all that it does."""
        probe, place_ = search.probes[number], search.argument.number
        if not self.subject.takes_delta:
            return None

        def theirs(delta: Array) -> Array | None:
            given = attempt(self.subject, probe.args, delta.astype(probe.delta.dtype))
            return None if given is None else given[place_]

        def right(delta: Array) -> Array | None:
            try:
                bound = search.meaning.bind(Probe(probe.args, delta))
                return search.value(bound, search.made)
            except MISFITS:
                return None

        names = zip(self.subject.names, probe.args, strict=True)
        others = {name: value for name, value in names if value.dtype.kind == "f"}
        others.pop(self.subject.names[place_], None)
        return responses(theirs, right, probe.delta.shape, others, search.meaning.cost)

    def sure(self, name: str, case: Case) -> list[Say]:
        """Why these numbers cannot tell, if so."""
        if case.tolerances is None:
            return []
        each = list(zip(case.tolerances, case.theirs, case.right, strict=True))
        self.right += each
        reasons = []
        for within, theirs, right in each:
            reason = within.cannot_tell(theirs, right, name)
            if reason is None:  # one probe that tells will do
                return []
            reasons.append(reason)
        self.unsure |= any(right.any() for right in case.right)
        return reasons[:1]

    def at_kinks(self, name: str, case: Case, number: int, probe: Probe) -> bool:
        """Whether all wrong entries stand at kinks of their forward, between the slopes on both sides."""
        argument = self.subject.names.index(name)
        theirs, right = case.theirs[number], case.right[number]
        if theirs.shape != right.shape or theirs.size > MOST_ENTRIES:
            return False
        measured = differences(self.subject.forward, probe.args, argument, probe.delta)
        wrong = case.wrong(number).reshape(-1)[measured.entries]
        low, high = np.minimum(measured.left, measured.right), np.maximum(measured.left, measured.right)
        slack = 1e-3 * (1 + np.abs(high - low))
        value = theirs.reshape(-1)[measured.entries]
        between = (value >= low - slack) & (value <= high + slack)
        return bool((between & measured.kinks)[wrong].all())


@dataclass(eq=False)
class Search:
    """The search for the mistake behind one array.  kept: arrays that are right, which a mistake must leave
    so; wrong: others that are wrong, which it may explain, too.  made: mistakes known to be made before it;
    found: what the search has found.  names: of the subject's arguments.  left: how many formulas may still
    be computed, of the whole verdict.
    """

    meaning: Meaning
    argument: Argument
    probes: Sequence[Probe]
    bounds: Sequence[Bound]
    theirs: Sequence[Array]
    left: list[int]
    tolerances: Sequence[Tolerance] | None = None
    names: Sequence[str] = ()
    kept: Sequence[tuple[Argument, Sequence[Array]]] = ()
    wrong: Sequence[tuple[Argument, Sequence[Array]]] = ()
    made: dict[str, Edit] = field(default_factory=dict)
    found: list[Edit] = field(default_factory=list)
    known: dict[tuple[Edit, bool], str | None] = field(default_factory=dict)  # what `gives` has said

    def only(self, kept: Sequence[int]) -> Search:
        """The same on some of the probes; what it finds is found by both."""
        bounds, theirs = [self.bounds[n] for n in kept], [self.theirs[n] for n in kept]
        probes_ = [self.probes[n] for n in kept]
        tolerances = None if self.tolerances is None else [self.tolerances[n] for n in kept]
        right, wrong = (
            [(argument, [arrays[n] for n in kept]) for argument, arrays in group]
            for group in (self.kept, self.wrong)
        )
        made = replace(self, probes=probes_, bounds=bounds, theirs=theirs, tolerances=tolerances)
        made.kept, made.wrong, made.known = right, wrong, {}
        return made

    def right(self, edits: Edits) -> list[Array]:
        """What came back would be this, were these mistakes made."""
        return [self.value(bound, edits) for bound in self.bounds]

    def value(self, bound: Bound, edits: Edits, argument: Argument | None = None) -> Array:
        """The gradient of this argument, or of another, with these mistakes, as theirs lies."""
        argument = argument or self.argument
        return self.meaning.to_theirs(bound, argument, self.meaning.gradient(bound, argument.gradient, edits))

    def case(self, edits: Edits) -> Case:
        sizes, tied = [bound.sizes for bound in self.bounds], [probe.tied for probe in self.probes]
        return Case(self.theirs, self.right(edits), tied, sizes, self.tolerances)

    def gives(self, edit: Edit, scaled: bool = True, other: Edit | None = None) -> str | None:
        """Whether this mistake gives what came back: "" as it is, "2" with a factor beside, None not.

        scaled: whether a factor may stand beside.  other: made at another place, too.  Sizes of which it
        cannot be computed, but theirs is right, say nothing.
        """
        if other is not None:
            return self._gives(edit, scaled, other)
        key = edit, scaled
        if key not in self.known:
            self.known[key] = self._gives(edit, scaled)
        return self.known[key]

    def _gives(self, edit: Edit, scaled: bool, other: Edit | None = None) -> str | None:
        scale: str | None = None
        self.left[0] -= 1
        for number in self.order:
            theirs, bound = self.theirs[number], self.bounds[number]
            edits = {**self.made, edit.place: edit, **({} if other is None else {other.place: other})}
            try:
                if self.meaning.rules_out(bound, self.argument, theirs, edits):
                    return None
                self.left[0] -= self.meaning.cost - 1 if number == self.order[0] else 0
                made = self.value(bound, edits)
            except MISFITS:
                if not self.is_right[number]:
                    return None
                continue
            if made.shape != theirs.shape:
                return None
            finite = np.isfinite(made)
            if not finite.all():  # a division by 0, as theirs has it
                if not finite.any() or (finite != np.isfinite(theirs)).any():
                    return None
                theirs, made = theirs[finite], made[finite]
            if scale is None:
                scale = "" if close(theirs, made).all() else None
                if scale is None and scaled:
                    scale = _named_ratio(theirs, made, bound.sizes)
                if scale is None:
                    return None
            elif not close(theirs, made * (factor(scale, bound.sizes) if scale else 1.0)).all():
                return None
        if len(edit.trees) != 1:
            return None if self.spoils(edit) else scale
        behind = (each for each in (edit, other) if each is not None and each.place not in self._own)
        return None if any(map(self.touches, behind)) else scale

    @cached_property
    def order(self) -> list[int]:
        """The probes, that of the fewest steps first: it rules out most of the mistakes."""
        return sorted(range(len(self.bounds)), key=lambda number: self.bounds[number].sizes.get("T", 0))

    @cached_property
    def is_right(self) -> list[bool]:
        """On which probes what came back is right."""
        pairs = zip(self.theirs, self.right(self.made), strict=True)
        return [theirs.shape == right.shape and bool(close(theirs, right).all()) for theirs, right in pairs]

    @cached_property
    def _own(self) -> set[str]:
        """Where the formula of this array alone stands."""
        return set(list(self.meaning.places(self.argument.gradient))[:1])

    def touches(self, edit: Edit) -> bool:
        """Whether this mistake changes an array that came back right."""
        for argument, _ in self.kept:
            for bound in self.bounds[:2]:
                try:
                    right = self.value(bound, self.made, argument)
                    made = self.value(bound, {**self.made, edit.place: edit}, argument)
                except MISFITS:
                    continue
                if made.shape != right.shape or not close(made, right).all():
                    return True
        return False

    def spoils(self, edit: Edit) -> bool:
        """Whether this mistake would make an array wrong that is right."""
        return not all(self.explains(edit, *pair) for pair in self.kept)

    def explained(self, edit: Edit) -> int:
        """How many of the other wrong arrays this mistake explains."""
        return sum(self.explains(edit, *pair) for pair in self.wrong)

    def explains(self, edit: Edit, argument: Argument, theirs: Sequence[Array]) -> bool:
        """Whether an array came back as this mistake makes it."""
        edits = {**self.made, edit.place: edit}
        for bound, value in zip(self.bounds, theirs, strict=True):
            try:
                made = self.value(bound, edits, argument)
            except MISFITS:
                return False
            if made.shape != value.shape or not close(value, made).all():
                return False
        return True

    def everywhere(self) -> Edit | None:
        """A mistake beside the formulas that gives this array, the one that explains most of the others."""
        given = [
            edit
            for edit in self.meaning.others(self.argument.gradient)
            if edit.place not in self.made and self.gives(edit) == ""
        ]
        return max(given, key=self.explained, default=None)

    def another(self) -> Iterator[Mistake]:
        """Another argument's gradient, of the same shape, with which this one is exchanged."""
        for argument, theirs in self.wrong:
            other = [self.value(bound, {}, argument) for bound in self.bounds]
            if agree(self.theirs, other) and agree(theirs, self.right({})):
                yield Mistake("another", {"other": argument.name})

    def misread(self) -> Iterator[Mistake]:
        """Another argument that is read in another order: two axes of one size exchanged, one reversed."""
        for number, (name, value) in enumerate(zip(self.names, self.probes[0].args, strict=True)):
            if number == self.argument.number or value.dtype.kind != "f" or value.ndim < 2:
                continue
            shapes = [probe.args[number].shape for probe in self.probes]
            alike = [p for p in combinations(range(value.ndim), 2) if all(s[p[0]] == s[p[1]] for s in shapes)]
            for first, second in alike:
                if self._gives_read(number, partial(np.swapaxes, axis1=first, axis2=second)):
                    yield Mistake("misread", {"other": name, "first": str(first), "second": str(second)})
            for axis in range(value.ndim):
                if self._gives_read(number, partial(np.flip, axis=axis)):
                    yield Mistake("misread_backwards", {"other": name, "axis": str(axis)})

    def _gives_read(self, number: int, reading: Callable[[Array], Array]) -> bool:
        made = []
        for probe, theirs in zip(self.probes, self.theirs, strict=True):
            args = [reading(v) if place_ == number else v for place_, v in enumerate(probe.args)]
            try:
                made.append(self.value(self.meaning.bind(replace(probe, args=tuple(args))), self.made))
            except MISFITS:
                return False
            if made[-1].shape != theirs.shape or not close(theirs, made[-1]).all():
                return False
        return True

    def shared(self) -> Edit | None:
        """A mistake in a definition that explains other wrong arrays, too: the one that explains most."""
        best, most = None, 0
        for edit in self.meaning.shared(self.argument.gradient, self.bounds[0]) if self.wrong else ():
            if self.gives(edit) == "" and (count := self.explained(edit)) > most:
                best, most = edit, count
            if self.left[0] <= 0 or most == len(self.wrong):
                break
        return best

    def stale(self) -> Iterator[Mistake]:
        """An argument of the first call in place of this call's, wherever the sizes are the same."""
        for argument in self.meaning.arguments:
            number, shown = argument.number, 0
            for n, (probe, theirs) in enumerate(zip(self.probes, self.theirs, strict=True)):
                args = list(probe.args)
                args[number] = self.probes[0].args[number]
                try:
                    bound = self.meaning.bind(Probe(tuple(args), probe.delta))
                    made = self.value(bound, self.made)
                except MISFITS:
                    continue
                if made.shape != theirs.shape or not close(theirs, made).all():
                    shown = 0
                    break
                shown += n > 0 and not close(theirs, self.value(self.bounds[n], self.made)).all()
            if shown:
                yield Mistake("stale", {"other": argument.name})

    def by_rate(self) -> Iterator[Edit]:
        """A parameter that is updated before it is used, by the learning rate that the first probe shows."""
        for make in self.meaning.updated(self.argument.gradient):
            trial = make(1.0)
            try:
                right = self.value(self.bounds[0], self.made)
                step = self.value(self.bounds[0], {**self.made, trial.place: trial}) - right
            except MISFITS:
                continue
            square = float((step * step).sum())
            if right.shape != self.theirs[0].shape or not square:
                continue
            rate = float(((self.theirs[0] - right) * step).sum()) / square
            for value in dict.fromkeys((float(f"{rate:.4g}"), rate)):
                if value and self.gives(edit := make(value)) == "":
                    yield edit
                    break

    def mistakes(self) -> Iterator[tuple[list[Edit], str]]:
        """Mistakes, one or two at once, that give what came back on every probe, and a factor beside.

        Those in this array's own formula come before those in a definition.
        """
        scaled, single = [], []
        for edits in (self.meaning.edits, self.meaning.instead, self.meaning.shared):
            for edit in edits(self.argument.gradient, self.bounds[0]):
                single.append(edit)
                scale = self.gives(edit)
                if scale == "":
                    yield [edit], ""
                elif scale is not None:
                    scaled.append((edit, scale))
                if self.left[0] <= 0:
                    break
        for edit in self.by_rate():
            if self.gives(edit) == "":
                yield [edit], ""
        yield from (([edit], scale) for edit, scale in scaled)
        yield from self._pairs(single)

    def _pairs(self, single: Sequence[Edit]) -> Iterator[tuple[list[Edit], str]]:
        nearest = next(iter(self.meaning.places(self.argument.gradient)), "")
        near = [edit for edit in single if edit.place == nearest and edit.kind not in RARE]
        seen = {edit.trees[nearest] for edit in single if edit.place == nearest}
        for edit in near if len(near) <= PAIRED else ():
            for second in self.meaning.second(edit, nearest, self.bounds[0]):
                if second.trees[nearest] in seen:
                    continue
                seen.add(second.trees[nearest])
                if self.gives(second, scaled=False) == "":
                    yield [edit, second], ""
                if self.left[0] <= 0:
                    return
        yield from (([first, second], "") for first, second in self._apart(single))

    def _apart(self, single: Sequence[Edit]) -> Iterator[tuple[Edit, Edit]]:
        """Two mistakes in formulas of different layers, through both of which δ comes."""
        plain = [edit for edit in single if len(edit.trees) == 1 and edit.kind not in RARE]
        plain.sort(key=lambda edit: edit.kind == "symbol")  # of these there are most
        if len({edit.place for edit in plain}) < 2:
            return
        least = self.left[0] // 2  # the other arrays are searched, too
        for first, second in combinations(plain, 2):
            if self.left[0] <= least:
                return
            if first.place != second.place and self.gives(second, scaled=False, other=first) == "":
                yield first, second


def explained(
    owing: Sequence[Finding], made: Sequence[Finding], follows: Iterable[str] = ()
) -> list[Finding]:
    """What the contract and the judgement of the arrays found, each thing once: a symptom is gone where its
    cause is named, be it that of an array which it `follows`, and says where it shows where not; that other
    sizes raise is a consequence of what is named.
    """
    by_name = {finding.name: finding for finding in made}
    alone = ("given shapes only", "given numbers only")
    named = any(finding.mistake and finding.mistake not in alone for finding in (*made, *owing))
    kept, said = [], set()
    for finding in owing:
        judged = by_name.get(finding.name)
        if finding.mistake in SYMPTOMS and finding.name in follows:
            continue
        if finding.mistake in SYMPTOMS and judged is not None:
            if judged.mistake:
                continue
            said.add(finding.name)
            finding = replace(finding, where=judged.where, evidence={**finding.evidence, **judged.evidence})
        elif not finding.name and finding.mistake in alone and named:
            continue
        kept.append(finding)
    return [*kept, *(finding for finding in made if finding.name not in said)]


def _finite(values: Array) -> bool:
    return values.dtype.kind != "f" or bool(np.isfinite(values).all())


def _named_ratio(theirs: Array, made: Array, sizes: dict[str, int] | object) -> str | None:
    """The name of the factor between them, if it is the same everywhere and has one."""
    square = float((made * made).sum())
    if not square:
        return None
    ratio = float((theirs * made).sum()) / square
    if not close(theirs, ratio * made).all():
        return None
    known = sizes if isinstance(sizes, dict) else {}
    return next((n for n in factor_names(known) if abs(factor(n, known) - ratio) < 1e-3 * abs(ratio)), None)


def finding(name: str, case: Case, number: int, search: Search | None) -> Finding:
    """What is wrong with one array, and why, if one mistake or two give it."""
    theirs, right = case.theirs[number], case.right[number]
    if theirs.shape != right.shape:
        shapes = {"shape": str(theirs.shape), "expected": str(right.shape)}
        return Finding(name, TEXTS.say("contract.shape", name=name, **shapes), mistake="wrong shape")
    wrong = case.wrong(number)
    spot = np.unravel_index(int(np.abs(theirs - right).argmax()), right.shape)
    index = "[" + ", ".join(str(int(i)) for i in spot) + "]"
    numbers = {"index": index, "yours": f"{theirs[spot] + 0.0:.6g}", "right": f"{right[spot] + 0.0:.6g}"}
    about, roles = {"zero": right == 0, "not_zero": right != 0}, [""] * right.ndim
    if search is not None:
        about, roles = search.meaning.where(
            search.argument, search.bounds[number], search.probes[number], right
        )
    what = TEXTS.say("wrong", name=name, **{**numbers, "index": at(tuple(map(int, spot)), roles)})
    where = TEXTS.say("where.said", where=place(wrong, about, roles))
    evidence = {**numbers, "entries": int(wrong.sum()), "of": wrong.size}
    if case.tolerances is not None:
        allowed = case.tolerances[number].allowed(right)
        evidence |= {"tolerance": float(allowed[spot]), "ratio": worst(theirs, right, allowed)[1]}
    if search is not None and (edit := search.everywhere() or search.shared()) is not None:
        search.found.append(edit)
        fix, forms = _fix(search, edit)
        return Finding(name, what, where, _sentence(edit), fix, _word(edit), evidence, forms)
    compared = case if search is None else search.case(search.made)
    plain = None if search is None else search.meaning.written(search.argument.gradient)
    beside = () if search is None else (*search.another(), *search.stale())
    for mistake in (*factors(compared), *orders(compared), *beside):
        return Finding(name, what, where, *_said(mistake, plain), evidence)
    if search is not None:
        for edits, scale in search.mistakes():
            search.found += edits if edits[0].place != edits[-1].place else edits[-1:]
            sentences = [_sentence(edit) for edit in edits]
            words = [_word(edit) for edit in edits]
            if scale:
                beside_it = Edit("", "factor", values={"factor": scale})
                sentences.append(_sentence(beside_it))
                words.append(_word(beside_it))
            fix, forms = _fix(search, edits[-1])
            why, word = SPACE.join(sentences), " and ".join(words)
            return Finding(name, what, where, why, fix, word, evidence, forms)
    for mistake, scale in scaled_orders(compared):
        why, fix, word = _said(mistake, plain)
        beside_it = Edit("", "factor", values={"factor": scale})
        both = SPACE.join([why, _sentence(beside_it)])
        return Finding(name, what, where, both, fix, f"{word} and {_word(beside_it)}", evidence)
    misread = iter(()) if search is None else search.misread()
    for mistake in (*factors(compared, rare=True), *partly(compared), *misread):
        return Finding(name, what, where, *_said(mistake, plain), evidence)
    return Finding(name, what, where, None, None, "", evidence)


def _said(mistake: Mistake, formula: str | None) -> tuple[Say, Say | None, str]:
    """(why, what to write, the word) of a factor or an order."""
    why = TEXTS.within("mistake")[mistake.kind].format(**mistake.values)
    fix = None if formula is None else TEXTS.say("fix.plain", formula=formula)
    return why, fix, f"factor {mistake.values['factor']}" if mistake.kind == "factor" else mistake.kind


def _sentence(edit: Edit) -> Say:
    if edit.values.get("factor") == "-1" and edit.kind == "factor":
        return TEXTS["mistake.minus"]
    return TEXTS.within("mistake")[edit.kind.replace(" ", "_")].format(
        part=edit.part, node=edit.node, **edit.values
    )


def _word(edit: Edit) -> str:
    """For programs: the kind, and of a factor which."""
    if edit.values.get("factor") == "-1" and edit.kind == "factor":
        return "minus"
    word = edit.kind if edit.trees else edit.kind.replace("_", " ")
    return f"{word} {edit.values['factor']}" if "factor" in edit.values else word


def _fix(search: Search, edit: Edit) -> tuple[Say | None, Marked | None]:
    """The right formula beside the wrong one, where the mistake is nearest: as a sentence and marked."""
    meaning = search.meaning
    for stands in (*meaning.places(search.argument.gradient), *edit.trees):
        if stands not in edit.trees:
            continue
        right, wrong = edit.right.get(stands, meaning.formula(stands)), edit.trees[stands]
        if wrong != right:
            right_form, wrong_form = both_written(right, wrong)
            said = TEXTS.say("fix.instead", formula=right_form, wrong=wrong_form)
            if right_form == wrong_form:  # which kernel is turned, or how many samples: said in words
                said = TEXTS.say("fix.plain", formula=right_form)
            return said, marked(right, wrong)
    return None, None


def both_written(right: Expression, wrong: Expression) -> tuple[str, str]:
    """Two formulas, each with those of its definitions that the other has not."""
    forms = []
    both = [[text(line) for line in Equation(Symbol("", ""), tree).definitions] for tree in (right, wrong)]
    for tree, lines, other in zip((right, wrong), both, both[::-1], strict=True):
        names = {line.partition(" = ")[0] for line in other}
        differs = [line for line in lines if line not in other and line.partition(" = ")[0] in names]
        forms.append(str(tree) + (f", with {', '.join(differs)}" if differs else ""))
    return forms[0], forms[1]


def _wrong(case: Case) -> list[int]:
    """The probes on which an array is off by more than a right one may be."""
    pairs = enumerate(zip(case.theirs, case.right, strict=True))
    return [n for n, (theirs, right) in pairs if theirs.shape != right.shape or case.any_wrong(n)]


def _same_mass(case: Case, number: int) -> bool:
    """Whether at ties the same δ was handed on in all, only to other ones of the equal entries."""
    theirs, right = case.theirs[number], case.right[number]
    return theirs.shape == right.shape and bool(
        np.isclose(theirs.sum(), right.sum(), rtol=1e-6, atol=1e-9 * np.abs(right).sum())
    )
