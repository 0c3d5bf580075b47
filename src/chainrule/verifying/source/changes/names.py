"""Names and numbers written otherwise: another of the same kind, the count of something else, a key."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from functools import cached_property
from itertools import permutations

from chainrule.verifying.source.changes.change import Change, Rewriting
from chainrule.verifying.source.scope import axes_in, entries_of, is_atom, own

NUMBERS = (0, 1, 2, -1, 0.5)
AXES_MORE = ("", "[:, None]", "[:, None, None]", "[:, None, None, None]")
# Sizes as they are asked for.
SIZE = re.compile(r"len\([\w.]+\)|[\w.]+\.(shape\[-?\d\]|numel\(\)|size\(-?\d\))")


class Names(Rewriting):
    def beside(self, node: ast.AST) -> Iterator[Change]:
        if isinstance(node, ast.Constant):
            yield from self.number(node)
        elif isinstance(node, ast.BinOp) and all(map(self.is_number, (node.left, node.right))):
            yield from self.spread(node)
        elif is_atom(node) and isinstance(getattr(node, "ctx", None), ast.Load):
            yield from self.named(node)
        if isinstance(node, (ast.Call, ast.Subscript)):
            yield from self.counted(node)

    def another_axis(self, node: ast.AST) -> Iterator[Change]:
        """Names that stand for axes elsewhere: a size is none, though it may be the number of one here."""
        names = [each for each in axes_in(self.scope.node) if isinstance(each, ast.Name)]
        for other in dict.fromkeys(each.id for each in names):
            if other != self.of(node):
                yield self.instead("axis", 1, node, other)

    @property
    def permuted(self) -> str:
        """What their library calls another order of the axes."""
        return "permute" if self.scope.library == "torch" else "transpose"

    def named(self, node: ast.AST) -> Iterator[Change]:
        """Another name, attribute or entry of the same kind."""
        text = ast.unparse(node)
        mine = self.scope.atoms.get(text)
        if mine is not None and (mine.kind == "list" or (mine.kind == "array" and mine.shape)):
            yield self.instead("backwards", 3, node, f"{text}[::-1]")
        if id(node) in self.axes:
            yield from self.another_axis(node)
            return
        if mine is None or text in self.scope.grown:
            return
        whole = [atom for atom in self.scope.numbers if atom.kind == "whole number" and atom.text != text]
        for other in whole if mine.kind == "whole number" else ():
            yield self.instead("divisor_missing", 2, node, f"({text} // {other.text})", other.text, text)
        for other in self.scope.atoms.values():
            if other.text != text and other.like(mine) and other.text not in self.scope.grown:
                yield self.instead("name", 1, node, other.text)
            elif other.spreads(mine) and other.text not in self.scope.grown:
                yield self.instead("name", 2, node, other.text)
        if mine.kind in ("number", "whole number"):
            yield from self.spread(node)
        for entry in self.entries_at_hand.get(text, ()):  # of each sample its own
            for more in AXES_MORE[:2]:
                yield self.instead("name", 2, node, entry + more)
        if mine.kind in ("array", "number"):
            yield self.instead("name", 3, node, f"(1 - {text})", f"1 - {text}")
        if mine.kind == "array":
            yield self.instead("squared", 3, node, f"({text} ** 2)", f"{text} ** 2")
        for dimensions in {len(mine.shape), self.scope.entered.get(text, 0)} & {3, 4}:
            for order in list(permutations(range(dimensions)))[1:]:
                yield self.instead("transposed", 3, node, f"{text}.{self.permuted}{order}")
            for axes in (("-1",), ("-2", "-1"))[dimensions - 3 :]:
                turned = f"[..., {', '.join('::-1' for _ in axes)}]"
                turned = f".flip({', '.join(axes)})" if self.scope.library == "torch" else turned
                yield self.instead("turned", 3, node, text + turned)
        if mine.kind == "array" and len(mine.shape) == 2 and mine.shape[0] == mine.shape[1] > 1:
            yield self.instead("symmetric", 3, node, f"(({text} + {text}.T) / 2)", f"({text} + {text}.T) / 2")

    def spread(self, node: ast.AST) -> Iterator[Change]:
        """A count of each sample or window in place of one number, as it is, with axes more, or its entry."""
        if id(node) not in self.sizes:
            return
        for atom in self.scope.arrays:
            if len(atom.shape) > 1 and 1 in atom.shape:  # a number of each row, with its axis kept
                yield self.instead("name", 3, node, atom.text)
            if len(atom.shape) == 1:
                for more in AXES_MORE:
                    yield self.instead("name", 3, node, atom.text + more)
            for index in self.indices:
                if index.count(",") + 1 == len(atom.shape):
                    yield self.instead("name", 3, node, f"{atom.text}[{index}]")

    def is_number(self, node: ast.AST) -> bool:
        atom = self.scope.atoms.get(ast.unparse(node))
        whole = atom is not None and atom.kind in ("number", "whole number")
        return whole or isinstance(node, ast.Constant)

    @cached_property
    def axes(self) -> frozenset[int]:
        """What says an axis."""
        return frozenset(map(id, axes_in(self.scope.node)))

    @cached_property
    def sizes(self) -> frozenset[int]:
        """Numbers by which something is divided, or multiplied."""
        made = list[ast.expr]()
        for each in own(self.scope.node):
            if isinstance(each, (ast.BinOp, ast.AugAssign)) and isinstance(each.op, (ast.Mult, ast.Div)):
                made.append(each.right if isinstance(each, ast.BinOp) else each.value)
        return frozenset(map(id, made))

    @cached_property
    def entries_at_hand(self) -> dict[str, list[str]]:
        """Of arrays the entries that stand in the function by the numbers of others."""
        made: dict[str, list[str]] = {}
        for each in own(self.scope.node):
            if isinstance(each, ast.Subscript) and isinstance(each.slice, ast.Name) and is_atom(each.value):
                made.setdefault(ast.unparse(each.value), []).append(ast.unparse(each))
        return {text: list(dict.fromkeys(entries)) for text, entries in made.items()}

    @cached_property
    def indices(self) -> list[str]:
        """Of loops, those that stand in one index together."""
        parts = (each for each in own(self.scope.node) if isinstance(each, ast.Subscript))
        names = ([each.id for each in entries_of(part) if isinstance(each, ast.Name)] for part in parts)
        return list(dict.fromkeys(", ".join(each) for each in names if each))

    def counted(self, node: ast.expr) -> Iterator[Change]:
        """What is counted elsewhere in place of x.shape[0], len(x), x.numel()."""
        if SIZE.fullmatch(self.of(node)) is None:
            return
        arrays = [atom for atom in self.scope.arrays if len(atom.shape) <= 2 and atom.shape[-1] == 1]
        for atom in (*self.scope.numbers, *arrays):
            yield self.instead("name", 2, node, atom.text)
        whole = ".numel()" if self.scope.library == "torch" else ".size"
        for atom in self.scope.arrays:
            for other in (whole, *(f".shape[{axis}]" for axis in range(len(atom.shape)))):
                yield self.instead("name", 2 + (other != whole), node, atom.text + other)

    def number(self, node: ast.Constant) -> Iterator[Change]:
        value = node.value
        if isinstance(value, str):
            yield from self.key(node)
        if isinstance(value, bool) or not isinstance(value, (int, float)):
            return
        near = (
            (value + 1, value - 1, -value, *NUMBERS)
            if isinstance(value, int)
            else (-value, 1 - value, 2 * value, value / 2, *NUMBERS)
        )
        for other in dict.fromkeys(near):
            if other != value:
                yield self.instead("number", 2, node, repr(other))
        if id(node) in self.axes:
            yield from self.another_axis(node)
            return
        for atom in self.scope.numbers:
            yield self.instead("name", 3, node, atom.text)

    def key(self, node: ast.Constant) -> Iterator[Change]:
        """Another key of those that the function uses."""
        texts = {
            each.slice.value: None
            for each in own(self.scope.node)
            if isinstance(each, ast.Subscript) and isinstance(each.slice, ast.Constant)
        }
        for other in texts if node.value in texts else ():
            if isinstance(other, str) and other != node.value:
                yield self.instead("name", 1, node, repr(other))
