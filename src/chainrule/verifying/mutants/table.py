"""Every wrong neighbour of every formula: what `verify` calls a backward pass that has it.

The proof that the hypotheses are whole: a mistake that a formula offers is named, or it is none, since the
formula computes the same on a hundred draws.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np

from chainrule.base.errors import ArgumentError
from chainrule.base.types import Array
from chainrule.verifying.contract.peeking import allowed
from chainrule.verifying.judging.findings import in_words
from chainrule.verifying.judging.search import MISFITS
from chainrule.verifying.meanings.matching import Like
from chainrule.verifying.meanings.meaning import NONE, Edit, Edits, Meaning
from chainrule.verifying.meanings.named import nearly
from chainrule.verifying.mutants.subjects import KINDS, Written, written
from chainrule.verifying.probes import Probe
from chainrule.verifying.saying.schema import MutantAnswer, MutantRecord
from chainrule.verifying.verdict import Verdict
from chainrule.verifying.verify import verify

DRAWS = 100
MOST_OF_ONE = 150  # of the mistakes in one layer: an LSTM's formulas have nine thousand, of a second each
SAME = 1e-9  # of the largest entry: the same function, summed in another order
# What the contract says of a formula that gives another shape, or divides by 0.
UNFIT = ("wrong shape", "NaN")


@dataclass(frozen=True)
class Mutant:
    """One mistake and what became of it.

    layer: as it is written.  array: whose gradient has the mistake, "x" or a parameter.  kind: the mistake by
    the word that the node declares; at: the node, part: what of it is missing or stands there, as text.
    answer: "named", with verify's words; "the same function", on DRAWS draws; "no function", which cannot be
    computed or gives another shape; "unnamed": called wrong without a cause, or right though it is not.
    """

    layer: str
    array: str
    kind: str
    at: str
    part: str
    answer: MutantAnswer
    words: tuple[str, ...] = ()

    def json(self) -> MutantRecord:
        """Plain JSON."""
        return {
            "layer": self.layer,
            "array": self.array,
            "mistake": self.kind,
            "at": self.at,
            "part": self.part,
            "answer": self.answer,
            "words": list(self.words),
        }


@dataclass(eq=False)
class Mutated:
    """Something of ours as somebody's functions, in whose formulas mistakes can be made."""

    given: Written
    meaning: Meaning = field(init=False)

    def __post_init__(self) -> None:
        args = self.draw(np.random.default_rng(0))
        like = Like(self.given.like, {})
        out = self.given.forward(*args)
        meaning = like.meaning(args, self.given.names, out, lambda values: self.given.forward(*values))
        if meaning is None:
            raise ArgumentError(f"verify does not take {like.title}")
        self.meaning = meaning

    def __repr__(self) -> str:
        return self.meaning.title

    def draw(self, rng: np.random.Generator) -> list[Array]:
        return self.given.draw(rng)

    def forward(self, *args: Array) -> tuple[Array, tuple[Array, ...]]:
        return self.given.forward(*args), args

    def backward(self, edits: Edits) -> Callable[..., tuple[Array | None, ...]]:
        """The backward pass with these mistakes made in it."""

        def gradients(dout: Array, cache: tuple[Array, ...] | Array) -> tuple[Array | None, ...]:
            args = cache if isinstance(cache, tuple) else (cache,)
            bound = self.meaning.bind(Probe(tuple(args), np.asarray(dout)))
            made: list[Array | None] = [None] * len(args)
            for argument in self.meaning.arguments:
                if argument.gradient:
                    value = self.meaning.gradient(bound, argument.gradient, edits)
                    made[argument.number] = self.meaning.to_theirs(bound, argument, value)
            return tuple(made)

        return gradients

    def edits(self) -> Iterator[tuple[str, Edit]]:
        """(argument, mistake) of every formula, once."""
        args = self.draw(np.random.default_rng(0))
        bound = self.meaning.bind(Probe(tuple(args), self.given.forward(*args)))
        seen = set()
        for argument in self.meaning.arguments:
            for edit in self.meaning.edits(argument.gradient, bound) if argument.gradient else ():
                mark = (edit.place, tuple(edit.trees.items()))
                if edit.trees and mark not in seen:
                    seen.add(mark)
                    yield argument.name, edit

    def verdict(self, edits: Edits) -> Verdict:
        args = self.draw(np.random.default_rng(0))
        pair = (self.forward, self.backward(edits))
        with allowed():
            return verify(pair, args=args, like=self.given.like, names=self.given.names)


@dataclass(frozen=True)
class Planned:
    """A mutant that is to be looked at."""

    mutated: Mutated
    array: str
    edit: Edit


def planned(names: Sequence[str] = ()) -> list[Planned]:
    """All mutants of these layers, losses, penalties and functions, or of all that `verify` takes.

    Raises ArgumentError for a name that none has.
    """
    return list(_planned(names))


def sampled(plans: Sequence[Planned]) -> tuple[list[Planned], dict[str, int]]:
    """MOST_OF_ONE of each layer's, spread evenly over its formulas, and the first of every kind and array; of
    how many, by the layer, where there are more.
    """
    by_layer: dict[Mutated, list[Planned]] = {}
    for plan in plans:
        by_layer.setdefault(plan.mutated, []).append(plan)
    kept, of = list[Planned](), dict[str, int]()
    for mutated, each in by_layer.items():
        first = {(plan.array, plan.edit.kind): number for number, plan in reversed(list(enumerate(each)))}
        spread = np.linspace(0, len(each) - 1, min(len(each), MOST_OF_ONE)).astype(int).tolist()
        numbers = sorted({*spread, *first.values()})
        kept += [each[number] for number in numbers]
        of |= {repr(mutated): len(each)} if len(numbers) < len(each) else {}
    return kept, of


def _planned(names: Sequence[str]) -> Iterator[Planned]:
    by_word = {kind.lower(): kind for kind in KINDS}
    words = [name.lower().replace("_", "") for name in names]
    for name, word in zip(names, words, strict=True):
        if word not in by_word:
            raise ArgumentError(f"there is no {name!r}{nearly(name, KINDS)}; there are {', '.join(KINDS)}")
    for kind in dict.fromkeys(by_word[word] for word in words) or KINDS:
        for given in written(kind):
            mutated = taken(given)
            if mutated is not None:
                yield from (Planned(mutated, array, edit) for array, edit in mutated.edits())
            elif names:
                raise ArgumentError(f"verify does not take {kind}, so it has no mutants")


def taken(given: Written) -> Mutated | None:
    """What verify calls right as it is; None of what it cannot judge."""
    try:
        mutated = Mutated(given)
        return mutated if mutated.verdict(NONE) else None
    except MISFITS:
        return None


def judged(plan: Planned) -> Mutant:
    """What becomes of a mutant."""
    mutated, edit = plan.mutated, plan.edit
    edits = {edit.place: edit}
    answer: MutantAnswer = "no function"
    words: tuple[str, ...] = ()
    same = _same(mutated, edits)
    verdict = None if same is None else _verdict(mutated, edits)
    if verdict is not None:
        words = tuple(word for word in verdict.why if word != "wrong dtype")
        answer = "named" if words and all(words) else "unnamed"
        if same and verdict:
            answer = "the same function"
        if answer == "named" and any(word in UNFIT for word in words):
            answer = "no function"
    about = in_words(edit.kind), str(edit.node), str(edit.part)
    return Mutant(repr(mutated), plan.array, *about, answer, words)


def _verdict(mutated: Mutated, edits: Edits) -> Verdict | None:
    """None of a formula that fits the shapes of some probes alone."""
    try:
        return mutated.verdict(edits)
    except MISFITS:
        return None


def _same(mutated: Mutated, edits: Edits) -> bool | None:
    """Whether all gradients are the same on all draws; None where the wrong ones are nothing that fits."""
    rng = np.random.default_rng(1)
    for _ in range(DRAWS):
        args = tuple(mutated.draw(rng))
        delta = np.asarray(rng.normal(size=mutated.given.forward(*args).shape))
        right = mutated.backward(NONE)(delta, args)
        try:
            wrong = mutated.backward(edits)(delta, args)
        except MISFITS:
            return None
        pairs = [(a, b) for a, b in zip(right, wrong, strict=True) if a is not None and b is not None]
        if any(a.shape != b.shape or not np.isfinite(b).all() for a, b in pairs):
            return None
        if any(np.abs(a - b).max() > SAME * np.abs(a).max() for a, b in pairs):
            return False
    return True


def counts(mutants: Sequence[Mutant]) -> dict[MutantAnswer, int]:
    """How many have each answer."""
    answers: tuple[MutantAnswer, ...] = ("named", "the same function", "unnamed", "no function")
    return {answer: sum(mutant.answer == answer for mutant in mutants) for answer in answers}
