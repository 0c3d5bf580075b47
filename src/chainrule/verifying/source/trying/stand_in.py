"""The backward rule of a function of JAX run on NumPy's arrays, in a small part of the time that JAX takes.

It stands in for JAX while changes of the rule are tried; what it finds is run by JAX itself.  Where the rule
as it is gives other numbers so than by JAX, or none, there is no stand-in.
"""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from functools import partial
from types import CodeType, FunctionType
from typing import Any

import numpy as np

from chainrule.base.types import Array
from chainrule.verifying.source.trying.jax_by_numpy import Batched, Updated, by_numpy, leaves, mapped, plain
from chainrule.verifying.subjects.subject import Gradients

SAME = 1e-4  # of the largest entry: how far JAX and NumPy may be apart, in float32


@dataclass(frozen=True)
class Place:
    """Of one gradient among what the rule returns.  summed: over the axis that it is mapped over."""

    number: int
    summed: bool = False


class StandIn:
    """Of one probe: what their rule was called with when δ was pulled back, and which gradient is which.

    Calling it gives the gradients by the rule as it is then, None where it raises.  A rule that is mapped
    over an axis (jax.vmap) runs for each of its entries.
    """

    def __init__(self, function: FunctionType, given: Sequence[Any]) -> None:
        self.function = function
        self.given = [plain(value) for value in given]
        self.places: list[Place | None] = []
        rows = [len(each.array) for each in leaves(self.given) if isinstance(each, Batched)]
        self.count = rows[0] if rows else None

    def __call__(self) -> Gradients | None:
        made = self.returned()
        numbers = [place.number for place in self.places if place is not None]
        if made is None or len(made) <= max(numbers, default=-1):
            return None
        values = [None if place is None else _taken(made, place) for place in self.places]
        if any(value is None for value, place in zip(values, self.places, strict=True) if place is not None):
            return None
        return tuple(values)

    def returned(self) -> list[Array | None] | None:
        """The arrays that the rule returns, None for what it gives no gradient of; None where it raises."""
        try:
            with by_numpy(self.function.__globals__), np.errstate(all="ignore"):
                if self.count is None:
                    return _listed(self.function(*map(_own, self.given)))
                rows = [
                    _listed(self.function(*(mapped(partial(_row, number), value) for value in self.given)))
                    for number in range(self.count)
                ]
                columns = zip(*rows, strict=True)
                return [
                    None if any(each is None for each in column) else np.stack([*map(np.asarray, column)])
                    for column in columns
                ]
        except Exception:  # their code may raise whatever it likes
            return None

    def placed(self, wanted: Gradients) -> bool:
        """Finds which is which, by the gradients that JAX gives."""
        made = self.returned()
        if made is None:
            return False
        taken = set[int]()
        for value in wanted:
            place = None if value is None else _place(value, made, taken, self.count is not None)
            if place is None and value is not None:
                return False
            taken |= set() if place is None else {place.number}
            self.places.append(place)
        return True


def _own(value: Any) -> Any:
    """A copy, which a change of theirs may write on."""
    return mapped(lambda each: each.copy() if isinstance(each, np.ndarray) else each, value)


def _row(number: int, value: Any) -> Any:
    if isinstance(value, Batched):
        return np.array(value.array[number]).view(Updated)
    return value.copy() if isinstance(value, np.ndarray) else value


def _listed(made: Any) -> list[Array | None]:
    whole = made if isinstance(made, (tuple, list)) else (made,)
    flat = [part for each in whole for part in ([None] if each is None else leaves(each))]
    return [None if value is None else np.array(value) for value in flat]


def _taken(made: Sequence[Array | None], place: Place) -> Array | None:
    value = made[place.number]
    return value.sum(axis=0) if place.summed and value is not None else value


def stand_in(
    pull: Callable[[], Gradients | None], functions: Sequence[FunctionType]
) -> StandIn | None:
    """Of the only function of theirs that pulling δ back calls by itself; None where there is no such.

    functions: those of theirs that run then.
    """
    codes = {each.__code__ for each in functions}
    calls: list[tuple[CodeType, list[Any]]] = []
    depth = 0

    def note(frame: Any, event: str, value: Any) -> None:
        nonlocal depth
        code = frame.f_code
        if code not in codes:
            return
        if event == "call":
            if depth == 0:
                simple = code.co_argcount == len(frame.f_locals) and not code.co_flags & 0x0C
                given = [frame.f_locals[name] for name in code.co_varnames[: code.co_argcount]]
                calls.append((code, given if simple else []))
            depth += 1
        elif event == "return":
            depth -= 1

    before = sys.getprofile()
    sys.setprofile(note)
    try:
        wanted = pull()
    finally:
        sys.setprofile(before)
    function = next((each for each in functions if calls and each.__code__ is calls[0][0]), None)
    if len(calls) != 1 or not calls[0][1] or function is None or wanted is None:
        return None
    with contextlib.suppress(Exception):  # traced, or of another library's types
        found = StandIn(function, calls[0][1])
        return found if found.placed(wanted) and _same(wanted, found()) else None
    return None


def _place(
    wanted: Array, values: Sequence[Array | None], taken: Collection[int], mapped_: bool
) -> Place | None:
    for number, value in enumerate(values):
        for summed in (False, True)[: 1 + mapped_]:
            part = value.sum(axis=0) if summed and value is not None else value
            if number not in taken and part is not None and _same((wanted,), (part,)):
                return Place(number, summed)
    return None


def _same(wanted: Gradients, made: Gradients | None) -> bool:
    pairs = zip(wanted, made or (None,) * len(wanted), strict=True)
    for w, m in pairs:
        if w is None:
            continue
        if m is None or m.shape != w.shape:
            return False
        if not np.abs(m - w).max(initial=0) <= SAME * np.abs(w).max(initial=0):
            return False
    return True
