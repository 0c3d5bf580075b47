"""Two changes of one text at once, of which neither alone makes anything right.

Each is run by itself first: where two are made in different terms, what they do adds up, which a table of all
tells without another run.  Others, one behind the other, are run two by two, the most natural first, as many
as may be.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise

import numpy as np

from chainrule.base.types import Array
from chainrule.verifying.source.changes.change import Change, Piece
from chainrule.verifying.source.trying.switched import Switchboard
from chainrule.verifying.source.written import Written

WAYS = 6  # random sums of each gradient, by which what changes do is compared
NEAR = 3e-6  # of the largest entry
PER_TEXT = 75  # lines that the text of one change costs
BONUS = 3  # of ranks, for what reads a name that is not read
MOST_ALONE, MOST_ADDED, MOST_OF_ONE, AT_ONCE = 3_000, 60, 1_500, 250
Rows = Callable[[], list[Array] | None]  # all gradients as they are then; None where there is no answer


@dataclass(frozen=True, eq=False)
class _Alone:
    """A change by itself.  moves: per wrong gradient, what it adds to its random sums."""

    number: int
    change: Change
    slot: int
    moves: Array


@dataclass(eq=False)
class Pairing:
    """Of one place.  rows: of their code as it is then, `cost` lines each.  right: what they should be.
    wrong: which of them are not.  left: lines that may run.  unread: names that are kept for something and
    never read, which is what is missing, if anything is.
    """

    place: Written
    changes: Sequence[Change]
    rows: Rows
    right: Sequence[Array]
    wrong: Sequence[int]
    cost: int
    left: int
    unread: frozenset[str] = frozenset()
    ways: list[Array] = field(default_factory=list, init=False)

    def pairs(self) -> Iterator[tuple[Change, Change]]:
        """Those that make a wrong gradient right, and none that is right wrong."""
        told = set[tuple[Piece, ...]]()
        changes = list[Change]()
        for change in sorted(self.changes, key=self.rank):
            if change.pieces not in told and not any("\n" in new for _, _, new in change.pieces):
                told.add(change.pieces)
                changes.append(change)
        base = self.rows()
        if base is None or any(a.shape != b.shape for a, b in zip(base, self.right, strict=True)):
            return
        rng = np.random.default_rng(len(base))
        self.ways = [rng.normal(size=(WAYS, len(self.right[n]))) for n in self.wrong]
        board = Switchboard(self.place, changes[:MOST_ALONE])
        with board.standing() as possible:
            if not possible or not self._same(self.rows(), base):
                return
            alone = list(self._alone(board, changes, base))
            lacking = self._sums([right - now for right, now in zip(self.right, base, strict=True)])
            for one, other in self._added(alone, lacking):
                yield one.change, other.change
            order = self._in_order(alone)
            for one, other in order:
                if self.left < 0:
                    break
                if one.slot != other.slot:
                    board.choose(one.number, other.number)
                    if self._helps():
                        yield one.change, other.change
        yield from self._of_one_statement(order)

    def rank(self, change: Change) -> int:
        """How natural it is, the most natural first."""
        words = {word for _, _, new in change.pieces for word in re.findall(r"[^\W\d]\w*", new)}
        return change.rank - BONUS * bool(words & self.unread)

    def _alone(
        self, board: Switchboard, changes: Sequence[Change], base: Sequence[Array]
    ) -> Iterator[_Alone]:
        """Those that change something, and nothing that is right; of those that do the same the first.  None
        that leaves nothing of a wrong gradient: with the other, it would be written anew, for no cause.
        """
        told = set[bytes]()
        for number, slot in enumerate(board.slots):
            if self.left < 0:
                return
            self.left -= PER_TEXT
            board.choose(number)
            made = None if slot is None else self._run()
            if made is None or slot is None or not self._keeps(made):
                continue
            if any(base[n].any() and not made[n].any() for n in self.wrong):
                continue
            moved = [now - before for now, before in zip(made, base, strict=True)]
            moves = self._sums(moved)
            size = float(np.abs(moves).max())
            key = np.round(moves / (size or 1.0), 7).tobytes() + f"{size:.6g}".encode()
            if size > 1e-9 and key not in told:
                told.add(key)
                yield _Alone(number, changes[number], slot[0], moves)

    def _added(self, alone: Sequence[_Alone], lacking: Array) -> list[tuple[_Alone, _Alone]]:
        """Those of which what both do is what is lacking, those of most gradients first."""
        if not alone:
            return []
        moves = np.stack([each.moves for each in alone])  # (changes, wrong gradients, ways)
        found = dict[tuple[int, int], int]()
        for number, wanted in enumerate(lacking):
            some = moves[:, number]
            near = NEAR * (float(np.abs(wanted).max()) + np.abs(some).max(axis=1, initial=0.0))
            order = np.argsort(some[:, 0])
            ascending = some[order, 0]
            for one in np.flatnonzero(some.any(axis=1)):
                first, last = np.searchsorted(
                    ascending, [wanted[0] - some[one, 0] - near[one], wanted[0] - some[one, 0] + near[one]]
                )
                for other in order[first:last]:
                    off = np.abs(some[one] + some[other] - wanted).max()
                    pair = int(one), int(other)
                    if one < other and some[other].any() and off <= near[one] + near[other]:
                        off_each = np.abs(moves[one] + moves[other] - lacking).max(axis=1)
                        sizes = np.abs(lacking) + np.abs(moves[one]) + np.abs(moves[other])
                        close = NEAR * sizes.max(axis=1)
                        found[pair] = int((off_each <= close).sum())
        ranks = [self.rank(each.change) for each in alone]
        pairs = sorted(found, key=lambda p: (-found[p], ranks[p[0]] + ranks[p[1]]))
        return [(alone[one], alone[other]) for one, other in pairs[:MOST_ADDED]]

    def _in_order(self, alone: Sequence[_Alone]) -> list[tuple[_Alone, _Alone]]:
        """Two by two, the most natural first; those that have no gradient in common that both move, not."""
        if len(alone) < 2:
            return []
        moved = np.stack([each.moves.any(axis=1) for each in alone])
        ranks = np.array([self.rank(each.change) for each in alone])
        one, other = np.triu_indices(len(alone), 1)
        common = (moved[one] & moved[other]).any(axis=1)
        one, other = one[common], other[common]
        most = max(self.left, 0) // self.cost + 2 * MOST_OF_ONE
        order = np.argsort(ranks[one] + ranks[other], kind="stable")[: 2 * most]
        return [(alone[one[at]], alone[other[at]]) for at in order]

    def _of_one_statement(self, order: Sequence[tuple[_Alone, _Alone]]) -> Iterator[tuple[Change, Change]]:
        """Two in one statement, which has to be written anew for both."""
        self.left = max(self.left, MOST_OF_ONE * self.cost // 2)
        pairs = [(one.change, other.change) for one, other in order if one.slot == other.slot]
        both = [(pair, made) for pair in pairs if (made := merged(*pair)) is not None][:MOST_OF_ONE]
        for first in range(0, len(both), AT_ONCE):
            some = both[first : first + AT_ONCE]
            board = Switchboard(self.place, [made for _, made in some])
            with board.standing() as possible:
                for number, (pair, _) in enumerate(some if possible else ()):
                    if self.left < 0:
                        return
                    self.left -= PER_TEXT
                    board.choose(number)
                    if board.slots[number] is not None and self._helps():
                        yield pair

    def _run(self) -> list[Array] | None:
        self.left -= self.cost
        made = self.rows()
        if made is None or any(a.shape != b.shape for a, b in zip(made, self.right, strict=True)):
            return None
        return made if all(np.isfinite(each).all() for each in made) else None

    def _helps(self) -> bool:
        made = self._run()
        return made is not None and self._keeps(made) and any(self._fits(made, n) for n in self.wrong)

    def _keeps(self, made: Sequence[Array]) -> bool:
        return all(self._fits(made, n) for n in range(len(made)) if n not in self.wrong)

    def _fits(self, made: Sequence[Array], number: int) -> bool:
        right = self.right[number]
        near = NEAR * float(np.abs(right).max(initial=1e-30))
        return float(np.abs(made[number] - right).max(initial=0.0)) <= near

    def _sums(self, made: Sequence[Array]) -> Array:
        return np.stack([way @ made[n] for way, n in zip(self.ways, self.wrong, strict=True)])

    @staticmethod
    def _same(one: Sequence[Array] | None, other: Sequence[Array]) -> bool:
        pairs = zip(one or (), other, strict=False)
        return one is not None and all(np.array_equal(a, b, equal_nan=True) for a, b in pairs)


def merged(one: Change, other: Change) -> Change | None:
    """Both in one; None where they are of the same text."""
    pieces = sorted((*one.pieces, *other.pieces))
    for (_, end, _), (begin, _, _) in pairwise(pieces):
        if begin < end:
            return None
    begins = [begin for begin, _, _ in pieces]
    if len(set(begins)) < len(begins):  # which is written first would matter
        return None
    return replace(one, rank=one.rank + other.rank, pieces=tuple(pieces), also=other)


def behind(one: Change, other: Change) -> Change:
    """The other as it is in the text that has the one."""

    def moved(at: int) -> int:
        return at + sum(len(new.encode()) - (end - begin) for begin, end, new in one.pieces if end <= at)

    return replace(
        other, pieces=tuple((moved(begin), moved(end), new) for begin, end, new in other.pieces)
    )
