"""One entry of a formula, worked out: the fifth reading of a tree, as arithmetic of single numbers.

`Reader(bindings).element(tree, (2, 0))` is the entry (2, 0) of the tree's value as sums and products of
entries of its symbols: z_{2,0} = W_{2,0} x_{0,0} + W_{2,1} x_{1,0} + b_2.  Every primitive says in one rule
(entry_rules.py) which entries of its operands an entry of its result is made of; what names no rule is one
number.  Terms that are zero by structure (a window's pixel in the padding, an entry off its block) are left
out, so what remains is exactly what contributes: the receptive field of an output, the windows that reach an
input.

Loaded when a report is made; to train, nobody needs it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from typing import Any

import numpy as np

from chainrule.formulas.elements.entry import NOTHING, ONE, Element, Place, number
from chainrule.formulas.elements.entry_rules import entry_rules
from chainrule.formulas.evaluation import Key, value_of
from chainrule.formulas.expression import Expression, Index, Named, Number, Operation, Over, Symbol


class Reader:
    """Reads entries of trees whose symbols are bound by name to arrays (samples last)."""

    def __init__(self, bindings: Mapping[str, Any]) -> None:
        self._bindings = bindings
        self._memory: dict[Key, Any] = {}
        # By identity in front of it: comparing deep trees by structure at every entry took attention 5 s.
        self._known: dict[tuple[Any, ...], tuple[Expression, Any]] = {}

    def value(self, tree: Expression, offsets: Mapping[str, int] | None = None) -> Any:
        """The whole value of a tree, computed once."""
        offsets = offsets or {}
        key = (id(tree), *(offsets[name] for name in sorted(tree.free_indices)))
        if key not in self._known:
            value = value_of(tree, self._bindings, dict(offsets), self._memory)
            self._known[key] = (tree, value)  # with the tree, so that its id is not given away
        return self._known[key][1]

    def element(self, tree: Expression, index: Sequence[int]) -> Element:
        """The entry `index` of the value of a tree.  IndexError where it has no such entry."""
        shape = np.shape(self.value(tree))
        place = tuple(int(i) for i in index)
        if len(place) != len(shape) or any(not 0 <= i < size for i, size in zip(place, shape, strict=False)):
            raise IndexError(f"the value has the shape {shape}, which has no entry {place}")
        return WithinSums(self, {}).read(tree, place)


@dataclass(frozen=True)
class WithinSums:
    """A reader within sums (see `Reading`): `offsets` are the values of their indices."""

    reader: Reader
    offsets: Mapping[str, int]

    def value(self, tree: Expression) -> Any:
        return self.reader.value(tree, self.offsets)

    def shape(self, tree: Expression) -> Place:
        return np.shape(self.value(tree))

    def value_at(self, tree: Expression, place: Place) -> float:
        return float(np.asarray(self.value(tree))[place])

    def offset(self, trees: Sequence[Expression]) -> Place:
        return tuple(int(self.value(tree)) for tree in trees)

    def inner(self, over: Over) -> Iterator[WithinSums]:
        for offset in product(*map(range, over.ranges)):
            yield self.moved(over.indices, offset)

    def moved(self, indices: Sequence[str], offset: Sequence[int]) -> WithinSums:
        return WithinSums(self.reader, {**self.offsets, **dict(zip(indices, offset, strict=True))})

    def read(self, tree: Expression, place: Place) -> Element:
        shape = self.shape(tree)
        indices = place[len(place) - len(shape) :]
        place = tuple(0 if size == 1 else i for i, size in zip(indices, shape, strict=True))
        match tree:
            case Number(value):
                return NOTHING if value == 0 else ONE if value == 1 else number(value)
            case Index(name):
                return number(self.offsets[name])
            case Symbol():
                return Element("entry", self.value_at(tree, place), symbol=tree, name=tree.name, index=place)
            case Named(name):
                return Element("entry", self.value_at(tree, place), name=name, index=place)
            case Operation(rule) | Over(rule) if rule.entry is not None:
                return entry_rules[rule.entry](self, tree, place)
        return number(self.value_at(tree, place))
