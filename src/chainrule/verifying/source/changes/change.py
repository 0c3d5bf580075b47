"""A change of a function's source: pieces of text in place of others; and how one is written."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from chainrule.verifying.source.scope import Scope
from chainrule.verifying.source.written import Written

Piece = tuple[int, int, str]  # (where it begins, where it ends, what stands there instead)


@dataclass(frozen=True)
class Change:
    """kind: a key of the texts.  rank: the most natural first.  wrong, right: the part that differs, as it is
    and as it should be.  pieces: of the text.
    """

    kind: str
    rank: int
    wrong: str
    right: str
    pieces: tuple[Piece, ...]
    also: Change | None = None

    @property
    def span(self) -> tuple[int, int]:
        """Where the first piece begins and the last one ends."""
        return min(begin for begin, _, _ in self.pieces), max(end for _, end, _ in self.pieces)

    def text(self, before: bytes) -> bytes:
        """The text with the change made."""
        made = before
        for begin, end, new in sorted(self.pieces, reverse=True):
            made = made[:begin] + new.encode() + made[end:]
        return made


class Rewriting:
    """One function, and its texts in place of others: what all kinds of changes are written with."""

    def __init__(self, place: Written, scope: Scope) -> None:
        self.place, self.scope = place, scope

    def of(self, node: ast.AST) -> str:
        return self.place.of(node)

    def firm(self, node: ast.AST) -> str:
        """The text of a node as it may stand in any expression."""
        loose = (ast.BinOp, ast.UnaryOp, ast.BoolOp, ast.Compare, ast.IfExp, ast.Lambda, ast.Starred)
        if isinstance(node, loose) or (isinstance(node, ast.Tuple) and not self.of(node).startswith("(")):
            return f"({self.of(node)})"
        return self.of(node)

    def instead(
        self, kind: str, rank: int, node: ast.AST, new: str, right: str = "", wrong: str = ""
    ) -> Change:
        """Another text for a node."""
        return Change(kind, rank, wrong or self.of(node), right or new, ((*self.place.span(node), new),))

    def in_front(self, line: ast.stmt, new: str) -> Piece:
        """A line in front of one that stands on its own."""
        begin = self.place.span(line)[0]
        return begin, begin, f"{new}\n{' ' * line.col_offset}"

    def between(
        self, kind: str, rank: int, left: ast.AST, right: ast.AST, old: str, new: str
    ) -> Iterator[Change]:
        """Another operator between two nodes."""
        begin, end = self.place.span(left)[1], self.place.span(right)[0]
        gap = self.place.text[begin:end].decode()
        found = re.search(rf"(?<![*/<>=!]){re.escape(old)}(?![*/<>=])", gap)
        if found is not None and "#" not in gap:
            at = begin + len(gap[: found.start()].encode())
            yield Change(kind, rank, old, new, ((at, at + len(old), new),))

    def exchanged(self, parts: Sequence[ast.expr]) -> Iterator[Change]:
        """Two of several that stand in a row."""
        if any(isinstance(part, ast.Starred) for part in parts):
            return
        for first, one in enumerate(parts):
            for other in parts[first + 1 :]:
                texts = self.of(one), self.of(other)
                if texts[0] != texts[1]:
                    spans = self.place.span(one), self.place.span(other)
                    pieces = ((*spans[0], texts[1]), (*spans[1], texts[0]))
                    yield Change("exchanged", 1, ", ".join(texts), ", ".join(texts[::-1]), pieces)


def is_one(node: ast.AST | None) -> bool:
    return isinstance(node, ast.Constant) and node.value == 1


def is_transposed(node: ast.AST) -> bool:
    inner = node.func if isinstance(node, ast.Call) else node
    return isinstance(inner, ast.Attribute) and inner.attr in ("T", "transpose")
