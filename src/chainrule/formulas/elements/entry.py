"""A number and how it comes about: sums and products of entries of a formula's symbols.

And what a rule of a primitive (entry_rules.py) knows of the reader (reader.py).
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal, Protocol

from chainrule.formulas.expression import Expression, Over, Symbol

Place = tuple[int, ...]
Kind = Literal["entry", "number", "sum", "product", "negative", "call"]


@dataclass(frozen=True)
class Element:
    """A number and how it comes about.

    kind: "entry" of `symbol` (or of the intermediate `name`) at `index`; "number"; "sum", "product",
    "negative" of the elements `of`; "call" of the function `name`, whose first operands are `of`.
    count, rest: of a sum that was shortened, how many terms are left out and what they add up to.
    """

    kind: Kind
    value: float
    of: tuple[Element, ...] = ()
    symbol: Symbol | None = None
    name: str = ""
    index: Place = ()
    count: int = 0
    rest: float = 0.0

    def entries(self) -> Iterator[Element]:
        """The entries of symbols it is made of, from left to right."""
        if self.kind == "entry":
            yield self
        for part in self.of:
            yield from part.entries()

    def shortened(self, most: int = 8, kept: int = 3) -> Element:
        """The same with only the `kept` largest terms of every sum of more than `most`."""
        of = tuple(part.shortened(most, kept) for part in self.of)
        if self.kind != "sum" or len(of) <= most:
            return replace(self, of=of)
        largest = sorted(range(len(of)), key=lambda number: -abs(of[number].value))[:kept]
        shown = tuple(of[number] for number in sorted(largest))
        rest = math.fsum(term.value for number, term in enumerate(of) if number not in largest)
        return replace(self, of=shown, count=len(of) - kept, rest=rest)


NOTHING = Element("number", 0.0)  # zero by structure: left out of sums
ONE = Element("number", 1.0)


def number(value: float) -> Element:
    """A constant."""
    return Element("number", float(value))


def total(terms: Iterable[Element]) -> Element:
    """The sum of what is not zero by structure; sums within are taken apart."""
    flat: list[Element] = []
    for term in terms:
        flat += term.of if term.kind == "sum" else () if term is NOTHING else (term,)
    if not flat:
        return NOTHING
    return flat[0] if len(flat) == 1 else Element("sum", math.fsum(t.value for t in flat), tuple(flat))


def times(*factors: Element) -> Element:
    """The product; nothing where a factor is zero by structure, and factors 1 are left out."""
    flat: list[Element] = []
    for factor in factors:
        if factor is NOTHING:
            return NOTHING
        flat += factor.of if factor.kind == "product" else () if factor is ONE else (factor,)
    if len(flat) < 2:
        return flat[0] if flat else ONE
    return Element("product", math.prod(f.value for f in flat), tuple(flat))


def minus(element: Element) -> Element:
    """-element; of a sum term by term."""
    if element is NOTHING:
        return NOTHING
    if element.kind == "negative":
        return element.of[0]
    if element.kind == "sum":
        return total(minus(term) for term in element.of)
    return Element("negative", -element.value, (element,))


def share(count: int) -> Element:
    """1/count."""
    return Element("call", 1 / count, (ONE, number(count)), name="divide")


def largest(of: Iterable[Element]) -> Element:
    """The maximum; in the padding there is nothing that could win."""
    there = tuple(element for element in of if element is not NOTHING)
    return Element("call", max(element.value for element in there), there, name="max")


class Reading(Protocol):
    """A reader of trees within the sums around: what it knows of their values, and their entries."""

    def value(self, tree: Expression) -> Any:
        """The whole value."""

    def shape(self, tree: Expression) -> Place:
        """The shape of the value."""

    def value_at(self, tree: Expression, place: Place) -> float:
        """One entry of the value."""

    def read(self, tree: Expression, place: Place) -> Element:
        """How an entry comes about; `place` in the (larger) array that the tree is broadcast to."""

    def offset(self, trees: Sequence[Expression]) -> Place:
        """The values of the indices m, n of a kernel's offset."""

    def inner(self, over: Over) -> Iterator[Reading]:
        """This reader at every offset of a reduction, in row-major order."""

    def moved(self, indices: Sequence[str], offset: Sequence[int]) -> Reading:
        """This reader where the indices of a reduction have these values."""
