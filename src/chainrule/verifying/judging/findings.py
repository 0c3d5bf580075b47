"""What was found of an array as a `Finding`: where it is wrong, which mistake gives it, what to write."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace

import numpy as np

from chainrule.base.languages import SPACE, Say
from chainrule.formulas.expression import Expression, Symbol
from chainrule.formulas.printing import Equation, text
from chainrule.verifying.contract.owed import SYMPTOMS
from chainrule.verifying.judging.hypotheses import (
    Case,
    Mistake,
    agree,
    factors,
    orders,
    partly,
    scaled_orders,
)
from chainrule.verifying.judging.search import Search
from chainrule.verifying.meanings.meaning import Edit
from chainrule.verifying.places import at, place
from chainrule.verifying.precision import worst
from chainrule.verifying.saying.marked import Marked, marked
from chainrule.verifying.texts import TEXTS
from chainrule.verifying.verdict import Finding


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


def finding(name: str, case: Case, number: int, search: Search | None) -> Finding:
    """What is wrong with one array, and why, if one mistake or two give it."""
    theirs, right = case.theirs[number], case.right[number]
    if theirs.shape != right.shape:
        shapes = {"shape": str(theirs.shape), "expected": str(right.shape)}
        return Finding(name, TEXTS.say("contract.shape", name=name, **shapes), mistake="wrong shape")
    wrong = case.wrong(number)
    spot = np.unravel_index(int(np.abs(theirs - right).argmax()), right.shape)
    index = "[" + ", ".join(str(int(i)) for i in spot) + "]"
    numbers = {"index": index, **dict(zip(("yours", "right"), apart(theirs[spot], right[spot]), strict=True))}
    about, roles = {"zero": right == 0, "not_zero": right != 0}, [""] * right.ndim
    if search is not None:
        about, roles = search.meaning.where(
            search.argument, search.bounds[number], search.probes[number], right
        )
    what = TEXTS.say("wrong", name=name, **{**numbers, "index": at(tuple(map(int, spot)), roles)})
    where = TEXTS.say("where.said", where=place(wrong, about, roles))
    if case.looked is not None and not case.looked[number].all():
        count, of = int(wrong.sum()), int(case.looked[number].sum())
        where = TEXTS.say("where.said", where=TEXTS.say("where.looked", count=count, of=of, size=wrong.size))
    evidence = {**numbers, "entries": int(wrong.sum()), "of": wrong.size}
    if case.tolerances is not None:
        allowed = case.tolerances[number].allowed(right)
        evidence |= {"tolerance": float(allowed[spot]), "ratio": worst(theirs, right, allowed)[1]}
    if agree(case.theirs, case.right):  # nearer to what is right than mistakes are told apart by
        return Finding(name, what, where, None, None, "", evidence)
    if search is not None and (edit := search.everywhere() or search.shared()) is not None:
        search.found.append(edit)
        fix, forms = _fix(search, edit)
        return Finding(name, what, where, sentence(edit), fix, _word(edit), evidence, forms)
    compared = case if search is None else search.case(search.made)
    plain = None if search is None else search.meaning.written(search.argument.gradient)
    beside = () if search is None else (*search.another(), *search.stale())
    for mistake in (*factors(compared), *orders(compared), *beside):
        return Finding(name, what, where, *_said(mistake, plain), evidence)
    if search is not None:
        for edits, scale in search.mistakes():
            search.found += edits if edits[0].place != edits[-1].place else edits[-1:]
            sentences = [sentence(edit) for edit in edits]
            words = [_word(edit) for edit in edits]
            if scale:
                beside_it = Edit("", "factor", values={"factor": scale})
                sentences.append(sentence(beside_it))
                words.append(_word(beside_it))
            fix, forms = _fix(search, edits[-1])
            if len(edits) == 2 and sentences[0] == sentences[-1]:  # the same at two places
                sentences[-1] = TEXTS["twice"]
            why, word = SPACE.join(sentences), " and ".join(words)
            return Finding(name, what, where, why, fix, word, evidence, forms)
    for mistake, scale in scaled_orders(compared):
        why, fix, word = _said(mistake, plain)
        beside_it = Edit("", "factor", values={"factor": scale})
        both = SPACE.join([why, sentence(beside_it)])
        return Finding(name, what, where, both, fix, f"{word} and {_word(beside_it)}", evidence)
    misread = iter(()) if search is None else search.misread()
    for mistake in (*factors(compared, rare=True), *partly(compared), *misread):
        return Finding(name, what, where, *_said(mistake, plain), evidence)
    return Finding(name, what, where, None, None, "", evidence)


def apart(theirs: float, right: float) -> tuple[str, str]:
    """Two numbers with as many digits as tell them apart, at least 6."""
    for digits in range(6, 18):
        both = f"{theirs + 0.0:.{digits}g}", f"{right + 0.0:.{digits}g}"
        if both[0] != both[1]:
            break
    return both


def _said(mistake: Mistake, formula: str | None) -> tuple[Say, Say | None, str]:
    """(why, what to write, the word) of a factor or an order."""
    why = TEXTS.within("mistake")[mistake.kind].format(**mistake.values)
    fix = None if formula is None else TEXTS.say("fix.plain", formula=formula)
    word = f"factor {mistake.values['factor']}" if mistake.kind == "factor" else in_words(mistake.kind)
    return why, fix, word


def sentence(edit: Edit) -> Say:
    if edit.values.get("factor") == "-1" and edit.kind == "factor":
        return TEXTS["mistake.minus"]
    return TEXTS.within("mistake")[edit.kind.replace(" ", "_")].format(
        part=edit.part, node=edit.node, **edit.values
    )


def _word(edit: Edit) -> str:
    """For programs: the kind, and of a factor which."""
    if edit.values.get("factor") == "-1" and edit.kind == "factor":
        return "minus"
    word = in_words(edit.kind)
    return f"{word} {edit.values['factor']}" if "factor" in edit.values else word


def in_words(kind: str) -> str:
    """In words; "sum_features only" has the name of an operation in it, which stays."""
    return kind if " " in kind else kind.replace("_", " ")


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
