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
from chainrule.formulas.expression import Expression, Symbol
from chainrule.formulas.neighbours import neighbours, with_rotated
from chainrule.verifying.meanings.forms import Form
from chainrule.verifying.probes import Probe


@dataclass(frozen=True, eq=False)
class Edit:
    """One mistake: at `place` the formula `tree` stands, or, without one, what `kind` says is done.

    kind: a key of the texts.  node, part: of the right formula, what the mistake is about.  values: what the
    text names beside.
    """

    place: str
    kind: str
    tree: Expression | None = None
    node: Any = ""
    part: Any = ""
    values: Mapping[str, Any] = field(default_factory=dict)


Edits = Mapping[str, Edit]
NONE: Edits = {}


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

    def edits(self, name: str, bound: Bound) -> Iterator[Edit]:
        """Every single mistake that changes this gradient."""
        yield from self.others(name)
        for place in self.places(name):
            for wrong in neighbours(self.formula(place), self.symbols(place, bound)):
                yield Edit(place, wrong.kind, wrong.tree, wrong.node, wrong.part)

    def second(self, first: Edit, bound: Bound) -> Iterator[Edit]:
        """What `first` becomes by another mistake in the same formula."""
        if first.tree is not None:
            for wrong in neighbours(first.tree, self.symbols(first.place, bound)):
                yield Edit(first.place, wrong.kind, wrong.tree, wrong.node, wrong.part)

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
