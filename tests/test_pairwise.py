"""What a thinned grid still holds."""

from __future__ import annotations

from itertools import combinations, product

import pytest

from tests import pairwise as pairs
from tests.pairwise import each, pairwise, some

GRIDS = [(3, 5, 5), (2, 6, 3, 3), (4, 1, 7), (2, 2, 2, 2, 2), (6, 3)]


@pytest.mark.parametrize("draw", range(3))
@pytest.mark.parametrize("sizes", GRIDS)
def test_every_pair_of_values_of_two_axes_is_in_a_case(sizes: tuple[int, ...], draw: int) -> None:
    cases = pairwise(*map(range, sizes), draw=draw)
    assert len(set(cases)) == len(cases) <= len(set(product(*map(range, sizes))))
    for first, second in combinations(range(len(sizes)), 2):
        there = {(case[first], case[second]) for case in cases}
        assert there == set(product(range(sizes[first]), range(sizes[second])))
    assert cases == pairwise(*map(range, sizes), draw=draw)


def test_of_many_axes_few_cases_are_left(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(pairs.CHOICE, "whole", False)
    assert len(pairwise("ab", "cdefgh", "ijk", "lmn")) < 40
    monkeypatch.setitem(pairs.CHOICE, "whole", True)
    assert pairwise("ab", "cd", "ef") == list(product("ab", "cd", "ef"))


def test_an_axis_alone_and_values_without_a_hash() -> None:
    assert pairwise([[1], [2]]) == [[1], [2]]
    assert ({}, [1]) in pairwise([{}, {1: 2}], [[1], [2]])


@pytest.mark.parametrize("draw", range(3))
@pytest.mark.parametrize("sizes", GRIDS)
def test_each_value_is_in_a_case(monkeypatch: pytest.MonkeyPatch, sizes: tuple[int, ...], draw: int) -> None:
    monkeypatch.setitem(pairs.CHOICE, "whole", False)
    monkeypatch.setitem(pairs.CHOICE, "draw", draw)
    cases = each(*map(range, sizes))
    assert len(set(cases)) == len(cases) == max(sizes)
    for axis, size in enumerate(sizes):
        assert {case[axis] for case in cases} == set(range(size))
    assert len(cases) < len(set(each(*map(range, sizes), turns=2))) <= 2 * max(sizes)
    monkeypatch.setitem(pairs.CHOICE, "whole", True)
    assert each(*map(range, sizes)) == list(product(*map(range, sizes)))


@pytest.mark.parametrize("count", [1, 7, 20, 100])
@pytest.mark.parametrize("draw", [0, 1, 99])
def test_of_a_list_every_kind_is_there(monkeypatch: pytest.MonkeyPatch, draw: int, count: int) -> None:
    monkeypatch.setitem(pairs.CHOICE, "whole", False)
    monkeypatch.setitem(pairs.CHOICE, "draw", draw)
    cases = list(range(90))
    assert len(some(cases, count)) == min(count, 90)
    chosen = some(cases, count, lambda case: case % 11, lambda case: case == 43)
    assert {case % 11 for case in chosen} == set(range(11))
    assert 43 in chosen
    assert chosen == sorted(set(chosen))
    assert len(chosen) <= max(count, 12)
    monkeypatch.setitem(pairs.CHOICE, "whole", True)
    assert some(cases, count) == cases


def test_draws_take_their_turns(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(pairs.CHOICE, "whole", False)
    seen = set[int]()
    for draw in range(10):
        monkeypatch.setitem(pairs.CHOICE, "draw", draw)
        seen |= set(some(range(90), 9))
    assert seen == set(range(90))
