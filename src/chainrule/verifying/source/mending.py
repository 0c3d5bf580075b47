"""The search for the one place of their source that, written otherwise, makes what is wrong right.

Every change is run on one probe; what is right there is run on all. Counted by the lines that it runs, not
timed: the answer is the same on a busy machine.
"""

from __future__ import annotations

import ast
import contextlib
import re
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from itertools import islice
from types import CodeType
from typing import Any

import numpy as np

from chainrule.base.types import Array
from chainrule.verifying.contract.calls import attempt, output
from chainrule.verifying.differences import FEW_ENTRIES, MOST_ENTRIES
from chainrule.verifying.precision import PRECISIONS, computed_in
from chainrule.verifying.source.changes.change import Change, Piece
from chainrule.verifying.source.changes.insertions import Insertions
from chainrule.verifying.source.changes.neighbours import Neighbours
from chainrule.verifying.source.changes.statements import Statements
from chainrule.verifying.source.mended import Mended
from chainrule.verifying.source.outside import Outside, other_numbers
from chainrule.verifying.source.right import Right, by_differences
from chainrule.verifying.source.scope import Scope, counters, scopes_of, sizes_of
from chainrule.verifying.source.solving.places import Solving
from chainrule.verifying.source.solving.vocabulary import as_array
from chainrule.verifying.source.trying.directly import directly
from chainrule.verifying.source.trying.pairing import PER_TEXT, Pairing, behind, merged
from chainrule.verifying.source.trying.stand_in import StandIn, stand_in
from chainrule.verifying.source.trying.switched import Switchboard
from chainrule.verifying.source.written import Function, Ran, Written, ran, written
from chainrule.verifying.subjects.calls.arguments import other_options
from chainrule.verifying.subjects.calls.effort import effort
from chainrule.verifying.subjects.subject import Gradients, Subject

# Lines that all changes of one verdict may run, 2.5 s of work, and what a change costs beside, in lines.
MOST_LINES, PER_CHANGE = 1_200_000, 300
MOST_LINES_OF_ONE = 60_000
MOST_MENDED = 3  # places that are wrong at once
MOST_PAIRS = 12  # of two changes at once that are looked at closer
# Where their backward is called directly: as many times fewer lines, and these beside.
QUICKER, PER_CALL = 10, 5
FEWEST_SIFTED, MOST_SIFTED = 50, 800  # changes that are compiled at once
UNTRIED = 3  # ranks, of what is a size that is the same on all probes
FAR_FETCHED = 6  # a rank, from which on something simpler may be missing
Scopes = Sequence[tuple[Written, Scope]]


def _same_size(one: object, other: object) -> bool:
    """Whether a name has the number that it had; where it is not known, it may."""
    return one is None or (isinstance(one, int) and isinstance(other, int) and one == other)


@dataclass(eq=False)
class Mending:
    """The search of one verdict.  right: on the probes, that of the given arguments first.  others: what is
    right for other sizes, asked for where something is found.  left, left_to_solve: lines that trying and
    solving may run, whether it looks near, far or both.
    """

    subject: Subject
    right: Sequence[Right]
    others: Callable[[frozenset[int]], Sequence[Right]] = lambda wrong: ()
    left: int = MOST_LINES
    left_to_solve: int = MOST_LINES  # to find what places would have to be
    left_to_pair: int = MOST_LINES  # for two changes at once
    made: list[Mended] = field(default_factory=list, init=False)  # what was found
    theirs: Sequence[Written] = field(default=(), init=False)
    places: Sequence[Written] = field(default=(), init=False)  # with the changes that were found
    forward: dict[CodeType, Ran] = field(default_factory=dict, init=False)
    resized: Sequence[Right] | None = field(default=None, init=False)
    # Of a change, by whether it is in their pull alone.
    cost: dict[bool, int] = field(default_factory=dict, init=False)
    pulls: dict[int, Callable[[Array], Gradients]] = field(default_factory=dict, init=False)
    behind: frozenset[CodeType] = field(default=frozenset(), init=False)  # runs only behind their forward
    stand_ins: dict[int, StandIn | None] = field(default_factory=dict, init=False)
    outside: Outside | None = field(default=None, init=False)

    def mended(self, far: bool, shared: bool = False, pairs: bool = False) -> list[Mended]:
        """The places that are wrong, each with what it makes right, in the order in which they are changed,
        those that were found before among them; [] where none is found.

        far: looks for what is missing, else for what is there and should be another.  shared: in the
        functions that run for the output, too, else in those that run for the gradients alone.  pairs: for
        two of both that make nothing right but together.
        """
        if not self.possible:
            return []
        with contextlib.ExitStack() as kept:
            for each in self.made:
                kept.enter_context(each.place.changed(each.text))
            wrong = frozenset().union(*(right.wrong(self.given(right)) for right in self.right))
            while wrong and len(self.made) < MOST_MENDED:
                found = self.pair(wrong) if pairs else self.next(wrong, far, shared)
                if found is None:
                    break
                for each in filter(None, (found.first, found)):
                    self.made.append(each)
                    kept.enter_context(each.place.changed(each.text))
                wrong -= found.numbers
                self.pulls.clear()
                self.stand_ins.clear()
                start = found.place if found.first is None else found.first.place
                places = self.places
                self.places = [each.rewritten(found.text) if each is start else each for each in places]
        self.pulls.clear()
        return self.made

    def forget(self) -> None:
        """Nothing was found as yet."""
        self.made, self.places = [], self.theirs

    @cached_property
    def possible(self) -> bool:
        """Whether their code, which is read here, runs few enough lines."""
        first = self.right[0].probe

        def backward() -> Gradients | None:
            return attempt(self.subject, first.args, first.delta)

        theirs, self.forward = ran(backward), ran(lambda: output(self.subject, first.args))
        self.cost[False] = self.cost_of(backward)
        if self.subject.pulled is not None:
            before = ran(lambda: self.pulled(self.right[0]))
            self.behind = frozenset(ran(lambda: self.given(self.right[0], True))) - frozenset(before)
            self.cost[True] = self.cost_of(lambda: self.given(self.right[0], True))
        if min(self.cost.values()) >= MOST_LINES_OF_ONE:
            return False
        self.outside = Outside([*theirs.values(), *self.forward.values()])
        self.theirs = self.places = written(theirs.values())
        if self.behind and all(self.stand_in(right) is not None for right in self.right):
            self.cost[True] = self.cost_of(lambda: self.given(self.right[0], True))
        return True

    def cost_of(self, call: Callable[[], object]) -> int:
        return PER_CHANGE + effort(call, MOST_LINES_OF_ONE, self.right[0].probe.args)

    def given(self, right: Right, behind: bool = False) -> Gradients | None:
        """Their gradients.  behind: without running their forward anew."""
        if not behind:
            return attempt(self.subject, right.probe.args, right.probe.delta)
        stand = self.stand_ins.get(id(right))
        if stand is not None:
            return stand()
        try:
            return self.pulled(right)(right.probe.delta.copy())
        except Exception:  # their code may raise whatever it likes
            return None

    def stand_in(self, right: Right) -> StandIn | None:
        """What runs their backward of a probe in a part of the time, where there is such."""
        if id(right) not in self.stand_ins:
            living = [f for place in self.places for held in place.functions.values() for f in held]
            living = [each for each in living if each.__code__ in self.behind]
            self.stand_ins[id(right)] = stand_in(lambda: self.given(right, True), living)
        return self.stand_ins[id(right)]

    def pulled(self, right: Right) -> Callable[[Array], Gradients]:
        assert self.subject.pulled is not None
        if id(right) not in self.pulls:
            self.pulls[id(right)] = self.subject.pulled([value.copy() for value in right.probe.args])
        return self.pulls[id(right)]

    def parts(self) -> tuple[Scopes, Scopes, Scopes]:
        """Functions that run behind their forward alone, for the gradients alone, for the output, too."""
        behind, own, shared = (list[tuple[Written, Scope]]() for _ in range(3))  # the cheapest first
        for place, ran_, scope in scopes_of(self.places):
            if self.is_behind(place):
                behind.append((place, scope))
            else:
                (shared if ran_.code in self.forward else own).append((place, scope))
        return behind, own, shared

    @property
    def two_parts(self) -> bool:
        """Whether some functions run for the gradients alone, and others for the output, too."""
        behind, own, shared = self.parts()
        return bool(shared) and bool(behind or own)

    def next(self, wrong: frozenset[int], far: bool, shared: bool) -> Mended | None:
        """The best change: that of the lowest rank of those that make most right."""
        shapes = {self.right[0].probe.args[number].shape for number in wrong}
        parts = self.parts()
        if self.two_parts:
            parts = ((), (), parts[2]) if shared else (parts[0], parts[1], ())
        for scopes in filter(None, parts):
            changes = [
                (place, change)
                for place, scope in scopes
                for kind in (
                    (Insertions(place, scope, shapes, self.of_forward),) if far else _near(place, scope)
                )
                for change in in_reach(place, scope, kind)
            ]
            live, idle = self.parted(scopes, changes, wrong)
            best = self.best(live, wrong) or self.best(idle, wrong)
            if best is None and not far:
                best = self.solution(scopes, wrong, shapes)
            if best is not None:
                return best
        return None

    def pair(self, wrong: frozenset[int]) -> Mended | None:
        """The best two changes of one place that make right together what neither does alone."""
        first = self.right[0]
        numbers = [number for number, _, _ in self.right_rows]
        right = [value for _, value, _ in self.right_rows]
        if sum(each.size for each in right) > MOST_ENTRIES:
            return None
        of_places = list[list[tuple[Written, Scope]]]()
        for place, ran_, scope in scopes_of(self.places):
            if ran_.code in self.forward and not self.forward.keys() >= {
                each.code for other in self.places for each in other.ran.values()
            }:
                continue
            of_place = next((each for each in of_places if each[0][0] is place), None)
            if of_place is None:
                of_places.append([(place, scope)])
            else:
                of_place.append((place, scope))
        shapes = {first.probe.args[number].shape for number in wrong}
        for scopes in of_places:
            place, is_behind = scopes[0][0], self.is_behind(scopes[0][0])
            changes = [
                (place, change)
                for _, scope in scopes
                for kind in (*_near(place, scope), Insertions(place, scope, shapes, self.of_forward))
                for change in in_reach(place, scope, kind)
            ]
            live = [change for _, change in self.parted(scopes, changes, wrong)[0]]
            unread = frozenset().union(*(scope.unused for _, scope in scopes))
            at = [at for at, number in enumerate(numbers) if number in wrong]
            best = None
            with self.called(place) as (rows, cost):
                pairing = Pairing(place, live, rows, right, at, cost, self.left_to_pair, unread)
                likely = list(islice(pairing.pairs(), MOST_PAIRS))
            self.left_to_pair = max(pairing.left, 0)
            for one, other in likely:
                found = self.of_both(place, one, other, wrong, is_behind)
                if found is not None and (best is None or self.order(found) < self.order(best)):
                    best = found
            if best is not None:
                return best
        return None

    def of_both(
        self, place: Written, one: Change, other: Change, wrong: frozenset[int], is_behind: bool
    ) -> Mended | None:
        """Both, in one place of their text or two."""
        both = merged(one, other)
        if both is None:
            return None
        text = both.text(place.text)
        numbers = self.gives(place, text, wrong, is_behind)
        if not numbers:
            return None
        lines = [{place.line_at(at) for at in each.span} for each in (one, other)]
        if lines[0] & lines[1]:
            return Mended(place, both, text, numbers)
        first = Mended(place, one, one.text(place.text), frozenset())
        return Mended(place.rewritten(first.text), behind(one, other), text, numbers, first)

    def parted(
        self, scopes: Scopes, changes: Iterable[tuple[Written, Change]], wrong: frozenset[int]
    ) -> tuple[list[tuple[Written, Change]], list[tuple[Written, Change]]]:
        """Changes of what moves wrong gradients alone, and the others: another value of what moves a right
        one, too, makes that wrong, unless it leaves out what is left out anyway.
        """
        idle = [(place, span) for place, scope in scopes for span in self.idle(place, scope, wrong)]
        live, others = list[tuple[Written, Change]](), list[tuple[Written, Change]]()
        for place, change in changes:
            begin, end = change.span
            within = any(each is place and a <= begin and end <= b for each, (a, b) in idle)
            (others if within else live).append((place, change))
        return live, others

    def idle(self, place: Written, scope: Scope, wrong: frozenset[int]) -> list[tuple[int, int]]:
        """Where values stand that move right gradients: each is moved once."""
        first, behind, found = self.right[0], self.is_behind(place), list[tuple[int, int]]()
        right = [n for n, value in enumerate(first.values) if value is not None and n not in wrong]
        base = self.given(first, behind) if right else None
        if base is None:
            return []
        for node in Insertions(place, scope).whole():
            moved = Pushed()
            world = next(iter(place.ran.values())).world
            self.left -= self.cost[behind]
            with place.around(node, world, moved) as possible:
                after = self.given(first, behind) if possible and not writes(node) else None
            if after is None or not moved.real:
                continue
            if any(_differ(base[number], after[number]) for number in right):
                found.append(place.span(node))
        if self.outside is not None:
            self.outside.restore()
        return found

    @property
    def of_forward(self) -> list[Function]:
        """The functions that ran for the output."""
        items = ((place, key, node) for place in self.places for key, node in place.nodes.items())
        return [node for place, key, node in items if place.ran[key].code in self.forward]

    def solution(
        self, scopes: Scopes, wrong: frozenset[int], shapes: Collection[tuple[int, ...]]
    ) -> Mended | None:
        """The best that is solved for, or what is missing and simpler; linear places before bent ones."""
        for bent in (False, True):
            best = self.best(self.solved(scopes, wrong, bent), wrong, free=True)
            if best is None:
                continue
            if best.change.rank < FAR_FETCHED or _operations(best.change.right) < 2:
                return best
            lists = ((place, Insertions(place, scope, shapes, self.of_forward)) for place, scope in scopes)
            missing = ((place, each) for place, listed in lists for each in listed)
            simpler = [pair for pair in missing if pair[1].rank < best.change.rank]
            return self.best(simpler, wrong) or best
        return None

    def solved(
        self, scopes: Scopes, wrong: frozenset[int], bent: bool
    ) -> Iterator[tuple[Written, Change]]:
        """What the places would have to be.  bent: those in which the gradients are not linear."""
        first = self.right[0]
        behind = bool(scopes) and all(map(self.is_behind, (place for place, _ in scopes)))
        numbers = [number for number, right in enumerate(first.values) if right is not None]
        base = first.rows(self.given(first, behind))
        if base is None:
            return
        lacking = [np.zeros_like(each) for each in base]
        for at, number in enumerate(numbers):
            right = first.values[number]
            if number in wrong and right is not None:
                lacking[at] = right[first.exact(number)] - base[at]

        def rows() -> list[Array] | None:
            return first.rows(self.given(first, behind))

        unit = PRECISIONS[computed_in(self.subject.args, self.subject.precision)].unit
        solving = Solving(rows, lacking, self.cost[behind], self.left_to_solve // 2, unit, bent)
        functions = [scope.node for _, scope in scopes]
        forward = [
            node
            for place in self.places
            for key, node in place.nodes.items()
            if place.ran[key].code in self.forward and node not in functions
        ]
        before = solving.left
        for place, scope in scopes:
            yield from ((place, change) for change in solving.changes(place, scope, functions, forward))
        self.left_to_solve -= before - solving.left

    def best(
        self, changes: Iterable[tuple[Written, Change]], wrong: frozenset[int], free: bool = False
    ) -> Mended | None:
        """Of these, in the order of their ranks.  free: they are few, and cost nothing of what is left."""
        found: Mended | None = None
        told = set[bytes]()
        ordered = sorted(changes, key=lambda pair: pair[1].rank)
        for place, change in ordered if free else self.sifted(ordered, wrong):
            text = change.text(place.text)
            least = -len(wrong), change.rank, len(change.pieces), len(text)
            if text in told or (found is not None and self.order(found) <= least):
                continue
            told.add(text)
            if self.left < 0 and not free:
                break
            behind = self.is_behind(place)
            self.left -= 0 if free else self.cost[behind]
            numbers = self.gives(place, text, wrong, behind)
            if numbers:
                if self.untried(place, change):
                    change = replace(change, rank=change.rank + UNTRIED)
                made = Mended(place, change, text, numbers)
                if found is None or self.before(made, found, wrong):
                    found = made
        return found

    def untried(self, place: Written, change: Change) -> bool:
        """Whether a change reads a size that is the same on all probes: it may only happen to be the number
        that is meant.
        """
        old = " ".join(place.text[begin:end].decode() for begin, end, _ in change.pieces)
        words = {word for *_, new in change.pieces for word in re.findall(r"[^\W\d]\w*", new)}
        words -= set(re.findall(r"[^\W\d]\w*", old))
        sizes = {(key, each) for key, node in place.nodes.items() for each in sizes_of(node) if each in words}
        for right in (*self.right, *(self.resized or ())) if sizes else ():
            names = {each.code: each.names for each in ran(lambda at=right: self.given(at)).values()}  # type: ignore[misc]
            sizes = {
                (key, each)
                for key, each in sizes
                if _same_size(names.get(place.ran[key].code, {}).get(each), place.ran[key].names.get(each))
            }
        return bool(sizes)

    def before(self, one: Mended, other: Mended, wrong: frozenset[int]) -> bool:
        """Which of two is the better.  Where something else stays wrong, of equals that at the later line:
        fewer others come from it.
        """
        alike = one.place is other.place and one.change.rank == other.change.rank
        if alike and one.numbers == other.numbers != wrong and one.line != other.line:
            return one.line > other.line
        return self.order(one) < self.order(other)

    def sifted(
        self, ordered: Sequence[tuple[Written, Change]], wrong: frozenset[int]
    ) -> Iterator[tuple[Written, Change]]:
        """Those that may make a wrong gradient of the first probe right, and none that is right wrong: many
        at once, compiled as one.
        """
        told = set[tuple[int, tuple[Piece, ...]]]()
        fresh = list[tuple[Written, Change]]()
        for place, change in ordered:
            if (id(place), change.pieces) not in told:
                told.add((id(place), change.pieces))
                fresh.append((place, change))
        first, most = 0, FEWEST_SIFTED
        while first < len(fresh) and self.left >= 0:
            some = fresh[first : first + most]
            first, most = first + most, min(2 * most, MOST_SIFTED)
            kept = set[int]()
            for place in {id(each): each for each, _ in some}.values():
                of_place = [number for number, (each, _) in enumerate(some) if each is place]
                fits = self.fitting(place, [some[number][1] for number in of_place], wrong)
                kept |= {number for number, fit in zip(of_place, fits, strict=True) if fit}
            yield from (some[number] for number in sorted(kept))

    def fitting(self, place: Written, changes: Sequence[Change], wrong: frozenset[int]) -> list[bool]:
        """Which of them may, and which cannot be told so."""
        board = Switchboard(place, changes)
        self.left -= PER_TEXT * len(changes)
        made = list[bool]()
        with self.called(place) as (rows, cost), board.standing() as possible:
            base, right = rows(), self.right_rows
            possible = possible and base is not None
            for number, slot in enumerate(board.slots):
                if slot is None or not possible or self.left < 0:
                    made.append(slot is None or not possible)
                    continue
                self.left -= cost
                board.choose(number)
                given = rows()
                off = wrong if given is None else {
                    n for (n, value, slack), now in zip(right, given, strict=True)
                    if now.shape != value.shape or not (np.abs(now - value) <= slack).all()
                }
                made.append(bool(wrong - off) and not off - wrong)
        return made

    @cached_property
    def right_rows(self) -> list[tuple[int, Array, Array | float]]:
        """Per argument what is known of the first probe to many digits: its number, that, what it may be off
        by.
        """
        first, made = self.right[0], list[tuple[int, Array, Array | float]]()
        for number, value in enumerate(first.values):
            if value is not None:
                exact, slack = first.exact(number), first.slack[number]
                made.append((number, value[exact], slack[exact] if isinstance(slack, np.ndarray) else slack))
        return made

    @contextlib.contextmanager
    def called(self, place: Written) -> Iterator[tuple[Callable[[], list[Array] | None], int]]:
        """All gradients of the first probe that are known to many digits, each time anew, and the lines that
        it takes: their function called directly where that gives the same.
        """
        first, is_behind = self.right[0], self.is_behind(place)
        cost = self.cost[is_behind] - PER_CHANGE

        def rows() -> list[Array] | None:
            made = first.rows(self.given(first, is_behind))
            if self.outside is not None:
                self.outside.restore()
            return made

        given = None if is_behind else self.given(first)
        numbers = [number for number, _, _ in self.right_rows]
        base = [np.asarray(given[number]) for number in numbers] if given is not None else []
        shapes = [first.probe.args[number].shape for number in numbers]
        if not base or [value.shape for value in base] != shapes:
            yield rows, cost
            return
        exact = [np.flatnonzero(first.looked(number)) for number in numbers]
        with directly(place, lambda: self.given(first), base, exact) as quick:
            yield (rows, cost) if quick is None else (quick, cost // QUICKER + PER_CALL)

    def is_behind(self, place: Written) -> bool:
        """Whether all of it runs only behind their forward."""
        return True in self.cost and self.behind.issuperset(each.code for each in place.ran.values())

    @staticmethod
    def order(mended: Mended) -> tuple[int, int, int, int]:
        return -len(mended.numbers), mended.change.rank, len(mended.change.pieces), len(mended.text)

    def gives(
        self, place: Written, text: bytes, wrong: frozenset[int], behind: bool = False
    ) -> frozenset[int]:
        """Of which of the wrong arguments a text gives the right gradient, of none that is right another."""
        try:
            return self._gives(place, text, wrong, behind)
        finally:
            if self.outside is not None:
                self.outside.restore()

    def _gives(self, place: Written, text: bytes, wrong: frozenset[int], behind: bool) -> frozenset[int]:
        numbers = wrong
        with place.changed(text) as possible:
            for right in self.right if possible else ():
                still = right.wrong(self.given(right, behind))
                if still - wrong or not (numbers := numbers - still):
                    return frozenset()
        if possible and self.resized is None:  # as theirs is: what a change makes of other sizes is its own
            self.resized = self.others(wrong)
        with place.changed(text) as possible:
            resized = [(each, self.given(each)) for each in (self.resized or ())] if possible else []
            if possible and all(given is None for _, given in resized):  # of sizes that it takes
                resized = [(each, self.given(each)) for each in self.others(wrong)]
            for right, given in resized:
                numbers -= right.wrong(given) if given is not None else frozenset()
            numbers -= self.of_these_numbers(wrong) if possible and numbers else frozenset()
            if possible and not behind and not self.same_output():
                return frozenset()
            if possible and numbers and not self.finite_at_zero():
                return frozenset()
            if possible and numbers and behind and any(self.stand_ins.values()):  # as it is run
                numbers -= self.right[0].wrong(self.given(self.right[0]))
        return numbers if possible else frozenset()

    def of_these_numbers(self, wrong: frozenset[int]) -> frozenset[int]:
        """What is right for the numbers alone that their functions are called with, have as defaults, or find
        in their file.
        """
        backward = [each for place in self.places for each in place.ran.values()]
        own = (each.code for each in backward if each.code not in self.forward)
        read = {name for code in own for name in (*code.co_names, *code.co_varnames)}
        functions = [each for place in self.places for held in place.functions.values() for each in held]
        for place in self.places:  # what a change reads that was not read before
            for key, held in place.functions.items():
                if place.ran[key].code not in self.forward:
                    read |= {name for each in held for name in each.__code__.co_names}
        with other_numbers(functions, read) as others, other_options() as options:
            try:
                output(self.subject, self.right[0].probe.args)
                if not others and not options.used:
                    return frozenset()
                right = by_differences(self.subject, [self.right[0].probe], anew=True, most=FEW_ENTRIES)[0]
            except Exception:  # numbers that their code does not take
                return frozenset()
            still = right.wrong(self.given(right))
        # Where others are wrong then, too, their code has the numbers written out.
        return frozenset() if still - wrong else wrong & still

    def finite_at_zero(self) -> bool:
        """Whether a δ of 0 gives numbers: m / m, for 1, does not where m comes of δ."""
        first = self.right[0].probe
        if not self.subject.takes_delta or self.subject.fixed:
            return True
        given = attempt(self.subject, first.args, np.zeros_like(first.delta))
        return given is None or all(value is None or np.isfinite(value).all() for value in given)

    def same_output(self) -> bool:
        """Whether their forward still gives what it gave."""
        for right in self.right:
            try:
                out = output(self.subject, right.probe.args)
            except Exception:  # their code may raise whatever it likes
                return False
            if out.shape != right.out.shape or not np.allclose(
                out, right.out, rtol=1e-9, atol=0, equal_nan=True
            ):
                return False
        return True


class Pushed:
    """What a value is handed to: gives it moved where it is real numbers."""

    def __init__(self) -> None:
        self.real = False

    def __call__(self, value: Any) -> Any:
        plain = as_array(value)
        if plain is None or plain.dtype.kind != "f" or not plain.size:
            return value
        self.real = True
        return value * 1.25 + 0.03125


def writes(node: ast.expr) -> bool:
    """Whether something is written on within an expression."""
    nodes = list(ast.walk(node))
    named = any(isinstance(each, ast.Attribute) and each.attr.endswith("_") for each in nodes)
    return named or any(isinstance(each, ast.keyword) and each.arg == "out" for each in nodes)


def _differ(one: Array | None, other: Array | None) -> bool:
    if one is None or other is None or one.shape != other.shape:
        return one is not other
    return not np.array_equal(one, other)


def in_reach(place: Written, scope: Scope, changes: Iterable[Change]) -> Iterator[Change]:
    """Those that read no counter behind its loop, where it only happens to be the number that is meant."""
    spans = {name: [place.span(loop) for loop in loops] for name, loops in counters(scope.node).items()}
    for change in changes:
        for begin, end, new in change.pieces:
            names = spans.keys() & (set(re.findall(r"[^\W\d]\w*", new)) if spans else ())
            names -= set(re.findall(r"[^\W\d]\w*", place.text[begin:end].decode())) if names else set()
            if any(not any(a <= begin and end <= b for a, b in spans[name]) for name in names):
                break
        else:
            yield change


def _near(place: Written, scope: Scope) -> tuple[Iterable[Change], ...]:
    return Neighbours(place, scope), Statements(place, scope)


def _operations(text: str) -> int:
    """How many there are in an expression, which may begin with a sign."""
    try:
        return sum(isinstance(each, ast.BinOp) for each in ast.walk(ast.parse(text.lstrip("+- "))))
    except SyntaxError:
        return 0
