"""Meaning: what a backward pass is meant to be, as formulas in which one mistake can be made, brought to the
form of somebody's arrays.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from chainrule.base.types import Array
from chainrule.formulas.expression import Expression, Named, Symbol, walk
from chainrule.formulas.neighbours import neighbours, with_rotated
from chainrule.verifying.meanings.forms import Form
from chainrule.verifying.probes import Probe


@dataclass(frozen=True, eq=False)
class Edit:
    """One mistake: in place of the right formulas stand `trees`, by where they stand; or, without any, what
    `kind` says is done.

    place: where, as a whole; of several edits one is made at a place.  kind: a key of the texts.  node, part:
    of the right formula, what the mistake is about.  values: what the text names beside.
    """

    place: str
    kind: str
    trees: Mapping[str, Expression] = field(default_factory=dict)
    node: Any = ""
    part: Any = ""
    values: Mapping[str, Any] = field(default_factory=dict)


Edits = Mapping[str, Edit]
NONE: Edits = {}


def edited(edits: Edits, place: str) -> Expression | None:
    """The wrong formula that stands at a place; None: the right one."""
    return next((edit.trees[place] for edit in edits.values() if place in edit.trees), None)


@dataclass(frozen=True, eq=False)
class Argument:
    """Of the arguments of their forward, number `number` is our `name`; `gradient` is what its gradient is
    called here, "" where there is none.
    """

    number: int
    name: str
    gradient: str


@dataclass(frozen=True, eq=False)
class Bound:
    """A probe as our formulas take it: values in float64 by name, the forms of arguments by number, and the
    numbers that factors are made of (m samples, n features, P positions, T steps).
    """

    values: dict[str, Any]
    forms: Mapping[int, Form]
    sizes: Mapping[str, int]
    computed: dict[Any, Any] = field(default_factory=dict)  # gradients by the edits they were made with


class Meaning(ABC):
    """One thing that a backward pass may be meant to be."""

    title: str
    arguments: tuple[Argument, ...]  # those whose δ arrives first come first

    @property
    def cost(self) -> int:
        """What it takes to compute a gradient, in formulas of a layer."""
        return 1

    @property
    def expected(self) -> Sequence[int]:
        """The arguments whose gradients are missed where they do not come back."""
        return [argument.number for argument in self.arguments if argument.gradient]

    @property
    @abstractmethod
    def samples(self) -> Sequence[tuple[int, int]]:
        """(argument, axis) wherever samples are counted."""

    @abstractmethod
    def bind(self, probe: Probe) -> Bound:
        """Raises ValueError or a ChainruleError for a probe of shapes that cannot be this."""

    @abstractmethod
    def gradient(self, bound: Bound, name: str, edits: Edits = NONE) -> Array:
        """∂J/∂(an argument) by its `gradient`, in our form."""

    @abstractmethod
    def places(self, name: str) -> Iterable[str]:
        """Where a mistake changes this gradient, the nearest first."""

    @abstractmethod
    def formula(self, place: str) -> Expression:
        """The right formula there."""

    def symbols(self, place: str, bound: Bound) -> Sequence[Symbol]:
        """What may stand there by mistake for another quantity of the same shape."""
        return ()

    def others(self, name: str) -> Iterator[Edit]:
        """Mistakes that no single formula has in it."""
        return iter(())

    def together(self, place: str) -> Sequence[str]:
        """The places whose formulas share their definitions with this one's: a mistake in a definition is
        made in all of them.
        """
        return (place,)

    def edits(self, name: str, bound: Bound) -> Iterator[Edit]:
        """Every single mistake in one formula that changes this gradient."""
        for place in self.places(name):
            for wrong in neighbours(self.formula(place), self.symbols(place, bound)):
                yield Edit(place, wrong.kind, {place: wrong.tree}, wrong.node, wrong.part)

    def shared(self, name: str, bound: Bound) -> Iterator[Edit]:
        """Every single mistake that changes several gradients: in a formula behind this one, or in a
        definition, made wherever it is used.
        """
        for place in list(self.places(name))[1:]:
            formula = self.formula(place)
            for wrong in neighbours(formula, self.symbols(place, bound)):
                if not within_definition(formula, wrong.path):
                    yield Edit(place, wrong.kind, {place: wrong.tree}, wrong.node, wrong.part)
        seen: set[tuple[str, Expression]] = set()
        for place in self.places(name):
            yield from self._in_definitions(place, bound, seen)

    def _in_definitions(self, place: str, bound: Bound, seen: set[tuple[str, Expression]]) -> Iterator[Edit]:
        formulas = {other: self.formula(other) for other in self.together(place)}
        definitions = dict.fromkeys(node for _, node in walk(formulas[place]) if isinstance(node, Named))
        for definition in definitions:
            if (place.rpartition(".")[0], definition) in seen:
                continue
            seen.add((place.rpartition(".")[0], definition))
            for wrong in neighbours(definition.value, self.symbols(place, bound)):
                other_meaning = Named(definition.name, wrong.tree)
                made = {other: redefined(tree, other_meaning, {}) for other, tree in formulas.items()}
                changed = {other: tree for other, tree in made.items() if tree is not formulas[other]}
                where = f"{place.rpartition('.')[0]} {definition.name}"
                yield Edit(where, wrong.kind, changed, wrong.node, wrong.part)

    def second(self, first: Edit, place: str, bound: Bound) -> Iterator[Edit]:
        """What `first` becomes by another mistake in the formula at `place`."""
        if place in first.trees:
            for wrong in neighbours(first.trees[place], self.symbols(place, bound)):
                yield Edit(place, wrong.kind, {place: wrong.tree}, wrong.node, wrong.part)

    def rules_out(self, bound: Bound, argument: Argument, theirs: Array, edits: Edits) -> bool:
        """Whether a part of the gradient, quickly computed, shows that `theirs` is not by these mistakes."""
        return False

    def chooses(self, name: str) -> bool:
        """Whether one of several entries is chosen, to which all of δ goes."""
        return False

    def written(self, name: str) -> str:
        """The right formula of this gradient, as text."""
        return str(self.formula(next(iter(self.places(name)))))

    def to_theirs(self, bound: Bound, argument: Argument, value: Array) -> Array:
        """A gradient of ours in their form."""
        return bound.forms[argument.number].to_theirs(np.asarray(value))


def turned(bound: Bound) -> Mapping[str, Any]:
    """The values and beside every kernel the same turned by 180°, for formulas with a mistake in them."""
    if "turned" not in bound.computed:
        bound.computed["turned"] = with_rotated(bound.values)
    known: Mapping[str, Any] = bound.computed["turned"]
    return known


def within_definition(tree: Expression, path: Sequence[int]) -> bool:
    """Whether the node at `path` lies in the definition of a name."""
    for number in path:
        if isinstance(tree, Named):
            return True
        tree = tree.children[number]
    return False


def redefined(tree: Expression, definition: Named, done: dict[int, Expression]) -> Expression:
    """The tree with another meaning of a name; the same object where the name does not occur.

    done: results by the identity of nodes, which formulas use several times. Comparing nodes by structure, as
    `substitute` does, took 90 % of the search for a mistake in an LSTM.
    """
    if isinstance(tree, Named) and tree.name == definition.name:
        return definition
    if id(tree) not in done:
        children = tuple(redefined(child, definition, done) for child in tree.children)
        same = all(new is old for new, old in zip(children, tree.children, strict=True))
        done[id(tree)] = tree if same else tree.rebuild(children)
    return done[id(tree)]
