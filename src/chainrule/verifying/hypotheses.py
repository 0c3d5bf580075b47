"""Which single mistake gives what somebody returned, on every probe: a formula's wrong neighbours, a factor,
an order.

A hypothesis is taken only where it reproduces the whole array on all probes. Where several do, the one with
the fewest words of its own comes first: a factor, then an order, then a neighbour in the formula's order.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np

from chainrule.base.types import Array
from chainrule.formulas.evaluation import evaluate
from chainrule.formulas.expression import Expression, Symbol
from chainrule.formulas.neighbours import Neighbour, neighbours, with_rotated

# How far a right answer may be off, relative to the largest entry: the rounding of sums of hundreds of terms.
# Wrong neighbours differ by percents, so nothing hangs on the exact number.
MOST_PAIRED = 150
CLOSE = {"float64": 1e-8, "float32": 2e-4, "float16": 2e-2}


@dataclass(frozen=True, eq=False)
class Mistake:
    """kind: a key of the texts; values: its placeholders."""

    kind: str
    values: Mapping[str, str]


@dataclass(frozen=True, eq=False)
class Case:
    """One returned array on all probes.

    theirs, right: per probe; tied: which probes have equal numbers; sizes: per probe, the numbers that
    factors are made of ("m", "P").
    """

    theirs: Sequence[Array]
    right: Sequence[Array]
    tied: Sequence[bool]
    sizes: Sequence[Mapping[str, int]]

    def only(self, probes: Sequence[int]) -> Case:
        """The same on some of the probes."""
        return Case(
            [self.theirs[number] for number in probes],
            [self.right[number] for number in probes],
            [self.tied[number] for number in probes],
            [self.sizes[number] for number in probes],
        )


def close(theirs: Array, right: Array) -> Array:
    """(shape of right) whether entries agree, as far as the type of `theirs` can tell."""
    tolerance = CLOSE.get(theirs.dtype.name, 1e-8)
    scale = float(np.abs(right).max(initial=0.0))
    with np.errstate(invalid="ignore"):
        return np.asarray(np.abs(theirs - right) <= tolerance * scale + 1e-300)


def agree(theirs: Sequence[Array], right: Sequence[Array]) -> bool:
    """Whether all arrays agree in shape and every entry."""
    return all(a.shape == b.shape and bool(close(a, b).all()) for a, b in zip(theirs, right, strict=True))


def factors(case: Case) -> Iterator[Mistake]:
    """A number that everything was multiplied by: 0, -1, 2, 1/m, ..."""
    if all(not values.any() for values in case.theirs) and any(values.any() for values in case.right):
        yield Mistake("zeros", {})
        return
    for name in _factor_names(case.sizes[0]):
        scaled = [_factor(name, sizes) * right for sizes, right in zip(case.sizes, case.right, strict=True)]
        if agree(case.theirs, scaled):
            yield Mistake("minus" if name == "-1" else "factor", {"factor": name} if name != "-1" else {})


def _factor_names(sizes: Mapping[str, int]) -> list[str]:
    return ["-1", "2", "1/2", *(form for name in sizes for form in (name, f"1/{name}"))]


def _factor(name: str, sizes: Mapping[str, int]) -> float:
    upper, _, lower = name.partition("/")
    value = float(sizes[upper]) if upper in sizes else float(upper)
    return value / (float(sizes[lower]) if lower in sizes else float(lower or 1))


def orders(case: Case) -> Iterator[Mistake]:
    """The right numbers in the wrong places: two axes exchanged, one reversed."""
    dimensions = case.right[0].ndim
    for first, second in combinations(range(dimensions), 2):
        moved = [np.swapaxes(right, first, second) for right in case.right]
        if agree(case.theirs, moved):
            yield Mistake("exchanged", {"first": str(first), "second": str(second)})
        shaped = [m.reshape(r.shape) for m, r in zip(moved, case.right, strict=True)]
        if moved[0].shape != case.right[0].shape and agree(case.theirs, shaped):
            yield Mistake("reshaped", {"first": str(first), "second": str(second)})
    for axis in range(dimensions):
        if agree(case.theirs, [np.flip(right, axis) for right in case.right]):
            yield Mistake("reversed", {"axis": str(axis)})


@dataclass(frozen=True, eq=False)
class Formula:
    """The right formula of an array; bindings: per probe; theirs: per probe, from our form to theirs."""

    tree: Expression
    bindings: Sequence[Mapping[str, Array]]
    to_theirs: Sequence[Callable[[Array], Array]]
    symbols: Sequence[Symbol]

    def only(self, probes: Sequence[int]) -> Formula:
        """The same on some of the probes."""
        bindings = [self.bindings[number] for number in probes]
        return Formula(self.tree, bindings, [self.to_theirs[number] for number in probes], self.symbols)


def mistakes_in(formula: Formula, case: Case) -> Iterator[tuple[Neighbour, ...]]:
    """The mistakes, one or two at once, under which the formula gives what they returned on every probe.

    Two at once are tried of a formula of few nodes: of n neighbours there are n²/2 pairs.
    """
    bound = [with_rotated(bindings) for bindings in formula.bindings]
    for neighbour in neighbours(formula.tree, formula.symbols):
        if _gives(neighbour.tree, formula, bound, case):
            yield (neighbour,)
    single = list(neighbours(formula.tree, formula.symbols, rare=False))
    seen = {neighbour.tree for neighbour in single} | {formula.tree}
    for first in single if len(single) <= MOST_PAIRED else ():
        for second in neighbours(first.tree, formula.symbols, rare=False):
            if second.tree not in seen:
                seen.add(second.tree)
                if _gives(second.tree, formula, bound, case):
                    yield first, second


def _gives(tree: Expression, formula: Formula, bound: Sequence[Mapping[str, Array]], case: Case) -> bool:
    for number, bindings in enumerate(bound):
        try:
            with np.errstate(all="ignore"):
                value = np.asarray(evaluate(tree, bindings), dtype=np.float64)
            made = formula.to_theirs[number](value)
        except (ValueError, TypeError, IndexError, KeyError, AttributeError, NotImplementedError):
            return False
        theirs = case.theirs[number]
        if made.shape != theirs.shape or not np.isfinite(made).all() or not close(theirs, made).all():
            return False
    return True
