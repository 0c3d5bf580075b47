"""Fewer cases without losing a kind.

Of a grid every pair of values of any two axes is in one of them, of a list every kind.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Sequence
from itertools import combinations, product
from typing import Any, TypeVar

import numpy as np

Item = TypeVar("Item")
CHOICE = {"draw": 0, "whole": False}  # set by tests/conftest.py: --draw N, --whole


def pairwise(*axes: Iterable[Any], draw: int = 0) -> list[Any]:
    """Cases (one value of each axis, in the order of the grid) that hold every pair of values of two axes.

    With `pytest --whole`, all cases of the grid; with --draw N, others that hold every pair.  A single axis
    is returned as it is.
    """
    values: list[Sequence[Any]] = [list(axis) for axis in axes]
    if len(values) < 2:
        return [*values[0]]
    cases = list(product(*(range(len(axis)) for axis in values)))
    if not CHOICE["whole"]:
        cases = _covering(cases, np.random.default_rng([CHOICE["draw"], draw]))
    return [tuple(axis[place] for axis, place in zip(values, case, strict=True)) for case in cases]


def _pairs(case: tuple[int, ...]) -> set[tuple[tuple[int, int], ...]]:
    return set(combinations(enumerate(case), 2))


def _covering(grid: list[tuple[int, ...]], rng: np.random.Generator) -> list[tuple[int, ...]]:
    """The case that holds most of the pairs that are still missing, again and again; of equals the seed's."""
    missing = set().union(*map(_pairs, grid))
    order = [grid[place] for place in rng.permutation(len(grid))]
    chosen = []
    while missing:
        best = max(order, key=lambda case: len(_pairs(case) & missing))
        chosen.append(best)
        missing -= _pairs(best)
    return sorted(chosen)


def each(*axes: Iterable[Any], turns: int = 1) -> list[Any]:
    """Cases of a grid that hold every value of every axis: the longest `turns` times, the others beside it.

    With --whole, all cases of the grid; with --draw N, others.
    """
    values: list[Sequence[Any]] = [list(axis) for axis in axes]
    if CHOICE["whole"]:
        return list(product(*values))
    places = {
        tuple((number + shift * axis) % len(each) for axis, each in enumerate(values))
        for shift in range(CHOICE["draw"], CHOICE["draw"] + turns)
        for number in range(max(map(len, values)))
    }
    return [tuple(axis[place] for axis, place in zip(values, case, strict=True)) for case in sorted(places)]


def some(cases: Iterable[Item], count: int, *kinds: Callable[[Item], Hashable]) -> list[Item]:
    """`count` of the cases, spread evenly; with --draw N others, with --whole all.

    kinds: functions of a case; of every value that one of them has, a case is among them, and so there may be
    more than `count`.
    """
    listed, draw = list(cases), CHOICE["draw"]
    if CHOICE["whole"] or len(listed) <= count:
        return listed
    turn = draw % len(listed)
    order = [*range(turn, len(listed)), *range(turn)]
    spread = [order[number * len(listed) // count] for number in range(count)]
    values = [{(number, kind(case)) for number, kind in enumerate(kinds)} for case in listed]
    chosen, seen = set[int](), set[tuple[int, Hashable]]()
    for place in dict.fromkeys((*spread, *order)) if kinds else spread:
        if not values[place] <= seen:
            chosen.add(place)
            seen |= values[place]
    left = [place for place in dict.fromkeys((*spread, *order)) if place not in chosen]
    chosen |= set(left[: max(count - len(chosen), 0)])
    return [listed[place] for place in sorted(chosen)]
