"""Mistakes that need no formula: everything multiplied by a number, the right numbers in the wrong places."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np

from chainrule.base.types import Array
from chainrule.verifying.meanings.factors import factor, factor_names, rare_factor_names

# How far a right answer may be off, relative to the largest entry: the rounding of sums of hundreds of terms.
# Wrong neighbours differ by percents, so nothing hangs on the exact number.
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


def factors(case: Case, *, rare: bool = False) -> Iterator[Mistake]:
    """A number that everything was multiplied by: 0, -1, 2, 1/m, ...; rare: 1/m twice, 2/m, ..."""
    if all(not values.any() for values in case.theirs) and any(values.any() for values in case.right):
        yield Mistake("zeros", {})
        return
    for name in (rare_factor_names if rare else factor_names)(case.sizes[0]):
        scaled = [factor(name, sizes) * right for sizes, right in zip(case.sizes, case.right, strict=True)]
        if agree(case.theirs, scaled):
            yield Mistake("minus" if name == "-1" else "factor", {"factor": name} if name != "-1" else {})


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
