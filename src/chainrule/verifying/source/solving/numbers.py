"""What number would have to stand at a place of their source for all to be right, and how it is written.

A count, an exponent, a constant: gradients are linear in few of them, so the number is solved for by Newton's
method on all gradients at once, and is one only if it gives all of them.
"""

from __future__ import annotations

import ast
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import combinations
from typing import Any

import numpy as np

from chainrule.base.types import Array
from chainrule.verifying.source.changes.change import Change
from chainrule.verifying.source.changes.insertions import Insertions
from chainrule.verifying.source.scope import axes_in, own
from chainrule.verifying.source.solving.vocabulary import LITERALS, Vocabulary, copied, firm

NUDGE, STEPS, SOLVED, SAME = 1e-4, 12, 1e-5, 2e-5
FARTHEST = 4.0  # by which one step may multiply the number or divide it
MOST_COUNTS, DIGITS = 14, 3
MOST_WRITTEN = 48  # ways to write a number, of which other sizes tell those apart that are equal here


class Held:
    """What a place is handed to: keeps the number that it is, or gives another; fits: it is one."""

    def __init__(self) -> None:
        self.value: float | None = None
        self.whole = self.fits = True
        self.names: dict[str, Any] = {}
        self.given: float | None = None

    def __call__(self, value: Any, names: Mapping[str, Any]) -> Any:
        plain = isinstance(value, (int, float, np.floating, np.integer)) and not isinstance(value, bool)
        if self.value is None and plain:
            self.value, self.whole = float(value), isinstance(value, (int, np.integer))
            self.names = copied(names)
        self.fits &= plain and value == self.value
        if self.given is None or not self.fits:
            return value
        return int(self.given) if self.whole and self.given == int(self.given) else self.given


@dataclass(frozen=True, eq=False)
class Number:
    """One place.  run: all gradients, None where there is no answer.  lacking: what they lack."""

    run: Callable[[], Array | None]
    lacking: Sequence[Array]
    insertions: Insertions
    node: ast.expr

    def changes(self, texts: Sequence[str]) -> Iterator[Change]:
        """Those that write there the number that makes all right."""
        place, held = self.insertions.place, Held()
        world = next(iter(place.ran.values())).world
        with place.around(self.node, world, held, "locals()") as possible:
            wanted = self.solved(held) if possible else None
        if wanted is None or held.value is None:
            return
        scope = self.insertions.scope
        words = Vocabulary(scope, world, [held.names], [np.array(held.value)], texts)
        ways = sorted(self.ways(held.value, wanted, words), key=lambda each: each.rank)
        yield from ways[:MOST_WRITTEN]

    def solved(self, held: Held) -> float | None:
        """The number; None where none makes all right."""
        base = self.run()
        if base is None or held.value is None or not held.fits or not math.isfinite(held.value):
            return None
        lacking = np.concatenate(self.lacking)
        right, size = base + lacking, float(np.linalg.norm(lacking))
        missing = np.abs(lacking) > 1e-3 * np.abs(lacking).max(initial=0.0)

        def off(value: float) -> Array | None:
            held.given = value
            made = self.run()
            return made - right if made is not None and np.isfinite(made).all() else None

        at, here = held.value, -lacking
        for step in range(STEPS):
            nudge = NUDGE * (abs(at) or 1.0)
            beside = off(at + nudge)
            if beside is None:
                return None
            slope = (beside - here) / nudge
            if step == 0 and not self._moves(slope, missing, lacking):
                return None
            square = float(slope @ slope)
            if not square or not math.isfinite(square):
                return None
            way = -float(slope @ here) / square
            nearer = self._stepped(off, at, way, float(np.linalg.norm(here)))
            if nearer is None:
                return None
            at, here = nearer
            if np.linalg.norm(here) <= SOLVED * size:
                return at
        return None

    @staticmethod
    def _moves(slope: Array, missing: Array, lacking: Array) -> bool:
        """Whether it moves all that lacks something, and nothing that is right."""
        still = np.abs(slope) <= 1e-9 * np.abs(slope).max(initial=0.0)
        return not still[missing].any() and bool(still[lacking == 0].all())

    @staticmethod
    def _stepped(
        off: Callable[[float], Array | None], at: float, way: float, size: float
    ) -> tuple[float, Array] | None:
        """The number after one step, and how far off it leaves all: the whole step or as much as helps."""
        near = min(abs(at) * (FARTHEST - 1), abs(way)) if way * at > 0 else min(abs(at) * 0.75, abs(way))
        for step in dict.fromkeys((way, math.copysign(near, way), math.copysign(near, way) / 4)):
            made = off(at + step)
            if made is not None and np.linalg.norm(made) < size:
                return at + step, made
        return None

    def ways(self, now: float, wanted: float, words: Vocabulary) -> Iterator[Change]:
        yield from self.written(now, wanted, words.numbers())
        for text, number in words.lengths().items() if now == int(now) else ():
            if abs(number - wanted) <= SAME * abs(wanted):
                yield self.insertions.instead("name", 3, self.node, text)

    def written(self, now: float, wanted: float, numbers: Mapping[str, float]) -> Iterator[Change]:
        """By numbers at hand, the shortest first; by itself where it has few digits."""

        def same(value: float) -> bool:
            return abs(value - wanted) <= SAME * abs(wanted)

        instead, text = self.insertions.instead, self.insertions.of(self.node)
        for name, number in numbers.items():
            plain = name in LITERALS
            kind = "number" if plain and isinstance(self.node, ast.Constant) else "name"
            if same(number):
                yield instead(kind, 2 + plain, self.node, firm(name), name)
            if same(now * number):  # a plain number may be a size of these arrays alone
                made = self.insertions.behind("factor_missing", self.node, f" * {firm(name)}", name)
                yield replace(made, rank=6 if plain else 3)
            if number and same(now / number) and not plain:
                made = self.insertions.behind("divisor_missing", self.node, f" / {firm(name)}", name)
                yield replace(made, rank=3)
            if same(number * number) and not plain:
                yield instead("squared", 3, self.node, f"({firm(name)} ** 2)", f"{name} ** 2")
            for sign in (1, -1):
                if same(now + sign * number) and not plain:
                    right = f"{'+' if sign > 0 else '-'} {firm(name)}"
                    made = self.insertions.behind("term_missing", self.node, f" {right}", right)
                    yield replace(made, rank=4)
        near = [(name, number) for name, number in numbers.items() if name not in LITERALS][:MOST_COUNTS]
        near.append(("2", 2.0))
        if same(1.0):
            yield instead("name", 3, self.node, "1")
        for (one, a), (other, b) in combinations(near, 2):
            if a == b:
                continue
            for new, number in (
                (f"{firm(one)} * {firm(other)}", a * b),
                (f"{firm(one)} / {firm(other)}", a / b if b else 0.0),
                (f"{firm(other)} / {firm(one)}", b / a if a else 0.0),
            ):
                if same(number):
                    yield instead("name", 4, self.node, f"({new})", new)
                elif same(now * number):
                    made = self.insertions.behind("factor_missing", self.node, f" * ({new})", new)
                    yield replace(made, rank=5)
        few = float(f"{wanted:.{DIGITS}g}")
        if same(few) and repr(few) != text:
            whole = repr(int(few)) if few == int(few) else repr(few)
            yield instead("number" if isinstance(self.node, ast.Constant) else "name", 4, self.node, whole)


def constants(function: ast.AST) -> list[ast.expr]:
    """Numbers that stand in it, but for those of indices, of axes and of arguments by keyword."""
    made = list[ast.expr]()
    nodes = list(own(function))
    apart = {
        id(inner)
        for each in nodes
        if isinstance(each, (ast.Subscript, ast.keyword, ast.JoinedStr))
        for inner in ast.walk(each.slice if isinstance(each, ast.Subscript) else each)
    }
    apart |= set(map(id, axes_in(function)))
    for each in nodes:
        if not isinstance(each, ast.Constant) or id(each) in apart:
            continue
        if isinstance(each.value, (int, float)) and not isinstance(each.value, bool):
            made.append(each)
    return made
