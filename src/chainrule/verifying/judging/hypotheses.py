"""Mistakes that need no formula: everything multiplied by a number, the right numbers in the wrong places."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations, permutations, product

import numpy as np

from chainrule.base.types import Array
from chainrule.verifying.factors import factor, factor_names, rare_factor_names
from chainrule.verifying.precision import Tolerance, close


@dataclass(frozen=True, eq=False)
class Mistake:
    """kind: a key of the texts; values: its placeholders."""

    kind: str
    values: Mapping[str, str]


@dataclass(frozen=True, eq=False)
class Case:
    """One returned array on all probes.

    theirs, right: per probe; tied: which probes have equal numbers; sizes: per probe, the numbers that
    factors are made of ("m", "P"); tolerances: per probe, what a right answer may be off by; looked: per
    probe, which entries were compared, None: all.
    """

    theirs: Sequence[Array]
    right: Sequence[Array]
    tied: Sequence[bool]
    sizes: Sequence[Mapping[str, int]]
    tolerances: Sequence[Tolerance] | None = None
    looked: Sequence[Array] | None = None

    def only(self, probes: Sequence[int]) -> Case:
        """The same on some of the probes."""
        return Case(
            [self.theirs[number] for number in probes],
            [self.right[number] for number in probes],
            [self.tied[number] for number in probes],
            [self.sizes[number] for number in probes],
            None if self.tolerances is None else [self.tolerances[number] for number in probes],
            None if self.looked is None else [self.looked[number] for number in probes],
        )

    def wrong(self, number: int) -> Array:
        """(shape of right) which entries are off by more than a right answer may be."""
        theirs, right = self.theirs[number], self.right[number]
        if self.tolerances is None:
            return ~close(theirs, right)
        return self.tolerances[number].wrong(theirs, right)

    def any_wrong(self, number: int) -> bool:
        """Whether any is."""
        theirs, right = self.theirs[number], self.right[number]
        if self.tolerances is None:
            return not close(theirs, right).all()
        return self.tolerances[number].any_wrong(theirs, right)


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
    for order in permutations(range(dimensions)) if dimensions > 2 else ():
        moved = [right.transpose(order).reshape(right.shape) for right in case.right]
        if order != tuple(range(dimensions)) and agree(case.theirs, moved):
            yield Mistake("rearranged", {})
            break
    for axis in range(dimensions):
        if agree(case.theirs, [np.flip(right, axis) for right in case.right]):
            yield Mistake("reversed", {"axis": str(axis)})
        several = max(right.shape[axis] for right in case.right) > 1
        if several and agree(case.theirs, [_last_at_first(right, axis) for right in case.right]):
            yield Mistake("written_to_one", {"axis": str(axis)})
    for count in range(2, dimensions + 1):
        for axes in combinations(range(dimensions), count):
            if agree(case.theirs, [np.flip(right, axes) for right in case.right]):
                yield Mistake("turned_round", {"axes": ", ".join(map(str, axes))})
    for axis, step in product(range(dimensions), (1, -1)):
        several = max(right.shape[axis] for right in case.right) > 2
        if several and agree(case.theirs, [np.roll(right, step, axis) for right in case.right]):
            yield Mistake("moved_on", {"axis": str(axis), "step": str(step)})
    if _reordered(case):
        yield Mistake("order", {})


def scaled_orders(case: Case) -> Iterator[tuple[Mistake, str]]:
    """The right numbers in the wrong places, and multiplied: (the order, the factor)."""
    for name in factor_names(case.sizes[0]):
        by = [factor(name, sizes) for sizes in case.sizes]
        pairs = list(zip(by, case.theirs, case.right, strict=True))
        if all(np.isclose(np.abs(b * r).sum(), np.abs(t).sum(), rtol=1e-3) for b, t, r in pairs):
            right = [(b * r).astype(r.dtype) for b, _, r in pairs]
            scaled = Case(case.theirs, right, case.tied, case.sizes, case.tolerances)
            yield from ((mistake, name) for mistake in orders(scaled))


def partly(case: Case) -> Iterator[Mistake]:
    """Right at the first index of an axis alone, or at all but the first or the last; elsewhere 0."""
    for axis in range(case.right[0].ndim):
        if max(right.shape[axis] for right in case.right) < 3:
            continue
        for kind in ("ended_early", "first_left_out", "last_left_out"):
            if agree(case.theirs, [_part(right, axis, kind) for right in case.right]):
                yield Mistake(kind, {"axis": str(axis)})


def _part(right: Array, axis: int, kind: str) -> Array:
    made = np.moveaxis(right.copy(), axis, 0)
    zero = {"ended_early": slice(1, None), "first_left_out": slice(1), "last_left_out": slice(-1, None)}
    made[zero[kind]] = 0
    return np.moveaxis(made, 0, axis)


def _last_at_first(right: Array, axis: int) -> Array:
    """The last index of an axis at the first, and 0 elsewhere."""
    moved = np.moveaxis(np.zeros_like(right), axis, 0)
    moved[0] = np.moveaxis(right, axis, 0)[-1]
    return np.moveaxis(moved, 0, axis)


def _reordered(case: Case) -> bool:
    """Whether the same numbers are there in one other order, the same on every probe of a size."""
    places: dict[tuple[int, ...], Array] = {}
    for theirs, right in zip(case.theirs, case.right, strict=True):
        if theirs.shape != right.shape or np.unique(right).size < right.size:
            return False
        order = places.get(right.shape)
        if order is None:
            order = places[right.shape] = np.empty(right.size, dtype=np.int64)
            order[np.argsort(theirs, axis=None)] = np.argsort(right, axis=None)
        if not agree([theirs.reshape(-1)], [right.reshape(-1)[order]]):
            return False
    return len(case.right) > len(places) and case.right[0].size > 2
