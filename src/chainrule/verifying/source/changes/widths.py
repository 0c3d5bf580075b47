"""Widths of a padding written otherwise: shifted with their sum kept, one more or less, a full one's."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator, Sequence
from itertools import pairwise

from chainrule.verifying.source.changes.change import Change, Rewriting

PADDING = ("pad", "constant_pad_nd")
MOST_WIDE, MOST_SIZES = 8, 8  # widths in all, and counts at hand, that are tried
Ends = tuple[ast.expr, ast.expr]


class Widths(Rewriting):
    def beside(self, node: ast.AST) -> Iterator[Change]:
        if not isinstance(node, ast.Call):
            return
        name = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
        if name in PADDING and len(node.args) > 1:
            pairs = list(_pairs(node.args[1]))
            for number, pair in enumerate(pairs):
                for rank, new in self.others(*pair):
                    yield self.of_pairs([pair], new, rank)
                    alike = [each for each in pairs[number:] if self.texts(each) == self.texts(pair)]
                    if alike[0] is pair and len(alike) > 1 and self.texts(pair) != ("0", "0"):
                        yield self.of_pairs(alike, new, rank)

    def texts(self, pair: Ends) -> tuple[str, str]:
        return self.of(pair[0]), self.of(pair[1])

    def of_pairs(self, pairs: Sequence[Ends], new: tuple[str, str], rank: int) -> Change:
        pieces = tuple(
            (*self.place.span(end), text)
            for pair in pairs
            for end, text in zip(pair, new, strict=True)
            if self.of(end) != text
        )
        return Change("padded", rank, ", ".join(self.texts(pairs[0])), ", ".join(new), pieces)

    def others(self, left: ast.expr, right: ast.expr) -> Iterator[tuple[int, tuple[str, str]]]:
        """(rank, both ends) that may be meant, once each."""
        now = self.of(left), self.of(right)
        for rank, new in dict.fromkeys(self._others(left, right)):
            if new != now:
                yield rank, new

    def _others(self, left: ast.expr, right: ast.expr) -> Iterator[tuple[int, tuple[str, str]]]:
        a, b = self.of(left), self.of(right)
        yield 1, (b, a)
        if _is_whole(left) and _is_whole(right):
            one, other = int(a), int(b)
            whole = one + other
            yield from ((1, (str(n), str(whole - n))) for n in range(min(whole, MOST_WIDE) + 1))
            for by in (-1, 1):
                yield from ((2, (str(one + m), str(other + n))) for m, n in ((by, 0), (0, by), (by, by)))
        else:
            for by in (-1, 1):
                less, more = _shifted(a, by), _shifted(b, -by)
                yield 1, (less, more)
                yield from ((2, pair) for pair in ((less, b), (a, more), (less, _shifted(b, by))))
            total = f"2 * {self.firm(left)}" if a == b else _added(a, b)
            yield from ((1, pair) for pair in (("0", total), (total, "0"), (a, a), (b, b)))
            yield from ((2, pair) for pair in ((a, "0"), ("0", b), ("0", "0")))
        counts = [atom.text for atom in self.scope.numbers if atom.kind == "whole number"][:MOST_SIZES]
        for count in counts:
            yield 2, (count, count)
            yield 2, (f"{count} - 1", f"{count} - 1")
            if (a, b) != ("0", "0") and count not in (a, b):  # a full correlation's of a padded one
                yield 2, tuple(f"{count} - 1 - {self.firm(end)}" for end in (left, right))  # type: ignore[misc]
                yield 2, tuple(f"{count} - {self.firm(end)}" for end in (left, right))  # type: ignore[misc]


def _pairs(node: ast.expr) -> Iterator[Ends]:
    """Both ends of each axis: of ((1, 2), (0, 0)), and of PyTorch's (1, 2, 0, 0)."""
    if not isinstance(node, (ast.Tuple, ast.List)):
        return
    if node.elts and not any(isinstance(each, (ast.Tuple, ast.List, ast.Starred)) for each in node.elts):
        if len(node.elts) % 2 == 0:
            yield from list(pairwise(node.elts))[::2]
        return
    for each in node.elts:
        if isinstance(each, (ast.Tuple, ast.List)) and len(each.elts) == 2:
            yield each.elts[0], each.elts[1]


def _is_whole(node: ast.expr) -> bool:
    return isinstance(node, ast.Constant) and type(node.value) is int


def _shifted(text: str, by: int) -> str:
    return _added(text, str(by))


def _added(one: str, other: str) -> str:
    """A sum, with one number for all: k - 1 of 1 + (k - 2)."""
    parts = [_apart(one), _apart(other)]
    number = sum(each for _, each in parts)
    named = " + ".join(name for name, _ in parts if name)
    if not named or not number:
        return named or str(number)
    return f"{named} {'+' if number > 0 else '-'} {abs(number)}"


def _apart(text: str) -> tuple[str, int]:
    """(what stands there, the number behind it)."""
    if re.fullmatch(r"-?\d+", text):
        return "", int(text)
    found = re.fullmatch(r"(.*\S) ?([-+]) ?(\d+)", text)
    return (text, 0) if found is None else (found[1], int(found[2] + found[3]))
