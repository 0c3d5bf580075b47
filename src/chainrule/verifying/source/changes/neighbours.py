"""Places of a function written otherwise: what people write for each kind of expression, the other way round.

Every kind of node says which neighbours it has: an operator another, an index another index, a product one
factor more or less.
"""

from __future__ import annotations

from collections.abc import Iterator

from chainrule.verifying.source.changes.calls import Calls
from chainrule.verifying.source.changes.change import Change, Piece
from chainrule.verifying.source.changes.entries import Entries
from chainrule.verifying.source.changes.lines import Lines
from chainrule.verifying.source.changes.names import Names
from chainrule.verifying.source.changes.operators import Operators
from chainrule.verifying.source.changes.widths import Widths
from chainrule.verifying.source.scope import Scope, own
from chainrule.verifying.source.written import Written

# What two of them write alike is of the first: x for x.T a transpose too much, not another name.
KINDS = (Lines, Widths, Calls, Names, Operators, Entries)


class Neighbours:
    """Those of one function: of every expression and assignment in it, each once."""

    def __init__(self, place: Written, scope: Scope) -> None:
        self.scope = scope
        self.kinds = [kind(place, scope) for kind in KINDS]

    def __iter__(self) -> Iterator[Change]:
        told = set[tuple[Piece, ...]]()
        for node in own(self.scope.node):
            for change in (each for kind in self.kinds for each in kind.beside(node)):
                if change.pieces not in told:
                    told.add(change.pieces)
                    yield change
