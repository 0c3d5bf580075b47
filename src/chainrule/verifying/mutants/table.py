"""Every wrong neighbour of every formula: what `verify` calls a backward pass that has it.

The proof that the hypotheses are whole: a mistake that a formula offers is named, or it is none, since the
formula computes the same on a hundred draws.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from chainrule.base.errors import ArgumentError, ChainruleError
from chainrule.base.types import Array
from chainrule.formulas.evaluation import evaluate
from chainrule.formulas.expression import Expression
from chainrule.formulas.neighbours import Neighbour, neighbours, with_rotated
from chainrule.formulas.tracing import Formulas, trace
from chainrule.layers import Layer, layer_classes
from chainrule.networks.network import Network
from chainrule.verifying.mutants.examples import EXAMPLES, SAMPLES, Example
from chainrule.verifying.saying.schema import MutantAnswer, MutantRecord
from chainrule.verifying.verdict import Verdict
from chainrule.verifying.verify import verify

DRAWS = 100
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


class Mutated:
    """A layer as somebody's functions on arrays with the samples first."""

    def __init__(self, kind: str, example: Example) -> None:
        network = Network([example.layer(kind)], input_shape=example.shape, dtype="float64")
        self.layer: Layer = network.layers[0]
        self.shape, self.empty = example.shape, example.empty
        self.formulas: Formulas = trace(self.layer)
        specs = self.layer.parameters(example.shape)
        self.learned = [name for name, spec in specs.items() if spec.learned]
        self.shapes = [network.parameters[f"{self.layer.name}.{name}"].shape for name in self.learned]

    def __repr__(self) -> str:
        return repr(self.layer)

    @property
    def equations(self) -> tuple[str, ...]:
        return ("delta", *self.learned)

    def draw(self, rng: np.random.Generator) -> list[Array]:
        """x and the parameters."""
        x = rng.normal(size=(SAMPLES, *self.shape))
        if self.empty:
            x[0, : self.empty] = 0.0
        return [x, *(rng.normal(size=shape) for shape in self.shapes)]

    def forward(self, *args: Array) -> tuple[Array, tuple[Array, ...]]:
        with np.errstate(all="ignore"):
            z = np.asarray(evaluate(self.formulas.forward, self._bound(args)))
        return np.moveaxis(z, -1, 0), args

    def backward(self, mistake: Mapping[str, Expression]) -> Callable[..., tuple[Array, ...]]:
        """The backward pass with other formulas of some arrays."""

        def gradients(dout: Array, cache: tuple[Array, ...]) -> tuple[Array, ...]:
            bound = self._bound(cache)
            with np.errstate(all="ignore"):
                z = np.asarray(evaluate(self.formulas.forward, bound))
                bound = with_rotated({**bound, "z": z, "a": z, "d": np.moveaxis(dout, 0, -1)})
                made = {
                    name: np.asarray(evaluate(mistake.get(name, self.formulas[name]), bound))
                    for name in self.equations
                }
            return (np.moveaxis(made.pop("delta"), -1, 0), *made.values())

        return gradients

    def _bound(self, args: Sequence[Array]) -> dict[str, Any]:
        return {"x": np.moveaxis(args[0], 0, -1), **dict(zip(self.learned, args[1:], strict=True))}

    def verdict(self, mistake: Mapping[str, Expression]) -> Verdict:
        args = self.draw(np.random.default_rng(0))
        return verify((self.forward, self.backward(mistake)), args=args, like=self.layer)


@dataclass(frozen=True)
class Planned:
    """A mutant that is to be looked at."""

    mutated: Mutated
    equation: str
    neighbour: Neighbour


def planned(names: Sequence[str] = ()) -> list[Planned]:
    """All mutants of these layers, of none: of every layer that `verify` takes.

    Raises ArgumentError for a name that no layer has.
    """
    return list(_planned(names))


def _planned(names: Sequence[str]) -> Iterator[Planned]:
    by_word = {name.lower(): name for name in EXAMPLES}
    for name in names:
        if name.lower().replace("_", "") not in by_word:
            raise ArgumentError(f"there is no layer {name!r}; the layers are {', '.join(layer_classes)}")
    for kind in dict.fromkeys(by_word[name.lower().replace("_", "")] for name in names) or EXAMPLES:
        for example in EXAMPLES[kind]:
            mutated = taken(kind, example)
            if mutated is None:
                if names:
                    raise ArgumentError(f"verify does not take {kind} yet, so it has no mutants")
                continue
            for equation in mutated.equations:
                for neighbour in neighbours(mutated.formulas[equation]):
                    yield Planned(mutated, equation, neighbour)


def taken(kind: str, example: Example) -> Mutated | None:
    """The layer where verify calls its own backward pass right; None where it cannot judge it."""
    try:
        mutated = Mutated(kind, example)
        return mutated if mutated.verdict({}) else None
    except (ChainruleError, KeyError, TypeError, ValueError, AttributeError):
        return None


def judged(plan: Planned) -> Mutant:
    """What becomes of a mutant."""
    mutated, equation, neighbour = plan.mutated, plan.equation, plan.neighbour
    mistake = {equation: neighbour.tree}
    same = _same(mutated, equation, mistake)
    answer: MutantAnswer = "no function"
    words: tuple[str, ...] = ()
    if same is not None:
        verdict = mutated.verdict(mistake)
        words = tuple(word for word in verdict.why if word != "wrong dtype")
        if same:
            answer = "the same function" if verdict else "unnamed"
        else:
            answer = "named" if words and all(words) else "unnamed"
        if answer == "named" and any(word in UNFIT for word in words):
            answer = "no function"
    array = "x" if equation == "delta" else equation
    at, part = str(neighbour.node), str(neighbour.part)
    return Mutant(repr(mutated), array, neighbour.kind, at, part, answer, words)


def _same(mutated: Mutated, equation: str, mistake: Mapping[str, Expression]) -> bool | None:
    """Whether both formulas give the same on all draws; None where the wrong one gives nothing that fits."""
    rng = np.random.default_rng(1)
    number = mutated.equations.index(equation)
    for _ in range(DRAWS):
        args = mutated.draw(rng)
        out, _ = mutated.forward(*args)
        delta = rng.normal(size=out.shape)
        right = mutated.backward({})(delta, tuple(args))[number]
        try:
            wrong = mutated.backward(mistake)(delta, tuple(args))[number]
        except (ValueError, TypeError, IndexError):
            return None
        if wrong.shape != right.shape or not np.isfinite(wrong).all():
            return None
        if np.abs(wrong - right).max() > SAME * np.abs(right).max():
            return False
    return True


def counts(mutants: Sequence[Mutant]) -> dict[MutantAnswer, int]:
    """How many have each answer."""
    answers: tuple[MutantAnswer, ...] = ("named", "the same function", "unnamed", "no function")
    return {answer: sum(mutant.answer == answer for mutant in mutants) for answer in answers}
