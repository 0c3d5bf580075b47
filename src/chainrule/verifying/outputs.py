"""The verdict of one subject: a mistake is named without which its code is right; all outputs are judged.

The first output, or the one asked for, is judged as if it were alone: by a formula where there is one.
Beside it the differences of all outputs joined judge what comes back for a δ of all of them.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import replace
from functools import partial

import numpy as np

from chainrule.base.errors import ChainruleError
from chainrule.base.languages import Say
from chainrule.base.types import Array
from chainrule.layers import MultiHeadAttention
from chainrule.verifying.contract.calls import attempt, output
from chainrule.verifying.contract.owed import SYMPTOMS
from chainrule.verifying.differences import FEW_ENTRIES, STEP
from chainrule.verifying.judging.guesses import guesses
from chainrule.verifying.judging.judge import Judge
from chainrule.verifying.meanings.matching import Like
from chainrule.verifying.precision import computed_in
from chainrule.verifying.probes import Probe, probes, smaller_sizes
from chainrule.verifying.saying.schema import Answer
from chainrule.verifying.source.guards import guarded
from chainrule.verifying.source.keeping import keeps
from chainrule.verifying.source.named import by_source, lines_for
from chainrule.verifying.source.right import Right, by_differences, by_formula
from chainrule.verifying.subjects.calls.effort import effort
from chainrule.verifying.subjects.frameworks.compiled import as_it_is, compiled_anew
from chainrule.verifying.subjects.fused import unfused
from chainrule.verifying.subjects.subject import Gradients, Subject
from chainrule.verifying.texts import TEXTS
from chainrule.verifying.verdict import Finding, Verdict

FEW_DIGITS = ("float16", "bfloat16")
MOST_RESIZED = 20_000  # entries of an argument
SIZES = 2  # other ones, of which a place written otherwise must be right, too
PROBES = 2  # without ties: the given arguments and fresh numbers
# Directions per probe, and of the largest term of a slope along one what it may be off by.
DIRECTIONS, CLOSE = 2, 1e-6
SLOW = 1_200  # lines of a forward and a backward: thousands of them are run


def verdict_of(
    subject: Subject,
    like: Like | None,
    seed: int,
    level: int,
    progress: Callable[[Say], None] = lambda step: None,
    chosen: int | None = None,
) -> Verdict:
    """What `verify` answers of one subject.  chosen: the output that was asked for, None: all.

    Code that is slow on the given arguments is judged on smaller ones, where it takes such, and beside the
    slope of its forward along a few directions on the given ones; if that is another answer, on these.
    """
    small = _smaller(subject, like, seed)
    if small is None:
        return _verdict_of(subject, like, seed, level, progress, chosen)
    verdict = _verdict_of(small, like, seed, level, progress, chosen)
    delta = subject.drawn_delta(output(subject, subject.args), np.random.default_rng(seed))
    fits = _agrees(subject, Probe(subject.args, delta))
    if verdict.verdict == "cannot tell" or fits == (verdict.verdict == "wrong"):  # None is neither
        return _verdict_of(subject, like, seed, level, progress, chosen)
    shapes = " ".join(str(value.shape) for value in small.args if value.ndim)
    return replace(verdict, notes=(*verdict.notes, TEXTS.say("judged.smaller", shapes=shapes)))


def _smaller(subject: Subject, like: Like | None, seed: int) -> Subject | None:
    """The same with smaller arguments, where it is slow on the given and takes such; else None."""
    if subject.fixed or like is not None or subject.together is not None or subject.alone:
        return None

    def once() -> Gradients | None:
        return attempt(subject, subject.args, np.ones_like(output(subject, subject.args)))

    if once() is None or effort(once, SLOW, subject.args) < SLOW:
        return None

    def runs(args: Sequence[Array]) -> bool:
        try:
            with np.errstate(all="ignore"):
                out = output(subject, args)
        except Exception:  # their code may raise whatever it likes
            return False
        given = attempt(subject, args, np.ones_like(out)) if np.isfinite(out).all() else None
        pairs = zip(given or (), args, strict=False)
        return given is not None and all(g is None or g.shape == value.shape for g, value in pairs)

    args = smaller_sizes(subject.args, runs, np.random.default_rng(seed), subject.precision)
    return None if args is None else replace(subject, args=args, measured={})


def _verdict_of(
    subject: Subject,
    like: Like | None,
    seed: int,
    level: int,
    progress: Callable[[Say], None],
    chosen: int | None,
) -> Verdict:
    """On the arguments of the subject."""
    given, subject = subject, _reached(_apart(subject, like), like)
    judge = Judge(subject, like, seed, progress)
    verdict = _mended(subject, judge.verdict(level), like, seed, progress)
    subject, judge, verdict = _at_one(subject, judge, verdict)
    if verdict.verdict == "right" and judge.reference is None:
        verdict = _beyond(judge, verdict)
    unknown = any(not each.mistake or each.mistake in SYMPTOMS for each in verdict.findings)
    guess = _guessed(subject, judge, verdict) if like is None and unknown else None
    if guess is None:
        verdict = _told_apart(subject, verdict, like, seed, progress)
    else:
        like, judge, verdict = guess
    if given is not subject and verdict.verdict == "right":  # a bias of keys has no argument of its own
        made, judge_of_given, said = _by_differences(given, _tried(given, seed), seed, progress)
        if made or judge_of_given.unsure:
            answer: Answer = "wrong" if made else "cannot tell"
            verdict = replace(verdict, verdict=answer, findings=tuple(made), notes=(*verdict.notes, *said))
    if subject.together is not None:
        verdict = _of_all(subject, judge, verdict, progress, chosen)
    lines = lines_for(verdict)
    if subject.fixed or (verdict.verdict != "wrong" and subject.together is not None):
        return verdict
    progress(TEXTS["step.source"])

    def again() -> Verdict:
        other = Judge(subject, like, seed)
        with compiled_anew():
            then = other.verdict(level)
            if subject.together is None:
                return then
            return _of_all(subject, other, then, lambda step: None, chosen)

    whole = subject if chosen is not None or subject.together is None else subject.together
    with as_it_is():
        if verdict.verdict != "wrong":
            if judge.reference is not None and not judge.loosely:
                return verdict
            plain = [probe for probe in judge.tried if not probe.tied]
            return guarded(subject, verdict, plain[:PROBES], again)
        verdict = keeps(whole, verdict, judge.tried, again)
        if not lines:
            return verdict
        elsewhere = any(each.mistake.startswith("given ") for each in verdict.findings)
        right = _right(judge, whole, seed, elsewhere)
        others = partial(_resized, judge, whole, right)
        return by_source(whole, verdict, right, others, lines, again)


def _right(judge: Judge, subject: Subject, seed: int, elsewhere: bool) -> list[Right]:
    """What is right on the probes that tell most: the given arguments, fresh numbers, other sizes where a
    formula tells it or something is wrong on these alone.
    """
    if subject is not judge.subject:
        return by_differences(subject, _tried(subject, seed))
    plain = [probe for probe in judge.tried if not probe.tied]
    shapes = [value.shape for value in plain[0].args]
    others = [probe for probe in plain if [value.shape for value in probe.args] != shapes]
    loosely = judge.reference is None or judge.loosely
    others += judge.sizes.linked if loosely and elsewhere else []
    tried = [*plain[:PROBES], *others[:PROBES]]
    if judge.reference is None or loosely:
        return by_differences(subject, tried)
    return by_formula(subject, judge.reference, tried)


def _beyond(judge: Judge, verdict: Verdict) -> Verdict:
    """With what is wrong on large numbers and on other sizes alone, where no formula judged these."""
    if judge.subject.fixed:
        return verdict  # saved numbers belong to the given ones alone
    for probe in (*judge.beyond, *judge.sizes.linked):
        if _agrees(judge.subject, probe) is not False:
            continue
        other = Judge(judge.subject, None, judge.seed, judge.progress, [probe])
        made = other.of_differences([probe], (), [])
        if made:
            alike = [value.shape for value in probe.args] == [value.shape for value in judge.subject.args]
            word, key = ("given numbers only", "numbers") if alike else ("given shapes only", "shapes")
            said = TEXTS.within("cheat")[key]
            findings = [
                replace(each, what=said.format(name=each.name), why=each.what, fix=None, mistake=word)
                for each in made
            ]
            return replace(verdict, verdict="wrong", findings=tuple(findings))
    return verdict


def _resized(
    judge: Judge, subject: Subject, right: Sequence[Right], wrong: frozenset[int]
) -> list[Right]:
    """What is right of these arguments for other sizes, which tell those apart that are the same as given."""
    if subject is not judge.subject:
        return []
    shapes = [value.shape for value in right[0].probe.args]
    made: list[Right] = []
    if judge.reference is not None and not judge.loosely:
        others = [p for p in judge.tried if not p.tied and [value.shape for value in p.args] != shapes]
        made = by_formula(subject, judge.reference, others[:SIZES])
    for probe in _of_other_sizes(judge):
        if len(made) >= SIZES:
            break
        if max(value.size for value in probe.args) > MOST_RESIZED:
            continue
        given = attempt(subject, probe.args, probe.delta)
        pairs = [] if given is None else [(given[n], probe.args[n]) for n in wrong]
        if pairs and all(g is not None and g.shape == value.shape for g, value in pairs):
            with compiled_anew(0):
                beside = by_differences(subject, [probe], given=given, most=FEW_ENTRIES)[0]
            # Where what is right is wrong, too, theirs is not meant for such sizes, though it runs.
            if beside.wrong(given) <= wrong:
                values = [value if n in wrong else None for n, value in enumerate(beside.values)]
                made.append(replace(beside, values=values))
    return made  # without sizes that their forward takes and their backward does not


def _of_other_sizes(judge: Judge) -> Iterator[Probe]:
    """Drawn as they are asked for: of sizes that all differ, then of linked ones."""
    with compiled_anew(0):  # their forward is what it was
        first = judge.sizes.of_other_sizes
    if first is not None:
        yield first
    yield from judge.sizes.linked


def _of_all(
    subject: Subject, judge: Judge, verdict: Verdict, progress: Callable[[Say], None], chosen: int | None
) -> Verdict:
    """With what all outputs tell."""
    assert subject.together is not None
    tried = _tried(subject.together, judge.seed)
    first = next(iter(subject.alone)) if chosen is None else chosen
    findings = [_unused(each, subject.together, first, tried) for each in verdict.findings]
    notes, unsure = list(verdict.notes), False
    if chosen is None:
        said = {finding.name for finding in findings} | judge.follows
        everywhere = "" in said or not tried  # what is no array's: the forward, or that nothing can be called
        if not everywhere:
            others, unsure = _of_others(subject, judge.seed, tried, progress, said, notes)
            findings += others
        key = "judged.outputs" if judge.like is None else "judged.outputs_like"
        notes.append(TEXTS.say(key, number=first, count=len(subject.alone)))
    answer: Answer = "wrong" if findings else "cannot tell" if unsure else verdict.verdict
    return replace(verdict, verdict=answer, findings=tuple(findings), notes=tuple(notes))


def _mended(
    subject: Subject, verdict: Verdict, like: Like | None, seed: int, progress: Callable[[Say], None]
) -> Verdict:
    """With the mistake named without which all is right."""
    for key, other in subject.without.items() if verdict.verdict == "wrong" else ():
        if Judge(other, like, seed, progress).verdict(verdict.hint_level).verdict == "right":
            why, word = TEXTS.within("mistake")[key], "overwritten"
            named = (replace(each, why=why, mistake=word, observed=None) for each in verdict.findings)
            return replace(verdict, findings=tuple(named))
    return verdict


def _at_one(subject: Subject, judge: Judge, verdict: Verdict) -> tuple[Subject, Judge, Verdict]:
    """Of a number whose gradients forget its δ, which is 1 wherever it is the loss: what else is wrong."""
    if not any(each.mistake == "δ not used" for each in verdict.findings):
        return subject, judge, verdict
    if output(subject, subject.args).size != 1:
        return subject, judge, verdict

    def backward(values: Sequence[Array], delta: Array) -> Gradients:
        made = subject.backward(values, np.ones_like(delta))
        return tuple(None if value is None else value * value.dtype.type(delta) for value in made)

    made = replace(subject, backward=backward, takes_delta=False, steps=None)
    alone = replace(made, without={}, as_is=None, pulled=None)
    other = Judge(alone, judge.like, judge.seed, judge.progress)
    beside = other.verdict(verdict.hint_level)
    if beside.verdict != "wrong":
        return subject, judge, verdict
    return alone, other, replace(beside, notes=(*beside.notes, TEXTS["judged.at_one"]))


def _apart(subject: Subject, like: Like | None) -> Subject:
    """With queries, keys and values in arguments of their own, where they come in one and ours in three."""
    kind = None if like is None else getattr(like.kind, "kind", None)
    other = unfused(subject) if kind is MultiHeadAttention and subject.delta is None else None
    if like is None or other is None:
        return subject
    out = output(subject, subject.args)
    fits = like.meaning(other.args, other.names, out, other.forward, other.precision) is not None
    return other if fits else subject


def _reached(subject: Subject, like: Like | None) -> Subject:
    """Without the arguments that do not reach the output and whose gradients do not come back, where the rest
    is what is meant: the weights of an output that is not judged, handed in with the others.
    """
    if like is None or subject.fixed or subject.together is not None:
        return subject
    out = output(subject, subject.args)
    if like.meaning(subject.args, subject.names, out, subject.forward, subject.precision) is not None:
        return subject
    given = attempt(subject, subject.args, np.ones_like(out))
    loose = [n for n, value in enumerate(given or ()) if value is None and _apart_from(subject, n, out)]
    kept = [number for number in range(len(subject.args)) if number not in loose]
    if not loose or not kept:
        return subject

    def whole(values: Sequence[Array]) -> list[Array]:
        by_number = dict(zip(kept, values, strict=True))
        return [by_number.get(number, value) for number, value in enumerate(subject.args)]

    def backward(values: Sequence[Array], delta: Array) -> Gradients:
        made = subject.backward(whole(values), delta)
        return tuple(made[number] for number in kept)

    made = replace(
        subject,
        names=tuple(subject.names[number] for number in kept),
        args=tuple(subject.args[number] for number in kept),
        forward=lambda values: subject.forward(whole(values)),
        backward=backward,
        steps=None,
        without={},
        as_is=None,
    )
    fits = like.meaning(made.args, made.names, out, made.forward, made.precision) is not None
    return made if fits else subject


def _apart_from(subject: Subject, number: int, out: Array) -> bool:
    """Whether another value of an argument gives the same output."""
    if subject.args[number].dtype.kind != "f":
        return False
    moved = [value + 1 if place == number else value for place, value in enumerate(subject.args)]
    try:
        return bool(np.array_equal(output(subject, moved), out))
    except Exception:  # their code may raise whatever it likes
        return False


def _guessed(subject: Subject, judge: Judge, verdict: Verdict) -> tuple[Like, Judge, Verdict] | None:
    """The verdict by a formula that nobody named and that gives the same output, where it names all; None
    where none does.
    """
    out = output(subject, subject.args)
    for like in guesses(subject.title, subject.args, out):
        try:
            if like.meaning(subject.args, subject.names, out, subject.forward, subject.precision) is None:
                continue
            other = Judge(subject, like, judge.seed, named=False)
            by_formula = other.verdict(verdict.hint_level)
            by_formula = _told_apart(subject, by_formula, like, judge.seed, other.progress)
        except ChainruleError:  # options of its own that nobody told, sizes that it does not take
            continue
        if by_formula.findings and all(each.mistake and each.name for each in by_formula.findings):
            notes = *by_formula.notes, TEXTS.say("judged.guessed", like=like.title)
            return like, other, replace(by_formula, notes=notes)
    return None


def _told_apart(
    subject: Subject, verdict: Verdict, like: Like | None, seed: int, progress: Callable[[Say], None]
) -> Verdict:
    """With the mistakes named that the same code makes in more digits: in few, many are the same."""
    few = computed_in(subject.args, subject.precision) in FEW_DIGITS
    if verdict.verdict != "wrong" or not few or subject.delta is not None:
        return verdict
    try:
        more = Judge(_in_more_digits(subject), like, seed, progress).verdict(verdict.hint_level)
    except ChainruleError:  # theirs takes no other type
        return verdict
    by_name = {each.name: each for each in more.findings if each.mistake and each.why is not None}
    findings = []
    for each in verdict.findings:
        other = by_name.get(each.name)
        if other is not None and each.name:
            each = replace(each, why=other.why, fix=other.fix, mistake=other.mistake)
            each = replace(each, formulas=other.formulas, observed=None)
        findings.append(each)
    return replace(verdict, findings=tuple(findings))


def _in_more_digits(subject: Subject) -> Subject:
    """On arrays of float64, its answers in the float32 in which it may compute inside."""
    wide = tuple(np.asarray(v, np.float64) if v.dtype.kind == "f" else v for v in subject.args)

    def forward(values: Sequence[Array]) -> Array:
        return subject.forward(values).astype(np.float32)

    def backward(values: Sequence[Array], delta: Array) -> Gradients:
        made = subject.backward(values, delta.astype(np.float64))
        return tuple(None if value is None else value.astype(np.float32) for value in made)

    made = replace(subject, args=wide, forward=forward, backward=backward, precision="float32")
    return replace(made, notes=(), steps=None, alone={}, together=None, without={}, as_is=None, pulled=None)


def _of_others(
    subject: Subject,
    seed: int,
    tried: Sequence[Probe],
    progress: Callable[[Say], None],
    said: Collection[str],
    notes: list[Say],
) -> tuple[list[Finding], bool]:
    """What is wrong for a δ of all outputs, of arrays of which nothing is `said`: by the output whose δ shows
    it, else by all; and whether it cannot be told of one.
    """
    assert subject.together is not None
    if all(_agrees(subject.together, probe) for probe in tried):
        return [], False
    findings, judge, beside = _by_differences(subject.together, tried, seed, progress, said)
    notes += beside
    wrong = {each.name: each for each in findings}
    made: dict[str, Finding] = {}
    for number, alone in subject.alone.items() if wrong else ():
        probes_of = [_with_delta(alone, probe) for probe in tried]
        spoiled = {name for name in subject.names if name not in wrong or name in made}
        for found in _by_differences(alone, probes_of, seed, progress, spoiled)[0]:
            found = _unused(found, subject.together, number, tried)
            what = TEXTS.say("of_output", number=number, what=found.what)
            made[found.name] = replace(found, what=what)
    return [made.get(name, each) for name, each in wrong.items()], judge.unsure


def _by_differences(
    subject: Subject,
    tried: Sequence[Probe],
    seed: int,
    progress: Callable[[Say], None],
    spoiled: Collection[str] = (),
) -> tuple[list[Finding], Judge, list[Say]]:
    """What is wrong with arrays that are not `spoiled`, who judged it, and what is to be noted."""
    judge, notes = Judge(subject, None, seed, progress, list(tried)), list[Say]()
    return judge.of_differences(judge.tried, spoiled, notes), judge, notes


def _tried(subject: Subject, seed: int) -> list[Probe]:
    drawn = probes(subject.args, subject.forward, (), seed, subject.precision)
    runs = (probe for probe in drawn if not probe.tied and attempt(subject, probe.args, probe.delta))
    return [probe for probe, _ in zip(runs, range(PROBES), strict=False)]


def _agrees(subject: Subject, probe: Probe) -> bool | None:
    """Whether what comes back fits the slope of their forward along random directions of all arguments at
    once: a few calls, which spare the differences of every entry where all is right.  None: a slope is not
    known well enough to tell.
    """
    rng = np.random.default_rng(DIRECTIONS)
    given = attempt(subject, probe.args, probe.delta)
    if given is None:
        return False
    args = [np.asarray(v, np.float64) if v.dtype.kind == "f" else v for v in probe.args]
    for _ in range(DIRECTIONS):
        along = [None if g is None else rng.normal(size=v.shape) for v, g in zip(args, given, strict=True)]
        theirs = size = 0.0
        for gradient, way in zip(given, along, strict=True):
            if gradient is not None and way is not None:
                if gradient.shape != way.shape:
                    return False
                theirs += float((gradient * way).sum())
                size = max(size, float(np.abs(gradient * way).max(initial=0.0)))
        slope, error = _slope(subject, args, along, probe.delta)
        if not error <= CLOSE * size:
            return None
        if not abs(theirs - slope) <= 20 * error + CLOSE * size:
            return False
    return True


def _slope(
    subject: Subject, args: Sequence[Array], along: Sequence[Array | None], delta: Array
) -> tuple[float, float]:
    """Of Σ δ·out along a direction, of fourth order, and what it may be off by; NaN where theirs raises."""

    def J(step: float) -> float:
        moved = [v.copy() if way is None else v + step * way for v, way in zip(args, along, strict=True)]
        try:
            return float((delta.astype(np.float64) * subject.forward(moved)).sum())
        except Exception:  # their code may raise whatever it likes
            return np.nan

    near, far = ((J(h) - J(-h)) / (2 * h) for h in (STEP, 2 * STEP))
    noise = 4 * np.finfo(np.float64).eps * float(np.abs(delta).sum()) / STEP
    return (4 * near - far) / 3, abs(near - far) / 3 + noise


def _with_delta(subject: Subject, probe: Probe) -> Probe:
    """The same arguments with a δ of this output."""
    out = output(subject, probe.args)
    rng = np.random.default_rng(out.size)
    return replace(probe, delta=rng.normal(size=out.shape).astype(out.dtype))


def _unused(found: Finding, together: Subject, number: int, tried: Sequence[Probe]) -> Finding:
    """Of a gradient that is 0 for a δ of one output alone, and not for one of all: this δ is not used."""
    if found.mistake != "zeros" or not {"index", "yours", "right"} <= set(found.evidence):
        return found
    given = [attempt(together, probe.args, probe.delta) for probe in tried]
    place = together.names.index(found.name)
    made = [gradients[place] for gradients in given if gradients is not None]
    if not any(value is not None and value.any() for value in made):
        return found
    numbers = {key: found.evidence[key] for key in ("index", "yours", "right")}
    what = TEXTS.say("wrong", name=found.name, **numbers)
    why = TEXTS.say("mistake.output_unused", number=number)
    return replace(found, what=what, why=why, mistake="output unused")
