"""What a place of their source would have to be for what is wrong to be right, and what is that.

Most of a backward pass is linear in what it is made of: each entry of a place is moved by itself, which tells
what it does to every gradient; what the place lacks is then the solution of a linear system. Where there is
one, an expression at hand that is this is what is missing there.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache, cached_property
from itertools import pairwise, product
from typing import Any

import numpy as np

from chainrule.base.types import Array
from chainrule.verifying.source.changes.change import Change
from chainrule.verifying.source.changes.insertions import Insertions, handed_on
from chainrule.verifying.source.scope import Scope, own
from chainrule.verifying.source.solving.newton import by_newton
from chainrule.verifying.source.solving.numbers import Number, constants
from chainrule.verifying.source.solving.projections import Projections
from chainrule.verifying.source.solving.vocabulary import (
    FEWEST_ENTRIES,
    LITERALS,
    PARALLEL,
    Made,
    Vocabulary,
    as_array,
    copied,
    expressions,
    firm,
)
from chainrule.verifying.source.written import Written

MOST_ENTRIES, MOST_LINES = 480, 120_000  # of one place, at all of its runs; to move each of them
PER_VOCABULARY = 12_000  # lines: what is at hand at one place, evaluated and multiplied
SOLVED, FACTOR, ONE_WAY = 1e-4, 4e-5, 1e-8
PROPORTIONAL, DETERMINED = 1e-7, 1e-10  # how far twice a step may be off, and what is no rank, at least
MOST_OF_A_PLACE = 6
MOST_WRONG = 8  # gradients, of which a place that is not all that is wrong may mend some
LEAST_KNOWN = 0.6  # of the entries of a place, at least, to fit sums over it
MOST_BENT = 64  # entries of a place in which gradients are not linear
ROUNDINGS = 4096  # of one number, that the sums of a pass may be off by
Rows = Callable[[], list[Array] | None]  # all gradients on the probe; None where there is no answer


class Moved:
    """What a place is handed to: keeps what it is, or gives it moved.  most: entries that it keeps."""

    def __init__(self, most: int = MOST_ENTRIES) -> None:
        self.most = most
        self.values: list[Array] = []
        self.names: list[dict[str, Any]] = []
        self.by: list[Array] | None = None
        self.count = 0
        self.fits = True
        self.keeps = True

    def __call__(self, value: Any, names: Mapping[str, Any]) -> Any:
        number, self.count = self.count, self.count + 1
        if self.keeps:
            plain = as_array(value)
            real = plain is not None and plain.dtype.kind == "f" and not isinstance(value, (int, bool))
            self.fits &= real and sum(each.size for each in self.values) <= self.most
            if self.fits and plain is not None:
                self.values.append(np.array(plain, dtype=np.float64))
                self.names.append(copied(names))
        if self.by is None:
            return value
        if number >= len(self.by) or np.shape(value) != self.by[number].shape or not self.by[number].any():
            return value
        step = self.by[number]
        if hasattr(value, "new_tensor"):
            return value + value.new_tensor(step)
        return value + step.astype(getattr(value, "dtype", np.float64))

    def apart(self, step: Array) -> list[Array]:
        """Numbers one after the other, (n,), as the values of all runs have them."""
        ends = np.cumsum([0, *(each.size for each in self.values)])
        pairs = zip(pairwise(ends), self.values, strict=True)
        return [step[begin:end].reshape(each.shape) for (begin, end), each in pairs]


@dataclass(eq=False)
class Solving:
    """rows: of their code as it is then.  lacking: what they lack, 0 of what is right.  left: lines that it
    may run, `cost` in each run.  unit: of the roundings of their numbers.  bent: whether places are solved in
    which the gradients are not linear, else those in which they are.
    """

    rows: Rows
    lacking: Sequence[Array]
    cost: int
    left: int
    unit: float = 0.0
    bent: bool = False

    def changes(
        self, place: Written, scope: Scope, others: Sequence[ast.AST], forward: Sequence[ast.AST] = ()
    ) -> Iterator[Change]:
        """Those of one function that may make it right.  others: functions of which what stands there is at
        hand, too; forward: those of which no calls are.
        """
        insertions = Insertions(place, scope)
        texts = expressions(scope, others, self.names_of(place, scope), forward)
        told = set[tuple[int, int]]()
        for node in _places(insertions):
            if place.span(node) in told or self.left < 0:
                continue
            told.add(place.span(node))
            yield from self.at(insertions, node, texts)
        for node in constants(scope.node):
            if self.left > 0 and not self.bent:
                yield from Number(self.run, self.lacking, insertions, node).changes(texts)

    def at(self, insertions: Insertions, node: ast.expr, texts: Sequence[str]) -> Iterator[Change]:
        solved = self.solved(insertions.place, insertions.scope, node)
        if solved is None and self.bent:
            return
        if solved is None:
            yield from Number(self.run, self.lacking, insertions, node).changes(texts)
            return
        moved, system, lacking = solved
        scope = insertions.scope
        world = next(iter(insertions.place.ran.values())).world
        self.left -= PER_VOCABULARY
        words = Vocabulary(scope, world, moved.names, moved.values, texts)
        there = words.flat(moved.values)
        assert there is not None
        wanted = lacking + (there if system is None else system @ there)
        search = _Search(insertions, node, words.numbers(), system, lacking, wanted, there)
        found = [*search.among(words.made()), *search.instead([*words.jacobians(), *words.masks()])]
        if not found and system is None:
            found = list(search.sums(words))
        found = found or list(search.projected(words, scope.library == "torch"))
        found = found or list(search.among(words.of_three()))
        # A factor of a closure too much, which cannot be left out, would be divided by.
        mine = insertions.of(node)
        divided = "|".join(re.escape(name) for name in scope.outside if f"/ {name}" not in mine)
        if divided:
            texts_of = ((each, " ".join(piece[2] for piece in each.pieces)) for each in found)
            found = [each for each, text in texts_of if not re.search(rf"/ \(*({divided})\b", text)]
        deeper = id(node) not in {id(each) for each in insertions.whole()}
        found = sorted(found, key=lambda each: (each.rank, len(each.right)))[:MOST_OF_A_PLACE]
        yield from (replace(each, rank=each.rank + deeper) for each in found)

    @staticmethod
    def names_of(place: Written, scope: Scope) -> Mapping[str, Any]:
        return next(place.ran[key].names for key, node in place.nodes.items() if node is scope.node)

    def run(self) -> Array | None:
        self.left -= self.cost
        made = self.rows()
        return None if made is None else np.concatenate(made)

    def solved(
        self, place: Written, scope: Scope, node: ast.expr
    ) -> tuple[Moved, Array | None, Array] | None:
        """(what stands there, the system, what it lacks) where the place can make it right.

        Where the system has one solution, that is what the place lacks, and the system is None.
        """
        moved = Moved(min(MOST_ENTRIES, MOST_LINES // self.cost))
        world = next(iter(place.ran.values())).world
        with place.around(node, world, moved, "locals()") as possible:
            return self._solved(moved) if possible else None

    def _solved(self, moved: Moved) -> tuple[Moved, Array | None, Array] | None:
        base = self.run()
        fits = moved.fits and sum(each.size for each in moved.values) <= moved.most
        if base is None or not fits or not moved.values:
            return None
        moved.keeps = False
        scale = max(float(np.abs(each).max(initial=0.0)) for each in moved.values) or 1.0
        rng = np.random.default_rng(len(moved.values))
        way = [scale * rng.normal(size=each.shape) for each in moved.values]

        def by(step: list[Array]) -> Array | None:
            moved.by, moved.count = step, 0
            given = self.run()
            return None if given is None or moved.count < len(step) else given - base

        once, twice = by(way), by([2 * each for each in way])
        if once is None or twice is None or not np.isfinite(once).all():
            return None
        near = max(PROPORTIONAL, ROUNDINGS * self.unit)
        linear = np.allclose(twice, 2 * once, rtol=near, atol=near / 100 * np.abs(once).max(initial=0.0))
        if linear == self.bent:
            return None
        if self.bent:
            return self._bent(moved, by)
        touched = np.zeros(len(base), dtype=bool)
        ends = np.cumsum([0, *map(len, self.lacking)])
        for begin, end in pairwise(ends):
            sizes = (float(np.abs(each[begin:end]).max(initial=0.0)) for each in (once, base))
            touched[begin:end] = next(sizes) > max(1e-12, 16 * self.unit) * next(sizes)
        whole = np.concatenate(self.lacking)
        if not whole[touched].any():
            return None
        columns = []
        for number, each in enumerate(moved.values):
            for entry in range(each.size):
                step = [np.zeros_like(other) for other in moved.values]
                step[number].reshape(-1)[entry] = scale
                column = by(step)
                if column is None:
                    return None
                columns.append(column[touched] / scale)
        system = np.stack(columns, axis=1)
        found = self._most(system, whole[touched], [touched[a:b].sum() for a, b in pairwise(ends)])
        if found is None:
            return None
        system, lacking, solution, rank = found
        live = np.asarray(system.any(axis=0))
        return (moved, system, lacking) if rank < live.sum() else self._kept(moved, solution, live)

    def _most(
        self, system: Array, lacking: Array, counts: Sequence[int]
    ) -> tuple[Array, Array, Array, int] | None:
        """(the system, what lacks, its solution, its rank) of all gradients that the place moves, or of as
        many as it can make right, where something else is wrong with the others, too.  counts: rows of each.
        """
        ends = np.cumsum([0, *counts])
        rows = [slice(a, b) for a, b in pairwise(ends) if b > a]

        def fit(parts: Sequence[slice]) -> tuple[Array, Array, Array, int] | None:
            some, missing = (np.concatenate([whole[part] for part in parts]) for whole in (system, lacking))
            near = max(DETERMINED, 100 * self.unit)
            solution, _, rank, _ = np.linalg.lstsq(some, missing, rcond=near)
            off = np.linalg.norm(some @ solution - missing)
            return (some, missing, solution, int(rank)) if off <= SOLVED * np.linalg.norm(missing) else None

        found = fit(rows)
        wrong = [part for part in rows if lacking[part].any()]
        if found is not None or not 1 < len(wrong) <= MOST_WRONG:
            return found
        right = [part for part in rows if not lacking[part].any()]
        best, most = None, 0
        for first in range(len(wrong)):
            kept = list(right)
            for part in (*wrong[first:], *wrong[:first]):
                made = fit([*kept, part])
                if made is not None:
                    kept.append(part)
                    if len(kept) > most:
                        best, most = made, len(kept)
        return best

    def _bent(
        self, moved: Moved, by: Callable[[list[Array]], Array | None]
    ) -> tuple[Moved, Array | None, Array] | None:
        """The same where they are not linear: by Newton's method, from what stands there."""
        lacking = np.concatenate(self.lacking)
        there = np.concatenate([each.reshape(-1) for each in moved.values])
        if len(there) > MOST_BENT or not lacking.any():
            return None

        def at(step: Array) -> Array | None:
            made = by(moved.apart(step))
            return made if made is not None and np.isfinite(made).all() else None

        solved = by_newton(at, there, lacking)
        return None if solved is None else self._kept(moved, *solved)

    def _kept(
        self, moved: Moved, solution: Array, live: Array
    ) -> tuple[Moved, Array | None, Array] | None:
        """A solution, told to its live entries: what a loop hands on in its last step reaches nothing."""
        if not self._again(moved, np.where(live, solution, 0.0)):
            return None
        return (moved, None, solution) if live.all() else (moved, np.eye(len(live))[live], solution[live])

    def _again(self, moved: Moved, solution: Array) -> bool:
        """Keeps what is there when what it lacks has been added: in a loop it goes on from that."""
        if len(moved.values) > 1:
            moved.by = moved.apart(solution)
            moved.values, moved.names, moved.count, moved.keeps = [], [], 0, True
            return self.run() is not None and moved.fits and len(moved.values) == len(moved.by)
        return True


def _places(insertions: Insertions) -> Iterator[ast.expr]:
    """Whole values first, then what they are made of."""
    arrays = {atom.text for atom in insertions.scope.arrays}
    yield from insertions.places()
    for node in own(insertions.scope.node):
        if isinstance(node, ast.BinOp) and not isinstance(node.op, ast.Mod):
            yield from (side for side in (node.left, node.right) if not isinstance(side, ast.Constant))
        elif isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub):
            yield node
    for node in own(insertions.scope.node):  # what is reshaped, summed, handed on
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
            for each in (node.func.value, *handed_on(node)):
                if isinstance(each, ast.Name) and each.id in arrays:
                    yield each


@cache
def _names(text: str) -> frozenset[str]:
    return frozenset(each.id for each in ast.walk(ast.parse(text, mode="eval")) if isinstance(each, ast.Name))


@dataclass(frozen=True, eq=False)
class _Search:
    """Of one place.  lacking: what is lacking to what stands there, in the system's terms; wanted: what
    should stand there; there: what does.  system: None where they are of the place itself.
    """

    insertions: Insertions
    node: ast.expr
    numbers: Mapping[str, float]
    system: Array | None
    lacking: Array
    wanted: Array
    there: Array

    def among(self, made: Sequence[Made]) -> Iterator[Change]:
        yield from self.terms(made)
        yield from self.factors(made)
        one = Made(np.ones((1, len(self.there))), lambda at: "1", 0)
        yield from self.instead((one, *made))

    def terms(self, made: Sequence[Made]) -> Iterator[Change]:
        one = Made(np.ones((1, len(self.there))), lambda at: "1", 0)
        there = self.there if self.system is None else self.system @ self.there
        sizes = float(np.linalg.norm(there) * np.linalg.norm(self.lacking))
        if len(there) > FEWEST_ENTRIES and abs(there @ self.lacking) >= (1 - ONE_WAY) * sizes:
            return  # what is there is off by a factor: no term beside it is missing
        for text, parts, factor in self.parallel((one, *made), self.lacking):
            for sign, whole, more in self.scaled(text, factor):
                right = f"{sign} {whole}"
                change = self.insertions.behind("term_missing", self.node, f" {right}", right)
                if sign == "+" and whole == self.insertions.of(self.node):  # x + x is 2 x
                    change = self.insertions.behind("factor_missing", self.node, " * 2", "2")
                # A factor of what is there, written as a term beside it, is rather that factor.
                yield replace(change, rank=4 + parts + more + bool(self._names & _names(whole)))

    @cached_property
    def _names(self) -> frozenset[str]:
        return _names(self.insertions.of(self.node))

    def sums(self, words: Vocabulary) -> Iterator[Change]:
        """Two terms at once."""
        for one, first, other, second in words.sums(self.lacking):
            firsts, seconds = self.scaled(one, first), self.scaled(other, second)
            for (sign, text, far), (minus, more, farther) in product(firsts, list(seconds)):
                right = f"{sign} {text} {minus} {more}"
                change = self.insertions.behind("term_missing", self.node, f" {right}", right)
                yield replace(change, rank=6 + far + farther)

    def projected(self, words: Vocabulary, torch: bool) -> Iterator[Change]:
        """What a mean or a norm depends on."""
        lacking, known = self.lacking, np.ones(len(self.there))
        if self.system is not None:  # of the entries that it tells
            lacking, _, rank, _ = np.linalg.lstsq(self.system, self.lacking, rcond=DETERMINED)
            free = np.linalg.svd(self.system)[2][rank:]
            known = 1.0 * ((free * free).sum(axis=0) < DETERMINED)
            if known.mean() < LEAST_KNOWN:
                return
        for right, far in Projections(words, lacking, known, self.scaled, torch).terms():
            change = self.insertions.behind("term_missing", self.node, f" {right}", right)
            yield replace(change, rank=5 + far)

    def factors(self, made: Sequence[Made]) -> Iterator[Change]:
        one = Made(np.ones((1, len(self.there))), lambda at: "1", 0)
        with np.errstate(all="ignore"):
            times = [replace(each, values=each.values * self.there) for each in (one, *made)]
        for text, parts, factor in self.parallel(times, self.wanted):
            for sign, whole, more in self.scaled(text, factor):
                if whole == "1":
                    change = self.insertions.behind("sign", self.node, "", "-", front="-")
                elif sign == "+" and whole.startswith("1 / "):
                    by = whole.removeprefix("1 / ")
                    change = self.insertions.behind("divisor_missing", self.node, f" / {by}", by)
                else:
                    right = whole if sign == "+" else f"-{firm(whole)}"
                    change = self.insertions.behind("factor_missing", self.node, f" * {firm(right)}", right)
                yield replace(change, rank=4 + parts + more)

    def instead(self, made: Sequence[Made]) -> Iterator[Change]:
        for text, parts, factor in self.parallel(made, self.wanted):
            for sign, whole, more in self.scaled(text, factor):
                right = whole if sign == "+" else f"-{firm(whole)}"
                if right != self.insertions.of(self.node):
                    change = self.insertions.instead("name", 4, self.node, f"({right})", right)
                    yield replace(change, rank=4 + parts + more + (parts > 1) + (sign == "-"))

    def parallel(self, made: Sequence[Made], wanted: Array) -> Iterator[tuple[str, int, float]]:
        """(text, parts, factor) of those that are what is wanted, but for a factor."""
        size = np.linalg.norm(wanted)
        for each in made if size else ():
            with np.errstate(all="ignore"):
                values = each.values if self.system is None else each.values @ self.system.T
                factors = (values @ wanted) / (values * values).sum(axis=1)
                off = np.linalg.norm(values * factors[:, None] - wanted, axis=1)
            for number in np.flatnonzero(np.isfinite(off) & (off <= PARALLEL * size)):
                yield each.text(int(number)), each.parts, float(factors[number])

    def scaled(self, text: str, factor: float) -> Iterator[tuple[str, str, int]]:
        """(sign, text, how far-fetched) of it times a number; nothing where the number is none at hand."""
        sign, other = ("+", "-") if factor > 0 else ("-", "+")
        size = abs(factor)
        if abs(size - 1) <= FACTOR:
            yield sign, text, 0
            return
        for name, number in self.numbers.items():
            if abs(size - abs(number)) <= FACTOR * size:
                whole = name if text == "1" else f"{firm(name)} * {firm(text)}"
            elif abs(size * abs(number) - 1) <= FACTOR and "." not in name:
                whole = f"1 / {firm(name)}" if text == "1" else f"{firm(text)} / {firm(name)}"
            else:
                continue
            yield sign if number > 0 else other, whole, 1 + (name in LITERALS)
