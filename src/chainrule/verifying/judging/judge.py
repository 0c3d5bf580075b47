"""One call of `verify`: what is meant, what is right, and which mistake gives what came back.

Arrays are judged in the order in which δ reaches them. A mistake that explains one is taken to be made when
those behind it are judged, so that what is wrong because of it alone is not blamed again.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property

import numpy as np

from chainrule.base.errors import ChainruleError
from chainrule.base.languages import Say
from chainrule.base.types import Array
from chainrule.verifying.contract.calls import answer, attempt, differences_of, output
from chainrule.verifying.contract.digits import lost_digits, rounded_alone
from chainrule.verifying.contract.handed import handed_back, right_where_shown
from chainrule.verifying.contract.owed import Owed, owed, runnable, shapes
from chainrule.verifying.decoding.impulses import Responses, responses
from chainrule.verifying.decoding.rules import observed
from chainrule.verifying.differences import FEW_ENTRIES, MOST_ENTRIES
from chainrule.verifying.integers import compared_whole
from chainrule.verifying.judging.cases import (
    NEARLY,
    agree_where_finite,
    as_given,
    is_finite,
    nearly_right,
    right_of_one_sample,
    same_mass,
    symmetric_part_agrees,
    wrong_probes,
)
from chainrule.verifying.judging.findings import explained, finding
from chainrule.verifying.judging.forwards import forward_mistake, scaled_input
from chainrule.verifying.judging.hypotheses import Case
from chainrule.verifying.judging.of_layers import another_mask, ignored_learn, running_statistics
from chainrule.verifying.judging.search import MISFITS, MOST_TRIED, Budget, Search
from chainrule.verifying.judging.sizes import MANY, MOST_OF_MANY, Sizes
from chainrule.verifying.meanings.forms import agreement
from chainrule.verifying.meanings.layer import LayerMeaning
from chainrule.verifying.meanings.matching import Like
from chainrule.verifying.meanings.meaning import Edit, Meaning
from chainrule.verifying.precision import (
    PRECISIONS,
    Reference,
    Tolerance,
    Tolerances,
    close,
    computed_in,
    fits,
)
from chainrule.verifying.probes import (
    Probe,
    not_told_apart,
    of_sizes,
    probes,
)
from chainrule.verifying.saying.schema import Answer
from chainrule.verifying.subjects.subject import Subject
from chainrule.verifying.texts import TEXTS
from chainrule.verifying.verdict import Finding, Verdict

ROUNDINGS = 16  # of an array's largest entry, by which gradients are off beside differences in float64


@dataclass(eq=False)
class Judge:
    """One call of verify.  progress: told of each step before it begins."""

    subject: Subject
    like: Like | None
    seed: int
    progress: Callable[[Say], None] = lambda step: None
    tried: list[Probe] = field(default_factory=list)
    reference: Reference | None = None
    unsure: bool = False
    loosely: bool = False  # whether their forward is what is meant but for a small constant
    beyond: list[Probe] = field(default_factory=list)  # that the differences need not judge entry by entry
    elsewhere: list[Probe] = field(default_factory=list)  # on which their forward is not what is meant
    follows: set[str] = field(default_factory=set)  # arrays that are wrong for another's reason alone
    # What is right, per array and probe: (what it may be off by, theirs, right).
    right: list[tuple[Tolerance, Array, Array]] = field(default_factory=list)
    named: bool = True  # whether they say what is meant, so that each of its parameters has a gradient

    @cached_property
    def sizes(self) -> Sizes:
        def beside(array: str, probe: Probe) -> Case | None:
            return next((case for _, case in self.by_differences([probe], array, FEW_ENTRIES)), None)

        return Sizes(self.subject, self.seed, beside)

    def verdict(self, hint_level: int) -> Verdict:
        subject, notes = self.subject, list(self.subject.notes)
        out = output(subject, subject.args)
        meaning: Meaning | None = None
        findings: list[Finding] = []
        if self.like is not None:
            meaning = self.meant(out, findings, notes)
        if meaning is None:
            notes.append(TEXTS["judged.differences"])
        owing, spoiled = self.contract(meaning, notes)
        if isinstance(meaning, LayerMeaning) and meaning.layer.family == "batchnorm":
            owing = running_statistics(subject, self.tried[0], meaning, owing)
        whole = None
        if self.reference is not None and subject.delta is None:
            whole = compared_whole(subject, self.reference, self.tried[0])
            owing += [finding for finding in whole.findings if finding.name not in spoiled] if whole else []
            spoiled |= {finding.name for finding in whole.findings} if whole else set()
        if meaning is not None:
            made = self.of_meaning(meaning, owing, spoiled, notes)
        else:
            plain = [probe for probe in self.tried if not probe.tied] or self.tried[:1]
            self.tried, self.beyond = plain[:2], plain[2:]
            made = self.of_differences(self.tried, spoiled, notes)
        findings += explained(owing, made, self.follows)
        findings += self.missing(meaning, owing, findings, notes)
        if self.reference is not None and not findings:
            notes += () if whole is None else whole.notes
            notes += self.how_near()
        answer: Answer = "wrong" if findings else "cannot tell" if self.unsure else "right"
        return Verdict(subject.title, answer, tuple(findings), tuple(notes), hint_level)

    def of_meaning(
        self, meaning: Meaning, owing: Sequence[Finding], spoiled: set[str], notes: list[Say]
    ) -> list[Finding]:
        """What our formulas tell; where these name no cause, or are of other numbers, their forward too."""
        made, said_beside = self.by_meaning(meaning, spoiled)
        notes += said_beside
        if made and not any(finding.mistake for finding in made):
            made = self.of_theirs(meaning, made, spoiled, notes)
        if not made and not owing and not said_beside:
            made = self.of_many(meaning)
        if self.elsewhere:
            notes.append(TEXTS.say("forward.elsewhere", layer=meaning.title))
            made += [] if made else self.of_elsewhere(spoiled, notes)
        return made

    def missing(
        self,
        meaning: Meaning | None,
        owing: Sequence[Finding],
        findings: Sequence[Finding],
        notes: list[Say],
    ) -> list[Finding]:
        """Gradients that did not come back: wrong of a parameter of a layer that they name, else noted; and
        noted where all that did are means.
        """
        made, learned = list[Finding](), self.learned(meaning)
        means = {(name, "factor 1/m") for name in learned}
        if learned and not owing and {(f.name, f.mistake) for f in findings} == means:
            notes.append(TEXTS["judged.mean_here"])
        told = {finding.name for finding in findings}
        for name in self.silent(self.tried[0], meaning):
            if name in learned and self.named and not told & {"", name}:
                what = TEXTS.say("contract.missing", name=name)
                made.append(Finding(name, what, mistake="no gradient"))
            else:
                notes.append(TEXTS.say("judged.missing", name=name))
        return made

    def how_near(self) -> list[Say]:
        """How far what is right is off, beside what it may be off by."""
        ratios = [within.ratio(*pair) for within, *pair in self.right]
        precision = computed_in(self.subject.args, self.subject.precision)
        said = TEXTS.say("judged.tolerance", ratio=f"{max(ratios, default=0.0):.2g}", precision=precision)
        return [said] if ratios else []

    def meant(self, out: Array, findings: list[Finding], notes: list[Say]) -> Meaning | None:
        """What `like` says, where their forward is that; what it is instead is found or noted."""
        assert self.like is not None
        subject = self.subject
        given = (subject.args, subject.names, out, subject.forward, subject.precision)
        meaning = self.like.meaning(*given)
        if meaning is not None:
            notes.append(TEXTS.say("judged.formula", layer=meaning.title))
        elif (meaning := self.like.meaning(*given, loosely=True)) is not None:
            self.loosely = True
            notes.append(TEXTS.say("judged.nearly", layer=meaning.title))
        else:
            said = TEXTS.say("forward.said", layer=self.like.title)
            self.progress(TEXTS["step.forward"])
            scale = scaled_input(self.like, subject.args, out)
            if scale is not None:  # β of a swish, a temperature
                notes.append(TEXTS.say("forward.scaled", layer=self.like.title, scale=f"{scale:g}"))
            elif (why := forward_mistake(self.like, *given)) is None:
                self.unsure = True  # one that we do not know, or a wrong one: only they can tell
                notes.append(said)
            else:
                findings.append(Finding("", said, why=why, mistake="forward"))
            return None
        self.reference = meaning.reference(len(subject.args))
        return meaning

    def of_differences(
        self, tried: Sequence[Probe], spoiled: Collection[str], notes: list[Say]
    ) -> list[Finding]:
        """What their own forward pass tells of these probes."""
        made, moves, still = list[Finding](), False, ""
        for name, case in self.by_differences(tried):
            moves |= any(value.any() for pair in (case.theirs, case.right) for value in pair)
            still = still or name
            if name in spoiled:
                continue
            of_array, said_beside = self.judged(name, case, None, tried)
            if len(of_array) == 1:
                of_array = [self.sizes.counted(of_array[0], case, tried)]
            if of_array and not of_array[0].mistake and (said := self.no_mistake(name, case, tried)):
                notes += (each for each in said if isinstance(each, Say))
                made += (each for each in said if isinstance(each, Finding))
                continue
            made += of_array
            notes += said_beside
        if still and not moves and not made:  # nothing that is given moves the output
            self.unsure = True
            notes.append(TEXTS.say("unsure.zero", name=still))
        return made

    def no_mistake(self, name: str, case: Case, tried: Sequence[Probe]) -> list[Say | Finding]:
        """Why an array that is off from the differences for no known cause is not wrong, or may not be, or is
        so in its type alone; [] where it is.
        """
        number = self.subject.names.index(name)
        if symmetric_part_agrees(case, [probe.args[number] for probe in tried]):
            return [TEXTS.say("judged.symmetric", name=name)]
        wrong = [n for n in wrong_probes(case) if case.theirs[n].shape == case.right[n].shape]
        said = [rounded_alone(self.subject, tried[n], number, case.theirs[n]) for n in wrong]
        kept = [each for each in said if each is not None]
        if kept and len(kept) == len(said):
            self.unsure |= any(few for _, few in kept)
            findings = [each for each, _ in kept if isinstance(each, Finding)]
            return [*(findings[:1] or dict.fromkeys(each for each, _ in kept))]
        if nearly_right(case):
            self.unsure = True
            return [TEXTS.say("unsure.nearly", name=name)]
        return []

    def of_theirs(
        self, meaning: Meaning, made: list[Finding], spoiled: Collection[str], notes: list[Say]
    ) -> list[Finding]:
        """What is wrong without a cause by our formula: right where it is the derivative of their forward,
        which differs from ours by a guard or by a constant of few digits.
        """
        probe = self.tried[0]
        wide = max(value.size for value in probe.args) > MOST_ENTRIES
        if wide or self.subject.delta is not None:
            return made
        off = meaning.off(probe, output(self.subject, probe.args))
        unit = PRECISIONS[computed_in(self.subject.args, self.subject.precision)].unit
        if not self.loosely and (off is None or off <= ROUNDINGS * unit):  # their forward is ours
            return made
        names = {finding.name for finding in made}
        unsure, told = self.unsure, list[Say]()
        if {finding.name for finding in self.of_differences([probe], spoiled, told)} & names or unsure:
            return made
        if self.unsure:  # nor quite that of theirs
            notes += told
            return []
        notes.append(TEXTS.say("judged.theirs", layer=meaning.title))
        self.right.clear()  # how far off they are from ours says nothing
        return []

    def of_many(self, meaning: Meaning) -> list[Finding]:
        """What is wrong for so many samples as fill the blocks of a kernel, of what is right for a few."""
        subject, samples = self.subject, meaning.samples
        if not samples or subject.fixed or self.reference is None:
            return []
        place, axis = samples[0]
        count = subject.args[place].shape[axis]
        wide = sum(value.size for value in subject.args) * MANY > MOST_OF_MANY * max(count, 1)
        if wide or count >= MANY:
            return []
        args = of_sizes(
            subject.args, dict.fromkeys(samples, MANY), np.random.default_rng(self.seed), subject.precision
        )
        try:
            out = output(subject, args)
            probe = Probe(args, subject.drawn_delta(out, np.random.default_rng(MANY)))
            apart = meaning.off(probe, out) or 0.0
            if apart > agreement([out, *args], subject.precision, self.loosely):
                return []
            given, right = attempt(subject, args, probe.delta), self.reference(args, probe.delta)
        except Exception:  # their code may raise whatever it likes
            return []
        made = []
        unit = PRECISIONS[computed_in(subject.args, subject.precision)].unit
        for name, theirs, expected in zip(subject.names, given or (), right, strict=False):
            if theirs is None or expected is None or theirs.shape != np.shape(expected):
                continue
            value, number = np.asarray(expected), subject.names.index(name)
            within = Tolerance(self.tolerances([probe])[0], number)
            off = is_finite(theirs) and not close(theirs, value, precision=subject.precision).all()
            if off and (self.loosely or apart > ROUNDINGS * unit):  # by more than a small constant may do
                off = bool(np.abs(theirs - value).max() > NEARLY * np.abs(value).max())
            if off and within.any_wrong(theirs, value):
                what = TEXTS.say("cheat.many", name=name, count=count, many=MANY)
                made.append(Finding(name, what, mistake="given shapes only", evidence={"samples": MANY}))
        return made

    def of_elsewhere(self, spoiled: Collection[str], notes: list[Say]) -> list[Finding]:
        """Where their forward is not what is meant, its own differences judge, if they are not too many."""
        probe = min(self.elsewhere, key=lambda probe: sum(value.size for value in probe.args))
        few = sum(value.size for value in probe.args) <= MOST_ENTRIES and not probe.tied
        return self.of_differences([probe], spoiled, notes) if few else []

    def contract(self, meaning: Meaning | None, notes: list[Say]) -> tuple[list[Finding], set[str]]:
        """Draws the probes, asks what every backward pass owes; and the arrays that need no other judge."""
        subject, reference = self.subject, self.reference
        if subject.delta is not None:  # numbers of this probe alone
            self.tried = [Probe(subject.args, subject.delta)]
            said = list(shapes(subject, self.tried[0]))
            due = Owed(tuple(each for each in said if isinstance(each, Finding)), ())
            return list(due.findings), due.spoiled

        def accepts(probe: Probe, out: Array, resized: bool) -> bool:
            assert meaning is not None
            assert reference is not None
            if resized and not fits(reference, probe.args, probe.delta):
                return False
            near = agreement([out, *probe.args], subject.precision, self.loosely)
            same = (meaning.off(probe, out) or 0.0) <= near
            self.elsewhere += [] if same else [probe]
            return same

        samples = () if meaning is None else meaning.samples
        wanted = None if meaning is None else accepts
        steps = () if meaning is None else meaning.steps
        self.progress(TEXTS["step.probes"])
        drawn = probes(subject.args, subject.forward, samples, self.seed, subject.precision, wanted, steps)
        if not subject.takes_delta:  # what forgets δ is told from what has it by the numbers of δ = 1
            drawn = [replace(probe, delta=np.ones_like(probe.delta)) for probe in drawn]
        self.tried, raised, noticed = runnable(subject, drawn, samples)
        due = owed(subject, self.tried, reference, self.progress)
        notes += [*not_told_apart(self.tried, subject.names), *noticed, *due.notes]
        return [*raised, *due.findings], due.spoiled

    def learned(self, meaning: Meaning | None) -> set[str]:
        """The parameters of a layer."""
        if not isinstance(meaning, LayerMeaning):
            return set()
        return {self.subject.names[number] for number, _ in meaning.parameters.values()}

    def silent(self, probe: Probe, meaning: Meaning | None) -> list[str]:
        """Arguments of real numbers for which no gradient came back."""
        gradients, names = answer(self.subject, probe.args, probe.delta), self.subject.names
        wanted: Sequence[int] = range(len(names)) if meaning is None else meaning.expected
        return [names[n] for n in wanted if gradients[n] is None and self.subject.args[n].dtype.kind == "f"]

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
        self.progress(TEXTS["step.compared"])
        returned = self.returned(tried)
        budget = Budget(told=self._searched)
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
            names = self.subject.names
            searches.append(Search(meaning, argument, tried, bounds, given, budget, within, names))
        right = {s.argument: not wrong_probes(s.case({})) for s in searches}
        for search in searches:
            name, given = self.subject.names[search.argument.number], list(search.theirs)
            pairs = [(s.argument, s.theirs) for s in searches if s is not search]
            search.kept = [pair for pair in pairs if right[pair[0]]]
            search.wrong = [pair for pair in pairs if not right[pair[0]]]
            if edits and not right[search.argument] and agree_where_finite(given, search.right(edits)):
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
        budget = Budget(MOST_TRIED // 4, self._searched)
        again = replace(search, made=dict(edits), budget=budget, found=[], known={})
        name = self.subject.names[search.argument.number]
        found, _ = self.judged(name, again.case({}), again, search.probes)
        return found if all(finding.mistake for finding in found) else made

    def _searched(self, count: int) -> None:
        self.progress(TEXTS.say("step.searched", count=count, most=MOST_TRIED))

    def tolerances(self, tried: Sequence[Probe]) -> list[Tolerances]:
        """Per probe what right answers may be off by."""
        assert self.reference is not None
        precision = computed_in(self.subject.args, self.subject.precision)
        return [Tolerances(self.reference, probe.args, probe.delta, precision) for probe in tried]

    def by_differences(
        self, tried: Sequence[Probe], alone: str | None = None, most: int = MOST_ENTRIES
    ) -> Iterator[tuple[str, Case]]:
        """Every returned array, or one alone, beside the differences of their own forward, where these can be
        taken.  most: entries of each.
        """
        returned = self.returned(tried)
        form = PRECISIONS[computed_in(self.subject.args, self.subject.precision)]
        rounding = max(1e-6, ROUNDINGS * form.unit)
        for number, name in enumerate(self.subject.names):
            if self.subject.args[number].dtype.kind != "f" or alone not in (None, name):
                continue
            if any(gradients[number] is None for gradients in returned):
                continue
            self.progress(TEXTS.say("step.differences", name=name))
            theirs, right, looked = [], [], []
            for probe, gradients in zip(tried, returned, strict=True):
                taken = differences_of(self.subject, probe, number, most)
                value = np.asarray(gradients[number])
                if value.shape != probe.args[number].shape:
                    break
                plain = ~taken.kinks & np.isfinite(taken.values)
                if not np.isfinite(taken.values).any():
                    self.unsure = True
                entries, exact = taken.entries[plain], taken.values[plain]
                given = value.reshape(-1)[entries].astype(np.float64)
                largest = np.abs(exact).max(initial=0.0)
                slack = 20 * taken.errors[plain] + rounding * largest
                self.unsure |= largest > 0 and bool((slack >= largest).all())
                expected = value.astype(np.float64).reshape(-1).copy()
                expected[entries] = as_given(given, exact, slack)
                theirs.append(value.astype(np.float64))
                right.append(expected.reshape(value.shape))
                seen = np.full(value.size, len(taken.entries) == value.size)
                seen[taken.entries] = True
                looked.append(seen.reshape(value.shape))
            if len(theirs) == len(tried):
                sizes = [{"m": (*probe.args[0].shape, 1)[0]} for probe in tried]
                yield name, Case(theirs, right, [False] * len(tried), sizes, None, looked)

    def returned(self, tried: Sequence[Probe]) -> list[tuple[Array | None, ...]]:
        return [answer(self.subject, probe.args, probe.delta) for probe in tried]

    # -- what it is ------------------------------------------------------------------------------------------
    def judged(
        self, name: str, case: Case, search: Search | None, tried: Sequence[Probe]
    ) -> tuple[list[Finding], list[Say]]:
        """The finding on one array, none where it is right; and what is to be noted."""
        defined = [n for n, right in enumerate(case.right) if is_finite(right)]
        # Not where the derivative itself is 0 / 0, as of one sample's root.
        if 0 < len(defined) < len(case.right):
            within = None if search is None else search.only(defined)
            return self.judged(name, case.only(defined), within, [tried[n] for n in defined])
        pairs = enumerate(zip(case.theirs, case.right, strict=True))
        fitting = [n for n, (theirs, right) in pairs if theirs.shape == right.shape and is_finite(theirs)]
        # Of other sizes the shapes are wrong, or 0 / 0 of one sample: judged where they fit.
        if 0 < len(fitting) < len(case.theirs):
            within = None if search is None else search.only(fitting)
            made, beside = self.judged(name, case.only(fitting), within, [tried[n] for n in fitting])
            missing = [number not in fitting for number in range(len(case.theirs))]
            others = case.only([n for n, left in enumerate(missing) if left])
            if not made and not missing[0] and right_of_one_sample(others):
                return [], [*beside, TEXTS["judged.one_sample"]]
            shown = right_where_shown(name, missing, tried)
            return made or [shown or finding(name, case, missing.index(True), None)], beside
        wrong = wrong_probes(case)
        if not wrong:
            return [], self.sure(name, case)
        if self.reference is not None and search is not None and not case.tied[wrong[0]]:
            number = search.argument.number
            lost = lost_digits(self.subject, tried[wrong[0]], number, case.theirs[wrong[0]], self.reference)
            if lost is not None:
                return ([lost], []) if isinstance(lost, Finding) else ([], [lost])
        if all(case.tied[number] and self.at_kinks(name, case, number, tried[number]) for number in wrong):
            chooses = search is not None and search.meaning.chooses(search.argument.gradient)
            if not chooses or all(same_mass(case, n) for n in wrong):
                return [], [TEXTS.say("judged.ties", name=name)]
            if 0 not in wrong:  # as a mask x == max has it, which is right wherever no two are equal
                return [], [TEXTS.say("judged.every_tie", name=name)]
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
        elif search is not None and not found.mistake and another_mask(search, case):
            found = replace(found, why=TEXTS["mistake.another_mask"], mistake="another mask")
        elif search is not None and not found.mistake and ignored_learn(search, case):
            found = replace(found, why=TEXTS["mistake.ignored_learn"], mistake="ignored learn")
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
        taken = differences_of(self.subject, probe, argument)
        wrong = case.wrong(number).reshape(-1)[taken.entries]
        low, high = np.minimum(taken.left, taken.right), np.maximum(taken.left, taken.right)
        slack = 1e-3 * (1 + np.abs(high - low))
        value = theirs.reshape(-1)[taken.entries]
        between = (value >= low - slack) & (value <= high + slack)
        return bool((between & taken.kinks)[wrong].all())
