"""Every backward pass is linear in δ: its answers to single impulses are all that it does.

The response to a 1 at one output has a place and numbers. Beside the right response they tell where δ goes,
which entry of another argument it is multiplied by there, and how often.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from chainrule.base.types import Array

MOST = 96  # impulses, spread evenly over the outputs
MOST_ENTRIES = 40_000  # of an argument: a response is as large
EQUAL = {8: 1e-7, 4: 1e-3}  # of the largest number, by the bytes of their type
# δ -> the gradient that they, or the formulas, give of it; None where it raises.
Answer = Callable[[Array], Array | None]
Index = tuple[int, ...]


@dataclass(frozen=True, eq=False)
class Response:
    """To a 1 at one output: the gradient as it came back, and as it must be."""

    output: Index
    theirs: Array
    right: Array

    @cached_property
    def corners(self) -> tuple[Index | None, Index | None]:
        """The smallest index on every axis where a number is, theirs and right; None where all is 0."""
        return _corner(self.theirs), _corner(self.right)

    @cached_property
    def patches(self) -> tuple[Array, Array]:
        """The smallest blocks that hold all numbers."""
        return _patch(self.theirs), _patch(self.right)


@dataclass(frozen=True, eq=False)
class Responses:
    """All that were asked for. shape: of δ; others: arguments whose entries may be read in a response."""

    shape: Index
    each: Sequence[Response]
    others: Mapping[str, Array]
    equal: float

    def same(self, theirs: Array, right: Array) -> bool:
        if theirs.shape != right.shape:
            return False
        return bool(np.all(np.abs(theirs - right) <= self.equal * (np.abs(right).max(initial=0.0) + 1e-300)))

    @cached_property
    def whole(self) -> list[Response]:
        """Those that no border cuts: their right response has as many entries as any has."""
        most = max(np.count_nonzero(response.right) for response in self.each)
        return [response for response in self.each if np.count_nonzero(response.right) == most]


def responses(
    theirs: Answer, right: Answer, shape: Sequence[int], others: Mapping[str, Array], cost: int = 1
) -> Responses | None:
    """Their answers and the right ones; None where they cannot be asked for, or are no numbers of one shape.

    cost: of a right answer, in formulas of a layer: of costly ones fewer are asked for.
    """
    size = int(np.prod(shape))
    if size < 2:
        return None
    count = min(size, max(MOST // max(cost, 1), 8))
    made = []
    kind = 8
    for flat in dict.fromkeys(np.linspace(0, size - 1, count).astype(np.int64).tolist()):
        delta = np.zeros(tuple(shape))
        delta.flat[flat] = 1.0
        given, exact = theirs(delta), right(delta)
        if given is None or exact is None or given.shape != exact.shape or given.size > MOST_ENTRIES:
            return None
        if not (np.isfinite(given).all() and np.isfinite(exact).all()):
            return None
        kind = min(kind, given.dtype.itemsize)
        index = tuple(int(n) for n in np.unravel_index(flat, tuple(shape)))
        made.append(Response(index, _clean(given.astype(np.float64), kind), _clean(exact, kind)))
    return Responses(tuple(shape), made, others, EQUAL.get(kind, 3e-2))


def _clean(value: Array, kind: int) -> Array:
    """Zeros for what is there by rounding alone."""
    return np.where(
        np.abs(value) <= EQUAL.get(kind, 3e-2) * 1e-3 * np.abs(value).max(initial=0.0), 0.0, value
    )


def _corner(value: Array) -> Index | None:
    places = np.argwhere(value)
    return tuple(int(n) for n in places.min(axis=0)) if len(places) else None


def _patch(value: Array) -> Array:
    places = np.argwhere(value)
    if not len(places):
        return value[(slice(0, 0),) * value.ndim]
    low, high = places.min(axis=0), places.max(axis=0) + 1
    return value[tuple(slice(a, b) for a, b in zip(low, high, strict=True))]


def sources(values: Array, others: Mapping[str, Array], equal: float) -> Iterator[tuple[str, list[Index]]]:
    """(argument, the index of its entry that every value is), of arguments all of whose entries differ."""
    for name, array in others.items():
        flat = array.astype(np.float64).reshape(-1)
        order = np.argsort(flat)
        ranked = flat[order]
        if flat.size < 2 or np.min(np.diff(ranked)) <= equal * np.abs(flat).max():
            continue
        near = np.clip(np.searchsorted(ranked, values), 1, flat.size - 1)
        near = np.where(np.abs(values - ranked[near - 1]) < np.abs(values - ranked[near]), near - 1, near)
        if np.all(np.abs(ranked[near] - values) <= equal * np.abs(flat).max()):
            places = np.unravel_index(order[near], array.shape)
            yield name, [tuple(map(int, index)) for index in zip(*places, strict=True)]
